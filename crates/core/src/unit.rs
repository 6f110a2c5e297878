//! Units of measured values, as they are stored and as they travel.

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
