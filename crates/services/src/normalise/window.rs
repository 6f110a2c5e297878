//! Percentiles of the last minutes, from merged buckets.

use std::{collections::VecDeque, sync::Arc};

use plimsoll_core::histogram::Histogram;

use crate::service::Latency;

/// What the figures of a service look back on.
pub const WINDOW_MS: i64 = 300_000;
const PART_MS: i64 = 30_000;
/// Fewer observations than this bound no 99th percentile.
const ENOUGH_FOR_P99: u64 = 299;

/// Observations of the last five minutes, in parts of half a minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Start of the part and what was observed in it, oldest first.
    parts: VecDeque<(i64, Histogram)>,
}

// === impl Window ===

impl Window {
    pub fn add(&mut self, observed: &Arc<Histogram>, at_ms: i64) {
        let start = at_ms - at_ms.rem_euclid(PART_MS);
        match self.parts.back_mut() {
            Some((last, histogram)) if *last >= start => histogram.merge(observed),
            _ => self.parts.push_back((start, (**observed).clone())),
        }
    }

    /// Percentiles of what lies in the window; `None` where nothing does.
    pub fn latency(&mut self, at_ms: i64) -> Option<Latency> {
        while self.parts.front().is_some_and(|(start, _)| *start + WINDOW_MS < at_ms) {
            self.parts.pop_front();
        }
        let mut all = Histogram::default();
        self.parts.iter().for_each(|(_, part)| all.merge(part));
        let count = all.count();
        let ms = |q| all.quantile_us(q).map(|us| us as f64 / 1000.0);
        Some(Latency {
            p50_ms: ms(0.5)?,
            p95_ms: ms(0.95)?,
            p99_ms: if count >= ENOUGH_FOR_P99 { ms(0.99) } else { None },
            count,
            window_ms: WINDOW_MS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value_us: u64, count: u64) -> Arc<Histogram> {
        let bucket = plimsoll_core::histogram::bucket_of(value_us);
        Arc::new(Histogram::from_buckets([(bucket, count)]))
    }

    #[test]
    fn what_is_older_than_five_minutes_is_forgotten() {
        let mut window = Window::default();
        assert_eq!(window.latency(0), None);
        window.add(&of(1000, 400), 0);
        window.add(&of(100_000, 1), 200_000);
        let latency = window.latency(200_000).unwrap();
        assert!(latency.p50_ms < 1.1 && latency.p99_ms.is_some());
        assert_eq!(latency.count, 401);
        let latency = window.latency(331_000).unwrap();
        assert!(latency.p50_ms > 90.0);
        assert_eq!((latency.count, latency.p99_ms), (1, None));
        assert_eq!(window.latency(900_000), None);
    }

    #[test]
    fn a_clock_that_stands_or_jumps_makes_no_more_than_its_parts() {
        let mut window = Window::default();
        for i in 0..10_000 {
            window.add(&of(1000, 1), i * 1000 % 600_000);
            window.latency(i * 1000 % 600_000);
        }
        assert!(window.parts.len() <= 12, "{}", window.parts.len());
    }
}
