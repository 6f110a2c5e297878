//! Counters as rates, for everyone who shows what is true now.

use std::sync::Arc;

use plimsoll_core::{
    metric::Metric,
    reading::{Reading, Value},
};
use rustc_hash::FxHashMap;

/// A counter is forgotten when it was not read for this long.
const FORGET_MS: i64 = 10 * 60 * 1000;
/// Bound of the counters that are remembered; the series cap lies well below.
const MAX_COUNTERS: usize = 20_000;

/// The growth of one counter per second.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    pub metric: Metric,
    pub subject: Arc<str>,
    /// In the metric's unit per second, e.g. bytes per second, watts for joules.
    pub per_second: f64,
}

#[derive(Default)]
pub struct Rates {
    last: FxHashMap<(Metric, Arc<str>), (u64, i64)>,
    swept_ms: i64,
}

// === impl Rates ===

impl Rates {
    /// Appends the rates of the counters among `readings`, which were read at
    /// `now_ms` on the monotonic clock.
    ///
    /// `gap_ms` is the longest silence that a rate may span. A total that is
    /// smaller than before has begun again at zero, so what it shows has come since.
    pub fn add(&mut self, readings: &[Reading], now_ms: i64, gap_ms: i64, out: &mut Vec<Rate>) {
        for reading in readings {
            let Value::Counter(total) = reading.value else { continue };
            let key = (reading.metric, reading.subject.clone());
            if self.last.len() >= MAX_COUNTERS && !self.last.contains_key(&key) {
                continue;
            }
            let Some((before, at)) = self.last.insert(key, (total, now_ms)) else { continue };
            let elapsed = now_ms - at;
            if elapsed <= 0 || elapsed > gap_ms {
                continue;
            }
            let increase = if total >= before { total - before } else { total };
            let units = reading.metric.spec().resolution;
            #[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
            let per_second = increase as f64 * units * 1000.0 / elapsed as f64;
            let (metric, subject) = (reading.metric, reading.subject.clone());
            out.push(Rate { metric, subject, per_second });
        }
    }

    /// Drops counters that have been silent for long, now and then.
    pub fn forget(&mut self, now_ms: i64) {
        if now_ms - self.swept_ms > FORGET_MS {
            self.swept_ms = now_ms;
            self.last.retain(|_, &mut (_, at)| now_ms - at <= FORGET_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP_MS: i64 = 2500;

    fn disk(total: u64) -> Reading {
        Reading::counter(Metric::DiskRead, &"vda".into(), total)
    }

    fn rate(rates: &mut Rates, reading: Reading, now_ms: i64) -> Option<f64> {
        let mut out = Vec::new();
        rates.add(&[reading], now_ms, GAP_MS, &mut out);
        out.first().map(|rate| rate.per_second)
    }

    #[test]
    fn a_counter_has_no_rate_at_first_sight_nor_after_a_gap() {
        let mut rates = Rates::default();
        assert_eq!(rate(&mut rates, disk(1000), 0), None);
        assert_eq!(rate(&mut rates, disk(5000), 2000), Some(2000.0));
        assert_eq!(rate(&mut rates, disk(9000), 5000), None);
        assert_eq!(rate(&mut rates, disk(9000), 5000), None, "no time has passed");
    }

    #[test]
    fn a_counter_that_began_again_counts_from_zero() {
        let mut rates = Rates::default();
        rate(&mut rates, disk(1_000_000), 0);
        assert_eq!(rate(&mut rates, disk(300), 1000), Some(300.0));
    }

    #[test]
    fn energy_in_millijoules_is_a_rate_in_watts() {
        let mut rates = Rates::default();
        let energy = |mj| Reading::counter(Metric::GpuEnergy, &"GPU-1".into(), mj);
        rate(&mut rates, energy(5_000_000), 0);
        let watts = rate(&mut rates, energy(5_312_500), 1000).unwrap();
        assert!((watts - 312.5).abs() < 1e-9);
    }

    // MV13
    #[test]
    fn counters_that_fell_silent_are_forgotten() {
        let mut rates = Rates::default();
        rate(&mut rates, disk(1), 0);
        rates.forget(FORGET_MS);
        assert_eq!(rates.last.len(), 1);
        rates.forget(FORGET_MS + 1);
        assert!(rates.last.is_empty());
    }
}
