//! An answer that several hear: as it comes, for all of them, and as each of them is given it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{body::Body as _, http::response};
use plimsoll_core::request::{Endpoint, Finish};

use super::{
    answer::Answer,
    ending::Ending,
    give_back::X_BACKEND,
    refuse::{Dialect, Refused},
    state::State,
};
use crate::{
    coalesce::{Broken, Listener, Source},
    record::Trace,
};

pub type Head = Arc<response::Parts>;

/// The answer as it comes from the backend, for all who hear it.
pub struct Leading {
    pub answer: Answer,
    pub head: Head,
    /// Where it is kept, and as what.
    pub keep: Option<(Arc<State>, u128)>,
}

/// The answer as one of those who hear it is given it.
pub struct Heard {
    listener: Listener<Head, Refused>,
    /// The leader's own goes with the answer itself.
    trace: Option<Trace>,
    dialect: Dialect,
    ending: Ending,
}

// === impl Leading ===

impl Source for Leading {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Pin::new(&mut self.answer).poll_frame(cx).map(|frame| {
            frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
        })
    }

    fn is_over(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn leader_left(&mut self) {
        self.answer.client_left();
    }

    fn whole(&mut self, pieces: &[Bytes]) {
        let Some((state, key)) = self.keep.take().filter(|_| self.answer.is_sound()) else {
            return;
        };
        let headers = &self.head.headers;
        let bounds = state.options().sharing.cache();
        state.cache.put(key, headers, headers.get(X_BACKEND), pieces, &bounds);
    }
}

// === impl Heard ===

impl Heard {
    pub fn new(
        listener: Listener<Head, Refused>,
        trace: Option<Trace>,
        endpoint: Endpoint,
    ) -> Self {
        let dialect = Dialect::at(endpoint);
        Self { listener, trace, dialect, ending: Ending::default() }
    }

    pub fn is_over(&self) -> bool {
        self.ending.is_over()
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(ended) = self.ending.poll(cx) {
            return ended;
        }
        if let Some(trace) = &mut self.trace
            && trace.poll_cancelled(cx).is_ready()
        {
            let why = Refused::cancelled();
            trace.finish(why.finish, why.message.clone());
            self.ending = Ending::Flush;
            return Poll::Ready(Some(Ok(self.dialect.event(&why, false))));
        }
        match self.listener.poll_piece(cx) {
            Poll::Ready(Some(Ok(piece))) => {
                if let Some(trace) = &mut self.trace {
                    trace.first();
                    trace.answer(&piece);
                }
                if self.listener.is_over() {
                    self.end();
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(Broken))) => {
                if let Some(trace) = &mut self.trace {
                    trace.finish(Finish::Failed, "The answer that it shared broke off.");
                }
                self.ending = Ending::Flush;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn end(&mut self) {
        if let Some(trace) = &mut self.trace {
            trace.finish(Finish::Answered, "");
        }
        self.ending = Ending::Over;
    }
}
