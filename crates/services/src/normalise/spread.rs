//! From the cumulative buckets of an engine to our own histogram.
//!
//! An engine tells how many observations were at most 0.1 s, at most 0.25 s and
//! so on since it started. The difference between two looks is what was observed
//! in between. Where within its bucket an observation lay is not known; it is
//! spread evenly over the bucket, which is how PromQL's `histogram_quantile`
//! reads it too: linear between the bounds, from 0 in the first bucket, and at the
//! last finite bound for what lies beyond it.
//! <https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile>

use std::collections::BTreeMap;

use plimsoll_core::histogram::{Histogram, bounds_of, bucket_of};

use crate::adapter::Buckets;

/// Most buckets that are read of one histogram, and most parts (models) of one.
const MOST_BUCKETS: usize = 200;
const MOST_PARTS: usize = 256;

/// Bound of a bucket in microseconds; `u64::MAX` stands for infinity.
type Bound = u64;

/// One distribution, added up over the parts that it comes in.
#[derive(Clone, Debug, Default)]
pub(super) struct Distribution {
    /// Counts per bucket (not cumulative) of each part, as last seen.
    parts: BTreeMap<String, Vec<(Bound, u64)>>,
    seen: bool,
}

// === impl Distribution ===

impl Distribution {
    /// Takes what the server counted until now, by part, in milliseconds, and answers
    /// what was observed since the look before; empty at the first.
    pub fn take<'b>(&mut self, now: impl IntoIterator<Item = (String, &'b Buckets)>) -> Histogram {
        let first = !self.seen;
        let mut observed = Histogram::default();
        for (part, buckets) in now {
            let Some(counts) = counts_of(buckets) else { continue };
            self.seen = true;
            let room = first || self.parts.len() < MOST_PARTS;
            match self.parts.get_mut(&part) {
                Some(last) => {
                    observed.merge(&spread(&difference(last, &counts)));
                    *last = counts;
                }
                None if room => {
                    if !first {
                        observed.merge(&spread(&counts));
                    }
                    self.parts.insert(part, counts);
                }
                None => {}
            }
        }
        observed
    }

    /// The server began anew: whatever it counts next, it counted since then.
    pub fn restarted(&mut self) {
        self.parts.values_mut().for_each(Vec::clear);
    }
}

/// Counts per bucket from cumulative ones. What is no number is left out; a
/// cumulative count that falls (read in the middle of a change) counts nothing.
fn counts_of(buckets: &Buckets) -> Option<Vec<(Bound, u64)>> {
    let mut below = 0u64;
    let mut counts: Vec<(Bound, u64)> = Vec::new();
    for &(bound_ms, cumulative) in buckets.cumulative.iter().take(MOST_BUCKETS) {
        if bound_ms.is_nan() || !cumulative.is_finite() || cumulative < 0.0 {
            continue;
        }
        // Casts of floats saturate: infinity is `u64::MAX`, what is below zero is 0.
        let bound = (bound_ms * 1000.0).round() as u64;
        let cumulative = cumulative.round() as u64;
        let count = cumulative.saturating_sub(below);
        below = below.max(cumulative);
        match counts.last_mut() {
            Some((last, sum)) if *last >= bound => *sum = sum.saturating_add(count),
            _ => counts.push((bound, count)),
        }
    }
    (!counts.is_empty()).then_some(counts)
}

/// What was added. A bucket that holds less than before means a new start, and so
/// do other bounds: then all that is there now is new.
fn difference(last: &[(Bound, u64)], now: &[(Bound, u64)]) -> Vec<(Bound, u64)> {
    let same = last.len() == now.len() && last.iter().zip(now).all(|(a, b)| a.0 == b.0);
    // A single bucket can fall where it was read in the middle of a change and the sum
    // cannot: it is the sum that tells a new start.
    let sum = |counts: &[(Bound, u64)]| counts.iter().fold(0u64, |s, c| s.saturating_add(c.1));
    if !same || sum(now) < sum(last) {
        return now.to_vec();
    }
    last.iter().zip(now).map(|(a, b)| (b.0, b.1.saturating_sub(a.1))).collect()
}

fn spread(counts: &[(Bound, u64)]) -> Histogram {
    let mut buckets = Vec::new();
    let mut low = 0u64;
    for &(bound, count) in counts {
        if count > 0 {
            if bound == u64::MAX || bound <= low {
                buckets.push((bucket_of(low), count));
            } else {
                spread_one(low, bound, count, &mut buckets);
            }
        }
        if bound != u64::MAX {
            low = low.max(bound);
        }
    }
    Histogram::from_buckets(buckets)
}

/// Spreads `count` evenly from `low` to `high`: after each of our buckets as many
/// have been placed as lie below its upper bound, rounded. The sum is exact.
fn spread_one(low: u64, high: u64, count: u64, out: &mut Vec<(u16, u64)>) {
    let width = u128::from(high - low);
    let mut placed = 0u64;
    for bucket in bucket_of(low)..=bucket_of(high) {
        let upper = bounds_of(bucket).1.min(high);
        let below = u128::from(upper.saturating_sub(low)) * u128::from(count);
        let until = u64::try_from((below + width / 2) / width).unwrap_or(count).min(count);
        if until > placed {
            out.push((bucket, until - placed));
            placed = until;
        }
        if placed == count {
            return;
        }
    }
    if placed < count {
        out.push((bucket_of(high), count - placed));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buckets(of: &[(f64, f64)]) -> Buckets {
        Buckets { cumulative: of.to_vec() }
    }

    fn take(d: &mut Distribution, of: &[(f64, f64)]) -> Histogram {
        d.take([(String::new(), &buckets(of))])
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn the_first_look_tells_nothing_and_each_after_it_what_is_new() {
        let mut d = Distribution::default();
        assert_eq!(take(&mut d, &[(10.0, 5.0), (100.0, 9.0), (INF, 9.0)]).count(), 0);
        let h = take(&mut d, &[(10.0, 5.0), (100.0, 19.0), (INF, 19.0)]);
        assert_eq!(h.count(), 10);
        let p50 = h.quantile_us(0.5).unwrap();
        // Ten observations from 10 to 100 ms, 9 ms apart: the fifth is at 50.5 ms.
        assert!((50_500..=54_000).contains(&p50), "{p50}");
        assert_eq!(take(&mut d, &[(10.0, 5.0), (100.0, 19.0), (INF, 19.0)]).count(), 0);
    }

    #[test]
    fn a_new_start_counts_all_that_is_there_since() {
        let mut d = Distribution::default();
        take(&mut d, &[(10.0, 500.0), (INF, 500.0)]);
        assert_eq!(take(&mut d, &[(10.0, 2.0), (INF, 3.0)]).count(), 3);
        d.restarted();
        assert_eq!(take(&mut d, &[(10.0, 9.0), (INF, 9.0)]).count(), 9);
        // Other bounds are another server.
        assert_eq!(take(&mut d, &[(20.0, 4.0), (INF, 4.0)]).count(), 4);
    }

    #[test]
    fn what_lies_beyond_the_last_bound_stands_at_it() {
        let h = spread(&[(10_000, 0), (u64::MAX, 7)]);
        assert_eq!(h.buckets(), [(bucket_of(10_000), 7)]);
        assert_eq!(spread(&[(u64::MAX, 7)]).buckets(), [(0, 7)]);
    }

    #[test]
    fn counts_that_are_no_numbers_or_fall_count_nothing() {
        let of = |b: &[(f64, f64)]| counts_of(&buckets(b));
        assert_eq!(of(&[(1.0, f64::NAN), (f64::NAN, 3.0), (2.0, -4.0), (3.0, INF)]), None);
        assert_eq!(
            of(&[(1.0, 5.0), (2.0, 3.0), (INF, 6.0)]),
            Some(vec![(1000, 5), (2000, 0), (u64::MAX, 1)])
        );
    }

    #[test]
    fn models_are_added_up_and_a_new_one_counts_whole() {
        let (a, b) = (buckets(&[(10.0, 5.0)]), buckets(&[(10.0, 2.0)]));
        let mut d = Distribution::default();
        assert_eq!(d.take([("a".to_string(), &a)]).count(), 0);
        let more = buckets(&[(10.0, 6.0)]);
        assert_eq!(d.take([("a".to_string(), &more), ("b".to_string(), &b)]).count(), 3);
    }

    proptest! {
        #[test]
        fn every_observation_is_placed_once_and_within_its_bucket(
            low in 0u64..10_000_000, width in 1u64..10_000_000_000, count in 1u64..100_000,
        ) {
            let mut out = Vec::new();
            spread_one(low, low + width, count, &mut out);
            prop_assert_eq!(out.iter().map(|(_, n)| n).sum::<u64>(), count);
            for (bucket, _) in out {
                let (from, to) = bounds_of(bucket);
                prop_assert!(to > low && from <= low + width);
            }
        }

        #[test]
        fn no_buckets_panic(
            looks in prop::collection::vec(
                prop::collection::vec((any::<f64>(), any::<f64>()), 0..12), 1..4),
        ) {
            let mut d = Distribution::default();
            for look in looks {
                take(&mut d, &look);
            }
        }

        /// The quantile that is read from the spread is PromQL's, to within our bucket.
        #[test]
        fn quantiles_agree_with_a_linear_reading(
            counts in prop::collection::vec(0u64..2000, 4), q in 0.05f64..0.99,
        ) {
            let bounds = [10_000u64, 50_000, 250_000, 1_000_000];
            let total: u64 = counts.iter().sum();
            prop_assume!(total >= 500);
            let pairs: Vec<_> = bounds.iter().copied().zip(counts.iter().copied()).collect();
            let ours = spread(&pairs).quantile_us(q).unwrap() as f64;
            let rank = q * total as f64;
            let (mut below, mut low) = (0.0, 0.0);
            let mut linear = 0.0;
            for (bound, count) in pairs {
                if below + count as f64 >= rank && count > 0 {
                    linear = low + (bound as f64 - low) * (rank - below) / count as f64;
                    // One observation is as far as rounding can be off.
                    let one = (bound as f64 - low) / count as f64;
                    prop_assert!(
                        (ours - linear).abs() <= linear * 0.07 + 2.0 * one + 1.0
                            || low > 0.0 && (linear - low).abs() <= 2.0 * one,
                        "ours {} linear {}", ours, linear
                    );
                    break;
                }
                below += count as f64;
                low = bound as f64;
            }
            prop_assert!(linear >= 0.0);
        }
    }
}
