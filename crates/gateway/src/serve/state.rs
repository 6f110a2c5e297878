//! What all requests have in common.

use std::sync::{Arc, atomic::AtomicUsize};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{look::Looks, options::Options, read::Held, shared, world::World};
use crate::{
    Parts, admission::Desk, cache::Cache, clients::Clients, record::Records, route::Table,
    upstream::Upstreams,
};

/// Shared by every connection.
pub struct State {
    options: watch::Receiver<Arc<Options>>,
    table: watch::Receiver<Arc<Table>>,
    pub desk: Desk,
    pub records: Records,
    pub clients: Clients,
    pub world: Arc<dyn World>,
    pub upstreams: Upstreams,
    /// Bodies that are read and not yet answered.
    pub bodies: Arc<Held>,
    /// Of these, what is kept for another try.
    pub retries: Arc<Held>,
    /// Answers of several models to one question, as far as they are held.
    pub consults: Arc<Held>,
    pub cache: Cache,
    /// Answers that several hear.
    pub flights: shared::Flights,
    /// Every task of the gateway: a stop waits for all of them, so that no row is lost.
    pub tasks: TaskTracker,
    /// What runs may end, and nothing new is taken.
    pub stop: CancellationToken,
    /// What still runs is cut off.
    pub cut: CancellationToken,
    pub connections: AtomicUsize,
    /// Of these, the ones that were laid down.
    pub resting: AtomicUsize,
    pub looks: Looks,
}

// === impl State ===

impl State {
    pub fn new(parts: Parts) -> Self {
        let Parts { options, table, desk, records, clients, world, .. } = parts;
        Self {
            options,
            table,
            desk,
            records,
            clients,
            world,
            upstreams: Upstreams::default(),
            bodies: Arc::default(),
            retries: Arc::default(),
            consults: Arc::default(),
            cache: Cache::default(),
            flights: shared::Flights::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            connections: AtomicUsize::new(0),
            resting: AtomicUsize::new(0),
            looks: Looks::default(),
        }
    }

    pub fn options(&self) -> Arc<Options> {
        self.options.borrow().clone()
    }

    pub fn options_watch(&self) -> watch::Receiver<Arc<Options>> {
        self.options.clone()
    }

    pub fn table(&self) -> Arc<Table> {
        self.table.borrow().clone()
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Looks after the connections that rest, until the gateway stops.
    pub async fn sweep(self: Arc<Self>) {
        while timeout(Upstreams::SWEEP, self.stop.cancelled()).await.is_err() {
            let table = self.table();
            self.cache.sweep(&self.options().sharing.cache());
            self.upstreams.sweep(Instant::now(), |id| table.backend(id).is_some());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use plimsoll_core::clock::SystemClock;

    use super::*;
    use crate::{
        admission::Limits,
        clients::{Keys, Rules},
    };

    /// Before this world, and with no backend, key or rule.
    pub fn state(world: Arc<dyn World>) -> Arc<State> {
        Arc::new(State::new(Parts {
            options: watch::channel(Arc::default()).1,
            table: watch::channel(Arc::new(Table::of([]))).1,
            desk: Desk::new(Limits::default()),
            records: Records::new(Arc::new(SystemClock)),
            clients: Clients::new(
                watch::channel(Arc::new(Keys::default())).1,
                watch::channel(Arc::new(Rules::default())).1,
            ),
            world,
            runtime: tokio::runtime::Handle::current(),
        }))
    }
}
