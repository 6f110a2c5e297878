//! What the watch over a service would have told in the past: made by the same engine
//! that answers now, asked by the same scenario, in the words of the catalogue.

use std::sync::Arc;

use plimsoll_core::{
    histogram::{Histogram, bounds_of, bucket_of},
    metric::Metric,
    reading::{Reading, Value},
};
use plimsoll_services::service::ServiceState;

use super::{
    Role, WARM_S, noise_of,
    seen::{Seen, holder},
    story::Played,
};
use crate::{
    noise::Noise,
    readings::gauge,
    server::{
        Life, Speaks, Spec, Story,
        inside::{Engine, Feed, Memory, Runner, Seconds, Us},
    },
    world::{Plan, World},
};

/// Looks without an answer after which a service is down.
pub const MISSES: i64 = 2;

/// One service, second by second.
pub struct PastService {
    subject: Arc<str>,
    model: Arc<str>,
    spec: Spec,
    story: Arc<Played>,
    places: Vec<usize>,
    runner: Runner,
    noise: Noise,
    origin_s: i64,
    /// The part of what is asked that came through Plimsoll.
    through: f64,
    seen: Seen,
    /// Counts of each histogram as they were last told.
    told: Vec<Vec<u64>>,
}

/// The histograms that are told.
fn histograms(engine: &Engine) -> [(Metric, &Seconds); 4] {
    let f = &engine.figures;
    [
        (Metric::LatencyTtft, &f.ttft),
        (Metric::LatencyItl, &f.between),
        (Metric::LatencyQueue, &f.queue),
        (Metric::LatencyE2e, &f.whole),
    ]
}

// === impl PastService ===

impl PastService {
    pub fn new(plan: &Arc<Plan>, role: &Role, spec: &Spec, place: String, from_s: i64) -> Self {
        let story = Arc::new(Played::new(plan.clone(), role));
        let origin_s = from_s - WARM_S;
        let noise = Noise::new(noise_of(&role.id));
        let model = &spec.models[0];
        let feed = Feed::new(story.clone(), role.load.clone(), noise, model.context, origin_s);
        let runner = Runner::new(spec, model, Some(feed));
        Self {
            subject: role.id.as_str().into(),
            model: format!("{}/{}", role.id, model.name).into(),
            places: story.places(),
            told: histograms(&runner.engine).map(|(_, seconds)| seconds.counts.clone()).into(),
            spec: spec.clone(),
            story,
            runner,
            noise,
            origin_s,
            through: role.through,
            seen: Seen::new(&role.id, place, from_s),
        }
    }

    /// What is told at the world's second; `slow`: the turn of processes and models.
    pub fn tell(&mut self, world: &World, slow: bool, vram: bool, out: &mut Vec<Reading>) {
        let second = world.second;
        let at: Us = u64::try_from(second - self.origin_s).unwrap_or(0).saturating_mul(1_000_000);
        self.runner.advance(at, &mut Vec::new());
        let fault = self.story.fault(second);
        let silent = self.is_silent(second);
        let loads = matches!(self.runner.memory, Memory::Loading(_));
        let down = (0..MISSES).all(|before| self.is_silent(second - before));
        let how = match fault {
            _ if down => ServiceState::Down,
            _ if loads && self.spec.speaks == Speaks::LlamaCpp => ServiceState::Starting,
            Some((fault, _)) if !fault.is_silent() => ServiceState::Degraded,
            _ => ServiceState::Healthy,
        };
        self.seen.note(second, how, self.story.server(second));
        let up = how.serves();
        let mut put = |metric, value| out.push(gauge(metric, &self.subject, value));
        put(Metric::ServiceUp, f64::from(u8::from(up)));
        if !silent {
            let noise = self.noise.white(1 << 40, second).abs();
            put(Metric::ServiceScrapeTime, 1.6 + 1.4 * noise);
        }
        if up && !silent && fault.is_none() {
            self.figures(out);
        }
        if slow {
            holder(&self.subject, &self.places, world, vram, out);
            if up && self.runner.memory == Memory::In {
                self.models(out);
            }
        }
    }

    /// What of it came through Plimsoll: how many were in flight and how many waited, all in all.
    pub fn passed(&self, out: &mut Vec<Reading>) -> (f64, f64) {
        let engine = &self.runner.engine;
        #[expect(clippy::cast_precision_loss, reason = "requests")]
        let part = |n: usize| (n as f64 * self.through).round();
        // What waited in front of the server would have waited in Plimsoll.
        let (in_flight, queued) = (part(engine.running().len()), part(engine.waiting()));
        out.push(gauge(Metric::GatewayServiceInFlight, &self.subject, in_flight));
        out.push(gauge(Metric::GatewayServiceQueued, &self.subject, queued));
        (in_flight, queued)
    }

    /// The service's id, and what changed since this was asked last.
    pub fn changes(&mut self) -> (Arc<str>, Vec<(i64, String)>) {
        self.seen.changes()
    }

    /// Whether who asks in that second hears nothing.
    fn is_silent(&self, second: i64) -> bool {
        self.story.fault(second).is_some_and(|(fault, _)| fault.is_silent())
            || !self.story.server(second)
            // It opens its port when it has loaded.
            || (self.spec.speaks == Speaks::Vllm && self.story.model(second) != Life::Here)
    }

    fn figures(&mut self, out: &mut Vec<Reading>) {
        let engine = &self.runner.engine;
        let f = &engine.figures;
        #[expect(clippy::cast_precision_loss, reason = "requests")]
        let count = |n: usize| n as f64;
        let (running, waiting) = (count(engine.running().len()), count(engine.waiting()));
        let subject = &self.subject;
        let mut levels = vec![
            (Metric::RequestsRunning, running),
            (Metric::RequestsWaiting, waiting),
            (Metric::SlotsBusy, running),
        ];
        let mut totals = Vec::new();
        match self.spec.speaks {
            // It tells nothing of its requests.
            Speaks::Ollama => return,
            Speaks::LlamaCpp => {
                levels.push((Metric::SlotsTotal, count(self.runner.model.slots)));
                totals.extend([
                    (Metric::TokensPrompt, f.computed),
                    // What the server counts of ended requests and what its slots tell of others.
                    (Metric::TokensGenerated, f.generated),
                ]);
            }
            Speaks::Vllm => {
                levels.push((Metric::KvUsed, engine.kv_used().unwrap_or(0.0) * 100.0));
                totals.extend([
                    (Metric::RequestsFinished, f.ended.iter().sum()),
                    (Metric::TokensPrompt, f.prompt),
                    (Metric::TokensGenerated, f.generated),
                    (Metric::Preemptions, f.preemptions),
                    (Metric::PrefixQueries, f.prompt),
                    (Metric::PrefixHits, f.cached),
                ]);
            }
        }
        out.extend(levels.into_iter().map(|(metric, value)| gauge(metric, subject, value)));
        out.extend(totals.into_iter().map(|(metric, n)| Reading::counter(metric, subject, n)));
        if self.spec.speaks == Speaks::Vllm {
            for ((metric, seconds), told) in histograms(engine).into_iter().zip(&mut self.told) {
                let observed = difference(seconds, told);
                if observed.count() > 0 {
                    let value = Value::Histogram(Arc::new(observed));
                    out.push(Reading { metric, subject: subject.clone(), value });
                }
            }
        }
    }

    /// What its server tells of a model in memory.
    fn models(&self, out: &mut Vec<Reading>) {
        let model = &self.runner.model;
        #[expect(clippy::cast_precision_loss, reason = "bytes")]
        let mut put = |metric, bytes: u64| out.push(gauge(metric, &self.model, bytes as f64));
        if self.spec.speaks != Speaks::Vllm {
            put(Metric::ModelSize, model.size_bytes);
        }
        if self.spec.speaks == Speaks::Ollama {
            put(Metric::ModelVram, model.vram_bytes);
        }
    }
}

/// What was observed since, spread evenly over its buckets, as the watch does.
pub fn difference(seconds: &Seconds, told: &mut Vec<u64>) -> Histogram {
    let mut low = 0u64;
    let mut buckets = Vec::new();
    for (place, (&now, before)) in seconds.counts.iter().zip(told.iter()).enumerate() {
        let bound = seconds.bounds.get(place).map(|bound| (bound * 1e6) as u64);
        // Fewer than before: the engine began anew.
        let count = if now >= *before { now - before } else { now };
        let high = bound.unwrap_or(low + 1);
        let mut left = count;
        let mut at = low;
        while left > 0 && at < high {
            let end = bounds_of(bucket_of(at)).1.min(high);
            let part =
                if end >= high { left } else { (left * (end - at)).div_ceil(high - at).min(left) };
            buckets.push((bucket_of(at), part));
            left -= part;
            at = end;
        }
        low = high;
    }
    told.clone_from(&seconds.counts);
    Histogram::from_buckets(buckets)
}
