//! The services of the simulated workstation. Each is a process of the machine and a
//! double that plays it: it listens on loopback and answers as the real server would,
//! as busy as the scenario has it in that second. What a person does to either, the
//! other shows: an ended process closes its port, an unloaded model frees its VRAM.

mod past;
mod seen;
mod stored;
mod story;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc};

use plimsoll_core::clock::Instant3;
use serde::Deserialize;

use self::story::{Played as Player, Sickness, Stored};
pub use self::{
    past::{PastService, Reached},
    stored::PastStore,
};
use crate::{
    machine::ProcessSpec,
    noise::Noise,
    scenario::{Activity, ScenarioError},
    server::{
        Double, Handle, Load, Speaks, Spec, Staged,
        stores::{Kind, Store, StoreHandle},
    },
    simulation::Simulation,
    world::Plan,
};

const CAST: &str = include_str!("../../scenarios/cast.toml");
/// Noise of what is asked: far from the streams of the machine.
const NOISE: u64 = 0x7365_7276;
/// So much of its past a service has behind it when it begins.
pub(crate) const WARM_S: i64 = 300;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(rename = "service")]
    services: Vec<Role>,
    #[serde(rename = "store")]
    stores: Vec<StoreRole>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    id: String,
    server: String,
    kind: String,
    port: u16,
    processes: Vec<String>,
    model_processes: Vec<String>,
    activity: Activity,
    load: Load,
    /// The part of it that comes through Plimsoll while it is asked there, 0 to 1.
    through: f64,
    #[serde(default)]
    ill: Vec<Sickness>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreRole {
    id: String,
    kind: Kind,
    port: u16,
    process: String,
}

/// The services of the machine, with the ports they will listen on.
#[derive(Debug)]
pub struct Cast {
    parts: Vec<Part>,
    stores: Vec<StorePart>,
}

#[derive(Debug)]
struct Part {
    role: Role,
    spec: Spec,
    seat: Seat,
    /// Asked besides by clients of its own: these bring a part of its load.
    shared: bool,
}

#[derive(Debug)]
struct StorePart {
    role: StoreRole,
    seat: Seat,
}

/// Where a double listens.
#[derive(Debug)]
struct Seat {
    /// Taken by [`Cast::start`].
    listener: Option<std::net::TcpListener>,
    address: SocketAddr,
}

/// A service as it can be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    pub id: String,
    /// As the configuration names it, e.g. `llama-cpp`.
    pub kind: String,
    /// E.g. `http://127.0.0.1:18080`.
    pub url: String,
}

/// The doubles, playing. They end when this is dropped.
pub struct Company {
    handles: Vec<Handle>,
    stores: Vec<StoreHandle>,
}

// === impl Cast ===

impl Cast {
    /// Takes a port for each service: its own where that is free. An error: this machine
    /// gives no port at all.
    pub fn bind() -> io::Result<Self> {
        Self::of(|port| {
            let at = |port| std::net::TcpListener::bind(("127.0.0.1", port));
            at(port).or_else(|_| at(0)).map(Some)
        })
    }

    /// The same without any port: for a past that nobody asks.
    pub fn unheard() -> io::Result<Self> {
        Self::of(|_| Ok(None))
    }

    fn of(listen: impl Fn(u16) -> io::Result<Option<std::net::TcpListener>>) -> io::Result<Self> {
        let wrong = |error: ScenarioError| io::Error::new(io::ErrorKind::InvalidData, error);
        let script: Script = toml_edit::de::from_str(CAST)
            .map_err(|error| wrong(ScenarioError(format!("The cast: {error}"))))?;
        let part = |role: Role| {
            let spec = Spec::named(&role.server).map_err(wrong)?;
            Ok(Part { spec, seat: Seat::new(&listen, role.port)?, role, shared: false })
        };
        let store = |role: StoreRole| Ok(StorePart { seat: Seat::new(&listen, role.port)?, role });
        let parts = script.services.into_iter().map(part).collect::<io::Result<_>>()?;
        let stores = script.stores.into_iter().map(store).collect::<io::Result<_>>()?;
        Ok(Self { parts, stores })
    }

    /// The services as they can be watched.
    pub fn services(&self) -> Vec<Played> {
        let played = |part: &Part| Played {
            id: part.role.id.clone(),
            kind: part.role.kind.clone(),
            url: format!("http://{}", part.seat.address),
        };
        let stored = |part: &StorePart| Played {
            id: part.role.id.clone(),
            kind: part.role.kind.name().to_owned(),
            url: format!("{}://{}", part.role.kind.scheme(), part.seat.address),
        };
        self.parts.iter().map(played).chain(self.stores.iter().map(stored)).collect()
    }

    /// How many requests each model server takes at once; `None` where it does not tell.
    pub fn rooms(&self) -> Vec<(String, Option<u32>)> {
        let room = |part: &Part| {
            let slots = part.spec.models.first().and_then(|model| u32::try_from(model.slots).ok());
            (part.role.id.clone(), slots.filter(|_| part.spec.speaks != Speaks::Vllm))
        };
        self.parts.iter().map(room).collect()
    }

    /// Lets the machine's processes listen on the ports that were taken. Before its
    /// sources are made.
    #[must_use]
    pub fn on(&self, simulation: Simulation) -> Simulation {
        simulation.planned(|plan| {
            let listens = |process: &mut ProcessSpec, address: SocketAddr| {
                if let Some(first) = process.listens.first_mut() {
                    let told = first.rsplit(':').next().unwrap_or_default().to_owned();
                    let port = address.port();
                    for before in ["--port ", "127.0.0.1:"] {
                        process.command = process
                            .command
                            .replace(&format!("{before}{told}"), &format!("{before}{port}"));
                    }
                    *first = address.to_string();
                }
            };
            for process in &mut plan.machine.processes {
                let part = self.parts.iter().find(|part| part.role.processes.contains(&process.id));
                let store = self.stores.iter().find(|store| store.role.process == process.id);
                let seat = part.map(|part| &part.seat).or(store.map(|store| &store.seat));
                if let Some(seat) = seat {
                    listens(process, seat.address);
                }
            }
        })
    }

    /// Leaves to the [`Clients`](crate::Clients) what they bring, so that all in all as much is
    /// asked as before.
    #[must_use]
    pub fn with_clients(mut self) -> Self {
        self.parts.iter_mut().for_each(|part| part.shared = true);
        self
    }

    /// Lets them play, on the current runtime and at the speed of real time. `now` is a
    /// moment of the clock that reads the machine.
    pub fn start(&mut self, simulation: &Simulation, now: Instant3) -> io::Result<Company> {
        let from_s = simulation.timeline().second_at(now);
        let mut handles = Vec::new();
        for part in &mut self.parts {
            let Some(listener) = part.seat.take()? else { continue };
            let staged = Staged {
                story: Arc::new(Player::new(simulation.plan().clone(), &part.role)),
                load: part.load(),
                noise: Noise::new(noise_of(&part.role.id)),
                from_s,
                warm_s: WARM_S,
            };
            handles.push(Double::start_on(listener, part.spec.clone(), Some(staged))?);
        }
        let mut stores = Vec::new();
        for part in &mut self.stores {
            let Some(scene) = Stored::new(simulation.plan(), &part.role) else { continue };
            let Some(listener) = part.seat.take()? else { continue };
            let noise = Noise::new(noise_of(&part.role.id));
            let kind = part.role.kind;
            let store = Store::new(kind, Arc::new(scene), noise);
            stores.push(StoreHandle::open(listener, kind, store, from_s)?);
        }
        Ok(Company { handles, stores })
    }

    /// What they would have told from a second on.
    pub(crate) fn past(&self, plan: &Arc<Plan>, from_s: i64) -> Vec<PastService> {
        let past = |part: &Part| {
            let place = part.seat.address.to_string();
            PastService::new(plan, &part.role, part.load(), &part.spec, place, from_s)
        };
        self.parts.iter().map(past).collect()
    }

    pub(crate) fn past_stores(&self, plan: &Arc<Plan>, from_s: i64) -> Vec<PastStore> {
        let past = |part: &StorePart| {
            PastStore::new(plan, &part.role, part.seat.address.to_string(), from_s)
        };
        self.stores.iter().filter_map(past).collect()
    }
}

// === impl Part ===

impl Part {
    /// What it is asked past the clients.
    fn load(&self) -> Load {
        let mut load = self.role.load.clone();
        if self.shared {
            load.requests_per_s *= 1.0 - self.role.through;
        }
        load
    }
}

// === impl Seat ===

impl Seat {
    fn new(
        listen: impl Fn(u16) -> io::Result<Option<std::net::TcpListener>>,
        port: u16,
    ) -> io::Result<Self> {
        let listener = listen(port)?;
        let address = match &listener {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                listener.local_addr()?
            }
            None => SocketAddr::from(([127, 0, 0, 1], port)),
        };
        Ok(Self { listener, address })
    }

    fn take(&mut self) -> io::Result<Option<tokio::net::TcpListener>> {
        self.listener.take().map(tokio::net::TcpListener::from_std).transpose()
    }
}

/// Each service is asked at times of its own.
fn noise_of(id: &str) -> u64 {
    id.bytes().fold(NOISE, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

// === impl Company ===

impl Company {
    /// The doubles of model servers in the order of [`Cast::services`].
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Those of stores, which come after them.
    pub fn stores(&self) -> &[StoreHandle] {
        &self.stores
    }
}
