//! Alerts: what a rule found, and how a person answered.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// A condition that holds or held, as it stands in the history: start, end and peak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct AlertRow {
    /// Unique: rule, subject and start, e.g. `disk-space:/home:1763650000000`.
    pub id: String,
    /// Id of the rule, e.g. `disk-space`.
    pub rule: String,
    pub subject: String,
    pub severity: Severity,
    /// One sentence with the value, e.g. `/home has 3.2 GiB left`.
    pub title: String,
    pub start_ms: i64,
    pub end_ms: Option<i64>,
    /// Furthest value past the threshold, in the rule's unit.
    pub peak: Option<f64>,
    pub threshold: Option<f64>,
}

/// An alert of the list in the top bar: active, or ended a short while ago.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Alert {
    pub row: AlertRow,
    /// The value now, in the rule's unit.
    pub value: Option<f64>,
    pub unit: Option<crate::unit::Unit>,
    /// What to do about it, in one sentence.
    pub advice: String,
    /// When a person said they had seen it.
    pub acknowledged_ms: Option<i64>,
    /// Until when a person silenced it.
    pub snoozed_until_ms: Option<i64>,
}
