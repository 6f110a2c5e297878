//! A request's body, read to its end and within its bounds: all of it is needed to know
//! what it asks for, and to send it again where a connection turns out to be dead.

use std::{
    error::Error as _,
    io::{self, ErrorKind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};

use super::{options::Bounds, progress::Progress};

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    #[error("The body is larger than {0} bytes, the most that `gateway.max_body_mib` allows.")]
    TooLarge(usize),
    #[error("Plimsoll holds as many bytes of requests as it may. Ask again in a moment.")]
    Full,
    #[error("The body broke off.")]
    Left,
    #[error("The body is not written as HTTP writes bodies.")]
    Broken,
}

/// Bytes of bodies that are held, of all requests together.
#[derive(Default)]
pub struct Held(AtomicUsize);

/// The share of one request in what is held; given back when it is dropped.
pub struct Share {
    held: Arc<Held>,
    bytes: usize,
}

// === impl Unread ===

impl Unread {
    fn of(error: &hyper::Error) -> Self {
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return match error.kind() {
                    ErrorKind::InvalidData | ErrorKind::InvalidInput => Self::Broken,
                    // Its end came too early, or the connection died.
                    _ => Self::Left,
                };
            }
            source = error.source();
        }
        Self::Broken
    }
}

// === impl Held ===

impl Held {
    pub fn share(self: &Arc<Self>) -> Share {
        Share { held: self.clone(), bytes: 0 }
    }

    /// Now, of all requests.
    pub fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

// === impl Share ===

impl Share {
    /// Takes so much more, where there is as much below `most`.
    pub fn grow(&mut self, bytes: usize, most: usize) -> bool {
        let before = self.held.0.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > most {
            self.held.0.fetch_sub(bytes, Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// Holds no more than so much from here on.
    pub fn keep(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.held.0.fetch_sub(less, Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Relaxed);
    }
}

/// Reads all of it. A body that came in one piece is not copied.
pub async fn whole(
    mut body: Incoming,
    bounds: &Bounds,
    share: &mut Share,
    progress: &Progress,
) -> Result<Bytes, Unread> {
    let size = body.size_hint();
    if size.lower() > bounds.body_bytes as u64 {
        return Err(Unread::TooLarge(bounds.body_bytes));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let expected = size.exact().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    while let Some(frame) = next(&mut body).await {
        let Ok(piece) = frame.map_err(|error| Unread::of(&error))?.into_data() else { continue };
        if first.len() + all.len() + piece.len() > bounds.body_bytes {
            return Err(Unread::TooLarge(bounds.body_bytes));
        }
        if !share.grow(piece.len(), bounds.bodies_bytes) {
            return Err(Unread::Full);
        }
        progress.took(piece.len());
        if first.is_empty() && all.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            // What was promised is believed only as far as it has come.
            all.reserve(expected.min(1 << 20).max(first.len() + piece.len()));
            all.extend_from_slice(&first);
            first = Bytes::new();
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

async fn next(body: &mut Incoming) -> Option<Result<hyper::body::Frame<Bytes>, hyper::Error>> {
    if body.is_end_stream() {
        return None;
    }
    std::future::poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Ready(frame) => Poll::Ready(frame),
        Poll::Pending => Poll::Pending,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_over_all_requests_and_given_back() {
        let held = Arc::new(Held::default());
        let mut one = held.share();
        let mut two = held.share();
        assert!(one.grow(60, 100));
        assert!(!two.grow(60, 100));
        assert!(two.grow(40, 100));
        assert_eq!(held.bytes(), 100);
        drop(one);
        assert!(two.grow(60, 100));
        drop(two);
        assert_eq!(held.bytes(), 0);
    }
}
