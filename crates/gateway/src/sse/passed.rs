//! What is passed on of one chunk: nearly always the chunk itself.

use bytes::Bytes;

/// Bytes to pass on, in their order.
#[derive(Debug, Default)]
pub struct Passed {
    first: Option<Bytes>,
    rest: std::vec::IntoIter<Bytes>,
}

// === impl Passed ===

impl Passed {
    pub(super) fn one(bytes: Bytes) -> Self {
        Self { first: (!bytes.is_empty()).then_some(bytes), rest: Vec::new().into_iter() }
    }

    pub(super) fn many(pieces: Vec<Bytes>) -> Self {
        Self { first: None, rest: pieces.into_iter() }
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.len() == 0
    }
}

impl Iterator for Passed {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.first.take().or_else(|| self.rest.next())
    }
}
