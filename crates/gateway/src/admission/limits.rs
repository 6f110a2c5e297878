//! What may run at once, as plain values. The configuration is projected onto them.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::config::gateway::GateMode;

use super::{BackendId, Ms};

/// Every limit that admission keeps. `None` is no limit; a limit of 0 admits nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// In flight in all.
    pub in_flight: Option<u32>,
    /// Waiting in all; one more is refused at once.
    pub queue: u32,
    /// Of these, batch requests: the rest of the queue is kept for people.
    pub queue_batch: u32,
    /// A batch request that has waited so long stands beside an interactive one that comes now.
    pub ageing: Ms,
    /// Of services that are named; others have `backend`.
    pub backends: BTreeMap<BackendId, BackendLimits>,
    pub backend: BackendLimits,
    /// In flight by model, for models that are named; others have none of their own.
    pub models: BTreeMap<Arc<str>, u32>,
    /// Of clients that are named; others have `client`, each for itself.
    pub clients: BTreeMap<Arc<str>, ClientLimits>,
    pub client: ClientLimits,
    pub breaker: BreakerLimits,
    pub gates: Gates,
}

/// What one backend may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BackendLimits {
    /// Requests in flight, those that came past Plimsoll included.
    pub room: Option<u32>,
    /// Tokens that its KV cache holds: prompt and answer of everything in flight.
    pub kv_tokens: Option<u64>,
    /// A limit that is found from the time to the first token, within `room`.
    pub adaptive: Option<AdaptiveLimits>,
}

/// What one client may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    pub in_flight: Option<u32>,
    /// Waiting at most, within the queue.
    pub queue: Option<u32>,
    pub requests_per_minute: Option<u32>,
    /// Prompt and answer: the estimate when admitted, what it really was at its end.
    pub tokens_per_minute: Option<u32>,
}

/// When a backend is taken for broken, and when it is asked again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerLimits {
    pub enabled: bool,
    /// Failures in a row.
    pub failures: u32,
    /// Share of failures within `window`, 0 to 1; `at_least` must have ended in it.
    pub rate: f64,
    pub at_least: u32,
    pub window: Ms,
    /// Until the first probe; twice as long after each that fails, up to `pause_max`.
    pub pause: Ms,
    pub pause_max: Ms,
}

/// Bounds of a limit that moves by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveLimits {
    pub min: u32,
    pub max: u32,
    /// How many times its usual value the time to the first token may take before the
    /// limit shrinks; at least 1.
    pub tolerance: f64,
}

/// Pressure at which nothing more is admitted; what runs goes on. `None`: not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gates {
    /// Available memory in percent of all; closes below.
    pub memory: Option<Gate>,
    /// Tasks stalled for memory (PSI full), in percent of time; closes above.
    pub memory_stall: Option<Gate>,
    /// Busy, in percent of all cores; closes above.
    pub cpu: Option<Gate>,
    /// °C that the hottest card has left to the point where it slows down; closes below.
    pub heat: Option<Gate>,
}

/// One gate: closed at one value, open again only at another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    pub mode: GateMode,
    pub close: f64,
    pub open: f64,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: None,
            queue: 1000,
            queue_batch: 750,
            ageing: 30_000,
            backends: BTreeMap::new(),
            backend: BackendLimits::default(),
            models: BTreeMap::new(),
            clients: BTreeMap::new(),
            client: ClientLimits::default(),
            breaker: BreakerLimits::default(),
            gates: Gates::default(),
        }
    }
}

impl Limits {
    pub(super) fn of_backend(&self, id: &str) -> BackendLimits {
        self.backends.get(id).copied().unwrap_or(self.backend)
    }

    pub(super) fn of_client(&self, name: &str) -> ClientLimits {
        self.clients.get(name).copied().unwrap_or(self.client)
    }
}

// === impl BreakerLimits ===

impl Default for BreakerLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            failures: 5,
            rate: 0.5,
            at_least: 20,
            window: 30_000,
            pause: 5_000,
            pause_max: 60_000,
        }
    }
}

// === impl AdaptiveLimits ===

impl Default for AdaptiveLimits {
    fn default() -> Self {
        Self { min: 1, max: 256, tolerance: 1.5 }
    }
}
