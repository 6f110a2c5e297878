//! Rows of the request log as a trace that can be replayed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plimsoll_core::{
    config::gateway::Balance,
    request::{Finish, RequestRow},
};
use plimsoll_gateway::{
    admission::Candidate,
    replay::Recorded,
    route::{Table, Way},
};

/// A request that waited in line and took no more than this beside never ran.
const BESIDE_US: u64 = 5000;

/// Which ways lead where: as the table has it now, and where it has none, to whoever answered
/// the same model in what was recorded.
#[derive(Default)]
pub struct Ways<'a> {
    table: Option<&'a Table>,
    answered: BTreeMap<String, Arc<[Candidate]>>,
    alone: BTreeMap<String, Arc<[Candidate]>>,
}

/// What a row is in a trace.
pub enum Told {
    Replayed(Recorded),
    /// It never asked for room.
    NoAsk,
    /// It did, and where it was to go is not known any more.
    Nowhere,
}

// === impl Ways ===

impl<'a> Ways<'a> {
    pub fn new(table: Option<&'a Table>) -> Self {
        Self { table, ..Self::default() }
    }

    /// Keeps who answered which model.
    pub fn learn<'r>(&mut self, rows: impl IntoIterator<Item = &'r RequestRow>) {
        let mut answered: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for row in rows.into_iter().filter(|row| ran(row)) {
            if let Some(backend) = &row.backend {
                answered.entry(&row.model).or_default().insert(backend);
            }
        }
        let listed = |ids: BTreeSet<&str>| ids.into_iter().map(candidate).collect();
        self.answered =
            answered.into_iter().map(|(model, ids)| (model.to_owned(), listed(ids))).collect();
    }

    fn way(&self, row: &RequestRow) -> Option<Arc<Way>> {
        self.table?.way(row.endpoint, &row.model).ok()
    }

    /// Who could have answered one that names nobody.
    fn could_answer(&self, row: &RequestRow) -> Option<Arc<[Candidate]>> {
        match self.way(row) {
            // Whom the hash of its prompt led to is in no record.
            Some(way) if by_hash(&way) => None,
            Some(way) => Some(way.candidates.clone()),
            None => self.answered.get(&row.model).cloned(),
        }
    }

    /// Whether a row asked for room, and nothing says where.
    pub fn is_lost(&self, row: &RequestRow) -> bool {
        asked_for_room(row) && row.backend.is_none() && self.could_answer(row).is_none()
    }

    /// Whether a row went to a service, or could have gone there and got no further than the line.
    pub fn leads_to(&self, row: &RequestRow, service: &str) -> bool {
        match &row.backend {
            Some(backend) => backend == service,
            None => self
                .could_answer(row)
                .is_some_and(|could| could.iter().any(|c| &*c.backend == service)),
        }
    }

    pub fn recorded(&mut self, row: &RequestRow, counted: bool) -> Told {
        if !asked_for_room(row) {
            return Told::NoAsk;
        }
        let way = self.way(row);
        let candidates = match (&way, &row.backend) {
            (_, None) => match self.could_answer(row) {
                Some(could) => could,
                None => return Told::Nowhere,
            },
            (Some(way), Some(id))
                if !by_hash(way) && way.candidates.iter().any(|c| *c.backend == **id) =>
            {
                way.candidates.clone()
            }
            (_, Some(id)) => {
                self.alone.entry(id.clone()).or_insert_with(|| Arc::from([candidate(id)])).clone()
            }
        };
        let Ok(at) = u64::try_from(row.at_ms) else { return Told::NoAsk };
        let ms = |us: u64| (us + 500) / 1000;
        let waited = ms(row.wait_us);
        let gave_up = matches!(row.finish, Finish::Left | Finish::Cancelled);
        let policy = way.as_ref().filter(|way| !by_hash(way)).map(|way| way.policy);
        Told::Replayed(Recorded {
            at,
            client: row.client.as_str().into(),
            model: way
                .as_ref()
                .map_or_else(|| row.model.as_str().into(), |way| way.counted.clone()),
            priority: row.priority,
            policy: policy.unwrap_or(Balance::LeastInFlight),
            tokens: row.tokens_in.unwrap_or(0).saturating_add(row.tokens_out.unwrap_or(0)),
            held: ran(row).then(|| ms(row.total_us.saturating_sub(row.wait_us))),
            patience: (!ran(row) && gave_up).then_some(waited),
            candidates,
            waited,
            lasted: ms(row.total_us),
            refused: row.finish == Finish::Refused,
            follows: None,
            counted,
        })
    }
}

fn by_hash(way: &Way) -> bool {
    way.policy == Balance::ConsistentHash && way.candidates.len() > 1
}

fn candidate(id: impl AsRef<str>) -> Candidate {
    Candidate { backend: id.as_ref().into(), rank: 0, weight: 1 }
}

/// Whether a backend worked on it. One that was refused, or left the line, also names the
/// backend where only one could have answered.
pub fn ran(row: &RequestRow) -> bool {
    let left_the_line = || {
        let beside = row.total_us.saturating_sub(row.wait_us.saturating_add(row.overhead_us));
        row.wait_us > 0 && row.ttft_us.is_none() && row.retries == 0 && beside < BESIDE_US
    };
    row.shared.is_none()
        && row.backend.is_some()
        && match row.finish {
            Finish::Refused => false,
            Finish::Left | Finish::Cancelled => !left_the_line(),
            Finish::Answered | Finish::Failed | Finish::TimedOut => true,
        }
}

/// Not what was answered from the cache or with another, and not what was refused for what it
/// is: a key, its size, a model that nobody has.
pub fn asked_for_room(row: &RequestRow) -> bool {
    row.shared.is_none()
        && match (row.finish, &row.backend) {
            (Finish::Refused, _) => matches!(row.status, 429 | 503),
            (Finish::Left | Finish::Cancelled, None) => row.wait_us > 0,
            (_, backend) => backend.is_some(),
        }
}
