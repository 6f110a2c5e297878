//! Where values of services stand in a text, whichever way they are written.

use std::ops::RangeInclusive;

use toml_edit::Document;

/// The lines, from 1, of one field of every service that has it, with the service's id. A
/// value of an inline table stands on the line of that table. Nothing where the text is no TOML.
pub fn lines_of(text: &str, field: &str) -> Vec<(String, RangeInclusive<u32>)> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let Some(services) = document.as_table().get("services").and_then(|s| s.as_table_like()) else {
        return Vec::new();
    };
    let line = |at: usize| {
        let before = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    };
    let place = |(id, item): (&str, &toml_edit::Item)| {
        let span = item.as_table_like()?.get(field)?.span()?;
        Some((id.to_owned(), line(span.start)..=line(span.end.saturating_sub(1))))
    };
    services.iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_however_it_is_written() {
        let text = "[services.a]\nenv = [\n  \"A=1\",\n  \"B=2\" ]\nurl = \"x\"\n\
            [services]\nb = { env = [\"A=1\"] }\nc.env = [\"A=1\"]\nd.url = \"y\"\n";
        let found = lines_of(text, "env");
        let want = [("a", 2..=4), ("b", 7..=7), ("c", 8..=8)];
        assert_eq!(found, want.map(|(id, lines)| (id.to_owned(), lines)));
        assert_eq!(lines_of("services = 3\n", "env"), []);
        assert_eq!(lines_of("[services", "env"), []);
    }
}
