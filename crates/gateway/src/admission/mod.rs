//! Who may go on, who waits, and who is refused at once.
//!
//! One pure machine behind one lock. It takes room in all, of the client, of the
//! model and of a backend in one step or none, and chooses the backend when the
//! permit is granted, not before the wait. A limit lowered below what is in flight
//! admits nobody until enough have ended.
//!
//! [`Admission`] is the machine: calls and times in, decisions out, nothing else; the
//! same calls give the same decisions. [`Desk`] is the door that requests come through.

mod affinity;
mod at_work;
mod balance;
mod breaker;
mod chance;
mod desk;
mod entry;
mod gate;
mod gradient;
mod health;
mod hold;
mod least;
mod limits;
mod machine;
mod names;
mod next;
mod parties;
mod queue;
mod rate;
mod refusal;
mod rest;
mod snapshot;
#[cfg(test)]
mod tests;
mod time;
mod window;

use std::sync::Arc;

pub use self::{
    at_work::AtWork,
    breaker::Tripped,
    desk::{Admit, Desk, Permit},
    gate::{GateKind, GateView, Pressure},
    limits::{AdaptiveLimits, BackendLimits, BreakerLimits, ClientLimits, Gate, Gates, Limits},
    machine::Admission,
    rest::Rest,
    snapshot::{BackendView, BreakerView, ClientView, Move, Moved, Snapshot},
};

use plimsoll_core::{config::gateway::Balance, request::Priority};

/// Milliseconds on a monotonic clock. Given by the caller, never read here.
pub type Ms = u64;
/// Id of a request; unique while it is known here.
pub type Id = u64;
/// Id of a service.
pub type BackendId = Arc<str>;

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub id: Id,
    /// By the name that its limits are kept under.
    pub client: Arc<str>,
    pub model: Arc<str>,
    pub priority: Priority,
    /// Prompt tokens as estimated, and the most it may generate: weighed against KV room.
    pub tokens: u32,
    /// When it must have been admitted.
    pub deadline: Ms,
    /// Backends that could answer, the most wanted first; one group of equals, then its
    /// fallbacks.
    pub candidates: Arc<[Candidate]>,
    /// How one of the equals is chosen.
    pub policy: Balance,
    /// Of the conversation's beginning (prefix affinity) or of the client (consistent hash).
    pub hash: u64,
}

/// A backend that could answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub backend: BackendId,
    /// 0: the first choice; 1, 2 …: fallbacks, taken only where no lower one can serve at all.
    pub rank: u8,
    /// At least 1.
    pub weight: u16,
}

/// What a request that was admitted holds until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: Id,
    pub backend: BackendId,
    /// It asks whether a backend that failed is well again; the rest waits for its answer.
    pub probe: bool,
    pub waited: Ms,
}

/// What is said to a request that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    Granted(Grant),
    Queued(Place),
    Refused(Refusal),
}

/// Where a request stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 1 is next. Counted among those of its class and above that could go to the same
    /// backends.
    pub position: u32,
    /// As long as requests took lately; `None` before enough of them ended.
    pub expected_wait: Option<Ms>,
}

/// Why a request is refused: which limit, and when it may come again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    pub limit: Limit,
    /// One sentence for a person.
    pub reason: String,
    pub retry_after: Option<Ms>,
}

/// What refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The queue is full.
    Queue,
    /// Its deadline would pass, or passed, before there is room.
    Deadline,
    /// Requests or tokens per minute of the client.
    Rate,
    /// Every backend that could answer is down, or its breaker rejects.
    Backends,
    /// More tokens than any of its backends has room for.
    Tokens,
    /// Memory, CPU or heat.
    Pressure,
    /// Plimsoll stops.
    Stopping,
    /// Its number is in use by another: a fault of the caller.
    Twice,
}

/// How what was granted ended, for breakers and adaptive limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend answered, with an error of the client's own perhaps (4xx).
    Served,
    /// It failed: 5xx (but for 501 and its like), no connection, broken off, no first byte in time.
    Failed,
    /// Nothing is known of the backend from it: the client left, a person cancelled.
    Unknown,
}
