//! What a request holds while it is under way, and how each of it is given back, however
//! the request ends.

use std::{sync::Arc, time::Duration};

use hyper::StatusCode;
use plimsoll_core::request::Finish;
use tokio::time::Instant;

use super::{passing::is_failure, read::Share, refuse::Refused, state::State};
use crate::{
    admission::{Admit, BackendId, Outcome, Permit, Place},
    record::Trace,
    sse::Seen,
};

/// One request under way. Dropped without [`Course::end`], its client has left.
pub struct Course {
    pub state: Arc<State>,
    pub trace: Trace,
    /// As it was asked for.
    pub model: Arc<str>,
    permit: Option<Permit>,
    /// Without a permit: the server that it is for.
    asks: Option<BackendId>,
    /// Since then a backend may be at work on it.
    sent: Option<Instant>,
    answered: bool,
    first: bool,
    /// Of its prompt, as estimated.
    prompt_tokens: u32,
    tokens: Option<u32>,
    /// Its body's share in what is held.
    share: Option<Share>,
}

// === impl Course ===

impl Course {
    pub fn new(
        state: Arc<State>,
        trace: Trace,
        model: Arc<str>,
        prompt_tokens: u32,
        share: Share,
    ) -> Self {
        Self {
            state,
            trace,
            model,
            permit: None,
            asks: None,
            sent: None,
            answered: false,
            first: false,
            prompt_tokens,
            tokens: None,
            share: Some(share),
        }
    }

    pub fn holds(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// It is for this server, and takes no room there.
    pub fn asks(&mut self, backend: BackendId) {
        self.asks = Some(backend);
    }

    /// The backend that it goes to, and where it stood in line for it.
    pub fn backend(&self) -> Option<(BackendId, Option<Place>)> {
        match &self.permit {
            Some(permit) => Some((permit.grant.backend.clone(), permit.place)),
            None => Some((self.asks.clone()?, None)),
        }
    }

    /// From here on a backend may be at work on it: from when.
    pub fn sent(&mut self) -> Instant {
        if let Some(permit) = &self.permit {
            permit.sent();
        }
        let now = self.trace.sent();
        self.sent = Some(now);
        now
    }

    /// The first piece of its answer is there: it cannot be tried again, and its body goes.
    pub fn answered(&mut self, status: StatusCode) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        self.share = None;
        // A server that fails has not come back.
        if !is_failure(status)
            && let Some(permit) = &self.permit
        {
            permit.answered();
        }
    }

    /// The first piece of what does not stream.
    pub fn first(&mut self) {
        if !std::mem::replace(&mut self.first, true) {
            self.trace.first();
        }
    }

    /// The first token of a stream.
    pub fn first_token(&mut self, status: StatusCode) {
        if std::mem::replace(&mut self.first, true) {
            return;
        }
        self.trace.first();
        // The backend's own time counts, not our queue's: that would shrink the limit that
        // makes it wait.
        if status.is_success()
            && let (Some(permit), Some(sent)) = (&self.permit, self.sent)
        {
            permit.first_token(sent.elapsed().as_secs_f64() * 1000.0);
        }
    }

    /// What was seen of its answer.
    pub fn saw(&mut self, seen: &Seen) {
        let counts = seen.counts;
        let chunks = (seen.chunks > 0).then(|| u32::try_from(seen.chunks).unwrap_or(u32::MAX));
        // An answer that ended early was counted by nobody to its end: what was seen of it is
        // the least that it was. Anthropic's begin with a count of 0.
        let early = chunks.filter(|_| !seen.complete);
        self.trace.usage(counts.tokens_in, counts.tokens_out.max(early));
        // Who leaves before the backend counts them pays for what it got all the same.
        let written = counts.tokens_out.max(early).or(chunks);
        self.tokens = match (counts.tokens_in, written) {
            (None, None) => None,
            (read, written) => {
                let read = read.unwrap_or(self.prompt_tokens);
                Some(read.saturating_add(written.unwrap_or(0)))
            }
        };
    }

    /// Gives the permit back; after the pause it waits for another, at the head of the line
    /// and with its first deadline.
    pub fn again(&mut self, outcome: Outcome, pause: Duration) -> Option<Admit> {
        self.sent = None;
        self.trace.retry();
        Some(self.permit.take()?.retry_after(outcome, pause))
    }

    /// The request has ended; only the first call counts.
    pub fn end(&mut self, finish: Finish, reason: String, outcome: Outcome) {
        self.trace.finish(finish, reason);
        self.share = None;
        if let Some(permit) = self.permit.take() {
            self.give_back(permit, outcome, finish == Finish::TimedOut);
        }
    }

    /// Ends it without an answer of a backend.
    pub fn refuse(&mut self, refused: Refused, outcome: Outcome) -> Refused {
        self.trace.status(refused.status.as_u16());
        self.end(refused.finish, refused.message.clone(), outcome);
        Refused { request: Some(self.trace.id()), ..refused }
    }

    /// Where nobody waits any more for what a backend may still be at work on, its slot is
    /// watched until it is free.
    fn give_back(&self, permit: Permit, outcome: Outcome, given_up: bool) {
        if (given_up || outcome == Outcome::Unknown) && self.sent.is_some() {
            let end = (outcome, self.tokens);
            self.state.leave(permit, &self.model, self.trace.id(), end);
        } else {
            permit.end(outcome, self.tokens);
        }
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        // The trace takes it for left by itself.
        if let Some(permit) = self.permit.take() {
            self.give_back(permit, Outcome::Unknown, true);
        }
    }
}
