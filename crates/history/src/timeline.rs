//! Where a tick stands in time: epochs and lanes.
//!
//! An **epoch** ends where the clock jumps or the machine sleeps; each gets a
//! mark. A **lane** is a stretch in which wall time only grew: it ends only
//! where the clock went back over what was already recorded. Chunks belong to
//! lanes, so that a suspend every evening does not cut the long chunks of the
//! coarse levels into small ones, and where lanes overlap the later one wins.

use plimsoll_core::clock::Instant3;

/// A forward step of the wall clock that is worth an epoch of its own.
const JUMP_MS: i64 = 5000;
/// Time asleep that is worth an epoch of its own.
const SLEEP_MS: i64 = 2000;
/// Ticks that come this much too early are a jitter, not a clock set back.
const JITTER_MS: i64 = 100;

/// Why an epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Start,
    Forward { ms: i64 },
    Back { ms: i64 },
    Resume { slept_ms: i64 },
}

/// Where the next tick goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub at_ms: i64,
    /// A new epoch begins with it.
    pub epoch: Option<Cause>,
    /// A new lane begins with it.
    pub lane: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeline {
    /// Of the last tick; `None` right after a start.
    last: Option<Instant3>,
    /// Newest time in the current lane; `None` while there is none.
    newest_ms: Option<i64>,
}

// === impl Timeline ===

impl Timeline {
    /// Takes up a lane that ended at `newest_ms`: after a start, or after the
    /// database was opened again.
    pub(crate) fn resume(&mut self, newest_ms: Option<i64>) {
        self.newest_ms = newest_ms;
    }

    /// Where a tick of that moment belongs. Nothing changes until [`Self::accept`].
    pub(crate) fn place(&self, now: Instant3) -> Place {
        let at_ms = now.wall_ms;
        let Some(newest) = self.newest_ms else {
            return Place { at_ms, epoch: Some(Cause::Start), lane: true };
        };
        // Without a tick of this run only the wall clock can be compared.
        let (jump, slept) = self.last.map_or((at_ms - newest, 0), |last| {
            let passed = now.boottime_ms - last.boottime_ms;
            let slept = passed - (now.monotonic_ms - last.monotonic_ms);
            (now.wall_ms - last.wall_ms - passed, slept)
        });
        if at_ms <= newest {
            if self.last.is_some() && jump > -JITTER_MS && newest - at_ms < JITTER_MS {
                return Place { at_ms: newest + 1, epoch: None, lane: false };
            }
            let ms = if self.last.is_some() { -jump } else { newest - at_ms };
            return Place { at_ms, epoch: Some(Cause::Back { ms }), lane: true };
        }
        let epoch = if self.last.is_none() {
            None
        } else if slept > SLEEP_MS {
            Some(Cause::Resume { slept_ms: slept })
        } else if jump > JUMP_MS {
            Some(Cause::Forward { ms: jump })
        } else if jump < -JUMP_MS {
            Some(Cause::Back { ms: -jump })
        } else {
            None
        };
        Place { at_ms, epoch, lane: false }
    }

    /// The tick was placed there.
    pub(crate) fn accept(&mut self, now: Instant3, place: Place) {
        self.last = Some(now);
        self.newest_ms = Some(place.at_ms);
    }
}

// === impl Cause ===

impl Cause {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cause::Start => "start",
            Cause::Forward { .. } => "forward",
            Cause::Back { .. } => "back",
            Cause::Resume { .. } => "resume",
        }
    }

    /// The sentence of the mark; `None` where nothing is worth one.
    pub(crate) fn title(self) -> Option<String> {
        match self {
            Cause::Start => None,
            Cause::Forward { ms } => Some(format!("The clock was set forward by {}", span(ms))),
            Cause::Back { ms } => Some(format!("The clock was set back by {}", span(ms))),
            Cause::Resume { slept_ms } => Some(format!("The machine slept for {}", span(slept_ms))),
        }
    }
}

fn span(ms: i64) -> String {
    let s = ms / 1000;
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::clock::{Clock as _, ManualClock};

    use super::*;

    fn started() -> (ManualClock, Timeline) {
        let clock = ManualClock::at(1_000_000_000);
        let mut timeline = Timeline::default();
        let place = timeline.place(clock.now());
        assert_eq!(place.epoch, Some(Cause::Start));
        timeline.accept(clock.now(), place);
        clock.advance_ms(1000);
        (clock, timeline)
    }

    #[test]
    fn a_clock_that_jumps_back_starts_a_new_epoch_and_lane() {
        let (clock, timeline) = started();
        clock.step_wall_ms(-3_600_000);
        let place = timeline.place(clock.now());
        assert!(place.lane && matches!(place.epoch, Some(Cause::Back { .. })), "{place:?}");
    }

    #[test]
    fn a_clock_that_jumps_forward_starts_a_new_epoch_in_the_same_lane() {
        let (clock, timeline) = started();
        clock.step_wall_ms(3_600_000);
        let place = timeline.place(clock.now());
        assert_eq!(place.epoch, Some(Cause::Forward { ms: 3_600_000 }));
        assert!(!place.lane);
    }

    #[test]
    fn sleep_is_told_from_a_clock_that_was_set() {
        let (clock, timeline) = started();
        clock.suspend_ms(7_200_000);
        let place = timeline.place(clock.now());
        assert_eq!(place.epoch, Some(Cause::Resume { slept_ms: 7_200_000 }));
        assert_eq!(
            Cause::Resume { slept_ms: 7_200_000 }.title().unwrap(),
            "The machine slept for 2 h 0 min"
        );
    }

    #[test]
    fn jitter_and_slewing_start_nothing() {
        let (clock, mut timeline) = started();
        clock.step_wall_ms(400);
        let place = timeline.place(clock.now());
        assert_eq!((place.epoch, place.lane), (None, false));
        timeline.accept(clock.now(), place);
        // The same moment once more.
        let again = timeline.place(clock.now());
        assert_eq!(again, Place { at_ms: place.at_ms + 1, epoch: None, lane: false });
    }

    #[test]
    fn after_a_restart_an_older_clock_starts_a_lane_and_a_newer_one_does_not() {
        let mut timeline = Timeline::default();
        timeline.resume(Some(5_000_000));
        let at = |wall_ms| Instant3 { wall_ms, monotonic_ms: 0, boottime_ms: 0 };
        assert!(timeline.place(at(4_000_000)).lane);
        assert_eq!(timeline.place(at(9_000_000)).epoch, None);
    }
}
