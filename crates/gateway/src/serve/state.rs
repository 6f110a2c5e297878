//! What all requests have in common.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    look::Looks,
    options::Options,
    read::Held,
    shared,
    world::{Orphan, World},
};
use crate::{
    Parts,
    admission::{BackendId, Desk, Outcome, Permit},
    cache::Cache,
    clients::Clients,
    record::Records,
    route::Table,
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
    /// Requests whose client left and whose slot is not yet known to be free.
    leavers: Mutex<HashMap<BackendId, u32>>,
    pub looks: Looks,
}

/// How often a slot is looked at after its client left: at first, and at most.
const SLOT_LOOK: Duration = Duration::from_millis(25);
const SLOT_LOOK_MAX: Duration = Duration::from_millis(500);
/// Looks in a row that showed nothing: this backend does not tell what it runs.
const BLIND_LOOKS: u32 = 4;

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
            leavers: Mutex::default(),
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

    /// The client left while a backend was at work. Its connection is closed by now; the
    /// permit is held until the backend's own count says that the slot is free, so that
    /// the next request does not meet a server that is still busy. Where the gateway stops
    /// there is no next one, and nothing is watched any more.
    pub fn leave(
        self: &Arc<Self>,
        permit: Permit,
        model: &Arc<str>,
        request: i64,
        end: (Outcome, Option<u32>),
    ) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            permit.end(end.0, end.1);
            return;
        };
        let state = self.clone();
        let model = model.clone();
        let watch = async move {
            tokio::select! {
                biased;
                () = state.stop.cancelled() => {}
                () = state.watch_slot(&permit.grant.backend, &model, request) => {}
            }
            permit.end(end.0, end.1);
        };
        self.tasks.spawn_on(watch, &runtime);
    }

    /// Until the backend says that the slot is free, or has worked on for too long. A look
    /// that fails says nothing: it is looked again, and only a backend that never told
    /// anything is believed to be free after a few of them.
    async fn watch_slot(&self, backend: &BackendId, model: &Arc<str>, request: i64) {
        let _leaver = Leaver::new(self, backend);
        let left = Instant::now();
        let watch = self.options().slot_watch;
        let (mut pause, mut blind, mut was_busy) = (SLOT_LOOK, 0, false);
        loop {
            // One look may take its time, too.
            let look = timeout_at(left + watch, self.world.running(backend)).await;
            match look.ok().flatten() {
                // Those that left hold permits, too, and should run no more.
                Some(running) => {
                    let ours = self.desk.in_flight_at(backend);
                    let ours = ours.saturating_sub(self.leavers(backend));
                    if running <= ours {
                        return;
                    }
                    was_busy = true;
                }
                None => blind += 1,
            }
            if !was_busy && blind >= BLIND_LOOKS {
                return;
            }
            if left.elapsed() >= watch {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(SLOT_LOOK_MAX);
        }
        // What nobody saw running is no orphan.
        if was_busy {
            let after_ms = u64::try_from(left.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (backend, model) = (backend.clone(), model.to_string());
            self.world.orphaned(Orphan { backend, model, request, after_ms });
        }
    }

    fn leavers(&self, backend: &BackendId) -> u32 {
        let leavers = self.leavers.lock().unwrap_or_else(PoisonError::into_inner);
        leavers.get(backend).copied().unwrap_or(0)
    }
}

/// Counts one that left, for as long as its slot is watched.
struct Leaver<'a>(&'a State, BackendId);

impl<'a> Leaver<'a> {
    fn new(state: &'a State, backend: &BackendId) -> Self {
        let mut leavers = state.leavers.lock().unwrap_or_else(PoisonError::into_inner);
        *leavers.entry(backend.clone()).or_default() += 1;
        Self(state, backend.clone())
    }
}

impl Drop for Leaver<'_> {
    fn drop(&mut self) {
        let mut leavers = self.0.leavers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = leavers.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                leavers.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use plimsoll_core::{clock::SystemClock, config::gateway::Balance, request::Priority};

    use super::*;
    use crate::{
        admission::{Ask, Candidate, Limits},
        clients::{Keys, Rules},
        serve::Alone,
    };

    /// It says that it works on and on.
    struct Busy;

    impl World for Busy {
        fn running(&self, _: &BackendId) -> BoxFuture<'static, Option<u32>> {
            Box::pin(std::future::ready(Some(9)))
        }
    }

    fn state(world: Arc<dyn World>) -> Arc<State> {
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

    async fn leave(state: &Arc<State>) {
        let admitted = state.desk.admit(Ask {
            id: 1,
            client: "one".into(),
            model: "m".into(),
            priority: Priority::Interactive,
            tokens: 0,
            deadline: state.desk.deadline_in(Duration::from_secs(1)),
            candidates: [Candidate { backend: "b".into(), rank: 0, weight: 1 }].into(),
            policy: Balance::LeastInFlight,
            hash: 0,
        });
        let permit = admitted.await.unwrap();
        state.leave(permit, &"m".into(), 1, (Outcome::Unknown, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_tells_nothing_keeps_its_room_for_four_looks_and_no_longer() {
        let state = state(Arc::new(Alone));
        leave(&state).await;
        sleep(Duration::from_millis(170)).await;
        assert_eq!(state.desk.in_flight(), 1);
        sleep(Duration::from_millis(10)).await;
        assert_eq!(state.desk.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn no_slot_is_watched_any_more_when_the_gateway_stops() {
        let state = state(Arc::new(Busy));
        leave(&state).await;
        sleep(Duration::from_secs(9)).await;
        assert_eq!(state.desk.in_flight(), 1, "it is watched");
        state.tasks.close();
        state.stop.cancel();
        let stopped = Instant::now();
        state.tasks.wait().await;
        assert_eq!((state.desk.in_flight(), stopped.elapsed()), (0, Duration::ZERO));
    }
}
