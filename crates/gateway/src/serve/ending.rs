//! How an answer ends that passes in pieces: told to its client, or broken, so that nobody takes
//! a half for a whole.

use std::{
    io,
    task::{Context, Poll},
};

use bytes::Bytes;

/// How far an answer is from its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Flowing,
    /// What was written goes out; then the connection breaks.
    Flush,
    Break,
    Over,
}

// === impl Ending ===

impl Ending {
    pub fn is_over(self) -> bool {
        self == Self::Over
    }

    /// `None`: it flows, and its next piece is to be asked for.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Option<Poll<Option<io::Result<Bytes>>>> {
        match self {
            Self::Flowing => None,
            Self::Over => Some(Poll::Ready(None)),
            Self::Flush => {
                *self = Self::Break;
                cx.waker().wake_by_ref();
                Some(Poll::Pending)
            }
            Self::Break => {
                *self = Self::Over;
                Some(Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn what_breaks_goes_out_first_and_then_looks_broken_once() {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut ending = Ending::default();
        assert!(ending.poll(cx).is_none());
        ending = Ending::Flush;
        assert!(matches!(ending.poll(cx), Some(Poll::Pending)), "what was written is sent");
        assert!(!ending.is_over());
        assert!(matches!(ending.poll(cx), Some(Poll::Ready(Some(Err(_))))));
        assert!(ending.is_over());
        assert!(matches!(ending.poll(cx), Some(Poll::Ready(None))));
    }
}
