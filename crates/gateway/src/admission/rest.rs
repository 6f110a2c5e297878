//! A backend that is stopped or started anew: it is drained first. Whoever asks for it meanwhile
//! waits in line where it comes back, and else goes elsewhere or is refused.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

use super::{BackendId, Desk};

/// A backend that takes nothing new: what runs there goes on, and who waits for it waits on.
/// Over when it is dropped.
#[derive(Debug)]
pub struct Rest {
    desk: Desk,
    backend: BackendId,
    /// It does not come back by itself.
    retires: bool,
}

/// Those of one desk, who want to hear of what ended.
#[derive(Debug, Default)]
pub(super) struct Rests {
    many: AtomicUsize,
    ended: Notify,
}

// === impl Desk ===

impl Desk {
    /// Lets a backend take nothing new until the [`Rest`] is over.
    pub fn rest(&self, backend: &str) -> Rest {
        self.rests().many.fetch_add(1, Relaxed);
        self.with(|state, now| state.machine.rest(backend, now));
        Rest { desk: self.clone(), backend: backend.into(), retires: false }
    }

    /// The same of a backend that does not come back by itself: nobody comes to wait for it.
    pub fn retire(&self, backend: &str) -> Rest {
        self.rests().many.fetch_add(1, Relaxed);
        self.with(|state, now| state.machine.retire(backend, now));
        Rest { desk: self.clone(), backend: backend.into(), retires: true }
    }
}

// === impl Rest ===

impl Rest {
    /// What runs there still.
    pub fn in_flight(&self) -> u32 {
        self.desk.in_flight_at(&self.backend)
    }

    /// Resolves when nothing runs there any more.
    pub async fn emptied(&self) {
        self.down_to(0).await;
    }

    /// Resolves when no more than so many run there.
    pub async fn down_to(&self, many: u32) {
        loop {
            // Before the look: what ends between the two is heard.
            let ended = self.desk.rests().ended.notified();
            if self.in_flight() <= many {
                return;
            }
            ended.await;
        }
    }

    /// It is over, and the backend serves, whatever its checks said last.
    pub fn serves(self) {
        self.desk.up(&self.backend, true);
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.desk.with(|state, now| match self.retires {
            true => state.machine.retired(&self.backend, now),
            false => state.machine.rested(&self.backend, now),
        });
        self.desk.rests().many.fetch_sub(1, Relaxed);
    }
}

// === impl Rests ===

impl Rests {
    /// Something ended.
    pub(super) fn ended(&self) {
        if self.many.load(Relaxed) > 0 {
            self.ended.notify_waiters();
        }
    }
}
