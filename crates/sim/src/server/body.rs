//! Bodies of answers: whole, streamed token by token, or broken on purpose.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    sync::Notify,
    time::{Duration, sleep},
};

use super::{
    engine::Outcome,
    fault::Fault,
    state::{End, Wait},
    ticket::{Flight, Ticket},
};

/// How a kind of server writes a stream.
pub trait Form: Send + 'static {
    /// What comes before the first token.
    fn head(&self) -> Option<Bytes>;
    /// The token with this number, from 0 on.
    fn token(&self, number: u32) -> Bytes;
    /// What comes after the last one.
    fn tail(&self, outcome: &Outcome) -> Vec<Bytes>;
    /// The same in one piece.
    fn whole(&self, outcome: &Outcome) -> serde_json::Value;
    /// Something that nobody can read, in place of a token.
    fn garbage(&self) -> Bytes;
}

/// The body of an answer.
pub enum Answer {
    Whole(Option<Bytes>, Option<Flight>),
    /// Ends in its middle, once what there is has gone out.
    Broken {
        half: Option<Bytes>,
        size: u64,
        flushed: bool,
        flight: Option<Flight>,
    },
    Stream(Box<Stream>),
    /// Goes on for ever.
    Endless(Bytes, #[expect(dead_code, reason = "counts for as long as it lasts")] Option<Flight>),
}

/// An answer that comes token by token.
pub struct Stream {
    form: Box<dyn Form>,
    ticket: Ticket,
    _flight: Flight,
    fault: Option<Fault>,
    /// Told that the body has begun, so that the connection ends with it.
    close: Option<Arc<Notify>>,
    written: u32,
    known: u32,
    end: Option<End>,
    begun: bool,
    /// Ready to be sent.
    ready: VecDeque<Bytes>,
    stall: Option<Wait>,
    last: Last,
}

/// What comes when all that is ready has been sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    More,
    End,
    /// First what was written has to go out: what a server has sent it has sent.
    Flush,
    Break,
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "broken off on purpose")
}

// === impl Answer ===

impl Answer {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()), None)
    }

    /// The same with the request that it answers.
    #[must_use]
    pub fn landing(self, flight: Flight) -> Self {
        match self {
            Self::Whole(bytes, _) => Self::Whole(bytes, Some(flight)),
            Self::Broken { half, size, flushed, .. } => {
                Self::Broken { half, size, flushed, flight: Some(flight) }
            }
            Self::Endless(bytes, _) => Self::Endless(bytes, Some(flight)),
            Self::Stream(stream) => Self::Stream(stream),
        }
    }

    /// The first half of what was to be sent; then the connection breaks.
    pub fn half(bytes: &Bytes) -> Self {
        let size = bytes.len() as u64;
        let half = Some(bytes.slice(..bytes.len() / 2));
        Self::Broken { half, size, flushed: false, flight: None }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes, flight) => {
                let frame = bytes.take().map(|bytes| Ok(Frame::data(bytes)));
                flight.take();
                Poll::Ready(frame)
            }
            Self::Broken { half, flushed, flight, .. } => {
                if let Some(half) = half.take().filter(|half| !half.is_empty()) {
                    return Poll::Ready(Some(Ok(Frame::data(half))));
                }
                if !std::mem::replace(flushed, true) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                flight.take();
                Poll::Ready(Some(Err(broken())))
            }
            Self::Stream(stream) => stream.poll(cx),
            Self::Endless(bytes, _) => Poll::Ready(Some(Ok(Frame::data(bytes.clone())))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Broken { size, .. } => SizeHint::with_exact(*size),
            Self::Stream(_) | Self::Endless(..) => SizeHint::default(),
        }
    }
}

// === impl Stream ===

impl Stream {
    pub fn new(
        form: Box<dyn Form>,
        ticket: Ticket,
        flight: Flight,
        fault: Option<Fault>,
        close: Option<Arc<Notify>>,
    ) -> Self {
        Self {
            form,
            ticket,
            _flight: flight,
            fault,
            close,
            written: 0,
            known: 0,
            end: None,
            begun: false,
            ready: VecDeque::new(),
            stall: None,
            last: Last::More,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // The head is written by now: to close is not announced in it.
        if let Some(close) = self.close.take() {
            close.notify_one();
        }
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match self.last {
                Last::More => {}
                Last::End => return Poll::Ready(None),
                Last::Flush => {
                    self.last = Last::Break;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Last::Break => return Poll::Ready(Some(Err(broken()))),
            }
            if let Some(stall) = &mut self.stall {
                std::task::ready!(stall.as_mut().poll(cx));
                self.stall = None;
            }
            if self.strikes() {
                continue;
            }
            if self.written < self.known {
                self.write();
            } else if let Some(end) = self.end {
                self.close_with(end);
            } else {
                let (known, end) = std::task::ready!(self.ticket.poll_more(cx, self.known));
                (self.known, self.end) = (known, end);
            }
        }
    }

    /// What a fault does at this place; true where it did something.
    fn strikes(&mut self) -> bool {
        let at = |after: u32| self.written >= after;
        match self.fault {
            Some(Fault::Dies { after_tokens }) if at(after_tokens) => self.last = Last::Flush,
            Some(Fault::HalfFrame { after_tokens }) if at(after_tokens) => {
                let whole = self.form.token(self.written);
                self.ready.push_back(whole.slice(..whole.len() / 2));
                self.last = Last::Flush;
            }
            Some(Fault::Stalls { after_tokens, for_ms }) if at(after_tokens) => {
                self.fault = None;
                let long = for_ms.map_or(Duration::from_secs(86_400 * 365), Duration::from_millis);
                self.stall = Some(Box::pin(sleep(long)));
            }
            Some(Fault::WrongJson) if at(1) => {
                self.fault = None;
                self.ready.push_back(self.form.garbage());
            }
            _ => return false,
        }
        true
    }

    fn write(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.ready.extend(self.form.head());
        }
        self.ready.push_back(self.form.token(self.written));
        self.written += 1;
    }

    fn close_with(&mut self, end: End) {
        match end {
            End::Done(outcome) => {
                self.ready.extend(self.form.tail(&outcome));
                self.last = Last::End;
                self.ticket.finish(end);
            }
            End::Lost => self.last = Last::Flush,
        }
    }
}
