//! Another try, before anything of an answer has been passed on (DE2).
//!
//! A second execution is what a person asked for with the rule, and it is counted. It
//! needs the body once more, so the bodies that are held for it have a budget: no large
//! one, not too many bytes together, and none at all while the machine is short.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

use hyper::{StatusCode, header};

use tokio::time::Instant;

use super::{options::Retry, read::Share, state::State};
use crate::upstream::{Begun, Failure};

/// What is left of a request's tries.
pub struct Budget {
    left: u8,
    pause: Duration,
    longest: Duration,
    /// Its body is kept within the budget of all.
    _share: Option<Share>,
}

// === impl Budget ===

impl Budget {
    pub fn new(state: &State, rule: &Retry, body: usize) -> Self {
        let mut left = rule.most;
        let mut share = None;
        if left > 0 {
            let mut wanted = state.retries.share();
            if body <= rule.payload_bytes && wanted.grow(body, rule.held_bytes) {
                share = Some(wanted);
            } else {
                left = 0;
            }
        }
        Self { left, pause: rule.pause, longest: rule.longest_pause, _share: share }
    }

    /// Whether the next model of the same backend is asked at once: this one is not there, or
    /// fails by itself. What was never executed costs no try.
    pub fn hops(&mut self, state: &State, sent: &Result<Begun, Failure>, end: Instant) -> bool {
        let Ok(begun) = sent else { return false };
        let executed = match begun.head.status {
            StatusCode::NOT_FOUND => false,
            StatusCode::INTERNAL_SERVER_ERROR => true,
            _ => return false,
        };
        if state.is_stopping() || Instant::now() >= end {
            return false;
        }
        if executed {
            if self.left == 0 || state.desk.under_pressure() {
                return false;
            }
            self.left -= 1;
        }
        true
    }

    /// How long to wait before it is tried again; `None`: what came is the answer.
    /// Nothing is tried again after `end`.
    pub fn pause(
        &mut self,
        state: &State,
        sent: &Result<Begun, Failure>,
        end: Instant,
    ) -> Option<Duration> {
        let told = match sent {
            Ok(begun) if is_passing(begun.head.status) => retry_after(begun),
            Ok(_) => return None,
            // The time is over for another try, too.
            Err(Failure::SlowFirstByte { .. }) => return None,
            Err(_) => None,
        };
        if self.left == 0 || state.desk.under_pressure() || state.is_stopping() {
            return None;
        }
        if told.is_some_and(|told| told > self.longest) {
            return None;
        }
        let pause = told.unwrap_or(Duration::ZERO).max(jittered(self.pause));
        if Instant::now() + pause >= end {
            return None;
        }
        self.left -= 1;
        self.pause = self.pause.saturating_mul(2).min(self.longest);
        Some(pause)
    }
}

/// It says of itself that it will pass.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// Seconds; a date is not waited for.
pub fn retry_after(begun: &Begun) -> Option<Duration> {
    let told = begun.head.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    told.trim().parse().ok().map(Duration::from_secs)
}

/// Half of it, and up to as much again, so that those that failed together do not come
/// back together.
fn jittered(pause: Duration) -> Duration {
    let half = pause / 2;
    let random = RandomState::new().build_hasher().finish() >> 32;
    half + half.mul_f64(random as f64 / f64::from(u32::MAX))
}
