//! Where a connection is, and what its client would next be too slow with.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::options::Patience;

/// Where a connection is, as its bytes and its request tell.
pub struct Progress {
    pub(super) began: Instant,
    at: AtomicU8,
    /// Milliseconds after `began`.
    since_ms: AtomicU64,
    /// The answer's bytes are not taken since then; 0: they are.
    pub(super) stuck_ms: AtomicU64,
    /// When the body was begun, and how much of it came.
    body_ms: AtomicU64,
    body_bytes: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum At {
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

/// After so long without a request a connection is laid down.
const REST: Duration = Duration::from_millis(500);
/// A body may take so much longer than [`Patience::body`] as it comes at this pace …
const BODY_BYTES_PER_S: u64 = 4 << 10;
/// … and so many times that in all, however quick it is.
const BODY_TIMES: u32 = 10;
/// A client that is refused while it writes is listened to for so long: closed at once, its
/// system would drop the answer that says why.
const LINGER: Duration = Duration::from_secs(2);

// === impl Progress ===

impl Progress {
    pub(super) fn new() -> Self {
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
        self.set(At::Work);
    }

    /// Its answer has been given.
    pub fn rests(&self) {
        self.enter(if self.at() == At::Body { At::Unread } else { At::Idle });
    }

    pub(super) fn enter(&self, at: At) {
        self.since_ms.store(self.now_ms(), Relaxed);
        self.set(at);
    }

    /// No time is taken: what is due is still counted from before.
    pub(super) fn set(&self, at: At) {
        self.at.store(at as u8, Relaxed);
    }

    pub(super) fn at(&self) -> At {
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

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn heard(&self) {
        match self.at() {
            At::Idle | At::Laid => self.enter(At::Head),
            At::Body => self.enter(At::Body),
            // What comes after an unread body may be more of it.
            At::Head | At::Work | At::Unread | At::Linger => {}
        }
    }

    /// What is due next, and when.
    pub(super) fn due(&self, patience: &Patience) -> Option<(Slow, Instant)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        let seconds = Duration::from_secs;
        Patience { head: seconds(10), body: seconds(30), idle: seconds(120), write: seconds(60) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_follows_what_the_client_does() {
        let progress = Progress::new();
        let due = |slow, after_s| Some((slow, progress.began + Duration::from_secs(after_s)));
        // It rests at first, and is laid down; what that does not touch is how long it may.
        assert_eq!(progress.due(&patience()), Some((Slow::Rests, progress.began + REST)));
        progress.set(At::Laid);
        assert_eq!(progress.due(&patience()), due(Slow::Idle, 120));
        tokio::time::advance(Duration::from_secs(100)).await;
        progress.heard();
        assert_eq!(progress.due(&patience()), due(Slow::Head, 110));
        // A byte now and then does not make a head's time longer.
        tokio::time::advance(Duration::from_secs(5)).await;
        progress.heard();
        assert_eq!(progress.due(&patience()), due(Slow::Head, 110));
        progress.reads_body(false);
        assert_eq!(progress.due(&patience()), due(Slow::Body, 135));
        tokio::time::advance(Duration::from_secs(5)).await;
        progress.heard();
        progress.took(20 << 10);
        assert_eq!(progress.due(&patience()), due(Slow::Body, 140));
        // One that drips has no more time than one that falls silent …
        tokio::time::advance(Duration::from_secs(24)).await;
        progress.heard();
        assert_eq!(progress.due(&patience()), due(Slow::Body, 140));
        // … and what comes in earnest has its time, but not for ever.
        progress.took(20 << 10);
        assert_eq!(progress.due(&patience()), due(Slow::Body, 145));
        progress.took(1 << 30);
        assert_eq!(progress.due(&patience()), due(Slow::Body, 164));
        for _ in 0..30 {
            tokio::time::advance(Duration::from_secs(10)).await;
            progress.heard();
        }
        assert_eq!(progress.due(&patience()), due(Slow::Body, 405), "ten times its patience");
        progress.works();
        assert_eq!(progress.due(&patience()), None);
        progress.rests();
        progress.set(At::Laid);
        assert_eq!(progress.due(&patience()), due(Slow::Idle, 434 + 120));
        progress.reads_body(false);
        progress.rests();
        // The rest of a body that nobody wanted is no head, and gives no more time either.
        tokio::time::advance(Duration::from_secs(5)).await;
        progress.heard();
        assert_eq!(progress.at(), At::Unread);
        assert_eq!(progress.due(&patience()), due(Slow::Idle, 434 + 120));
    }
}
