//! How a service is, by convention (AA4). Pure: looks go in, changes come out.
//!
//! - **healthy**: it answers its health path with 2xx, in good time.
//! - **degraded**: it answers, and says that it is not well, or wants a key, or
//!   sends what cannot be understood, or was slow three times in a row.
//! - **starting**: it says that it loads, or it does not answer and its process
//!   began less than ten minutes ago and has not answered yet; ten minutes at most,
//!   however often it begins anew.
//! - **down**: it did not answer twice in a row (once is a moment that passes), or has
//!   been starting for longer than that.
//!
//! While it is down it is asked less and less often, up to every 30 s.

use std::time::Duration;

use plimsoll_core::unit::lasting;

use crate::{adapter::Condition, client::CallError, service::ServiceState};

/// Looks without an answer after which a service is down.
pub const FAILURES: u32 = 2;
/// Slow looks in a row after which a service is degraded.
pub const SLOW_LOOKS: u32 = 3;
/// How long a process may take to answer for the first time, and a model to load.
pub const START_MS: i64 = 600_000;
/// Without an answer for so long it is away: what comes then is another start. Less is a
/// start that broke off and is tried again.
const AWAY_MS: i64 = 60_000;
/// How old an answer to "how is it?" may be (MV17). The watch itself never asks this.
pub const HEALTH_LIFE_MS: i64 = 30_000;

/// Longest reason, in characters: it may quote a server.
const LONGEST_REASON: usize = 400;

/// Pauses after the first, second, … look without an answer; the last one stays.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// One look, as the machine needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub at_ms: i64,
    pub outcome: Result<&'a Condition, &'a CallError>,
    pub took: Duration,
    /// What a single call may take; a look that takes half of it is slow.
    pub budget: Duration,
    /// When the process behind it started, where that is known.
    pub process_started_ms: Option<i64>,
}

/// A change from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub from: ServiceState,
    pub to: ServiceState,
    /// One sentence without a full stop; empty where it is healthy now.
    pub reason: String,
    pub at_ms: i64,
    /// How long the state before lasted.
    pub lasted_ms: i64,
}

/// The state of one service.
#[derive(Clone, Debug)]
pub struct Machine {
    state: ServiceState,
    reason: String,
    since_ms: i64,
    /// Looks in a row without an answer.
    failures: u32,
    slow: u32,
    /// Since when it is on its way up without having been there once.
    rising_since_ms: Option<i64>,
    /// Since when there was no answer and no start either.
    away_since_ms: Option<i64>,
    /// Start of the process that has answered.
    answered: Option<i64>,
    /// When there was an answer last: what ran by then does not start any more.
    answered_ms: Option<i64>,
}

// === impl Machine ===

impl Machine {
    /// A service that was not looked at yet.
    pub fn new(at_ms: i64) -> Self {
        Self {
            state: ServiceState::Starting,
            reason: "not looked at yet".into(),
            since_ms: at_ms,
            failures: 0,
            slow: 0,
            rising_since_ms: None,
            away_since_ms: None,
            answered: None,
            answered_ms: None,
        }
    }

    pub fn state(&self) -> ServiceState {
        self.state
    }

    /// Why; empty while healthy.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// Looks in a row without an answer.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes one look; answers with the change where there is one.
    pub fn take(&mut self, look: Look<'_>) -> Option<Change> {
        let (state, reason) = self.judge(look)?;
        self.reason = reason.chars().take(LONGEST_REASON).collect();
        if state == self.state {
            return None;
        }
        let change = Change {
            from: self.state,
            to: state,
            reason: self.reason.clone(),
            at_ms: look.at_ms,
            // A clock that was set back makes no span below zero.
            lasted_ms: (look.at_ms - self.since_ms).max(0),
        };
        self.state = state;
        self.since_ms = look.at_ms;
        Some(change)
    }

    /// How long to wait for the next look: the cadence, and longer after looks
    /// without an answer.
    pub fn pause(&self, cadence: Duration) -> Duration {
        pause_after(self.failures, cadence)
    }

    /// The state that follows and its reason; `None` where nothing can be said yet.
    fn judge(&mut self, look: Look<'_>) -> Option<(ServiceState, String)> {
        if let Err(error) = look.outcome
            && is_no_answer(error)
        {
            return self.no_answer(error, look);
        }
        self.failures = 0;
        self.away_since_ms = None;
        self.answered_ms = Some(look.at_ms);
        if look.process_started_ms.is_some() {
            self.answered = look.process_started_ms;
        }
        let condition = match look.outcome {
            Ok(condition) => condition,
            Err(error) => {
                self.rising_since_ms = None;
                return Some((ServiceState::Degraded, error.to_string()));
            }
        };
        if let Condition::Loading(said) = condition {
            let rising_ms = self.rising_ms(look.at_ms);
            return Some(if rising_ms > START_MS {
                // It serves nobody, whatever it answers.
                let minutes = rising_ms / 60_000;
                (ServiceState::Down, format!("has been loading for {minutes} min"))
            } else {
                (ServiceState::Starting, said.clone())
            });
        }
        self.rising_since_ms = None;
        match condition {
            Condition::Ailing(said) | Condition::Locked(said) => {
                Some((ServiceState::Degraded, said.clone()))
            }
            Condition::Ready | Condition::Loading(_) => Some(self.ready(look)),
        }
    }

    fn ready(&mut self, look: Look<'_>) -> (ServiceState, String) {
        self.slow = if look.took * 2 > look.budget { self.slow.saturating_add(1) } else { 0 };
        if self.slow < SLOW_LOOKS {
            // Slow once more, it stays degraded; well once, it is well.
            return (ServiceState::Healthy, String::new());
        }
        (ServiceState::Degraded, format!("answers slowly: {} ms", look.took.as_millis()))
    }

    fn no_answer(&mut self, error: &CallError, look: Look<'_>) -> Option<(ServiceState, String)> {
        self.failures = self.failures.saturating_add(1);
        self.slow = 0;
        if let Some(started_ms) = look.process_started_ms
            && self.answered != Some(started_ms)
            && self.answered_ms.is_none_or(|at_ms| at_ms < started_ms)
            && (0..START_MS).contains(&(look.at_ms - started_ms))
            && self.rising_ms(look.at_ms) <= START_MS
        {
            self.away_since_ms = None;
            return Some((ServiceState::Starting, format!("its process starts; {error}")));
        }
        let away_since_ms = *self.away_since_ms.get_or_insert(look.at_ms);
        if look.at_ms - away_since_ms >= AWAY_MS {
            self.rising_since_ms = None;
        }
        (self.failures >= FAILURES).then(|| (ServiceState::Down, error.to_string()))
    }

    /// How long it is on its way up by now.
    fn rising_ms(&mut self, at_ms: i64) -> i64 {
        at_ms - *self.rising_since_ms.get_or_insert(at_ms)
    }
}

/// Whether this is no answer of the service at all. What does not speak HTTP is
/// another program on its port.
fn is_no_answer(error: &CallError) -> bool {
    error.is_absent() || matches!(error, CallError::NotHttp { .. } | CallError::Redirected { .. })
}

/// The pause after so many looks in a row without an answer.
pub fn pause_after(failures: u32, cadence: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => cadence,
        Some(nth) => {
            let nth = usize::try_from(nth).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
            PAUSES[nth].max(cadence)
        }
    }
}

/// Whether what was seen at `checked_ms` may still be told to those who ask how a
/// service is (MV17). A time that lies ahead is one before the clock was set back.
pub fn is_fresh(checked_ms: Option<i64>, now_ms: i64) -> bool {
    checked_ms.is_some_and(|checked_ms| (0..=HEALTH_LIFE_MS).contains(&(now_ms - checked_ms)))
}

/// The sentence of a change's mark. The window reads from it which state began
/// (`ui/src/pages/services/bands.ts`): another sentence here is another one there.
pub fn words_of(name: &str, change: &Change) -> String {
    match (change.from, change.to) {
        (ServiceState::Down, ServiceState::Healthy) => {
            format!("{name} is up again after {}", lasting(change.lasted_ms))
        }
        (_, ServiceState::Healthy) => format!("{name} is healthy"),
        (_, to) => {
            let state = match to {
                ServiceState::Starting => "starting",
                ServiceState::Degraded => "degraded",
                ServiceState::Down => "down",
                ServiceState::Healthy | ServiceState::Unknown => "not watched",
            };
            if change.reason.is_empty() {
                format!("{name} is {state}")
            } else {
                format!("{name} is {state}: {}", change.reason)
            }
        }
    }
}

#[cfg(test)]
mod tests;
