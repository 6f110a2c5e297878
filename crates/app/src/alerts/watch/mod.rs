//! The rules one by one: what each looks at, and the words for it.
//!
//! Defaults of thresholds and durations stand in `plimsoll_core::config`, where
//! they are settings. Here is why each rule is as it is.

use plimsoll_core::{config::Rule, metric::Metric, unit::Unit};

use super::{facts::Facts, measure::Measured};

macro_rules! advice {
    ($text:literal) => {
        |_| $text.into()
    };
}

/// A rule about one metric: its value is over the threshold, for each subject on its own.
macro_rules! over {
    ($id:literal, $unit:expr, $metric:ident, |$value:ident| $title:expr, $sentence:expr, $advice:literal $(,)?) => {
        Watch {
            id: $id,
            unit: Some($unit),
            below: false,
            metrics: &[Metric::$metric],
            chart: Some(Metric::$metric),
            measure: |r, f, out| compare(r, f, Metric::$metric, out, |_, $value| $title),
            sentence: $sentence,
            advice: advice!($advice),
        }
    };
}

mod machine;
mod own;
mod services;

/// One line of the table.
pub struct Watch {
    pub id: &'static str,
    pub unit: Option<Unit>,
    /// Being below is what alerts, in the rule's unit.
    pub below: bool,
    pub metrics: &'static [Metric],
    /// Metric whose chart carries the load line at the same height for every subject.
    pub chart: Option<Metric>,
    pub measure: fn(&Rule, &Facts, &mut Vec<Measured>),
    /// What it watches, with the thresholds in force.
    pub sentence: fn(&Rule) -> String,
    /// What to do about it, given the subject.
    pub advice: fn(&str) -> String,
}

/// A rule about a state rather than a value: it has no unit, and no line on a chart.
const STATE: Watch = Watch {
    id: "",
    unit: None,
    below: false,
    metrics: &[],
    chart: None,
    measure: |_, _, _| {},
    sentence: |_| String::new(),
    advice: |_| String::new(),
};

/// Every built-in rule, in the order of the settings.
pub fn watches() -> impl Iterator<Item = &'static Watch> {
    [machine::WATCHES, services::WATCHES, own::WATCHES].into_iter().flatten()
}

/// The line of a built-in rule.
pub fn watch(id: &str) -> Option<&'static Watch> {
    watches().find(|watch| watch.id == id)
}
