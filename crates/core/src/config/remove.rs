//! Taking a key, or a whole table, out of a person's text.

use std::ops::Range;

use toml_edit::{Document, Item, Key, Table, TableLike};

use super::edit::{EditError, no_toml};

/// Takes a key's line out; a comment on that line stays as a line of its own. A table
/// goes with its header, its keys and the comments that stand directly at it.
pub(super) fn unset(text: &str, key: &str) -> Result<String, EditError> {
    let document = Document::parse(text).map_err(|_| no_toml())?;
    let parts: Vec<&str> = key.split('.').collect();
    let Some((last, groups)) = parts.split_last() else { return Ok(text.into()) };
    let mut table: &dyn TableLike = document.as_table();
    let mut inline = false;
    for group in groups {
        let Some(item) = table.get(group) else { return Ok(text.into()) };
        inline |= item.is_inline_table() && !item.as_table_like().is_some_and(TableLike::is_dotted);
        let Some(next) = item.as_table_like() else { return Ok(text.into()) };
        table = next;
    }
    let Some((found, item)) = table.get_key_value(last) else { return Ok(text.into()) };
    if !inline {
        let whole = !item.is_value() || item.is_inline_table();
        if let (Some(start), Some(end), false) = (found.span(), item.span(), whole) {
            return Ok(without_line(text, start.start, end.end));
        }
        let mut cuts = Vec::new();
        if places_of(text, found, item, &mut cuts).is_some() {
            return Ok(without(text, cuts));
        }
    }
    let mut document = document.into_mut();
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for group in groups {
        match table.get_mut(group).and_then(Item::as_table_like_mut) {
            Some(next) => table = next,
            None => return Ok(text.into()),
        }
    }
    table.remove(last);
    Ok(document.to_string())
}

fn without_line(text: &str, key_start: usize, value_end: usize) -> String {
    let start = line_start(text, key_start);
    let end = line_end(text, value_end);
    let comment = text[value_end..end].trim();
    let indent = &text[start..start + (text[start..].len() - text[start..].trim_start().len())];
    let mut kept = text[..start].to_string();
    if comment.starts_with('#') {
        kept.push_str(indent.trim_matches('\n'));
        kept.push_str(comment);
        kept.push_str(if text[value_end..end].ends_with("\r\n") { "\r\n" } else { "\n" });
    }
    kept.push_str(&text[end..]);
    kept
}

/// Whole lines that an item stands on. A table may stand in several places: a service
/// written as `services.a.url = …` and `services.a.name = …` has no one place. `None` where
/// the parser does not say where something is.
fn places_of(text: &str, key: &Key, item: &Item, cuts: &mut Vec<Range<usize>>) -> Option<()> {
    match item {
        Item::None => {}
        Item::Value(value) => match value.as_inline_table() {
            Some(dotted) if dotted.is_dotted() => return None,
            _ => {
                let start = line_start(text, key.span()?.start);
                cuts.push(start..line_end(text, value.span()?.end));
            }
        },
        Item::Table(table) if table.is_dotted() || table.is_implicit() => {
            for (name, _) in table {
                let (key, item) = table.get_key_value(name)?;
                places_of(text, key, item, cuts)?;
            }
        }
        Item::Table(table) => section(text, table, cuts)?,
        Item::ArrayOfTables(tables) => {
            for table in tables {
                section(text, table, cuts)?;
            }
        }
    }
    Some(())
}

/// A table with a header: from the comments above it to those below its last key.
fn section(text: &str, table: &Table, cuts: &mut Vec<Range<usize>>) -> Option<()> {
    let header = table.span()?;
    let mut own = Vec::new();
    for (name, _) in table {
        let (key, item) = table.get_key_value(name)?;
        let below = matches!(item, Item::Table(table) if !table.is_dotted());
        let into = if below || item.is_array_of_tables() { &mut *cuts } else { &mut own };
        places_of(text, key, item, into)?;
    }
    let end = own.iter().map(|cut| cut.end).max();
    let end = end.unwrap_or_else(|| line_end(text, header.end));
    cuts.push(comments_above(text, line_start(text, header.start))..comments_below(text, end));
    Some(())
}

/// Where the comment begins that stands directly above a line. One that begins the file
/// speaks of the file.
fn comments_above(text: &str, start: usize) -> usize {
    let mut at = start;
    while at > 0 {
        let before = line_start(text, at - 1);
        if !text[before..at].trim_start().starts_with('#') {
            return at;
        }
        at = before;
    }
    start
}

/// Where the comment ends that stands directly below; one that leads to the next header
/// is that one's.
fn comments_below(text: &str, end: usize) -> usize {
    let mut at = end;
    loop {
        let line = &text[at..line_end(text, at)];
        if !line.trim_start().starts_with('#') {
            return if line.trim_start().starts_with('[') { end } else { at };
        }
        at += line.len();
    }
}

/// The text without those lines, and without the gap that they leave.
fn without(text: &str, mut cuts: Vec<Range<usize>>) -> String {
    cuts.sort_by_key(|cut| cut.start);
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for cut in cuts {
        if cut.start < at {
            // One within another, which is gone already.
            at = at.max(cut.end);
            continue;
        }
        kept.push_str(&text[at..cut.start]);
        at = cut.end;
        if kept.is_empty() || ends_blank(&kept) {
            while at < text.len() && text[at..line_end(text, at)].trim().is_empty() {
                at = line_end(text, at);
            }
        }
    }
    kept.push_str(&text[at..]);
    // What stood last leaves no empty lines at the end.
    if text[at..].is_empty() {
        let end = kept.trim_end().len();
        let rest = line_end(&kept, end);
        kept.truncate(if end == 0 { 0 } else { rest });
    }
    kept
}

fn ends_blank(text: &str) -> bool {
    let Some(text) = text.strip_suffix('\n') else { return false };
    text[line_start(text, text.len())..].trim().is_empty()
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |i| i + 1)
}

/// Behind the line's end.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |i| at + i + 1)
}

#[cfg(test)]
mod tests {
    use super::super::{edit::edit, wire::Change};

    fn without(text: &str, key: &str) -> String {
        edit(text, &[Change { key: key.into(), value: None }]).unwrap()
    }

    const MINE: &str = "\
# My workstation.

[window]           # how it looks
theme = \"dark\"

# Disk is small here.
[history]
max_mib = 1024     # half of the default
keep.raw_hours = 24
";

    const SERVICES: &str = "\
# My workstation.
[services]
accept = \"ask\"   # I decide

# The big one.
# It needs its key.
[services.llama]   # at night only
url = \"http://127.0.0.1:8080\"
key_file = \"/etc/llama.key\"
# scrape_ms = 500

# Sessions live here.
[services.cache]
url = \"redis://127.0.0.1\"
";

    #[test]
    fn taking_a_key_out_keeps_every_comment() {
        assert_eq!(
            without(MINE, "history.max_mib"),
            MINE.replace("max_mib = 1024     # half", "# half")
        );
        assert_eq!(without(MINE, "window.theme"), MINE.replace("theme = \"dark\"\n", ""));
        assert_eq!(
            without(MINE, "history.keep.raw_hours"),
            MINE.replace("keep.raw_hours = 24\n", "")
        );
        assert_eq!(without(MINE, "log.level"), MINE);
        let inline = "history = { max_mib = 64, checkpoint_s = 3 } # x\n";
        assert_eq!(without(inline, "history.max_mib"), "history = { checkpoint_s = 3 } # x\n");
    }

    #[test]
    fn a_table_goes_with_its_own_comments_and_leaves_those_of_others() {
        let llama = SERVICES.find("# The big one").unwrap()..SERVICES.find("# Sessions").unwrap();
        let mut left = SERVICES.to_string();
        left.replace_range(llama.clone(), "");
        assert_eq!(without(SERVICES, "services.llama"), left);
        let cache = &SERVICES[..llama.end - 1];
        assert_eq!(without(SERVICES, "services.cache"), cache);
        assert_eq!(
            without(&SERVICES.replace('\n', "\r\n"), "services.llama"),
            left.replace('\n', "\r\n")
        );
        assert_eq!(without(SERVICES, "services.other"), SERVICES);
        // The comment that begins the file is the file's.
        assert_eq!(without("# Mine.\n[services.a]\nurl = \"x\"\n", "services.a"), "# Mine.\n");
        assert_eq!(without("[services.a]\nurl = \"x\"", "services.a"), "");
        let next = "[services.a]\nurl = \"x\"\n# That is b.\n[services.b]\nurl = \"y\"\n";
        assert_eq!(without(next, "services.a"), "# That is b.\n[services.b]\nurl = \"y\"\n");
    }

    #[test]
    fn a_table_is_found_in_every_way_to_write_it() {
        let dotted = "services.a.url = \"x\"\nlog.files = 2\nservices.a.name = \"A\"\n";
        assert_eq!(without(dotted, "services.a"), "log.files = 2\n");
        let within = "[services]\na.url = \"x\"\na.name = \"A\"\nb.url = \"y\" # stays\n";
        assert_eq!(without(within, "services.a"), "[services]\nb.url = \"y\" # stays\n");
        let line = "[services]\na = { url = \"x\", name = \"A\" }\nb = { url = \"y\" }\n";
        assert_eq!(without(line, "services.a"), "[services]\nb = { url = \"y\" }\n");
        let inline = "services = { a = { url = \"x\" }, b = { url = \"y\" } } # all\n";
        assert_eq!(without(inline, "services.a"), "services = { b = { url = \"y\" } } # all\n");
        let below = "[services.a]\nurl = \"x\"\n\n[log]\nfiles = 2\n\n[services.a.launch]\nn = 1\n";
        assert_eq!(without(below, "services.a"), "[log]\nfiles = 2\n");
        let alone = "[services.a.launch]\nn = 1\n[log]\nfiles = 2\n";
        assert_eq!(without(alone, "services.a"), "[log]\nfiles = 2\n");
    }
}
