//! Lines that are written together: a hundred, or those of five seconds.

use plimsoll_core::log::{LogEntry, LogLevel};

use super::{BATCH, BATCH_MS};

/// Lines on their way into a batch.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    entries: Vec<LogEntry>,
    since_ms: i64,
}

// === impl Batcher ===

impl Batcher {
    /// Takes a line; answers the batch where it is full. An error is not kept
    /// waiting: it may be the last thing the program says.
    pub fn push(&mut self, entry: LogEntry, now_ms: i64) -> Option<Vec<LogEntry>> {
        if self.entries.is_empty() {
            self.since_ms = now_ms;
        }
        let urgent = entry.level == LogLevel::Error;
        self.entries.push(entry);
        (urgent || self.entries.len() >= BATCH).then(|| self.take())
    }

    /// The batch, where its oldest line has waited long enough.
    pub fn due(&mut self, now_ms: i64) -> Option<Vec<LogEntry>> {
        (self.wait_ms(now_ms)? == 0).then(|| self.take())
    }

    /// Milliseconds until the batch is due; `None` where nothing waits.
    pub fn wait_ms(&self, now_ms: i64) -> Option<i64> {
        let waited = now_ms.saturating_sub(self.since_ms);
        (!self.entries.is_empty()).then(|| (BATCH_MS - waited).clamp(0, BATCH_MS))
    }

    pub fn take(&mut self) -> Vec<LogEntry> {
        std::mem::take(&mut self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(level: LogLevel) -> LogEntry {
        LogEntry {
            at_ms: 0,
            level,
            module: String::new(),
            message: String::new(),
            fields: String::new(),
        }
    }

    // MV6: batches of 100 or 5 s
    #[test]
    fn a_batch_is_a_hundred_lines_or_five_seconds() {
        let mut batcher = Batcher::default();
        assert_eq!(batcher.wait_ms(0), None);
        for n in 1..100 {
            assert!(batcher.push(entry(LogLevel::Info), 1000 + n).is_none());
        }
        assert_eq!(batcher.push(entry(LogLevel::Info), 2000).unwrap().len(), 100);
        assert!(batcher.push(entry(LogLevel::Warn), 10_000).is_none());
        assert_eq!(batcher.wait_ms(12_000), Some(3000));
        assert!(batcher.due(14_999).is_none());
        assert_eq!(batcher.due(15_000).unwrap().len(), 1);
        assert!(batcher.due(99_000).is_none());
    }

    #[test]
    fn an_error_takes_its_batch_along_at_once() {
        let mut batcher = Batcher::default();
        batcher.push(entry(LogLevel::Info), 0);
        assert_eq!(batcher.push(entry(LogLevel::Error), 1).unwrap().len(), 2);
    }
}
