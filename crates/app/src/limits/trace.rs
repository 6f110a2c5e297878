//! Rows of the request log as a trace that can be replayed.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    config::gateway::Balance,
    request::{Finish, RequestRow},
};
use plimsoll_gateway::{
    admission::Candidate,
    replay::Recorded,
    route::{Table, Way},
};

/// Which ways lead where now; rows that none is known of went to the one that answered.
#[derive(Default)]
pub struct Ways<'a> {
    table: Option<&'a Table>,
    alone: BTreeMap<String, Arc<[Candidate]>>,
}

// === impl Ways ===

impl<'a> Ways<'a> {
    pub fn new(table: Option<&'a Table>) -> Self {
        Self { table, alone: BTreeMap::new() }
    }

    fn way(&self, row: &RequestRow) -> Option<Arc<Way>> {
        self.table?.way(row.endpoint, &row.model).ok()
    }

    /// Whether a row went to a service, or could have gone there and got no further than the line.
    pub fn leads_to(&self, row: &RequestRow, service: &str) -> bool {
        match &row.backend {
            Some(backend) => backend == service,
            None => self
                .way(row)
                .is_some_and(|way| way.candidates.iter().any(|c| &*c.backend == service)),
        }
    }

    /// `None` for a request that never asked for room, or of which nothing is known.
    pub fn recorded(&mut self, row: &RequestRow, counted: bool) -> Option<Recorded> {
        if !asked_for_room(row) {
            return None;
        }
        let way = self.way(row);
        let candidates = match (&way, &row.backend) {
            (Some(way), None) => way.candidates.clone(),
            (Some(way), Some(id)) if way.candidates.iter().any(|c| *c.backend == **id) => {
                way.candidates.clone()
            }
            (_, Some(id)) => self
                .alone
                .entry(id.clone())
                .or_insert_with(|| {
                    Arc::from([Candidate { backend: id.as_str().into(), rank: 0, weight: 1 }])
                })
                .clone(),
            (None, None) => return None,
        };
        let ms = |us: u64| (us + 500) / 1000;
        let waited = ms(row.wait_us);
        let gave_up = matches!(row.finish, Finish::Left | Finish::Cancelled);
        Some(Recorded {
            at: u64::try_from(row.at_ms).ok()?,
            client: row.client.as_str().into(),
            model: way
                .as_ref()
                .map_or_else(|| row.model.as_str().into(), |way| way.counted.clone()),
            priority: row.priority,
            policy: way.map_or(Balance::LeastInFlight, |way| way.policy),
            tokens: row.tokens_in.unwrap_or(0).saturating_add(row.tokens_out.unwrap_or(0)),
            held: row.backend.as_ref().map(|_| ms(row.total_us.saturating_sub(row.wait_us))),
            patience: (row.backend.is_none() && gave_up).then_some(waited),
            candidates,
            waited,
            counted,
        })
    }
}

/// Not what was answered from the cache or with another, and not what was refused for what it
/// is: a key, its size, a model that nobody has.
pub fn asked_for_room(row: &RequestRow) -> bool {
    row.shared.is_none()
        && match (row.finish, &row.backend) {
            (Finish::Refused, None) => matches!(row.status, 429 | 503),
            (Finish::Left | Finish::Cancelled, None) => row.wait_us > 0,
            (_, backend) => backend.is_some(),
        }
}
