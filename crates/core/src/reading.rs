//! Readings and the tick that carries them from the sources to everyone else.

use std::sync::Arc;

use crate::{clock::Instant3, histogram::Histogram, metric::Metric};

/// A measured value. There is no "unknown": a reading that could not be made
/// is left out, and the series shows a gap.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// In the metric's unit; finite.
    Gauge(f64),
    /// A total in multiples of the metric's resolution, so that it stays exact:
    /// bytes for a metric of bytes at resolution 1, millijoules for joules at 0.001.
    Counter(u64),
    /// What was observed since the last reading.
    Histogram(Arc<Histogram>),
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub metric: Metric,
    /// The subject's name; empty for the machine and for Plimsoll itself.
    pub subject: Arc<str>,
    pub value: Value,
}

/// All readings that were due at one moment: one row of the history.
#[derive(Clone, Debug)]
pub struct Tick {
    pub at: Instant3,
    pub readings: Vec<Reading>,
}

// === impl Reading ===

impl Reading {
    pub fn gauge(metric: Metric, subject: &Arc<str>, value: f64) -> Self {
        Self { metric, subject: subject.clone(), value: Value::Gauge(value) }
    }

    pub fn counter(metric: Metric, subject: &Arc<str>, total: u64) -> Self {
        Self { metric, subject: subject.clone(), value: Value::Counter(total) }
    }

    /// The value as a number in the metric's unit; a histogram's is its count.
    pub fn number(&self) -> f64 {
        match &self.value {
            Value::Gauge(v) => *v,
            #[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
            Value::Counter(total) => *total as f64 * self.metric.spec().resolution,
            #[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
            Value::Histogram(h) => h.count() as f64,
        }
    }
}

// === impl Tick ===

impl Tick {
    /// The first reading of that metric and subject.
    pub fn get(&self, metric: Metric, subject: &str) -> Option<f64> {
        self.readings
            .iter()
            .find(|r| r.metric == metric && &*r.subject == subject)
            .map(Reading::number)
    }
}
