//! Services that nobody named: found on this machine by what they speak.
//!
//! [`candidates`] says which ports are worth asking, [`identify`] asks them, each
//! once, [`docker`] tells what containers publish, and [`known`] gives what was found
//! an id that stays. [`Discovery`] runs the first three and tells what is there
//! now; the caller hands that to its [`Known`], which it keeps on disk.
//!
//! Deliberately absent: a scan of ports (only what listens is asked), other
//! machines (only the configuration names them), and any guess from a port number.

pub mod candidates;
pub mod docker;
pub mod identify;
pub mod known;
pub mod signature;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use plimsoll_core::{clock::Clock, process::ProcessTable};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

pub use self::{
    candidates::{Candidate, Place, Socket, local_port, place},
    docker::{Container, Docker, DockerError, usual_sockets},
    identify::{Outcome, Sighting},
    known::{Entry, Event, Known, KnownError, Manner, Seen, Verdict},
    signature::Signature,
};
use self::{
    candidates::{Key, MAX_CANDIDATES, Surroundings, candidates},
    identify::{AT_ONCE, Asked, PATIENCE, QUESTION, ask},
};
use crate::{adapter::Adapter, client::Client};

/// How often Docker is asked; containers come and go by people's hands.
const DOCKER_EVERY: Duration = Duration::from_secs(10);
/// And how often it is looked for where it did not answer.
const DOCKER_AGAIN: Duration = Duration::from_secs(60);
/// All sockets of Docker together: one that hangs holds nobody up for long.
const DOCKER_WITHIN: Duration = Duration::from_secs(5);
/// A list of this age is new enough for a port that was not there before.
const DOCKER_FRESH: Duration = Duration::from_secs(1);
/// Docker opens the port of a container before it tells that the container runs: a list
/// that says nothing of a port counts when the port was there for so long.
const DOCKER_TELLS: Duration = Duration::from_secs(2);
/// Longest sleep without a look: clocks may jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Reads the sockets that listen here; `None` where the system does not tell them.
/// Called at each process table, within a task: it must be quick.
pub type ReadSockets = Arc<dyn Fn() -> Option<Vec<Socket>> + Send + Sync>;

/// What a discovery is made of.
pub struct Parts {
    pub adapters: Vec<Arc<dyn Adapter>>,
    pub client: Client,
    pub clock: Arc<dyn Clock>,
    /// Each new table is a look.
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    pub rules: watch::Receiver<Arc<Rules>>,
    pub sockets: ReadSockets,
    /// Where Docker may be, the first that answers counts; see [`usual_sockets`].
    pub docker: Vec<PathBuf>,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `services.discover`.
    pub enabled: bool,
    /// Places that are not asked: those of services that the configuration names.
    /// Plimsoll's own are known by their process.
    pub left_out: BTreeSet<Place>,
}

/// What is there now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finds {
    /// When it was looked last and something had changed; 0 before the first look.
    pub at_ms: i64,
    /// By port.
    pub sightings: Vec<Sighting>,
    /// Places where somebody listens and of which it is not known yet what they are.
    pub undecided: BTreeSet<Place>,
    /// By name; empty where Docker does not tell them.
    pub containers: Vec<Container>,
    /// Why it does not.
    pub docker: Option<DockerError>,
}

/// The search; it ends when this is dropped.
pub struct Discovery {
    finds: watch::Receiver<Arc<Finds>>,
    task: JoinHandle<()>,
}

/// Work that came to its end.
enum Done {
    Asked(Key, Outcome),
    Docker(Result<Vec<Container>, DockerError>),
}

struct Search {
    parts: Parts,
    asked: Asked,
    candidates: Vec<Candidate>,
    queue: VecDeque<Candidate>,
    asking: usize,
    work: JoinSet<Done>,
    dockers: BTreeMap<PathBuf, Docker>,
    containers: Vec<Container>,
    docker: Option<DockerError>,
    docker_busy: bool,
    /// Containers of which processes were seen; Docker may not know them all.
    inside: BTreeSet<String>,
    /// When it is asked next.
    docker_at: Instant,
    /// When it answered last, with a list or without.
    docker_told: Option<Instant>,
    /// Ports of which nobody says whose they are, since when.
    nobodys: BTreeMap<Place, Instant>,
    finds: watch::Sender<Arc<Finds>>,
}

// === impl Rules ===

impl Default for Rules {
    fn default() -> Self {
        Self { enabled: true, left_out: BTreeSet::new() }
    }
}

// === impl Discovery ===

impl Discovery {
    pub fn start(parts: Parts) -> Self {
        let (sender, finds) = watch::channel(Arc::default());
        let search = Search {
            parts,
            asked: Asked::default(),
            candidates: Vec::new(),
            queue: VecDeque::new(),
            asking: 0,
            work: JoinSet::new(),
            dockers: BTreeMap::new(),
            containers: Vec::new(),
            docker: None,
            docker_busy: false,
            inside: BTreeSet::new(),
            docker_at: Instant::now(),
            docker_told: None,
            nobodys: BTreeMap::new(),
            finds: sender,
        };
        Self { finds, task: tokio::spawn(search.run()) }
    }

    /// What is there, whenever that changes.
    pub fn finds(&self) -> watch::Receiver<Arc<Finds>> {
        self.finds.clone()
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Search ===

impl Search {
    async fn run(mut self) {
        loop {
            let enabled = self.parts.rules.borrow_and_update().enabled;
            if enabled {
                self.look();
            } else {
                self.rest();
            }
            self.publish();
            let pause = self.pause();
            tokio::select! {
                // A scan is due when somebody listens anew; nothing else tells it.
                changed = self.parts.processes.changed() => if changed.is_err() { return },
                changed = self.parts.rules.changed() => if changed.is_err() { return },
                Some(done) = self.work.join_next() => self.take(done),
                () = sleep_until(self.docker_at), if enabled && !self.docker_busy => {}
                () = sleep(pause), if enabled => {}
            }
        }
    }

    /// Sees who listens, and asks whom nobody asked yet.
    fn look(&mut self) {
        let table = self.parts.processes.borrow_and_update().clone();
        self.meet_containers(&table);
        self.ask_docker();
        if table.at_ms == 0 {
            return;
        }
        let sockets = (self.parts.sockets)();
        let around = Surroundings {
            sockets: sockets.as_deref(),
            table: &table,
            containers: &self.containers,
        };
        let rules = self.parts.rules.borrow().clone();
        self.candidates = candidates(around, &rules.left_out, MAX_CANDIDATES);
        if self.waits_for_docker() {
            return;
        }
        self.hold_back_nobodys();
        let now_ms = self.parts.clock.now().monotonic_ms;
        self.queue.extend(self.asked.due(&self.candidates, now_ms));
        while self.asking < AT_ONCE
            && let Some(candidate) = self.queue.pop_front()
        {
            self.asking += 1;
            let (adapters, client) = (self.parts.adapters.clone(), self.parts.client.clone());
            self.work.spawn(async move {
                let outcome = ask(&adapters, &client, &candidate, QUESTION, PATIENCE).await;
                Done::Asked(candidate.key, outcome)
            });
        }
    }

    /// A container that began need not open a port here by which it would be noticed.
    fn meet_containers(&mut self, table: &ProcessTable) {
        let inside: BTreeSet<&str> =
            table.processes.iter().filter_map(|p| p.container.as_deref()).collect();
        let same =
            inside.len() == self.inside.len() && inside.iter().all(|id| self.inside.contains(*id));
        if same {
            return;
        }
        self.inside = inside.into_iter().map(Into::into).collect();
        if self.docker.is_none() {
            self.docker_at = self.docker_at.min(Instant::now());
        }
    }

    /// A port that was not there before may be a container's, and the service behind
    /// it is called by the container's name: that is known first.
    fn waits_for_docker(&mut self) -> bool {
        let Some(told) = self.docker_told else { return true };
        let new = self.candidates.iter().any(|candidate| self.asked.is_new(&candidate.key));
        if self.docker.is_some() || !new || told.elapsed() < DOCKER_FRESH {
            return false;
        }
        self.docker_at = Instant::now();
        self.ask_docker();
        true
    }

    /// What Docker has not told of yet is left for the next look.
    fn hold_back_nobodys(&mut self) {
        let now = Instant::now();
        let told = self.docker_told.filter(|_| self.docker.is_none());
        let before = std::mem::take(&mut self.nobodys);
        let (asked, nobodys, again) = (&self.asked, &mut self.nobodys, &mut self.docker_at);
        self.candidates.retain(|candidate| {
            let known = candidate.runner.as_ref().is_some_and(|runner| !runner.guessed);
            let named = candidate.container.as_ref().map_or(known, |within| within.name.is_some());
            // Without Docker nobody will say more.
            let Some(told) = told.filter(|_| !named && asked.is_new(&candidate.key)) else {
                return true;
            };
            let since = before.get(&candidate.place()).copied().unwrap_or(now);
            nobodys.insert(candidate.place(), since);
            let settled = told >= since + DOCKER_TELLS;
            if !settled {
                *again = (*again).min(since + DOCKER_TELLS);
            }
            settled
        });
    }

    /// Forgets what it saw: to be switched off means that nothing is asked or told.
    fn rest(&mut self) {
        self.work = JoinSet::new();
        (self.asking, self.docker_busy) = (0, false);
        (self.docker_at, self.docker_told) = (Instant::now(), None);
        self.asked = Asked::default();
        self.queue.clear();
        self.nobodys.clear();
        self.candidates.clear();
        self.containers.clear();
        self.docker = None;
        self.parts.processes.mark_unchanged();
    }

    fn take(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Asked(key, outcome)) => {
                self.asking = self.asking.saturating_sub(1);
                match &outcome {
                    Outcome::Found(identity, at) => {
                        tracing::info!(kind = %identity.kind, %at, "a service is there");
                    }
                    other => tracing::debug!(port = key.port, outcome = ?other, "no service"),
                }
                self.asked.took(key, outcome, self.parts.clock.now().monotonic_ms);
            }
            Ok(Done::Docker(answer)) => {
                self.docker_busy = false;
                let pause = if answer.is_ok() { DOCKER_EVERY } else { DOCKER_AGAIN };
                self.docker_at = Instant::now() + pause;
                self.docker_told = Some(Instant::now());
                let (containers, trouble) = match answer {
                    Ok(containers) => (containers, None),
                    Err(trouble) => (Vec::new(), Some(trouble)),
                };
                if trouble != self.docker
                    && let Some(words) = trouble.as_ref().filter(|t| **t != DockerError::Absent)
                {
                    tracing::info!("containers are not known by name: {words}");
                }
                (self.containers, self.docker) = (containers, trouble);
            }
            // Cancelled, or a fault of our own: none of the work panics by itself.
            Err(_) => self.asking = self.asking.saturating_sub(1),
        }
    }

    fn ask_docker(&mut self) {
        if self.docker_busy || Instant::now() < self.docker_at {
            return;
        }
        let mut daemons = Vec::new();
        for socket in &self.parts.docker {
            if !socket.exists() {
                continue;
            }
            if !self.dockers.contains_key(socket)
                && let Ok(docker) = Docker::at(socket.clone())
            {
                self.dockers.insert(socket.clone(), docker);
            }
            daemons.extend(self.dockers.get(socket).cloned());
        }
        self.docker_busy = true;
        self.work.spawn(async move {
            let answer = tokio::time::timeout(DOCKER_WITHIN, first_list(daemons)).await;
            let late = || Err(DockerError::Failed("it gave no answer in time".into()));
            Done::Docker(answer.unwrap_or_else(|_| late()))
        });
    }

    /// Until the next port that was not ready is due.
    fn pause(&self) -> Duration {
        let now_ms = self.parts.clock.now().monotonic_ms;
        let next = self.asked.next_ms(&self.candidates).map_or(LONGEST_SLEEP, |next| {
            Duration::from_millis(u64::try_from(next - now_ms).unwrap_or(0))
        });
        next.clamp(Duration::from_millis(200), LONGEST_SLEEP)
    }

    fn publish(&mut self) {
        let wall_ms = self.parts.clock.now().wall_ms;
        let looked = self.parts.processes.borrow().at_ms != 0;
        let fresh = Finds {
            at_ms: 0,
            sightings: self.asked.found(&self.candidates),
            undecided: self.asked.undecided(&self.candidates),
            containers: self.containers.clone(),
            docker: self.docker.clone(),
        };
        self.finds.send_if_modified(|finds| {
            let same = Finds { at_ms: 0, ..(**finds).clone() } == fresh;
            if !looked || same && finds.at_ms != 0 {
                return false;
            }
            *finds = Arc::new(Finds { at_ms: wall_ms, ..fresh });
            true
        });
    }
}

/// The list of the first daemon that gives one.
async fn first_list(daemons: Vec<Docker>) -> Result<Vec<Container>, DockerError> {
    let mut trouble = DockerError::Absent;
    for docker in daemons {
        match docker.containers().await {
            Ok(containers) => return Ok(containers),
            // The first one's trouble is the one to tell.
            Err(error) if trouble == DockerError::Absent => trouble = error,
            Err(_) => {}
        }
    }
    Err(trouble)
}

#[cfg(test)]
mod tests;
