//! What the gateway did lately, by client and by backend: bounded windows, kept in memory.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    histogram::Histogram,
    request::{Finish, Priority, RequestRow},
    traffic::{ClientBasis, StoryMinute},
};
use rustc_hash::FxHashMap;

use super::ring::Ring;

/// Clients of the last hour that are told apart.
pub const MAX_CLIENTS: usize = 200;
/// Clients that have series of their own; further ones are counted together.
pub const MAX_CLIENT_SERIES: usize = 64;
/// Backends that are told apart.
pub const MAX_BACKENDS: usize = 64;
/// The name of what is beyond a bound.
pub const OTHER: &str = "other";
/// Below so many values their maximum is no bound for the 95th percentile at 95 % confidence.
const ENOUGH: u64 = 59;

/// A client's last hour.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientHour {
    pub name: Arc<str>,
    pub basis: ClientBasis,
    /// Of its last request.
    pub priority: Priority,
    pub requests: u32,
    pub refused: u32,
    pub failed: u32,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub backend_s: f64,
    pub joules: Option<f64>,
    /// `None` below 59 requests that have one.
    pub ttft_p95_us: Option<u64>,
    pub last_ms: i64,
}

/// All together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// In the last 60 seconds.
    pub requests_per_min: u32,
    pub refused_per_min: u32,
    /// Of the last 5 minutes.
    pub overhead_p50_us: Option<u64>,
    pub overhead_p99_us: Option<u64>,
    /// Since the start.
    pub ended: u64,
}

/// What has been counted since the start: for series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totalled {
    pub requests: u64,
    pub refused: u64,
    pub failed: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub joules: Option<f64>,
}

#[derive(Default)]
pub(super) struct Figures {
    seconds: Ring<(u32, u32), 60>,
    overhead: Ring<Histogram, 5>,
    clients: FxHashMap<Arc<str>, Client>,
    backends: FxHashMap<Arc<str>, Backend>,
    pub counts: Totalled,
    pub client_series: BTreeMap<Arc<str>, Totalled>,
    /// What was seen since the source was read.
    pub overhead_us: Histogram,
    pub wait_us: Histogram,
}

#[derive(Default)]
pub(super) struct Backend {
    pub counts: Totalled,
    pub ttft_us: Histogram,
    story: Ring<StoryMinute, 30>,
}

/// A client's last hour in steps of five minutes.
#[derive(Default)]
struct Client {
    basis: ClientBasis,
    priority: Priority,
    last_ms: i64,
    last_s: u64,
    steps: Ring<Step, 12>,
}

#[derive(Clone, Debug, Default)]
struct Step {
    requests: u32,
    refused: u32,
    failed: u32,
    tokens_in: u64,
    tokens_out: u64,
    backend_us: u64,
    joules: Option<f64>,
    ttft_us: Histogram,
}

// === impl Figures ===

impl Figures {
    /// Takes a request that ended `now_s` seconds after the start.
    pub(super) fn take(
        &mut self,
        row: &RequestRow,
        basis: ClientBasis,
        backend_us: u64,
        now_s: u64,
    ) {
        let refused = row.finish == Finish::Refused;
        let second = self.seconds.at(now_s);
        second.0 += 1;
        second.1 += u32::from(refused);
        self.overhead.at(now_s / 60).record(row.overhead_us);
        self.overhead_us.record(row.overhead_us);
        if row.wait_us > 0 {
            self.wait_us.record(row.wait_us);
        }
        self.counts.take(row);
        self.client(row, basis, backend_us, now_s);
        self.backend(row, now_s);
    }

    pub(super) fn totals(&mut self, now_s: u64) -> Totals {
        let (requests, refused) =
            self.seconds.until(now_s).fold((0, 0), |sum, s| (sum.0 + s.0, sum.1 + s.1));
        let mut overhead = Histogram::default();
        self.overhead.until(now_s / 60).for_each(|minute| overhead.merge(minute));
        Totals {
            requests_per_min: requests,
            refused_per_min: refused,
            overhead_p50_us: overhead.quantile_us(0.5),
            overhead_p99_us: overhead.quantile_us(0.99),
            ended: self.counts.requests,
        }
    }

    /// Those of the last hour, the most time of backends first.
    pub(super) fn clients(&mut self, now_s: u64) -> Vec<ClientHour> {
        let mut hours: Vec<_> =
            self.clients.iter_mut().map(|(name, client)| client.hour(name, now_s)).collect();
        hours.retain(|hour| hour.requests > 0);
        hours.sort_by(|a, b| b.backend_s.total_cmp(&a.backend_s).then_with(|| a.name.cmp(&b.name)));
        hours
    }

    /// The last 30 minutes of a backend, the oldest first.
    pub(super) fn story(&mut self, backend: &str, now_s: u64) -> Vec<StoryMinute> {
        match self.backends.get_mut(backend) {
            Some(backend) => backend.story.until(now_s / 60).copied().collect(),
            None => vec![StoryMinute::default(); 30],
        }
    }

    pub(super) fn backends(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Backend)> {
        self.backends.iter_mut()
    }

    fn client(&mut self, row: &RequestRow, basis: ClientBasis, backend_us: u64, now_s: u64) {
        let name = self.client_name(&row.client, now_s);
        let client = self.clients.entry(name.clone()).or_default();
        client.basis = basis;
        client.priority = row.priority;
        client.last_ms = client.last_ms.max(row.at_ms);
        client.last_s = now_s;
        client.steps.at(now_s / 300).take(row, backend_us);
        let room = self.client_series.len() < MAX_CLIENT_SERIES;
        let own = room || self.client_series.contains_key(&name);
        self.client_series.entry(if own { name } else { OTHER.into() }).or_default().take(row);
    }

    /// Its name, or `other` where there is no room for one more; clients that were silent for
    /// an hour make room.
    fn client_name(&mut self, name: &str, now_s: u64) -> Arc<str> {
        if let Some((name, _)) = self.clients.get_key_value(name) {
            return name.clone();
        }
        if self.clients.len() >= MAX_CLIENTS {
            self.clients.retain(|_, client| now_s - client.last_s < 3600);
        }
        // One place is kept for those beyond.
        if self.clients.len() + 1 >= MAX_CLIENTS { OTHER.into() } else { name.into() }
    }

    fn backend(&mut self, row: &RequestRow, now_s: u64) {
        let Some(id) = row.backend.as_deref() else { return };
        if !self.backends.contains_key(id) {
            // Services come and go; the one that was used least makes room.
            if self.backends.len() >= MAX_BACKENDS
                && let Some(least) = self.backends.iter().min_by_key(|(_, b)| b.counts.requests)
            {
                let least = least.0.clone();
                self.backends.remove(&least);
            }
            self.backends.insert(id.into(), Backend::default());
        }
        let Some(backend) = self.backends.get_mut(id) else { return };
        backend.counts.take(row);
        // As the row has it, from the arrival and with the wait: what clients of this backend
        // feel. What it takes itself is told by the services' own figures.
        if let Some(us) = row.ttft_us.filter(|_| row.shared.is_none()) {
            backend.ttft_us.record(us);
        }
        let minute = backend.story.at(now_s / 60);
        match row.finish {
            Finish::Refused => minute.refused += 1,
            _ if failed(row) => minute.failed += 1,
            Finish::Answered => minute.answered += 1,
            // Says nothing about the backend.
            _ => {}
        }
    }
}

// === impl Client ===

impl Client {
    fn hour(&mut self, name: &Arc<str>, now_s: u64) -> ClientHour {
        let mut sum = Step::default();
        self.steps.until(now_s / 300).for_each(|step| sum.add(step));
        let enough = sum.ttft_us.count() >= ENOUGH;
        ClientHour {
            name: name.clone(),
            basis: self.basis,
            priority: self.priority,
            requests: sum.requests,
            refused: sum.refused,
            failed: sum.failed,
            tokens_in: sum.tokens_in,
            tokens_out: sum.tokens_out,
            #[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
            backend_s: sum.backend_us as f64 / 1e6,
            joules: sum.joules,
            ttft_p95_us: enough.then(|| sum.ttft_us.quantile_us(0.95)).flatten(),
            last_ms: self.last_ms,
        }
    }
}

// === impl Step ===

impl Step {
    fn take(&mut self, row: &RequestRow, backend_us: u64) {
        self.requests += 1;
        self.refused += u32::from(row.finish == Finish::Refused);
        self.failed += u32::from(failed(row));
        self.tokens_in += u64::from(row.tokens_in.unwrap_or(0));
        self.tokens_out += u64::from(row.tokens_out.unwrap_or(0));
        self.backend_us += backend_us;
        self.joules = sum(self.joules, row.joules);
        if let Some(us) = row.ttft_us {
            self.ttft_us.record(us);
        }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.failed += other.failed;
        self.tokens_in += other.tokens_in;
        self.tokens_out += other.tokens_out;
        self.backend_us += other.backend_us;
        self.joules = sum(self.joules, other.joules);
        self.ttft_us.merge(&other.ttft_us);
    }
}

// === impl Totalled ===

impl Totalled {
    fn take(&mut self, row: &RequestRow) {
        self.requests += 1;
        self.refused += u64::from(row.finish == Finish::Refused);
        self.failed += u64::from(failed(row));
        self.tokens_in += u64::from(row.tokens_in.unwrap_or(0));
        self.tokens_out += u64::from(row.tokens_out.unwrap_or(0));
        self.joules = sum(self.joules, row.joules);
    }
}

/// The backend failed it, or said so itself.
fn failed(row: &RequestRow) -> bool {
    match row.finish {
        Finish::Failed | Finish::TimedOut => true,
        Finish::Answered => row.status >= 500,
        _ => false,
    }
}

/// What is unknown adds nothing, and stays unknown where nothing else is known.
fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}
