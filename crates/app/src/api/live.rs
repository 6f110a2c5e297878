//! The live stream: what a door sends without being asked again.

use std::sync::Arc;

use plimsoll_core::{alert::Severity, mark::Mark, series::SeriesKey, source::SourceStatus};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::types::JobProgress;

/// What somebody who listens wants to hear. A new subscription replaces the
/// one before; a hidden window has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Beginnings of metric names, e.g. `gpu.`; at most 64. Nothing is sent for other metrics.
    pub metrics: Vec<String>,
}

/// A value as it was just measured, in the metric's unit. Counters come as rates per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LiveValue {
    #[serde(flatten)]
    pub key: SeriesKey,
    pub value: f64,
}

/// One message of the stream. A listener that is too slow misses ticks, never
/// the news that something changed: it is told to ask again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Live {
    /// A tick; series that are silent are left out.
    Tick {
        at_ms: i64,
        values: Vec<LiveValue>,
    },
    /// Sources changed their state; all of them are listed.
    Sources {
        sources: Vec<SourceStatus>,
    },
    /// The process table was read again: ask for it if it is shown.
    Processes {
        at_ms: i64,
    },
    /// Services were looked at, or others are watched now: ask for them if they are shown. At
    /// most once a second.
    Services {
        at_ms: i64,
    },
    /// Requests came, went on or ended: ask for `traffic` if it is shown. At most once a second.
    Traffic {
        at_ms: i64,
    },
    /// A hold of the GPU began, went on or ended: ask for `hold.show`.
    Hold,
    /// Alerts began, ended, were acknowledged or snoozed: ask again.
    Alerts,
    /// An alert is worth a notification of the desktop, not more often than
    /// `alerts.notify_gap_min`; or services were found that wait for a word (the rule is
    /// `service-found`), once for each.
    Notice {
        rule: String,
        subject: String,
        severity: Severity,
        /// One sentence.
        title: String,
        /// What to do.
        advice: String,
    },
    /// The configuration, or the file it comes from, changed: ask again.
    Config {
        revision: i64,
    },
    /// What is staged of the limits changed, to the draft of that number: ask for `limits`.
    Staged {
        serial: i64,
    },
    Mark {
        mark: Arc<Mark>,
    },
    Job {
        job: JobProgress,
    },
    /// Some messages were missed: ask for everything that is shown.
    Missed {
        messages: u64,
    },
    /// Plimsoll is stopping.
    Stopping,
}
