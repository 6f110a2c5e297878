//! The other end of a connection.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

use super::Known;

/// The other end of a connection; lives as long as that.
#[derive(Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// Where it came in.
    pub here: SocketAddr,
    program: OnceLock<Option<Arc<str>>>,
    looks: AtomicU8,
    pub(super) known: Mutex<Option<Known>>,
}

/// Looks for a program that may fail before its connection does without.
const MOST_LOOKS: u8 = 4;

// === impl Peer ===

impl Peer {
    pub fn new(address: SocketAddr, here: SocketAddr) -> Self {
        Self {
            address,
            here,
            program: OnceLock::new(),
            looks: AtomicU8::new(0),
            known: Mutex::default(),
        }
    }

    /// It is this program, or nobody that can be told. The first word counts.
    pub fn is_program(&self, name: Option<Arc<str>>) {
        let _ = self.program.set(name);
    }

    /// Whether its program is to be looked for now. Each look that came to nothing lets the
    /// next request look again, a few times in all.
    pub fn is_sought(&self) -> bool {
        self.program.get().is_none()
            && self
                .looks
                .fetch_update(Relaxed, Relaxed, |looks| (looks < MOST_LOOKS).then_some(looks + 1))
                .is_ok()
    }

    /// Its name; `None` while it is not known, too.
    pub fn program(&self) -> Option<Arc<str>> {
        self.program.get().cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_until_it_is_told_and_a_few_times_at_most() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let peer = Peer::new(address, address);
        assert!(peer.is_sought());
        assert!(peer.is_sought(), "the first look came to nothing");
        peer.is_program(None);
        assert!(!peer.is_sought(), "it was told that there is none");
        let peer = Peer::new(address, address);
        let looks = (0..100).filter(|_| peer.is_sought()).count();
        assert_eq!(looks, usize::from(MOST_LOOKS));
    }
}
