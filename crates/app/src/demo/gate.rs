//! The gateway of the demo's past: admission itself, told what time it was, between the
//! simulated clients and their services.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use plimsoll_core::{
    config::{Config, gateway::Balance},
    mark::Mark,
    reading::Reading,
    request::{Priority, RequestRow},
    traffic::{ClientBasis, RoomBasis},
};
use plimsoll_gateway::{
    admission::{Admission, Ask, BackendId, Candidate, Limit, Offered, Outcome, Refusal},
    clients::Keys,
    record::{Counts, PastRecords},
    route::Room,
    settings,
};
use plimsoll_sim::{Caller, Cast, Ended, Entrance, Gate, Refused, Standing};

use crate::gateway::mark_of;

/// The room of a server that does not tell it, as it is felt out at first.
const FELT: u32 = 8;
/// A failure is tried again after that, and no more after twice as long each time.
const LONGEST_PAUSE_MS: u64 = 10_000;

/// Admission, and the series of what passed it.
pub struct PastGate {
    admission: Admission,
    /// One list for all requests of a service: they stand in one line.
    candidates: HashMap<Arc<str>, Arc<[Candidate]>>,
    policy: Balance,
    wait_ms: u64,
    batch_wait_ms: u64,
    tries: u8,
    pause_ms: u64,
    records: PastRecords,
    first_second: Option<i64>,
    /// When a mark of each limit that moves was set last.
    moved: BTreeMap<BackendId, i64>,
}

// === impl PastGate ===

impl PastGate {
    /// With the limits of that configuration.
    pub fn new(config: &Config, cast: &Cast) -> Self {
        let room = |(id, told): (String, Option<u32>)| {
            let set = config.services.limits(&id).and_then(|limits| limits.max_in_flight.number());
            let requests = set.or(told).unwrap_or(FELT).max(1);
            (id.into(), Room { requests, basis: RoomBasis::Told, tokens: None, outside: None })
        };
        let rooms = cast.rooms().into_iter().map(room).collect();
        let gateway = &config.gateway;
        Self {
            admission: Admission::new(settings::limits(config, &Keys::default(), &rooms)),
            candidates: HashMap::new(),
            policy: gateway.policy,
            wait_ms: u64::from(gateway.queue.wait_s) * 1000,
            batch_wait_ms: u64::from(gateway.queue.batch_wait_s) * 1000,
            tries: u8::try_from(gateway.retry.tries).unwrap_or(u8::MAX),
            pause_ms: u64::from(gateway.retry.pause_ms),
            records: PastRecords::default(),
            first_second: None,
            moved: BTreeMap::new(),
        }
    }
}

impl Gate for PastGate {
    fn offer(&mut self, caller: &Caller, now_ms: u64) -> Entrance {
        let candidates = self.candidates.entry(caller.service.clone()).or_insert_with(|| {
            Arc::from([Candidate { backend: caller.service.clone(), rank: 0, weight: 1 }])
        });
        let wait = match caller.priority {
            Priority::Interactive => self.wait_ms,
            Priority::Batch => self.batch_wait_ms,
        };
        let patience = caller.patience_ms.map_or(u64::MAX, u64::from);
        let ask = Ask {
            id: caller.id,
            client: caller.client.clone(),
            model: caller.model.clone(),
            priority: caller.priority,
            tokens: caller.tokens,
            deadline: now_ms.saturating_add(wait.min(patience)),
            candidates: candidates.clone(),
            policy: self.policy,
            hash: 0,
        };
        match self.admission.offer(ask, now_ms) {
            Offered::Granted(_) => Entrance::Granted,
            Offered::Queued(_) => Entrance::Waits,
            Offered::Refused(refusal) => Entrance::Refused(refused(&refusal)),
        }
    }

    fn release(&mut self, id: u64, ended: Ended, tokens: Option<u32>, now_ms: u64) {
        let outcome = match ended {
            Ended::Served => Outcome::Served,
            Ended::Failed => Outcome::Failed,
            Ended::Unknown => Outcome::Unknown,
        };
        self.admission.release(id, outcome, tokens, now_ms);
    }

    fn pause_ms(&self, tries: u8) -> Option<u64> {
        let doubled = self.pause_ms << u32::from(tries.saturating_sub(1)).min(16);
        (tries <= self.tries).then(|| doubled.min(LONGEST_PAUSE_MS))
    }

    fn retry(&mut self, id: u64, pause_ms: u64, now_ms: u64) {
        self.admission.retry(id, Outcome::Failed, pause_ms, now_ms);
    }

    fn leave(&mut self, id: u64, now_ms: u64) {
        self.admission.leave(id, now_ms);
    }

    fn seen(&mut self, service: &Arc<str>, up: bool, outside: u32, now_ms: u64) {
        self.admission.up(service, up, now_ms);
        self.admission.outside(service, outside, now_ms);
    }

    fn tick(&mut self, now_ms: u64) {
        self.admission.tick(now_ms);
    }

    fn due_ms(&self) -> Option<u64> {
        self.admission.next_due()
    }

    fn decided(&mut self) -> Vec<(u64, Result<(), Refused>)> {
        let decided = self.admission.decisions();
        decided.map(|(id, said)| (id, said.map(drop).map_err(|why| refused(&why)))).collect()
    }

    fn count(&mut self, row: &RequestRow, second: i64) {
        let first = *self.first_second.get_or_insert(second);
        let since = u64::try_from(second - first).unwrap_or(0);
        self.records.take(row, ClientBasis::UserAgent, since);
    }

    fn marks(&mut self) -> Vec<Mark> {
        let moves: Vec<_> = self.admission.moves().collect();
        let at_ms = |at| i64::try_from(at).unwrap_or(i64::MAX);
        moves
            .into_iter()
            .filter_map(|moved| mark_of(&moved, at_ms(moved.at), &mut self.moved))
            .collect()
    }

    fn tell(&mut self, under_way: &[Standing], out: &mut Vec<Reading>) {
        let mut counts = Counts::default();
        let mut waiting: BTreeMap<Arc<str>, u32> =
            self.candidates.keys().map(|service| (service.clone(), 0)).collect();
        for one in under_way {
            let client = counts.clients.entry(one.client.clone()).or_default();
            let backend = counts.backends.entry(one.service.clone()).or_default();
            for counted in [&mut counts.all, client, backend] {
                counted.in_flight += u32::from(!one.waits);
                counted.queued += u32::from(one.waits);
            }
            if one.waits {
                *waiting.entry(one.service.clone()).or_default() += 1;
            }
        }
        self.records.tell(&counts, &waiting, out);
    }
}

/// As the gateway answers it.
fn refused(refusal: &Refusal) -> Refused {
    let status = match refusal.limit {
        Limit::Queue | Limit::Rate => 429,
        Limit::Deadline | Limit::Backends | Limit::Pressure | Limit::Stopping => 503,
        Limit::Tokens => 400,
        Limit::Twice => 409,
    };
    Refused { status, reason: refusal.reason.clone() }
}
