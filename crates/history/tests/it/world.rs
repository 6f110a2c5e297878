//! A history in a folder of its own, with a clock that moves when told to.

use std::{path::Path, sync::Arc};

use plimsoll_core::{
    clock::{Clock as _, ManualClock},
    metric::Metric,
    reading::{Reading, Tick},
    record::Record as _,
    series::{Answer, Query, SeriesKey},
};
use plimsoll_history::{History, OpenError, Options, Reader, Recorder};
use tokio::sync::watch;

/// A Monday, 2026-01-05T00:00:00Z: the start of a slot at every level up to a week.
pub const START: i64 = 1_767_571_200_000;
pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

pub struct World {
    pub clock: Arc<ManualClock>,
    pub history: History,
    pub recorder: Recorder,
    pub reader: Reader,
    pub options: watch::Sender<Options>,
}

impl World {
    pub async fn open(folder: &Path) -> Self {
        Self::with(folder, Arc::new(ManualClock::at(START)), Options::default()).await
    }

    pub async fn with(folder: &Path, clock: Arc<ManualClock>, options: Options) -> Self {
        Self::try_with(folder, clock, options).await.unwrap()
    }

    pub async fn try_with(
        folder: &Path,
        clock: Arc<ManualClock>,
        options: Options,
    ) -> Result<Self, OpenError> {
        let (options, receiver) = watch::channel(options);
        let history = History::open(folder, receiver, clock.clone()).await?;
        let (recorder, reader) = (history.recorder(), history.reader());
        Ok(Self { clock, history, recorder, reader, options })
    }

    /// A tick at the clock's time.
    pub fn tick(&self, readings: Vec<Reading>) {
        self.recorder.tick(Arc::new(Tick { at: self.clock.now(), readings }));
    }

    /// `n` ticks a second apart, each made from its number; the clock moves on with them.
    pub async fn seconds(&self, n: i64, mut readings: impl FnMut(i64) -> Vec<Reading>) {
        for i in 0..n {
            self.tick(readings(i));
            self.clock.advance_ms(SECOND);
            // The queue is bounded: give the writer room.
            while self.recorder.queue_len() > 4000 {
                tokio::task::yield_now().await;
            }
        }
    }

    pub fn recorder_len(&self) -> usize {
        self.recorder.queue_len()
    }

    pub async fn settle(&self) {
        assert!(self.history.settle().await, "recording is paused");
    }

    pub async fn query(
        &self,
        metric: Metric,
        subject: &str,
        from: i64,
        to: i64,
        px: u32,
    ) -> Answer {
        self.reader.query(&query(metric, subject, from, to, px)).await.unwrap()
    }
}

pub fn query(metric: Metric, subject: &str, from_ms: i64, to_ms: i64, width_px: u32) -> Query {
    Query { series: vec![SeriesKey::new(metric.name(), subject)], from_ms, to_ms, width_px }
}

pub fn gauge(metric: Metric, subject: &str, value: f64) -> Reading {
    Reading::gauge(metric, &subject.into(), value)
}

pub fn counter(metric: Metric, subject: &str, total: u64) -> Reading {
    Reading::counter(metric, &subject.into(), total)
}
