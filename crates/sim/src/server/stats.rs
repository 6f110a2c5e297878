//! What a double counts of itself: what a test needs to know that no answer tells.

use serde::{Deserialize, Serialize};

/// Counts since the start, or since the last `reset`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests for work that came, and of those the ones that wanted a stream.
    pub requests: u64,
    pub streams: u64,
    /// Questions for health, models, figures and the like.
    pub control: u64,
    /// Requests for work from their head to the last byte of their answer (or to the
    /// end of their connection): now, and the most there were at once.
    pub in_flight: usize,
    pub most_in_flight: usize,
    /// What the engine works on, and what waits inside, a scenario's own work included.
    pub running: usize,
    pub most_running: usize,
    pub waiting: usize,
    pub most_waiting: usize,
    /// Requests whose answer was made to its end.
    pub finished: u64,
    /// Answered with an error of its own: too long, unknown model, full, no key.
    pub refused: u64,
    /// Clients that left before their answer was whole.
    pub cancelled: u64,
    /// Of those, the ones whose request went on inside.
    pub orphans: u64,
    /// Questions that a fault hit.
    pub faults: u64,
    /// Tokens that were generated for requests that came over the network.
    pub tokens: u64,
    /// Tokens that were generated after the client had left.
    pub tokens_unheard: u64,
    pub connections: usize,
    pub most_connections: usize,
    pub connections_in_all: u64,
    /// Models that were loaded, the start included.
    pub loads: u64,
}
