//! Points of the coarse levels, and how finer ones become coarser ones.
//!
//! Gauges roll up as count, sum, minimum, maximum, last; counters as increase,
//! the time over which it was seen, lowest and highest rate, last; histograms
//! as the sum of their buckets. Merging is associative, so it does not matter
//! over how many levels a point was made.

use crate::codec::Hist;

/// Silence longer than so many tenths of a cadence is a gap.
pub(crate) const GAP_TENTHS: i64 = 25;

/// Is the time between two values of a series a gap?
pub(crate) fn is_gap(silence_ms: i64, cadence_ms: u32) -> bool {
    silence_ms * 10 > i64::from(cadence_ms) * GAP_TENTHS
}

/// Of values in multiples of the metric's resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gauge {
    pub count: i64,
    pub sum: i64,
    pub min: i64,
    pub max: i64,
    pub last: i64,
}

/// Of neighbouring totals: a pair counts where there is no gap between them,
/// for the point in which it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// Multiples of the metric's resolution. A total that fell began again at 0.
    pub increase: u64,
    /// Time between the pairs' totals.
    pub covered_ms: i64,
    /// Thousandths of the resolution per second.
    pub min_rate: u64,
    pub max_rate: u64,
    pub last: u64,
}

/// A point that can take in a later one of the same series.
pub(crate) trait Roll: Clone {
    fn join(&mut self, later: &Self);
}

/// A point with the start of its span (or the time of a raw value).
pub(crate) type At<T> = (i64, T);

/// A run of points of one kind, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Points {
    Gauge(Vec<At<Gauge>>),
    Counter(Vec<At<Counter>>),
    Histogram(Vec<At<Hist>>),
}

/// Measured values of one series, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Gauge(Vec<At<i64>>),
    Counter(Vec<At<u64>>),
    Histogram(Vec<At<Hist>>),
}

// === impl Roll ===

impl Roll for Gauge {
    fn join(&mut self, later: &Self) {
        self.count += later.count;
        self.sum = self.sum.saturating_add(later.sum);
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.last = later.last;
    }
}

impl Roll for Counter {
    fn join(&mut self, later: &Self) {
        self.increase = self.increase.saturating_add(later.increase);
        self.covered_ms += later.covered_ms;
        self.min_rate = self.min_rate.min(later.min_rate);
        self.max_rate = self.max_rate.max(later.max_rate);
        self.last = later.last;
    }
}

impl Roll for Hist {
    /// Only equal layouts merge: of two that differ the later one stays.
    fn join(&mut self, later: &Self) {
        if self.layout == later.layout {
            self.histogram.merge(&later.histogram);
        } else {
            *self = later.clone();
        }
    }
}

// === impl Gauge ===

impl Gauge {
    pub(crate) fn of(value: i64) -> Self {
        Self { count: 1, sum: value, min: value, max: value, last: value }
    }
}

// === impl Counter ===

impl Counter {
    /// Of two totals `ms` apart, at least 1.
    pub(crate) fn between(before: u64, after: u64, ms: i64) -> Self {
        let increase = if after >= before { after - before } else { after };
        let rate = u128::from(increase) * 1_000_000 / u128::from(ms.max(1).unsigned_abs());
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        Self { increase, covered_ms: ms, min_rate: rate, max_rate: rate, last: after }
    }
}

/// Neighbouring totals without a gap between them become a point at the later one.
pub(crate) fn pairs(totals: &[At<u64>], cadence_ms: u32) -> impl Iterator<Item = At<Counter>> + '_ {
    totals.windows(2).filter_map(move |pair| {
        let ((t0, v0), (t1, v1)) = (pair[0], pair[1]);
        (!is_gap(t1 - t0, cadence_ms)).then(|| (t1, Counter::between(v0, v1, t1 - t0)))
    })
}

/// Joins what falls into the same span of `step_ms`; spans begin at multiples of it.
pub(crate) fn roll<T: Roll>(points: impl Iterator<Item = At<T>>, step_ms: i64) -> Vec<At<T>> {
    let mut out: Vec<At<T>> = Vec::new();
    for (at, point) in points {
        let start = at - at.rem_euclid(step_ms);
        match out.last_mut() {
            Some((last, open)) if *last == start => open.join(&point),
            _ => out.push((start, point)),
        }
    }
    out
}

// === impl Values ===

impl Values {
    /// Points of `step_ms` from values; a total before `from_ms` only serves as
    /// the first of a pair.
    pub(crate) fn roll(&self, step_ms: i64, from_ms: i64, cadence_ms: u32) -> Points {
        match self {
            Values::Gauge(v) => Points::Gauge(roll(
                v.iter().filter(|(at, _)| *at >= from_ms).map(|&(at, v)| (at, Gauge::of(v))),
                step_ms,
            )),
            Values::Counter(v) => Points::Counter(roll(
                pairs(v, cadence_ms).filter(|(at, _)| *at >= from_ms),
                step_ms,
            )),
            Values::Histogram(v) => {
                Points::Histogram(roll(v.iter().filter(|(at, _)| *at >= from_ms).cloned(), step_ms))
            }
        }
    }

    /// A point for each value, and for each pair of totals that ends in the range.
    pub(crate) fn singly(&self, from_ms: i64, cadence_ms: u32) -> Points {
        match self {
            Values::Gauge(v) => Points::Gauge(
                v.iter()
                    .filter(|(at, _)| *at >= from_ms)
                    .map(|&(at, v)| (at, Gauge::of(v)))
                    .collect(),
            ),
            Values::Counter(v) => {
                Points::Counter(pairs(v, cadence_ms).filter(|(at, _)| *at >= from_ms).collect())
            }
            Values::Histogram(v) => {
                Points::Histogram(v.iter().filter(|(at, _)| *at >= from_ms).cloned().collect())
            }
        }
    }

    /// Values of another lane, sorted in among these.
    pub(crate) fn interleave(&mut self, other: Values) {
        self.append(other);
        match self {
            Values::Gauge(v) => v.sort_by_key(|p| p.0),
            Values::Counter(v) => v.sort_by_key(|p| p.0),
            Values::Histogram(v) => v.sort_by_key(|p| p.0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Values::Gauge(v) => v.len(),
            Values::Counter(v) => v.len(),
            Values::Histogram(v) => v.len(),
        }
    }

    /// Adds later values of the same kind; others are left out (a metric never
    /// changes its kind).
    pub(crate) fn append(&mut self, later: Values) {
        match (self, later) {
            (Values::Gauge(a), Values::Gauge(b)) => a.extend(b),
            (Values::Counter(a), Values::Counter(b)) => a.extend(b),
            (Values::Histogram(a), Values::Histogram(b)) => a.extend(b),
            (a, b) if a.len() == 0 => *a = b,
            _ => {}
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        match self {
            Values::Gauge(v) => v.retain(|p| keep(p.0)),
            Values::Counter(v) => v.retain(|p| keep(p.0)),
            Values::Histogram(v) => v.retain(|p| keep(p.0)),
        }
    }
}

// === impl Points ===

impl Points {
    pub(crate) fn len(&self) -> usize {
        match self {
            Points::Gauge(v) => v.len(),
            Points::Counter(v) => v.len(),
            Points::Histogram(v) => v.len(),
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        match self {
            Points::Gauge(v) => v.retain(|p| keep(p.0)),
            Points::Counter(v) => v.retain(|p| keep(p.0)),
            Points::Histogram(v) => v.retain(|p| keep(p.0)),
        }
    }

    pub(crate) fn append(&mut self, later: Points) {
        match (self, later) {
            (Points::Gauge(a), Points::Gauge(b)) => a.extend(b),
            (Points::Counter(a), Points::Counter(b)) => a.extend(b),
            (Points::Histogram(a), Points::Histogram(b)) => a.extend(b),
            (a, b) if a.len() == 0 => *a = b,
            _ => {}
        }
    }

    /// No points, of the same kind.
    pub(crate) fn none(&self) -> Points {
        match self {
            Points::Gauge(_) => Points::Gauge(Vec::new()),
            Points::Counter(_) => Points::Counter(Vec::new()),
            Points::Histogram(_) => Points::Histogram(Vec::new()),
        }
    }

    /// All of them as one point at `at_ms`.
    pub(crate) fn together(self, at_ms: i64) -> Points {
        fn one<T: Roll>(points: Vec<At<T>>, at_ms: i64) -> Vec<At<T>> {
            let joined = points.into_iter().map(|(_, p)| p).reduce(|mut all, p| {
                all.join(&p);
                all
            });
            joined.into_iter().map(|p| (at_ms, p)).collect()
        }
        match self {
            Points::Gauge(v) => Points::Gauge(one(v, at_ms)),
            Points::Counter(v) => Points::Counter(one(v, at_ms)),
            Points::Histogram(v) => Points::Histogram(one(v, at_ms)),
        }
    }

    /// Points of another lane, sorted in among these.
    pub(crate) fn interleave(&mut self, other: Points) {
        self.append(other);
        match self {
            Points::Gauge(v) => v.sort_by_key(|p| p.0),
            Points::Counter(v) => v.sort_by_key(|p| p.0),
            Points::Histogram(v) => v.sort_by_key(|p| p.0),
        }
    }

    /// The same, at a coarser step.
    pub(crate) fn coarser(self, step_ms: i64) -> Points {
        match self {
            Points::Gauge(v) => Points::Gauge(roll(v.into_iter(), step_ms)),
            Points::Counter(v) => Points::Counter(roll(v.into_iter(), step_ms)),
            Points::Histogram(v) => Points::Histogram(roll(v.into_iter(), step_ms)),
        }
    }

    pub(crate) fn times(&self) -> Vec<i64> {
        match self {
            Points::Gauge(v) => v.iter().map(|p| p.0).collect(),
            Points::Counter(v) => v.iter().map(|p| p.0).collect(),
            Points::Histogram(v) => v.iter().map(|p| p.0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_total_that_falls_began_again_at_zero() {
        let totals = [(0, 100u64), (1000, 150), (2000, 30), (3000, 40)];
        let increases: Vec<u64> = pairs(&totals, 1000).map(|(_, c)| c.increase).collect();
        assert_eq!(increases, [50, 30, 10]);
    }

    #[test]
    fn an_increase_over_a_gap_is_not_counted() {
        let totals = [(0, 100u64), (2500, 150), (5001, 900)];
        let points: Vec<_> = pairs(&totals, 1000).collect();
        assert_eq!(points.len(), 1);
        assert_eq!(
            points[0].1,
            Counter {
                increase: 50,
                covered_ms: 2500,
                min_rate: 20_000,
                max_rate: 20_000,
                last: 150,
            }
        );
    }

    proptest! {
        #[test]
        fn rolling_up_in_two_steps_is_the_same_as_in_one(
            values in prop::collection::vec((1i64..30_000, -1000i64..1000), 1..200),
        ) {
            let mut at = 0;
            let values: Vec<_> = values.into_iter().map(|(dt, v)| { at += dt; (at, Gauge::of(v)) }).collect();
            let direct = roll(values.iter().copied(), 60_000);
            let fine = roll(values.iter().copied(), 10_000);
            prop_assert_eq!(roll(fine.into_iter(), 60_000), direct);
        }
    }
}
