//! Services: those of the configuration are watched while Plimsoll runs, listed
//! and shown; any address can be tried out, also where no Plimsoll runs.
//!
//! The watch itself is [`plimsoll_services::fleet`]. Here it is given what the
//! configuration wants, and its words are made for a person.

mod trial;
mod wanted;

use std::{sync::Arc, time::Duration};

use plimsoll_core::{clock::Clock, config::Config, process::ProcessTable, record::Record};
use plimsoll_services::{
    adapters,
    client::{Client, Limits},
    fleet::{self, Fleet, FleetSource, FleetView, Pace, unseen},
    service::{Hint, Service},
};
use tokio::{sync::watch, task::AbortHandle};

use self::wanted::Asked;
use crate::{
    api::{Fault, FaultCode, ServiceTest, ServiceTested},
    dispatch::blocking,
    project::project,
};

pub use self::trial::test_alone;

/// How often key files are read again: a key that is renewed is used from then on.
const KEYS_EVERY: Duration = Duration::from_secs(30);

/// What the services are made of.
pub struct Parts {
    pub config: watch::Receiver<Arc<Config>>,
    pub clock: Arc<dyn Clock>,
    /// Takes the marks.
    pub record: Arc<dyn Record>,
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    /// A simulated workstation asks no real server.
    pub simulated: bool,
}

/// The services of the configuration, and the watch over them.
pub struct Services {
    fleet: Fleet,
    config: watch::Receiver<Arc<Config>>,
    asked: watch::Receiver<Asked>,
    follower: AbortHandle,
    simulated: bool,
}

// === impl Services ===

impl Services {
    /// Starts the watch on the current runtime.
    pub async fn start(parts: Parts) -> Result<Self, Fault> {
        let Parts { config, clock, record, processes, simulated } = parts;
        // Held over the wait it would bind the start to one thread.
        let now = config.borrow().clone();
        let first = if simulated { Asked::default() } else { ask(&now).await? };
        let (publish, asked) = watch::channel(first);
        let follower = match simulated {
            true => tokio::spawn(std::future::ready(())),
            false => tokio::spawn(follow(config.clone(), publish)),
        };
        let fleet = Fleet::start(fleet::Parts {
            adapters: adapters::all(),
            client: client().await?,
            clock,
            record,
            wanted: project(asked.clone(), |asked: &Asked| asked.wanted.clone()),
            processes,
            pace: project(config.clone(), |config: &Arc<Config>| pace(config)),
        });
        Ok(Self { fleet, config, asked, follower: follower.abort_handle(), simulated })
    }

    /// What the sampler reads.
    pub fn source(&self) -> FleetSource {
        self.fleet.source()
    }

    pub fn view(&self) -> watch::Receiver<Arc<FleetView>> {
        self.fleet.view()
    }

    /// All services as they are now, in the order of their ids.
    pub fn list(&self) -> Vec<Service> {
        let view = self.fleet.view().borrow().clone();
        view.services.iter().map(|service| self.told(service)).collect()
    }

    /// One service: what was seen within the last 30 s, else a look now.
    pub async fn show(&self, id: &str) -> Result<Service, Fault> {
        if let Some(service) = self.fleet.health(id).await {
            return Ok(self.told(&service));
        }
        // One that was not looked at yet is known all the same.
        let services = self.list();
        match services.iter().find(|service| service.id == id) {
            Some(service) => Ok(service.clone()),
            None => Err(no_such(id, services.iter().map(|service| &*service.id))),
        }
    }

    /// Tries out an address, or a service of the configuration.
    pub async fn test(&self, ask: &ServiceTest) -> Result<ServiceTested, Fault> {
        if self.simulated {
            return Err(simulated());
        }
        let config = self.config.borrow().clone();
        trial::run(&self.fleet, &config, ask).await
    }

    /// Ends the watch.
    pub fn stop(&self) {
        self.follower.abort();
        self.fleet.stop();
    }

    /// A service with what is known here and not where it is watched.
    fn told(&self, service: &Service) -> Service {
        let mut service = service.clone();
        if let Some(why) = self.asked.borrow().keyless.get(&service.id) {
            service.hints.push(keyless(why));
        }
        service
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// The services of the configuration where nobody watches them.
pub async fn as_configured(config: &Arc<Config>, now_ms: i64) -> Result<Vec<Service>, Fault> {
    let asked = ask(config).await?;
    let services = asked.wanted.watched.iter().map(|watched| {
        let mut watched = watched.clone();
        watched.enabled = false;
        let mut service = unseen(&watched, now_ms);
        service.reason = "no Plimsoll runs that watches it".into();
        service.hints.extend(asked.keyless.get(&service.id).map(|why| keyless(why)));
        service
    });
    Ok(services.collect())
}

/// There is no service of that name; those that there are.
pub fn no_such<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> Fault {
    let known: Vec<&str> = known.collect();
    let hint = if known.is_empty() {
        "None is configured: `plimsoll config set services.NAME.url=http://127.0.0.1:8080`.".into()
    } else {
        format!("There are: {}.", known.join(", "))
    };
    Fault::new(FaultCode::NotFound, format!("There is no service {id:?}.")).hint(hint)
}

fn simulated() -> Fault {
    Fault::new(FaultCode::Unavailable, "A simulated workstation asks no real server.")
        .hint("Leave --demo away to try out a server of this machine.")
}

fn keyless(why: &str) -> Hint {
    Hint::warning("key-file", why, "It is asked without a key until the file can be read.")
}

/// Follows the configuration, and the key files that it names.
async fn follow(mut config: watch::Receiver<Arc<Config>>, publish: watch::Sender<Asked>) {
    loop {
        let now = config.borrow_and_update().clone();
        let keys = now.services.entries.values().any(|entry| !entry.key_file.is_empty());
        // What broke off is tried again with the next change.
        if let Ok(asked) = ask(&now).await {
            for (id, why) in &asked.keyless {
                if publish.borrow().keyless.get(id) != Some(why) {
                    tracing::warn!(service = %id, "{why}");
                }
            }
            publish.send_if_modified(|old| {
                let changed = *old != asked;
                *old = asked;
                changed
            });
        }
        tokio::select! {
            changed = config.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(KEYS_EVERY), if keys => {}
        }
    }
}

/// What the configuration asks for. Files are read, and not on the runtime's threads.
async fn ask(config: &Arc<Config>) -> Result<Asked, Fault> {
    let config = config.clone();
    blocking(move || Asked::of(&config)).await
}

async fn client() -> Result<Client, Fault> {
    Ok(blocking(|| Client::new(Limits::here())).await??)
}

fn pace(config: &Config) -> Pace {
    let ms = |ms: u32| Duration::from_millis(u64::from(ms));
    Pace { tick: ms(config.sampling.interval_ms), slow: ms(config.sampling.processes_ms) }
}

#[cfg(test)]
mod tests;
