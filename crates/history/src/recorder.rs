//! The queue between the producers and the one writer. Putting something in
//! takes a short lock and never waits for the disk.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use plimsoll_core::{
    alert::AlertRow, log::LogEntry, mark::Mark, reading::Tick, record::Record, request::RequestRow,
};
use tokio::sync::Notify;

/// What is kept of the ticks while they cannot be written: ten minutes.
pub(crate) const PENDING_MS: i64 = 600_000;
/// Whatever their pace, no more ticks than this wait.
const MAX_TICKS: usize = 8192;
/// Marks and alerts that wait; beyond it the oldest go.
const MAX_EVENTS: usize = 10_000;
/// Log entries that wait; beyond it new ones are dropped and counted.
const MAX_LOG: usize = 10_000;
/// Requests that wait; beyond it new ones are dropped and counted.
const MAX_REQUESTS: usize = 20_000;
/// So many log entries are worth waking the writer for; fewer travel with the next tick.
const LOG_BATCH: usize = 100;

/// The producers' end; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    pub(crate) queue: Arc<Queue>,
}

#[derive(Default)]
pub(crate) struct Queue {
    inner: std::sync::Mutex<Waiting>,
    pub(crate) wake: Notify,
    dropped: AtomicU64,
    dropped_ticks: AtomicU64,
}

/// Everything that waits, in the order of its arrival within each kind.
#[derive(Default)]
pub(crate) struct Waiting {
    pub ticks: VecDeque<Arc<Tick>>,
    pub marks: VecDeque<Mark>,
    pub alerts: VecDeque<AlertRow>,
    pub log: VecDeque<LogEntry>,
    pub requests: VecDeque<Arc<RequestRow>>,
    /// Recording is switched off: nothing is taken.
    pub off: bool,
    /// The database takes nothing for now: only the newest ten minutes are kept.
    pub paused: bool,
}

// === impl Queue ===

impl Queue {
    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // A panic while it was held cannot leave the queues half changed.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        let waiting = self.lock();
        waiting.ticks.len()
            + waiting.marks.len()
            + waiting.alerts.len()
            + waiting.log.len()
            + waiting.requests.len()
    }

    /// Ticks that were given up because the database took none for too long.
    pub(crate) fn dropped_ticks(&self) -> u64 {
        self.dropped_ticks.load(Ordering::Relaxed)
    }
}

// === impl Record for Recorder ===

impl Record for Recorder {
    fn tick(&self, tick: Arc<Tick>) {
        let mut waiting = self.queue.lock();
        if waiting.off {
            return;
        }
        let newest = tick.at.monotonic_ms;
        waiting.ticks.push_back(tick);
        let mut given_up = 0;
        while let Some(oldest) = waiting.ticks.front()
            && (waiting.ticks.len() > MAX_TICKS
                || waiting.paused && newest - oldest.at.monotonic_ms > PENDING_MS)
        {
            waiting.ticks.pop_front();
            given_up += 1;
        }
        drop(waiting);
        self.queue.dropped_ticks.fetch_add(given_up, Ordering::Relaxed);
        self.queue.wake.notify_one();
    }

    fn mark(&self, mark: Mark) {
        let mut waiting = self.queue.lock();
        if waiting.off {
            return;
        }
        waiting.marks.push_back(mark);
        if waiting.marks.len() > MAX_EVENTS {
            waiting.marks.pop_front();
        }
        drop(waiting);
        self.queue.wake.notify_one();
    }

    fn alert(&self, alert: AlertRow) {
        let mut waiting = self.queue.lock();
        if waiting.off {
            return;
        }
        // A newer state of the same alert takes the older one's place.
        match waiting.alerts.iter_mut().find(|a| a.id == alert.id) {
            Some(older) => *older = alert,
            None => waiting.alerts.push_back(alert),
        }
        if waiting.alerts.len() > MAX_EVENTS {
            waiting.alerts.pop_front();
        }
        drop(waiting);
        self.queue.wake.notify_one();
    }

    fn log(&self, entries: Vec<LogEntry>) {
        let mut waiting = self.queue.lock();
        if waiting.off {
            return;
        }
        let room = MAX_LOG.saturating_sub(waiting.log.len());
        let dropped = entries.len().saturating_sub(room);
        waiting.log.extend(entries.into_iter().take(room));
        let wake = waiting.log.len() >= LOG_BATCH;
        drop(waiting);
        self.queue.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        if wake {
            self.queue.wake.notify_one();
        }
    }

    fn requests(&self, rows: Vec<Arc<RequestRow>>) {
        let mut waiting = self.queue.lock();
        if waiting.off {
            return;
        }
        let room = MAX_REQUESTS.saturating_sub(waiting.requests.len());
        let dropped = rows.len().saturating_sub(room);
        waiting.requests.extend(rows.into_iter().take(room));
        drop(waiting);
        self.queue.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        // They come in batches, a few a second.
        self.queue.wake.notify_one();
    }

    fn queue_len(&self) -> usize {
        self.queue.len()
    }

    fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::log::LogLevel;

    use super::*;

    fn entry(n: usize) -> LogEntry {
        LogEntry {
            at_ms: n as i64,
            level: LogLevel::Warn,
            module: "m".into(),
            message: "full".into(),
            fields: String::new(),
        }
    }

    // MV6
    #[test]
    fn log_entries_beyond_ten_thousand_are_dropped_and_counted() {
        let recorder = Recorder { queue: Arc::default() };
        recorder.log((0..12_345).map(entry).collect());
        recorder.log(vec![entry(1)]);
        assert_eq!(recorder.queue_len(), 10_000);
        assert_eq!(recorder.dropped(), 2_346);
    }

    #[test]
    fn log_entries_never_displace_marks() {
        let recorder = Recorder { queue: Arc::default() };
        recorder.log((0..20_000).map(entry).collect());
        recorder.mark(Mark::new(1, plimsoll_core::mark::MarkKind::Change, "a change"));
        assert_eq!(recorder.queue.lock().marks.len(), 1);
    }
}
