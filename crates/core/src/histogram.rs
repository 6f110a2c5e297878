//! Mergeable histograms of latencies.
//!
//! Buckets are log-linear: 16 equal steps within each power of two, so a value
//! is known to about 6 % (the scheme of HdrHistogram at one significant digit).
//! Only histograms of equal [`LAYOUT`] merge; percentiles are read from merged
//! buckets and never averaged.

/// The bounds in use. A change of scheme gets a new number, and old rows keep theirs.
pub const LAYOUT: u16 = 1;

const STEPS_BITS: u32 = 4;
const STEPS: u64 = 1 << STEPS_BITS;

/// Counts per bucket, sparse and in order. Values are whole microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<(u16, u64)>,
}

/// The bucket of a value.
pub fn bucket_of(value_us: u64) -> u16 {
    if value_us < STEPS {
        return value_us as u16;
    }
    let exponent = 63 - value_us.leading_zeros();
    let shift = exponent - STEPS_BITS;
    let step = (value_us >> shift) - STEPS;
    ((u64::from(shift) + 1) * STEPS + step) as u16
}

/// The values a bucket holds: from the first, up to but not including the second.
pub fn bounds_of(bucket: u16) -> (u64, u64) {
    let bucket = u64::from(bucket);
    if bucket < STEPS {
        return (bucket, bucket + 1);
    }
    let shift = (bucket / STEPS - 1).min(63 - u64::from(STEPS_BITS));
    let low = (STEPS + bucket % STEPS) << shift;
    (low, low.saturating_add(1 << shift))
}

// === impl Histogram ===

impl Histogram {
    /// From buckets in any order; counts of the same bucket are added, zeros dropped.
    pub fn from_buckets(buckets: impl IntoIterator<Item = (u16, u64)>) -> Self {
        let mut histogram = Self::default();
        for (bucket, count) in buckets {
            histogram.add(bucket, count);
        }
        histogram
    }

    pub fn record(&mut self, value_us: u64) {
        self.add(bucket_of(value_us), 1);
    }

    pub fn merge(&mut self, other: &Histogram) {
        for &(bucket, count) in &other.buckets {
            self.add(bucket, count);
        }
    }

    pub fn buckets(&self) -> &[(u16, u64)] {
        &self.buckets
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, &(_, count)| sum.saturating_add(count))
    }

    /// The value below which the share `q` (0 to 1) of all observations lies:
    /// the upper bound of its bucket, in microseconds. `None` when empty.
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        let total = self.count();
        #[expect(clippy::cast_precision_loss, reason = "a rank among observations")]
        let rank = (q.clamp(0.0, 1.0) * total as f64).ceil().max(1.0) as u64;
        let mut below = 0u64;
        for &(bucket, count) in &self.buckets {
            below = below.saturating_add(count);
            if below >= rank {
                return Some(bounds_of(bucket).1 - 1);
            }
        }
        None
    }

    fn add(&mut self, bucket: u16, count: u64) {
        if count == 0 {
            return;
        }
        match self.buckets.binary_search_by_key(&bucket, |&(b, _)| b) {
            Ok(i) => self.buckets[i].1 = self.buckets[i].1.saturating_add(count),
            Err(i) => self.buckets.insert(i, (bucket, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_lies_within_its_bucket(value in 0u64..(1 << 50)) {
            let (low, high) = bounds_of(bucket_of(value));
            prop_assert!(low <= value && value < high);
            prop_assert!(high - low <= 1 || (high - low) * STEPS <= low);
        }

        #[test]
        fn merging_is_the_same_as_recording_together(
            a in prop::collection::vec(0u64..1_000_000, 0..50),
            b in prop::collection::vec(0u64..1_000_000, 0..50),
        ) {
            let of = |values: &[u64]| {
                let mut h = Histogram::default();
                values.iter().for_each(|&v| h.record(v));
                h
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let all: Vec<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(merged, of(&all));
        }
    }

    #[test]
    fn quantile_is_within_a_bucket_of_the_true_one() {
        let mut h = Histogram::default();
        (1..=1000u64).for_each(|v| h.record(v * 100));
        let p99 = h.quantile_us(0.99).unwrap();
        assert!((99_000..=99_000 * 17 / 16).contains(&p99), "{p99}");
        assert_eq!(Histogram::default().quantile_us(0.5), None);
    }
}
