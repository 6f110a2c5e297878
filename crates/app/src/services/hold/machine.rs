//! What a hold is and what comes next: no clock, no server, no disk.
//!
//! Every step is written down before it is done, so that a Plimsoll that ends in
//! the middle knows afterwards what it may have taken away. Bringing back goes in the
//! reverse order: a server is started before its models are loaded.

use plimsoll_core::clock::Instant3;
use plimsoll_services::adapter::Stay;
use serde::{Deserialize, Serialize};

use crate::api::{Hold, HoldState, HoldStep, MAX_HOLD_MINUTES};

/// Most steps of a hold.
pub const MAX_STEPS: usize = 64;
/// By so much two clocks may drift apart between two looks before one was set.
const CLOCK_SET_MS: i64 = 1000;

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Planned,
    /// It was asked for, and nobody knows yet whether it was done.
    Asked,
    Freed,
    /// It was asked for and not done, though it may yet come to pass.
    Refused,
    /// Nothing was asked: it cannot be freed, or the hold ended before its turn.
    Spared,
    Restored,
    /// It could not be brought back.
    Lost,
}

/// One thing that is taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub service: String,
    /// For people.
    pub name: String,
    /// `None`: the whole service is stopped.
    pub model: Option<String>,
    /// How long the model stayed when nobody asked for it.
    pub stay: Stay,
    /// Plimsoll runs the service: it can be stopped where a model cannot be unloaded.
    pub can_stop: bool,
    pub phase: Phase,
    pub trouble: String,
    /// Requests that are to end before it is taken away.
    #[serde(skip)]
    pub waits_for: u32,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Free(usize),
    /// All is free that can be: VRAM is read.
    Measure,
    /// Until its end, or a word.
    Wait,
    Restore(usize),
    Nothing,
}

/// A hold, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub state: HoldState,
    pub from_ms: i64,
    pub until_ms: i64,
    /// Services that were named; empty: all.
    pub named: Vec<String>,
    pub steps: Vec<Step>,
    pub before_bytes: Option<u64>,
    pub after_bytes: Option<u64>,
    /// Its end on the clocks of this start.
    #[serde(skip)]
    end: Option<End>,
}

/// The end on a clock that nobody can set and that runs on while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    boottime_ms: i64,
    /// Wall time less boot time, as they were last seen.
    offset_ms: i64,
}

// === impl Step ===

impl Step {
    pub fn model(service: &str, name: &str, model: &str) -> Self {
        Self {
            service: service.into(),
            name: name.into(),
            model: Some(model.into()),
            stay: Stay::Usual,
            can_stop: false,
            phase: Phase::Planned,
            trouble: String::new(),
            waits_for: 0,
        }
    }

    pub fn stop(service: &str, name: &str) -> Self {
        Self { model: None, can_stop: true, ..Self::model(service, name, "") }
    }

    /// What cannot be freed, and why.
    pub fn spared(service: &str, name: &str, why: impl Into<String>) -> Self {
        let (phase, trouble) = (Phase::Spared, why.into());
        Self { model: None, phase, trouble, ..Self::model(service, name, "") }
    }

    /// What it is about, for people: `qwen on Ollama`, `Ollama`.
    pub fn what(&self) -> String {
        match &self.model {
            Some(model) => format!("{model} on {}", self.name),
            None => self.name.clone(),
        }
    }

    fn is_of(&self, other: &Step) -> bool {
        self.service == other.service && self.model == other.model
    }

    fn told(&self) -> HoldStep {
        HoldStep {
            service: self.service.clone(),
            model: self.model.clone(),
            freed: matches!(self.phase, Phase::Freed | Phase::Restored | Phase::Lost),
            restored: self.phase == Phase::Restored,
            trouble: self.trouble.clone(),
            waits_for: self.waits_for,
        }
    }
}

// === impl Machine ===

impl Machine {
    pub fn begin(
        now: Instant3,
        minutes: u32,
        named: Vec<String>,
        steps: Vec<Step>,
        before_bytes: Option<u64>,
    ) -> Self {
        let mut machine = Self {
            state: HoldState::Freeing,
            from_ms: now.wall_ms,
            until_ms: now.wall_ms,
            named,
            steps,
            before_bytes,
            after_bytes: None,
            end: None,
        };
        machine.extend(now, minutes);
        machine
    }

    /// Goes on after Plimsoll was away. What was asked for then is asked for once more, and
    /// looked after at the end.
    pub fn resume(mut self, now: Instant3) -> Self {
        self.steps.truncate(MAX_STEPS);
        if !self.is_on() {
            return self;
        }
        // A clock that was set meanwhile makes no hold longer than it was.
        let longest = (self.until_ms - self.from_ms).clamp(0, i64::from(MAX_HOLD_MINUTES) * 60_000);
        let left = (self.until_ms - now.wall_ms).clamp(0, longest);
        self.set_end(now, left);
        self
    }

    pub fn is_on(&self) -> bool {
        self.state != HoldState::Ended
    }

    /// So long from now on.
    pub fn extend(&mut self, now: Instant3, minutes: u32) {
        self.set_end(now, i64::from(minutes.clamp(1, MAX_HOLD_MINUTES)) * 60_000);
    }

    fn set_end(&mut self, now: Instant3, left_ms: i64) {
        self.until_ms = now.wall_ms + left_ms;
        let offset_ms = now.wall_ms - now.boottime_ms;
        self.end = Some(End { boottime_ms: now.boottime_ms + left_ms, offset_ms });
    }

    /// Takes further steps; those that are there already stay as they are. No step changes its
    /// place: one of them may be under way.
    pub fn add(&mut self, steps: Vec<Step>) {
        let takes = matches!(self.state, HoldState::Freeing | HoldState::Held);
        for step in steps.into_iter().filter(|_| takes) {
            match self.steps.iter().position(|old| old.is_of(&step)) {
                Some(at) if self.steps[at].phase == Phase::Spared => self.steps[at] = step,
                Some(_) => continue,
                None if self.steps.len() < MAX_STEPS => self.steps.push(step),
                None => continue,
            }
            self.state = HoldState::Freeing;
        }
    }

    /// Takes what came to hold VRAM while the hold began; true where there is something. What was
    /// asked for once is not asked again, and no service is stopped that let its models go.
    pub fn add_late(&mut self, steps: Vec<Step>) -> bool {
        let covers = |old: &Step, step: &Step| {
            let same = old.model.is_none() || step.model.is_none() || old.model == step.model;
            old.service == step.service && old.phase != Phase::Spared && same
        };
        let is_late = |step: &Step| {
            step.phase == Phase::Planned && !self.steps.iter().any(|old| covers(old, step))
        };
        let late: Vec<Step> = steps.into_iter().filter(is_late).collect();
        let before = self.steps.clone();
        self.add(late);
        self.steps != before
    }

    /// The steps that an earlier hold could not bring back: the next one's end tries again.
    pub fn lost_steps(&self) -> Vec<Step> {
        let lost = self.steps.iter().filter(|step| step.phase == Phase::Lost);
        lost.map(|step| Step { phase: Phase::Freed, trouble: String::new(), ..step.clone() })
            .collect()
    }

    /// Time has passed; true where something changed by it. Sleep counts, and a clock that was
    /// set moves the end with it.
    pub fn pass(&mut self, now: Instant3) -> bool {
        let Some(end) = &mut self.end else { return false };
        let offset_ms = now.wall_ms - now.boottime_ms;
        let set_ms = offset_ms - end.offset_ms;
        let mut changed = false;
        if set_ms.abs() > CLOCK_SET_MS {
            end.offset_ms = offset_ms;
            self.until_ms += set_ms;
            changed = true;
        }
        if now.boottime_ms >= end.boottime_ms {
            changed |= self.end();
        }
        changed
    }

    /// What is left until its end.
    pub fn left_ms(&self, now: Instant3) -> i64 {
        self.end.map_or(0, |end| (end.boottime_ms - now.boottime_ms).max(0))
    }

    /// Brings everything back; after the end, what could not be brought back then. False where
    /// there is nothing to do.
    pub fn end(&mut self) -> bool {
        match self.state {
            HoldState::Freeing | HoldState::Held => {
                for step in self.steps.iter_mut().filter(|step| step.phase == Phase::Planned) {
                    step.phase = Phase::Spared;
                    step.trouble = "It was left: the hold ended before its turn.".into();
                    step.waits_for = 0;
                }
            }
            HoldState::Restoring => return false,
            HoldState::Ended => {
                let lost = self.steps.iter_mut().filter(|step| step.phase == Phase::Lost);
                let again = lost.map(|step| step.phase = Phase::Freed).count();
                if again == 0 {
                    return false;
                }
            }
        }
        self.state = HoldState::Restoring;
        true
    }

    pub fn next(&self) -> Next {
        let is = |phases: &[Phase], step: &Step| phases.contains(&step.phase);
        match self.state {
            HoldState::Freeing => {
                let wanted = [Phase::Planned, Phase::Asked];
                let first = self.steps.iter().position(|step| is(&wanted, step));
                first.map_or(Next::Measure, Next::Free)
            }
            HoldState::Held => Next::Wait,
            HoldState::Restoring => {
                let taken = [Phase::Freed, Phase::Asked, Phase::Refused];
                let last = self.steps.iter().rposition(|step| is(&taken, step));
                last.map_or(Next::Nothing, Next::Restore)
            }
            HoldState::Ended => Next::Nothing,
        }
    }

    /// So many requests are to end before it is asked for.
    pub fn waits(&mut self, at: usize, requests: u32) {
        if let Some(step) = self.steps.get_mut(at) {
            step.waits_for = requests;
        }
    }

    /// It is still to be freed: nobody has ended the hold meanwhile.
    pub fn is_wanted(&self, at: usize) -> bool {
        self.state == HoldState::Freeing && self.next() == Next::Free(at)
    }

    /// It is asked for from now on.
    pub fn asked(&mut self, at: usize) {
        self.set(at, Phase::Asked, "");
    }

    /// It is gone, and with a whole service its models.
    pub fn freed(&mut self, at: usize) {
        self.set(at, Phase::Freed, "");
        let Some(Step { service, model: None, .. }) = self.steps.get(at).cloned() else { return };
        let with_it = |step: &&mut Step| step.service == service && step.phase == Phase::Refused;
        for step in self.steps.iter_mut().filter(with_it) {
            step.phase = Phase::Freed;
            step.trouble.clear();
        }
    }

    /// It was not freed. Of a service that Plimsoll runs, the whole is stopped instead; its models
    /// stay on the list, before the stop, and so are loaded again once it runs.
    pub fn refused(&mut self, at: usize, why: &str) {
        let Some(Step { service, name, model, can_stop, .. }) = self.steps.get(at).cloned() else {
            return;
        };
        self.set(at, Phase::Refused, why);
        let of = |step: &Step| step.service == service && step.phase != Phase::Spared;
        let stops = self.steps.iter().any(|step| of(step) && step.model.is_none());
        if model.is_none() || !can_stop || stops || self.state != HoldState::Freeing {
            return;
        }
        for step in self.steps.iter_mut().filter(|step| of(step) && step.phase == Phase::Planned) {
            step.phase = Phase::Refused;
            step.trouble = why.into();
        }
        if self.steps.len() >= MAX_STEPS {
            self.steps.remove(at);
        }
        let last = self.steps.iter().rposition(|step| step.service == service);
        self.steps.insert(last.map_or(at, |last| last + 1), Step::stop(&service, &name));
    }

    /// A step that was refused has come to pass after all.
    pub fn went(&mut self, service: &str, model: &str) -> bool {
        let late = self.steps.iter_mut().find(|step| {
            step.phase == Phase::Refused
                && step.service == service
                && step.model.as_deref() == Some(model)
        });
        let Some(late) = late else { return false };
        late.phase = Phase::Freed;
        late.trouble.clear();
        true
    }

    pub fn measured(&mut self, after_bytes: Option<u64>) {
        if self.state == HoldState::Freeing {
            self.after_bytes = after_bytes;
            self.state = HoldState::Held;
        }
    }

    pub fn restored(&mut self, at: usize) {
        self.set(at, Phase::Restored, "");
    }

    /// It was never taken away: what was asked was not done.
    pub fn kept(&mut self, at: usize) {
        if let Some(step) = self.steps.get_mut(at) {
            step.phase = Phase::Spared;
        }
    }

    pub fn lost(&mut self, at: usize, why: &str) {
        self.set(at, Phase::Lost, why);
    }

    /// Everything is back that can be.
    pub fn over(&mut self) {
        self.state = HoldState::Ended;
        self.end = None;
    }

    fn set(&mut self, at: usize, phase: Phase, trouble: &str) {
        if let Some(step) = self.steps.get_mut(at) {
            step.phase = phase;
            step.trouble = trouble.into();
            step.waits_for = 0;
        }
    }

    /// As it is told.
    pub fn told(&self) -> Hold {
        Hold {
            state: self.state,
            from_ms: self.from_ms,
            until_ms: self.until_ms,
            steps: self.steps.iter().map(Step::told).collect(),
            vram_before_bytes: self.before_bytes,
            vram_after_bytes: self.after_bytes,
        }
    }

    /// The steps that could not be brought back.
    pub fn losses(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.phase == Phase::Lost)
    }
}

#[cfg(test)]
mod tests;
