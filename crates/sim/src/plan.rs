//! What the simulated machine is and does by its scenario, and what a person did to
//! it meanwhile.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    machine::{Machine, ProcessSpec},
    noise::{NOISE_PROCESSES, Noise},
    scenario::{DAY_S, Levels, Scenario},
};

pub const GIB: f64 = 1_073_741_824.0;
pub const MIB: f64 = 1_048_576.0;
/// Sizes are whole multiples of this, as the catalogue's resolution is.
pub const PAGE: f64 = 65_536.0;

/// How long what a person began runs where its time of day would not have it.
const BEGUN_S: i64 = 4 * 3600;

/// What does not change while it runs.
#[derive(Debug)]
pub struct Plan {
    pub scenario: Scenario,
    pub machine: Machine,
    pub noise: Noise,
    /// The second at which counters are zero.
    pub anchor_s: i64,
    /// The second at which live reading starts.
    pub start_s: i64,
    /// What to add to a second to get the machine's own time of day.
    pub day_offset_s: i64,
    /// Pids that a person ended or began, and the second in which they did.
    pub willed: Mutex<HashMap<i32, Willed>>,
    /// Pids whose model a person took out of memory, and the second of it.
    pub emptied: Mutex<HashMap<i32, i64>>,
}

/// What a person did with a process.
#[derive(Clone, Copy, Debug)]
pub enum Willed {
    Ended(i64),
    Began(i64),
}

// === impl Plan ===

impl Plan {
    /// The machine's own time of day.
    pub fn time_of_day(&self, second: i64) -> i64 {
        (second + self.day_offset_s).rem_euclid(DAY_S)
    }

    /// The second of the scenario.
    pub fn scene(&self, second: i64) -> i64 {
        if self.scenario.length.0 == DAY_S {
            self.time_of_day(second)
        } else {
            (second - self.start_s).rem_euclid(self.scenario.length.0)
        }
    }

    pub fn gpu_lost(&self, second: i64) -> Option<&str> {
        self.scenario.gpu_lost(self.scene(second))
    }

    /// When the process that lives at `second` began, were it left alone.
    pub fn birth(&self, spec: &ProcessSpec, second: i64) -> Option<i64> {
        let (Some(from), Some(to)) = (spec.from, spec.to) else {
            // Up for days; higher pids came later.
            return Some(self.anchor_s - 6 * DAY_S + i64::from(spec.pid) * 19);
        };
        let now = self.time_of_day(second);
        (from.0..to.0).contains(&now).then_some(second - (now - from.0))
    }

    pub fn end(&self, pid: i32, second: i64) {
        self.will(pid, Willed::Ended(second));
    }

    /// Somebody starts it now.
    pub fn begin(&self, pid: i32, second: i64) {
        self.will(pid, Willed::Began(second));
    }

    fn will(&self, pid: i32, willed: Willed) {
        self.willed.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, willed);
    }

    /// When a process began that lives at that second, after all that was done to it.
    pub fn born(&self, spec: &ProcessSpec, second: i64) -> Option<i64> {
        let willed = self.willed.lock().unwrap_or_else(PoisonError::into_inner);
        birth_after(self.birth(spec, second), willed.get(&spec.pid), second)
    }

    /// Somebody loads the model of a process that lives on, or takes it out of memory.
    pub fn hold(&self, pid: i32, second: i64, loaded: bool) {
        let mut emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded {
            emptied.remove(&pid);
        } else {
            emptied.insert(pid, second);
        }
    }

    /// Whether the model of a process that began at `born` is out of memory.
    pub fn is_emptied(&self, pid: i32, born: i64, second: i64) -> bool {
        let emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        emptied.get(&pid).is_some_and(|at| (born..=second).contains(at))
    }

    /// Resident memory in bytes of a process that lives; `loaded` of its loading is done.
    pub fn rss(&self, index: usize, loaded: f64, calm: &Levels, second: i64) -> f64 {
        let spec = &self.machine.processes[index];
        let wander = 1.0 + 0.012 * self.noise.smooth(NOISE_PROCESSES + index as u64, second, 300);
        pages((spec.rss_gib * (0.15 + 0.85 * loaded) + spec.rss_at.of(calm)) * wander)
    }

    /// The levels at a second, with the restlessness of real use.
    pub fn levels(&self, second: i64) -> Levels {
        let calm = self.scenario.levels(self.scene(second));
        self.restless(&calm, second)
    }

    pub fn restless(&self, calm: &Levels, second: i64) -> Levels {
        let mut levels = *calm;
        for (level, stream) in levels.iter_mut().zip(0u64..) {
            *level *= 1.0
                + 0.30 * self.noise.smooth(stream, second, 47)
                + 0.16 * self.noise.smooth(stream + 20, second, 7)
                + 0.10 * self.noise.white(stream + 40, second);
        }
        levels
    }
}

/// What a person did counts until the next start that was planned.
pub fn birth_after(planned: Option<i64>, willed: Option<&Willed>, second: i64) -> Option<i64> {
    match willed {
        Some(Willed::Ended(end)) => planned.filter(|born| end < born),
        Some(Willed::Began(at)) if planned.is_none_or(|born| born < *at) => {
            (planned.is_some() || second - at < BEGUN_S).then_some(*at)
        }
        _ => planned,
    }
}

/// Bytes in whole pages.
pub fn pages(gib: f64) -> f64 {
    (gib * GIB / PAGE).round() * PAGE
}
