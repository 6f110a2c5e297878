//! Figures with intervals, of requests that came one after another and are not independent:
//! where one waits, its neighbours wait, too.
//!
//! The intervals are percentile intervals of a circular block bootstrap: blocks of
//! neighbours are drawn with replacement, the row of them taken as a circle, until there are
//! as many values as there were, and the figure is worked out anew, 1000 times. Efron and
//! Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, for the interval; Politis
//! and Romano, A circular block-resampling procedure for stationary data (1992), for the
//! blocks, whose length grows with the cube root of the number of values (Hall, Horowitz and
//! Jing, On blocking rules for the bootstrap with dependent data, Biometrika 82, 1995). The
//! seed is given, so that the same requests give the same intervals.

use crate::api::Estimate;

/// How often the figure is worked out anew.
const RESAMPLES: usize = 1000;
/// Of [`RESAMPLES`] in order, the places at which 2.5 and 97.5 of 100 lie below.
const LOW: usize = 24;
const HIGH: usize = 975;

/// Both sides and what lies between them, each with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sides {
    pub before: Estimate,
    pub after: Estimate,
    /// After less before.
    pub difference: Estimate,
}

/// A figure of some values, which it may put in another order.
pub(super) type Figure = fn(&mut [f64]) -> f64;

/// `None` where one side has no values. They stand in the order in which they came.
pub(super) fn sides(before: &[f64], after: &[f64], figure: Figure, seed: u64) -> Option<Sides> {
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let mut chance = Chance(seed);
    let (mut of_before, mut of_after) = (Vec::new(), Vec::new());
    let (mut befores, mut afters, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RESAMPLES {
        let before = drawn(before, &mut of_before, figure, &mut chance);
        let after = drawn(after, &mut of_after, figure, &mut chance);
        befores.push(before);
        afters.push(after);
        differences.push(after - before);
    }
    let (before, after) = (figure(&mut before.to_vec()), figure(&mut after.to_vec()));
    Some(Sides {
        before: estimate(before, befores),
        after: estimate(after, afters),
        difference: estimate(after - before, differences),
    })
}

pub(super) fn mean(values: &mut [f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some thousand values")]
    let count = values.len() as f64;
    values.iter().sum::<f64>() / count
}

/// Nearest rank: the smallest value that at least 95 of 100 do not exceed.
pub(super) fn p95(values: &mut [f64]) -> f64 {
    let rank = (values.len() * 95).div_ceil(100).saturating_sub(1);
    *values.select_nth_unstable_by(rank, f64::total_cmp).1
}

fn drawn(values: &[f64], into: &mut Vec<f64>, figure: Figure, chance: &mut Chance) -> f64 {
    let block = block_of(values.len());
    into.clear();
    while into.len() < values.len() {
        let from = chance.below(values.len());
        let many = block.min(values.len() - into.len());
        into.extend((from..from + many).map(|at| values[at % values.len()]));
    }
    figure(into)
}

/// The smallest whole number whose cube is no less.
fn block_of(count: usize) -> usize {
    (1..).find(|n| n * n * n >= count).unwrap_or(1)
}

fn estimate(value: f64, mut drawn: Vec<f64>) -> Estimate {
    drawn.sort_unstable_by(f64::total_cmp);
    Estimate { value, low: drawn[LOW], high: drawn[HIGH] }
}

/// SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next()) * bound as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, around: f64, seed: u64) -> Vec<f64> {
        let mut chance = Chance(seed);
        (0..count).map(|_| around + chance.below(1000) as f64 / 10.0).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_it_holds_its_value() {
        let (before, after) = (noise(400, 500.0, 1), noise(300, 520.0, 2));
        let first = sides(&before, &after, p95, 7).unwrap();
        assert_eq!(sides(&before, &after, p95, 7), Some(first));
        assert_ne!(sides(&before, &after, p95, 8), Some(first));
        for estimate in [first.before, first.after, first.difference] {
            assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
        }
    }

    #[test]
    fn what_is_no_different_is_seldom_called_so_and_what_is_always() {
        let clear = |sides: Sides| sides.difference.low > 0.0 || sides.difference.high < 0.0;
        let run = |shift: f64| {
            let told = |n: u64| {
                let (before, after) =
                    (noise(200, 100.0, 2 * n), noise(200, 100.0 + shift, 2 * n + 1));
                clear(sides(&before, &after, mean, n).unwrap())
            };
            (100..120).filter(|n| told(*n)).count()
        };
        let by_chance = run(0.0);
        assert!(by_chance <= 4, "about 5 of 100: {by_chance} of 20");
        assert_eq!(run(30.0), 20);
    }

    #[test]
    fn values_that_come_in_runs_have_a_wider_interval_than_those_that_do_not() {
        let runs: Vec<f64> = (0..400).map(|n| if n / 20 % 4 == 0 { 100.0 } else { 0.0 }).collect();
        let mixed: Vec<f64> = (0..400).map(|n| if n % 4 == 0 { 100.0 } else { 0.0 }).collect();
        let width = |values: &[f64]| {
            let before = sides(values, values, mean, 3).unwrap().before;
            before.high - before.low
        };
        assert!(width(&runs) > 2.0 * width(&mixed), "{} {}", width(&runs), width(&mixed));
    }

    #[test]
    fn percentiles_are_by_nearest_rank_and_nothing_has_no_figure() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(p95(&mut values), 95.0);
        assert_eq!(p95(&mut [7.0]), 7.0);
        assert_eq!(mean(&mut [1.0, 2.0]), 1.5);
        assert_eq!(sides(&[], &[1.0], mean, 1), None);
        assert_eq!([1, 8, 9, 1000].map(block_of), [1, 2, 3, 10]);
    }
}
