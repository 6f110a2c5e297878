//! Admission as it stands, for people to look at.

use std::sync::Arc;

use plimsoll_core::traffic::BreakerState;

use super::{
    Admission, BackendId, GateKind, GateView, Id, Ms, Place, Tripped,
    entry::{State, index},
};

/// How much is in flight and waits, and what holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub in_flight: u32,
    pub queued: u32,
    pub queue_room: u32,
    pub granted: u64,
    pub refused: u64,
    /// By id.
    pub backends: Vec<BackendView>,
    /// Those with something in flight or waiting, by name.
    pub clients: Vec<ClientView>,
    pub gates: Vec<GateView>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BackendView {
    pub id: BackendId,
    pub up: bool,
    /// It takes nothing new, because it is stopped or started anew.
    pub resting: bool,
    /// What it may have at once by configuration; `None`: no limit.
    pub room: Option<u32>,
    /// What it may have now: less while it recovers, adapts, or serves others.
    pub room_now: Option<u32>,
    /// Through Plimsoll.
    pub in_flight: u32,
    /// Waiting requests that could go to it.
    pub queued: u32,
    /// Tokens held by what is in flight, as estimated.
    pub kv_used: u64,
    /// The limit that was found for it.
    pub adaptive: Option<u32>,
    pub breaker: BreakerView,
    pub granted: u64,
    pub served: u64,
    pub failed: u64,
    pub unknown: u64,
}

/// A breaker as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerView {
    pub state: BreakerState,
    pub since: Ms,
    /// Why it rejected last; `None` once it passed since.
    pub tripped: Option<Tripped>,
    /// When it is asked next.
    pub next_probe: Option<Ms>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    pub name: Arc<str>,
    pub in_flight: u32,
    pub queued: u32,
}

/// Something that admission changed by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub at: Ms,
    pub what: Moved,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Moved {
    Breaker {
        backend: BackendId,
        to: BreakerState,
        tripped: Option<Tripped>,
    },
    /// The limit that is found for a backend, since it was told last.
    Adaptive {
        backend: BackendId,
        from: u32,
        to: u32,
    },
    Gate {
        kind: GateKind,
        closed: bool,
        enforced: bool,
        value: Option<f64>,
    },
}

// === impl Admission ===

impl Admission {
    pub fn snapshot(&self) -> Snapshot {
        let mut backends: Vec<BackendView> = self
            .backends
            .iter()
            .map(|(at, backend)| backend.view(self.waiting_for(index(at))))
            .collect();
        backends.sort_by(|a, b| a.id.cmp(&b.id));
        let busy = self.clients.iter().filter(|(_, client)| client.known > 0);
        let mut clients: Vec<ClientView> = busy
            .map(|(_, client)| ClientView {
                name: client.name.clone(),
                in_flight: client.in_flight,
                queued: client.queued,
            })
            .collect();
        clients.sort_by(|a, b| a.name.cmp(&b.name));
        Snapshot {
            in_flight: self.in_flight,
            queued: self.queued(),
            queue_room: self.limits.queue,
            granted: self.granted,
            refused: self.refused,
            backends,
            clients,
            gates: self.gates.views().copied().collect(),
        }
    }

    pub fn in_flight_at(&self, backend: &str) -> u32 {
        let at = self.backend_of.get(backend);
        at.map_or(0, |at| self.backends[*at as usize].in_flight)
    }

    /// Where a request stands now, counted one by one.
    pub fn position(&self, id: Id) -> Option<Place> {
        let key = *self.ids.get(&id)?;
        let entry = self.entries.get(key as usize).filter(|e| e.state != State::Held)?;
        let ahead = self.entries.iter().filter(|(_, other)| {
            other.state == State::Waiting && other.group == entry.group && other.order < entry.order
        });
        let position = index(ahead.count()).saturating_add(1);
        Some(Place {
            position,
            expected_wait: self.expected(entry, position).map(|(wait, _)| wait),
        })
    }

    /// Who waits for a backend, among others perhaps.
    pub(super) fn waiting_for(&self, backend: u32) -> u32 {
        let mut groups: Vec<u32> =
            self.backends[backend as usize].seats.iter().map(|seat| seat.group).collect();
        groups.dedup();
        groups.iter().map(|group| self.groups[*group as usize].waiting.iter().sum::<u32>()).sum()
    }
}
