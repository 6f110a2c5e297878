//! Numbers, sentences and paths as people read them: in alerts, in jobs, in faults and in
//! the terminal, each by the same rule.

use std::{path::Path, time::Duration};

use plimsoll_core::unit::Unit;

/// `3.20 GiB`: binary units, three significant digits.
pub fn bytes(value: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut shown = value.abs();
    // 1023.6 MiB reads as 1.00 GiB, not as 1024 MiB.
    while shown >= 1023.5 && unit + 1 < UNITS.len() {
        shown /= 1024.0;
        unit += 1;
    }
    let sign = if value < 0.0 { "−" } else { "" };
    if unit == 0 {
        return format!("{sign}{shown:.0} B");
    }
    format!("{sign}{} {}", three_digits(shown), UNITS[unit])
}

/// [`bytes`] of a whole number.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub fn whole_bytes(value: u64) -> String {
    bytes(value as f64)
}

/// Gibibytes with three digits and without their unit, where two sizes share it.
pub fn gib(bytes: f64) -> String {
    three_digits(bytes / f64::from(1 << 30))
}

/// `6 %`, and below 1 with one decimal: `0.4 %`.
pub fn percent(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.95 {
        format!("{value:.1} %")
    } else {
        format!("{value:.0} %")
    }
}

/// Without decimals that say nothing: `90`, `2.5`, `0.31`.
pub fn number(value: f64) -> String {
    let text = if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    match text.split_once('.') {
        Some((whole, decimals)) => match decimals.trim_end_matches('0') {
            "" => whole.into(),
            decimals => format!("{whole}.{decimals}"),
        },
        None => text,
    }
}

/// A span in seconds: `45 s`, `5 min`, `2 h`.
pub fn span(seconds: f64) -> String {
    if seconds < 119.5 {
        format!("{seconds:.0} s")
    } else if seconds < 7170.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{} h", number((seconds / 360.0).round() / 10.0))
    }
}

/// How long something took: `1.4 s`, and from ten seconds on as [`span`] has it.
pub fn lasted(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        span(time.as_secs_f64().floor())
    }
}

/// `1 request`, `12 requests`.
pub fn quantity(n: u32, of: &str) -> String {
    if n == 1 { format!("1 {of}") } else { format!("{n} {of}s") }
}

/// A moment of these hours, on the clock of this place: `14:02`.
pub fn clock(wall_ms: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(wall_ms) else { return "some time".into() };
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M").to_string()
}

/// A value with its unit.
pub fn of_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytes(value),
        Unit::BytesPerSecond => format!("{}/s", bytes(value)),
        Unit::Percent => percent(value),
        Unit::Celsius => format!("{} °C", number(value)),
        Unit::Watts => format!("{} W", number(value)),
        Unit::Joules => format!("{} J", number(value)),
        Unit::Megahertz => format!("{} MHz", number(value)),
        Unit::Milliseconds => format!("{} ms", number(value)),
        Unit::Count | Unit::Flag => number(value),
    }
}

/// Ends like a sentence.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.into() } else { format!("{text}.") }
}

/// Begins like a sentence.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A path as it can be pasted into a shell.
pub fn quoted(path: impl AsRef<Path>) -> String {
    let text = path.as_ref().display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn three_digits(value: f64) -> String {
    if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_and_round_honestly() {
        let gib = 1_073_741_824.0;
        let shown =
            [0.0, 999.0, 65_536.0, 3.2 * gib, 23.99 * gib, 465.8 * gib, gib - 300_000.0].map(bytes);
        assert_eq!(
            shown,
            ["0 B", "999 B", "64.0 KiB", "3.20 GiB", "24.0 GiB", "466 GiB", "1.00 GiB"]
        );
    }

    #[test]
    fn shares_spans_and_numbers_say_no_more_than_is_known() {
        assert_eq!([0.0, 0.44, 6.4, 99.6].map(percent), ["0 %", "0.4 %", "6 %", "100 %"]);
        assert_eq!(
            [0.0, 45.0, 300.0, 5400.0, 9000.0].map(span),
            ["0 s", "45 s", "5 min", "90 min", "2.5 h"]
        );
        let said =
            [400, 1400, 12_900, 119_000, 600_000].map(|ms| lasted(Duration::from_millis(ms)));
        assert_eq!(said, ["0.4 s", "1.4 s", "12 s", "119 s", "10 min"]);
        assert_eq!([90.0, 2.5, 0.3149, 1234.5].map(number), ["90", "2.5", "0.31", "1234"]);
    }
    #[test]
    fn a_sentence_begins_with_a_capital_and_ends_once() {
        let said = ["it is down", "it is down.", "is it? ", "no!"].map(sentence);
        assert_eq!(said, ["it is down.", "it is down.", "is it?", "no!"]);
        assert_eq!(["", "x", "éa b"].map(capital), ["", "X", "Éa b"]);
    }

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("/a/b.db"), "/a/b.db");
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
