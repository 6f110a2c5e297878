//! The search for services on this machine: what it is told to look for, and what
//! becomes of what it finds.

use std::{sync::Arc, time::Duration};

use plimsoll_core::{
    alert::Severity,
    clock::Clock,
    config::{Accept, Config},
    process::ProcessTable,
};
use plimsoll_sense::listening_here;
use plimsoll_services::{
    adapters,
    client::Client,
    discovery::{self, Discovery, DockerError, Finds, ReadSockets, Rules, Socket, usual_sockets},
};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::found::{Found, left_out, told};
use crate::{
    alerts::{Notice, Notifier},
    places::Surroundings,
    project::project,
};

/// From the first find to its notification: what is found within it is told together.
const BATCH: Duration = Duration::from_secs(3);
/// Names in a notification.
const NAMED: usize = 3;

/// What the search is made of.
pub struct Parts {
    pub client: Client,
    pub clock: Arc<dyn Clock>,
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    pub config: watch::Receiver<Arc<Config>>,
    pub found: Arc<Found>,
    /// Tells the desktop.
    pub notifier: Arc<dyn Notifier>,
}

/// The search; it ends when this is dropped.
pub struct Search {
    finds: watch::Receiver<Arc<Finds>>,
    processes: watch::Receiver<Arc<ProcessTable>>,
    keeper: AbortHandle,
    _discovery: Discovery,
}

/// What finds become: kept, watched, told.
struct Keeper {
    finds: watch::Receiver<Arc<Finds>>,
    config: watch::Receiver<Arc<Config>>,
    found: Arc<Found>,
    notifier: Arc<dyn Notifier>,
    /// Whether they are accepted by themselves, by the configuration seen last.
    always: bool,
    /// Found, and not told to the desktop yet.
    untold: Vec<String>,
    tell_at: Instant,
}

// === impl Search ===

impl Search {
    /// Begins on the current runtime.
    pub fn start(parts: Parts) -> Self {
        let Parts { client, clock, processes, config, found, notifier } = parts;
        let discovery = Discovery::start(discovery::Parts {
            adapters: adapters::all(),
            client,
            clock,
            processes: processes.clone(),
            rules: project(config.clone(), |config: &Arc<Config>| Arc::new(rules(config))),
            sockets: sockets(),
            docker: usual_sockets(Surroundings::read().xdg_runtime_dir.as_deref()),
        });
        let finds = discovery.finds();
        let always = config.borrow().services.accept == Accept::Always;
        let keeper = Keeper {
            finds: finds.clone(),
            always,
            config,
            found,
            notifier,
            untold: Vec::new(),
            tell_at: Instant::now(),
        };
        let keeper = tokio::spawn(keeper.run()).abort_handle();
        Self { finds, processes, keeper, _discovery: discovery }
    }

    /// When it was looked last; `None` before the first time.
    pub fn looked_ms(&self) -> Option<i64> {
        let changed_ms = self.finds.borrow().at_ms;
        // Each process table is a look, and only a change of what is there is told.
        (changed_ms > 0).then(|| self.processes.borrow().at_ms.max(changed_ms))
    }

    /// What is there now, whenever that changes.
    pub fn finds(&self) -> watch::Receiver<Arc<Finds>> {
        self.finds.clone()
    }

    /// Why containers are not known by name, one sentence.
    pub fn docker(&self) -> Option<String> {
        docker_words(self.finds.borrow().docker.as_ref()?)
    }

    pub fn stop(&self) {
        self.keeper.abort();
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.stop();
    }
}

// === impl Keeper ===

impl Keeper {
    async fn run(mut self) {
        loop {
            self.look().await;
            let waits = !self.untold.is_empty();
            tokio::select! {
                changed = self.finds.changed() => if changed.is_err() { return },
                changed = self.config.changed() => if changed.is_err() { return },
                () = sleep_until(self.tell_at), if waits => self.tell(),
            }
        }
    }

    async fn look(&mut self) {
        let config = self.config.borrow_and_update().clone();
        let finds = self.finds.borrow_and_update().clone();
        self.found.give_way(&config).await;
        // Before the first look nothing is known to be away.
        if finds.at_ms > 0 {
            self.took(self.found.see(&finds, &config).await);
        }
        let always = config.services.accept == Accept::Always;
        // Who chooses it means those that wait, too; one that is let go later stays so.
        if always && !self.always {
            self.found.accept_all(&config).await;
        }
        self.always = always;
    }

    fn took(&mut self, fresh: Vec<String>) {
        if self.untold.is_empty() {
            self.tell_at = Instant::now() + BATCH;
        }
        self.untold.extend(fresh);
    }

    /// One notification for all that still wait for a person's word.
    fn tell(&mut self) {
        let untold = std::mem::take(&mut self.untold);
        if !self.config.borrow().alerts.notify {
            return;
        }
        let offers = self.found.offers().borrow().clone();
        let waits = |id: &String| offers.proposed.iter().any(|proposed| proposed.id == *id);
        let ids: Vec<String> = untold.into_iter().filter(waits).collect();
        if let Some(notice) = notice(&self.found, &ids) {
            self.notifier.notify(&notice);
        }
    }
}

fn notice(found: &Found, ids: &[String]) -> Option<Notice> {
    let entries: Vec<_> = ids.iter().filter_map(|id| found.entry(id)).collect();
    let title = match &entries[..] {
        [] => return None,
        [one] => format!("Found: {}", told(one)),
        all => {
            let mut names: Vec<&str> = all.iter().take(NAMED).map(|e| e.name.as_str()).collect();
            let more = format!("and {} more", all.len().saturating_sub(NAMED));
            if all.len() > NAMED {
                names.push(&more);
            }
            format!("Found {} services: {}", all.len(), names.join(", "))
        }
    };
    Some(Notice {
        rule: "service-found".into(),
        subject: ids.first().cloned().unwrap_or_default(),
        severity: Severity::Info,
        title,
        advice: "Accept it on the page Services to watch it.".into(),
    })
}

fn rules(config: &Config) -> Rules {
    Rules { enabled: config.services.discover, left_out: left_out(config) }
}

fn sockets() -> ReadSockets {
    Arc::new(|| {
        let listens = listening_here()?.into_iter();
        Some(listens.map(|(address, inode)| Socket { address, inode }).collect())
    })
}

fn docker_words(error: &DockerError) -> Option<String> {
    match error {
        // No Docker: nothing is wrong.
        DockerError::Absent => None,
        DockerError::Forbidden { socket } => Some(format!(
            "Containers are not known by name: {} may not be read by this user. A member of the \
             group docker may.",
            socket.display()
        )),
        other => Some(format!("Containers are not known by name: {other}.")),
    }
}

#[cfg(test)]
mod tests;
