//! The gateway within Plimsoll: it is given what the configuration and the services say,
//! asks back through [`world`], and is told of in [`traffic`] and [`log`].
//!
//! A port that is taken does not hold Plimsoll up: the gateway says so and tries again.

mod bodies;
mod connect;
mod drain;
mod follow;
mod log;
mod marks;
mod metrics;
mod power;
mod programs;
mod traffic;
mod trial;
mod world;

pub(crate) use self::marks::mark_of;
pub use self::{
    drain::{Emptied, Return, WaitsFor},
    log::requests_alone,
};

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    clock::Clock, config::Config, device::GpuInfo, process::ProcessTable, record::Record,
};
use plimsoll_gateway::{
    Gateway, Lane, Listening, Parts as GatewayParts,
    admission::Desk,
    clients::{Clients, Keys, Rules},
    record::{Pump, Records},
    route::{Room, Table},
    serve::Options,
    settings,
};
use plimsoll_sense::Pulse;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Fault, FaultCode, GatewayState},
    hub::Hub,
    project::project,
    services::Services,
};

use self::{follow::Followed, programs::Programs, world::Around};

/// Addresses are opened at once; longer than this nobody waits for it.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);
/// Where the demo's gateway listens, beside that of a real Plimsoll.
const DEMO_PORT: u16 = 1886;

/// What the gateway is made of.
pub struct Parts<'a> {
    pub config: watch::Receiver<Arc<Config>>,
    pub clock: Arc<dyn Clock>,
    pub hub: Hub,
    /// Takes the marks.
    pub record: Arc<dyn Record>,
    pub records: Records,
    pub pump: Pump,
    pub keys: watch::Receiver<Arc<Keys>>,
    pub services: &'a Services,
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    pub pulse: watch::Receiver<Arc<Pulse>>,
    pub gpu: watch::Receiver<Option<Arc<GpuInfo>>>,
    /// The address that was named at the start; the configuration has it, too.
    pub address: Option<SocketAddr>,
    pub simulated: bool,
}

/// The gateway that runs. It ends with [`Traffic::stop`].
pub struct Traffic {
    pub records: Records,
    record: Arc<dyn Record>,
    desk: Desk,
    table: watch::Receiver<Arc<Table>>,
    followed: watch::Receiver<Arc<Followed>>,
    config: watch::Receiver<Arc<Config>>,
    /// Its address was named at the start.
    named: bool,
    simulated: bool,
    options: watch::Receiver<Arc<Options>>,
    listening: watch::Receiver<Listening>,
    draining: std::sync::atomic::AtomicBool,
    running: Mutex<Option<(Gateway, Pump, Lane)>>,
    followers: CancellationToken,
}

// === impl Traffic ===

impl Traffic {
    /// Starts on the current runtime. An address that somebody named and that cannot be
    /// listened at is a fault; one of the configuration is tried again.
    pub async fn start(parts: Parts<'_>) -> Result<Self, Fault> {
        let Parts { config, clock, hub, record, records, pump, .. } = parts;
        let Parts { keys, services, processes, pulse, gpu, address, simulated, .. } = parts;
        let followers = CancellationToken::new();
        let named = address.is_some();
        let options = project(config.clone(), move |config: &Arc<Config>| {
            Arc::new(options_of(config, named, simulated))
        });
        let rules =
            project_always(&config, &followers, |config| Arc::new(Rules::new(&config.gateway)));
        let first = config.borrow().clone();
        let limits = settings::limits(&first, &keys.borrow(), &Default::default());
        let lane = Lane::start().map_err(|error| {
            Fault::new(FaultCode::Unavailable, format!("The system gives no thread: {error}"))
        })?;
        let desk = {
            let _here = lane.handle().enter();
            Desk::new(limits)
        };
        records.waits_at(desk.clone());
        let follower = follow::Follower {
            config: config.clone(),
            keys: keys.clone(),
            wanted: services.wanted(),
            view: services.view(),
            processes,
            desk: desk.clone(),
            records: records.clone(),
            gpu: gpu.clone(),
        };
        let (table, followed) = follower.start(&followers);
        follow::spawn(&followers, power::follow(pulse.clone(), gpu, desk.clone(), records.clone()));
        follow::spawn(
            &followers,
            marks::follow(desk.clone(), records.clone(), clock.clone(), record.clone()),
        );
        let world = Around {
            looker: services.looker(),
            clock,
            record: record.clone(),
            records: records.clone(),
            desk: desk.clone(),
            pulse,
            programs: Programs::default(),
            holders: Mutex::default(),
            simulated,
        };
        let (gateway, error) = Gateway::begin(GatewayParts {
            options: options.clone(),
            table: table.clone(),
            desk: desk.clone(),
            records: records.clone(),
            clients: Clients::new(keys.clone(), rules),
            world: Arc::new(world),
            runtime: lane.handle().clone(),
        });
        let listening = gateway.listening();
        let has = |address: SocketAddr| {
            let port = |at: SocketAddr| address.port() == 0 || at.port() == address.port();
            let addresses = &listening.borrow().addresses;
            addresses.iter().any(|at| at.ip() == address.ip() && port(*at))
        };
        if let (Some(address), Some(error)) = (address, error)
            && !has(address)
        {
            gateway.stop().await;
            followers.cancel();
            return Err(Fault::new(
                FaultCode::Unavailable,
                format!("The gateway cannot listen at {address}: {error}"),
            )
            .hint("Stop what has it, or choose another port; 0 takes a free one."));
        }
        follow::spawn(
            &followers,
            traffic::tell(records.clone(), desk.clone(), listening.clone(), hub),
        );
        follow::spawn(&followers, say_where(listening.clone()));
        Ok(Self {
            records,
            record,
            desk,
            table,
            followed,
            config,
            named,
            simulated,
            options,
            listening,
            draining: std::sync::atomic::AtomicBool::new(false),
            running: Mutex::new(Some((gateway, pump, lane))),
            followers,
        })
    }

    /// The first address that it listens at, as that changes.
    pub fn door(&self) -> watch::Receiver<Option<SocketAddr>> {
        project(self.listening.clone(), |listening: &Listening| {
            listening.addresses.first().copied().map(local)
        })
    }

    /// The first address that it listens at.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listening.borrow().addresses.first().copied()
    }

    /// What each backend takes at once, by its id.
    pub fn rooms(&self) -> BTreeMap<String, Room> {
        let followed = self.followed.borrow();
        followed.rooms.iter().map(|(id, room)| (id.to_string(), *room)).collect()
    }

    /// Which ways lead where.
    pub fn table(&self) -> Arc<Table> {
        self.table.borrow().clone()
    }

    /// Its own time of the last minutes' requests, p99.
    pub fn overhead_us(&self) -> Option<f64> {
        self.records.totals().overhead_p99_us.map(traffic::float)
    }

    /// What it says where it does not listen at each address that it should, as that changes.
    pub fn unheard(&self) -> watch::Receiver<Option<String>> {
        project(self.listening.clone(), |listening: &Listening| {
            (!listening.reasons.is_empty()).then(|| listening.reasons.join(" "))
        })
    }

    /// Which of its addresses it could not have, why, and what to do; `None` where all is well.
    pub fn trouble(&self) -> Option<String> {
        let listening = self.listening.borrow();
        (!listening.reasons.is_empty()).then(|| listening.reasons.join(" "))
    }

    /// Waits until it listens as the configuration in force says, or knows why it cannot: so
    /// that whoever changed an address is told what became of it.
    pub async fn settled(&self) {
        let wanted = {
            let config = self.config.borrow();
            options_of(&config, self.named, self.simulated).listen
        };
        let mut listening = self.listening.clone();
        let settled = listening.wait_for(|listening| listening.asked == wanted);
        // Another change may come in between; then its own asker is told.
        let _ = tokio::time::timeout(SETTLES_WITHIN, settled).await;
    }

    /// How it is, and why where it does not listen.
    pub fn state(&self) -> (GatewayState, String) {
        let listening = self.listening.borrow();
        if self.draining.load(std::sync::atomic::Ordering::Relaxed) {
            (GatewayState::Draining, "Plimsoll stops: what runs may end.".into())
        } else if !listening.addresses.is_empty() {
            // It may listen at one address and not at another.
            (GatewayState::Listening, listening.reasons.join(" "))
        } else if self.options.borrow().listen.is_empty() {
            (GatewayState::Off, "`gateway.enabled` is false.".into())
        } else {
            (GatewayState::Failed, listening.reasons.join(" "))
        }
    }

    /// Takes nothing new, lets what runs end, and writes down what ended.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((gateway, pump, _lane)) = running else { return };
        self.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        let drained = gateway.stop().await;
        if drained.cut_off > 0 {
            tracing::warn!(
                connections = drained.cut_off,
                "what still ran through the gateway was cut off"
            );
        }
        self.followers.cancel();
        pump.close().await;
    }
}

/// The configuration's options; the demo listens elsewhere unless an address is named.
fn options_of(config: &Config, named: bool, simulated: bool) -> Options {
    let mut options = settings::options(config);
    if simulated && !named && config.gateway.address == Config::default().gateway.address {
        // Beside the gateway of a real Plimsoll.
        for address in &mut options.listen {
            address.set_port(DEMO_PORT);
        }
    }
    options
}

/// As [`project`], of what does not compare.
fn project_always<T: Send + Sync + 'static>(
    config: &watch::Receiver<Arc<Config>>,
    stop: &CancellationToken,
    part: impl Fn(&Config) -> T + Send + 'static,
) -> watch::Receiver<T> {
    let mut config = config.clone();
    let (publish, read) = watch::channel(part(&config.borrow_and_update()));
    follow::spawn(stop, async move {
        while config.changed().await.is_ok() {
            let now = config.borrow_and_update().clone();
            publish.send_replace(part(&now));
        }
    });
    read
}

async fn say_where(mut listening: watch::Receiver<Listening>) {
    loop {
        {
            let now = listening.borrow_and_update();
            for address in &now.addresses {
                tracing::info!(%address, "the gateway listens");
            }
            for reason in &now.reasons {
                tracing::warn!("{reason}");
            }
        }
        if listening.changed().await.is_err() {
            return;
        }
    }
}

/// The gateway's address as a program on this machine says it.
fn local(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, v4.port()))
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, v6.port()))
        }
        address => address,
    }
}
