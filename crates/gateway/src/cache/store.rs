//! What is kept, in the order of its last use.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use lru::LruCache;
use tokio::time::Instant;

use super::Bounds;

/// An answer that is kept. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub headers: HeaderMap,
    /// Who gave it.
    pub backend: Option<HeaderValue>,
    pub body: Bytes,
    pub made: Instant,
}

pub(super) struct Store {
    kept: LruCache<u128, Box<Kept>>,
    bytes: usize,
    evicted: u64,
    next_sweep: Option<Instant>,
}

/// What one answer takes beside its body and its headers' text: a place in the list and in
/// the table, and the structs. Rounded up.
const ENTRY: usize = 320;
/// The same for a header.
const HEADER: usize = 112;
/// Over the most bytes, they are brought down to so many parts of ten.
const BYTES_LEFT: usize = 7;
/// The same for the number of answers.
const ENTRIES_LEFT: usize = 9;
/// How often those that grew too old are looked for, beside when they are asked for.
const SWEEP: Duration = Duration::from_secs(300);

// === impl Kept ===

impl Kept {
    /// What it takes in memory.
    pub fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| HEADER + name.as_str().len() + value.len())
            .sum();
        ENTRY + headers + self.body.len() + self.backend.as_ref().map_or(0, HeaderValue::len)
    }

    fn is_old(&self, ttl: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.made) >= ttl
    }
}

// === impl Store ===

impl Default for Store {
    fn default() -> Self {
        Self { kept: LruCache::unbounded(), bytes: 0, evicted: 0, next_sweep: None }
    }
}

impl Store {
    pub fn entries(&self) -> usize {
        self.kept.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    pub fn get(&mut self, key: u128, ttl: Duration, now: Instant) -> Option<Kept> {
        let kept = self.kept.get(&key)?;
        if !kept.is_old(ttl, now) {
            return Some(Kept::clone(kept));
        }
        self.remove(key);
        None
    }

    pub fn put(&mut self, key: u128, kept: Kept, bounds: &Bounds) -> bool {
        let size = kept.size();
        if size > bounds.bytes || bounds.entries == 0 {
            return false;
        }
        self.remove(key);
        self.bytes += size;
        self.kept.put(key, Box::new(kept));
        self.trim(bounds);
        // One that alone is more than what is left below a bound went with the others.
        self.kept.contains(&key)
    }

    pub fn sweep(&mut self, bounds: &Bounds, now: Instant) {
        self.trim(bounds);
        if self.next_sweep.is_some_and(|due| now < due) {
            return;
        }
        self.next_sweep = Some(now + SWEEP);
        let old: Vec<u128> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.is_old(bounds.ttl, now))
            .map(|(key, _)| *key)
            .collect();
        for key in old {
            self.remove(key);
        }
    }

    /// The longest unused go first.
    fn trim(&mut self, bounds: &Bounds) {
        let (mut bytes, mut entries) = (usize::MAX, usize::MAX);
        if self.bytes > bounds.bytes {
            bytes = bounds.bytes / 10 * BYTES_LEFT;
        }
        if self.kept.len() > bounds.entries {
            entries = (bounds.entries * ENTRIES_LEFT / 10).max(1);
        }
        while self.bytes > bytes || self.kept.len() > entries {
            let Some((_, out)) = self.kept.pop_lru() else { return };
            self.bytes -= out.size();
            self.evicted += 1;
        }
    }

    fn remove(&mut self, key: u128) {
        if let Some(out) = self.kept.pop(&key) {
            self.bytes -= out.size();
        }
    }
}
