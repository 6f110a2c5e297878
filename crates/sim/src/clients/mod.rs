//! Programs that use the simulated workstation through Plimsoll: a chat, an agent, an indexer
//! and others. They really speak HTTP to the gateway, a handful of requests a minute each, as
//! busy as the scenario has it; where nobody listens they ask nothing.
//!
//! What a second asks hangs on that second alone ([`script`]); how it is sent is in [`lane`].

mod lane;
mod script;
#[cfg(test)]
mod tests;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::clock::Instant3;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use self::lane::Lane;
pub(crate) use self::script::{Ask, Program, programs};
use crate::{noise::Noise, scenario::ScenarioError, simulation::Simulation, world::Plan};

/// They come from this address of loopback: what asks from there is one of them, and no program
/// needs to be looked for at its other end.
pub const CLIENTS_FROM: Ipv4Addr = Ipv4Addr::new(127, 18, 76, 1);
/// Noise of what is asked: far from the streams of the machine and its services.
const NOISE: u64 = 0x636c_6965;
/// Services are found before anything is asked of them.
const FIRST_S: i64 = 4;
/// Most requests of all of them at once.
pub(crate) const MOST: usize = 24;

/// The clients, asking. They end with [`Clients::stop`], or when this is dropped.
pub struct Clients {
    driver: JoinHandle<()>,
}

/// A client that runs.
struct Runs {
    program: Program,
    noise: Noise,
    /// Connections that wait for the next request.
    idle: Arc<Mutex<Vec<Lane>>>,
    busy: Arc<()>,
}

// === impl Clients ===

impl Clients {
    /// Lets them ask from now on, on the current runtime. `gateway` is where it listens;
    /// `now` is a moment of the clock that reads the machine.
    pub fn start(
        simulation: &Simulation,
        now: Instant3,
        gateway: watch::Receiver<Option<SocketAddr>>,
    ) -> Result<Self, ScenarioError> {
        let from_s = simulation.timeline().second_at(now);
        let plan = simulation.plan().clone();
        let clients = programs()?
            .into_iter()
            .zip(0u64..)
            .map(|(program, place)| Runs {
                program,
                noise: noise_of_client(place),
                idle: Arc::default(),
                busy: Arc::default(),
            })
            .collect();
        let driver = tokio::spawn(drive(clients, plan, from_s, gateway));
        Ok(Self { driver })
    }

    /// Ends all that they ask at once: their connections close.
    pub async fn stop(mut self) {
        self.driver.abort();
        let _ = (&mut self.driver).await;
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Each asks at times of its own.
pub(crate) fn noise_of_client(place: u64) -> Noise {
    Noise::new(NOISE.wrapping_add(place))
}

/// Second after second, for as long as it is polled; what it began ends with it.
async fn drive(
    clients: Vec<Runs>,
    plan: Arc<Plan>,
    from_s: i64,
    gateway: watch::Receiver<Option<SocketAddr>>,
) {
    let begun = Instant::now();
    let mut under_way = JoinSet::new();
    for passed in FIRST_S.. {
        let at = begun + Duration::from_secs(passed.unsigned_abs());
        sleep_until(at).await;
        while under_way.try_join_next().is_some() {}
        let here = *gateway.borrow();
        let Some(gateway) = here else {
            // Nothing is held to one that is gone.
            clients.iter().for_each(Runs::hang_up);
            continue;
        };
        // A machine that slept does not ask for what it missed.
        if at.elapsed() > Duration::from_secs(2) {
            continue;
        }
        let second = from_s + passed;
        let levels = plan.levels(second);
        for client in &clients {
            let level = levels[client.program.activity as usize];
            for ask in client.program.asks(client.noise, level, second) {
                let room = Arc::strong_count(&client.busy) <= client.program.most;
                if room && under_way.len() < MOST {
                    under_way.spawn(client.ask(gateway, ask));
                }
            }
        }
    }
}

// === impl Runs ===

impl Runs {
    /// One request, to its end or to where the client leaves.
    fn ask(&self, gateway: SocketAddr, ask: Ask) -> impl Future<Output = ()> + use<> {
        let (idle, busy) = (self.idle.clone(), self.busy.clone());
        let request = self.program.request(gateway, &ask);
        async move {
            let _busy = busy;
            sleep(ask.after).await;
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let lane = match kept.filter(|lane| lane.is_open_to(gateway)) {
                Some(lane) => lane,
                None => match Lane::open(gateway).await {
                    Ok(lane) => lane,
                    // Nobody listens any more; the next second looks again.
                    Err(_) => return,
                },
            };
            if let Some(lane) = lane.ask(request, ask.leaves).await {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
            }
        }
    }

    fn hang_up(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
