//! A model server that never was: a real HTTP server on loopback that speaks as
//! llama.cpp, vLLM or Ollama does, and takes the time that a model would, without
//! one. For tests of everything that stands before a model server, and for the demo.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use plimsoll_sim::server::{Double, Fault, Planned, Spec};
//!
//! let mut spec = Spec::named("llama-cpp")?;
//! spec.models[0].slots = 2;
//! let double = Double::start(spec).await?;
//! double.set_fault(Planned::new(Fault::Dies { after_tokens: 3 }).times(1));
//! // … requests to double.url() …
//! assert!(double.stats().most_running <= 2);
//! double.until(|stats| stats.cancelled == 1).await;
//! # Ok(()) }
//! ```
//!
//! - **Time** is tokio's: on a paused clock a minute of generating costs nothing.
//! - **What it generates** hangs on the request alone: the same one gets the same words.
//! - **Its own counts** ([`Stats`]) are in the handle and at `GET /double/stats`; faults
//!   can be set at `POST /double/fault`, and no fault and no key is before these two.
//! - A prompt is counted as one token for four bytes of its JSON.
//!
//! What it does not have: router mode, tool calls, `n` above 1, `logprobs`, HTTP/2.

mod body;
mod engine;
mod fault;
mod feed;
mod listen;
mod runner;
mod shared;
mod spec;
mod state;
mod stats;
pub(crate) mod stores;
mod ticket;
mod wire;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::shared::Shared;

/// What makes a past of the same stuff.
pub(crate) mod inside {
    pub use super::{
        engine::{Engine, Event, Finish, Seconds, Us, Wish},
        feed::{Feed, NOBODY},
        runner::{Memory, Runner},
    };
}
pub use self::{
    fault::{Fault, On, Planned},
    feed::{Life, Load, Story},
    shared::Staged,
    spec::{ModelSpec, Speaks, Spec, server_names},
    stats::Stats,
    wire::words,
};

/// Starts doubles.
pub struct Double;

/// A double that runs. It ends with [`Handle::stop`], or when this is dropped.
pub struct Handle {
    shared: Arc<Shared>,
    address: SocketAddr,
    up: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

// === impl Double ===

impl Double {
    /// Starts a server on the current runtime. An error: its address is not free, or
    /// its spec cannot be.
    pub async fn start(spec: Spec) -> io::Result<Handle> {
        let listener = listen::bind(spec.address).await?;
        Self::start_on(listener, spec, None)
    }

    /// The same on a listener that is there already, as a part of a simulated machine.
    pub fn start_on(
        listener: TcpListener,
        spec: Spec,
        staged: Option<Staged>,
    ) -> io::Result<Handle> {
        spec.check().map_err(|wrong| io::Error::new(io::ErrorKind::InvalidInput, wrong))?;
        let address = listener.local_addr()?;
        let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let shared = Shared::new(spec, staged, i64::try_from(wall_ms).unwrap_or(i64::MAX));
        let (up, wanted) = watch::channel(true);
        let tasks = [
            tokio::spawn(shared.clone().drive()),
            tokio::spawn(listen::listen(shared.clone(), listener, wanted)),
        ];
        Ok(Handle { shared, address, up, tasks })
    }
}

// === impl Handle ===

impl Handle {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// E.g. `http://127.0.0.1:41233`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its counts now.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Waits until its counts are as wanted, and answers them.
    pub async fn until(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        self.shared.until(wanted).await
    }

    /// Counts anew from here on; what is in flight stays counted.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Adds a fault: in force at once, unless its `from_ms` says so much after the start.
    pub fn set_fault(&self, planned: Planned) {
        self.shared.with(|state, _| state.planned.push(planned));
    }

    /// From now on nothing fails.
    pub fn clear_faults(&self) {
        self.shared.with(|state, _| state.planned.clear());
    }

    /// Kills it: nobody listens, and all connections break. Its counts stay.
    pub fn kill(&self) {
        self.up.send_replace(false);
    }

    /// Starts it again on the same port: another process, whose model loads anew.
    pub fn revive(&self) {
        self.shared.restart();
        self.up.send_replace(true);
    }

    /// Ends it for good.
    pub async fn stop(mut self) {
        for task in &mut self.tasks {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
