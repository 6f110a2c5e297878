//! An answer that passes from its backend to its client, watched and timed on the way.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::StatusCode;
use plimsoll_core::request::Finish;
use tokio::time::Instant;

use super::{
    course::Course,
    ending::Ending,
    pace::{Pace, TOO_LONG},
    refuse::{Dialect, Refused},
};
use crate::{
    admission::Outcome,
    sse::{Form, Seen, Watch},
    upstream::{Flow, Upstream},
};

/// An answer that passes through as its backend writes it.
pub struct Passing {
    course: Course,
    flow: Option<Flow>,
    upstream: Arc<Upstream>,
    /// Looks at what passes.
    watch: Watch,
    form: Form,
    /// What passes may be changed on the way.
    cuts: bool,
    dialect: Dialect,
    pace: Pace,
    status: StatusCode,
    ready: VecDeque<Bytes>,
    ending: Ending,
}

// === impl Passing ===

impl Passing {
    pub fn new(
        course: Course,
        flow: Flow,
        upstream: Arc<Upstream>,
        (watch, form, cuts): (Watch, Form, bool),
        dialect: Dialect,
        pace: Pace,
        status: StatusCode,
    ) -> Self {
        Self {
            course,
            flow: Some(flow),
            upstream,
            watch,
            form,
            cuts,
            dialect,
            pace,
            status,
            ready: VecDeque::new(),
            ending: Ending::default(),
        }
    }

    /// A piece that came before this was made.
    pub fn begin_with(&mut self, piece: Bytes) {
        self.take(piece);
    }

    /// Its last piece was taken.
    pub fn is_over(&self) -> bool {
        self.ending.is_over() && self.ready.is_empty()
    }

    /// See [`super::answer::Answer::is_sound`].
    pub fn is_sound(&self) -> bool {
        self.ending.is_over() && is_sound(self.form, self.watch.seen())
    }

    /// Its client has left, and others hear it to its end.
    pub fn client_left(&mut self) {
        self.course.trace.left();
    }

    pub fn size(&self) -> Option<u64> {
        // What is changed has another size.
        if self.cuts {
            return None;
        }
        let waiting: u64 = self.ready.iter().map(|piece| piece.len() as u64).sum();
        Some(self.flow.as_ref()?.size()? + waiting)
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                self.course.trace.answer(&piece);
                return Poll::Ready(Some(Ok(piece)));
            }
            if let Some(ended) = self.ending.poll(cx) {
                return ended;
            }
            if self.course.trace.poll_cancelled(cx).is_ready() {
                self.give_up(Refused::cancelled(), Outcome::Unknown);
                continue;
            }
            // Also where nobody ever falls silent: a slow reader holds no room for ever.
            if self.pace.is_over() {
                self.too_late(TOO_LONG);
                continue;
            }
            let Some(flow) = &mut self.flow else {
                self.ending = Ending::Over;
                continue;
            };
            match flow.poll_next(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    self.take(piece);
                    // The end most often came with the last piece: then it is told with it.
                    if self.flow.as_ref().is_some_and(Flow::is_over) {
                        self.end(cx);
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a backend broke off");
                    let place = self.upstream.place();
                    self.give_up(Refused::broken_off(&place), Outcome::Failed);
                }
                Poll::Ready(None) => self.end(cx),
                Poll::Pending => {
                    let late = ready!(self.pace.poll_late(cx));
                    self.too_late(late);
                }
            }
        }
    }

    fn too_late(&mut self, why: &str) {
        let place = self.upstream.place();
        self.give_up(Refused::too_late(format!("{place} {why}.")), Outcome::Failed);
    }

    fn take(&mut self, piece: Bytes) {
        let now = Instant::now();
        self.pace.heard = now;
        self.course.answered(self.status);
        let now_us = self.us(now);
        self.ready.extend(self.watch.feed(piece, now_us));
        let seen = self.watch.seen();
        match self.form {
            Form::Events | Form::Lines => {
                if seen.first_us.is_some() {
                    self.course.first_token(self.status);
                    self.course.trace.tokens(u32::try_from(seen.chunks).unwrap_or(u32::MAX));
                }
            }
            Form::Whole | Form::Unread => self.course.first(),
        }
    }

    fn us(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.course.trace.begun());
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// Its last piece has come.
    fn end(&mut self, cx: &mut Context<'_>) {
        if let Some(flow) = self.flow.take() {
            self.upstream.rest(flow, cx);
        }
        let now_us = self.us(Instant::now());
        self.ready.extend(self.watch.end(now_us));
        self.saw();
        let (finish, reason, outcome) = self.verdict();
        self.course.end(finish, reason, outcome);
        self.ending = Ending::Over;
    }

    /// How an answer that came to its end went.
    fn verdict(&self) -> (Finish, String, Outcome) {
        let seen = self.watch.seen();
        match &seen.error {
            // A mistake of the client's own, told within a stream that had begun.
            Some(error) if seen.error_status.is_some_and(|code| (400..500).contains(&code)) => {
                (Finish::Failed, error.to_string(), Outcome::Served)
            }
            Some(error) => (Finish::Failed, error.to_string(), Outcome::Failed),
            // It closed as if all were well, and never said that it was done.
            None if seen.chunks > 0 && !seen.complete && self.form == Form::Events => {
                let place = self.upstream.place();
                let reason = format!("{place} ended its answer without saying that it was whole.");
                (Finish::Failed, reason, Outcome::Served)
            }
            None => (Finish::Answered, String::new(), outcome_of(self.status)),
        }
    }

    fn saw(&mut self) {
        self.course.saw(self.watch.seen());
        if let (Some(p50), Some(p95)) = (self.watch.gap_us(0.5), self.watch.gap_us(0.95)) {
            self.course.trace.itl(p50, p95);
        }
    }

    /// Closes upstream at once, tells a stream's reader why, and breaks.
    fn give_up(&mut self, why: Refused, outcome: Outcome) {
        // A stream whose length was promised would look whole with other bytes in it.
        let promised = self.size().is_some();
        self.flow = None;
        self.saw();
        if matches!(self.form, Form::Events | Form::Lines) && !promised {
            self.ready.push_back(self.dialect.event(&why, self.watch.is_between()));
        }
        self.course.end(why.finish, why.message, outcome);
        self.ending = Ending::Flush;
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.flow.is_some() {
            // Its client left: what was seen until then is kept.
            self.saw();
        }
    }
}

/// Whether an answer whose last piece has come is whole and tells of no error.
pub fn is_sound(form: Form, seen: &Seen) -> bool {
    let ended = match form {
        Form::Events | Form::Lines => seen.complete,
        Form::Whole => true,
        Form::Unread => false,
    };
    ended && seen.error.is_none()
}

/// What an answer that came whole says of its backend.
pub fn outcome_of(status: StatusCode) -> Outcome {
    if is_failure(status) { Outcome::Failed } else { Outcome::Served }
}

/// The server failed. With these five it works, and says what it does not do: llama.cpp answers
/// 501 to embeddings unless it was started for them, and chats on.
pub fn is_failure(status: StatusCode) -> bool {
    let answers = [
        StatusCode::NOT_IMPLEMENTED,
        StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        StatusCode::VARIANT_ALSO_NEGOTIATES,
        StatusCode::NOT_EXTENDED,
        StatusCode::NETWORK_AUTHENTICATION_REQUIRED,
    ];
    status.is_server_error() && !answers.contains(&status)
}
