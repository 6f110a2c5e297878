//! The one way from producers into the history.

use std::sync::Arc;

use crate::{alert::AlertRow, log::LogEntry, mark::Mark, reading::Tick, request::RequestRow};

/// Takes what happened. Never blocks and never fails: what cannot be kept is
/// counted. Ticks and marks are never displaced by log entries or requests.
pub trait Record: Send + Sync + 'static {
    fn tick(&self, tick: Arc<Tick>);
    fn mark(&self, mark: Mark);
    /// Inserts or replaces the row with that id.
    fn alert(&self, alert: AlertRow);
    fn log(&self, entries: Vec<LogEntry>);
    /// Requests that ended, for the request log.
    fn requests(&self, rows: Vec<Arc<RequestRow>>);

    /// Entries that wait to be written.
    fn queue_len(&self) -> usize;
    /// Log entries and requests dropped since the start because the queue was full.
    fn dropped(&self) -> u64;
}

/// Stands before another recorder and sees what it wants to see; the rest passes
/// through. Whatever is a layer is a [`Record`].
pub trait Layer: Send + Sync + 'static {
    /// Where everything goes that is not held back here.
    fn below(&self) -> &dyn Record;

    fn on_tick(&self, tick: Arc<Tick>) {
        self.below().tick(tick);
    }

    fn on_mark(&self, mark: Mark) {
        self.below().mark(mark);
    }

    fn on_alert(&self, alert: AlertRow) {
        self.below().alert(alert);
    }

    fn on_log(&self, entries: Vec<LogEntry>) {
        self.below().log(entries);
    }

    fn on_requests(&self, rows: Vec<Arc<RequestRow>>) {
        self.below().requests(rows);
    }
}

/// Keeps nothing: for those who only look, and below a layer that ends the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

// === impl Record ===

impl<L: Layer> Record for L {
    fn tick(&self, tick: Arc<Tick>) {
        self.on_tick(tick);
    }

    fn mark(&self, mark: Mark) {
        self.on_mark(mark);
    }

    fn alert(&self, alert: AlertRow) {
        self.on_alert(alert);
    }

    fn log(&self, entries: Vec<LogEntry>) {
        self.on_log(entries);
    }

    fn requests(&self, rows: Vec<Arc<RequestRow>>) {
        self.on_requests(rows);
    }

    fn queue_len(&self) -> usize {
        self.below().queue_len()
    }

    fn dropped(&self) -> u64 {
        self.below().dropped()
    }
}

impl Record for Nowhere {
    fn tick(&self, _: Arc<Tick>) {}
    fn mark(&self, _: Mark) {}
    fn alert(&self, _: AlertRow) {}
    fn log(&self, _: Vec<LogEntry>) {}
    fn requests(&self, _: Vec<Arc<RequestRow>>) {}

    fn queue_len(&self) -> usize {
        0
    }

    fn dropped(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{clock::Instant3, mark::MarkKind};

    #[derive(Default)]
    struct Ticks(Mutex<Vec<i64>>);

    impl Layer for Ticks {
        fn below(&self) -> &dyn Record {
            &Nowhere
        }
        fn on_tick(&self, tick: Arc<Tick>) {
            self.0.lock().unwrap().push(tick.at.wall_ms);
        }
    }

    /// Holds marks back and lets everything else through.
    struct NoMarks(Arc<Ticks>);

    impl Layer for NoMarks {
        fn below(&self) -> &dyn Record {
            &*self.0
        }
        fn on_mark(&self, _: Mark) {}
    }

    #[test]
    fn a_layer_takes_what_it_wants_and_the_rest_passes() {
        let ticks = Arc::new(Ticks::default());
        let record: &dyn Record = &NoMarks(ticks.clone());
        let at = Instant3 { wall_ms: 7, monotonic_ms: 7, boottime_ms: 7 };
        record.tick(Arc::new(Tick { at, readings: Vec::new() }));
        record.mark(Mark::new(7, MarkKind::Restart, "Plimsoll started"));
        assert_eq!(*ticks.0.lock().unwrap(), [7]);
        assert_eq!((record.queue_len(), record.dropped()), (0, 0));
    }
}
