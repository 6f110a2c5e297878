//! What is read: this machine, or a simulated one.

use std::sync::Arc;

use plimsoll_core::clock::Clock;
use plimsoll_sense::{Options, Sources, real_sources};
use plimsoll_sim::{Cast, DEMO, DEMO_SEED, Simulation};
use tokio::sync::watch;

use crate::{
    api::{Fault, FaultCode},
    stage::cannot,
};

/// How much past a new demo has.
pub const PAST_MS: i64 = 86_400_000;

/// The sources, and the simulation behind them where there is one.
pub struct Choice {
    pub sources: Sources,
    pub simulation: Option<Simulation>,
    /// What plays its services.
    pub cast: Option<Cast>,
}

// === impl Choice ===

impl Choice {
    /// A simulated machine that gets a past has been watched since it began, so
    /// that its counters go on without a break; any other starts them at zero.
    pub fn make(
        simulated: bool,
        with_past: bool,
        options: watch::Receiver<Options>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        if !simulated {
            let sources = real_sources(options, clock.clone());
            return Ok(Self { sources, simulation: None, cast: None });
        }
        let now = clock.now();
        let mut simulation = Simulation::new(DEMO, DEMO_SEED, 1.0, now)
            .map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))?;
        if with_past {
            simulation = simulation.since(now.wall_ms - PAST_MS);
        }
        let cast = Cast::bind().map_err(|error| cannot(&error))?.with_clients();
        simulation = cast.on(simulation);
        let sources = simulation.sources(options);
        Ok(Self { sources, simulation: Some(simulation), cast: Some(cast) })
    }
}
