//! One connection to a backend, driven by the request that uses it.
//!
//! No task of its own stands behind a connection: whoever waits for an answer drives
//! it. Nothing is woken to wake somebody else, and whoever is dropped takes the
//! connection along, so that a backend hears at once that its client has left.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::task::unconstrained;

use super::wire::Wire;

/// A connection and what it is asked through. It goes from hand to hand with every
/// request, so what is large of it stays where it is.
pub struct Line(Box<Inner>);

struct Inner {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Wire>, Full<Bytes>>,
    heard: Arc<AtomicBool>,
    over: bool,
}

/// Why no answer came.
pub struct Unanswered {
    pub error: hyper::Error,
    /// Not one byte came, so the backend may not have seen the request.
    pub silent: bool,
}

/// An answer's body while it comes, and the connection that it comes on.
pub struct Flow {
    line: Line,
    body: Incoming,
}

/// Most bytes of headers that an answer may have; their number is hyper's own bound of 100.
const MOST_HEAD: usize = 64 << 10;

// === impl Line ===

impl Line {
    pub async fn on(wire: Wire) -> hyper::Result<Self> {
        let heard = wire.heard.clone();
        let (sender, connection) =
            Builder::new().max_header_size(MOST_HEAD).handshake(TokioIo::new(wire)).await?;
        Ok(Self(Box::new(Inner { sender, connection, heard, over: false })))
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn ask(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<()>, Flow), Unanswered> {
        let inner = &mut *self.0;
        inner.heard.store(false, Ordering::Relaxed);
        let answer = {
            // Nor may it be told to come again later: that would wake nobody.
            let mut answer = pin!(unconstrained(inner.sender.send_request(request)));
            poll_fn(|cx| {
                inner.connection_works(cx);
                // The connection was driven by this very call, so nobody needs to be woken.
                answer.as_mut().poll_now()
            })
            .await
        };
        match answer {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                Ok((Response::from_parts(head, ()), Flow { line: self, body }))
            }
            Err(error) => Err(Unanswered { error, silent: !self.0.heard.load(Ordering::Relaxed) }),
        }
    }

    /// Whether it can be asked now: the backend has not closed it while it rested.
    pub fn is_well(&mut self, cx: &mut Context<'_>) -> bool {
        self.0.connection_works(cx);
        !self.0.over && self.0.sender.is_ready()
    }

    /// The same for one who does not wait on it.
    pub fn rests_well(&mut self) -> bool {
        self.is_well(&mut Context::from_waker(Waker::noop()))
    }
}

// === impl Inner ===

impl Inner {
    fn connection_works(&mut self, cx: &mut Context<'_>) {
        // How it ended is told to whoever waits for the answer.
        if !self.over && Pin::new(&mut self.connection).poll(cx).is_ready() {
            self.over = true;
        }
    }
}

/// Asks a future once, without being woken by it.
trait PollNow: Future {
    fn poll_now(self: Pin<&mut Self>) -> Poll<Self::Output> {
        self.poll(&mut Context::from_waker(Waker::noop()))
    }
}

impl<F: Future + ?Sized> PollNow for F {}

// === impl Flow ===

impl Flow {
    /// The next piece, as the backend sent it; `None` at the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Bytes>>> {
        loop {
            // To ask for a piece is what lets the connection read one: so it is driven
            // before, for what is there, and after, for what was asked for.
            for _ in 0..2 {
                match Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                        Err(_trailers) => continue,
                    },
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => self.line.0.connection_works(cx),
                }
            }
            match Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
    }

    /// How long the body is, where the backend said so.
    pub fn size(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Whether its last piece has been taken.
    pub fn is_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The connection, once the body has ended; `None` where it cannot be used again.
    pub fn into_line(self, cx: &mut Context<'_>) -> Option<Line> {
        let Self { mut line, body } = self;
        drop(body);
        // Mostly it went on by itself when the last piece was read.
        (line.0.sender.is_ready() || line.is_well(cx)).then_some(line)
    }
}
