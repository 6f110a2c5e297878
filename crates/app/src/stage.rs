//! The demo's services: they are played by doubles in this process that really listen
//! on loopback, and are watched as any other would be. Clients ask them through the gateway.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use plimsoll_core::{clock::Instant3, config::Config};
use plimsoll_services::{
    fleet::{Wanted, Watched},
    kind::ServiceKind,
    service::Origin,
};
use plimsoll_sim::{Cast, Clients, Company, Simulation};
use tokio::sync::watch;

use crate::{
    api::{Fault, FaultCode},
    services::bounds,
};

/// Doubles that play, and what is to be watched of them. They end when this is dropped.
pub struct Stage {
    pub wanted: Arc<Wanted>,
    _company: Company,
    clients: Option<Clients>,
}

// === impl Stage ===

impl Stage {
    /// Lets the cast play from now on.
    pub fn open(
        cast: &mut Cast,
        simulation: &Simulation,
        now: Instant3,
        config: &Config,
    ) -> Result<Self, Fault> {
        let company = cast.start(simulation, now).map_err(|error| cannot(&error))?;
        let watched = cast.services().into_iter().map(|played| Watched {
            pace: Duration::from_millis(u64::from(config.services.scrape_ms)),
            bounds: bounds(config),
            ..Watched::new(
                &played.id,
                ServiceKind::named(&played.kind),
                &played.url,
                Origin::Configured,
            )
        });
        let wanted = Wanted { watched: watched.collect(), proposed: Vec::new() };
        Ok(Self { wanted: Arc::new(wanted), _company: company, clients: None })
    }

    /// Lets clients ask wherever the gateway listens.
    pub fn let_ask(
        &mut self,
        simulation: &Simulation,
        now: Instant3,
        gateway: watch::Receiver<Option<SocketAddr>>,
    ) -> Result<(), Fault> {
        let clients = Clients::start(simulation, now, gateway)
            .map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))?;
        self.clients = Some(clients);
        Ok(())
    }

    /// Ends what the clients ask: a gateway that stops need not wait for them.
    pub async fn ask_no_more(&mut self) {
        if let Some(clients) = self.clients.take() {
            clients.stop().await;
        }
    }
}

/// The demo's services cannot be played.
pub fn cannot(error: &io::Error) -> Fault {
    Fault::new(
        FaultCode::Unavailable,
        format!("The demo's services could not be started on loopback: {error}."),
    )
    .hint("Look whether this machine has free ports on 127.0.0.1.")
}
