//! One service within the plan: its state, and what its own events make of it.

use std::time::Duration;

use plimsoll_core::{clock::Instant3, config::Restart};

use super::{Deed, GONE_MS, Running};
use crate::{
    managed::{
        backoff::{Backoff, ENDS, Next, WINDOW_MS},
        flags::Spec,
    },
    service::RunState,
};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
    /// It was not started by this Plimsoll, and only its parent is told.
    Unknown,
}

/// Why a start could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmade {
    pub why: String,
    /// Trying again helps nobody: there is no such program, say.
    pub lasting: bool,
}

#[derive(Debug)]
pub(super) struct Unit {
    pub spec: Spec,
    /// Since when it is not in the configuration any more.
    pub gone_ms: Option<i64>,
    /// It ran until it was out of the configuration: is it there again, it runs again.
    pub cut: bool,
    pub state: RunState,
    pub reason: String,
    pub since_ms: i64,
    /// Is to run again once it has stopped.
    pub again: bool,
    /// A person's word started it: it is not kept off.
    pub asked_for: bool,
    pub restarts: u32,
    pub backoff: Backoff,
    /// When it is started again.
    pub next: Option<Instant3>,
    pub live: Option<Live>,
}

/// One start, from its order to its end. Times run forward only.
#[derive(Debug)]
pub(super) struct Live {
    pub number: u64,
    pub process: Option<Running>,
    pub started_ms: i64,
    pub answered_ms: Option<i64>,
    /// When it was asked to end.
    pub asked_ms: Option<i64>,
    pub killed_ms: Option<i64>,
}

// === impl Unit ===

impl Unit {
    pub fn new(spec: Spec, now: Instant3) -> Self {
        Self {
            spec,
            gone_ms: None,
            cut: false,
            state: RunState::Stopped,
            reason: String::new(),
            since_ms: now.wall_ms,
            again: false,
            asked_for: false,
            restarts: 0,
            backoff: Backoff::default(),
            next: None,
            live: None,
        }
    }

    pub fn to(&mut self, state: RunState, reason: impl Into<String>, now: Instant3) {
        if self.state != state {
            self.since_ms = now.wall_ms;
        }
        self.state = state;
        self.reason = reason.into();
        self.next = None;
    }

    /// Out of the configuration for longer than an edit takes.
    pub fn is_gone(&self, now: Instant3) -> bool {
        self.gone_ms.is_some_and(|since| now.monotonic_ms - since >= GONE_MS)
    }

    /// It runs, or is about to, and nobody wants it to end.
    pub fn runs(&self) -> bool {
        self.live.is_some() && (self.state != RunState::Stopping || self.again)
    }

    /// Earlier ends count no more.
    pub fn fresh(&mut self) {
        self.backoff = Backoff::default();
        self.restarts = 0;
    }

    /// It is to run no more.
    pub fn end(&mut self, why: &str, now: Instant3) {
        (self.again, self.asked_for) = (false, false);
        let state = if self.live.is_some() { RunState::Stopping } else { RunState::Stopped };
        if self.state != state {
            self.to(state, why, now);
        }
    }

    /// Its process is gone, as it was to be.
    pub fn stopped(&mut self, now: Instant3) {
        let why = std::mem::take(&mut self.reason);
        if std::mem::take(&mut self.again) {
            self.fresh();
            self.to(RunState::Waiting, "", now);
        } else {
            self.to(RunState::Stopped, why, now);
        }
    }

    pub fn ended_by_itself(
        &mut self,
        live: &Live,
        how: Ended,
        last_line: Option<String>,
        now: Instant3,
    ) {
        // A person's word holds for one start.
        self.asked_for = false;
        let mut why = how.words();
        if let Some(line) = last_line {
            why.push_str(&format!("; its last line: {line}"));
        }
        let again = match self.spec.restart {
            Restart::Always => true,
            Restart::OnFailure => how != Ended::Code(0),
            Restart::Never => false,
        };
        if !again {
            let state = if how == Ended::Code(0) { RunState::Stopped } else { RunState::Failed };
            return self.to(state, why, now);
        }
        self.again_or_failed(why, live.answered_ms, now);
    }

    /// A start could not be made.
    pub fn not_made(&mut self, unmade: Unmade, now: Instant3) {
        if unmade.lasting || self.spec.restart == Restart::Never {
            self.to(RunState::Failed, unmade.why, now);
        } else {
            self.again_or_failed(unmade.why, None, now);
        }
    }

    fn again_or_failed(&mut self, why: String, served_since_ms: Option<i64>, now: Instant3) {
        match self.backoff.ended(now.monotonic_ms, served_since_ms) {
            Next::After(pause) => {
                self.to(RunState::Restarting, why, now);
                let pause = millis(pause);
                self.next = Some(Instant3 {
                    wall_ms: now.wall_ms + pause,
                    monotonic_ms: now.monotonic_ms + pause,
                    boottime_ms: now.boottime_ms + pause,
                });
            }
            Next::GiveUp => {
                let minutes = WINDOW_MS / 60_000;
                let last = why.strip_prefix("It ").unwrap_or(&why);
                let why =
                    format!("It ended {ENDS} times within {minutes} min, the last time so: {last}");
                self.to(RunState::Failed, why, now);
            }
        }
    }

    /// The signal that is due, if one is. From `kill_ms` on it is killed whatever its grace.
    pub fn signal(&mut self, kill_ms: Option<i64>, now: Instant3) -> Option<Deed> {
        let live = self.live.as_mut().filter(|live| live.process.is_some())?;
        if self.state != RunState::Stopping || live.killed_ms.is_some() {
            return None;
        }
        let kill = match live.asked_ms {
            None => {
                live.asked_ms = Some(now.monotonic_ms);
                false
            }
            Some(asked)
                if now.monotonic_ms - asked >= millis(self.spec.grace)
                    || kill_ms.is_some_and(|at| now.monotonic_ms >= at) =>
            {
                live.killed_ms = Some(now.monotonic_ms);
                true
            }
            Some(_) => return None,
        };
        Some(Deed::Signal { id: self.spec.id.clone(), number: live.number, kill })
    }
}

// === impl Unmade ===

/// Most of what keeps a start from being made passes.
impl From<String> for Unmade {
    fn from(why: String) -> Self {
        Self { why, lasting: false }
    }
}

// === impl Ended ===

impl Ended {
    fn words(self) -> String {
        match self {
            Ended::Code(0) => "It ended by itself, without a fault".into(),
            Ended::Code(code) => format!("It ended with code {code}"),
            Ended::Signal(9) => {
                "It ended by signal 9: memory ran out, or somebody killed it".into()
            }
            Ended::Signal(signal) => format!("It ended by signal {signal}"),
            Ended::Unknown => "It ended, and how is not known".into(),
        }
    }
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}
