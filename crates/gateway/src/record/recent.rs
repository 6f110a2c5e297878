//! The newest requests that ended, kept in memory: for lists when no history is kept, and
//! until the log has them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use plimsoll_core::request::RequestRow;
use tokio::time::Instant;

/// Most that are kept; the oldest go first. // DE3
pub const MAX_RECENT: usize = 1000;
/// How long one is kept.
pub const RECENT_FOR: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
pub(super) struct Recent {
    rows: VecDeque<(Instant, Arc<RequestRow>)>,
}

// === impl Recent ===

impl Recent {
    pub(super) fn put(&mut self, rows: &[Arc<RequestRow>], now: Instant) {
        let newest = rows.iter().skip(rows.len().saturating_sub(MAX_RECENT));
        for row in newest {
            if self.rows.len() >= MAX_RECENT {
                self.rows.pop_front();
            }
            self.rows.push_back((now, row.clone()));
        }
    }

    /// All that are young enough, in the order of their ends.
    pub(super) fn rows(&mut self, now: Instant) -> Vec<Arc<RequestRow>> {
        while let Some((at, _)) = self.rows.front()
            && now.saturating_duration_since(*at) >= RECENT_FOR
        {
            self.rows.pop_front();
        }
        self.rows.iter().map(|(_, row)| row.clone()).collect()
    }
}
