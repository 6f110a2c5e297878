//! Admission as it stands, for people to look at.

use std::sync::Arc;

use plimsoll_core::traffic::BreakerState;

use super::{
    Admission, BackendId, BreakerView, GateKind, GateView, Ms, Tripped,
    queue::{Class, index},
};

/// How much is in flight and waits, and what holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub in_flight: u32,
    /// Of all; `None`: no limit.
    pub room: Option<u32>,
    pub queued: u32,
    /// Of these.
    pub queued_batch: u32,
    pub queue_room: u32,
    /// How long the one that waits longest has waited.
    pub longest_wait: Ms,
    pub granted: u64,
    pub refused: u64,
    /// By id.
    pub backends: Vec<BackendView>,
    /// Those with something in flight or waiting, by name.
    pub clients: Vec<ClientView>,
    /// Those with something in flight or waiting, or a limit, by name.
    pub models: Vec<ModelView>,
    pub gates: Vec<GateView>,
    pub stopping: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BackendView {
    pub id: BackendId,
    pub up: bool,
    /// What it may have at once by configuration; `None`: no limit.
    pub room: Option<u32>,
    /// What it may have now: less while it recovers, adapts, or serves others.
    pub room_now: Option<u32>,
    /// Through Plimsoll.
    pub in_flight: u32,
    /// Requests that it runs and that did not come through Plimsoll.
    pub outside: u32,
    /// Waiting requests that could go to it.
    pub queued: u32,
    pub kv_tokens: Option<u64>,
    /// Tokens held by what is in flight, as estimated.
    pub kv_used: u64,
    /// The limit that was found for it.
    pub adaptive: Option<u32>,
    pub breaker: BreakerView,
    /// Mean time that a request held it, lately; `None` before one ended.
    pub hold_ms: Option<u64>,
    pub granted: u64,
    pub served: u64,
    pub failed: u64,
    pub unknown: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    pub name: Arc<str>,
    pub in_flight: u32,
    pub queued: u32,
    pub room: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelView {
    pub name: Arc<str>,
    pub in_flight: u32,
    pub queued: u32,
    pub room: Option<u32>,
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
                room: client.in_flight_room,
            })
            .collect();
        clients.sort_by(|a, b| a.name.cmp(&b.name));
        let used = self.models.iter().filter(|(_, model)| model.known > 0 || model.room.is_some());
        let mut models: Vec<ModelView> = used
            .map(|(_, model)| ModelView {
                name: model.name.clone(),
                in_flight: model.in_flight,
                queued: model.queued,
                room: model.room,
            })
            .collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Snapshot {
            in_flight: self.in_flight,
            room: self.limits.in_flight,
            queued: self.queued(),
            queued_batch: self.queue.of_class(Class::Batch),
            queue_room: self.limits.queue,
            longest_wait: self.longest_wait(),
            granted: self.granted,
            refused: self.refused,
            backends,
            clients,
            models,
            gates: self.gates.views().copied().collect(),
            stopping: self.stopping,
        }
    }
}
