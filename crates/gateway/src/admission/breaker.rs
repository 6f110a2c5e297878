//! A backend that fails is left alone for a while, and then asked by one request.
//!
//! Passing: everything may go to it. It rejects after so many failures in a row, or when
//! too large a share of what ended lately failed: a backend that fails every second
//! request never fails twice in a row. Rejecting: nothing is sent until a pause is over.
//! Probing: exactly one request is sent, and the rest waits for its answer: not for the
//! end of it, which may be minutes away, but for its beginning. Then the backend passes
//! again, with room for one more after each answer that begins, so that those who waited
//! do not all fall upon it at once. If the probe fails, the next pause is twice as long;
//! pauses are short again once an answer was whole. A probe that ends without a verdict
//! (its client left) makes way for another.
//!
//! Only the probe counts while probing: what was sent before the failures tells of a
//! backend that is no more.

use plimsoll_core::traffic::BreakerState;

use super::{BreakerView, Id, Ms, Outcome, limits::BreakerLimits, window::Window};

/// What made a breaker reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tripped {
    /// So many failures in a row.
    Run(u32),
    /// So many failures among so many that ended within the window.
    Rate { failed: u32, ended: u32 },
    /// It was asked, and failed again.
    Probe,
}

#[derive(Clone, Debug)]
pub(super) struct Breaker {
    state: BreakerState,
    since: Ms,
    /// While rejecting.
    until: Ms,
    /// While probing: who asks.
    probe: Option<Id>,
    tripped: Option<Tripped>,
    /// Failures in a row.
    run: u32,
    /// Pauses since an answer was whole: each is twice as long as the one before.
    pauses: u32,
    window: Window,
    /// Room while it recovers: one more after each answer that begins.
    ramp: Option<u32>,
}

// === impl Tripped ===

impl std::fmt::Display for Tripped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run(1) => f.write_str("it failed"),
            Self::Run(n) => write!(f, "{n} requests in a row failed"),
            Self::Rate { failed, ended } => {
                write!(f, "{failed} of the last {ended} requests failed")
            }
            Self::Probe => f.write_str("it was asked again and failed"),
        }
    }
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn new(now: Ms) -> Self {
        Self {
            state: BreakerState::Passing,
            since: now,
            until: 0,
            probe: None,
            tripped: None,
            run: 0,
            pauses: 0,
            window: Window::default(),
            ramp: None,
        }
    }

    pub(super) fn passes(&self) -> bool {
        self.state == BreakerState::Passing
    }

    /// The pause is over, and nobody asks yet.
    pub(super) fn wants_probe(&self) -> bool {
        self.state == BreakerState::Probing && self.probe.is_none()
    }

    pub(super) fn rejects(&self) -> bool {
        self.state == BreakerState::Rejecting
    }

    /// When the pause ends; `None` where there is none.
    pub(super) fn until(&self) -> Option<Ms> {
        self.rejects().then_some(self.until)
    }

    /// Room that is left while it recovers.
    pub(super) fn ramp(&self) -> u32 {
        self.ramp.unwrap_or(u32::MAX)
    }

    /// `id` is sent to ask.
    pub(super) fn ask_with(&mut self, id: Id) {
        self.probe = Some(id);
    }

    /// Time passed. True when its state changed.
    pub(super) fn tick(&mut self, now: Ms) -> bool {
        let due = self.rejects() && now >= self.until;
        if due {
            self.enter(BreakerState::Probing, now);
        }
        due
    }

    /// It came back from elsewhere's view (its health checks): it need not wait to be asked.
    pub(super) fn ask_now(&mut self, now: Ms) -> bool {
        self.until = self.until.min(now);
        self.tick(now)
    }

    /// An answer of it began: it is well enough for that. True when something changed.
    pub(super) fn answered(&mut self, id: Id, now: Ms, room: u32) -> bool {
        match (self.state, self.ramp) {
            (BreakerState::Probing, _) if self.probe == Some(id) => {
                self.pass(now);
                self.ramp = (room > 2).then_some(2);
                true
            }
            (BreakerState::Passing, Some(ramp)) => {
                self.ramp = Some(ramp.saturating_add(1)).filter(|ramp| *ramp < room);
                true
            }
            _ => false,
        }
    }

    /// A request to it ended, [`Self::answered`] before if it was served. True when the
    /// state changed.
    pub(super) fn ended(
        &mut self,
        id: Id,
        outcome: Outcome,
        now: Ms,
        limits: &BreakerLimits,
    ) -> bool {
        match self.state {
            BreakerState::Passing => self.ended_passing(outcome, now, limits),
            BreakerState::Rejecting => false,
            BreakerState::Probing => {
                if self.probe != Some(id) {
                    return false;
                }
                self.probe = None;
                if outcome == Outcome::Failed {
                    self.reject(Tripped::Probe, now, limits);
                }
                outcome == Outcome::Failed
            }
        }
    }

    /// Limits changed. True when the state changed.
    pub(super) fn limits_changed(&mut self, now: Ms, limits: &BreakerLimits) -> bool {
        if !limits.enabled {
            (self.pauses, self.ramp) = (0, None);
        }
        if !self.passes() && !self.holds(limits) {
            self.pass(now);
            self.pauses = 0;
            return true;
        }
        if self.rejects() {
            self.until = self.since.saturating_add(self.pause(limits));
        }
        self.tick(now)
    }

    pub(super) fn view(&self) -> BreakerView {
        BreakerView {
            state: self.state,
            since: self.since,
            tripped: self.tripped,
            next_probe: self.until(),
        }
    }

    fn ended_passing(&mut self, outcome: Outcome, now: Ms, limits: &BreakerLimits) -> bool {
        let failed = match outcome {
            Outcome::Served => false,
            Outcome::Failed => true,
            Outcome::Unknown => return false,
        };
        if failed {
            self.run = self.run.saturating_add(1);
        } else {
            (self.run, self.pauses) = (0, 0);
        }
        if !limits.enabled {
            return false;
        }
        self.window.add(failed, now, limits.window);
        let Window { failed, ended, .. } = self.window;
        let tripped = if limits.trips(self.run) {
            Some(Tripped::Run(self.run))
        } else if limits.trips_by_rate(failed, ended) {
            Some(Tripped::Rate { failed, ended })
        } else {
            None
        };
        let Some(tripped) = tripped else { return false };
        self.reject(tripped, now, limits);
        true
    }

    fn pass(&mut self, now: Ms) {
        self.enter(BreakerState::Passing, now);
        self.probe = None;
        self.tripped = None;
        self.run = 0;
        self.ramp = None;
        self.window = Window::default();
    }

    fn reject(&mut self, tripped: Tripped, now: Ms, limits: &BreakerLimits) {
        self.enter(BreakerState::Rejecting, now);
        self.tripped = Some(tripped);
        self.ramp = None;
        self.pauses = self.pauses.saturating_add(1);
        self.until = now.saturating_add(self.pause(limits));
    }

    /// Whether what made it reject would still do so.
    fn holds(&self, limits: &BreakerLimits) -> bool {
        limits.enabled
            && match self.tripped {
                Some(Tripped::Run(run)) => limits.trips(run),
                Some(Tripped::Rate { failed, ended }) => limits.trips_by_rate(failed, ended),
                Some(Tripped::Probe) | None => true,
            }
    }

    /// The last pause.
    fn pause(&self, limits: &BreakerLimits) -> Ms {
        let longest = limits.pause_max.max(1);
        let twice = 1_u64.checked_shl(self.pauses.saturating_sub(1)).unwrap_or(Ms::MAX);
        limits.pause.clamp(1, longest).saturating_mul(twice).min(longest)
    }

    fn enter(&mut self, state: BreakerState, now: Ms) {
        self.state = state;
        self.since = now;
    }
}

// === impl BreakerLimits ===

impl BreakerLimits {
    fn trips(&self, run: u32) -> bool {
        run >= self.failures.max(1)
    }

    fn trips_by_rate(&self, failed: u32, ended: u32) -> bool {
        ended >= self.at_least.max(1)
            && f64::from(failed) >= f64::from(ended) * self.rate
            && failed > 0
    }
}

#[cfg(test)]
mod tests {
    use Outcome::{Failed, Served, Unknown};

    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits {
        enabled: true,
        failures: 3,
        rate: 0.5,
        at_least: 10,
        window: 10_000,
        pause: 1000,
        pause_max: 5000,
    };

    fn feed(breaker: &mut Breaker, outcomes: &[Outcome], now: Ms) {
        for outcome in outcomes {
            if *outcome == Served {
                breaker.answered(1, now, 8);
            }
            breaker.ended(1, *outcome, now, &LIMITS);
        }
    }

    #[test]
    fn a_run_of_failures_trips_and_a_success_between_breaks_the_run() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed, Failed, Served, Failed, Failed], 5);
        assert!(breaker.passes());
        feed(&mut breaker, &[Failed], 6);
        assert_eq!(
            breaker.view(),
            BreakerView {
                state: BreakerState::Rejecting,
                since: 6,
                tripped: Some(Tripped::Run(3)),
                next_probe: Some(1006),
            }
        );
    }

    #[test]
    fn every_second_one_failing_trips_by_its_rate() {
        let mut breaker = Breaker::new(0);
        for at in 0..9 {
            feed(&mut breaker, &[if at % 2 == 0 { Failed } else { Served }], at * 100);
            assert!(breaker.passes(), "at {at}");
        }
        feed(&mut breaker, &[Served], 900);
        assert_eq!(breaker.view().tripped, Some(Tripped::Rate { failed: 5, ended: 10 }));
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let mut breaker = Breaker::new(0);
        for at in 0..4 {
            feed(&mut breaker, &[Failed, Served], at);
        }
        for at in 0..20 {
            feed(&mut breaker, &[Served], 11_000 + at * 1000);
        }
        feed(&mut breaker, &[Failed, Failed], 31_000);
        assert!(breaker.passes());
        assert_eq!((breaker.window.failed, breaker.window.ended), (2, 11));
    }

    #[test]
    fn what_says_nothing_of_the_backend_changes_nothing() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed, Failed, Unknown, Unknown, Failed], 0);
        assert!(breaker.rejects());
    }

    #[test]
    fn pauses_double_up_to_their_longest_and_begin_anew_after_a_success() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed; 3], 0);
        let mut now = 0;
        for pause in [1000, 2000, 4000, 5000, 5000] {
            assert_eq!(breaker.until(), Some(now + pause));
            now += pause;
            assert!(!breaker.tick(now - 1));
            assert!(breaker.tick(now));
            breaker.ask_with(7);
            assert!(breaker.ended(7, Failed, now, &LIMITS));
        }
        // An answer that begins and then breaks off is no reason for shorter pauses.
        for (outcome, pause) in [(Failed, 5000), (Served, 1000)] {
            now += 5000;
            breaker.tick(now);
            breaker.ask_with(8);
            assert!(breaker.answered(8, now, 8));
            assert!(breaker.passes());
            breaker.ended(8, outcome, now, &LIMITS);
            feed(&mut breaker, &[Failed; 3], now);
            assert_eq!(breaker.until(), Some(now + pause));
        }
    }

    #[test]
    fn switched_off_its_pauses_begin_anew() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed; 3], 0);
        let now = 5000;
        breaker.limits_changed(now, &BreakerLimits { enabled: false, ..LIMITS });
        feed(&mut breaker, &[Failed; 3], now);
        assert_eq!(breaker.until(), Some(now + 1000));
    }

    #[test]
    fn at_a_limit_that_would_not_have_tripped_it_passes_and_at_another_it_keeps_its_pause() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed; 3], 0);
        assert!(!breaker.limits_changed(10, &LIMITS));
        assert_eq!(breaker.until(), Some(1000));
        assert!(breaker.limits_changed(10, &BreakerLimits { failures: 4, ..LIMITS }));
        assert!(breaker.passes());
        for at in 0..10 {
            feed(&mut breaker, &[if at % 2 == 0 { Failed } else { Served }], 20);
        }
        assert!(breaker.rejects());
        assert!(breaker.limits_changed(30, &BreakerLimits { rate: 0.6, ..LIMITS }));
        assert!(breaker.passes());
    }

    #[test]
    fn a_pause_is_as_long_as_the_limits_of_now_make_it() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed; 3], 0);
        breaker.tick(1000);
        breaker.ask_with(7);
        breaker.ended(7, Failed, 1000, &LIMITS);
        assert_eq!(breaker.until(), Some(3000), "the second one");
        breaker.limits_changed(1000, &BreakerLimits { pause: 100, ..LIMITS });
        assert_eq!(breaker.until(), Some(1200));
        assert!(breaker.limits_changed(1300, &BreakerLimits { pause: 100, ..LIMITS }));
        assert!(breaker.wants_probe());
    }

    #[test]
    fn switched_off_while_it_recovers_it_has_all_its_room() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed; 3], 0);
        breaker.tick(1000);
        breaker.ask_with(7);
        breaker.answered(7, 1000, 5);
        assert_eq!(breaker.ramp(), 2);
        breaker.limits_changed(1000, &BreakerLimits { enabled: false, ..LIMITS });
        assert_eq!(breaker.ramp(), u32::MAX);
    }

    #[test]
    fn only_the_probe_decides_while_it_is_out() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed; 3], 0);
        breaker.tick(1000);
        breaker.ask_with(7);
        assert!(!breaker.wants_probe());
        assert!(!breaker.answered(3, 1001, 8));
        assert!(!breaker.ended(3, Served, 1001, &LIMITS));
        assert!(!breaker.ended(4, Failed, 1002, &LIMITS));
        assert_eq!(breaker.view().state, BreakerState::Probing);
        // Without a verdict another may ask.
        assert!(!breaker.ended(7, Unknown, 1003, &LIMITS));
        assert!(breaker.wants_probe());
    }

    #[test]
    fn room_grows_by_one_with_each_answer_after_a_recovery() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed; 3], 0);
        breaker.tick(1000);
        breaker.ask_with(7);
        breaker.answered(7, 1000, 5);
        let mut rooms = vec![breaker.ramp()];
        for _ in 0..3 {
            breaker.answered(1, 1001, 5);
            rooms.push(breaker.ramp());
        }
        assert_eq!(rooms, [2, 3, 4, u32::MAX]);
    }

    #[test]
    fn switched_off_it_passes_at_once() {
        let mut breaker = Breaker::new(0);
        feed(&mut breaker, &[Failed; 3], 0);
        assert!(breaker.limits_changed(5, &BreakerLimits { enabled: false, ..LIMITS }));
        assert!(breaker.passes());
    }
}
