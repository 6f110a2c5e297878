//! A thread of the gateway's own, so that nothing else that Plimsoll does ever delays a
//! token, and no request wakes a second core: a request is some tens of microseconds of
//! work, and to hand it from one thread to another costs as much again.

use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The thread runs for as long as this is kept.
pub struct Lane {
    handle: Handle,
    _stop: DropGuard,
}

// === impl Lane ===

impl Lane {
    /// Starts the thread. An error: the system gives none.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        thread::Builder::new().name("gateway".into()).spawn(move || {
            runtime.block_on(stopped.cancelled());
            // A look-up that hangs must not keep the program from ending.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _stop: stop.drop_guard() })
    }

    /// What is spawned through it runs on the thread.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}
