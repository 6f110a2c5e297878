//! How long a backend may take while its answer passes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// How long the backend may take between two pieces, and in all.
pub struct Pace {
    between: Duration,
    /// The newest piece came then.
    pub heard: Instant,
    end: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

pub const TOO_LONG: &str = "took longer than a request may in all";

// === impl Pace ===

impl Pace {
    pub fn new(between: Duration, end: Instant) -> Self {
        Self { between, heard: Instant::now(), end, timer: None }
    }

    /// The newest piece came after its time was over; costs no look at the clock.
    pub fn is_over(&self) -> bool {
        self.heard >= self.end
    }

    /// Ready with what it was too slow with. The timer is set anew only when it fires:
    /// a piece that comes costs one look at the clock.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
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
