//! The body of an answer, and all that a request holds until it ends: the permit travels
//! inside it. (One that ended with the answer's head would limit nothing: a stream of
//! tokens holds the GPU for minutes.)

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    StatusCode,
    body::{Body, Frame, SizeHint},
};
use plimsoll_core::request::Finish;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    consult::Together,
    course::Course,
    patient::Stage,
    refuse::{Dialect, Refused},
    shared::Heard,
};
use crate::{
    admission::Outcome,
    sse::{Form, Seen, Watch},
    upstream::{Flow, Upstream},
};

/// The body of an answer.
pub struct Answer {
    what: What,
    /// Told when the client's turn comes again.
    stage: Option<Arc<Stage>>,
    /// It is whole as it stands: see [`Answer::is_sound`].
    sound: bool,
}

enum What {
    Whole(Option<Bytes>),
    Passing(Box<Passing>),
    /// Of several models.
    Together(Box<Together>),
    /// That others hear, too.
    Heard(Box<Heard>),
}

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
    stage: At,
}

/// How long the backend may take between two pieces, and in all.
pub struct Pace {
    between: Duration,
    heard: Instant,
    end: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

const TOO_LONG: &str = "took longer than a request may in all";

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Flowing,
    /// What was written goes out; then the connection breaks, so that nobody takes a
    /// half for a whole.
    Flush,
    Break,
    Over,
}

// === impl Answer ===

impl Answer {
    pub fn whole(bytes: Bytes) -> Self {
        Self { what: What::Whole((!bytes.is_empty()).then_some(bytes)), stage: None, sound: false }
    }

    pub fn passing(passing: Passing) -> Self {
        Self { what: What::Passing(Box::new(passing)), stage: None, sound: false }
    }

    pub fn together(together: Together) -> Self {
        Self { what: What::Together(Box::new(together)), stage: None, sound: false }
    }

    pub fn heard(heard: Heard) -> Self {
        Self { what: What::Heard(Box::new(heard)), stage: None, sound: false }
    }

    #[must_use]
    pub fn sound(mut self, sound: bool) -> Self {
        self.sound = sound;
        self
    }

    /// Nothing is missing in it, and it tells of no error, as far as it has been passed on:
    /// to be asked at its end.
    pub fn is_sound(&self) -> bool {
        match &self.what {
            What::Passing(passing) => {
                passing.stage == At::Over && is_sound(passing.form, passing.watch.seen())
            }
            _ => self.sound,
        }
    }

    /// Its client has left, and others hear it to its end.
    pub fn client_left(&mut self) {
        if let What::Passing(passing) = &mut self.what {
            passing.course.trace.finish(Finish::Left, "");
        }
    }

    /// Tells the connection when this answer has been given.
    pub fn on(&mut self, stage: Arc<Stage>) {
        self.stage = Some(stage);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(stage) = &self.stage {
            stage.rests();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.get_mut().what {
            What::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            What::Passing(passing) => {
                passing.poll(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
            What::Together(together) => {
                together.poll(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
            What::Heard(heard) => {
                heard.poll(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.what {
            What::Whole(bytes) => bytes.is_none(),
            What::Passing(passing) => passing.stage == At::Over && passing.ready.is_empty(),
            What::Together(together) => together.is_over(),
            What::Heard(heard) => heard.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.what {
            What::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            What::Passing(passing) => match passing.size() {
                Some(size) => SizeHint::with_exact(size),
                None => SizeHint::default(),
            },
            What::Together(_) | What::Heard(_) => SizeHint::default(),
        }
    }
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
            stage: At::Flowing,
        }
    }

    /// A piece that came before this was made.
    pub fn begin_with(&mut self, piece: Bytes) {
        self.take(piece);
    }

    fn size(&self) -> Option<u64> {
        // What is changed has another size.
        if self.cuts {
            return None;
        }
        let waiting: u64 = self.ready.iter().map(|piece| piece.len() as u64).sum();
        Some(self.flow.as_ref()?.size()? + waiting)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                self.course.trace.answer(&piece);
                return Poll::Ready(Some(Ok(piece)));
            }
            match self.stage {
                At::Flowing => {}
                At::Over => return Poll::Ready(None),
                At::Flush => {
                    self.stage = At::Break;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                At::Break => {
                    self.stage = At::Over;
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
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
                self.stage = At::Over;
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
        self.stage = At::Over;
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
        self.flow = None;
        self.saw();
        if matches!(self.form, Form::Events | Form::Lines) {
            self.ready.push_back(self.dialect.event(&why, self.watch.is_between()));
        }
        self.course.end(why.finish, why.message, outcome);
        self.stage = At::Flush;
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
    if status.is_server_error() { Outcome::Failed } else { Outcome::Served }
}

// === impl Pace ===

impl Pace {
    pub fn new(between: Duration, end: Instant) -> Self {
        Self { between, heard: Instant::now(), end, timer: None }
    }

    /// The newest piece came after its time was over; costs no look at the clock.
    fn is_over(&self) -> bool {
        self.heard >= self.end
    }

    /// Ready with what it was too slow with. The timer is set anew only when it fires:
    /// a piece that comes costs one look at the clock.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            let due = (self.heard + self.between).min(self.end);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(if due == self.end {
                    TOO_LONG
                } else {
                    "wrote nothing for too long in the middle of its answer"
                });
            }
            timer.as_mut().reset(due);
        }
    }
}
