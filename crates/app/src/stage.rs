//! The demo's services: they are played by doubles in this process that really listen
//! on loopback, and are watched as any other would be.

use std::{io, sync::Arc, time::Duration};

use plimsoll_core::{clock::Instant3, config::Config};
use plimsoll_services::{
    fleet::{Wanted, Watched},
    kind::ServiceKind,
    service::Origin,
};
use plimsoll_sim::{Cast, Company, Simulation};

use crate::{
    api::{Fault, FaultCode},
    services::bounds,
};

/// Doubles that play, and what is to be watched of them. They end when this is dropped.
pub struct Stage {
    pub wanted: Arc<Wanted>,
    _company: Company,
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
            name: played.id.clone(),
            id: played.id,
            kind: ServiceKind::named(&played.kind),
            url: played.url,
            origin: Origin::Configured,
            container: None,
            key: None,
            cadence: None,
            pace: Duration::from_millis(u64::from(config.services.scrape_ms)),
            bounds: bounds(config),
            enabled: true,
        });
        let wanted = Wanted { watched: watched.collect(), proposed: Vec::new() };
        Ok(Self { wanted: Arc::new(wanted), _company: company })
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
