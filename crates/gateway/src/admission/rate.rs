//! So many a minute. A bucket of tokens, filled evenly, in whole numbers: the same
//! calls give the same answers, however finely time is cut.

use super::Ms;

/// One unit is held as its sixty-thousandth parts: a rate of one a minute gives one
/// part each millisecond.
const PARTS: i64 = 60_000;

/// A minute's worth may come at once, as "three a minute" lets expect; how much runs at
/// once is for other limits to bound. What is dearer than a whole bucket passes when the
/// bucket is full, and leaves a debt: over minutes the rate holds for it, too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    per_minute: i64,
    level: i64,
    at: Ms,
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn new(per_minute: u32, now: Ms) -> Self {
        let mut bucket = Self { per_minute: i64::from(per_minute), level: 0, at: now };
        bucket.level = bucket.full();
        bucket
    }

    /// Another rate from now on. What was saved or owed stays, within the new bucket.
    pub(super) fn set(&mut self, per_minute: u32, now: Ms) {
        self.fill(now);
        self.per_minute = i64::from(per_minute);
        self.level = self.level.min(self.full());
    }

    pub(super) fn per_minute(&self) -> u32 {
        u32::try_from(self.per_minute).unwrap_or(u32::MAX)
    }

    /// When `need` can be taken, if nothing else is until then; `None`: never.
    pub(super) fn ready_at(&mut self, need: u64, now: Ms) -> Option<Ms> {
        self.fill(now);
        let missing = self.price(need) - self.level;
        if missing <= 0 {
            return Some(now);
        }
        if self.per_minute == 0 {
            return None;
        }
        let wait = (missing + self.per_minute - 1) / self.per_minute;
        now.checked_add(wait.unsigned_abs())
    }

    /// When the last of several can be taken that come to `units` together.
    pub(super) fn ready_after(&mut self, units: u64, now: Ms) -> Option<Ms> {
        self.fill(now);
        let missing = parts(units) - self.level;
        match (missing <= 0, self.per_minute) {
            (true, _) => Some(now),
            (false, 0) => None,
            (false, rate) => now.checked_add(((missing + rate - 1) / rate).unsigned_abs()),
        }
    }

    pub(super) fn take(&mut self, need: u64) {
        self.level = self.level.saturating_sub(parts(need));
    }

    /// It was more, or less, than was taken.
    pub(super) fn settle(&mut self, taken: u64, really: u64) {
        let level = self.level.saturating_add(parts(taken)).saturating_sub(parts(really));
        self.level = level.min(self.full());
    }

    /// Full again: nothing is known of the client that a new bucket would not know.
    pub(super) fn is_full(&mut self, now: Ms) -> bool {
        self.fill(now);
        self.level == self.full()
    }

    fn full(&self) -> i64 {
        self.per_minute * PARTS
    }

    /// What must be there for `need`: a whole bucket is enough for anything, but where
    /// nothing is ever given, nothing is.
    fn price(&self, need: u64) -> i64 {
        if self.per_minute == 0 { parts(need) } else { parts(need).min(self.full()) }
    }

    fn fill(&mut self, now: Ms) {
        if now <= self.at {
            return;
        }
        let passed = i64::try_from(now - self.at).unwrap_or(i64::MAX);
        self.at = now;
        let level = self.level.saturating_add(passed.saturating_mul(self.per_minute));
        self.level = level.min(self.full());
    }
}

fn parts(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX).saturating_mul(PARTS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_minutes_worth_may_come_at_once_and_then_one_after_another() {
        for (rate, each) in [(60, 1000), (3, 20_000), (1, 60_000)] {
            let mut bucket = Bucket::new(rate, 0);
            for _ in 0..rate {
                assert_eq!(bucket.ready_at(1, 0), Some(0));
                bucket.take(1);
            }
            assert_eq!(bucket.ready_at(1, 0), Some(each));
            assert_eq!(bucket.ready_at(1, each - 1), Some(each));
            assert_eq!(bucket.ready_at(1, each), Some(each));
        }
    }

    #[test]
    fn a_quiet_minute_saves_up_a_minutes_worth_and_a_quiet_hour_no_more() {
        let mut bucket = Bucket::new(3, 0);
        bucket.take(3);
        assert_eq!(bucket.ready_at(3, 0), Some(60_000));
        assert!(bucket.is_full(60_000));
        bucket.fill(3_600_000);
        bucket.take(3);
        assert_eq!(bucket.ready_at(1, 3_600_000), Some(3_620_000));
    }

    #[test]
    fn what_is_dearer_than_the_bucket_passes_full_and_leaves_a_debt() {
        let mut bucket = Bucket::new(600, 0);
        assert_eq!(bucket.ready_at(1500, 0), Some(0));
        bucket.take(1500);
        // 900 are owed and one is wanted: 901 at ten a second.
        assert_eq!(bucket.ready_at(1, 0), Some(90_100));
    }

    #[test]
    fn what_was_estimated_too_high_is_given_back_but_never_beyond_full() {
        let mut bucket = Bucket::new(6000, 0);
        bucket.take(6000);
        bucket.settle(6000, 10);
        assert_eq!(bucket.ready_at(5990, 0), Some(0));
        assert_eq!(bucket.ready_at(5991, 0), Some(10));
        bucket.settle(50_000, 0);
        assert!(bucket.is_full(0));
    }

    #[test]
    fn a_rate_of_none_never_passes_anything() {
        let mut bucket = Bucket::new(0, 0);
        assert_eq!(bucket.ready_at(1, 1_000_000), None);
        bucket.set(60, 1_000_000);
        assert_eq!(bucket.ready_at(1, 1_000_000), Some(1_001_000));
    }

    #[test]
    fn a_clock_that_stands_or_jumps_back_gives_nothing() {
        let mut bucket = Bucket::new(60, 5000);
        bucket.take(60);
        assert_eq!(bucket.ready_at(1, 1000), Some(2000));
        assert_eq!(bucket.ready_at(1, 5000), Some(6000));
    }

    proptest! {
        // However time is cut, no more is taken than the rate and one bucket give.
        #[test]
        fn no_more_passes_than_the_rate_gives(
            rate in 1_u32..5000,
            steps in prop::collection::vec((0_u64..4000, 1_u64..50), 1..200),
        ) {
            let mut bucket = Bucket::new(rate, 0);
            let (mut now, mut taken, mut dearest) = (0_u64, 0_u64, 0_u64);
            for (step, need) in steps {
                now += step;
                if bucket.ready_at(need, now) == Some(now) {
                    bucket.take(need);
                    taken += need;
                    dearest = dearest.max(need);
                }
            }
            let given = u64::from(rate) * now / 60_000 + u64::from(rate) + 1;
            prop_assert!(taken <= given + dearest, "{taken} of {given}");
        }
    }
}
