//! The same question, asked by several at once, is done once (MV15).
//!
//! The first to ask leads: what it started runs in a task of its own, and the leader listens
//! to it as all others do. Who comes later gets the answer from its beginning, as far as
//! it is there, and then follows it piece by piece.
//!
//! - **Leaving.** Whoever drops its [`Listener`] leaves; the rest go on, also when it was the
//!   leader. With the last one the run is dropped, which cancels it upstream.
//! - **Failing.** A failure before the answer's head is told to everybody who waits, each of
//!   whom decides whether it was the leader's own affair (its key's limit, its cancelling)
//!   and asks again. One in the middle of the answer breaks it off for all: nobody gets
//!   the rest of another answer.
//! - **Memory.** What has been answered is held for late joiners up to a bound, for each answer
//!   and for all together. Beyond it nobody joins any more (the next one asks anew), what all
//!   have read is let go, and the run waits for the slowest of its listeners.
//!
//! Which questions are the same, and who may hear another's answer, is in the key; this part
//! knows nothing of HTTP.

mod drive;
mod flight;
mod listener;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;

use self::flight::Flight;

pub use self::{
    drive::Ticket,
    listener::{Broken, Failure, Listener},
};

/// What is held of answers that others may still join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one answer.
    pub answer: usize,
    /// Of all answers together.
    pub all: usize,
}

/// The body of an answer, on the leader's side.
pub trait Source: Unpin + Send + 'static {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;

    /// No more is to come, as far as is known without asking.
    fn is_over(&self) -> bool;

    /// Who asked first has left; others listen still.
    fn leader_left(&mut self) {}

    /// It came to its end, and these are all of its pieces. Not called where they were let go.
    fn whole(&mut self, _pieces: &[Bytes]) {}
}

/// Answers under way, by key. Cheap to clone.
pub struct Flights<H, E>(Arc<Sky<H, E>>);

struct Sky<H, E> {
    open: Mutex<HashMap<u128, Arc<Flight<H, E>>>>,
    /// Bytes of all answers.
    held: AtomicUsize,
    /// Who heard what another had asked first, since the start.
    joined: AtomicU64,
}

/// How somebody who asks comes in.
pub enum Entry<H, E> {
    /// The same is under way.
    Joined(Listener<H, E>),
    /// Nobody has asked it: it is to be started.
    Leads(Ticket<H, E>),
}

// === impl Flights ===

impl<H, E> Clone for Flights<H, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<H, E> Default for Flights<H, E> {
    fn default() -> Self {
        let (held, joined) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self(Arc::new(Sky { open: Mutex::default(), held, joined }))
    }
}

impl<H, E> Flights<H, E> {
    /// Joins what is under way under this key, or leads.
    pub fn enter(&self, key: u128, bounds: Bounds) -> Entry<H, E> {
        let mut open = self.0.open();
        if let Some(flight) = open.get(&key)
            && let Some(listener) = Listener::join(flight)
        {
            self.0.joined.fetch_add(1, Relaxed);
            return Entry::Joined(listener);
        }
        let flight = Flight::new(&self.0, Some(key), bounds);
        open.insert(key, flight.clone());
        Entry::Leads(Ticket::new(flight))
    }

    /// Leads, and nobody can join.
    pub fn alone(&self, bounds: Bounds) -> Ticket<H, E> {
        Ticket::new(Flight::new(&self.0, None, bounds))
    }

    /// Questions under way that can be joined.
    pub fn open(&self) -> usize {
        self.0.open().len()
    }

    /// How many have joined since the start.
    pub fn joined(&self) -> u64 {
        self.0.joined.load(Relaxed)
    }

    /// Bytes of answers that are held now.
    pub fn held(&self) -> usize {
        self.0.held.load(Relaxed)
    }
}

// === impl Sky ===

impl<H, E> Sky<H, E> {
    fn open(&self) -> MutexGuard<'_, HashMap<u128, Arc<Flight<H, E>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody joins this one any more. Another one may have taken its place already.
    fn forget(&self, flight: &Flight<H, E>) {
        let Some(key) = flight.key else { return };
        let mut open = self.open();
        if open.get(&key).is_some_and(|there| std::ptr::eq(&**there, flight)) {
            open.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
