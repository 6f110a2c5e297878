//! The door to admission: requests wait here as futures, and the machine decides.
//!
//! One lock around the machine, held for the length of one call and never across an
//! await. One task wakes it when time alone decides something: a deadline, a rate, a
//! breaker's pause. What is granted travels as a [`Permit`] inside the response's body,
//! and is given back wherever that ends.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    Admission, Ask, AtWork, BackendId, Grant, Id, Limit, Limits, Move, Ms, Offered, Outcome, Place,
    Pressure, Refusal, Snapshot, rest::Rests,
};

type Decision = Result<Grant, Refusal>;

/// Cheap to clone; all clones are one desk.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    start: Instant,
    /// The machine has something to do earlier than its clock was set to.
    earlier: Arc<Notify>,
    rests: Rests,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) machine: Admission,
    waiting: FxHashMap<Id, oneshot::Sender<Decision>>,
    /// When the clock goes off next; `Ms::MAX`: not at all.
    alarm: Ms,
}

/// A request at the desk: done once it is admitted or refused. Dropped before, it
/// leaves the queue.
#[derive(Debug)]
pub struct Admit {
    desk: Desk,
    id: Id,
    place: Option<Place>,
    state: AdmitState,
}

#[derive(Debug)]
enum AdmitState {
    Decided(Option<Decision>),
    Waiting(oneshot::Receiver<Decision>),
}

/// Room that is held until this is dropped or ended.
#[derive(Debug)]
pub struct Permit {
    pub grant: Grant,
    /// Where it stood in line when it came; `None` where it went through at once.
    pub place: Option<Place>,
    desk: Desk,
    /// It was not given back yet.
    held: bool,
}

// === impl Desk ===

impl Desk {
    /// Must be called within a tokio runtime: one task of it keeps the time.
    pub fn new(limits: Limits) -> Self {
        let earlier = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            state: Mutex::new(State {
                machine: Admission::new(limits),
                waiting: FxHashMap::default(),
                alarm: Ms::MAX,
            }),
            start: Instant::now(),
            earlier: earlier.clone(),
            rests: Rests::default(),
        });
        tokio::spawn(keep_time(Arc::downgrade(&inner), earlier));
        Self(inner)
    }

    /// The desk's own time: milliseconds since it was opened.
    pub fn now(&self) -> Ms {
        self.at(Instant::now())
    }

    /// A deadline for [`Ask`].
    pub fn deadline_in(&self, wait: Duration) -> Ms {
        self.at(Instant::now() + wait)
    }

    /// A moment in the desk's time; 0 for all before it was opened.
    pub fn at(&self, moment: Instant) -> Ms {
        let since = moment.saturating_duration_since(self.0.start);
        u64::try_from(since.as_millis()).unwrap_or(Ms::MAX)
    }

    /// A request comes. It stands in line from this call on, not from the first poll.
    pub fn admit(&self, ask: Ask) -> Admit {
        let id = ask.id;
        let mut place = None;
        let state = self.with(|state, now| match state.machine.offer(ask, now) {
            Offered::Granted(grant) => AdmitState::Decided(Some(Ok(grant))),
            Offered::Refused(refusal) => AdmitState::Decided(Some(Err(refusal))),
            Offered::Queued(at) => {
                place = Some(at);
                let (tell, told) = oneshot::channel();
                state.waiting.insert(id, tell);
                AdmitState::Waiting(told)
            }
        });
        Admit { desk: self.clone(), id, place, state }
    }

    /// Where a request stands now; `None` where it does not wait.
    pub fn position(&self, id: Id) -> Option<Place> {
        self.0.lock().machine.position(id)
    }

    pub fn set_limits(&self, limits: Limits) {
        self.with(|state, now| state.machine.set_limits(limits, now));
    }

    /// A backend's health, as its checks say.
    pub fn up(&self, backend: &str, up: bool) {
        self.with(|state, now| state.machine.up(backend, up, now));
    }

    /// How many requests a backend runs that did not come through here.
    pub fn outside(&self, backend: &str, running: u32) {
        self.with(|state, now| state.machine.outside(backend, running, now));
    }

    pub fn pressure(&self, pressure: Pressure) {
        self.with(|state, now| state.machine.pressure(pressure, now));
    }

    /// A gate is closed, whether it holds or observes.
    pub fn under_pressure(&self) -> bool {
        self.0.lock().machine.under_pressure()
    }

    pub fn snapshot(&self) -> Snapshot {
        self.with(|state, now| {
            state.machine.tick(now);
            state.machine.snapshot()
        })
    }

    /// What admission changed by itself since this was asked last, for marks on charts.
    pub fn moves(&self) -> Vec<Move> {
        self.0.lock().machine.moves().collect()
    }

    pub fn in_flight(&self) -> u32 {
        self.0.lock().machine.in_flight()
    }

    /// Of these, what one backend has; 0 where it is not known.
    pub fn in_flight_at(&self, backend: &BackendId) -> u32 {
        self.0.lock().machine.in_flight_at(backend)
    }

    /// What of that is there by now, or on its way there, and whose clients are there.
    pub fn at_work(&self, backend: &BackendId) -> AtWork {
        self.0.lock().machine.at_work(backend)
    }

    /// Admits nobody any more and refuses those who wait; tells how many are in flight.
    pub fn stop(&self) -> u32 {
        self.with(|state, now| {
            state.machine.stop(now);
            state.machine.in_flight()
        })
    }

    /// One call to the machine, and then whoever was decided on is told.
    pub(super) fn with<T>(&self, call: impl FnOnce(&mut State, Ms) -> T) -> T {
        let now = self.now();
        let mut state = self.0.lock();
        let result = call(&mut state, now);
        self.0.settle(state);
        result
    }

    fn end(&self, id: Id, outcome: Outcome, tokens: Option<u32>) {
        self.with(|state, now| state.machine.release(id, outcome, tokens, now));
        self.0.rests.ended();
    }

    fn leave(&self, id: Id) {
        self.with(|state, now| {
            state.waiting.remove(&id);
            state.machine.leave(id, now);
        });
        self.0.rests.ended();
    }

    pub(super) fn rests(&self) -> &Rests {
        &self.0.rests
    }
}

// === impl Inner ===

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not close the door for everybody.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, mut state: MutexGuard<'_, State>) {
        let State { machine, waiting, alarm } = &mut *state;
        // Whoever left since takes nothing along: leaving gives back what was granted.
        for (id, decision) in machine.decisions() {
            if let Some(tell) = waiting.remove(&id) {
                let _ = tell.send(decision);
            }
        }
        let due = machine.next_due().unwrap_or(Ms::MAX);
        let earlier = due < *alarm;
        if earlier {
            *alarm = due;
        }
        drop(state);
        if earlier {
            self.earlier.notify_one();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The task that keeps the time ends, too.
        self.earlier.notify_one();
    }
}

/// Wakes the machine whenever it said that it has something to do, as long as there is
/// a desk.
async fn keep_time(desk: Weak<Inner>, earlier: Arc<Notify>) {
    loop {
        let at = {
            let Some(inner) = desk.upgrade() else { return };
            let mut state = inner.lock();
            state.alarm = state.machine.next_due().unwrap_or(Ms::MAX);
            // A year is for ever, and keeps the sum within what an `Instant` holds.
            inner.start + Duration::from_millis(state.alarm.min(31_536_000_000))
        };
        tokio::select! {
            () = earlier.notified() => {}
            () = tokio::time::sleep_until(at) => {}
        }
        let Some(inner) = desk.upgrade() else { return };
        Desk(inner).with(|state, now| state.machine.tick(now));
    }
}

// === impl Admit ===

impl Admit {
    /// Where it stood in line when it came; `None` where it was decided at once.
    pub fn place(&self) -> Option<Place> {
        self.place
    }
}

impl Future for Admit {
    type Output = Result<Permit, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let decision = match &mut self.state {
            AdmitState::Decided(decision) => decision.take(),
            AdmitState::Waiting(told) => match Pin::new(told).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(decision) => decision.ok(),
            },
        };
        self.state = AdmitState::Decided(None);
        Poll::Ready(match decision {
            Some(Ok(grant)) => {
                Ok(Permit { grant, place: self.place, desk: self.desk.clone(), held: true })
            }
            Some(Err(refusal)) => Err(refusal),
            // Polled after its end, or its desk is gone.
            None => Err(Refusal {
                limit: Limit::Stopping,
                reason: "Nobody decides on it any more.".into(),
                retry_after: None,
            }),
        })
    }
}

impl Drop for Admit {
    fn drop(&mut self) {
        match &self.state {
            AdmitState::Decided(None | Some(Err(_))) => {}
            AdmitState::Decided(Some(Ok(_))) | AdmitState::Waiting(_) => self.desk.leave(self.id),
        }
    }
}

// === impl Permit ===

impl Permit {
    /// It ended. `tokens`: prompt and answer, where the backend said so.
    pub fn end(mut self, outcome: Outcome, tokens: Option<u32>) {
        self.held = false;
        self.desk.end(self.grant.id, outcome, tokens);
    }

    /// It is sent to its backend.
    pub fn sent(&self) {
        self.desk.0.lock().machine.sent(self.grant.id);
    }

    /// Its client has left, and its backend should not work on it any more.
    pub fn left(&self) {
        self.desk.0.lock().machine.left(self.grant.id);
    }

    /// Its answer began: that ends the wait for a backend that is asked again.
    pub fn answered(&self) {
        self.desk.with(|state, now| state.machine.answered(self.grant.id, now));
    }

    /// The first token of a streamed answer came, so long after the request was sent to its
    /// backend (not after it came: a time in line is ours). It moves adaptive limits.
    pub fn first_token(&self, ttft_ms: f64) {
        self.desk.with(|state, now| state.machine.first_token(self.grant.id, ttft_ms, now));
    }

    /// Gives the room back and asks for room again, at the head of the line, with the
    /// deadline it came with; another backend is preferred where this one failed.
    pub fn retry(self, outcome: Outcome) -> Admit {
        self.retry_after(outcome, Duration::ZERO)
    }

    /// As [`Self::retry`], after a pause in which it holds no room.
    pub fn retry_after(mut self, outcome: Outcome, pause: Duration) -> Admit {
        self.held = false;
        let (desk, id, place) = (self.desk.clone(), self.grant.id, self.place);
        let (tell, told) = oneshot::channel();
        let delay = u64::try_from(pause.as_millis()).unwrap_or(Ms::MAX);
        desk.with(|state, now| {
            state.waiting.insert(id, tell);
            state.machine.retry(id, outcome, delay, now);
        });
        desk.0.rests.ended();
        Admit { desk, id, place, state: AdmitState::Waiting(told) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.held {
            self.desk.end(self.grant.id, Outcome::Unknown, None);
        }
    }
}
