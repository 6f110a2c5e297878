//! Which source is asked when, and what makes up a tick: no I/O, no clock of its own.

use std::{sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Instant3,
    reading::{Reading, Tick},
    source::{SourceError, SourceState, SourceStatus},
};

use super::{Pulse, rates::Rates, worker::Reply};

/// A source is late, and its series have a gap, after this many cadences (times ten).
const LATE_TENTHS: i64 = 25;

#[derive(Default)]
pub struct Assembly {
    slots: Vec<Slot>,
    rates: Rates,
    interval_ms: i64,
}

struct Slot {
    status: SourceStatus,
    cadence_ms: i64,
    /// When it was last asked, on the monotonic clock.
    asked_ms: Option<i64>,
    /// The answer to that is still to come.
    busy: bool,
    /// The tick that is open waits for it.
    awaited: bool,
    /// Readings for the next tick, and when they were asked for.
    pending: Option<(i64, Vec<Reading>)>,
}

// === impl Assembly ===

impl Assembly {
    pub fn add(&mut self, name: &str, now: Instant3) {
        self.slots.push(Slot {
            status: SourceStatus {
                name: name.into(),
                state: SourceState::Starting,
                reason: String::new(),
                since_ms: now.wall_ms,
                last_ms: None,
            },
            cadence_ms: 0,
            asked_ms: None,
            busy: false,
            awaited: false,
            pending: None,
        });
    }

    pub fn statuses(&self) -> Arc<Vec<SourceStatus>> {
        Arc::new(self.slots.iter().map(|slot| slot.status.clone()).collect())
    }

    /// Opens a tick: the sources to ask now. One that has not answered yet is
    /// not asked again, however long it takes.
    pub fn begin(&mut self, now: Instant3, interval: Duration) -> Vec<usize> {
        self.interval_ms = millis(interval);
        let mut due = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.awaited = false;
            // Half an interval of tolerance, or jitter would skip every other tick.
            let is_due = slot.asked_ms.is_none_or(|asked| {
                now.monotonic_ms - asked + self.interval_ms / 2 >= slot.cadence_ms
            });
            if !slot.busy && is_due {
                slot.busy = true;
                slot.awaited = true;
                slot.asked_ms = Some(now.monotonic_ms);
                due.push(index);
            }
        }
        due
    }

    /// The open tick waits for somebody.
    pub fn is_waiting(&self) -> bool {
        self.slots.iter().any(|slot| slot.awaited)
    }

    pub fn arrived(&mut self, reply: Reply, now: Instant3) {
        let Some(slot) = self.slots.get_mut(reply.source) else { return };
        slot.busy = false;
        slot.awaited = false;
        slot.cadence_ms = millis(reply.cadence);
        match reply.result {
            Ok(()) => {
                slot.status.last_ms = Some(reply.at.wall_ms);
                slot.turn(SourceState::Healthy, String::new(), now);
            }
            Err(error) => {
                let state = match error {
                    SourceError::Absent(_) => SourceState::Absent,
                    SourceError::Lost(_) => SourceState::Lost,
                    SourceError::Failed(_) => SourceState::Failed,
                };
                slot.turn(state, error.to_string(), now);
            }
        }
        // What a source could still read before it failed is true all the same.
        slot.pending =
            (!reply.readings.is_empty()).then_some((reply.at.monotonic_ms, reply.readings));
    }

    /// Closes the tick that was opened at `at`.
    pub fn finish(&mut self, at: Instant3) -> Pulse {
        let mut readings = Vec::new();
        let mut rates = Vec::new();
        for slot in &mut self.slots {
            let patience = slot.cadence_ms.max(self.interval_ms) * LATE_TENTHS / 10;
            let waited = at.monotonic_ms - slot.asked_ms.unwrap_or(at.monotonic_ms);
            if slot.busy && waited > patience {
                let reason = format!("no answer for {} s", waited / 1000);
                slot.turn(SourceState::Late, reason, at);
            }
            if let Some((asked, mut fresh)) = slot.pending.take()
                && at.monotonic_ms - asked <= patience
            {
                self.rates.add(&fresh, asked, patience, &mut rates);
                readings.append(&mut fresh);
            }
        }
        self.rates.forget(at.monotonic_ms);
        Pulse { tick: Arc::new(Tick { at, readings }), sources: self.statuses(), rates }
    }
}

// === impl Slot ===

impl Slot {
    fn turn(&mut self, state: SourceState, reason: String, now: Instant3) {
        if self.status.state != state {
            let name = &self.status.name;
            match state {
                SourceState::Healthy => tracing::info!(source = %name, "source is read"),
                SourceState::Absent => tracing::info!(source = %name, %reason, "source is absent"),
                _ => tracing::warn!(source = %name, ?state, %reason, "source is silent"),
            }
            self.status.state = state;
            self.status.since_ms = now.wall_ms;
        }
        self.status.reason = reason;
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / LATE_TENTHS)
}

#[cfg(test)]
mod tests {
    use plimsoll_core::{
        clock::{Clock, ManualClock},
        metric::Metric,
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reply(source: usize, at: Instant3, value: f64, cadence: Duration) -> Reply {
        let readings = vec![Reading::gauge(Metric::CpuBusy, &"".into(), value)];
        Reply { source, at, readings, result: Ok(()), cadence }
    }

    fn values(pulse: &Pulse) -> Vec<f64> {
        pulse.tick.readings.iter().map(Reading::number).collect()
    }

    fn two(clock: &ManualClock) -> Assembly {
        let mut assembly = Assembly::default();
        assembly.add("quick", clock.now());
        assembly.add("slow", clock.now());
        assembly
    }

    #[test]
    fn a_late_source_leaves_a_gap_and_its_answer_joins_the_next_tick() {
        let clock = ManualClock::at(0);
        let mut assembly = two(&clock);
        let first = clock.now();
        assert_eq!(assembly.begin(first, SECOND), [0, 1]);
        assembly.arrived(reply(0, first, 1.0, SECOND), clock.now());
        assert!(assembly.is_waiting());
        assert_eq!(values(&assembly.finish(first)), [1.0]);

        clock.advance_ms(800);
        assembly.arrived(reply(1, first, 2.0, SECOND), clock.now());
        clock.advance_ms(200);
        assert_eq!(assembly.begin(clock.now(), SECOND), [0, 1]);
        assert_eq!(values(&assembly.finish(clock.now())), [2.0]);
    }

    #[test]
    fn a_stuck_source_is_named_late_and_is_not_asked_again() {
        let clock = ManualClock::at(0);
        let mut assembly = two(&clock);
        let first = clock.now();
        assembly.begin(first, SECOND);
        assembly.arrived(reply(1, first, 2.0, SECOND), first);
        assembly.finish(first);
        let mut states = Vec::new();
        for _ in 0..4 {
            clock.advance_ms(1000);
            assert_eq!(assembly.begin(clock.now(), SECOND), [1]);
            assembly.arrived(reply(1, clock.now(), 2.0, SECOND), clock.now());
            let pulse = assembly.finish(clock.now());
            assert_eq!(values(&pulse), [2.0]);
            states.push(pulse.sources[0].state);
        }
        use SourceState::{Late, Starting};
        assert_eq!(states, [Starting, Starting, Late, Late]);
        assert_eq!(assembly.statuses()[0].reason, "no answer for 4 s");

        // An answer from so long ago is no reading of now; the state is.
        assembly.arrived(reply(0, first, 9.0, SECOND), clock.now());
        let pulse = assembly.finish(clock.now());
        assert_eq!(values(&pulse), [] as [f64; 0]);
        assert_eq!(pulse.sources[0].state, SourceState::Healthy);
    }

    #[test]
    fn a_source_is_asked_at_its_own_cadence_in_spite_of_jitter() {
        let clock = ManualClock::at(0);
        let mut assembly = two(&clock);
        let mut asked = Vec::new();
        for tick in 0..11 {
            let now = clock.now();
            if assembly.begin(now, SECOND).contains(&1) {
                asked.push(tick);
            }
            assembly.arrived(reply(0, now, 0.0, SECOND), now);
            assembly.arrived(reply(1, now, 0.0, 5 * SECOND), now);
            assembly.finish(now);
            clock.advance_ms(if tick % 2 == 0 { 990 } else { 1009 });
        }
        assert_eq!(asked, [0, 5, 10]);
    }

    #[test]
    fn a_source_that_fails_keeps_what_it_could_read_and_says_why() {
        let clock = ManualClock::at(7_000);
        let mut assembly = two(&clock);
        let now = clock.now();
        assembly.begin(now, SECOND);
        let mut failed = reply(0, now, 3.0, SECOND);
        failed.result = Err(SourceError::Lost("the GPU is gone".into()));
        assembly.arrived(failed, now);
        let pulse = assembly.finish(now);
        assert_eq!(values(&pulse), [3.0]);
        let status = &pulse.sources[0];
        assert_eq!((status.state, &*status.reason), (SourceState::Lost, "the GPU is gone"));
        assert_eq!((status.since_ms, status.last_ms), (7_000, None));
    }
}
