//! What the gateway asks of the program around it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::{BoxFuture, ready};
use plimsoll_core::{clock::Clock, mark::Mark, record::Record};
use plimsoll_gateway::{
    admission::{BackendId, Desk},
    record::Records,
    serve::{Orphan, OwnFigures, Sought, World},
};
use plimsoll_sense::{Holder, Peers, Pulse};
use plimsoll_services::{fleet::Looker, service::ServiceState};
use plimsoll_sim::CLIENTS_FROM;
use tokio::sync::watch;

use super::programs::Programs;

pub(super) struct Around {
    pub looker: Looker,
    pub clock: Arc<dyn Clock>,
    pub record: Arc<dyn Record>,
    pub records: Records,
    pub desk: Desk,
    pub pulse: watch::Receiver<Arc<Pulse>>,
    pub programs: Programs,
    /// Finds who holds an address that is taken.
    pub holders: Mutex<Peers>,
    /// The demo's own clients are among those who ask.
    pub simulated: bool,
}

// === impl World for Around ===

impl World for Around {
    fn holder(&self, address: SocketAddr) -> Option<String> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        Some(words_of(&holders.holder(address)?, address))
    }

    fn program(&self, peer: SocketAddr, here: SocketAddr) -> BoxFuture<'static, Sought> {
        // At `[::]` those of the other protocol come with addresses of this one.
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (peer, here) = (plain(peer), plain(here));
        // The demo's clients are all this very program: what they say of themselves counts.
        let staged = self.simulated && peer.ip() == IpAddr::V4(CLIENTS_FROM);
        if staged || !peer.ip().is_loopback() {
            return Box::pin(ready(Sought::Nobody));
        }
        self.programs.seek((peer, here))
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

/// Who is in the way, e.g. `llama-server (pid 4711)`, and by which address where that is
/// another than the one that was wanted.
fn words_of(holder: &Holder, wanted: SocketAddr) -> String {
    let who = match &holder.program {
        Some((name, pid)) => format!("{name} (pid {pid})"),
        None => "a program of another user".into(),
    };
    match holder.address == wanted {
        true => who,
        false => format!("{who}, which listens at {}", holder.address),
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
    fn who_is_in_the_way_is_named_with_the_address_it_has() {
        let wanted: SocketAddr = "127.0.0.1:1876".parse().unwrap();
        let holder = |address: &str, program| Holder { address: address.parse().unwrap(), program };
        let llama = Some(("llama-server".to_owned(), 7));
        assert_eq!(
            words_of(&holder("127.0.0.1:1876", llama.clone()), wanted),
            "llama-server (pid 7)"
        );
        assert_eq!(
            words_of(&holder("0.0.0.0:1876", llama), wanted),
            "llama-server (pid 7), which listens at 0.0.0.0:1876"
        );
        assert_eq!(words_of(&holder("127.0.0.1:1876", None), wanted), "a program of another user");
    }
}
