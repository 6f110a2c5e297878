//! Services: those of the configuration, and those that were found by themselves and
//! accepted, are watched while Plimsoll runs, listed and shown; any address can be tried
//! out, also where no Plimsoll runs.
//!
//! The watch itself is [`plimsoll_services::fleet`], the search is
//! [`plimsoll_services::discovery`]. Here they are given what the configuration and a
//! person want, and their words are made for a person.

pub mod actions;
mod alone;
pub mod ending;
pub mod found;
mod here;
pub mod hold;
mod judge;
pub mod managed;
mod search;
mod trial;
mod vram;
mod wanted;
pub mod written;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Clock,
    config::{Config, OF_FOUND, wire::Change},
    process::ProcessTable,
    record::Record,
};
use plimsoll_history::State;
use plimsoll_services::{
    adapters,
    client::{Client, Limits},
    discovery::{Known, Verdict},
    fleet::{self, Fleet, FleetSource, FleetView, Looker, Pace, Wanted, unseen},
    managed::Managed,
    service::{Hint, Origin, Service},
};
use tokio::{sync::watch, task::AbortHandle};

use self::{
    found::{Found, Offers},
    search::Search,
    wanted::Asked,
};
use crate::{
    alerts::Notifier,
    api::{
        Done, Fault, FaultCode, ServiceAdd, ServiceAdded, ServiceRemove, ServiceRemoved,
        ServiceTest, ServiceTested, ServicesFound,
    },
    config_handle::ConfigHandle,
    dispatch::blocking,
    project::project,
};

pub(crate) use self::wanted::read_trust;
pub use self::{alone::act_alone, here::is_here, trial::test_alone, wanted::bounds};

/// How often key files are read again: a key that is renewed is used from then on.
const KEYS_EVERY: Duration = Duration::from_secs(30);

/// What the services are made of.
pub struct Parts {
    pub config: watch::Receiver<Arc<Config>>,
    pub clock: Arc<dyn Clock>,
    /// Takes the marks.
    pub record: Arc<dyn Record>,
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    /// Keeps what was found.
    pub state: Arc<State>,
    /// Tells the desktop of it.
    pub notifier: Arc<dyn Notifier>,
    /// What services are started and stopped with; `None`: none are.
    pub runs: Option<managed::Runs>,
    /// A simulated workstation asks no real server: it has these instead.
    pub simulated: Option<Arc<Wanted>>,
}

/// The services, and the watch over them.
pub struct Services {
    fleet: Fleet,
    /// What the fleet sees, with how the managed ones run.
    view: watch::Receiver<Arc<FleetView>>,
    managed: Option<Managed>,
    found: Arc<Found>,
    /// `None` on a simulated workstation.
    search: Option<Search>,
    config: watch::Receiver<Arc<Config>>,
    asked: watch::Receiver<Asked>,
    follower: AbortHandle,
    simulated: bool,
}

// === impl Services ===

impl Services {
    /// Starts the watch on the current runtime.
    pub async fn start(parts: Parts) -> Result<Self, Fault> {
        let Parts { config, clock, record, processes, state, notifier, runs, simulated } = parts;
        let found = Arc::new(Found::load(state, clock.clone(), record.clone()).await);
        let offers = found.offers();
        // Held over the wait they would bind the start to one thread.
        let (now, known) = (config.borrow().clone(), offers.borrow().clone());
        let first = match &simulated {
            Some(wanted) => Asked { wanted: wanted.clone(), ..Asked::default() },
            None => ask(&now, &known).await?,
        };
        let simulated = simulated.is_some();
        let (publish, asked) = watch::channel(first);
        let follower = match simulated {
            true => tokio::spawn(std::future::ready(())),
            false => tokio::spawn(follow(config.clone(), offers, publish)),
        };
        let client = client().await?;
        let search = (!simulated).then(|| {
            Search::start(search::Parts {
                client: client.clone(),
                clock: clock.clone(),
                processes: processes.clone(),
                config: config.clone(),
                found: found.clone(),
                notifier,
            })
        });
        let fleet = Fleet::start(fleet::Parts {
            adapters: adapters::all(),
            client,
            clock: clock.clone(),
            record: record.clone(),
            wanted: project(asked.clone(), |asked: &Asked| asked.wanted.clone()),
            processes,
            pace: project(config.clone(), |config: &Arc<Config>| pace(config)),
        });
        if let Some(search) = &search {
            // Behind a port that a container publishes are the processes of that container.
            fleet.know(search.finds());
        }
        let follower = follower.abort_handle();
        let managed = runs.map(|runs| managed::start(runs, &fleet, config.clone(), clock, record));
        let view = match &managed {
            Some(managed) => managed::joined(fleet.view(), managed.states()),
            None => fleet.view(),
        };
        Ok(Self { fleet, view, managed, found, search, config, asked, follower, simulated })
    }

    /// What the sampler reads.
    pub fn source(&self) -> FleetSource {
        self.fleet.source()
    }

    /// What is watched, with the keys for it.
    pub fn wanted(&self) -> watch::Receiver<Arc<Wanted>> {
        project(self.asked.clone(), |asked: &Asked| asked.wanted.clone())
    }

    /// Looks at a service whenever somebody must know now.
    pub fn looker(&self) -> Looker {
        self.fleet.looker()
    }

    pub fn view(&self) -> watch::Receiver<Arc<FleetView>> {
        self.view.clone()
    }

    /// All services as they are now: those of the configuration by their ids, then those
    /// that were found, the accepted ones first.
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

    /// Tries out an address, or a service that is known.
    pub async fn test(&self, ask: &ServiceTest) -> Result<ServiceTested, Fault> {
        if self.simulated {
            return Err(simulated());
        }
        let config = self.config.borrow().clone();
        let found = self.found.entry(ask.target.trim());
        trial::run(&self.fleet, &config, found.as_ref(), ask).await
    }

    /// What the search knows besides the proposals, which stand in the list.
    pub fn found(&self) -> ServicesFound {
        ServicesFound {
            searching: self.search.is_some() && self.config.borrow().services.discover,
            looked_ms: self.search.as_ref().and_then(Search::looked_ms),
            ignored: self.found.offers().borrow().ignored.clone(),
            docker: self.search.as_ref().and_then(Search::docker),
            unclaimed: unclaimed(&self.config.borrow(), &self.asked.borrow().wanted),
        }
    }

    /// Refuses limits of a service that nobody knows: most likely its id was mistyped, and they
    /// would be in force nowhere.
    pub fn judge(&self, changes: &[Change]) -> Result<(), Fault> {
        let split = |change: &'_ Change| {
            let (id, field) = change.key.strip_prefix("services.")?.split_once('.')?;
            change.value.as_ref().map(|_| (id.to_owned(), field.to_owned()))
        };
        let said: Vec<(String, String)> = changes.iter().filter_map(split).collect();
        let services = self.config.borrow().services.clone();
        let mut known: BTreeSet<String> = self.found.ids();
        known.extend(services.entries.keys().chain(services.found.keys()).cloned());
        known.extend(self.asked.borrow().wanted.watched.iter().map(|of| of.id.clone()));
        let is_new = |id: &str| said.iter().any(|(of, field)| of == id && field == "url");
        match said.iter().find(|(id, _)| !known.contains(id) && !is_new(id)) {
            None => Ok(()),
            Some((id, field)) if OF_FOUND.contains(&&**field) => {
                let fault = no_such(id, known.iter().map(String::as_str));
                Err(Fault { code: FaultCode::Invalid, ..fault })
            }
            // The settings themselves know what is wrong with it.
            Some(_) => Ok(()),
        }
    }

    /// Watches one that was found.
    pub async fn accept(&self, id: &str) -> Result<Done, Fault> {
        let config = self.config.borrow().clone();
        self.found.accept(&config, id).await
    }

    /// Proposes one that was found no more.
    pub async fn ignore(&self, id: &str) -> Result<Done, Fault> {
        let config = self.config.borrow().clone();
        self.found.ignore(&config, id).await
    }

    /// Proposes one again that was ignored.
    pub async fn restore(&self, id: &str) -> Result<Done, Fault> {
        let config = self.config.borrow().clone();
        self.found.restore(&config, id).await
    }

    /// Writes a service into the configuration.
    pub async fn add(&self, handle: &ConfigHandle, add: ServiceAdd) -> Result<ServiceAdded, Fault> {
        if self.simulated {
            return Err(simulated());
        }
        written::add(handle, &self.found, &add).await
    }

    /// Takes one out of the configuration, or lets one go that was found.
    pub async fn remove(
        &self,
        handle: &ConfigHandle,
        remove: ServiceRemove,
    ) -> Result<ServiceRemoved, Fault> {
        written::remove(handle, &self.found, &remove).await
    }

    /// Ends the watch.
    pub fn stop(&self) {
        if let Some(search) = &self.search {
            search.stop();
        }
        self.follower.abort();
        self.fleet.stop();
    }

    /// A service with what is known here and not where it is watched.
    fn told(&self, service: &Service) -> Service {
        let mut service = service.clone();
        if let Some(why) = self.asked.borrow().keyless.get(&service.id) {
            service.hints.push(keyless(why));
        }
        if let Some(why) = self.asked.borrow().distrusting.get(&service.id) {
            service.hints.push(distrusting(why));
        }
        if let Some(managed) = &self.managed {
            managed::tell(&mut service, &managed.states().borrow());
        }
        service
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// The services where nobody watches them: those of the configuration, then those that an
/// earlier run found.
pub async fn as_configured(
    config: &Arc<Config>,
    known: &Known,
    now_ms: i64,
) -> Result<Vec<Service>, Fault> {
    let asked = ask(config, &Arc::new(Offers::of(known))).await?;
    let mut services: Vec<Service> = asked
        .wanted
        .watched
        .iter()
        .map(|watched| {
            let mut watched = watched.clone();
            watched.enabled = false;
            let mut service = unseen(&watched, now_ms);
            service.reason = "no Plimsoll runs that watches it".into();
            service.hints.extend(asked.keyless.get(&service.id).map(|why| keyless(why)));
            service.hints.extend(asked.distrusting.get(&service.id).map(|why| distrusting(why)));
            service
        })
        .collect();
    let waits = known.entries().iter().filter(|entry| {
        entry.verdict == Verdict::Proposed && !found::is_named(config, &entry.id, &entry.url)
    });
    services.extend(waits.map(|entry| {
        let mut watched = wanted::accepted_of(config, entry);
        (watched.origin, watched.enabled) = (Origin::Proposed, false);
        let mut service = unseen(&watched, entry.found_ms);
        service.version.clone_from(&entry.version);
        service.reason = "found before, and not accepted yet".into();
        service
    }));
    Ok(services)
}

/// There is no service of that name; those that there are.
pub fn no_such<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> Fault {
    let known: Vec<&str> = known.collect();
    let hint = if known.is_empty() {
        "There is none yet: `plimsoll services add http://127.0.0.1:8080` names one.".into()
    } else {
        format!("There are: {}.", known.join(", "))
    };
    Fault::new(FaultCode::NotFound, format!("There is no service {id:?}.")).hint(hint)
}

pub(crate) fn simulated() -> Fault {
    Fault::new(FaultCode::Unavailable, "A simulated workstation asks no real server.")
        .hint("Leave --demo away to try out a server of this machine.")
}

fn keyless(why: &str) -> Hint {
    Hint::warning("key-file", why, "It is asked without a key until the file can be read.")
}

fn distrusting(why: &str) -> Hint {
    Hint::warning("ca-file", why, "Nobody is believed there until the file can be read.")
}

/// Ids of which the settings say how much they take, and that nobody has who is watched.
fn unclaimed(config: &Config, wanted: &Wanted) -> Vec<String> {
    let is_there = |id: &&String| wanted.watched.iter().any(|of| of.id == **id);
    config.services.found.keys().filter(|id| !is_there(id)).cloned().collect()
}

/// Follows the configuration, the key files that it names, and what was found.
async fn follow(
    mut config: watch::Receiver<Arc<Config>>,
    mut offers: watch::Receiver<Arc<Offers>>,
    publish: watch::Sender<Asked>,
) {
    let mut warned = Vec::new();
    loop {
        let now = config.borrow_and_update().clone();
        let known = offers.borrow_and_update().clone();
        let files = now
            .services
            .entries
            .values()
            .any(|entry| !entry.key_file.is_empty() || !entry.ca_file.is_empty());
        // What broke off is tried again with the next change.
        if let Ok(asked) = ask(&now, &known).await {
            let new = asked.keyless.iter().chain(&asked.distrusting);
            for (id, why) in new {
                let known = publish.borrow();
                if ![known.keyless.get(id), known.distrusting.get(id)].contains(&Some(why)) {
                    tracing::warn!(service = %id, "{why}");
                }
            }
            let nobodys = unclaimed(&now, &asked.wanted);
            for id in nobodys.iter().filter(|id| !warned.contains(*id)) {
                tracing::warn!(
                    service = %id,
                    "services.{id} is in force nowhere: it has no url, and no such service is accepted"
                );
            }
            warned = nobodys;
            publish.send_if_modified(|old| {
                let changed = *old != asked;
                *old = asked;
                changed
            });
        }
        tokio::select! {
            changed = config.changed() => if changed.is_err() { return },
            changed = offers.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(KEYS_EVERY), if files => {}
        }
    }
}

/// What is asked for. Files are read, and not on the runtime's threads.
async fn ask(config: &Arc<Config>, offers: &Arc<Offers>) -> Result<Asked, Fault> {
    let (config, offers) = (config.clone(), offers.clone());
    blocking(move || Asked::of(&config, &offers)).await
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
