//! Counters as rates, for everyone who shows what is true now.

use std::sync::Arc;

use plimsoll_core::{
    clock::Instant3,
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
    /// The rates of the counters among `readings`, which were read at `now`.
    ///
    /// `gap_ms` is the longest silence that a rate may span. A total that is
    /// smaller than before has begun again at zero, so what it shows has come since.
    pub fn of(&mut self, readings: &[Reading], now: Instant3, gap_ms: i64) -> Vec<Rate> {
        let mut rates = Vec::new();
        for reading in readings {
            let Value::Counter(total) = reading.value else { continue };
            let key = (reading.metric, reading.subject.clone());
            if self.last.len() >= MAX_COUNTERS && !self.last.contains_key(&key) {
                continue;
            }
            let Some((before, at)) = self.last.insert(key, (total, now.monotonic_ms)) else {
                continue;
            };
            let elapsed = now.monotonic_ms - at;
            if elapsed <= 0 || elapsed > gap_ms {
                continue;
            }
            let increase = if total >= before { total - before } else { total };
            #[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
            let per_second =
                increase as f64 * reading.metric.spec().resolution * 1000.0 / elapsed as f64;
            rates.push(Rate {
                metric: reading.metric,
                subject: reading.subject.clone(),
                per_second,
            });
        }
        if now.monotonic_ms - self.swept_ms > FORGET_MS {
            self.swept_ms = now.monotonic_ms;
            self.last.retain(|_, &mut (_, at)| now.monotonic_ms - at <= FORGET_MS);
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::clock::{Clock, ManualClock};

    use super::*;

    fn disk(total: u64) -> Vec<Reading> {
        vec![Reading::counter(Metric::DiskRead, &"vda".into(), total)]
    }

    fn only(rates: &[Rate]) -> Option<f64> {
        assert!(rates.len() <= 1);
        rates.first().map(|r| r.per_second)
    }

    #[test]
    fn a_counter_has_no_rate_at_first_sight_nor_after_a_gap() {
        let clock = ManualClock::at(0);
        let mut rates = Rates::default();
        assert_eq!(only(&rates.of(&disk(1000), clock.now(), 2500)), None);
        clock.advance_ms(2000);
        assert_eq!(only(&rates.of(&disk(5000), clock.now(), 2500)), Some(2000.0));
        clock.advance_ms(3000);
        assert_eq!(only(&rates.of(&disk(9000), clock.now(), 2500)), None);
    }

    #[test]
    fn a_counter_that_began_again_counts_from_zero() {
        let clock = ManualClock::at(0);
        let mut rates = Rates::default();
        rates.of(&disk(1_000_000), clock.now(), 2500);
        clock.advance_ms(1000);
        assert_eq!(only(&rates.of(&disk(300), clock.now(), 2500)), Some(300.0));
    }

    #[test]
    fn energy_in_millijoules_is_a_rate_in_watts() {
        let clock = ManualClock::at(0);
        let mut rates = Rates::default();
        let energy = |mj| vec![Reading::counter(Metric::GpuEnergy, &"GPU-1".into(), mj)];
        rates.of(&energy(5_000_000), clock.now(), 2500);
        clock.advance_ms(1000);
        let watts = only(&rates.of(&energy(5_312_500), clock.now(), 2500)).unwrap();
        assert!((watts - 312.5).abs() < 1e-9);
    }

    #[test]
    fn a_clock_set_back_by_a_person_changes_no_rate() {
        let clock = ManualClock::at(1_000_000_000);
        let mut rates = Rates::default();
        rates.of(&disk(0), clock.now(), 2500);
        clock.advance_ms(1000);
        clock.step_wall_ms(-3_600_000);
        assert_eq!(only(&rates.of(&disk(700), clock.now(), 2500)), Some(700.0));
    }
}
