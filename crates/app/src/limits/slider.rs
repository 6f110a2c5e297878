//! The part of a limit's range that a hand goes over.

use plimsoll_core::config::{
    ONE_OF_ALL,
    setting::{Accepts, Setting},
    wire::SettingValue,
};

use crate::api::{LimitSide, LimitSlider, LimitStop};

/// What a range is gone over in one piece up to; beyond it a slider shows the useful part.
const WHOLE_RANGE: f64 = 200.0;
/// A slider with more than this between its ends goes by factors.
const LOG_FROM: f64 = 100.0;
/// A slider without a value to go by reaches to twice this, and in tokens to twice the second:
/// a conversation is some thousands of them.
const USUAL: f64 = 8.0;
const USUAL_TOKENS: f64 = 16_384.0;

/// A value as a number, where it is one.
#[expect(clippy::cast_precision_loss, reason = "a place on a slider")]
pub fn number(value: &SettingValue) -> Option<f64> {
    match value {
        SettingValue::Integer(number) => Some(*number as f64),
        SettingValue::Number(number) => Some(*number),
        _ => None,
    }
}

/// The useful part of a range: from its beginning to twice the most that is said of it.
#[expect(clippy::cast_precision_loss, reason = "a place on a slider")]
pub fn slider(setting: &Setting, marks: impl Iterator<Item = f64>) -> Option<LimitSlider> {
    let (min, max, step) = match setting.accepts {
        Accepts::Whole { min, max } | Accepts::WholeOr { min, max, .. } => {
            (min as f64, max as f64, 1.0)
        }
        Accepts::Number { min, max } => (min, max, (max - min) / 100.0),
        _ => return None,
    };
    if max - min <= WHOLE_RANGE {
        return Some(LimitSlider { min, max, step, log: false });
    }
    let usual = if setting.unit == Some("tokens") { USUAL_TOKENS } else { USUAL };
    let most = marks.fold(usual, f64::max) * 2.0;
    let max = most.min(max).max(min + 1.0);
    let log = max - min > LOG_FROM;
    Some(LimitSlider { min: if log { min.max(1.0) } else { min }, max, step, log })
}

/// The other limit that the configuration holds this one against.
pub fn stop(key: &str) -> Option<LimitStop> {
    ONE_OF_ALL.iter().find_map(|(one, all)| {
        let (side, other) = match key {
            _ if key == *one => (LimitSide::AtMost, all),
            _ if key == *all => (LimitSide::AtLeast, one),
            _ => return None,
        };
        Some(LimitStop { side, key: (*other).into() })
    })
}
