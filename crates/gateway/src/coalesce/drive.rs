//! The run that an answer comes from: in a task of its own, for as long as somebody listens.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::{
    Source,
    flight::{BACKLOG, End, Flight},
    listener::Listener,
};

/// The right to start a run, and the place of who does. Dropped unused, those who joined
/// meanwhile are told that it was lost.
pub struct Ticket<H, E> {
    listener: Listener<H, E>,
    unused: Unused<H, E>,
}

/// Emptied when the run starts.
struct Unused<H, E>(Option<Arc<Flight<H, E>>>);

/// The task. Dropped before its end, the answer breaks off for whoever listens.
struct Drive<H, E, S, F> {
    flight: Arc<Flight<H, E>>,
    at: At<S, F>,
}

enum At<S, F> {
    /// Asked; nothing has been answered.
    Asked(Pin<Box<F>>),
    Answering(S),
    Over,
}

/// After so many pieces in a row the other tasks get their turn.
const TURN: usize = 64;

// === impl Ticket ===

impl<H, E> Ticket<H, E> {
    pub(super) fn new(flight: Arc<Flight<H, E>>) -> Self {
        Self { listener: Listener::lead(&flight), unused: Unused(Some(flight)) }
    }
}

impl<H, E> Ticket<H, E>
where
    H: Send + 'static,
    E: Send + 'static,
{
    /// Starts the run on the current runtime, as one of these tasks.
    pub fn start<S, F>(self, tasks: &TaskTracker, run: F) -> Listener<H, E>
    where
        S: Source,
        F: Future<Output = Result<(H, S), E>> + Send + 'static,
    {
        let Self { listener, mut unused } = self;
        if let Some(flight) = unused.0.take() {
            tasks.spawn(Drive { flight, at: At::Asked(Box::pin(run)) });
        }
        listener
    }
}

impl<H, E> Drop for Unused<H, E> {
    fn drop(&mut self) {
        if let Some(flight) = self.0.take() {
            flight.lose();
        }
    }
}

// === impl Drive ===

impl<H, E, S, F> Unpin for Drive<H, E, S, F> {}

impl<H, E, S, F> Future for Drive<H, E, S, F>
where
    S: Source,
    F: Future<Output = Result<(H, S), E>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut head = None;
        let mut pieces: Vec<Bytes> = Vec::new();
        let (room, leader_left) = {
            let mut state = this.flight.state();
            if state.listeners.is_empty() {
                // The last one left: what runs is dropped here, and so cancelled.
                state.end = Some(End::Broken);
                drop(state);
                this.at = At::Over;
                return Poll::Ready(());
            }
            state.driver = Some(cx.waker().clone());
            // Kept until there is an answer to tell it to.
            let left = state.leader_left && matches!(this.at, At::Answering(_));
            if left {
                state.leader_left = false;
            }
            (state.has_room(), left)
        };
        if let At::Asked(run) = &mut this.at {
            match run.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => {
                    this.at = At::Over;
                    this.flight.close();
                    this.flight.publish(Some(Err(error)), std::iter::empty(), Some(End::Broken));
                    return Poll::Ready(());
                }
                Poll::Ready(Ok((told, mut source))) => {
                    head = Some(Ok(told));
                    if std::mem::take(&mut this.flight.state().leader_left) {
                        source.leader_left();
                    }
                    this.at = At::Answering(source);
                }
            }
        }
        let At::Answering(source) = &mut this.at else { return Poll::Ready(()) };
        if leader_left {
            source.leader_left();
        }
        if !room {
            return Poll::Pending;
        }
        let (mut end, mut bytes) = (None, 0);
        while pieces.len() < TURN && bytes < BACKLOG {
            match source.poll_piece(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    if !piece.is_empty() {
                        bytes += piece.len();
                        pieces.push(piece);
                    }
                    if source.is_over() {
                        end = Some(End::Whole);
                        break;
                    }
                }
                Poll::Ready(None) => {
                    end = Some(End::Whole);
                    break;
                }
                Poll::Ready(Some(Err(_))) => {
                    end = Some(End::Broken);
                    break;
                }
                Poll::Pending => break,
            }
        }
        if end.is_none() && (pieces.len() == TURN || bytes >= BACKLOG) {
            cx.waker().wake_by_ref();
        }
        if end == Some(End::Whole) {
            // Before it is told, so that whoever has heard it finds it kept.
            let all = {
                let state = this.flight.state();
                let held = state.pieces.iter().chain(&pieces);
                state.open.then(|| held.cloned().collect::<Vec<_>>())
            };
            if let Some(all) = all {
                source.whole(&all);
            }
        }
        let told = head.is_some() || !pieces.is_empty() || end.is_some();
        if told {
            this.flight.publish(head, pieces.into_iter(), end);
        }
        if end.is_some() {
            this.at = At::Over;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<H, E, S, F> Drop for Drive<H, E, S, F> {
    fn drop(&mut self) {
        // A runtime that stops, or a run that panicked.
        if self.flight.state().end.is_none() {
            self.flight.lose();
        }
    }
}
