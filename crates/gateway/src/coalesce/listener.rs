//! One of those who wait for an answer and read it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::flight::{End, Flight, Place};

/// Reads an answer from its beginning. Dropped, it has left.
pub struct Listener<H, E> {
    flight: Arc<Flight<H, E>>,
    place: usize,
    is_leader: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    Of(E),
    /// The run ended without a word.
    Lost,
}

// === impl Listener ===

impl<H, E> Listener<H, E> {
    pub(super) fn lead(flight: &Arc<Flight<H, E>>) -> Self {
        let place = flight.state().listeners.insert(Place { next: 0, waker: None });
        Self { flight: flight.clone(), place, is_leader: true }
    }

    /// `None`: too late for this one.
    pub(super) fn join(flight: &Arc<Flight<H, E>>) -> Option<Self> {
        let mut state = flight.state();
        if !state.open {
            return None;
        }
        let place = state.listeners.insert(Place { next: 0, waker: None });
        drop(state);
        Some(Self { flight: flight.clone(), place, is_leader: false })
    }

    /// The next piece; `None`: that was all. An error: it broke off.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let mut state = self.flight.state();
        let place = &mut state.listeners[self.place];
        let number = place.next;
        if let Some(piece) = state.piece(number).cloned() {
            state.listeners[self.place].next += 1;
            let waited = !state.has_room();
            self.flight.let_go(&mut state);
            let driver = if waited && state.has_room() { state.driver.take() } else { None };
            drop(state);
            if let Some(driver) = driver {
                driver.wake();
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        match state.end {
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Broken) => Poll::Ready(Some(Err(Broken))),
            None => {
                state.listeners[self.place].waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether everything was read that there will be.
    pub fn is_over(&self) -> bool {
        let state = self.flight.state();
        state.end == Some(End::Whole) && state.piece(state.listeners[self.place].next).is_none()
    }

    /// All of the answer, where it is there as a single piece of which nothing was read.
    pub fn only(&mut self) -> Option<Bytes> {
        let mut state = self.flight.state();
        let only = state.only(state.listeners[self.place].next)?;
        state.listeners[self.place].next += 1;
        self.flight.let_go(&mut state);
        Some(only)
    }
}

impl<H: Clone, E: Clone> Listener<H, E> {
    /// The head of the answer, or why there is none.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<H, Failure<E>>> {
        let mut state = self.flight.state();
        match (&state.head, state.end) {
            (Some(Ok(head)), _) => Poll::Ready(Ok(head.clone())),
            (Some(Err(error)), _) => Poll::Ready(Err(Failure::Of(error.clone()))),
            (None, Some(_)) => Poll::Ready(Err(Failure::Lost)),
            (None, None) => {
                state.listeners[self.place].waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The answer ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer broke off")]
pub struct Broken;

impl<H, E> Drop for Listener<H, E> {
    fn drop(&mut self) {
        self.flight.leave(self.place, self.is_leader);
    }
}
