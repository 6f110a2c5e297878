//! Answers that are kept, for whoever asks the same again (AR2).
//!
//! Only on routes that say so, and only answers that are whole: a 200 whose end was seen
//! and in which no error stood. What came as a stream is given again as that stream, byte
//! for byte. A key is a hash of 128 bits under a secret that is drawn at each start, so
//! that nobody can write a question that is taken for another's; what else goes into it
//! (who asked, above all) is decided by whoever makes it.
//!
//! Bounded by bytes, by number and by age. What is over a bound is brought down some way
//! below it at once, the longest unused first, so that a full cache does not throw out one
//! answer for each one that comes. The bounds may change at any time.

mod store;

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use self::store::Store;

pub use self::store::Kept;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of all answers together, with what it takes to keep them.
    pub bytes: usize,
    pub entries: usize,
    pub ttl: Duration,
    /// Of one answer.
    pub entry_bytes: usize,
}

/// What it did since the start, and holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub entries: usize,
    pub bytes: usize,
    pub hits: u64,
    pub misses: u64,
    /// Put out to make room; not those that grew too old.
    pub evicted: u64,
}

/// The cache. One lock that is held for a look-up, or for putting out what is too much.
#[derive(Default)]
pub struct Cache {
    store: Mutex<Store>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Headers of an answer that are not part of it: they speak of one moment, or are told anew.
static OF_ITS_MOMENT: [HeaderName; 4] =
    [header::DATE, header::AGE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
/// Plimsoll's own.
const OWN: &str = "x-plimsoll-";

// === impl Cache ===

impl Cache {
    /// What was kept under this key and is not too old.
    pub fn get(&self, key: u128, ttl: Duration) -> Option<Kept> {
        let found = self.store().get(key, ttl, Instant::now());
        let count = if found.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Relaxed);
        found
    }

    /// Keeps an answer, unless it is too large or is nobody else's business. `pieces` are
    /// copied: what a connection reads into is larger than what it holds.
    pub fn put(
        &self,
        key: u128,
        headers: &HeaderMap,
        backend: Option<&HeaderValue>,
        pieces: &[Bytes],
        bounds: &Bounds,
    ) -> bool {
        let size: usize = pieces.iter().map(Bytes::len).sum();
        if size > bounds.entry_bytes || !may_be_kept(headers) {
            return false;
        }
        let kept = Kept {
            headers: own_headers(headers),
            backend: backend.and_then(copied),
            body: Bytes::from(pieces.concat()),
            made: Instant::now(),
        };
        self.store().put(key, kept, bounds)
    }

    /// Looks after what grew too old, and after bounds that were lowered. Cheap unless
    /// there is something to do; to be called every few seconds.
    pub fn sweep(&self, bounds: &Bounds) {
        self.store().sweep(bounds, Instant::now());
    }

    pub fn figures(&self) -> Figures {
        let (hits, misses) = (self.hits.load(Relaxed), self.misses.load(Relaxed));
        let store = self.store();
        Figures {
            entries: store.entries(),
            bytes: store.bytes(),
            hits,
            misses,
            evicted: store.evicted(),
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server can say that an answer is for one reader only, and a cookie is.
fn may_be_kept(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::SET_COOKIE)
        && !says(headers, &["no-store", "no-cache", "private"])
}

/// Whether `Cache-Control` has one of these words.
pub fn says(headers: &HeaderMap, words: &[&str]) -> bool {
    headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|word| word.split('=').next())
        .any(|word| words.iter().any(|wanted| word.trim().eq_ignore_ascii_case(wanted)))
}

fn own_headers(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| !OF_ITS_MOMENT.contains(name) && !name.as_str().starts_with(OWN))
        .filter_map(|(name, value)| Some((name.clone(), copied(value)?)))
        .collect()
}

/// A header's value is a view of all that was read with it.
fn copied(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
