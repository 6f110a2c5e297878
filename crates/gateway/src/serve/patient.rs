//! A client's bytes, and how long they are waited for.
//!
//! A slow client holds a connection, a buffer and sometimes room that others wait for.
//! What it is slow with decides how long it may be: the head of a request, its body,
//! the next request, or taking the answer. Nothing is armed for each request: one
//! timer per connection is set anew only when something would be due before it.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
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

use super::options::Patience;

/// Where a connection is, as its bytes and its request tell.
pub struct Stage {
    began: Instant,
    at: AtomicU8,
    /// Milliseconds after `began`.
    since_ms: AtomicU64,
    /// The answer's bytes are not taken since then; 0: they are.
    stuck_ms: AtomicU64,
    /// When the body was begun, and how much of it came.
    body_ms: AtomicU64,
    body_bytes: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum At {
    Idle,
    Head,
    Body,
    /// With us, or with a backend: not the client's fault.
    Work,
    /// Answered with its body unread: what follows on the connection cannot be understood.
    Unread,
    /// Closed by us, and the client still writes.
    Linger,
    /// It rested for so long that nothing but its bytes is kept.
    Laid,
}

/// The connection's bytes.
pub struct Patient {
    stream: TokioIo<TcpStream>,
    stage: Arc<Stage>,
    /// Bytes that were taken and dropped after our end was closed.
    lingered: Option<usize>,
    /// The last read found something, so nobody waits for more of it.
    found: bool,
    /// What came while a request was under way that nobody reads beside: its successor.
    ahead: Vec<u8>,
}

/// What a client was too slow with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Not too slow yet: nothing was asked for a while, and its memory can go.
    Rests,
    Idle,
    Head,
    Body,
    Answer,
}

/// The one timer of a connection.
pub struct Watch {
    stage: Arc<Stage>,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
}

/// After so long without a request a connection is laid down.
const REST: Duration = Duration::from_millis(500);
/// Longest time after which a connection is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// A body may take so much longer than [`Patience::body`] as it comes at this pace …
const BODY_BYTES_PER_S: u64 = 4 << 10;
/// … and so many times that in all, however quick it is.
const BODY_TIMES: u32 = 10;
/// A client that is refused while it writes is listened to for so long, and for so many
/// bytes: closed at once, its system would drop the answer that says why.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_MOST: usize = 4 << 20;
/// So much is read ahead of a client that sends on while its request is under way, to see it
/// leave.
const AHEAD_MOST: usize = 64 << 10;

// === impl Stage ===

impl Stage {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            at: AtomicU8::new(At::Idle as u8),
            since_ms: AtomicU64::new(0),
            stuck_ms: AtomicU64::new(0),
            body_ms: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
        }
    }

    /// Its head has been read.
    pub fn reads_body(&self, is_empty: bool) {
        if is_empty {
            self.works();
        } else {
            self.enter(At::Body);
            self.body_ms.store(self.since_ms.load(Relaxed), Relaxed);
            self.body_bytes.store(0, Relaxed);
        }
    }

    /// So much of the body came.
    pub fn took(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// All of it has been read.
    pub fn works(&self) {
        // No time is taken: nothing is due while it is not the client's turn.
        self.at.store(At::Work as u8, Relaxed);
    }

    /// Its answer has been given.
    pub fn rests(&self) {
        self.enter(if self.at() == At::Body { At::Unread } else { At::Idle });
    }

    fn enter(&self, at: At) {
        self.since_ms.store(self.now_ms(), Relaxed);
        self.at.store(at as u8, Relaxed);
    }

    fn at(&self) -> At {
        match self.at.load(Relaxed) {
            0 => At::Idle,
            1 => At::Head,
            2 => At::Body,
            4 => At::Unread,
            5 => At::Linger,
            6 => At::Laid,
            _ => At::Work,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn heard(&self) {
        match self.at() {
            At::Idle | At::Laid | At::Unread => self.enter(At::Head),
            At::Body => self.enter(At::Body),
            At::Head | At::Work | At::Linger => {}
        }
    }

    /// What is due next, and when.
    fn due(&self, patience: &Patience) -> Option<(Slow, Instant)> {
        let since = |ms: u64| self.began + Duration::from_millis(ms);
        let stuck = self.stuck_ms.load(Relaxed);
        if stuck > 0 {
            return Some((Slow::Answer, since(stuck) + patience.write));
        }
        let since = since(self.since_ms.load(Relaxed));
        match self.at() {
            At::Idle if REST < patience.idle => Some((Slow::Rests, since + REST)),
            At::Idle | At::Laid | At::Unread => Some((Slow::Idle, since + patience.idle)),
            At::Linger => Some((Slow::Idle, since + LINGER)),
            At::Head => Some((Slow::Head, since + patience.head)),
            At::Body => Some((Slow::Body, (since + patience.body).min(self.body_due(patience)))),
            At::Work => None,
        }
    }

    /// When the whole body has to be there, as far as it has come: who drips bytes holds a
    /// connection and a buffer as well as one who falls silent.
    fn body_due(&self, patience: &Patience) -> Instant {
        let came = Duration::from_secs(self.body_bytes.load(Relaxed) / BODY_BYTES_PER_S);
        let most = patience.body.saturating_mul(BODY_TIMES);
        let begun = self.began + Duration::from_millis(self.body_ms.load(Relaxed));
        begun + (patience.body + came).min(most)
    }
}

// === impl Watch ===

impl Watch {
    pub fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Slow> {
        loop {
            let now_due = self.stage.due(&self.patience);
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
    pub fn new(stream: TcpStream, patience: Patience) -> (Self, Arc<Stage>, Watch) {
        let stage = Arc::new(Stage::new());
        let armed = stage.began + patience.idle.min(LOOK);
        let watch =
            Watch { stage: stage.clone(), patience, timer: Box::pin(sleep_until(armed)), armed };
        let stream = TokioIo::new(stream);
        let patient =
            Self { stream, stage: stage.clone(), lingered: None, found: false, ahead: Vec::new() };
        (patient, stage, watch)
    }

    /// Nothing but its bytes is kept from here on; among them are what was read of the
    /// next request.
    pub fn lay_down(mut self, read: &[u8]) -> Self {
        self.ahead.splice(..0, read.iter().copied());
        self.found = false;
        self.stage.at.store(At::Laid as u8, Relaxed);
        self
    }

    /// Ready when there is something to read on a connection that was laid down.
    pub fn poll_wakes(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ahead.is_empty() {
            ready!(self.stream.inner().poll_read_ready(cx)).ok();
        }
        // Where it was woken for nothing it is laid down again.
        self.stage.at.store(At::Idle as u8, Relaxed);
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
    /// not any more once a byte too many has come. So what comes then is read here; ready when
    /// the client has left.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        while self.ahead.len() < AHEAD_MOST {
            let mut buf = ReadBuf::new(&mut scratch);
            ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            self.ahead.extend_from_slice(buf.filled());
        }
        Poll::Pending
    }

    /// Notes whether the client takes what it is sent.
    fn taken<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let stuck = &self.stage.stuck_ms;
        if polled.is_pending() {
            if stuck.load(Relaxed) == 0 {
                stuck.store(self.stage.now_ms().max(1), Relaxed);
            }
        } else if stuck.load(Relaxed) != 0 {
            stuck.store(0, Relaxed);
        }
        polled
    }
}

impl Read for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = if self.ahead.is_empty() {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        } else {
            let fits = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..fits]);
            if fits == self.ahead.len() {
                self.ahead = Vec::new();
            } else {
                self.ahead.drain(..fits);
            }
            Poll::Ready(Ok(()))
        };
        self.found = polled.is_ready();
        if self.found {
            self.stage.heard();
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
            && self.stage.at() == At::Work
            && let Poll::Ready(left) = self.poll_left(cx)
        {
            return Poll::Ready(left);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingered.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if !matches!(self.stage.at(), At::Head | At::Unread) {
                return Poll::Ready(Ok(()));
            }
            self.stage.enter(At::Linger);
            self.lingered = Some(0);
        }
        self.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        let seconds = Duration::from_secs;
        Patience { head: seconds(10), body: seconds(30), idle: seconds(120), write: seconds(60) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_follows_what_the_client_does() {
        let stage = Stage::new();
        let due = |slow, after_s| Some((slow, stage.began + Duration::from_secs(after_s)));
        // It rests at first, and is laid down; what that does not touch is how long it may.
        assert_eq!(stage.due(&patience()), Some((Slow::Rests, stage.began + REST)));
        stage.at.store(At::Laid as u8, Relaxed);
        assert_eq!(stage.due(&patience()), due(Slow::Idle, 120));
        tokio::time::advance(Duration::from_secs(100)).await;
        stage.heard();
        assert_eq!(stage.due(&patience()), due(Slow::Head, 110));
        // A byte now and then does not make a head's time longer.
        tokio::time::advance(Duration::from_secs(5)).await;
        stage.heard();
        assert_eq!(stage.due(&patience()), due(Slow::Head, 110));
        stage.reads_body(false);
        assert_eq!(stage.due(&patience()), due(Slow::Body, 135));
        tokio::time::advance(Duration::from_secs(5)).await;
        stage.heard();
        stage.took(20 << 10);
        assert_eq!(stage.due(&patience()), due(Slow::Body, 140));
        // One that drips has no more time than one that falls silent …
        tokio::time::advance(Duration::from_secs(24)).await;
        stage.heard();
        assert_eq!(stage.due(&patience()), due(Slow::Body, 140));
        // … and what comes in earnest has its time, but not for ever.
        stage.took(20 << 10);
        assert_eq!(stage.due(&patience()), due(Slow::Body, 145));
        stage.took(1 << 30);
        assert_eq!(stage.due(&patience()), due(Slow::Body, 164));
        for _ in 0..30 {
            tokio::time::advance(Duration::from_secs(10)).await;
            stage.heard();
        }
        assert_eq!(stage.due(&patience()), due(Slow::Body, 405), "ten times its patience");
        stage.works();
        assert_eq!(stage.due(&patience()), None);
        stage.rests();
        stage.at.store(At::Laid as u8, Relaxed);
        assert_eq!(stage.due(&patience()), due(Slow::Idle, 434 + 120));
        stage.reads_body(false);
        stage.rests();
        assert_eq!(stage.at(), At::Unread);
    }
}
