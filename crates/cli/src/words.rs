//! Values as people read and write them: bytes, times, spans, series.

use jiff::{Timestamp, civil, tz::TimeZone};
pub use plimsoll_app::words::{bytes, whole_bytes};
pub use plimsoll_core::unit::lasting;
use plimsoll_core::{metric::Metric, series::SeriesKey, unit::Unit};

/// A value with its unit.
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytes(value),
        Unit::BytesPerSecond => format!("{}/s", bytes(value)),
        Unit::Percent => format!("{value:.1} %"),
        Unit::Celsius => format!("{value:.0} °C"),
        Unit::Watts => format!("{value:.1} W"),
        Unit::Joules => format!("{value:.1} J"),
        Unit::Megahertz => format!("{value:.0} MHz"),
        Unit::Milliseconds => format!("{value:.1} ms"),
        Unit::Count => format!("{value}"),
        Unit::Flag => if value > 0.0 { "yes" } else { "no" }.into(),
    }
}

/// A moment in local time.
pub fn moment(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(
        |_| at_ms.to_string(),
        |at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// `90s`, `10m`, `24h`, `7d`, `2w` in milliseconds.
pub fn span(text: &str) -> Result<i64, String> {
    let wrong = || {
        format!(
            "{text:?} is no span. A span is a number and a unit: s, m, h, d or w, e.g. 90s or 24h."
        )
    };
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).filter(|&ms| ms > 0).ok_or_else(wrong)
}

/// Milliseconds since 1970, a time with its zone, or a local time or day.
pub fn time(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    text.parse::<civil::DateTime>()
        .ok()
        .and_then(|at| at.to_zoned(TimeZone::system()).ok())
        .map(|at| at.timestamp().as_millisecond())
        .ok_or_else(|| {
            format!(
                "{text:?} is no time. Allowed are milliseconds since 1970, 2026-11-20, \
                 2026-11-20T08:00 (local) and 2026-11-20T08:00Z."
            )
        })
}

/// `metric` or `metric[subject]`. `None` for the subject: all of them.
pub fn series(text: &str) -> Result<(Metric, Option<String>), String> {
    let (name, subject) = match text.split_once('[') {
        Some((name, rest)) => match rest.strip_suffix(']') {
            Some(subject) => (name, Some(subject.to_owned())),
            None => return Err(format!("{text:?} lacks its closing bracket.")),
        },
        None => (text, None),
    };
    match Metric::named(name) {
        Some(metric) => Ok((metric, subject)),
        None => Err(format!("There is no metric {name:?}.{}", nearest(name))),
    }
}

/// The series that `wanted` names, out of those there are; with no wish, none (which means all).
pub fn choose(
    wanted: &[String],
    known: impl Fn() -> Vec<SeriesKey>,
) -> Result<Vec<SeriesKey>, String> {
    let mut chosen = Vec::new();
    let mut all = None;
    for text in wanted {
        let (metric, subject) = series(text)?;
        match subject {
            Some(subject) => chosen.push(SeriesKey::new(metric.name(), subject)),
            None => {
                let all = all.get_or_insert_with(&known);
                let before = chosen.len();
                chosen.extend(all.iter().filter(|key| key.metric == metric.name()).cloned());
                if chosen.len() == before {
                    chosen.push(SeriesKey::new(metric.name(), ""));
                }
            }
        }
    }
    Ok(chosen)
}

fn nearest(name: &str) -> String {
    let beginning: Vec<&str> = Metric::ALL
        .iter()
        .map(|metric| metric.name())
        .filter(|known| {
            let head = name.split('.').next().unwrap_or(name);
            !head.is_empty() && known.split('.').next() == Some(head)
        })
        .take(6)
        .collect();
    if beginning.is_empty() {
        " `plimsoll sample` lists all that this machine has.".into()
    } else {
        format!(" There are: {}.", beginning.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(span("90s"), Ok(90_000));
        assert_eq!(span("7d"), Ok(604_800_000));
        for wrong in ["", "7", "d", "7x", "-1h", "0s", "99999999999999999d", "1h30m"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_milliseconds_or_written_out() {
        assert_eq!(time("1763650000000"), Ok(1_763_650_000_000));
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(1000));
        assert_eq!(time("1970-01-02T00:00:00+01:00"), Ok(82_800_000));
        assert!(time("2026-11-20").is_ok());
        assert!(time("yesterday").unwrap_err().contains("Allowed are"));
    }

    #[test]
    fn a_metric_alone_means_all_its_subjects() {
        let known = || {
            vec![
                SeriesKey::new("mount.used", "/"),
                SeriesKey::new("mount.used", "/home"),
                SeriesKey::new("cpu.busy", ""),
            ]
        };
        let chosen = choose(&["mount.used".into(), "cpu.busy".into()], known).unwrap();
        assert_eq!(chosen.len(), 3);
        let one = choose(&["mount.used[/home]".into()], known).unwrap();
        assert_eq!(one, [SeriesKey::new("mount.used", "/home")]);
        let wrong = choose(&["gpu.vram".into()], known).unwrap_err();
        assert!(wrong.contains("gpu.vram.used"), "{wrong}");
    }
}
