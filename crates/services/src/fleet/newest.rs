//! From looks to ticks. A look is made when a service's turn comes, a tick when
//! the sampler's does; between them stands the newest that is known.
//!
//! - A level is told at every tick while it is fresh: it holds until the next look.
//! - A total is told once per look, so that its rate is that of the look's span,
//!   and repeated only before the history would see a gap in its silence.
//! - A distribution is what was observed since the last tick.
//! - What is older than two and a half cadences is not known any more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    clock::Instant3,
    histogram::Histogram,
    metric::{Cadence, Kind, Metric},
    reading::{Reading, Value},
    source::{Source, SourceError},
};
use tokio::sync::watch;

/// Most readings of one service.
const MOST_READINGS: usize = 1024;

/// How often readings are told: `sampling.interval_ms` and `sampling.processes_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub tick: Duration,
    pub slow: Duration,
}

/// The newest readings of every service.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest {
    held: Arc<Mutex<BTreeMap<String, Held>>>,
}

#[derive(Debug, Default)]
struct Held {
    /// When it was looked at, on the clock that only runs forward.
    at_ms: i64,
    fresh_ms: i64,
    /// Number of the look.
    look: u64,
    levels: Vec<Reading>,
    observed: BTreeMap<(Metric, Arc<str>), Histogram>,
    /// Look and time of the last telling.
    told: BTreeMap<(Metric, Arc<str>), (u64, i64)>,
}

/// What the sampler reads.
pub struct FleetSource {
    newest: Newest,
    pace: watch::Receiver<Pace>,
}

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Self { tick: Duration::from_secs(1), slow: Duration::from_secs(5) }
    }
}

impl Pace {
    /// Whether a reading that was told at look `told.0` and time `told.1` is told again.
    fn due(self, metric: Metric, told: Option<&(u64, i64)>, look: u64, now_ms: i64) -> bool {
        let Some(&(told_look, told_ms)) = told else { return true };
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let silent_ms = now_ms - told_ms;
        let spec = metric.spec();
        match (spec.cadence, spec.kind) {
            (Cadence::Tick, Kind::Counter) => look != told_look || silent_ms >= 2 * ms(self.tick),
            (Cadence::Tick, _) => true,
            _ => {
                let slow = ms(self.slow);
                look != told_look && silent_ms * 10 >= slow * 8 || silent_ms * 10 >= slow * 16
            }
        }
    }
}

// === impl Newest ===

impl Newest {
    /// Keeps what a look told. It is fresh for `fresh` from now on.
    pub fn put(&self, id: &str, now_ms: i64, fresh: Duration, readings: Vec<Reading>) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(id.to_string()).or_default();
        held.at_ms = now_ms;
        held.fresh_ms = i64::try_from(fresh.as_millis()).unwrap_or(i64::MAX);
        held.look += 1;
        held.levels.clear();
        for reading in readings.into_iter().take(MOST_READINGS) {
            match reading.value {
                Value::Histogram(new) => {
                    let key = (reading.metric, reading.subject);
                    held.observed.entry(key).or_default().merge(&new);
                }
                _ => held.levels.push(reading),
            }
        }
        let Held { told, levels, .. } = held;
        // Names that come and go do not stay for ever.
        if told.len() > 2 * MOST_READINGS {
            told.retain(|key, _| levels.iter().any(|r| r.metric == key.0 && r.subject == key.1));
        }
    }

    pub fn remove(&self, id: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn tell(&self, now_ms: i64, pace: Pace, out: &mut Vec<Reading>) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for held in all.values_mut() {
            for ((metric, subject), observed) in std::mem::take(&mut held.observed) {
                let value = Value::Histogram(Arc::new(observed));
                out.push(Reading { metric, subject, value });
            }
            if now_ms - held.at_ms > held.fresh_ms {
                continue;
            }
            for reading in &held.levels {
                let key = (reading.metric, reading.subject.clone());
                if pace.due(reading.metric, held.told.get(&key), held.look, now_ms) {
                    held.told.insert(key, (held.look, now_ms));
                    out.push(reading.clone());
                }
            }
        }
    }
}

// === impl FleetSource ===

impl FleetSource {
    pub(super) fn new(newest: Newest, pace: watch::Receiver<Pace>) -> Self {
        Self { newest, pace }
    }
}

impl Source for FleetSource {
    fn name(&self) -> &'static str {
        "services"
    }

    fn cadence(&self) -> Duration {
        self.pace.borrow().tick
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let pace = *self.pace.borrow();
        self.newest.tell(now.monotonic_ms, pace, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Duration = Duration::from_millis(2500);

    fn told(newest: &Newest, at_ms: i64) -> Vec<(Metric, f64)> {
        let mut out = Vec::new();
        newest.tell(at_ms, Pace::default(), &mut out);
        out.iter().map(|r| (r.metric, r.number())).collect()
    }

    fn reading(metric: Metric, value: u64) -> Reading {
        let subject: Arc<str> = "x".into();
        match metric.spec().kind {
            Kind::Gauge => Reading::gauge(metric, &subject, value as f64),
            _ => Reading::counter(metric, &subject, value),
        }
    }

    #[test]
    fn a_level_holds_until_the_next_look_and_not_much_longer() {
        let newest = Newest::default();
        newest.put("x", 0, FRESH, vec![reading(Metric::RequestsRunning, 3)]);
        for at_ms in [0, 1000, 2000] {
            assert_eq!(told(&newest, at_ms), [(Metric::RequestsRunning, 3.0)]);
        }
        assert_eq!(told(&newest, 3000), [], "unknown is a gap");
        newest.put("x", 3000, FRESH, vec![reading(Metric::RequestsRunning, 4)]);
        assert_eq!(told(&newest, 3000), [(Metric::RequestsRunning, 4.0)]);
        newest.remove("x");
        assert_eq!(told(&newest, 3000), []);
    }

    #[test]
    fn a_total_is_told_once_per_look_and_again_before_silence_is_a_gap() {
        let newest = Newest::default();
        let fresh = Duration::from_secs(12);
        newest.put("x", 0, fresh, vec![reading(Metric::TokensPrompt, 7)]);
        let counts: Vec<usize> = (0..7).map(|second| told(&newest, second * 1000).len()).collect();
        assert_eq!(counts, [1, 0, 1, 0, 1, 0, 1]);
        newest.put("x", 7000, fresh, vec![reading(Metric::TokensPrompt, 9)]);
        assert_eq!(told(&newest, 7000), [(Metric::TokensPrompt, 9.0)]);
    }

    #[test]
    fn slow_metrics_are_told_at_the_pace_of_processes() {
        let newest = Newest::default();
        let mut counts = Vec::new();
        for second in 0..11 {
            newest.put("x", second * 1000, FRESH, vec![reading(Metric::RedisMemoryUsed, 1)]);
            counts.push(told(&newest, second * 1000).len());
        }
        assert_eq!(counts, [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn observations_of_several_looks_are_told_together_and_once() {
        let newest = Newest::default();
        for at_ms in [0, 400] {
            let mut h = Histogram::default();
            h.record(1000);
            let value = Value::Histogram(Arc::new(h));
            let subject: Arc<str> = "x".into();
            let reading = Reading { metric: Metric::LatencyTtft, subject, value };
            newest.put("x", at_ms, FRESH, vec![reading]);
        }
        assert_eq!(told(&newest, 1000), [(Metric::LatencyTtft, 2.0)]);
        assert_eq!(told(&newest, 2000), []);
    }
}
