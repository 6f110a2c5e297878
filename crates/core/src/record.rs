//! The one way from producers into the history.

use std::sync::Arc;

use crate::{alert::AlertRow, log::LogEntry, mark::Mark, reading::Tick};

/// Takes what happened. Never blocks and never fails: what cannot be kept is
/// counted. Ticks and marks are never displaced by log entries.
pub trait Record: Send + Sync + 'static {
    fn tick(&self, tick: Arc<Tick>);
    fn mark(&self, mark: Mark);
    /// Inserts or replaces the row with that id.
    fn alert(&self, alert: AlertRow);
    fn log(&self, entries: Vec<LogEntry>);

    /// Entries that wait to be written.
    fn queue_len(&self) -> usize;
    /// Log entries dropped since the start because the queue was full.
    fn dropped(&self) -> u64;
}
