//! The end: at Plimsoll's all are stopped one after another, the last one started first,
//! and that has an end, too: whoever waits for Plimsoll has not for ever. What was killed
//! and does not go is left at any time.

use plimsoll_core::clock::Instant3;

use super::{
    Deed, GOES_MS, Plan,
    unit::{Live, Unit},
};
use crate::service::RunState;

/// For so long one after another, then all at once.
pub(super) const CLOSE_IN_ORDER_MS: i64 = 180_000;
/// Then whoever is still there is killed, whatever its grace.
pub(super) const CLOSE_KILL_MS: i64 = 220_000;
/// Then it is left. The unit of systemd gives Plimsoll 300 s, and the history is to be
/// closed within them as well.
pub(super) const CLOSE_MS: i64 = 240_000;

impl Plan {
    /// Plimsoll ends: nothing starts any more, and all are stopped in order.
    pub fn close(&mut self, now: Instant3) {
        self.closing_ms.get_or_insert(now.monotonic_ms);
    }

    /// From when on whoever is still there is killed.
    pub(super) fn all_killed_ms(&self) -> Option<i64> {
        self.closing_ms.map(|since| since + CLOSE_KILL_MS)
    }

    /// When the end goes on by time alone, after `now_ms`.
    pub(super) fn closes_ms(&self, now_ms: i64) -> Option<i64> {
        let since = self.closing_ms.filter(|_| !self.is_still())?;
        let times = [CLOSE_IN_ORDER_MS, CLOSE_KILL_MS, CLOSE_MS].map(|after| since + after);
        times.into_iter().find(|at| *at > now_ms)
    }

    /// Waits no more for what was killed and does not go. It stays noted: should it run on,
    /// the next Plimsoll finds it.
    pub(super) fn leave(&mut self, now: Instant3) {
        let all = self.closing_ms.is_some_and(|since| now.monotonic_ms - since >= CLOSE_MS);
        let hangs = |live: &mut Live| {
            all || live.killed_ms.is_some_and(|killed| now.monotonic_ms - killed >= GOES_MS)
        };
        for unit in self.units.values_mut() {
            let Some(live) = unit.live.take_if(hangs) else { continue };
            let why = match live.process {
                Some(process) => format!(
                    "was killed and does not go: its process {} hangs in the kernel",
                    process.pid
                ),
                None => "is left: its start hangs".into(),
            };
            unit.reason = format!("It {why}.");
            unit.stopped(now);
            let (id, name) = (unit.spec.id.clone(), &unit.spec.name);
            self.said.push(Deed::Say { id, title: format!("{name} {why}") });
        }
    }

    /// One at a time, the last one started first; all, when that takes too long.
    pub(super) fn close_next(&mut self, since_ms: i64, now: Instant3) {
        const WHY: &str = "Plimsoll stops.";
        if now.monotonic_ms - since_ms >= CLOSE_IN_ORDER_MS {
            self.units.values_mut().for_each(|unit| unit.end(WHY, now));
            return;
        }
        for unit in self.units.values_mut().filter(|unit| unit.live.is_none()) {
            unit.end(WHY, now);
        }
        let stopping = |unit: &Unit| unit.live.is_some() && unit.state == RunState::Stopping;
        if self.units.values().any(stopping) {
            return;
        }
        let number = |unit: &&mut Unit| unit.live.as_ref().map(|live| live.number);
        if let Some(unit) = self.units.values_mut().filter(|u| u.live.is_some()).max_by_key(number)
        {
            unit.end(WHY, now);
        }
    }
}
