//! The state machine of the alerts: no I/O, and no clock of its own.
//!
//! For each rule and each subject on its own: a value past the threshold must
//! hold for `for_s`, then an alert begins; it ends where the value has come back
//! to `clear`. A value that is not known is no value: it begins nothing and ends
//! nothing. After [`HOLD_MS`] without one the alert ends as no longer measured,
//! at the moment it was last measured.

mod answers;
mod course;
mod event;
mod open;
mod upkeep;
mod view;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use plimsoll_core::{
    alert::AlertRow,
    clock::Instant3,
    config::{Config, Rule},
};

pub use self::event::{Answer, Event, NoSuchAlert, Notice, Restored};
use self::{course::Why, open::Open};
use super::{
    facts::{Facts, Inputs},
    fleet::{Minute, Wish},
    measure::{Measured, Standing, own, own_metric},
    watch::{self, Watch},
};

/// An alert whose value is not known any more is held for this long.
pub const HOLD_MS: i64 = 300_000;
/// Ended alerts stay in the list for this long …
pub const LIST_MS: i64 = 86_400_000;
/// … and no more than these.
pub const MAX_ENDED: usize = 200;
/// Subjects of one rule that can be past their threshold at the same time.
pub const MAX_SUBJECTS: usize = 256;

#[derive(Debug, Default)]
struct Slot {
    /// Past the threshold without a break since then, on the monotonic clock.
    past_since_ms: Option<i64>,
    open: Option<Open>,
    notified_ms: Option<i64>,
    /// On the wall clock: it is a time that a person chose.
    snoozed_until_ms: Option<i64>,
}

#[derive(Debug)]
struct Ended {
    row: AlertRow,
    acknowledged_ms: Option<i64>,
}

/// All rules, all subjects, all alerts.
#[derive(Debug)]
pub struct Engine {
    config: Arc<Config>,
    facts: Facts,
    slots: BTreeMap<String, HashMap<Arc<str>, Slot>>,
    /// Oldest end first.
    ended: VecDeque<Ended>,
}

// === impl Engine ===

impl Engine {
    pub fn new(config: Arc<Config>) -> Self {
        let mut engine = Self {
            config: config.clone(),
            facts: Facts::default(),
            slots: BTreeMap::new(),
            ended: VecDeque::new(),
        };
        engine.watch_metrics();
        engine
    }

    /// Ends every alert: nothing is measured after this.
    pub fn end_all(&mut self, now: Instant3) -> Vec<Event> {
        let mut events = Vec::new();
        for open in self
            .slots
            .values_mut()
            .flat_map(HashMap::values_mut)
            .filter_map(|s| s.open.take())
            .collect::<Vec<_>>()
        {
            let end_ms = open.measured.wall_ms;
            self.close(now, open, Why::NotMeasured, end_ms, &mut events);
        }
        events
    }

    /// Another configuration is in force: every rule is looked at anew.
    pub fn set_config(&mut self, now: Instant3, config: Arc<Config>) -> Vec<Event> {
        let mut events = Vec::new();
        let before = std::mem::replace(&mut self.config, config.clone());
        self.watch_metrics();
        for (id, rule) in &before.alerts.rules {
            let same = config.alerts.rules.get(id).is_some_and(|new| {
                (&new.metric, &new.subject, new.below) == (&rule.metric, &rule.subject, rule.below)
            });
            if !same {
                self.close_rule(now, id, &mut events);
            }
        }
        self.evaluate(now, &mut events);
        events
    }

    /// One look. Call it with every tick, and also when none has come for a while.
    pub fn observe(&mut self, now: Instant3, inputs: &Inputs<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        self.facts.take(now, inputs);
        self.evaluate(now, &mut events);
        events
    }

    /// What the history should tell of the services' usual speed, each asked once.
    pub fn wishes(&mut self) -> Vec<Wish> {
        self.facts.fleet.wishes()
    }

    /// What the history told.
    pub fn learn(&mut self, wish: &Wish, minutes: &[Minute]) {
        self.facts.fleet.learn(wish, minutes);
    }

    /// Services that are remembered, and sets of models of all of them.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> (usize, usize) {
        let seen = self.facts.fleet.seen();
        seen.fold((0, 0), |(n, sets), seen| (n + 1, sets + seen.speed.sets()))
    }

    fn evaluate(&mut self, now: Instant3, events: &mut Vec<Event>) {
        let config = self.config.clone();
        let mut measured = Vec::new();
        for (id, rule) in &config.alerts.rules {
            if !(rule.enabled && config.alerts.enabled) {
                self.close_rule(now, id, events);
                continue;
            }
            measured.clear();
            measure(watch::watch(id), rule, &self.facts, &mut measured);
            for subject in &measured {
                self.measured(now, id, rule, subject, events);
            }
            self.not_measured(now, id, &measured, events);
        }
        // Rules of an earlier run that are no more.
        let gone: Vec<String> = self
            .slots
            .keys()
            .filter(|id| !config.alerts.rules.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            self.close_rule(now, &id, events);
        }
        self.notify(now, events);
        self.tidy(now, events);
    }

    fn watch_metrics(&mut self) {
        let config = self.config.clone();
        let rules = config.alerts.rules.iter().filter(|(_, rule)| rule.enabled);
        let metrics = rules.flat_map(|(id, rule)| match watch::watch(id) {
            Some(watch) => watch.metrics.to_vec(),
            None => own_metric(rule).into_iter().collect(),
        });
        self.facts.watch(metrics, &config);
    }
}

fn measure(watch: Option<&Watch>, rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    match watch {
        Some(watch) => (watch.measure)(rule, facts, out),
        None => own(rule, facts, out),
    }
}

fn slot<'a>(
    slots: &'a mut BTreeMap<String, HashMap<Arc<str>, Slot>>,
    rule: &str,
    subject: &str,
) -> &'a mut Slot {
    slots.entry(rule.to_owned()).or_default().entry(subject.into()).or_default()
}

fn is_recent(row: &AlertRow, now: Instant3) -> bool {
    row.end_ms.is_none_or(|end| now.wall_ms - end <= LIST_MS)
}
