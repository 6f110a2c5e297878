//! What the gateway asks of the program around it, and cannot know by itself.

use std::{future::ready, net::SocketAddr, sync::Arc};

use futures::future::BoxFuture;

use super::own::OwnFigures;
use crate::admission::BackendId;

/// The program around the gateway. Every answer may be "not known".
pub trait World: Send + Sync + 'static {
    /// Who listens at this address, e.g. `python3 (pid 4711)`.
    fn holder(&self, _address: SocketAddr) -> Option<String> {
        None
    }

    /// The program at the other end of a connection within this machine.
    fn program(&self, _peer: SocketAddr, _here: SocketAddr) -> BoxFuture<'static, Sought> {
        Box::pin(ready(Sought::Nobody))
    }

    /// How many requests a backend itself says it works on now; asked after a client
    /// left, and of one that is down when it is asked for. Must not wake or load anything.
    /// `None`: this look showed nothing.
    fn running(&self, _backend: &BackendId) -> BoxFuture<'static, Option<u32>> {
        Box::pin(ready(None))
    }

    /// A generation went on after its client had left.
    fn orphaned(&self, _orphan: Orphan) {}

    /// The text for `GET /metrics`, with what the gateway knows of itself; `None`: there is none.
    fn metrics(&self, _own: &OwnFigures) -> Option<String> {
        None
    }
}

/// What a look for the program at the other end of a connection found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    Found(Arc<str>),
    /// It was looked, and there is none that can be told.
    Nobody,
    /// It was not looked, or not to the end: another look may find it.
    NotYet,
}

/// A generation that nobody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub backend: BackendId,
    pub model: String,
    pub request: i64,
    /// For so long it was seen to run on.
    pub after_ms: u64,
}

/// Nothing is known.
pub struct Alone;

impl World for Alone {}
