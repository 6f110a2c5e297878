//! All services, each watched at its own pace by a task of its own.
//!
//! What is wanted comes in ([`Wanted`], the process table, the pace); what is seen
//! goes out: a [`FleetView`] for the window, a [`FleetSource`] for the sampler,
//! marks for the history.

mod acts;
mod asking;
mod holder;
mod keeping;
mod newest;
mod vram;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use plimsoll_core::{clock::Clock, process::ProcessTable, record::Record};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch as channel},
    task::JoinHandle,
    time::Instant,
};

use self::{
    acts::Endpoint,
    asking::{find_kind, scrape_once},
    keeping::{keep, view_of},
    newest::Newest,
    watch::Ask,
};
pub use self::{
    asking::likely_kind,
    holder::holder_of,
    keeping::unseen,
    newest::{FleetSource, Pace},
};
use crate::{
    adapter::{ActionError, Adapter, Condition, Memory},
    client::{Bounds, CallError, Client, Secret, Target, Trust},
    discovery::Finds,
    kind::ServiceKind,
    service::{Model, Origin, Service},
    state,
};

/// Most services that are watched or proposed.
pub const MAX_SERVICES: usize = 200;
/// Pause of what changes slowly, where nothing else is said.
const CALM: Duration = Duration::from_secs(5);

/// A service that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// `[a-z0-9-]{1,32}`.
    pub id: String,
    pub name: String,
    /// `None`: found out.
    pub kind: Option<ServiceKind>,
    pub url: String,
    pub origin: Origin,
    /// Name of the container whose own address that is; another one may have it later.
    pub container: Option<String>,
    pub key: Option<Secret>,
    /// Whose certificates are believed there; `None`: whom the system trusts.
    pub trust: Option<Trust>,
    /// Its own cadence; `None`: `pace` for engines with figures of their own, and at
    /// least 5 s for others.
    pub cadence: Option<Duration>,
    /// `services.scrape_ms`.
    pub pace: Duration,
    pub bounds: Bounds,
    /// False: it is known and not looked at.
    pub enabled: bool,
}

/// A service that was found and that nobody has accepted yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposed {
    pub id: String,
    pub name: String,
    pub kind: ServiceKind,
    pub url: String,
    pub version: Option<String>,
    pub found_ms: i64,
}

/// All that is wanted. Ids are unique over both lists; a second one is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    pub watched: Vec<Watched>,
    pub proposed: Vec<Proposed>,
}

/// All services as they are now, in the order in which they are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetView {
    /// 0 before the first.
    pub at_ms: i64,
    pub services: Vec<Arc<Service>>,
}

/// What a fleet is made of.
pub struct Parts {
    pub adapters: Vec<Arc<dyn Adapter>>,
    pub client: Client,
    pub clock: Arc<dyn Clock>,
    /// Takes the marks.
    pub record: Arc<dyn Record>,
    pub wanted: channel::Receiver<Arc<Wanted>>,
    pub processes: channel::Receiver<Arc<ProcessTable>>,
    pub pace: channel::Receiver<Pace>,
}

/// The watch over all services; it ends when this is dropped.
pub struct Fleet {
    shared: Arc<Shared>,
    view: channel::Receiver<Arc<FleetView>>,
    pace: channel::Receiver<Pace>,
    keeper: JoinHandle<()>,
}

/// Looks at services now, for those who do not own the fleet.
#[derive(Clone)]
pub struct Looker(Arc<Shared>);

/// What a test of a connection found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    pub kind: ServiceKind,
    pub version: Option<String>,
    pub condition: Condition,
    pub models: Vec<Model>,
    pub took: Duration,
}

/// Why nothing was done with a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    #[error("there is no service {0} that is watched")]
    NoSuchService(String),
    #[error("it is not known yet what {0} speaks")]
    NotKnownYet(String),
    #[error(transparent)]
    Action(#[from] ActionError),
}

pub(crate) struct Shared {
    adapters: Vec<Arc<dyn Adapter>>,
    client: Client,
    clock: Arc<dyn Clock>,
    record: Arc<dyn Record>,
    processes: channel::Receiver<Arc<ProcessTable>>,
    newest: Newest,
    /// The newest of each service that is watched.
    board: Mutex<BTreeMap<String, Arc<Service>>>,
    changed: Notify,
    /// What the search for services sees, where there is one.
    finds: OnceLock<channel::Receiver<Arc<Finds>>>,
    handles: Mutex<BTreeMap<String, Handle>>,
}

/// The way to one service's watch.
#[derive(Clone)]
struct Handle {
    asks: mpsc::Sender<Ask>,
    endpoint: Arc<Mutex<Endpoint>>,
}

// === impl Watched ===

impl Watched {
    /// A service that has its id for its name, wants no key, and is looked at as most are.
    pub fn new(id: &str, kind: Option<ServiceKind>, url: &str, origin: Origin) -> Self {
        Self {
            id: id.into(),
            name: id.into(),
            kind,
            url: url.into(),
            origin,
            container: None,
            key: None,
            trust: None,
            cadence: None,
            pace: Pace::default().tick,
            bounds: Bounds::default(),
            enabled: true,
        }
    }

    /// How often it is looked at, being of this kind.
    pub fn cadence_of(&self, kind: Option<ServiceKind>) -> Duration {
        let calm = kind.is_some_and(|kind| !kind.is_lively());
        self.cadence.unwrap_or(if calm { self.pace.max(CALM) } else { self.pace })
    }

    /// Whether looking at `other` is looking at the same in the same way.
    fn same_place(&self, other: &Watched) -> bool {
        (&self.url, self.kind, &self.container, &self.key, &self.trust, self.bounds)
            == (&other.url, other.kind, &other.container, &other.key, &other.trust, other.bounds)
    }
}

// === impl Fleet ===

impl Fleet {
    /// Starts the watch on the runtime that this is called in.
    pub fn start(parts: Parts) -> Self {
        let shared = Arc::new(Shared {
            adapters: parts.adapters,
            client: parts.client,
            clock: parts.clock,
            record: parts.record,
            processes: parts.processes,
            newest: Newest::default(),
            board: Mutex::default(),
            changed: Notify::new(),
            finds: OnceLock::new(),
            handles: Mutex::default(),
        });
        // Who asks at once is told what is wanted, and not that there is nothing.
        let first = view_of(&shared, &parts.wanted.borrow());
        let (sender, view) = channel::channel(Arc::new(first));
        let keeper = tokio::spawn(keep(shared.clone(), parts.wanted, sender));
        Self { shared, view, pace: parts.pace, keeper }
    }

    /// What the search for services sees of containers tells whose processes are behind a
    /// port that one publishes. Said once.
    pub fn know(&self, finds: channel::Receiver<Arc<Finds>>) {
        // Said twice, the first stays.
        let _ = self.shared.finds.set(finds);
    }

    /// All services as they are; changes as they change, at most five times a second.
    pub fn view(&self) -> channel::Receiver<Arc<FleetView>> {
        self.view.clone()
    }

    /// What the sampler reads.
    pub fn source(&self) -> FleetSource {
        FleetSource::new(self.shared.newest.clone(), self.pace.clone())
    }

    /// How a service is, for those who ask: what was seen within the last 30 s, else a
    /// look now (MV17). `None` where no such service is watched.
    pub async fn health(&self, id: &str) -> Option<Arc<Service>> {
        let known = self.shared.service(id)?;
        if state::is_fresh(known.checked_ms, self.shared.clock.now().wall_ms) {
            return Some(known);
        }
        self.look_now(id).await
    }

    /// Looks now, whatever the pause, and answers what was seen. `None` where no such
    /// service is watched.
    pub async fn look_now(&self, id: &str) -> Option<Arc<Service>> {
        self.looker().look_now(id).await
    }

    pub fn looker(&self) -> Looker {
        Looker(self.shared.clone())
    }

    /// Tries a place out without watching it.
    pub async fn test(&self, watched: &Watched) -> Result<Tested, CallError> {
        let key = watched.key.clone();
        let target = Target::new(&self.shared.client, &watched.url, key, watched.bounds)?
            .trusting(watched.trust.clone());
        let began = Instant::now();
        let kind = match watched.kind {
            Some(kind) => kind,
            None => {
                let patience = watched.bounds.budget * 8;
                find_kind(&self.shared, &target, None, patience, Origin::Configured).await?
            }
        };
        let adapter = self
            .shared
            .adapter(kind)
            .ok_or_else(|| CallError::BadUrl(format!("no adapter speaks to {}", kind.label())))?;
        let scrape = scrape_once(&*adapter, &target, &mut Memory::default()).await?;
        Ok(Tested {
            kind,
            version: scrape.version,
            condition: scrape.condition,
            models: scrape.models.unwrap_or_default(),
            took: began.elapsed(),
        })
    }

    /// Ends the watch for good; what was seen last stays in the view.
    pub fn stop(&self) {
        self.keeper.abort();
    }
}

// === impl Looker ===

impl Looker {
    /// [`Fleet::look_now`].
    pub async fn look_now(&self, id: &str) -> Option<Arc<Service>> {
        let handle = self.0.handle(id)?;
        let (ask, answer) = oneshot::channel();
        handle.asks.send(ask).await.ok()?;
        answer.await.ok()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // The keeper holds all watches, and they end with it.
        self.stop();
    }
}

// === impl Shared ===

impl Shared {
    fn adapter(&self, kind: ServiceKind) -> Option<Arc<dyn Adapter>> {
        self.adapters.iter().find(|adapter| adapter.kind() == kind).cloned()
    }

    fn put(&self, service: Arc<Service>) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.insert(service.id.clone(), service);
        drop(board);
        self.changed.notify_one();
    }

    fn service(&self, id: &str) -> Option<Arc<Service>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn handle(&self, id: &str) -> Option<Handle> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn forget(&self, id: &str) {
        self.newest.remove(id);
        self.board.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests;
