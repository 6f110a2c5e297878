//! The other end of a connection.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
};

use super::Known;

/// The other end of a connection; lives as long as that.
#[derive(Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// Where it came in.
    pub here: SocketAddr,
    program: OnceLock<Option<Arc<str>>>,
    pub(super) known: Mutex<Option<Known>>,
}

// === impl Peer ===

impl Peer {
    pub fn new(address: SocketAddr, here: SocketAddr) -> Self {
        Self { address, here, program: OnceLock::new(), known: Mutex::default() }
    }

    /// It is this program, or nobody knows. The first word counts.
    pub fn is_program(&self, name: Option<Arc<str>>) {
        let _ = self.program.set(name);
    }

    /// Whether it was looked for.
    pub fn is_looked_up(&self) -> bool {
        self.program.get().is_some()
    }

    /// Its name; `None` while it is not known, too.
    pub fn program(&self) -> Option<Arc<str>> {
        self.program.get().cloned().flatten()
    }
}
