//! How fast a service usually is: the median of its busy minutes, over the last days.
//!
//! Minutes are counted in buckets by day, so that a week of them takes some
//! kilobytes: a bucket is a tenth wide, which is fine where a collapse is looked for.

use std::collections::VecDeque;

/// Days that are remembered, today included.
const DAYS: i64 = 7;
/// Busy minutes without which nothing is baseline.
pub const ENOUGH: u32 = 30;
/// Slow busy minutes in a row after which slow is what is baseline.
const TURNED: usize = 600;

/// Tokens per second from the lowest bucket on; each is this much above the one before.
const LOWEST: f64 = 0.05;
const STEP: f64 = 1.1;
/// Up to 200 000 tokens per second.
const BUCKETS: usize = 160;

/// What is measured of a busy minute, in tokens per second. A collapse shows in all of
/// them: more requests at once make each slower and all together faster, long prompts
/// make fewer new tokens and more of the others.
pub type Speeds = [f64; MEASURES];
pub const MEASURES: usize = 4;

/// A busy minute of the past, as the history tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Minute {
    pub at_ms: i64,
    pub span_s: f64,
    /// Requests at once, on average.
    pub running: f64,
    pub generated_per_s: f64,
    pub prompt_per_s: f64,
}

/// Counts of minutes by their speed, for each day.
#[derive(Clone, Debug, Default)]
struct Days(VecDeque<(i64, Box<[u16; BUCKETS]>)>);

/// What is usual for one service with one set of models.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    days: [Days; MEASURES],
    /// Slow ones that are not believed yet.
    doubts: Vec<(i64, Speeds)>,
    /// Worked out when minutes came or went, and not at each look.
    medians: Option<Speeds>,
    stale: bool,
}

// === impl Days ===

impl Days {
    fn add(&mut self, at_ms: i64, value: f64) {
        let day = at_ms.div_euclid(86_400_000);
        if !self.0.iter().any(|&(known, _)| known == day) {
            self.0.push_back((day, Box::new([0; BUCKETS])));
        }
        if let Some((_, counts)) = self.0.iter_mut().find(|(known, _)| *known == day) {
            let count = &mut counts[bucket_of(value)];
            *count = count.saturating_add(1);
        }
    }

    /// Forgets what is too old, and what a clock that was wrong put into the future.
    /// True where there was such.
    fn forget(&mut self, now_ms: i64) -> bool {
        let (today, before) = (now_ms.div_euclid(86_400_000), self.0.len());
        self.0.retain(|&(day, _)| (today - DAYS + 1..=today + 1).contains(&day));
        self.0.len() != before
    }

    fn count(&self) -> u32 {
        self.0.iter().flat_map(|(_, counts)| counts.iter()).map(|&n| u32::from(n)).sum()
    }

    fn median(&self) -> Option<f64> {
        let half = self.count().div_ceil(2);
        if half == 0 {
            return None;
        }
        let mut below = 0;
        for bucket in 0..BUCKETS {
            below += self.0.iter().map(|(_, counts)| u32::from(counts[bucket])).sum::<u32>();
            if below >= half {
                return Some(value_of(bucket));
            }
        }
        None
    }
}

// === impl Baseline ===

impl Baseline {
    /// Takes a busy minute. One that is slow counts only once slow is all there is.
    pub fn take(&mut self, at_ms: i64, speeds: Speeds, slow: bool) {
        if !slow {
            self.doubts.clear();
            self.add(at_ms, speeds);
            return;
        }
        self.doubts.push((at_ms, speeds));
        if self.doubts.len() >= TURNED {
            self.days = Default::default();
            for (at_ms, speeds) in std::mem::take(&mut self.doubts) {
                self.add(at_ms, speeds);
            }
        }
    }

    fn add(&mut self, at_ms: i64, speeds: Speeds) {
        for (days, speed) in self.days.iter_mut().zip(speeds) {
            days.add(at_ms, speed);
        }
        self.stale = true;
    }

    /// Time has passed, or minutes were taken.
    pub fn settle(&mut self, now_ms: i64) {
        for days in &mut self.days {
            self.stale |= days.forget(now_ms);
        }
        if std::mem::take(&mut self.stale) {
            self.medians = self.work_out();
        }
    }

    fn work_out(&self) -> Option<Speeds> {
        if self.minutes() < ENOUGH {
            return None;
        }
        let mut medians = [0.0; MEASURES];
        for (median, days) in medians.iter_mut().zip(&self.days) {
            *median = days.median()?;
        }
        Some(medians)
    }

    pub fn minutes(&self) -> u32 {
        self.days[0].count()
    }

    /// The medians when it was last settled; `None` with too few busy minutes.
    pub fn medians(&self) -> Option<Speeds> {
        self.medians
    }
}

/// The measure that came nearest to its usual, in percent of that.
pub fn share_of(speeds: Speeds, usual: Speeds) -> f64 {
    let shares = speeds.iter().zip(usual).map(|(now, usual)| now / usual * 100.0);
    shares.fold(0.0, f64::max)
}

fn bucket_of(value: f64) -> usize {
    if value.is_nan() || value <= LOWEST {
        return 0;
    }
    let place = (value / LOWEST).ln() / STEP.ln();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded here")]
    let place = place.min(1e6) as usize;
    place.min(BUCKETS - 1)
}

/// The middle of a bucket.
fn value_of(bucket: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let place = bucket as f64;
    LOWEST * STEP.powf(place + 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn all(value: f64) -> Speeds {
        [value; MEASURES]
    }

    fn medians(baseline: &mut Baseline) -> Option<Speeds> {
        baseline.settle(0);
        baseline.medians()
    }

    #[test]
    fn a_median_is_right_to_a_tenth_over_the_whole_range() {
        for value in [0.2, 1.0, 7.3, 42.0, 950.0, 30_000.0] {
            let mut baseline = Baseline::default();
            (0..ENOUGH).for_each(|n| baseline.take(i64::from(n) * 60_000, all(value), false));
            let median = medians(&mut baseline).unwrap()[0];
            assert!((median / value - 1.0).abs() < 0.06, "{value}: {median}");
        }
    }

    #[test]
    fn nothing_is_usual_before_half_an_hour_of_work() {
        let mut baseline = Baseline::default();
        (1..ENOUGH).for_each(|n| baseline.take(i64::from(n), all(50.0), false));
        assert_eq!(medians(&mut baseline), None);
        baseline.take(0, all(50.0), false);
        assert!(medians(&mut baseline).is_some());
    }

    #[test]
    fn a_week_is_remembered_and_not_more_whatever_the_clock_does() {
        let mut baseline = Baseline::default();
        for day in 0..30 {
            (0..100).for_each(|n| baseline.take(day * DAY + n, all(50.0), false));
            baseline.settle(day * DAY);
        }
        assert_eq!(baseline.minutes(), 700);
        // A clock that was years ahead is set right.
        baseline.take(5000 * DAY, all(1.0), false);
        baseline.settle(29 * DAY);
        assert_eq!(baseline.minutes(), 700);
        baseline.settle(100 * DAY);
        assert_eq!(baseline.minutes(), 0);
    }

    #[test]
    fn a_slow_spell_is_not_usual_until_it_has_lasted_ten_busy_hours() {
        let mut baseline = Baseline::default();
        (0..60).for_each(|n| baseline.take(n, all(50.0), false));
        let before = medians(&mut baseline);
        (0..599).for_each(|n| baseline.take(n, all(5.0), true));
        assert_eq!(medians(&mut baseline), before);
        baseline.take(600, all(5.0), true);
        assert!(medians(&mut baseline).unwrap()[0] < 5.5);
        // A good minute between them says that it is a spell.
        let mut baseline = Baseline::default();
        (0..60).for_each(|n| baseline.take(n, all(50.0), false));
        for n in 0..2000 {
            baseline.take(n, if n % 500 == 499 { all(50.0) } else { all(5.0) }, n % 500 != 499);
        }
        assert!(medians(&mut baseline).unwrap()[0] > 45.0);
    }

    #[test]
    fn one_measure_that_is_as_usual_is_no_collapse() {
        // Ten times the requests: each a fifth as fast, all together twice.
        assert_eq!(share_of([10.0, 20.0, 100.0, 200.0], [50.0, 100.0, 50.0, 100.0]), 200.0);
        assert_eq!(share_of([5.0, 10.0, 5.0, 10.0], [50.0, 100.0, 50.0, 100.0]), 10.0);
        assert_eq!(share_of([0.0; 4], [50.0; 4]), 0.0);
    }
}
