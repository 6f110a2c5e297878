//! What goes into the engine besides readings, and what comes out of it.

use plimsoll_core::{
    alert::{AlertRow, Severity},
    mark::Mark,
};

/// What came of a look.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// To be written: the row began, has a new peak, or ended.
    Row(AlertRow),
    Mark(Mark),
    Notify(Notice),
    /// How a person answered, to be kept over a restart.
    Answer(Answer),
    /// The list is another one: alerts began, ended or were answered.
    Changed,
}

/// A notification of the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub rule: String,
    pub subject: String,
    pub severity: Severity,
    /// One sentence.
    pub title: String,
    /// What to do.
    pub advice: String,
}

/// How a person answered the alert of a rule about a subject. One with neither
/// is to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub rule: String,
    pub subject: String,
    pub acknowledged_ms: Option<i64>,
    pub snoozed_until_ms: Option<i64>,
}

/// What an earlier run left behind.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    pub answers: Vec<Answer>,
    /// Rows of the last day from the history, in any order; open ones among them.
    pub rows: Vec<AlertRow>,
}

/// There is no alert with that id in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchAlert;
