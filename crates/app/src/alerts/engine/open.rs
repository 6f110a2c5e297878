//! An alert that holds: its newest value, its peak, how it was answered.

use plimsoll_core::{alert::AlertRow, clock::Instant3, config::Rule};

use super::{Event, Measured};

/// A new peak is written to the history at most this often.
const PEAK_MS: i64 = 10_000;

#[derive(Debug)]
pub(super) struct Open {
    pub row: AlertRow,
    /// The sentence with the newest value; the row keeps that of the peak.
    pub title: String,
    pub value: Option<f64>,
    pub acknowledged_ms: Option<i64>,
    pub measured: Instant3,
    pub written_ms: i64,
    pub unwritten: bool,
    pub wants_notice: bool,
    /// From an earlier run, and not measured in this one yet.
    pub inherited: bool,
}

// === impl Open ===

impl Open {
    /// It still holds: the newest value, perhaps a new peak.
    pub fn goes_on(
        &mut self,
        now: Instant3,
        rule: &Rule,
        measured: &Measured,
        below: bool,
        events: &mut Vec<Event>,
    ) {
        self.measured = now;
        self.inherited = false;
        self.value = measured.value;
        self.title.clone_from(&measured.title);
        let further = match (measured.value, self.row.peak) {
            (Some(new), Some(old)) => {
                if below {
                    new < old
                } else {
                    new > old
                }
            }
            (Some(_), None) => true,
            (None, _) => false,
        };
        if further {
            self.row.peak = measured.value;
            self.row.title.clone_from(&measured.title);
            self.unwritten = true;
        }
        if (self.row.threshold, self.row.severity) != (measured.threshold, rule.severity) {
            self.row.threshold = measured.threshold;
            self.row.severity = rule.severity;
            self.unwritten = true;
        }
        if self.unwritten && now.monotonic_ms - self.written_ms >= PEAK_MS {
            self.unwritten = false;
            self.written_ms = now.monotonic_ms;
            events.push(Event::Row(self.row.clone()));
        }
    }
}
