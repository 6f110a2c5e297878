//! From what a server tells to readings of one set of metrics: the same names,
//! units and kinds whatever the server is.
//!
//! Totals only grow ([`total`]), distributions tell what was observed since the
//! last look ([`spread`]), and what is no number is left out: a server that says
//! NaN has said nothing.

mod spread;
mod total;
mod window;

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    metric::{Kind, Metric, SubjectKind},
    reading::{Reading, Value},
    unit::Unit,
};

use self::{spread::Distribution, total::Total, window::Window};
use crate::{
    adapter::{Figure, FigureValue, Scrape},
    service::{Figures, Latency, Loaded, MAX_MODELS, Model, RedisFigures, Slots, StoreFigures},
};

/// Most figures of one look that are taken.
pub const MAX_FIGURES: usize = 4096;
/// Longest name of a model within a subject.
const LONGEST_MODEL: usize = 120;

/// What one look came to.
#[derive(Clone, Debug, Default)]
pub struct Normal {
    /// Of this service and of its models, in the catalogue's units. A histogram is
    /// there only where something was observed.
    pub readings: Vec<Reading>,
    /// The same for people.
    pub figures: Figures,
}

/// Remembers the totals of one service between two looks.
#[derive(Clone, Debug)]
pub struct Normaliser {
    id: Arc<str>,
    totals: BTreeMap<Metric, Total>,
    distributions: BTreeMap<Metric, (Distribution, Window)>,
}

// === impl Normaliser ===

impl Normaliser {
    /// For the service with this id.
    pub fn new(id: &str) -> Self {
        Self { id: id.into(), totals: BTreeMap::new(), distributions: BTreeMap::new() }
    }

    /// The process behind the service is another one than before: its totals began anew.
    pub fn restarted(&mut self) {
        self.totals.values_mut().for_each(Total::restarted);
        self.distributions.values_mut().for_each(|(d, _)| d.restarted());
    }

    /// Takes one look, made at `at_ms` of a clock that only runs forward.
    pub fn take(&mut self, scrape: &Scrape, at_ms: i64) -> Normal {
        let mut by_metric: BTreeMap<Metric, Vec<&Figure>> = BTreeMap::new();
        for figure in scrape.figures.iter().take(MAX_FIGURES) {
            if fits(figure) {
                by_metric.entry(figure.metric).or_default().push(figure);
            }
        }
        let mut readings = Vec::new();
        for (&metric, figures) in &by_metric {
            match metric.spec().kind {
                Kind::Gauge if metric.spec().subject == SubjectKind::Model => {
                    self.by_model(metric, figures, &mut readings);
                }
                Kind::Gauge => {
                    if let Some(value) = level(metric, figures) {
                        readings.push(Reading::gauge(metric, &self.id, value));
                    }
                }
                Kind::Counter => {
                    let now = figures.iter().filter_map(|f| Some((part(f), units(f)?)));
                    let mut now = now.peekable();
                    if now.peek().is_some() {
                        let total = self.totals.entry(metric).or_default().take(now, at_ms);
                        readings.push(Reading::counter(metric, &self.id, total));
                    }
                }
                Kind::Histogram => {
                    let now = figures.iter().filter_map(|f| match &f.value {
                        FigureValue::Buckets(buckets) => Some((part(f), buckets)),
                        _ => None,
                    });
                    let (distribution, window) = self.distributions.entry(metric).or_default();
                    let observed = Arc::new(distribution.take(now));
                    if observed.count() > 0 {
                        window.add(&observed, at_ms);
                        readings.push(Reading {
                            metric,
                            subject: self.id.clone(),
                            value: Value::Histogram(observed),
                        });
                    }
                }
            }
        }
        self.add_slots(scrape.slots, &mut readings);
        self.add_models(scrape.models.as_deref().unwrap_or_default(), &mut readings);
        let figures = self.figures(&readings, at_ms);
        Normal { readings, figures }
    }

    /// A gauge that stands for each model by itself.
    fn by_model(&self, metric: Metric, figures: &[&Figure], out: &mut Vec<Reading>) {
        for figure in figures.iter().take(MAX_MODELS) {
            if let (Some(model), FigureValue::Gauge(value)) = (&figure.model, &figure.value)
                && sound(metric, *value)
            {
                out.push(Reading::gauge(metric, &self.subject(model), *value));
            }
        }
    }

    /// What slots tell, where no figure told it more exactly.
    fn add_slots(&self, slots: Option<Slots>, out: &mut Vec<Reading>) {
        let Some(slots) = slots else { return };
        let told = [
            (Metric::SlotsTotal, slots.total),
            (Metric::SlotsBusy, slots.busy),
            (Metric::RequestsRunning, slots.busy),
            (Metric::RequestsWaiting, slots.waiting),
        ];
        for (metric, value) in told {
            if let Some(value) = value
                && !out.iter().any(|reading| reading.metric == metric)
            {
                out.push(Reading::gauge(metric, &self.id, f64::from(value)));
            }
        }
    }

    /// Sizes of models that are loaded, where no figure told them.
    fn add_models(&self, models: &[Model], out: &mut Vec<Reading>) {
        for model in models.iter().filter(|m| m.loaded == Loaded::Loaded).take(MAX_MODELS) {
            let subject = self.subject(&model.name);
            for (metric, bytes) in
                [(Metric::ModelSize, model.size_bytes), (Metric::ModelVram, model.vram_bytes)]
            {
                let known = |r: &Reading| r.metric == metric && r.subject == subject;
                if let Some(bytes) = bytes
                    && !out.iter().any(known)
                {
                    out.push(Reading::gauge(metric, &subject, bytes as f64));
                }
            }
        }
    }

    fn subject(&self, model: &str) -> Arc<str> {
        let name: String = model.chars().filter(|c| !c.is_control()).take(LONGEST_MODEL).collect();
        format!("{}/{name}", self.id).into()
    }

    fn figures(&mut self, readings: &[Reading], at_ms: i64) -> Figures {
        let level =
            |metric: Metric| readings.iter().find(|r| r.metric == metric).map(Reading::number);
        let told = |metric: Metric| readings.iter().any(|r| r.metric == metric);
        let totals = &self.totals;
        // A total that was not told this time has no rate now.
        let rate = |metric: Metric| totals.get(&metric).filter(|_| told(metric))?.per_second();
        let share = |part: Metric, rest: Option<Metric>, whole: Option<Metric>| {
            let increase =
                |metric: Metric| totals.get(&metric).filter(|_| told(metric))?.increase();
            let hits = increase(part)?;
            let of = match (rest, whole) {
                (Some(rest), _) => hits.saturating_add(increase(rest)?),
                (None, Some(whole)) => increase(whole)?,
                (None, None) => return None,
            };
            (of > 0).then(|| (hits as f64 / of as f64 * 100.0).min(100.0))
        };
        let redis = told(Metric::RedisMemoryUsed).then(|| RedisFigures {
            memory_used_bytes: level(Metric::RedisMemoryUsed),
            memory_limit_bytes: level(Metric::RedisMemoryLimit),
            memory_rss_bytes: level(Metric::RedisMemoryRss),
            fragmentation_bytes: level(Metric::RedisFragmentation),
            hit_percent: share(Metric::RedisHits, Some(Metric::RedisMisses), None),
            evicted_per_s: rate(Metric::RedisEvicted),
            ops_per_s: rate(Metric::RedisOps),
            clients: level(Metric::RedisClients),
            blocked: level(Metric::RedisBlocked),
        });
        let store = [Metric::StoreCollections, Metric::StorePoints, Metric::StoreRequests]
            .into_iter()
            .any(told)
            .then(|| StoreFigures {
                collections: level(Metric::StoreCollections),
                points: level(Metric::StorePoints),
                requests_per_s: rate(Metric::StoreRequests),
            });
        let mut figures = Figures {
            running: level(Metric::RequestsRunning),
            waiting: level(Metric::RequestsWaiting),
            finished_per_s: rate(Metric::RequestsFinished),
            prompt_tokens_per_s: rate(Metric::TokensPrompt),
            generated_tokens_per_s: rate(Metric::TokensGenerated),
            kv_used_percent: level(Metric::KvUsed),
            preemptions_per_s: rate(Metric::Preemptions),
            prefix_hit_percent: share(Metric::PrefixHits, None, Some(Metric::PrefixQueries)),
            redis,
            store,
            ..Figures::default()
        };
        let mut latency = |metric: Metric| -> Option<Latency> {
            self.distributions.get_mut(&metric)?.1.latency(at_ms)
        };
        figures.ttft = latency(Metric::LatencyTtft);
        figures.itl = latency(Metric::LatencyItl);
        figures.queue = latency(Metric::LatencyQueue);
        figures.e2e = latency(Metric::LatencyE2e);
        figures
    }
}

/// Whether a figure's value is of the kind that its metric has, and its metric one
/// that a server may tell.
fn fits(figure: &Figure) -> bool {
    let spec = figure.metric.spec();
    matches!(spec.subject, SubjectKind::Service | SubjectKind::Model)
        && matches!(
            (spec.kind, &figure.value),
            (Kind::Gauge, FigureValue::Gauge(_))
                | (Kind::Counter, FigureValue::Total(_))
                | (Kind::Histogram, FigureValue::Buckets(_))
        )
}

/// Whether a level can be true: finite, and below zero only where that has a meaning.
fn sound(metric: Metric, value: f64) -> bool {
    value.is_finite() && (value >= 0.0 || metric == Metric::RedisFragmentation)
}

/// One level of what may come by model: amounts add up, of shares the highest stands.
fn level(metric: Metric, figures: &[&Figure]) -> Option<f64> {
    let values = figures.iter().filter_map(|figure| match figure.value {
        FigureValue::Gauge(value) if sound(metric, value) => Some(value),
        _ => None,
    });
    match metric.spec().unit {
        Unit::Percent => values.reduce(f64::max).map(|value| value.min(100.0)),
        Unit::Flag | Unit::Milliseconds => values.reduce(f64::max),
        _ => values.reduce(|a, b| a + b),
    }
}

fn part(figure: &Figure) -> String {
    figure.model.clone().unwrap_or_default()
}

/// A total in whole multiples of its metric's resolution.
fn units(figure: &Figure) -> Option<u64> {
    let FigureValue::Total(value) = figure.value else { return None };
    // Past 2^53 a float no longer counts by ones, and no server has counted so far.
    (value.is_finite() && (0.0..9_007_199_254_740_992.0).contains(&value))
        .then(|| (value / figure.metric.spec().resolution).round() as u64)
}

#[cfg(test)]
mod tests;
