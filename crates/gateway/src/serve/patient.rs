//! A client's bytes, and how long they are waited for.
//!
//! A slow client holds a connection, a buffer and sometimes room that others wait for.
//! What it is slow with decides how long it may be: the head of a request, its body,
//! the next request, or taking the answer. Nothing is armed for each request: one
//! timer per connection is set anew only when something would be due before it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    hang_up::HangUp,
    options::Patience,
    progress::{At, Progress, Slow},
};

/// The connection's bytes.
pub struct Patient {
    stream: TokioIo<TcpStream>,
    progress: Arc<Progress>,
    /// Bytes that were taken and dropped after our end was closed.
    lingered: Option<usize>,
    /// The last read found something, so nobody waits for more of it.
    found: bool,
    /// What came while a request was under way that nobody reads beside: its successor.
    ahead: Vec<u8>,
    /// Where that is as much as is read: the client's leave behind what is not.
    hang_up: Option<HangUp>,
}

/// The one timer of a connection.
pub struct Watch {
    progress: Arc<Progress>,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
}

/// Longest time after which a connection is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// A client that is refused while it writes is listened to for so many bytes.
const LINGER_MOST: usize = 4 << 20;
/// So much is read ahead of a client that sends on while its request is under way, to see it
/// leave: no more than an empty line or a question, most often. No other bound counts these
/// bytes, so for all connections together it has to be little. What is more stays where it is.
const AHEAD_MOST: usize = 8 << 10;

// === impl Watch ===

impl Watch {
    pub fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Slow> {
        loop {
            let now_due = self.progress.due(&self.patience);
            if let Some((_, at)) = now_due
                && at < self.armed
            {
                self.arm(at);
            }
            // Most often it is armed already and has not fired.
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            match now_due {
                Some((slow, at)) if at <= now => return Poll::Ready(slow),
                Some((_, at)) => self.arm(at),
                None => self.arm(now + LOOK),
            }
        }
    }

    fn arm(&mut self, at: Instant) {
        self.armed = at;
        self.timer.as_mut().reset(at);
    }
}

// === impl Patient ===

impl Patient {
    pub fn new(stream: TcpStream, patience: Patience) -> (Self, Arc<Progress>, Watch) {
        let progress = Arc::new(Progress::new());
        let armed = progress.began + patience.idle.min(LOOK);
        let watch = Watch {
            progress: progress.clone(),
            patience,
            timer: Box::pin(sleep_until(armed)),
            armed,
        };
        let stream = TokioIo::new(stream);
        let patient = Self {
            stream,
            progress: progress.clone(),
            lingered: None,
            found: false,
            ahead: Vec::new(),
            hang_up: None,
        };
        (patient, progress, watch)
    }

    /// Nothing but its bytes is kept from here on; among them are what was read of the
    /// next request.
    pub fn lay_down(mut self, read: &[u8]) -> Self {
        self.ahead.splice(..0, read.iter().copied());
        // An empty line before a request says nothing: one after a body is no next request.
        let blank = self.ahead.iter().take_while(|byte| is_blank(**byte)).count();
        self.ahead.drain(..blank);
        self.found = false;
        self.hang_up = None;
        self.progress.set(At::Laid);
        self
    }

    /// Ready when there is something to read on a connection that was laid down.
    pub fn poll_wakes(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ahead.is_empty() {
            ready!(self.stream.inner().poll_read_ready(cx)).ok();
        }
        // Where it was woken for nothing it is laid down again.
        self.progress.set(At::Idle);
        Poll::Ready(())
    }

    /// Takes and drops what the client still writes.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 8192];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buf));
            let taken = buf.filled().len();
            let lingered = self.lingered.get_or_insert(0);
            *lingered += taken;
            if read.is_err() || taken == 0 || *lingered > LINGER_MOST {
                return Poll::Ready(());
            }
        }
    }

    /// While a request is under way, its connection is read for the client's leave alone, and
    /// not any more once a byte too many has come. So what comes then is read here, and beyond
    /// a bound only the leave is waited for; ready when the client has left.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let left = || Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        let mut scratch = [0; 4096];
        while self.ahead.len() < AHEAD_MOST {
            let mut buf = ReadBuf::new(&mut scratch);
            ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return left();
            }
            self.ahead.extend_from_slice(buf.filled());
        }
        if self.hang_up.is_none() {
            // Where the system has no descriptor left, the next look may find one.
            self.hang_up = HangUp::of(self.stream.inner()).ok();
        }
        let Some(hang_up) = &mut self.hang_up else { return Poll::Pending };
        ready!(hang_up.poll(cx));
        left()
    }

    /// Notes whether the client takes what it is sent.
    fn taken<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let stuck = &self.progress.stuck_ms;
        if polled.is_pending() {
            if stuck.load(Relaxed) == 0 {
                stuck.store(self.progress.now_ms().max(1), Relaxed);
            }
        } else if stuck.load(Relaxed) != 0 {
            stuck.store(0, Relaxed);
        }
        polled
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

impl Read for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.hang_up = None;
        let mut blank = false;
        let polled = if self.ahead.is_empty() {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        } else {
            let fits = self.ahead.len().min(buf.remaining());
            blank = self.ahead[..fits].iter().all(|byte| is_blank(*byte));
            buf.put_slice(&self.ahead[..fits]);
            if fits == self.ahead.len() {
                self.ahead = Vec::new();
            } else {
                self.ahead.drain(..fits);
            }
            Poll::Ready(Ok(()))
        };
        self.found = polled.is_ready();
        if self.found && !blank {
            self.progress.heard();
        }
        polled
    }
}

impl Write for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.taken(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.taken(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Also asked where nothing is to be flushed, each time that the connection is looked at.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.found
            && self.progress.at() == At::Work
            && let Poll::Ready(left) = self.poll_left(cx)
        {
            return Poll::Ready(left);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingered.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if !matches!(self.progress.at(), At::Head | At::Unread) {
                return Poll::Ready(Ok(()));
            }
            self.progress.enter(At::Linger);
            self.lingered = Some(0);
        }
        self.poll_linger(cx).map(Ok)
    }
}
