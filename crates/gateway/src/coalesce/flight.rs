//! One answer under way: what is held of it, and who listens.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::Ordering::{AcqRel, Relaxed},
    },
    task::Waker,
};

use bytes::Bytes;
use slab::Slab;

use super::{Bounds, Sky};

/// Lock order: that of the sky, then that of a flight.
pub(super) struct Flight<H, E> {
    sky: Arc<Sky<H, E>>,
    pub(super) key: Option<u128>,
    bounds: Bounds,
    state: Mutex<State<H, E>>,
}

pub(super) struct State<H, E> {
    pub head: Option<Result<H, E>>,
    pub pieces: VecDeque<Bytes>,
    /// Number of the first piece that is held still.
    pub first: usize,
    /// Of what is held.
    bytes: usize,
    pub end: Option<End>,
    /// All of it is held, and whoever has the key may join.
    pub open: bool,
    pub listeners: Slab<Place>,
    pub driver: Option<Waker>,
    pub leader_left: bool,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Broken,
}

/// Where somebody is in what they listen to.
pub(super) struct Place {
    /// Number of the next piece.
    pub next: usize,
    pub waker: Option<Waker>,
}

/// So much may wait for the slowest listener once what was read is let go.
pub(super) const BACKLOG: usize = 256 << 10;

// === impl Flight ===

impl<H, E> Flight<H, E> {
    pub fn new(sky: &Arc<Sky<H, E>>, key: Option<u128>, bounds: Bounds) -> Arc<Self> {
        let state = State {
            head: None,
            pieces: VecDeque::new(),
            first: 0,
            bytes: 0,
            end: None,
            open: true,
            listeners: Slab::new(),
            driver: None,
            leader_left: false,
        };
        Arc::new(Self { sky: sky.clone(), key, bounds, state: Mutex::new(state) })
    }

    pub fn state(&self) -> MutexGuard<'_, State<H, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody joins from now on: before it is told how it failed, so that whoever asks
    /// again does not meet it.
    pub fn close(&self) {
        self.state().open = false;
        self.sky.forget(self);
    }

    /// It ended without a word.
    pub fn lose(&self) {
        self.close();
        self.publish(None, std::iter::empty(), Some(End::Broken));
    }

    /// Adds what came, and how it ended where it did; wakes those who wait.
    pub fn publish(
        &self,
        head: Option<Result<H, E>>,
        pieces: impl Iterator<Item = Bytes>,
        end: Option<End>,
    ) {
        let mut state = self.state();
        if head.is_some() {
            state.head = head;
        }
        let before = state.bytes;
        for piece in pieces {
            state.bytes += piece.len();
            state.pieces.push_back(piece);
        }
        let more = state.bytes - before;
        let all = self.sky.held.fetch_add(more, AcqRel).saturating_add(more);
        if end.is_some() {
            state.end = end;
        }
        let full = state.bytes > self.bounds.answer || (more > 0 && all > self.bounds.all);
        let closes = state.open && (full || end.is_some());
        if closes {
            state.open = false;
        }
        self.let_go(&mut state);
        let wakers: Vec<Waker> =
            state.listeners.iter_mut().filter_map(|(_, place)| place.waker.take()).collect();
        drop(state);
        if closes {
            self.sky.forget(self);
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Lets go what everybody has read, unless somebody may still come for it.
    pub fn let_go(&self, state: &mut State<H, E>) {
        if state.open {
            return;
        }
        let Some(slowest) = state.listeners.iter().map(|(_, place)| place.next).min() else {
            return;
        };
        while state.first < slowest
            && let Some(piece) = state.pieces.pop_front()
        {
            state.first += 1;
            state.bytes -= piece.len();
            self.sky.held.fetch_sub(piece.len(), Relaxed);
        }
    }

    /// Somebody leaves.
    pub fn leave(&self, place: usize, is_leader: bool) {
        let mut state = self.state();
        state.listeners.remove(place);
        let last = state.listeners.is_empty();
        if last {
            // Whoever comes now leads a new one: this one is being cancelled.
            state.open = false;
        } else {
            state.leader_left |= is_leader;
            self.let_go(&mut state);
        }
        let driver = state.driver.take();
        drop(state);
        if last {
            self.sky.forget(self);
        }
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

impl<H, E> Drop for Flight<H, E> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.sky.held.fetch_sub(state.bytes, Relaxed);
    }
}

// === impl State ===

impl<H, E> State<H, E> {
    /// Whether more may come before somebody has read some of it.
    pub fn has_room(&self) -> bool {
        self.open || self.bytes <= BACKLOG
    }

    /// The only piece of an answer that is whole.
    pub fn only(&self, next: usize) -> Option<Bytes> {
        let is_only = self.end == Some(End::Whole) && self.pieces.len() == 1;
        (is_only && (next, self.first) == (0, 0)).then(|| self.pieces.front().cloned())?
    }

    /// The piece of that number, where it is there.
    pub fn piece(&self, number: usize) -> Option<&Bytes> {
        self.pieces.get(number.checked_sub(self.first)?)
    }
}
