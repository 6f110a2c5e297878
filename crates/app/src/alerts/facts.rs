//! What the rules look at: the newest values, the state of the sources, of the
//! card and of the history. Time comes in with them; nothing here asks for it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use plimsoll_core::{
    clock::Instant3,
    config::{Config, Sampling},
    device::GpuInfo,
    metric::{Cadence, Kind, Metric},
    reading::{Reading, Tick, Value},
    source::{SourceState, SourceStatus},
};
use plimsoll_sense::Rate;
use plimsoll_services::fleet::FleetView;

use super::fleet::Fleet;

/// A value counts as known for this many cadences (times ten), as in the history.
const KNOWN_TENTHS: i64 = 25;
/// The fall of free VRAM is looked for within this span.
const FALL_MS: i64 = 15_000;
/// Less than this is no fall: desktops breathe by a few MiB.
const FALL_BYTES: f64 = 16.0 * 1024.0 * 1024.0;
/// Values remembered of one subject for that; more than a tick every 100 ms.
const FALL_POINTS: usize = 256;
/// Subjects of one metric; further ones are not watched.
const MAX_SUBJECTS: usize = 1024;

/// How recording is doing, as far as alerts are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Why it is paused, in words; `None` while it records or is switched off.
    pub paused: Option<String>,
    /// Series that found no room below `sampling.max_series`.
    pub series_turned_away: u32,
}

/// What Plimsoll was told to do and cannot, in words; `None` where it does it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfalls {
    /// Addresses that the gateway could not have.
    pub gateway: Option<String>,
    /// What of the configuration is not in force.
    pub config: Option<String>,
}

/// What one look brings.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `None` where nothing new was read since the last look.
    pub tick: Option<&'a Tick>,
    pub rates: &'a [Rate],
    pub sources: &'a [SourceStatus],
    pub gpu: Option<&'a GpuInfo>,
    pub recording: &'a Recording,
    pub shortfalls: &'a Shortfalls,
    pub fleet: &'a FleetView,
}

/// A value, and when it was read on the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Known {
    value: f64,
    at_ms: i64,
}

/// When a source was last heard of, on the monotonic clock.
#[derive(Clone, Debug)]
struct Heard {
    /// What it said of itself then: it has spoken again once that changes.
    last_ms: Option<i64>,
    at_ms: i64,
    /// It has said since then that what it reads is lost.
    lost: bool,
}

/// Free VRAM of the last seconds, and when it last fell.
#[derive(Clone, Debug, Default)]
struct Fall {
    points: VecDeque<Known>,
    fell_ms: Option<i64>,
}

/// The newest of everything the rules ask for.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    now_ms: i64,
    watched: HashSet<Metric>,
    known: HashMap<Metric, HashMap<Arc<str>, Known>>,
    falls: HashMap<Arc<str>, Fall>,
    heard: HashMap<String, Heard>,
    pub sources: Vec<SourceStatus>,
    /// The card as it was last described: a lost one is still known by name.
    pub gpu: Option<GpuInfo>,
    pub recording: Recording,
    pub shortfalls: Shortfalls,
    pub fleet: Fleet,
    cadences: Cadences,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cadences {
    tick_ms: i64,
    processes_ms: i64,
    space_ms: i64,
}

// === impl Facts ===

impl Facts {
    /// Which metrics are worth remembering.
    pub fn watch(&mut self, metrics: impl IntoIterator<Item = Metric>, config: &Config) {
        self.watched = metrics.into_iter().collect();
        self.known.retain(|metric, _| self.watched.contains(metric));
        self.cadences = Cadences::of(&config.sampling);
        self.fleet.configure(config);
    }

    pub fn take(&mut self, now: Instant3, inputs: &Inputs<'_>) {
        self.now_ms = now.monotonic_ms;
        for reading in inputs.tick.into_iter().flat_map(|tick| &tick.readings) {
            if let Value::Gauge(value) = reading.value {
                self.learn(reading, value);
            }
        }
        for rate in inputs.rates.iter().filter(|_| inputs.tick.is_some()) {
            // A counter is watched by its rate: a total says nothing about now.
            if rate.metric.spec().kind == Kind::Counter {
                let reading = Reading::gauge(rate.metric, &rate.subject, rate.per_second);
                self.learn(&reading, rate.per_second);
            }
        }
        self.forget();
        self.sources = inputs.sources.to_vec();
        for source in inputs.sources {
            let heard = self.heard.entry(source.name.clone()).or_insert(Heard {
                last_ms: source.last_ms,
                at_ms: now.monotonic_ms,
                lost: false,
            });
            if heard.last_ms != source.last_ms {
                *heard = Heard { last_ms: source.last_ms, at_ms: now.monotonic_ms, lost: false };
            }
            heard.lost |= source.state == SourceState::Lost;
        }
        self.heard.retain(|name, _| inputs.sources.iter().any(|s| s.name == *name));
        if let Some(gpu) = inputs.gpu {
            self.gpu = Some(gpu.clone());
        }
        self.recording = inputs.recording.clone();
        self.shortfalls = inputs.shortfalls.clone();
        self.fleet.take(now, inputs.fleet);
    }

    /// On the monotonic clock.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn learn(&mut self, reading: &Reading, value: f64) {
        let metric = reading.metric;
        if !value.is_finite() || !self.watched.contains(&metric) {
            return;
        }
        let known = Known { value, at_ms: self.now_ms };
        let subjects = self.known.entry(metric).or_default();
        if subjects.len() >= MAX_SUBJECTS && !subjects.contains_key(&reading.subject) {
            return;
        }
        subjects.insert(reading.subject.clone(), known);
        if metric == Metric::VramFree {
            self.falls.entry(reading.subject.clone()).or_default().push(known);
        }
    }

    fn forget(&mut self) {
        let (now, cadences) = (self.now_ms, self.cadences);
        for (metric, subjects) in &mut self.known {
            let keep_ms = cadences.patience(metric.spec().cadence);
            subjects.retain(|_, known| now - known.at_ms <= keep_ms);
        }
        let free = self.known.get(&Metric::VramFree);
        self.falls.retain(|subject, _| free.is_some_and(|f| f.contains_key(subject)));
    }

    /// The value now; `None` where it is not known: it was not read, or too long ago.
    pub fn value(&self, metric: Metric, subject: &str) -> Option<f64> {
        self.known.get(&metric)?.get(subject).map(|known| known.value)
    }

    /// All subjects of a metric with their values now.
    pub fn values(&self, metric: Metric) -> impl Iterator<Item = (&Arc<str>, f64)> {
        self.known.get(&metric).into_iter().flatten().map(|(name, known)| (name, known.value))
    }

    /// Free VRAM has been falling within the last seconds.
    pub fn is_falling(&self, subject: &str) -> bool {
        self.steady_ms(subject) == Some(0)
    }

    /// How long free VRAM has not fallen; `None` where it was never seen to fall.
    pub fn steady_ms(&self, subject: &str) -> Option<i64> {
        let fell = self.falls.get(subject)?.fell_ms?;
        Some(self.now_ms - fell)
    }

    /// It has been lost since it was last heard of.
    pub fn was_lost(&self, source: &str) -> bool {
        self.heard.get(source).is_some_and(|heard| heard.lost)
    }

    /// How long a source has given no readings, and how long that is all right
    /// beyond any rule: at a cadence of minutes, silence is its habit.
    pub fn silence_ms(&self, source: &str) -> Option<(i64, i64)> {
        let heard = self.heard.get(source)?;
        let cadence = match source {
            "processes" => Cadence::Processes,
            "space" => Cadence::Space,
            _ => Cadence::Tick,
        };
        Some((self.now_ms - heard.at_ms, self.cadences.patience(cadence)))
    }
}

// === impl Fall ===

impl Fall {
    fn push(&mut self, known: Known) {
        while self.points.front().is_some_and(|p| known.at_ms - p.at_ms > FALL_MS)
            || self.points.len() >= FALL_POINTS
        {
            self.points.pop_front();
        }
        self.points.push_back(known);
        let top = self.points.iter().map(|p| p.value).fold(f64::MIN, f64::max);
        if top - known.value >= FALL_BYTES {
            self.fell_ms = Some(known.at_ms);
        }
    }
}

// === impl Cadences ===

impl Cadences {
    fn of(sampling: &Sampling) -> Self {
        Self {
            tick_ms: sampling.interval_ms.into(),
            processes_ms: sampling.processes_ms.into(),
            space_ms: sampling.disk_space_ms.into(),
        }
    }

    fn patience(self, cadence: Cadence) -> i64 {
        let cadence_ms = match cadence {
            Cadence::Tick => self.tick_ms,
            Cadence::Processes => self.processes_ms.max(self.tick_ms),
            Cadence::Space => self.space_ms.max(self.tick_ms),
        };
        cadence_ms * KNOWN_TENTHS / 10
    }
}
