//! What the reader answers with, where core has no type for it.

use plimsoll_core::{
    series::{Level, SeriesKey},
    unit::Unit,
};

/// How much the history holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Size of the database and its write-ahead log.
    pub bytes: u64,
    /// Raw samples held, sealed and not.
    pub samples: u64,
    /// Of sealed raw chunks; `None` before the first is sealed.
    pub bytes_per_sample: Option<f64>,
    pub series: u32,
    pub oldest_ms: Option<i64>,
    pub newest_ms: Option<i64>,
    pub epochs: u32,
}

/// A measured value of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawValue {
    pub at_ms: i64,
    /// In the metric's unit; a counter's total, a histogram's number of observations.
    pub value: f64,
}

/// A page of measured values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawPage {
    pub values: Vec<RawValue>,
    /// Give it back for the next page; `None` at the end.
    pub next: Option<i64>,
}

/// A row of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportRow {
    pub at_ms: i64,
    pub key: SeriesKey,
    pub unit: Unit,
    pub value: f64,
}

/// Kinds of stored data, as a person chooses how long to keep them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoredKind {
    Raw,
    S10,
    M1,
    M15,
    H1,
    /// Marks and alerts.
    Marks,
    Log,
    Requests,
}

/// What one kind of data takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub kind: StoredKind,
    pub bytes: u64,
    pub oldest_ms: Option<i64>,
}

/// By how much a counter grew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Increase {
    /// In the metric's unit.
    pub increase: f64,
    /// Share of the range that was measured, 0 to 1.
    pub covered: f64,
}

// === impl StoredKind ===

impl StoredKind {
    /// The level it is; `None` for marks, the log and requests.
    pub(crate) fn level(self) -> Option<Level> {
        match self {
            StoredKind::Raw => Some(Level::Raw),
            StoredKind::S10 => Some(Level::S10),
            StoredKind::M1 => Some(Level::M1),
            StoredKind::M15 => Some(Level::M15),
            StoredKind::H1 => Some(Level::H1),
            StoredKind::Marks | StoredKind::Log | StoredKind::Requests => None,
        }
    }
}
