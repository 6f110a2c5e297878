//! Questions about the history. Nothing here writes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::{OpenError, ReadError},
    history::Shared,
    recorder::Queue,
};
use futures::stream::BoxStream;
use plimsoll_core::{
    alert::AlertRow,
    log::{LogEntry, LogLevel},
    mark::Mark,
    series::{Answer, Query, SeriesInfo, SeriesKey},
    unit::Unit,
};

/// Answers from the database; cheap to clone.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    queue: Option<Arc<Queue>>,
}

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

impl Reader {
    pub(crate) fn beside(shared: Arc<Shared>, queue: Arc<Queue>) -> Self {
        Self { shared, queue: Some(queue) }
    }

    /// For a process that does not own the folder: reads beside a running owner.
    pub async fn open_readonly(folder: &Path) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::new(folder));
        if !shared.path.exists() {
            return Err(OpenError::Missing { path: folder.to_owned() });
        }
        Ok(Self { shared, queue: None })
    }

    pub(crate) async fn close(&self) {}

    pub async fn query(&self, query: &Query) -> Result<Answer, ReadError> {
        Err(ReadError::Closed)
    }
    pub async fn series(&self) -> Result<Vec<SeriesInfo>, ReadError> {
        Err(ReadError::Closed)
    }
    pub async fn stats(&self) -> Result<Stats, ReadError> {
        Err(ReadError::Closed)
    }
    pub async fn marks(&self, from_ms: i64, to_ms: i64) -> Result<Vec<Mark>, ReadError> {
        Err(ReadError::Closed)
    }
    pub async fn alerts(&self, from_ms: i64, to_ms: i64) -> Result<Vec<AlertRow>, ReadError> {
        Err(ReadError::Closed)
    }
    pub async fn log(
        &self,
        level: LogLevel,
        contains: &str,
        before_ms: Option<i64>,
        limit: u32,
    ) -> Result<Vec<LogEntry>, ReadError> {
        Err(ReadError::Closed)
    }
    pub async fn raw_page(
        &self,
        key: &SeriesKey,
        from_ms: i64,
        to_ms: i64,
        cursor: Option<i64>,
        limit: u32,
    ) -> Result<RawPage, ReadError> {
        Err(ReadError::Closed)
    }
    /// Empty `series`: every one. Series after series, each in order of time.
    pub fn export(
        &self,
        series: Vec<SeriesKey>,
        from_ms: i64,
        to_ms: i64,
    ) -> BoxStream<'static, Result<ExportRow, ReadError>> {
        Box::pin(futures::stream::empty())
    }
    pub async fn storage(&self) -> Result<Vec<Stored>, ReadError> {
        Err(ReadError::Closed)
    }
    /// Bytes that keeping only the newest `keep_ms` of that kind would free.
    pub async fn effect_of_keeping(
        &self,
        kind: StoredKind,
        keep_ms: i64,
    ) -> Result<u64, ReadError> {
        Err(ReadError::Closed)
    }
    /// `None` for a series that is no counter or is not known.
    pub async fn counter_increase(
        &self,
        key: &SeriesKey,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Option<Increase>, ReadError> {
        Err(ReadError::Closed)
    }
    #[allow(dead_code)]
    fn unused(&self) -> (&Option<Arc<Queue>>, PathBuf) {
        (&self.queue, self.shared.path.clone())
    }
}
