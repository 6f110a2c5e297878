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
        Fault, Life, Load, Speaks, Spec, Story,
        inside::{Engine, Event, Feed, Memory, Runner, Seconds, Us, Wish},
    },
    world::{Plan, World},
};

/// Looks without an answer after which a service is down.
pub const MISSES: i64 = 2;

/// One service, second by second.
pub struct PastService {
    subject: Arc<str>,
    model: Arc<str>,
    place: String,
    spec: Spec,
    story: Arc<Played>,
    places: Vec<usize>,
    runner: Runner,
    noise: Noise,
    origin_s: i64,
    seen: Seen,
    /// Counts of each histogram as they were last told.
    told: Vec<Vec<u64>>,
}

/// What becomes of a request that is sent to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    Takes,
    /// An error, with this status.
    Answers(u16),
    /// The connection is refused, or closed.
    Nothing,
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
    pub fn new(
        plan: &Arc<Plan>,
        role: &Role,
        load: Load,
        spec: &Spec,
        place: String,
        from_s: i64,
    ) -> Self {
        let story = Arc::new(Played::new(plan.clone(), role));
        let origin_s = from_s - WARM_S;
        let noise = Noise::new(noise_of(&role.id));
        let model = &spec.models[0];
        let feed = Feed::new(story.clone(), load, noise, model.context, origin_s);
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
            seen: Seen::new(&role.id, place.clone(), from_s),
            place,
        }
    }

    /// What is told at the world's second; `slow`: the turn of processes and models.
    pub fn tell(&mut self, world: &World, slow: bool, vram: bool, out: &mut Vec<Reading>) {
        let second = world.second;
        let at: Us = u64::try_from(second - self.origin_s).unwrap_or(0).saturating_mul(1_000_000);
        self.runner.advance(at, &mut Vec::new());
        let fault = self.story.fault(second);
        let silent = self.is_silent(second);
        let how = self.how(second);
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

    pub fn id(&self) -> &Arc<str> {
        &self.subject
    }

    /// Where it listens.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The model that it serves.
    pub fn model(&self) -> &str {
        &self.runner.model.name
    }

    pub fn embeds(&self) -> bool {
        self.runner.model.embeds
    }

    /// Tokens of its answer to a text with that seed.
    pub fn says(&self, seed: u64) -> u32 {
        self.runner.model.says(seed)
    }

    /// How the watch would see it in a second to which it was brought.
    pub fn how(&self, second: i64) -> ServiceState {
        let loads = matches!(self.runner.memory, Memory::Loading(_));
        let down = (0..MISSES).all(|before| self.is_silent(second - before));
        match self.story.fault(second) {
            _ if down => ServiceState::Down,
            _ if loads && self.spec.speaks == Speaks::LlamaCpp => ServiceState::Starting,
            Some((fault, _)) if !fault.is_silent() => ServiceState::Degraded,
            _ => ServiceState::Healthy,
        }
    }

    /// Its server is there, and its model on disk alone: whoever asks would have it loaded.
    pub fn is_gone(&self, second: i64) -> bool {
        self.spec.speaks == Speaks::Ollama && self.story.model(second) == Life::Gone
    }

    /// What becomes of a request that is sent there in that second.
    pub fn reach(&self, second: i64) -> Reached {
        match self.story.fault(second) {
            _ if self.is_silent(second) => Reached::Nothing,
            Some((Fault::Answers { status, .. }, _)) => Reached::Answers(status),
            _ if self.runner.memory != Memory::In && self.spec.speaks == Speaks::LlamaCpp => {
                Reached::Answers(503)
            }
            _ => Reached::Takes,
        }
    }

    /// How many requests it has, where it tells that.
    pub fn works_on(&self) -> Option<u32> {
        let engine = &self.runner.engine;
        let all = u32::try_from(engine.running().len() + engine.waiting()).unwrap_or(u32::MAX);
        (self.spec.speaks != Speaks::Ollama).then_some(all)
    }

    /// When its engine does something next.
    pub fn due(&self) -> Option<Us> {
        self.runner.due()
    }

    /// Lets its time pass, from which on `at` counts; what happened to requests.
    pub fn move_to(&mut self, at: Us, out: &mut Vec<Event>) {
        self.runner.advance(at, out);
    }

    /// Takes a request in. Its time must have been brought to `at`.
    pub fn submit(&mut self, at: Us, id: u64, wish: Wish) {
        self.runner.engine.submit(at, id, wish);
    }

    pub fn cancel(&mut self, at: Us, id: u64) {
        self.runner.engine.cancel(at, id);
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
