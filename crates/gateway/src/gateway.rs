//! The gateway as a whole: started, listening where it is told to, and drained.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    admission::Desk,
    clients::Clients,
    record::Records,
    route::Table,
    serve::{Door, ListenError, Options, OwnFigures, State, World},
};

/// What it is made of. Options and table may change while it runs.
pub struct Parts {
    pub options: watch::Receiver<Arc<Options>>,
    pub table: watch::Receiver<Arc<Table>>,
    pub desk: Desk,
    pub records: Records,
    pub clients: Clients,
    pub world: Arc<dyn World>,
    /// Where connections are served: a [`Lane`](crate::Lane), most often.
    pub runtime: Handle,
}

/// Where it listens, or why it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// What was wanted when this became so; port 0: any.
    pub asked: Vec<SocketAddr>,
    pub addresses: Vec<SocketAddr>,
    /// One sentence for each address that could not be had.
    pub reasons: Vec<String>,
}

/// A gateway that runs; ended by [`Gateway::stop`]. Dropped, it closes its doors, and what
/// runs may end.
pub struct Gateway {
    state: Arc<State>,
    listening: watch::Receiver<Listening>,
    _closes: DropGuard,
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off, because what ran on them did not end in time.
    pub cut_off: usize,
    pub took: Duration,
}

/// One place that is listened at.
struct Held {
    asked: SocketAddr,
    address: SocketAddr,
    stop: CancellationToken,
}

// === impl Gateway ===

impl Gateway {
    /// An error: none of its addresses could be had.
    pub async fn start(parts: Parts) -> Result<Gateway, ListenError> {
        match Self::begin(parts) {
            (gateway, Some(error)) if gateway.address().is_none() => {
                gateway.stop().await;
                Err(error)
            }
            (gateway, _) => Ok(gateway),
        }
    }

    /// Starts also where it cannot listen yet: it tries again until it can. The error is
    /// that of the first address which could not be had.
    pub fn begin(parts: Parts) -> (Gateway, Option<ListenError>) {
        let runtime = parts.runtime.clone();
        let _here = runtime.enter();
        let state = Arc::new(State::new(parts));
        let mut keeper = Keeper { state: state.clone(), held: Vec::new() };
        let (first, error) = keeper.settle();
        let (told, listening) = watch::channel(first);
        state.tasks.spawn(keeper.keep(told));
        state.tasks.spawn(state.clone().sweep());
        let closes = state.stop.clone().drop_guard();
        (Self { state, listening, _closes: closes }, error)
    }

    /// Where it listens now.
    pub fn listening(&self) -> watch::Receiver<Listening> {
        self.listening.clone()
    }

    /// The first of its addresses.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listening.borrow().addresses.first().copied()
    }

    /// Connections of clients, idle ones included.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Relaxed)
    }

    /// Bytes of requests that are read and have no answer yet.
    pub fn held_bytes(&self) -> usize {
        self.state.bodies.bytes()
    }

    /// What it holds and counted, besides requests.
    pub fn figures(&self) -> OwnFigures {
        OwnFigures::of(&self.state)
    }

    /// Takes nothing new, lets what runs end for as long as `Options::drain` says, and
    /// cuts off the rest. When this is done no task of the gateway is left, and each request
    /// has told its records how it ended.
    pub async fn stop(self) -> Drained {
        let began = Instant::now();
        let state = &self.state;
        // Who waits is refused, and nobody is admitted any more, before anything ends.
        state.desk.stop();
        // Doors close with it, idle connections, and whoever only looks after something.
        state.stop.cancel();
        state.tasks.close();
        let in_time = timeout_at(began + state.options().drain, state.tasks.wait()).await.is_ok();
        let cut_off = if in_time { 0 } else { state.connections.load(Relaxed) };
        if !in_time {
            // What a connection's end leaves to others (an answer that nobody hears any more)
            // is dropped in tasks that are waited for, too.
            state.records.cuts_off();
            state.cut.cancel();
            state.tasks.wait().await;
        }
        Drained { cut_off, took: began.elapsed() }
    }
}

/// Keeps the doors as the options want them.
struct Keeper {
    state: Arc<State>,
    held: Vec<Held>,
}

/// How long until an address that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(5);

// === impl Keeper ===

impl Keeper {
    async fn keep(mut self, told: watch::Sender<Listening>) {
        let mut options = self.state.options_watch();
        loop {
            let failed = !told.borrow().reasons.is_empty();
            tokio::select! {
                biased;
                () = self.state.stop.cancelled() => return,
                changed = options.changed() => if changed.is_err() {
                    // Nobody changes them any more.
                    self.state.stop.cancelled().await;
                    return;
                },
                () = sleep(AGAIN), if failed => {}
            }
            let (now, _) = self.settle();
            told.send_if_modified(|before| {
                let other = *before != now;
                *before = now;
                other
            });
        }
    }

    /// Opens what is wanted and not there, then closes what is not wanted any more.
    fn settle(&mut self) -> (Listening, Option<ListenError>) {
        let wanted = self.state.options().listen.clone();
        let mut reasons = Vec::new();
        let mut first_error = None;
        for asked in &wanted {
            if self.held.iter().any(|held| held.asked == *asked) {
                continue;
            }
            match self.open(*asked) {
                Ok(()) => {}
                Err(error) if is_no_such_protocol(&error) && wanted.len() > 1 => {
                    tracing::debug!(%error, "this machine has no such address");
                }
                Err(error) => {
                    tracing::warn!(%error, "the gateway cannot listen");
                    reasons.push(error.to_string());
                    first_error.get_or_insert(error);
                }
            }
        }
        self.held.retain(|held| {
            let stays = wanted.contains(&held.asked);
            if !stays {
                held.stop.cancel();
            }
            stays
        });
        let addresses = self.held.iter().map(|held| held.address).collect();
        (Listening { asked: wanted, addresses, reasons }, first_error)
    }

    fn open(&mut self, asked: SocketAddr) -> Result<(), ListenError> {
        // Port 0 for two addresses is the same free port for both, where that can be.
        let chosen = self.held.iter().find(|held| held.asked.port() == 0);
        let door = match chosen {
            Some(chosen) if asked.port() == 0 => {
                let same = SocketAddr::new(asked.ip(), chosen.address.port());
                Door::open(&self.state, same).or_else(|_| Door::open(&self.state, asked))?
            }
            _ => Door::open(&self.state, asked)?,
        };
        let stop = self.state.stop.child_token();
        self.held.push(Held { asked, address: door.address, stop: stop.clone() });
        self.state.tasks.spawn(door.serve(self.state.clone(), stop));
        Ok(())
    }
}

/// No IPv6 here, most often.
fn is_no_such_protocol(error: &ListenError) -> bool {
    matches!(error, ListenError::Denied { source, .. } if matches!(
        source.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || source.raw_os_error() == Some(AF_NOT_SUPPORTED))
}

/// `EAFNOSUPPORT` on Linux.
const AF_NOT_SUPPORTED: i32 = 97;
