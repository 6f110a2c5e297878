//! What the gateway asks of the program around it.

use std::{
    mem,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, ready};
use plimsoll_core::{clock::Clock, mark::Mark, process::ProcessTable, record::Record};
use plimsoll_gateway::{
    admission::{BackendId, Desk},
    record::Records,
    serve::{Orphan, OwnFigures, Sought, World},
};
use plimsoll_sense::{Peers, Pulse};
use plimsoll_services::{fleet::Looker, service::ServiceState};
use plimsoll_sim::CLIENTS_FROM;
use tokio::sync::watch;

/// Look-ups of programs a second: each costs milliseconds of a core.
const LOOKS_A_SECOND: u32 = 20;

pub(super) struct Around {
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    pub looker: Looker,
    pub clock: Arc<dyn Clock>,
    pub record: Arc<dyn Record>,
    pub records: Records,
    pub desk: Desk,
    pub pulse: watch::Receiver<Arc<Pulse>>,
    pub peers: Programs,
    /// The demo's own clients are among those who ask.
    pub simulated: bool,
}

/// Finds the programs at the other ends of connections: one at a time, and not too often.
#[derive(Clone, Default)]
pub(super) struct Programs(Arc<Mutex<Lately>>);

/// One looks, and gives back what it looks with however that ends.
struct Looks {
    peers: Peers,
    programs: Programs,
}

#[derive(Default)]
struct Lately {
    /// Taken while somebody looks.
    peers: Option<Peers>,
    /// Somebody has taken it once.
    begun: bool,
    second: Option<Instant>,
    looks: u32,
}

// === impl World for Around ===

impl World for Around {
    fn holder(&self, address: SocketAddr) -> Option<String> {
        let table = self.processes.borrow();
        let holds = |ports: &[u16]| ports.contains(&address.port());
        let process = table.processes.iter().find(|process| holds(&process.ports))?;
        Some(format!("{} (pid {})", process.name, process.pid))
    }

    fn program(&self, peer: SocketAddr, here: SocketAddr) -> BoxFuture<'static, Sought> {
        // The demo's clients are all this very program: what they say of themselves counts.
        let staged = self.simulated && peer.ip() == IpAddr::V4(CLIENTS_FROM);
        if staged || !peer.ip().is_loopback() {
            return Box::pin(ready(Sought::Nobody));
        }
        let Some(mut looks) = self.peers.take(Instant::now()) else {
            return Box::pin(ready(Sought::NotYet));
        };
        // It goes on also when nobody waits any more, and the next one finds it quicker.
        let look = tokio::task::spawn_blocking(move || looks.peers.program(peer, here));
        Box::pin(async move {
            match look.await {
                Ok(Some(name)) => Sought::Found(name.into()),
                Ok(None) => Sought::Nobody,
                Err(_) => Sought::NotYet,
            }
        })
    }

    fn running(&self, backend: &BackendId) -> BoxFuture<'static, Option<u32>> {
        let (looker, backend) = (self.looker.clone(), backend.clone());
        Box::pin(async move {
            let service = looker.look_now(&backend).await?;
            // What is not there works on nothing.
            if service.state == ServiceState::Down {
                return Some(0);
            }
            let figures = &service.figures;
            service.slots.as_ref().and_then(|slots| slots.busy).or(figures.running.map(whole))
        })
    }

    fn orphaned(&self, orphan: Orphan) {
        let Orphan { backend, model, request, after_ms } = orphan;
        tracing::warn!(service = %backend, %model, request, "a generation goes on that nobody waits for");
        let mut mark = Mark::of_service(
            self.clock.now().wall_ms,
            &backend,
            format!("{backend} goes on with a request whose client left"),
        );
        mark.detail = format!("{model}, seen for {:.1} s", after_ms as f64 / 1000.0);
        self.record.mark(mark);
    }

    fn metrics(&self, own: &OwnFigures) -> Option<String> {
        let tick = self.pulse.borrow().tick.clone();
        Some(super::metrics::text(&tick, &self.records, &self.desk.snapshot().gates, own))
    }
}

// === impl Programs ===

impl Programs {
    /// `None` while somebody looks, or where it was looked too often within this second.
    fn take(&self, now: Instant) -> Option<Looks> {
        let mut lately = self.lock();
        if lately.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            (lately.second, lately.looks) = (Some(now), 0);
        }
        if lately.looks >= LOOKS_A_SECOND {
            return None;
        }
        let peers = match lately.begun {
            false => Peers::default(),
            true => lately.peers.take()?,
        };
        lately.begun = true;
        lately.looks += 1;
        Some(Looks { peers, programs: self.clone() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lately> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.programs.lock().peers = Some(mem::take(&mut self.peers));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count; a float cast saturates"
)]
fn whole(count: f64) -> u32 {
    count.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up_one_at_a_time_and_not_too_often() {
        let programs = Programs::default();
        let now = Instant::now();
        let first = programs.take(now).unwrap();
        assert!(programs.take(now).is_none(), "somebody looks");
        drop(first);
        for _ in 1..LOOKS_A_SECOND {
            drop(programs.take(now).unwrap());
        }
        assert!(programs.take(now).is_none(), "too often");
        assert!(programs.take(now + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn a_look_that_fails_is_not_the_last() {
        let programs = Programs::default();
        let now = Instant::now();
        let looks = programs.take(now).unwrap();
        let failed = std::thread::spawn(move || {
            let _looks = looks;
            panic!("no such file");
        });
        assert!(failed.join().is_err());
        assert!(programs.take(now).is_some());
    }
}
