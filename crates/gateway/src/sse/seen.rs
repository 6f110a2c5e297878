//! What a [`Watch`](super::Watch) tells of its answer.

use super::{counts::Counts, gaps::Gaps};

/// What was seen of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub counts: Counts,
    /// Chunks with text, thought or calls in them: no count of tokens, some servers put
    /// several into one.
    pub chunks: u64,
    /// When the first of them came, by the clock that
    /// [`Watch::feed`](super::Watch::feed) was given.
    pub first_us: Option<u64>,
    pub last_us: Option<u64>,
    /// What the backend said went wrong, in the midst of a stream. Of an answer that does
    /// not stream its status tells.
    pub error: Option<Box<str>>,
    /// The status that it told with it: below 500 it was the client's own mistake.
    pub error_status: Option<u16>,
    /// The stream said itself that this was its end (`[DONE]`, `message_stop`, `done` …, or an
    /// error that ends it). One without has broken off, however clean its end looked.
    pub complete: bool,
    /// All bytes that came.
    pub bytes: u64,
}

// === impl Seen ===

impl Seen {
    /// A piece of the answer came.
    pub(super) fn token(&mut self, now_us: u64, gaps: &mut Option<Gaps>) {
        self.chunks += 1;
        if let Some(last) = self.last_us {
            gaps.get_or_insert_default().add(now_us.saturating_sub(last));
        } else {
            self.first_us = Some(now_us);
        }
        self.last_us = Some(now_us);
    }
}
