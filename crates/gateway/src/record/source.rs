//! The gateway's figures as readings: what stands in the history, and on charts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Instant3,
    histogram::Histogram,
    metric::Metric,
    reading::{Reading, Value},
    request::RequestRow,
    source::{Source, SourceError},
    traffic::ClientBasis,
};
use tokio::sync::watch;

use super::{
    Counts, OTHER, Records,
    figures::{Figures, Totalled},
    live::{Counted, lock},
};

/// Reads [`Records`] at the sampler's interval. There is one: what it reads of
/// distributions is gone from there.
pub struct RecordsSource {
    records: Records,
    interval: watch::Receiver<Duration>,
    none: Arc<str>,
}

// === impl RecordsSource ===

impl RecordsSource {
    pub(super) fn new(records: Records, interval: watch::Receiver<Duration>) -> Self {
        Self { records, interval, none: "".into() }
    }

    /// How many wait that could go to each backend; nothing where nobody admits.
    fn waiting(&self) -> BTreeMap<Arc<str>, u32> {
        let Some(desk) = self.records.inner.desk.get() else { return BTreeMap::new() };
        let backends = desk.snapshot().backends.into_iter();
        backends.map(|backend| (backend.id, backend.queued)).collect()
    }
}

impl Source for RecordsSource {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn cadence(&self) -> Duration {
        *self.interval.borrow()
    }

    fn read(&mut self, _: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let counts = self.records.counted();
        let waiting = self.waiting();
        let mut figures = lock(&self.records.inner.figures);
        tell(&mut figures, &counts, &waiting, &self.none, out);
        out.push(Reading::counter(Metric::GatewayReplayed, &self.none, self.records.replays()));
        Ok(())
    }
}

/// The same series for requests that are not this program's own: those of a past that was made.
#[derive(Default)]
pub struct PastRecords {
    figures: Figures,
    none: Arc<str>,
}

// === impl PastRecords ===

impl PastRecords {
    /// Takes a request that ended in that second; seconds count from any moment, and never go
    /// back.
    pub fn take(&mut self, row: &RequestRow, basis: ClientBasis, second: u64) {
        self.figures.take(row, basis, 0, second);
    }

    /// What a reading would have told, with what is under way now and how many wait for each
    /// backend.
    pub fn tell(
        &mut self,
        counts: &Counts,
        waiting: &BTreeMap<Arc<str>, u32>,
        out: &mut Vec<Reading>,
    ) {
        tell(&mut self.figures, counts, waiting, &self.none, out);
    }
}

/// Figures as readings; what was seen of distributions is gone from there.
fn tell(
    figures: &mut Figures,
    counts: &Counts,
    waiting: &BTreeMap<Arc<str>, u32>,
    none: &Arc<str>,
    out: &mut Vec<Reading>,
) {
    let Counts { all, clients, backends } = counts;
    let gauge = |metric, subject: &Arc<str>, n: u32| Reading::gauge(metric, subject, f64::from(n));
    out.push(gauge(Metric::GatewayInFlight, none, all.in_flight));
    out.push(gauge(Metric::GatewayQueued, none, all.queued));
    let counted = figures.counts;
    out.push(Reading::counter(Metric::GatewayRequests, none, counted.requests));
    out.push(Reading::counter(Metric::GatewayRefused, none, counted.refused));
    out.push(Reading::counter(Metric::GatewayFailed, none, counted.failed));
    push_all(out, Metric::GatewayOverhead, none, &mut figures.overhead_us);
    push_all(out, Metric::GatewayWait, none, &mut figures.wait_us);
    for (id, backend) in figures.backends() {
        let now = backends.get(id).copied().unwrap_or_default();
        out.push(gauge(Metric::GatewayServiceInFlight, id, now.in_flight));
        if let Some(queued) = waiting.get(id) {
            out.push(gauge(Metric::GatewayServiceQueued, id, *queued));
        }
        let counts = &backend.counts;
        out.push(Reading::counter(Metric::GatewayServiceRequests, id, counts.requests));
        out.push(Reading::counter(Metric::GatewayServiceFailed, id, counts.failed));
        out.push(Reading::counter(Metric::GatewayServiceTokensIn, id, counts.tokens_in));
        out.push(Reading::counter(Metric::GatewayServiceTokensOut, id, counts.tokens_out));
        push_all(out, Metric::GatewayServiceTtft, id, &mut backend.ttft_us);
    }
    let now = by_series(clients, &figures.client_series);
    for (name, counts) in &figures.client_series {
        let now = now.get(name).copied().unwrap_or_default();
        out.push(gauge(Metric::GatewayClientInFlight, name, now.in_flight));
        out.push(Reading::counter(Metric::GatewayClientRequests, name, counts.requests));
        out.push(Reading::counter(Metric::GatewayClientRefused, name, counts.refused));
        out.push(Reading::counter(Metric::GatewayClientTokensIn, name, counts.tokens_in));
        out.push(Reading::counter(Metric::GatewayClientTokensOut, name, counts.tokens_out));
        if let Some(joules) = counts.joules {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "millijoules, never below zero"
            )]
            let millijoules = (joules * 1000.0).round() as u64;
            out.push(Reading::counter(Metric::GatewayClientEnergy, name, millijoules));
        }
    }
}

/// What was seen since the last reading, where anything was.
fn push_all(out: &mut Vec<Reading>, metric: Metric, subject: &Arc<str>, seen: &mut Histogram) {
    if seen.count() > 0 {
        let value = Value::Histogram(Arc::new(std::mem::take(seen)));
        out.push(Reading { metric, subject: subject.clone(), value });
    }
}

/// Those beyond the bound are counted together.
fn by_series(
    clients: &BTreeMap<Arc<str>, Counted>,
    series: &BTreeMap<Arc<str>, Totalled>,
) -> BTreeMap<Arc<str>, Counted> {
    let mut sums: BTreeMap<Arc<str>, Counted> = BTreeMap::new();
    for (name, counted) in clients {
        let name = if series.contains_key(name) { name.clone() } else { OTHER.into() };
        let sum = sums.entry(name).or_default();
        sum.in_flight += counted.in_flight;
        sum.queued += counted.queued;
    }
    sums
}
