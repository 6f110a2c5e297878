//! The plan as it is told to others.

use super::{Plan, Unit};
use crate::service::{Run, RunState};

/// How a managed service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub run: Run,
    /// The configuration has another command for it than the one that runs.
    pub changed: bool,
}

// === impl Plan ===

impl Plan {
    /// All services, with their ids.
    pub fn states(&self) -> impl Iterator<Item = (String, State)> {
        self.units.iter().map(|(id, unit)| (id.clone(), unit.told()))
    }
}

// === impl Unit ===

impl Unit {
    fn told(&self) -> State {
        let process = self.live.as_ref().and_then(|live| live.process.as_ref());
        let stays = matches!(self.state, RunState::Starting | RunState::Running);
        State {
            run: Run {
                state: self.state,
                reason: self.reason.clone(),
                since_ms: self.since_ms,
                pid: process.map(|process| process.pid),
                restarts: self.restarts,
                next_ms: self.next.map(|next| next.wall_ms),
                planned_vram_bytes: self.spec.planned,
                command: match process {
                    Some(process) => process.command.clone(),
                    None => self.spec.launch.shown(),
                },
            },
            changed: stays
                && process
                    .is_some_and(|process| process.fingerprint != self.spec.launch.fingerprint()),
        }
    }
}
