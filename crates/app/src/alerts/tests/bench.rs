//! A machine to be ill on: values are set by hand, time passes when told to.

use std::sync::Arc;

use plimsoll_core::{
    alert::AlertRow,
    clock::{Clock, Instant3, ManualClock},
    config::{Config, Rule},
    device::GpuInfo,
    mark::Mark,
    metric::Metric,
    reading::{Reading, Tick},
    source::{SourceState, SourceStatus},
};
use plimsoll_sense::Rate;
use plimsoll_services::fleet::FleetView;

use super::super::{Answer, Engine, Event, Inputs, Notice, Recording, Restored, Shortfalls};

pub const GIB: f64 = 1_073_741_824.0;
pub const START_MS: i64 = 1_794_925_920_000;
pub const GPU: &str = "GPU-1";

pub struct Bench {
    pub clock: ManualClock,
    pub config: Config,
    pub engine: Engine,
    pub sources: Vec<SourceStatus>,
    pub gpu: Option<GpuInfo>,
    pub recording: Recording,
    pub shortfalls: Shortfalls,
    pub fleet: FleetView,
    pub events: Vec<Event>,
}

impl Bench {
    pub fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self {
            clock: ManualClock::at(START_MS),
            engine: Engine::new(Arc::new(config.clone())),
            config,
            sources: Vec::new(),
            gpu: None,
            recording: Recording::default(),
            shortfalls: Shortfalls::default(),
            fleet: FleetView::default(),
            events: Vec::new(),
        }
    }

    pub fn now(&self) -> Instant3 {
        self.clock.now()
    }

    /// Seconds since the start, on the wall clock.
    pub fn seconds(&self, wall_ms: i64) -> i64 {
        (wall_ms - START_MS) / 1000
    }

    /// One look with these gauges, then a second passes.
    pub fn tick(&mut self, gauges: &[(Metric, &str, f64)]) {
        let readings = gauges.iter().map(|&(m, s, v)| Reading::gauge(m, &s.into(), v)).collect();
        self.look(readings, &[]);
    }

    pub fn look(&mut self, readings: Vec<Reading>, rates: &[Rate]) {
        let now = self.clock.now();
        for source in self.sources.iter_mut().filter(|s| s.state == SourceState::Healthy) {
            source.last_ms = Some(now.wall_ms);
        }
        let tick = Tick { at: now, readings };
        let inputs = Inputs {
            tick: Some(&tick),
            rates,
            sources: &self.sources,
            gpu: self.gpu.as_ref(),
            recording: &self.recording,
            shortfalls: &self.shortfalls,
            fleet: &self.fleet,
        };
        self.events.extend(self.engine.observe(now, &inputs));
        self.clock.advance_ms(1000);
    }

    pub fn ticks(&mut self, count: usize, gauges: &[(Metric, &str, f64)]) {
        (0..count).for_each(|_| self.tick(gauges));
    }

    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        let events = self.engine.set_config(self.clock.now(), Arc::new(self.config.clone()));
        self.events.extend(events);
    }

    /// The same machine after a restart of Plimsoll that took so long.
    pub fn restart(&mut self, away_ms: i64, restored: Restored) {
        self.clock.advance_ms(away_ms);
        self.engine = Engine::new(Arc::new(self.config.clone()));
        self.events = self.engine.restore(self.clock.now(), restored);
    }

    pub fn source(&mut self, name: &str, state: SourceState, reason: &str) {
        self.sources.retain(|s| s.name != name);
        self.sources.push(SourceStatus {
            name: name.into(),
            state,
            reason: reason.into(),
            since_ms: START_MS,
            last_ms: None,
        });
    }

    pub fn rows(&self) -> Vec<&AlertRow> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Row(x) = e { Some(x) } else { None })
            .collect()
    }

    pub fn marks(&self) -> Vec<&Mark> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Mark(x) = e { Some(x) } else { None })
            .collect()
    }

    pub fn notices(&self) -> Vec<&Notice> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Notify(x) = e { Some(x) } else { None })
            .collect()
    }

    pub fn answers(&self) -> Vec<&Answer> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Answer(x) = e { Some(x) } else { None })
            .collect()
    }

    /// `rule subject` of what is active.
    pub fn active(&self) -> Vec<String> {
        let list = self.engine.list(self.clock.now());
        let open = list.iter().filter(|a| a.row.end_ms.is_none());
        open.map(|a| format!("{} {}", a.row.rule, a.row.subject).trim_end().to_owned()).collect()
    }

    /// Id of the only active alert.
    pub fn only(&self) -> String {
        let list = self.engine.list(self.clock.now());
        let open: Vec<_> = list.into_iter().filter(|a| a.row.end_ms.is_none()).collect();
        assert_eq!(open.len(), 1, "{open:?}");
        open[0].row.id.clone()
    }
}

/// A rule of a person's own on temperature: above 80, ends at 70, after 3 s.
pub fn warm() -> Rule {
    Rule {
        enabled: true,
        severity: plimsoll_core::alert::Severity::Warning,
        metric: "temperature".into(),
        subject: String::new(),
        below: false,
        threshold: Some(80.0),
        clear: Some(70.0),
        floor_gib: None,
        for_s: 3,
        title: "Warm".into(),
    }
}

/// Only that rule, so that nothing else speaks.
pub fn only_warm(config: &mut Config) {
    config.alerts.rules.clear();
    config.alerts.rules.insert("warm".into(), warm());
}

pub fn celsius(value: f64) -> [(Metric, &'static str, f64); 1] {
    [(Metric::Temperature, "cpu", value)]
}
