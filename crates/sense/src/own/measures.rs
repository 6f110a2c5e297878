//! Figures that only the runtime knows: its lag, its tasks, the queue into the history.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plimsoll_core::record::Record;
use tokio::{runtime::Handle, task::JoinHandle, time::Instant};

/// How often the lateness of a timer is measured.
const LAG_EVERY: Duration = Duration::from_millis(250);

/// What was measured on the runtime, handed to the thread that reads.
#[derive(Debug, Default)]
pub struct OwnMeasures {
    /// Longest lateness of a timer since the last reading, in microseconds.
    lag_us: AtomicU64,
    /// Times that it was measured since then.
    lag_measured: AtomicU64,
    tasks: AtomicU64,
    queue: AtomicU64,
    dropped: AtomicU64,
}

/// What was measured since the last call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// `None` when no timer was due since: the runtime is stuck, or idle in a test.
    pub lag_ms: Option<f64>,
    pub tasks: u64,
    pub queue: u64,
    pub dropped: u64,
}

// === impl OwnMeasures ===

impl OwnMeasures {
    /// Measures on the current runtime until the task is aborted.
    pub fn follow(self: Arc<Self>, record: Arc<dyn Record>) -> JoinHandle<()> {
        let runtime = Handle::current();
        let look = move |measures: &Self| {
            let tasks = runtime.metrics().num_alive_tasks() as u64;
            measures.note(tasks, record.queue_len() as u64, record.dropped());
        };
        // The first reading comes before the first timer, and nothing is not zero.
        look(&self);
        tokio::spawn(async move {
            let mut due = Instant::now();
            loop {
                due += LAG_EVERY;
                tokio::time::sleep_until(due).await;
                let late = Instant::now().saturating_duration_since(due);
                self.note_lag(late);
                look(&self);
                if late > LAG_EVERY {
                    // What was slept through is not measured a second time.
                    due = Instant::now();
                }
            }
        })
    }

    pub fn note_lag(&self, late: Duration) {
        let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.lag_us.fetch_max(us, Ordering::Relaxed);
        self.lag_measured.fetch_add(1, Ordering::Relaxed);
    }

    pub fn note(&self, tasks: u64, queue: u64, dropped: u64) {
        self.tasks.store(tasks, Ordering::Relaxed);
        self.queue.store(queue, Ordering::Relaxed);
        self.dropped.store(dropped, Ordering::Relaxed);
    }

    pub fn take(&self) -> Measured {
        let measured = self.lag_measured.swap(0, Ordering::Relaxed);
        let lag_us = self.lag_us.swap(0, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a tenth of a millisecond")]
        let lag_ms = (measured > 0).then_some(lag_us as f64 / 1000.0);
        Measured {
            lag_ms,
            tasks: self.tasks.load(Ordering::Relaxed),
            queue: self.queue.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_is_held_up_shows_as_lag() {
        struct Nowhere;
        impl Record for Nowhere {
            fn tick(&self, _: Arc<plimsoll_core::reading::Tick>) {}
            fn mark(&self, _: plimsoll_core::mark::Mark) {}
            fn alert(&self, _: plimsoll_core::alert::AlertRow) {}
            fn log(&self, _: Vec<plimsoll_core::log::LogEntry>) {}
            fn requests(&self, _: Vec<Arc<plimsoll_core::request::RequestRow>>) {}
            fn queue_len(&self) -> usize {
                11
            }
            fn dropped(&self) -> u64 {
                4
            }
        }
        let measures = Arc::new(OwnMeasures::default());
        let task = measures.clone().follow(Arc::new(Nowhere));
        let first = measures.take();
        assert_eq!((first.lag_ms, first.queue, first.dropped), (None, 11, 4), "known at once");
        tokio::task::yield_now().await;
        // The clock of the runtime moves on while the timer has no chance to fire.
        tokio::time::advance(LAG_EVERY + Duration::from_millis(180)).await;
        tokio::task::yield_now().await;
        let measured = measures.take();
        assert_eq!(measured.lag_ms, Some(180.0));
        assert_eq!((measured.queue, measured.dropped), (11, 4));
        assert!(measured.tasks >= 1);
        task.abort();
    }
}
