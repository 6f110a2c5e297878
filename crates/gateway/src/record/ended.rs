//! Requests that ended and are not reckoned up yet: putting one here is all that its own
//! task does for the record.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use plimsoll_core::{request::RequestRow, traffic::ClientBasis};
use tokio::{sync::Notify, time::Instant};

use super::{energy::Ran, live::lock};

/// Most that wait to be reckoned up; further ones are counted as dropped.
pub const MAX_ENDED: usize = 16_384;
/// So many are worth not waiting for more.
const EARLY: usize = 2048;

pub(super) struct Ended {
    pub row: Arc<RequestRow>,
    pub basis: ClientBasis,
    /// While a backend worked for it.
    pub backend_us: u64,
    pub ran: Ran,
    pub at: Instant,
}

#[derive(Default)]
pub(super) struct EndedQueue {
    waiting: Mutex<Vec<Ended>>,
    dropped: AtomicU64,
    /// There is something.
    pub some: Notify,
    /// There is much.
    pub many: Notify,
}

// === impl EndedQueue ===

impl EndedQueue {
    pub(super) fn put(&self, ended: Ended) {
        let mut waiting = lock(&self.waiting);
        let before = waiting.len();
        if before >= MAX_ENDED {
            drop(waiting);
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        waiting.push(ended);
        drop(waiting);
        if before == 0 {
            self.some.notify_one();
        } else if before + 1 == EARLY {
            self.many.notify_one();
        }
    }

    /// All of them. What `into` has room for serves those that come next.
    pub(super) fn take(&self, into: &mut Vec<Ended>) {
        into.clear();
        std::mem::swap(into, &mut *lock(&self.waiting));
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}
