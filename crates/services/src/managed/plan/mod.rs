//! What is to be done with the managed services, and when. Pure: what happened
//! comes in, what is to be done goes out, and the time is told.
//!
//! - Who is wanted **waits** until it may start ([`gate`]): services that share the
//!   GPU start one after another, and only into room that is free.
//! - It **starts** until it answers, then it **runs**. One that ends by itself is
//!   **started again** after a pause, or has **failed** when that happens too often.
//! - Who is not wanted any more is asked to end, and killed after its grace.
//! - What was killed and does not go is **left**: it hangs in the kernel.
//! - At Plimsoll's end all are stopped ([`closing`]).

mod closing;
mod gate;
mod told;
mod unit;

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_core::clock::Instant3;

use self::unit::{Live, Unit, millis};
pub use self::{
    told::State,
    unit::{Ended, Unmade},
};
use super::flags::Spec;
use crate::service::RunState;

/// A service that loads for longer keeps nobody waiting any more, and is one that does
/// not answer.
pub const LOADING_MS: i64 = 600_000;
/// A configuration that is edited is not always whole: what is out of it is stopped after this.
const GONE_MS: i64 = 5000;
/// What was killed goes within this, or does not go at all.
const GOES_MS: i64 = 10_000;
/// What is known of the GPU from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// `None` where none is read.
    pub vram: Option<Vram>,
    /// VRAM that services hold now, by id, where it is known.
    pub held: BTreeMap<String, u64>,
    /// Services that do not start by themselves now: the GPU is kept free of them.
    pub kept_off: BTreeSet<String>,
}

/// Free VRAM over all GPUs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vram {
    /// When it was read, on the clock that only runs forward.
    pub at_ms: i64,
    pub free_bytes: u64,
}

/// A process that runs, as the plan needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    pub pid: i32,
    /// [`super::flags::Launch::fingerprint`] of what was started.
    pub fingerprint: u64,
    pub command: Vec<String>,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Start it; the end is told with this number.
    Start { spec: Box<Spec>, number: u64 },
    /// Ask the processes of that start to end, or kill them.
    Signal { id: String, number: u64, kill: bool },
    /// It is in the configuration no more, and its process is gone.
    Forget { id: String },
    /// What happened, for the history.
    Say { id: String, title: String },
}

/// Why a person's word changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    NoSuchService,
    Already(RunState),
    Closing,
}

#[derive(Debug, Default)]
pub struct Plan {
    units: BTreeMap<String, Unit>,
    numbers: u64,
    /// Since when Plimsoll ends.
    closing_ms: Option<i64>,
    /// When VRAM was last taken or given back by one of ours.
    gpu_moved_ms: Option<i64>,
    said: Vec<Deed>,
}

// === impl Plan ===

impl Plan {
    /// Takes the services of the configuration. With `first` those that start with
    /// Plimsoll are wanted; a command that comes later waits for a person.
    pub fn configure(&mut self, specs: Vec<Spec>, first: bool, now: Instant3) {
        for unit in self.units.values_mut() {
            unit.gone_ms.get_or_insert(now.monotonic_ms);
        }
        for spec in specs {
            if let Some(unit) = self.units.get_mut(&spec.id) {
                unit.gone_ms = None;
                unit.spec = spec;
                if std::mem::take(&mut unit.cut) && unit.state == RunState::Stopping {
                    unit.again = true;
                    unit.reason = "It is in the configuration again, and starts again.".into();
                }
                continue;
            }
            let mut unit = Unit::new(spec, now);
            if first && unit.spec.autostart {
                unit.to(RunState::Waiting, "", now);
            } else if first {
                unit.reason = "It does not start with Plimsoll.".into();
            } else {
                unit.reason = "Its command is new: start it, or it starts with Plimsoll.".into();
            }
            self.units.insert(unit.spec.id.clone(), unit);
        }
    }

    /// A process of an earlier Plimsoll was found again. Called before [`Plan::configure`],
    /// in the order of their starts; what the configuration does not know is stopped.
    pub fn adopt(&mut self, spec: Spec, process: Running, now: Instant3) -> u64 {
        self.numbers += 1;
        let mut unit = Unit::new(spec, now);
        unit.to(RunState::Starting, "Found again: it runs since before Plimsoll started.", now);
        self.say(&unit.spec, format!("{} runs already and is taken over", unit.spec.name));
        unit.live = Some(Live {
            number: self.numbers,
            process: Some(process),
            started_ms: now.monotonic_ms,
            answered_ms: None,
            asked_ms: None,
            killed_ms: None,
        });
        self.units.insert(unit.spec.id.clone(), unit);
        self.numbers
    }

    /// A person wants it to run.
    pub fn start(&mut self, id: &str, now: Instant3) -> Result<(), Refused> {
        if self.closing_ms.is_some() {
            return Err(Refused::Closing);
        }
        let unit = self.known(id)?;
        match unit.state {
            RunState::Stopping if !unit.again => {
                unit.again = true;
                unit.reason = "It starts again once it has ended.".into();
            }
            RunState::Stopped | RunState::Failed | RunState::Restarting => {
                unit.fresh();
                unit.to(RunState::Waiting, "", now);
            }
            // Kept off until now; not from here on.
            RunState::Waiting if !unit.asked_for => {}
            state => return Err(Refused::Already(state)),
        }
        unit.asked_for = true;
        Ok(())
    }

    /// A person wants it to run no more, until a person or the next start of Plimsoll
    /// wants it again. `why` is said for as long as it is stopped.
    pub fn stop(&mut self, id: &str, why: &str, now: Instant3) -> Result<(), Refused> {
        let unit = self.known(id)?;
        match unit.state {
            RunState::Stopped => return Err(Refused::Already(RunState::Stopped)),
            RunState::Stopping if !unit.again => {
                return Err(Refused::Already(RunState::Stopping));
            }
            _ => {}
        }
        unit.end(why, now);
        Ok(())
    }

    /// Nothing of ours runs.
    pub fn is_still(&self) -> bool {
        self.units.values().all(|unit| unit.live.is_none())
    }

    /// The start of that number was made, or could not be.
    pub fn started(&mut self, id: &str, number: u64, made: Result<Running, Unmade>, now: Instant3) {
        let Some(unit) = self.units.get_mut(id) else { return };
        let Some(live) = unit.live.as_mut().filter(|live| live.number == number) else { return };
        match made {
            Ok(process) => {
                let said = format!("{} was started", unit.spec.name);
                live.process = Some(process);
                let spec = unit.spec.clone();
                self.say(&spec, said);
            }
            Err(unmade) => {
                unit.live = None;
                // A word holds for one start.
                unit.asked_for = unit.state == RunState::Stopping && unit.again;
                if unit.state == RunState::Stopping {
                    unit.stopped(now);
                } else {
                    let (spec, why) = (unit.spec.clone(), unmade.why.clone());
                    unit.not_made(unmade, now);
                    self.say(&spec, format!("{} could not be started: {why}", spec.name));
                }
            }
        }
    }

    /// It serves.
    pub fn answered(&mut self, id: &str, number: u64, now: Instant3) {
        let Some(unit) = self.units.get_mut(id) else { return };
        let Some(live) = unit.live.as_mut().filter(|live| live.number == number) else { return };
        live.answered_ms.get_or_insert(now.monotonic_ms);
        unit.asked_for = false;
        if unit.state == RunState::Starting {
            unit.to(RunState::Running, "", now);
            if unit.spec.on_gpu {
                self.gpu_moved_ms = Some(now.monotonic_ms);
            }
        }
    }

    /// The process of that start is gone, with all that it started.
    pub fn ended(
        &mut self,
        id: &str,
        number: u64,
        how: Ended,
        last_line: Option<String>,
        now: Instant3,
    ) {
        let Some(unit) = self.units.get_mut(id) else { return };
        let Some(live) = unit.live.take_if(|live| live.number == number) else { return };
        if unit.spec.on_gpu {
            self.gpu_moved_ms = Some(now.monotonic_ms);
        }
        let name = unit.spec.name.clone();
        let said = if unit.state == RunState::Stopping {
            let said = if let Some(killed_ms) = live.killed_ms {
                let waited = (killed_ms - live.asked_ms.unwrap_or(killed_ms)) / 1000;
                format!("{name} was killed: it had not ended {waited} s after it was asked to")
            } else {
                format!("{name} was stopped")
            };
            unit.stopped(now);
            said
        } else {
            unit.ended_by_itself(&live, how, last_line, now);
            // Reasons of this kind begin with "It ended".
            format!("{name}{}", unit.reason.strip_prefix("It").unwrap_or(&unit.reason))
        };
        let spec = unit.spec.clone();
        self.say(&spec, said);
    }

    /// What is to be done now, after something happened or time passed.
    pub fn advance(&mut self, sight: &Sight, now: Instant3) -> Vec<Deed> {
        self.leave(now);
        for unit in self.units.values_mut() {
            if unit.is_gone(now) {
                unit.cut |= unit.runs();
                unit.end("It is not in the configuration any more.", now);
            }
            if unit.gone_ms.is_none()
                && unit.next.is_some_and(|next| now.monotonic_ms >= next.monotonic_ms)
            {
                unit.to(RunState::Waiting, "", now);
                unit.restarts = unit.restarts.saturating_add(1);
            }
        }
        if let Some(since_ms) = self.closing_ms {
            self.close_next(since_ms, now);
        } else {
            self.start_what_may(sight, now);
        }
        let mut deeds = std::mem::take(&mut self.said);
        let kill_ms = self.all_killed_ms();
        for unit in self.units.values_mut() {
            deeds.extend(unit.signal(kill_ms, now));
        }
        let forgotten = |unit: &Unit| unit.is_gone(now) && unit.live.is_none();
        for id in self.units.values().filter(|u| forgotten(u)).map(|u| u.spec.id.clone()) {
            deeds.push(Deed::Forget { id });
        }
        self.units.retain(|_, unit| !forgotten(unit));
        deeds
    }

    /// When time alone changes something after `now_ms`, on the clock that only runs forward.
    pub fn wake_ms(&self, now_ms: i64) -> Option<i64> {
        let of_unit = |unit: &Unit| {
            let live = unit.live.as_ref();
            let ends = live.and_then(|live| match live.killed_ms {
                Some(killed_ms) => Some(killed_ms + GOES_MS),
                None => Some(live.asked_ms? + millis(unit.spec.grace)),
            });
            let loaded = live
                .filter(|_| unit.state == RunState::Starting)
                .map(|live| live.started_ms + LOADING_MS)
                // It goes on loading after that, and nothing comes of it any more.
                .filter(|loaded| *loaded > now_ms);
            let next = unit.next.filter(|_| unit.gone_ms.is_none());
            let gone = unit.gone_ms.map(|since| since + GONE_MS).filter(|at| *at > now_ms);
            [next.map(|next| next.monotonic_ms), ends, loaded, gone].into_iter().flatten().min()
        };
        self.units.values().filter_map(of_unit).chain(self.closes_ms(now_ms)).min()
    }

    /// All services.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.units.keys()
    }

    /// Those that wait for their turn, for room, or for the end of a hold.
    pub fn waiting(&self) -> impl Iterator<Item = &String> {
        let waits = |unit: &&Unit| unit.state == RunState::Waiting;
        self.units.values().filter(waits).map(|unit| &unit.spec.id)
    }

    fn start_what_may(&mut self, sight: &Sight, now: Instant3) {
        let mut waiting: Vec<(u32, String)> = self
            .units
            .values()
            .filter(|unit| unit.state == RunState::Waiting && unit.gone_ms.is_none())
            .map(|unit| (unit.spec.order, unit.spec.id.clone()))
            .collect();
        waiting.sort();
        for (_, id) in waiting {
            let may = self.may_start(&id, sight, now);
            let Some(unit) = self.units.get_mut(&id) else { continue };
            match may {
                Err(why) => unit.reason = why,
                Ok(()) => {
                    self.numbers += 1;
                    unit.to(RunState::Starting, "", now);
                    unit.live = Some(Live {
                        number: self.numbers,
                        process: None,
                        started_ms: now.monotonic_ms,
                        answered_ms: None,
                        asked_ms: None,
                        killed_ms: None,
                    });
                    let spec = Box::new(unit.spec.clone());
                    self.said.push(Deed::Start { spec, number: self.numbers });
                }
            }
        }
    }

    fn known(&mut self, id: &str) -> Result<&mut Unit, Refused> {
        self.units.get_mut(id).filter(|unit| unit.gone_ms.is_none()).ok_or(Refused::NoSuchService)
    }

    fn say(&mut self, spec: &Spec, title: String) {
        self.said.push(Deed::Say { id: spec.id.clone(), title });
    }
}

#[cfg(test)]
mod tests;
