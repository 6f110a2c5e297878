//! What one request took, carried along with it from its first byte to the last of its answer.
//!
//! A [`Trace`] is at one place at a time, and each step takes the time once and adds what
//! passed to where it was, so that Plimsoll's own time is measured apart from all others':
//!
//! - **wait**: in line for room, and the pauses before another try, which are waits of
//!   Plimsoll's making, too;
//! - **overhead**: in Plimsoll's own hands, read, understood, routed and made ready;
//! - **the backend's**: from when it was sent, the connecting included, to the end of its
//!   answer, failed tries and the client's time to take the answer among it;
//! - nobody's of these, and in the total alone: a body that the client still sends, and the
//!   wait for and the hearing of an answer that another request leads.
//!
//! The time to the first token runs from the request's arrival (its head was read) to when the
//! token is passed on, all of that included: it is what the client feels. When a trace is
//! dropped, the request has ended: by the word that was given, else because its client left.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use plimsoll_core::{
    request::{Endpoint, Finish, Priority, RequestRow, Shared},
    traffic::ClientBasis,
};
use tokio::time::Instant;

use super::{
    Inner,
    bodies::Passed,
    ended::Ended,
    energy::Ran,
    live::{Entry, NONE_TOKENS, NONE_US, Phase},
};

/// Of a request that is under way. Its methods are cheap: some atomics and at most one
/// short lock that nobody else holds for long.
pub struct Trace {
    pub(super) inner: Arc<Inner>,
    pub(super) entry: Arc<Entry>,
    phase: Phase,
    since: Instant,
    wait_us: u64,
    own_us: u64,
    /// With a backend, prefill and answer.
    backend_us: u64,
    itl: Option<(u64, u64)>,
    priority: Priority,
    stream: bool,
    shared: Option<Shared>,
    status: u16,
    end: Option<(Finish, Cow<'static, str>)>,
    ran: Ran,
    /// What is sent next is another execution.
    again: bool,
    /// What passes, where a person wants to see it.
    passed: Option<Box<Passed>>,
}

// === impl Trace ===

impl Trace {
    pub(super) fn begin(inner: Arc<Inner>, entry: Arc<Entry>) -> Self {
        let since = entry.begun;
        Self {
            inner,
            entry,
            phase: Phase::Own,
            since,
            wait_us: 0,
            own_us: 0,
            backend_us: 0,
            itl: None,
            priority: Priority::default(),
            stream: false,
            shared: None,
            status: 0,
            end: None,
            ran: Ran::default(),
            again: false,
            passed: None,
        }
    }

    /// Its number in the log, in the header `x-plimsoll-request`, and for whoever cancels it.
    pub fn id(&self) -> i64 {
        self.entry.id
    }

    /// When it came.
    pub fn begun(&self) -> Instant {
        self.entry.begun
    }

    pub fn endpoint(&self) -> Endpoint {
        self.entry.endpoint
    }

    /// Who asks, and how that is known.
    pub fn client(&mut self, name: &Arc<str>, basis: ClientBasis) {
        let mut words = self.entry.words();
        words.client = name.clone();
        words.basis = basis;
    }

    /// What it asks for, once its body is understood.
    pub fn asked(&mut self, model: &str, stream: bool, priority: Priority) {
        self.stream = stream;
        self.priority = priority;
        let mut words = self.entry.words();
        words.model.clear();
        words.model.push_str(&tame(model));
        words.stream = stream;
        words.priority = priority;
    }

    /// How urgent it is, where that is known only later.
    pub fn urgent(&mut self, priority: Priority) {
        self.priority = priority;
        self.entry.words().priority = priority;
    }

    /// Tokens of its question as they are estimated, and the most that it wants in answer:
    /// for the list of what is under way; the log takes [`Trace::usage`] alone.
    pub fn expects(&self, tokens_in: Option<u32>, max_tokens: Option<u32>) {
        self.entry.estimate.store(tokens_in.unwrap_or(NONE_TOKENS), Relaxed);
        self.entry.max_tokens.store(max_tokens.unwrap_or(NONE_TOKENS), Relaxed);
    }

    /// The rule of `gateway.routes` that it goes by.
    pub fn route(&self, id: &Arc<str>) {
        self.entry.words().route = Some(id.clone());
    }

    /// Its body is still to come; to be said before any time has passed.
    pub fn uploads(&mut self) {
        self.phase = Phase::Upload;
        self.entry.phase.store(Phase::Upload as u8, Relaxed);
    }

    /// All of it was read.
    pub fn read(&mut self) {
        self.enter(Phase::Own);
    }

    /// From here on it waits for another's answer.
    pub fn joins(&mut self) {
        self.enter(Phase::Joined);
    }

    /// From here on it waits for room.
    pub fn queued(&mut self) {
        self.enter(Phase::Queued);
    }

    /// It has room at this backend, which is asked for this model.
    pub fn granted(&mut self, backend: &Arc<str>, sent_model: &str) {
        self.enter(Phase::Own);
        let sent_model = tame(sent_model);
        let mut words = self.entry.words();
        words.backend = Some(backend.clone());
        words.sent_model = (sent_model != words.model).then(|| sent_model.into());
    }

    /// Which backend it is about, where it never came to run there: the only one that could
    /// have answered a request that is refused.
    pub fn at(&self, backend: &Arc<str>) {
        self.entry.words().backend = Some(backend.clone());
    }

    /// From here on, the time it answers, the backend works on it, or is being connected to.
    pub fn sent(&mut self) -> Instant {
        self.enter(Phase::Prefill);
        if std::mem::take(&mut self.again) {
            let so_far = self.entry.retries.load(Relaxed);
            self.entry.retries.store(so_far.saturating_add(1), Relaxed);
        }
        self.leave_cards();
        let words = self.entry.words();
        if let Some(backend) = &words.backend {
            self.ran = self.inner.energy.join(backend, self.since);
        }
        drop(words);
        self.since
    }

    /// The first token, or the answer's first byte where none streams. Only the first
    /// call counts.
    pub fn first(&mut self) {
        if self.entry.ttft_us.load(Relaxed) == NONE_US {
            self.enter(Phase::Answer);
            let us = micros(self.since.duration_since(self.entry.begun));
            self.entry.ttft_us.store(us, Relaxed);
        }
    }

    /// Tokens of the answer so far, counted as they pass.
    pub fn tokens(&self, out: u32) {
        self.entry.tokens_out.store(out, Relaxed);
    }

    /// Time within the answer that was ours, e.g. a chunk taken apart.
    pub fn own_us(&mut self, us: u64) {
        self.own_us += us;
        self.backend_us = self.backend_us.saturating_sub(us);
    }

    /// Tokens as the backend counted them; of an answer that ended early, at least as many as
    /// came of it.
    pub fn usage(&self, tokens_in: Option<u32>, tokens_out: Option<u32>) {
        let keep = |cell: &std::sync::atomic::AtomicU32, tokens: Option<u32>| {
            if let Some(tokens) = tokens {
                cell.store(tokens.min(NONE_TOKENS - 1), Relaxed);
            }
        };
        keep(&self.entry.used_in, tokens_in);
        keep(&self.entry.used_out, tokens_out);
    }

    /// Times between tokens, p50 and p95.
    pub fn itl(&mut self, p50_us: u64, p95_us: u64) {
        self.itl = Some((p50_us, p95_us));
    }

    /// It failed and nothing of it was passed on: it waits until it is sent again, which is
    /// then one execution more than the first.
    pub fn retry(&mut self) {
        self.enter(Phase::Queued);
        self.leave_cards();
        self.again = true;
    }

    /// It is answered from what another request got.
    pub fn shared(&mut self, shared: Shared) {
        self.shared = Some(shared);
    }

    /// The body of its question, once its client is known: kept where a person wants to see it.
    pub fn question(&mut self, body: &[u8]) {
        let client = self.entry.words().client.clone();
        if self.passed.is_none() && self.inner.bodies.begin(&client, self.since) {
            self.passed.insert(Box::default()).asked(body);
        }
    }

    /// A piece of its answer as the client gets it.
    pub fn answer(&mut self, piece: &[u8]) {
        if let Some(passed) = &mut self.passed {
            passed.answered(piece);
        }
    }

    /// The status that the client gets.
    pub fn status(&mut self, status: u16) {
        self.status = status;
    }

    /// How it ended, and why where it was not answered. The first word counts; the time
    /// runs until the trace is dropped.
    pub fn finish(&mut self, finish: Finish, reason: impl Into<Cow<'static, str>>) {
        if self.end.is_none() {
            let reason = reason.into();
            let reason = match reason.contains(char::is_control) {
                true => tame(&reason).into_owned().into(),
                false => reason,
            };
            self.end = Some((finish, reason));
        }
    }

    /// Its client has left, and it goes on for others.
    pub fn left(&mut self) {
        let (finish, reason) = self.unsaid();
        self.finish(finish, reason);
    }

    /// How it ended where no word was given.
    fn unsaid(&self) -> (Finish, &'static str) {
        if self.entry.is_cancelled() {
            (Finish::Cancelled, "")
        } else if self.inner.cut.load(Relaxed) {
            (Finish::Cancelled, "Plimsoll was stopped before this had ended.")
        } else {
            (Finish::Left, "")
        }
    }

    /// Whether a person ended it: what is under way is to be given up.
    pub fn is_cancelled(&self) -> bool {
        self.entry.is_cancelled()
    }

    /// Ready once a person ends it. One task at a time may wait.
    pub fn poll_cancelled(&self, context: &mut Context<'_>) -> Poll<()> {
        self.entry.poll_cancelled(context)
    }

    /// Until a person ends it.
    pub async fn cancelled(&self) {
        std::future::poll_fn(|context| self.poll_cancelled(context)).await;
    }

    /// Plimsoll's own time until now.
    pub fn overhead_us(&self) -> u64 {
        match self.phase {
            Phase::Own => self.own_us + micros(self.since.elapsed()),
            _ => self.own_us,
        }
    }

    /// Time in the queue until now: for the header `x-plimsoll-wait-ms`.
    pub fn wait_us(&self) -> u64 {
        match self.phase {
            Phase::Queued => self.wait_us + micros(self.since.elapsed()),
            _ => self.wait_us,
        }
    }

    fn enter(&mut self, next: Phase) {
        let now = Instant::now();
        self.settle(now);
        self.phase = next;
        let entry = &self.entry;
        entry.wait_us.store(self.wait_us, Relaxed);
        entry.own_us.store(self.own_us, Relaxed);
        entry.since_us.store(micros(now.duration_since(entry.begun)), Relaxed);
        entry.phase.store(next as u8, Relaxed);
    }

    /// Adds what passed to where it was.
    fn settle(&mut self, now: Instant) {
        let passed = micros(now.duration_since(self.since));
        match self.phase {
            Phase::Own => self.own_us += passed,
            Phase::Queued => self.wait_us += passed,
            // No backend works for who hears another's answer.
            Phase::Answer if self.shared.is_some() => {}
            Phase::Prefill | Phase::Answer => self.backend_us += passed,
            Phase::Upload | Phase::Joined => {}
        }
        self.since = now;
    }

    fn leave_cards(&mut self) {
        let ran = std::mem::take(&mut self.ran);
        self.inner.energy.leave(&ran, self.since);
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.settle(Instant::now());
        let entry = &self.entry;
        self.inner.live.remove(entry);
        let mut ran = std::mem::take(&mut self.ran);
        self.inner.energy.end(&mut ran, self.since);
        let (finish, reason) = self.end.take().unwrap_or_else(|| {
            let (finish, reason) = self.unsaid();
            (finish, reason.into())
        });
        let words = std::mem::take(&mut *entry.words());
        if let Some(passed) = self.passed.take() {
            self.inner.bodies.put(entry.id, &words.client, *passed, self.since);
        }
        let known = |us: u64| (us != NONE_US).then_some(us);
        let tokens = |cell: &std::sync::atomic::AtomicU32| {
            Some(cell.load(Relaxed)).filter(|&tokens| tokens != NONE_TOKENS)
        };
        let row = RequestRow {
            id: entry.id,
            at_ms: entry.at_ms,
            client: words.client.as_ref().to_owned(),
            endpoint: entry.endpoint,
            model: words.model,
            sent_model: words.sent_model.map(String::from),
            route: words.route.as_deref().map(str::to_owned),
            backend: words.backend.as_deref().map(str::to_owned),
            priority: self.priority,
            stream: self.stream,
            finish,
            status: self.status,
            reason: reason.into_owned(),
            wait_us: self.wait_us,
            overhead_us: self.own_us,
            ttft_us: known(entry.ttft_us.load(Relaxed)),
            itl_p50_us: self.itl.map(|(p50, _)| p50),
            itl_p95_us: self.itl.map(|(_, p95)| p95),
            total_us: micros(self.since.duration_since(entry.begun)),
            tokens_in: tokens(&entry.used_in),
            tokens_out: tokens(&entry.used_out),
            retries: entry.retries.load(Relaxed),
            shared: self.shared,
            joules: None,
        };
        let backend_us = self.backend_us;
        let (row, basis) = (Arc::new(row), words.basis);
        self.inner.ended.put(Ended { row, basis, backend_us, ran, at: self.since });
    }
}

/// Whole microseconds.
pub(super) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX - 1)
}

/// A client's and a backend's words as they are kept: whoever shows them, in a terminal or in
/// a report, is not moved by them.
fn tame(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        false => Cow::Borrowed(text),
        true => text.replace(char::is_control, "\u{fffd}").into(),
    }
}
