//! The requests that are under way, for whoever wants to see or end them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll},
};

use futures::task::AtomicWaker;
use plimsoll_core::{
    request::{Endpoint, Priority},
    traffic::ClientBasis,
};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::trace::micros;

/// Most requests that are listed; further ones run and are recorded, and are not shown.
pub const MAX_LIVE: usize = 16_384;
/// Not known: of a time.
pub(super) const NONE_US: u64 = u64::MAX;
/// Not known: of a count.
pub(super) const NONE_TOKENS: u32 = u32::MAX;
const SHARDS: usize = 16;

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Phase {
    /// With us: being read, understood, made ready.
    Own,
    Queued,
    /// At a backend that said nothing yet.
    Prefill,
    /// The answer passes.
    Answer,
    /// Its body is on its way from the client.
    Upload,
    /// Another request that asks the same is under way, and its answer is waited for.
    Joined,
}

/// A request that is under way, as it was at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveRequest {
    pub id: i64,
    pub at_ms: i64,
    pub client: Arc<str>,
    pub basis: ClientBasis,
    pub endpoint: Endpoint,
    pub model: String,
    pub backend: Option<Arc<str>>,
    pub priority: Priority,
    pub stream: bool,
    pub phase: Phase,
    pub wait_us: u64,
    pub overhead_us: u64,
    pub ttft_us: Option<u64>,
    /// As counted by the backend, else as estimated.
    pub tokens_in: Option<u32>,
    pub tokens_out: u32,
    pub max_tokens: Option<u32>,
    pub retries: u8,
    /// Since it came.
    pub total_us: u64,
}

/// How many are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub in_flight: u32,
    pub queued: u32,
}

/// All that are under way.
pub(super) struct LiveList {
    shards: [Mutex<FxHashMap<i64, Arc<Entry>>>; SHARDS],
    listed: AtomicUsize,
    last_id: AtomicI64,
}

/// What is read by others while the request goes on. Its trace alone writes.
pub(super) struct Entry {
    pub id: i64,
    pub at_ms: i64,
    pub begun: Instant,
    pub endpoint: Endpoint,
    words: Mutex<Words>,
    pub phase: AtomicU8,
    /// When this phase began, since `begun`.
    pub since_us: AtomicU64,
    pub wait_us: AtomicU64,
    pub own_us: AtomicU64,
    pub ttft_us: AtomicU64,
    pub estimate: AtomicU32,
    pub max_tokens: AtomicU32,
    pub used_in: AtomicU32,
    pub used_out: AtomicU32,
    pub tokens_out: AtomicU32,
    pub retries: AtomicU8,
    cancelled: AtomicBool,
    waker: AtomicWaker,
    listed: AtomicBool,
}

#[derive(Default)]
pub(super) struct Words {
    pub client: Arc<str>,
    pub basis: ClientBasis,
    pub model: String,
    pub sent_model: Option<Box<str>>,
    pub route: Option<Arc<str>>,
    pub backend: Option<Arc<str>>,
    pub priority: Priority,
    pub stream: bool,
}

// === impl LiveList ===

impl Default for LiveList {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            listed: AtomicUsize::new(0),
            last_id: AtomicI64::new(0),
        }
    }
}

impl LiveList {
    pub(super) fn begin(&self, at_ms: i64, endpoint: Endpoint) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            id: self.next_id(at_ms),
            at_ms,
            begun: Instant::now(),
            endpoint,
            words: Mutex::default(),
            phase: AtomicU8::new(Phase::Own as u8),
            since_us: AtomicU64::new(0),
            wait_us: AtomicU64::new(0),
            own_us: AtomicU64::new(0),
            ttft_us: AtomicU64::new(NONE_US),
            estimate: AtomicU32::new(NONE_TOKENS),
            max_tokens: AtomicU32::new(NONE_TOKENS),
            used_in: AtomicU32::new(NONE_TOKENS),
            used_out: AtomicU32::new(NONE_TOKENS),
            tokens_out: AtomicU32::new(0),
            retries: AtomicU8::new(0),
            cancelled: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            listed: AtomicBool::new(false),
        });
        if self.listed.fetch_add(1, Relaxed) < MAX_LIVE {
            entry.listed.store(true, Relaxed);
            self.shard(entry.id).insert(entry.id, entry.clone());
        } else {
            self.listed.fetch_sub(1, Relaxed);
        }
        entry
    }

    pub(super) fn remove(&self, entry: &Entry) {
        if entry.listed.load(Relaxed) && self.shard(entry.id).remove(&entry.id).is_some() {
            self.listed.fetch_sub(1, Relaxed);
        }
    }

    pub(super) fn cancel(&self, id: i64) -> bool {
        let entry = self.shard(id).get(&id).cloned();
        if let Some(entry) = &entry {
            entry.cancelled.store(true, Release);
            entry.waker.wake();
        }
        entry.is_some()
    }

    /// Goes over all of them; no lock is held while `each` looks at one.
    pub(super) fn each(&self, mut each: impl FnMut(&Entry)) {
        let mut some = Vec::new();
        for shard in &self.shards {
            some.extend(lock(shard).values().cloned());
            some.drain(..).for_each(|entry| each(&entry));
        }
    }

    /// The oldest first, at most `most`, and how many there are.
    pub(super) fn oldest(&self, most: usize) -> Vec<ActiveRequest> {
        let mut all = Vec::with_capacity(self.listed.load(Relaxed).min(MAX_LIVE));
        for shard in &self.shards {
            all.extend(lock(shard).values().cloned());
        }
        if all.len() > most && most > 0 {
            all.select_nth_unstable_by_key(most - 1, |entry| entry.id);
        }
        all.truncate(most);
        all.sort_unstable_by_key(|entry| entry.id);
        all.iter().map(|entry| entry.seen()).collect()
    }

    pub(super) fn continue_after(&self, id: i64) {
        self.last_id.fetch_max(id, AcqRel);
    }

    pub(super) fn len(&self) -> usize {
        self.listed.load(Relaxed)
    }

    /// Grows with every request, and follows the clock where that goes forward.
    fn next_id(&self, at_ms: i64) -> i64 {
        let by_clock = at_ms.saturating_mul(4096);
        let next = |last: i64| by_clock.max(last + 1);
        match self.last_id.fetch_update(AcqRel, Acquire, |last| Some(next(last))) {
            Ok(last) | Err(last) => next(last),
        }
    }

    fn shard(&self, id: i64) -> MutexGuard<'_, FxHashMap<i64, Arc<Entry>>> {
        lock(&self.shards[(id.unsigned_abs() % SHARDS as u64) as usize])
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn words(&self) -> MutexGuard<'_, Words> {
        lock(&self.words)
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            1 => Phase::Queued,
            2 => Phase::Prefill,
            3 => Phase::Answer,
            4 => Phase::Upload,
            5 => Phase::Joined,
            _ => Phase::Own,
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Acquire)
    }

    pub(super) fn poll_cancelled(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_cancelled() {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        // It may have come between the look and the word to be woken.
        if self.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn seen(&self) -> ActiveRequest {
        let total_us = micros(self.begun.elapsed());
        let phase = self.phase();
        let here_us = total_us.saturating_sub(self.since_us.load(Relaxed));
        let within = |at: Phase| if phase == at { here_us } else { 0 };
        let count = |cell: &AtomicU32| Some(cell.load(Relaxed)).filter(|&n| n != NONE_TOKENS);
        let words = self.words();
        ActiveRequest {
            id: self.id,
            at_ms: self.at_ms,
            client: words.client.clone(),
            basis: words.basis,
            endpoint: self.endpoint,
            model: words.model.clone(),
            backend: words.backend.clone(),
            priority: words.priority,
            stream: words.stream,
            phase,
            wait_us: self.wait_us.load(Relaxed) + within(Phase::Queued),
            overhead_us: self.own_us.load(Relaxed) + within(Phase::Own),
            ttft_us: Some(self.ttft_us.load(Relaxed)).filter(|&us| us != NONE_US),
            tokens_in: count(&self.used_in).or(count(&self.estimate)),
            tokens_out: self.tokens_out.load(Relaxed),
            max_tokens: count(&self.max_tokens),
            retries: self.retries.load(Relaxed),
            total_us,
        }
    }
}

/// A panic while it was held cannot leave what these locks guard half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
