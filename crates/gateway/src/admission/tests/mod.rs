//! The machine, call by call, on a [`Floor`]; the desk; and what holds whatever comes.

mod backends;
mod bounds;
mod breakers;
mod desk;
mod line;
mod moves;
mod properties;
mod rates;
mod retries;
mod room;

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    config::gateway::{Balance, GateMode},
    request::Priority,
    traffic::BreakerState,
};

use super::{
    AdaptiveLimits, Admission, Ask, BackendLimits, BackendView, BreakerLimits, Candidate,
    ClientLimits, Gate, Gates, Grant, Id, Limit, Limits, Moved, Ms, Offered, Outcome, Pressure,
    Refusal,
};

const NOBODY: [Id; 0] = [];

/// A machine, the time, and what was decided.
struct Floor {
    machine: Admission,
    now: Ms,
    next: Id,
    granted: Vec<Grant>,
    refused: Vec<(Id, Refusal)>,
    lists: BTreeMap<String, Arc<[Candidate]>>,
}

impl Floor {
    fn new(limits: Limits) -> Self {
        Self {
            machine: Admission::new(limits),
            now: 0,
            next: 1,
            granted: Vec::new(),
            refused: Vec::new(),
            lists: BTreeMap::new(),
        }
    }

    /// `backends`: `a b | c` are two equals and their fallback.
    fn ask(&mut self, client: &str, model: &str, backends: &str) -> Ask {
        self.next += 1;
        let list = self.lists.entry(backends.into()).or_insert_with(|| list(backends));
        Ask {
            id: self.next - 1,
            client: client.into(),
            model: model.into(),
            priority: Priority::Interactive,
            tokens: 0,
            deadline: self.now + 60_000,
            candidates: list.clone(),
            policy: Balance::LeastInFlight,
            hash: 0,
        }
    }

    fn offer(&mut self, ask: Ask) -> Offered {
        let id = ask.id;
        let offered = self.machine.offer(ask, self.now);
        match &offered {
            Offered::Granted(grant) => self.granted.push(grant.clone()),
            Offered::Refused(refusal) => self.refused.push((id, refusal.clone())),
            Offered::Queued(_) => {}
        }
        self.hear();
        offered
    }

    /// Offers one for backend `a` from `client`; its id.
    fn come(&mut self, client: &str) -> Id {
        let ask = self.ask(client, "m", "a");
        let id = ask.id;
        self.offer(ask);
        id
    }

    fn come_many(&mut self, client: &str, many: usize) -> Vec<Id> {
        (0..many).map(|_| self.come(client)).collect()
    }

    fn end(&mut self, id: Id, outcome: Outcome) {
        self.machine.release(id, outcome, None, self.now);
        self.hear();
    }

    fn served(&mut self, id: Id) {
        self.end(id, Outcome::Served);
    }

    fn first_byte(&mut self, id: Id) {
        self.machine.answered(id, self.now);
        self.machine.first_token(id, 50.0, self.now);
        self.hear();
    }

    fn retry(&mut self, id: Id, delay: Ms) {
        self.machine.retry(id, Outcome::Failed, delay, self.now);
        self.hear();
    }

    fn pass(&mut self, ms: Ms) {
        self.now += ms;
        self.machine.tick(self.now);
        self.hear();
    }

    fn set(&mut self, change: impl FnOnce(&mut Limits)) {
        let mut limits = self.machine.limits().clone();
        change(&mut limits);
        self.machine.set_limits(limits, self.now);
        self.hear();
    }

    fn up(&mut self, backend: &str, up: bool) {
        self.machine.up(backend, up, self.now);
        self.hear();
    }

    fn hear(&mut self) {
        for (id, decision) in self.machine.decisions() {
            match decision {
                Ok(grant) => self.granted.push(grant),
                Err(refusal) => self.refused.push((id, refusal)),
            }
        }
    }

    /// Ids granted since this was asked last, in order.
    fn granted(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.granted).into_iter().map(|grant| grant.id).collect()
    }

    /// Ids and backends granted since this was asked last.
    fn sent(&mut self) -> Vec<(Id, String)> {
        let granted = std::mem::take(&mut self.granted);
        granted.into_iter().map(|grant| (grant.id, grant.backend.to_string())).collect()
    }

    fn refused(&mut self) -> Vec<(Id, Limit)> {
        std::mem::take(&mut self.refused).into_iter().map(|(id, why)| (id, why.limit)).collect()
    }

    /// In flight, as models count it.
    fn of_models(&self) -> u32 {
        self.machine.models.iter().map(|(_, model)| model.in_flight).sum()
    }

    fn backend(&self, id: &str) -> BackendView {
        let backends = self.machine.snapshot().backends;
        backends.into_iter().find(|backend| &*backend.id == id).unwrap()
    }
}

fn list(backends: &str) -> Arc<[Candidate]> {
    let ranks = (0_u8..).zip(backends.split('|'));
    ranks
        .flat_map(|(rank, names)| {
            names.split_whitespace().map(move |name| Candidate {
                backend: name.into(),
                rank,
                weight: 1,
            })
        })
        .collect()
}

/// Room for so many at each backend.
fn room(room: u32) -> Limits {
    Limits {
        backend: BackendLimits { room: Some(room), ..BackendLimits::default() },
        breaker: BreakerLimits {
            failures: 3,
            pause: 1000,
            pause_max: 8000,
            ..BreakerLimits::default()
        },
        ageing: 10_000,
        ..Limits::default()
    }
}

fn named(limits: &mut Limits, name: &str, change: impl FnOnce(&mut ClientLimits)) {
    change(limits.clients.entry(name.into()).or_default());
}
