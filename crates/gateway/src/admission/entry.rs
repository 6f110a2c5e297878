//! A request that is known here, waiting or in flight.

use plimsoll_core::{config::gateway::Balance, request::Priority};

use super::{Id, Ms};

/// No index.
pub(super) const NONE: u32 = u32::MAX;

/// Place in line: smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    pub(super) at: Ms,
    pub(super) seq: u64,
}

/// What is kept apart in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Class {
    /// It was admitted before, and its backend failed: at the head.
    Retry,
    Interactive,
    Batch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    /// A retry that comes back into line later.
    Sleeping,
    /// In flight.
    Held,
}

/// A request that is known here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) state: State,
    pub(super) class: Class,
    pub(super) policy: Balance,
    pub(super) probe: bool,
    /// While held: it was sent, and its client is there.
    pub(super) sent: bool,
    /// While held: its answer began.
    pub(super) answered: bool,
    /// While held: its first token came.
    pub(super) sampled: bool,
    /// Its client's rate was charged.
    pub(super) paid: bool,
    pub(super) order: Order,
    pub(super) deadline: Ms,
    /// When it came (into line: a retry anew).
    pub(super) came: Ms,
    /// While held: since when. While asleep: until when.
    pub(super) granted: Ms,
    pub(super) hash: u64,
    pub(super) tokens: u32,
    pub(super) client: u32,
    pub(super) model: u32,
    pub(super) group: u32,
    /// While held.
    pub(super) backend: u32,
    /// The backend that failed it last.
    pub(super) avoid: u32,
    /// While waiting: its place in the queue.
    pub(super) lane: u32,
    pub(super) prev: u32,
    pub(super) next: u32,
}

// === impl Class ===

impl Class {
    pub(super) fn of(priority: Priority) -> Self {
        match priority {
            Priority::Interactive => Self::Interactive,
            Priority::Batch => Self::Batch,
        }
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(id: Id, class: Class, order: Order, now: Ms) -> Self {
        Self {
            id,
            state: State::Waiting,
            class,
            policy: Balance::LeastInFlight,
            probe: false,
            sent: false,
            answered: false,
            sampled: false,
            paid: false,
            order,
            deadline: 0,
            came: now,
            granted: 0,
            hash: 0,
            tokens: 0,
            client: NONE,
            model: NONE,
            group: NONE,
            backend: NONE,
            avoid: NONE,
            lane: NONE,
            prev: NONE,
            next: NONE,
        }
    }
}

/// Of what stands in a slab.
pub(super) fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}
