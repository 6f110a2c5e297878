//! A line that comes in pieces: gathered, within its bounds.

use super::glance::TAIL;

/// Longest line that is read, and most of an event that is held back.
pub const LINE_MOST: usize = 64 << 10;

#[derive(Debug, Default)]
pub struct Line {
    /// Its first bytes, up to [`LINE_MOST`].
    head: Vec<u8>,
    /// Where it is longer, its last bytes.
    tail: Vec<u8>,
    long: bool,
}

// === impl Line ===

impl Line {
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && !self.long
    }

    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Its end, where it is longer than what is read of it.
    pub fn tail(&self) -> Option<&[u8]> {
        self.long.then_some(&self.tail)
    }

    pub fn push(&mut self, piece: &[u8]) {
        let room = LINE_MOST - self.head.len().min(LINE_MOST);
        let (head, rest) = piece.split_at(piece.len().min(room));
        self.head.extend_from_slice(head);
        if rest.is_empty() {
            return;
        }
        self.long = true;
        if rest.len() >= TAIL {
            self.tail.clear();
            self.tail.extend_from_slice(&rest[rest.len() - TAIL..]);
            return;
        }
        if self.tail.len() + rest.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        self.tail.extend_from_slice(rest);
    }

    /// Begins anew. The room of a head is kept; long lines are rare, that of a tail is not.
    pub fn clear(&mut self) {
        self.head.clear();
        self.tail = Vec::new();
        self.long = false;
    }
}
