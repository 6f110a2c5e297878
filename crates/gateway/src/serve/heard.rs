//! An answer that several hear: as it comes, for all of them, and as each of them is given it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    body::Body as _,
    header::{self, HeaderName},
    http::response,
};
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
    sse::Form,
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
    /// Its reader can be told why it ends: it reads a stream, and no length was promised.
    tells: bool,
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
        head: &response::Parts,
    ) -> Self {
        let (dialect, tells) = (Dialect::at(endpoint), tells(head));
        Self { listener, trace, dialect, tells, ending: Ending::default() }
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
            if self.tells {
                return Poll::Ready(Some(Ok(self.dialect.event(&why, false))));
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
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

fn tells(head: &response::Parts) -> bool {
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let form = Form::of(text(header::CONTENT_TYPE), text(header::CONTENT_ENCODING));
    matches!(form, Form::Events | Form::Lines) && text(header::CONTENT_LENGTH).is_none()
}

#[cfg(test)]
mod tests {
    use std::{future::pending, task::Waker};

    use hyper::Response;
    use plimsoll_core::clock::SystemClock;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::{coalesce::Bounds, record::Records, serve::shared::Flights};

    /// What a reader of such an answer gets when it is ended in its midst.
    fn ended(headers: &[(&'static str, &'static str)]) -> (String, bool) {
        let records = Records::new(Arc::new(SystemClock));
        let trace = records.begin(Endpoint::Chat);
        let flight = Flights::default().alone(Bounds { answer: 1 << 20, all: 1 << 20 });
        let run = pending::<Result<(Head, Leading), Refused>>();
        let listener = flight.start(&TaskTracker::new(), run);
        let mut response = Response::builder();
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let head = response.body(()).unwrap().into_parts().0;
        assert!(records.cancel(trace.id()));
        let mut heard = Heard::new(listener, Some(trace), Endpoint::Chat, &head);
        let cx = &mut Context::from_waker(Waker::noop());
        let mut text = String::new();
        loop {
            match heard.poll(cx) {
                Poll::Ready(Some(Ok(piece))) => text.push_str(std::str::from_utf8(&piece).unwrap()),
                Poll::Ready(Some(Err(_))) => return (text, heard.is_over()),
                Poll::Ready(None) => panic!("it looks whole"),
                Poll::Pending => {}
            }
        }
    }

    #[tokio::test]
    async fn who_reads_a_stream_is_told_why_it_ends_and_nothing_is_put_into_anything_else() {
        let events = ("content-type", "text/event-stream");
        assert!(ended(&[events]).0.contains("\"cancelled\""));
        assert_eq!(ended(&[("content-type", "application/json")]), (String::new(), true));
        // What was promised in bytes would look whole with these among them.
        assert_eq!(ended(&[events, ("content-length", "5")]), (String::new(), true));
    }
}
