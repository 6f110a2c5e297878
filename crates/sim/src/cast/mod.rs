//! The services of the simulated workstation. Each is a process of the machine and a
//! double that plays it: it listens on loopback and answers as the real server would,
//! as busy as the scenario has it in that second. What a person does to either, the
//! other shows: an ended process closes its port, an unloaded model frees its VRAM.

mod past;
mod story;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc};

use plimsoll_core::clock::Instant3;
use serde::Deserialize;

pub use self::past::PastService;
use self::story::{Played as Player, Sickness};
use crate::{
    noise::Noise,
    scenario::{Activity, ScenarioError},
    server::{Double, Handle, Load, Spec, Staged},
    simulation::Simulation,
    world::Plan,
};

const CAST: &str = include_str!("../../scenarios/cast.toml");
/// Noise of what is asked: far from the streams of the machine.
const NOISE: u64 = 0x7365_7276;
/// So much of its past a service has behind it when it begins.
const WARM_S: i64 = 300;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(rename = "service")]
    services: Vec<Role>,
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
    #[serde(default)]
    ill: Vec<Sickness>,
}

/// The services of the machine, with the ports they will listen on.
#[derive(Debug)]
pub struct Cast {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    role: Role,
    spec: Spec,
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
            let listener = listen(role.port)?;
            let address = match &listener {
                Some(listener) => {
                    listener.set_nonblocking(true)?;
                    listener.local_addr()?
                }
                None => SocketAddr::from(([127, 0, 0, 1], role.port)),
            };
            Ok(Part { role, spec, listener, address })
        };
        let parts = script.services.into_iter().map(part).collect::<io::Result<_>>()?;
        Ok(Self { parts })
    }

    /// The services as they can be watched.
    pub fn services(&self) -> Vec<Played> {
        let played = |part: &Part| Played {
            id: part.role.id.clone(),
            kind: part.role.kind.clone(),
            url: format!("http://{}", part.address),
        };
        self.parts.iter().map(played).collect()
    }

    /// Lets the machine's processes listen on the ports that were taken. Before its
    /// sources are made.
    #[must_use]
    pub fn on(&self, simulation: Simulation) -> Simulation {
        simulation.planned(|plan| {
            for part in &self.parts {
                let port = part.address.port();
                for process in &mut plan.machine.processes {
                    if part.role.processes.contains(&process.id) {
                        for listens in &mut process.listens {
                            let told = listens.rsplit(':').next().unwrap_or_default().to_owned();
                            process.command = process
                                .command
                                .replace(&format!("--port {told}"), &format!("--port {port}"));
                            *listens = format!("127.0.0.1:{port}");
                        }
                    }
                }
            }
        })
    }

    /// Lets them play, on the current runtime and at the speed of real time. `now` is a
    /// moment of the clock that reads the machine.
    pub fn start(&mut self, simulation: &Simulation, now: Instant3) -> io::Result<Company> {
        let from_s = simulation.timeline().second_at(now);
        let mut handles = Vec::new();
        for part in &mut self.parts {
            let Some(listener) = part.listener.take() else { continue };
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let staged = Staged {
                story: Arc::new(Player::new(simulation.plan().clone(), &part.role)),
                load: part.role.load.clone(),
                noise: Noise::new(noise_of(&part.role.id)),
                from_s,
                warm_s: WARM_S,
            };
            handles.push(Double::start_on(listener, part.spec.clone(), Some(staged))?);
        }
        Ok(Company { handles })
    }

    /// What they would have told from a second on.
    pub(crate) fn past(&self, plan: &Arc<Plan>, from_s: i64) -> Vec<PastService> {
        let past = |part: &Part| {
            PastService::new(plan, &part.role, &part.spec, part.address.to_string(), from_s)
        };
        self.parts.iter().map(past).collect()
    }
}

/// Each service is asked at times of its own.
fn noise_of(id: &str) -> u64 {
    id.bytes().fold(NOISE, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

// === impl Company ===

impl Company {
    /// The doubles in the order of [`Cast::services`].
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }
}
