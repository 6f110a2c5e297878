//! A watch for every service that is wanted, and one view of all of them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch as channel},
    task::{AbortHandle, JoinSet},
};

use super::{
    CALM, FleetView, Handle, MAX_SERVICES, Proposed, Shared, Wanted, Watched, acts::Endpoint,
    watch::Watcher,
};
use crate::service::{Origin, Service, ServiceState};

/// Shortest time between two views: 20 services that are looked at every second
/// are one view and not 20.
const VIEW_PAUSE: Duration = Duration::from_millis(200);

/// A watch that runs.
struct Running {
    watched: channel::Sender<Arc<Watched>>,
    task: AbortHandle,
}

/// Keeps a watch for every service that is wanted, and the view of all of them.
pub(super) async fn keep(
    shared: Arc<Shared>,
    mut wanted: channel::Receiver<Arc<Wanted>>,
    view: channel::Sender<Arc<FleetView>>,
) {
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let mut open = true;
    loop {
        let now = wanted.borrow_and_update().clone();
        reconcile(&shared, &now, &mut running, &mut tasks);
        view.send_replace(Arc::new(view_of(&shared, &now)));
        loop {
            tokio::select! {
                changed = wanted.changed(), if open => {
                    open = changed.is_ok();
                    break;
                }
                () = shared.changed.notified() => {
                    view.send_replace(Arc::new(view_of(&shared, &now)));
                    tokio::time::sleep(VIEW_PAUSE).await;
                }
                Some(ended) = tasks.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        tracing::error!("a service's watch ended with a panic and begins anew");
                        tokio::time::sleep(CALM).await;
                        break;
                    }
                }
            }
        }
    }
}

/// Starts, changes and ends watches until they are those that are wanted.
fn reconcile(
    shared: &Arc<Shared>,
    wanted: &Wanted,
    running: &mut BTreeMap<String, Running>,
    tasks: &mut JoinSet<()>,
) {
    let mut gone: Vec<String> = running.keys().cloned().collect();
    let mut seen = HashSet::new();
    for watched in wanted.watched.iter().take(MAX_SERVICES) {
        if !seen.insert(&watched.id) {
            continue;
        }
        gone.retain(|id| *id != watched.id);
        let alive = running.get(&watched.id).filter(|running| !running.task.is_finished());
        if let Some(running) = alive {
            running.watched.send_if_modified(|old| {
                let changed = **old != *watched;
                if changed {
                    *old = Arc::new(watched.clone());
                }
                changed
            });
            continue;
        }
        let (sender, receiver) = channel::channel(Arc::new(watched.clone()));
        let (asks, asked) = mpsc::channel(8);
        let endpoint = Arc::new(Mutex::new(Endpoint { target: None, adapter: None }));
        let watcher = Watcher::new(shared.clone(), receiver, asked, endpoint.clone());
        shared
            .handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(watched.id.clone(), Handle { asks, endpoint });
        let task = tasks.spawn(watcher.run());
        running.insert(watched.id.clone(), Running { watched: sender, task });
    }
    for id in gone {
        if let Some(running) = running.remove(&id) {
            running.task.abort();
        }
        shared.forget(&id);
    }
}

pub(super) fn view_of(shared: &Shared, wanted: &Wanted) -> FleetView {
    let now_ms = shared.clock.now().wall_ms;
    let board = shared.board.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seen = HashSet::new();
    let mut services = Vec::new();
    for watched in wanted.watched.iter().take(MAX_SERVICES) {
        if seen.insert(watched.id.as_str()) {
            let known = board.get(&watched.id).cloned();
            services.push(known.unwrap_or_else(|| Arc::new(unseen(watched, now_ms))));
        }
    }
    for proposed in wanted.proposed.iter().take(MAX_SERVICES) {
        if seen.insert(proposed.id.as_str()) {
            services.push(Arc::new(proposal(proposed)));
        }
    }
    FleetView { at_ms: now_ms, services }
}

/// A service before its first look.
pub fn unseen(watched: &Watched, now_ms: i64) -> Service {
    let Watched { id, name, kind, url, origin, .. } = watched;
    let (state, reason) = match watched.enabled {
        true => (ServiceState::Starting, "not looked at yet"),
        false => (ServiceState::Unknown, "not watched"),
    };
    Service {
        state,
        reason: reason.into(),
        since_ms: now_ms,
        ..Service::new(id, name, *kind, url, *origin)
    }
}

fn proposal(proposed: &Proposed) -> Service {
    let Proposed { id, name, kind, url, .. } = proposed;
    Service {
        reason: "found, and not accepted yet".into(),
        since_ms: proposed.found_ms,
        version: proposed.version.clone(),
        ..Service::new(id, name, Some(*kind), url, Origin::Proposed)
    }
}
