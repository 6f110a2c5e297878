//! Units of measured values, as they are stored and as they travel, and spans in words.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The unit of a metric. Values are stored in this unit, without a prefix:
/// 1 GiB is `1073741824` bytes, 42 % is `42.0` percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Bytes,
    BytesPerSecond,
    /// 0 to 100 of the whole; per-process CPU counts 100 for one core.
    Percent,
    Celsius,
    Watts,
    /// Energy counters: the increase over a second is watts.
    Joules,
    Megahertz,
    Milliseconds,
    /// A plain number of things.
    Count,
    /// 1 while a condition holds, 0 while it does not.
    Flag,
}

impl Unit {
    /// The unit of a counter's rate of change per second, shown on charts.
    pub fn per_second(self) -> Unit {
        match self {
            Unit::Bytes => Unit::BytesPerSecond,
            Unit::Joules => Unit::Watts,
            other => other,
        }
    }
}

/// How long something lasts, in its largest whole unit, cut: `40 s`, `3 min`, `5 h`, `2 d`.
pub fn lasting(ms: i64) -> String {
    match ms.max(0) / 1000 {
        s if s < 60 => format!("{s} s"),
        s if s < 3600 => format!("{} min", s / 60),
        s if s < 86_400 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_in_its_largest_whole_unit() {
        let said = [-5, 59_999, 60_000, 3_599_999, 7_200_000, 172_800_000].map(lasting);
        assert_eq!(said, ["0 s", "59 s", "1 min", "59 min", "2 h", "2 d"]);
    }
}
