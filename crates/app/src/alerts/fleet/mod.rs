//! What is remembered of the services between two looks: what was loaded when,
//! what each held in VRAM, how fast it was. Everything here is bounded.

mod baseline;
mod loads;
mod speed;
mod vram;

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{clock::Instant3, config::Config};
use plimsoll_services::{
    fleet::{FleetView, MAX_SERVICES},
    service::{Loaded, Origin, Service},
};

pub use self::{
    baseline::Minute,
    loads::{Loads, WINDOW_MS},
    speed::{Speed, Wish},
    vram::Holds,
};

/// The services that are watched.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    seen: BTreeMap<String, Seen>,
    /// Subjects of services that were watched until now.
    gone: Vec<Arc<str>>,
    /// Below this share of its usual speed a service is slow.
    slow_percent: f64,
}

/// One service, and what came before.
#[derive(Clone, Debug)]
pub struct Seen {
    pub service: Arc<Service>,
    pub subject: Arc<str>,
    pub loads: Loads,
    pub speed: Speed,
    pub holds: Holds,
    /// Models that may have been loaded at the look before, and are not any more.
    pub left: Vec<Arc<str>>,
    /// A part of a model lay in VRAM at some time.
    pub had_vram: bool,
    /// It was seen to evict: it is a cache, and its memory is full by design.
    pub evicts: bool,
    /// When a model could not be loaded, on the monotonic clock.
    pub failed_ms: Option<i64>,
}

// === impl Fleet ===

impl Fleet {
    pub fn configure(&mut self, config: &Config) {
        let rule = config.alerts.rules.get("model-slow");
        self.slow_percent = rule.and_then(|rule| rule.threshold).unwrap_or(0.0);
    }

    pub fn take(&mut self, now: Instant3, view: &FleetView) {
        self.gone.clear();
        if view.at_ms == 0 {
            return;
        }
        let watched = || {
            let all = view.services.iter().filter(|service| service.origin != Origin::Proposed);
            all.take(MAX_SERVICES)
        };
        let stays = |id: &str| watched().any(|service| service.id == id);
        let gone: Vec<String> = self.seen.keys().filter(|id| !stays(id)).cloned().collect();
        for seen in gone.iter().filter_map(|id| self.seen.remove(id)) {
            let models = seen.service.models.iter();
            self.gone.extend(models.map(|model| subject_of(&seen.service.id, &model.name)));
            self.gone.push(seen.subject);
        }
        for service in watched() {
            let seen =
                self.seen.entry(service.id.clone()).or_insert_with(|| Seen::new(service.clone()));
            seen.take(now, service, self.slow_percent);
        }
    }

    pub fn seen(&self) -> impl Iterator<Item = &Seen> {
        self.seen.values()
    }

    /// What is watched no more, by the names of its subjects.
    pub fn gone(&self) -> &[Arc<str>] {
        &self.gone
    }

    /// Pasts that would tell what is usual, each wished for once.
    pub fn wishes(&mut self) -> Vec<Wish> {
        self.seen.values_mut().filter_map(|seen| seen.speed.wish(&seen.service)).collect()
    }

    /// The past that was wished for.
    pub fn learn(&mut self, wish: &Wish, minutes: &[Minute]) {
        if let Some(seen) = self.seen.get_mut(&wish.service) {
            seen.speed.learn(wish, minutes);
        }
    }
}

// === impl Seen ===

impl Seen {
    fn new(service: Arc<Service>) -> Self {
        let subject: Arc<str> = service.id.as_str().into();
        Self {
            loads: Loads::default(),
            speed: Speed::default(),
            holds: Holds::default(),
            left: Vec::new(),
            had_vram: false,
            evicts: false,
            failed_ms: None,
            subject,
            service,
        }
    }

    fn take(&mut self, now: Instant3, service: &Arc<Service>, slow_percent: f64) {
        let now_ms = now.monotonic_ms;
        self.loads.take(now_ms, service);
        self.holds.take(now_ms, service);
        if service.checked_ms != self.service.checked_ms || !self.speed.began() {
            self.speed.take(now, service, slow_percent);
        }
        self.speed.pass(now_ms);
        self.had_vram |= service.models.iter().any(|model| model.vram_bytes.is_some_and(|v| v > 0));
        let evicting = service.figures.redis.as_ref().and_then(|redis| redis.evicted_per_s);
        self.evicts |= evicting.is_some_and(|rate| rate > 0.0);
        if Arc::ptr_eq(&self.service, service) {
            return;
        }
        // What failed before we looked is no news.
        if failed_to_load(service) && !failed_to_load(&self.service) {
            self.failed_ms = Some(now_ms);
        }
        let before = std::mem::replace(&mut self.service, service.clone());
        self.left = before
            .models
            .iter()
            .filter(|model| matches!(model.loaded, Loaded::Loaded | Loaded::Unknown))
            .filter(|model| {
                let now = service.models.iter().find(|other| other.name == model.name);
                now.is_none_or(|now| matches!(now.loaded, Loaded::Unloaded | Loaded::Loading))
            })
            .map(|model| subject_of(&service.id, &model.name))
            .collect();
    }

    /// For people.
    pub fn name(&self) -> &str {
        if self.service.name.is_empty() { &self.service.id } else { &self.service.name }
    }

    pub fn answers(&self) -> bool {
        self.service.state.serves()
    }

    pub fn has_hint(&self, ids: &[&str]) -> bool {
        self.service.hints.iter().any(|hint| ids.contains(&&*hint.id))
    }
}

/// As in the series: the id of the service, a slash, the model.
pub fn subject_of(service: &str, model: &str) -> Arc<str> {
    const LONGEST: usize = 120;
    let model: String = model.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    format!("{service}/{model}").into()
}

/// A figure that can be true: what is infinite, below zero or no number says nothing.
pub fn figure(told: Option<f64>) -> Option<f64> {
    told.filter(|value| value.is_finite() && *value >= 0.0)
}

fn failed_to_load(service: &Service) -> bool {
    service.hints.iter().any(|hint| hint.id == "failed-to-load")
}
