//! Counters of a server, made into totals that only grow.
//!
//! A server's counter begins at zero when the server does. What it counted is
//! never lost and never counted twice: a value below the last one is a new
//! start, and all of it is new (as PromQL's `increase` has it). Totals are
//! whole multiples of the metric's resolution, so that adding stays exact.

use std::collections::BTreeMap;

/// Most parts (models) of one total; a server that invents names cannot fill
/// memory.
const MOST_PARTS: usize = 256;

/// One total, added up over the parts that it comes in.
#[derive(Clone, Debug, Default)]
pub(super) struct Total {
    /// The server's own count of each part, as last seen.
    parts: BTreeMap<String, u64>,
    /// All that was counted.
    sum: Option<u64>,
    /// `sum` and time at the look before, for the rate.
    before: Option<(u64, i64)>,
    at_ms: i64,
}

// === impl Total ===

impl Total {
    /// Takes what the server counted until now, by part, and answers the total.
    /// A part that is not told this time stays counted.
    pub fn take(&mut self, now: impl IntoIterator<Item = (String, u64)>, at_ms: i64) -> u64 {
        self.before = self.sum.map(|sum| (sum, self.at_ms));
        self.at_ms = at_ms;
        let first = self.sum.is_none();
        let mut sum = self.sum.unwrap_or(0);
        // A part that is told twice in one look is told in pieces.
        let mut told: BTreeMap<String, u64> = BTreeMap::new();
        for (part, count) in now {
            let sum = told.entry(part).or_default();
            *sum = sum.saturating_add(count);
        }
        for (part, count) in told {
            let known = self.parts.len();
            match self.parts.get_mut(&part) {
                Some(last) => {
                    let increase = if count >= *last { count - *last } else { count };
                    sum = sum.saturating_add(increase);
                    *last = count;
                }
                // A part that is new began after the last look: all of it is an increase.
                None if first || known < MOST_PARTS => {
                    sum = sum.saturating_add(count);
                    self.parts.insert(part, count);
                }
                None => {}
            }
        }
        self.sum = Some(sum);
        sum
    }

    /// The server began anew: whatever it counts next, it counted since then. Told
    /// by its process, because a value alone cannot show that it passed the old one.
    pub fn restarted(&mut self) {
        self.parts.values_mut().for_each(|last| *last = 0);
    }

    /// What was added between the last two looks; `None` before the second.
    pub fn increase(&self) -> Option<u64> {
        Some(self.sum?.saturating_sub(self.before?.0))
    }

    /// Multiples of the resolution per second between the last two looks.
    pub fn per_second(&self) -> Option<f64> {
        let span_ms = self.at_ms - self.before?.1;
        (span_ms > 0).then_some(self.increase()? as f64 * 1000.0 / span_ms as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(count: u64) -> [(String, u64); 1] {
        [(String::new(), count)]
    }

    #[test]
    fn totals_through_restarts_are_exact() {
        let cases: &[(&[u64], &[u64])] = &[
            (&[5, 9, 9, 12], &[5, 9, 9, 12]),
            // A new start: all that it shows was counted since.
            (&[100, 3, 10], &[100, 103, 110]),
            (&[100, 0, 0, 7], &[100, 100, 100, 107]),
            (&[u64::MAX, 5], &[u64::MAX, u64::MAX]),
        ];
        for (told, expected) in cases {
            let mut total = Total::default();
            let got: Vec<u64> = told.iter().map(|&count| total.take(one(count), 0)).collect();
            assert_eq!(&got, expected, "{told:?}");
        }
    }

    #[test]
    fn a_restart_that_passed_the_old_value_is_told_by_the_process() {
        let mut total = Total::default();
        total.take(one(10), 0);
        total.restarted();
        assert_eq!(total.take(one(15), 1000), 25);
        assert_eq!(total.per_second(), Some(15.0));
    }

    #[test]
    fn a_model_that_comes_counts_and_one_that_goes_stays_counted() {
        let part = |name: &str, count| (name.to_string(), count);
        let mut total = Total::default();
        assert_eq!(total.take([part("a", 10)], 0), 10);
        assert_eq!(total.take([part("a", 11), part("b", 4)], 1000), 15);
        assert_eq!(total.take([part("b", 5)], 2000), 16);
        // Loaded again, its count begins anew.
        assert_eq!(total.take([part("a", 2), part("b", 5)], 3000), 18);
        assert_eq!(total.increase(), Some(2));
    }

    #[test]
    fn a_part_told_in_pieces_is_one_part() {
        let pieces = |a, b| [(String::new(), a), (String::new(), b)];
        let mut total = Total::default();
        assert_eq!(total.take(pieces(10, 5), 0), 15);
        assert_eq!(total.take(pieces(11, 5), 0), 16);
    }

    #[test]
    fn names_without_end_do_not_fill_memory() {
        let mut total = Total::default();
        total.take(one(1), 0);
        for i in 0..10_000u64 {
            total.take([(i.to_string(), 1)], 0);
        }
        assert!(total.parts.len() <= MOST_PARTS);
    }

    #[test]
    fn a_rate_needs_two_looks_and_time_between_them() {
        let mut total = Total::default();
        total.take(one(10), 1000);
        assert_eq!(total.per_second(), None);
        total.take(one(20), 1000);
        assert_eq!(total.per_second(), None);
        total.take(one(40), 3000);
        assert_eq!(total.per_second(), Some(10.0));
    }

    proptest! {
        /// Whatever is counted, and however often the server starts anew: the total is
        /// what was counted, as long as each start is seen at a lower value.
        #[test]
        fn nothing_is_lost_and_nothing_counted_twice(
            steps in prop::collection::vec((0u64..1000, prop::bool::weighted(0.1)), 1..60),
        ) {
            let (mut total, mut server, mut truth, mut last) = (Total::default(), 0u64, 0u64, 0);
            for (i, (more, restart)) in steps.into_iter().enumerate() {
                if restart {
                    server = 0;
                    if i > 0 {
                        total.restarted();
                    }
                }
                server += more;
                truth += more;
                let got = total.take(one(server), i64::try_from(i).unwrap());
                prop_assert!(got >= last, "a total never falls");
                prop_assert_eq!(got, truth);
                last = got;
            }
        }
    }
}
