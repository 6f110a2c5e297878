//! A request on its way: what a connection holds of it. Who lets go has left.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::{shared::Shared, state::End};

/// A request within an engine. Dropped before its end, it is cancelled.
pub struct Ticket {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
    pub(super) over: bool,
}

/// A request on its way, from its head to the end of its answer.
pub struct Flight {
    pub(super) shared: Arc<Shared>,
}

// === impl Ticket ===

impl Ticket {
    pub fn number(&self) -> u64 {
        self.id
    }

    /// Waits for more tokens than were seen, or for the end.
    pub fn poll_more(&self, cx: &Context<'_>, seen: u32) -> Poll<(u32, Option<End>)> {
        self.shared.with(|state, _| {
            let Some(heard) = state.waiting_for.get_mut(&self.id) else {
                return Poll::Ready((seen, Some(End::Lost)));
            };
            if heard.generated > seen || heard.end.is_some() {
                return Poll::Ready((heard.generated, heard.end));
            }
            heard.waker = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// Waits for the first token, or for the end.
    pub async fn begun(&self) -> (u32, Option<End>) {
        std::future::poll_fn(|cx| self.poll_more(cx, 0)).await
    }

    /// Waits for the end.
    pub async fn ended(&mut self) -> End {
        let mut seen = 0;
        loop {
            let (now, end) = std::future::poll_fn(|cx| self.poll_more(cx, seen)).await;
            if let Some(end) = end {
                self.finish(end);
                return end;
            }
            seen = now;
        }
    }

    /// Its answer was made to its end.
    pub fn finish(&mut self, end: End) {
        if !std::mem::replace(&mut self.over, true) {
            self.shared.with(|state, _| {
                state.waiting_for.remove(&self.id);
                if let End::Done(_) = end {
                    state.stats.finished += 1;
                }
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.shared.with(|state, now| {
            let Some(heard) = state.waiting_for.remove(&self.id) else { return };
            state.stats.cancelled += 1;
            if heard.end.is_some() {
                return;
            }
            if self.shared.spec.orphans_run_on {
                state.stats.orphans += 1;
                state.orphans.insert(self.id);
            } else {
                state.runners[heard.runner].engine.cancel(now, self.id);
            }
        });
    }
}

// === impl Flight ===

impl Drop for Flight {
    fn drop(&mut self) {
        self.shared.with(|state, _| state.stats.in_flight -= 1);
    }
}
