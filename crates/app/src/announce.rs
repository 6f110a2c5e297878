//! Marks go into the history and to those who listen, at once.

use std::sync::Arc;

use plimsoll_core::{alert::AlertRow, log::LogEntry, mark::Mark, reading::Tick, record::Record};

use crate::{api::Live, hub::Hub};

/// A recorder that also tells of marks.
pub struct Announce {
    inner: Arc<dyn Record>,
    hub: Hub,
}

// === impl Announce ===

impl Announce {
    pub fn new(inner: Arc<dyn Record>, hub: Hub) -> Self {
        Self { inner, hub }
    }
}

impl Record for Announce {
    fn tick(&self, tick: Arc<Tick>) {
        self.inner.tick(tick);
    }

    fn mark(&self, mark: Mark) {
        self.hub.tell(Live::Mark { mark: Arc::new(mark.clone()) });
        self.inner.mark(mark);
    }

    fn alert(&self, alert: AlertRow) {
        self.inner.alert(alert);
    }

    fn log(&self, entries: Vec<LogEntry>) {
        self.inner.log(entries);
    }

    fn queue_len(&self) -> usize {
        self.inner.queue_len()
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }
}
