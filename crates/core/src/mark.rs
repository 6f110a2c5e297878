//! Marks: what happened, standing on every chart's time axis.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A setting was changed or rolled back.
    Change,
    /// An alert began (and ended, once `end_ms` is known).
    Alert,
    /// Plimsoll or something it watches started again.
    Restart,
    /// A load test ran.
    LoadTest,
    /// The clock was set, or the machine slept: a new epoch of the history.
    Clock,
    /// The history itself: recording paused, a database set aside.
    History,
    /// A service changed its state: came up, went down, serves badly.
    Service,
}

/// Something that happened at a moment or over a span.
///
/// What has begun and not ended yet is recorded without `end_ms`. Recorded again
/// with its end, and with the same kind, start and reference, it takes the place
/// of the first: one event is one mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Mark {
    /// Given by the history; 0 until it is stored.
    pub id: i64,
    pub at_ms: i64,
    pub end_ms: Option<i64>,
    pub kind: MarkKind,
    /// What it is about, e.g. a mount point or a GPU's UUID.
    pub subject: Option<String>,
    /// One sentence, shown beside the mark.
    pub title: String,
    /// The rest, e.g. the diff of a revision; may be empty.
    pub detail: String,
    /// Where it leads, e.g. `revision:38` or `alert:disk-space:/home`.
    pub reference: Option<String>,
}

// === impl Mark ===

impl Mark {
    pub fn new(at_ms: i64, kind: MarkKind, title: impl Into<String>) -> Self {
        Self {
            id: 0,
            at_ms,
            end_ms: None,
            kind,
            subject: None,
            title: title.into(),
            detail: String::new(),
            reference: None,
        }
    }

    /// What happened to a service: its subject is the service's id, and it leads there.
    pub fn of_service(at_ms: i64, id: &str, title: impl Into<String>) -> Self {
        Self {
            subject: Some(id.to_owned()),
            reference: Some(format!("service:{id}")),
            ..Self::new(at_ms, MarkKind::Service, title)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_mark_is_about_it_and_leads_to_it() {
        let mark = Mark::of_service(5, "chat", "Chat is healthy");
        assert_eq!((mark.at_ms, mark.kind, mark.end_ms), (5, MarkKind::Service, None));
        assert_eq!(mark.subject.as_deref(), Some("chat"));
        assert_eq!(mark.reference.as_deref(), Some("service:chat"));
    }
}
