//! The state machine of the alerts: no I/O, and no clock of its own.
//!
//! For each rule and each subject on its own: a value past the threshold must
//! hold for `for_s`, then an alert begins; it ends where the value has come back
//! to `clear`. A value that is not known is no value: it begins nothing and ends
//! nothing. After [`HOLD_MS`] without one the alert ends as no longer measured,
//! at the moment it was last measured.

mod answers;
mod upkeep;
mod view;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use plimsoll_core::{
    alert::{AlertRow, Severity},
    clock::Instant3,
    config::{Config, Rule},
    mark::{Mark, MarkKind},
};

use super::{
    facts::{Facts, Inputs},
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
/// A new peak is written to the history at most this often.
const PEAK_MS: i64 = 10_000;

/// What came of a look.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// To be written: the row began, has a new peak, or ended.
    Row(AlertRow),
    Mark(Mark),
    Notify(Notice),
    /// How a person answered, to be kept over a restart.
    Answer(Answer),
    /// The list is another one: alerts began, ended or were answered.
    Changed,
}

/// A notification of the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub rule: String,
    pub subject: String,
    pub severity: Severity,
    /// One sentence.
    pub title: String,
    /// What to do.
    pub advice: String,
}

/// How a person answered the alert of a rule about a subject. One with neither
/// is to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub rule: String,
    pub subject: String,
    pub acknowledged_ms: Option<i64>,
    pub snoozed_until_ms: Option<i64>,
}

/// What an earlier run left behind.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    pub answers: Vec<Answer>,
    /// Rows of the last day from the history, in any order; open ones among them.
    pub rows: Vec<AlertRow>,
}

/// There is no alert with that id in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchAlert;

/// Why an alert ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Cleared,
    NotMeasured,
    RuleGone,
    /// It had cleared by the time Plimsoll looked again.
    WhileAway,
}

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
struct Open {
    row: AlertRow,
    /// The sentence with the newest value; the row keeps that of the peak.
    title: String,
    value: Option<f64>,
    acknowledged_ms: Option<i64>,
    measured: Instant3,
    written_ms: i64,
    unwritten: bool,
    wants_notice: bool,
    /// From an earlier run, and not measured in this one yet.
    inherited: bool,
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

    /// One subject of one rule has a value.
    fn measured(
        &mut self,
        now: Instant3,
        id: &str,
        rule: &Rule,
        measured: &Measured,
        events: &mut Vec<Event>,
    ) {
        let below = watch::watch(id).map_or(rule.below, |watch| watch.below);
        let known = self.slots.get_mut(id).and_then(|s| s.get_mut(&*measured.subject));
        match (known, measured.standing) {
            (None, Standing::Clear | Standing::Between) => return,
            (Some(slot), _) if slot.open.is_some() => {
                if measured.standing == Standing::Clear {
                    self.cleared(now, id, &measured.subject, events);
                } else if let Some(open) = &mut slot.open {
                    open.goes_on(now, rule, measured, below, events);
                }
                return;
            }
            (Some(slot), Standing::Clear | Standing::Between) => {
                slot.past_since_ms = None;
                return;
            }
            (_, Standing::Past | Standing::Sustains) => {}
        }
        let subjects = self.slots.entry(id.to_owned()).or_default();
        if subjects.len() >= MAX_SUBJECTS && !subjects.contains_key(&measured.subject) {
            return;
        }
        let slot = subjects.entry(measured.subject.clone()).or_default();
        let since = *slot.past_since_ms.get_or_insert(now.monotonic_ms);
        let held = now.monotonic_ms - since >= i64::from(rule.for_s) * 1000;
        if !held || measured.standing != Standing::Past {
            return;
        }
        let open = Open {
            row: AlertRow {
                id: fresh_id(&self.ended, id, &measured.subject, now.wall_ms),
                rule: id.into(),
                subject: measured.subject.to_string(),
                severity: rule.severity,
                title: measured.title.clone(),
                start_ms: now.wall_ms,
                end_ms: None,
                peak: measured.value,
                threshold: measured.threshold,
            },
            title: measured.title.clone(),
            value: measured.value,
            acknowledged_ms: None,
            measured: now,
            written_ms: now.monotonic_ms,
            unwritten: false,
            wants_notice: rule.severity >= Severity::Warning && self.config.alerts.notify,
            inherited: false,
        };
        let row = open.row.clone();
        slot.open = Some(open);
        events.push(Event::Row(row.clone()));
        events.push(Event::Mark(self.mark(&row)));
        events.push(Event::Changed);
    }

    /// What is not measured now begins nothing, and after a while ends.
    fn not_measured(
        &mut self,
        now: Instant3,
        id: &str,
        measured: &[Measured],
        events: &mut Vec<Event>,
    ) {
        let Some(subjects) = self.slots.get_mut(id) else { return };
        let there: HashSet<&str> = measured.iter().map(|m| &*m.subject).collect();
        let mut over = Vec::new();
        for (_, slot) in subjects.iter_mut().filter(|(s, _)| !there.contains(&***s)) {
            slot.past_since_ms = None;
            let Some(open) = &mut slot.open else { continue };
            open.value = None;
            if now.monotonic_ms - open.measured.monotonic_ms > HOLD_MS {
                over.extend(slot.open.take());
            }
        }
        for open in over {
            let end_ms = open.measured.wall_ms;
            self.close(now, open, Why::NotMeasured, end_ms, events);
        }
    }

    fn cleared(&mut self, now: Instant3, id: &str, subject: &str, events: &mut Vec<Event>) {
        let Some(slot) = self.slots.get_mut(id).and_then(|s| s.get_mut(subject)) else { return };
        slot.past_since_ms = None;
        let Some(open) = slot.open.take() else { return };
        let why = if open.inherited { Why::WhileAway } else { Why::Cleared };
        self.close(now, open, why, now.wall_ms, events);
    }

    fn close_rule(&mut self, now: Instant3, id: &str, events: &mut Vec<Event>) {
        let Some(subjects) = self.slots.get_mut(id) else { return };
        let mut over = Vec::new();
        for slot in subjects.values_mut() {
            slot.past_since_ms = None;
            over.extend(slot.open.take());
        }
        for open in over {
            self.close(now, open, Why::RuleGone, now.wall_ms, events);
        }
    }

    fn close(&mut self, now: Instant3, open: Open, why: Why, end_ms: i64, events: &mut Vec<Event>) {
        let Open { mut row, acknowledged_ms, .. } = open;
        // A clock that was set back must not end an alert before it began.
        let end_ms = end_ms.max(row.start_ms);
        row.end_ms = Some(end_ms);
        match why {
            Why::Cleared => {}
            Why::NotMeasured => row.title.push_str(" Then it was no longer measured."),
            Why::RuleGone => row.title.push_str(" Then its rule was changed or switched off."),
            Why::WhileAway => {
                row.title.push_str(" It ended while Plimsoll was not running, or just after.");
            }
        }
        events.push(Event::Row(row.clone()));
        events.push(Event::Mark(self.mark(&row)));
        if acknowledged_ms.is_some() {
            let snoozed_until_ms = self
                .slots
                .get(&row.rule)
                .and_then(|subjects| subjects.get(&*row.subject)?.snoozed_until_ms);
            let (rule, subject) = (row.rule.clone(), row.subject.clone());
            let answer = Answer { rule, subject, acknowledged_ms: None, snoozed_until_ms };
            events.push(Event::Answer(answer));
        }
        self.keep_ended(now, Ended { row, acknowledged_ms });
        events.push(Event::Changed);
    }

    fn keep_ended(&mut self, now: Instant3, ended: Ended) {
        if !is_recent(&ended.row, now) {
            return;
        }
        let after = self.ended.iter().rposition(|e| e.row.end_ms <= ended.row.end_ms);
        self.ended.insert(after.map_or(0, |place| place + 1), ended);
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
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

    /// The alert on the time axis: with its end, it takes the place of the mark of its beginning.
    fn mark(&self, row: &AlertRow) -> Mark {
        let mut mark = Mark::new(row.start_ms, MarkKind::Alert, row.title.clone());
        mark.end_ms = row.end_ms;
        mark.subject = (!row.subject.is_empty()).then(|| row.subject.clone());
        mark.detail = self.advice(row);
        mark.reference = Some(format!("alert:{}:{}", row.rule, row.subject));
        mark
    }
}

// === impl Open ===

impl Open {
    /// It still holds: the newest value, perhaps a new peak.
    fn goes_on(
        &mut self,
        now: Instant3,
        rule: &Rule,
        measured: &Measured,
        below: bool,
        events: &mut Vec<Event>,
    ) {
        self.measured = now;
        self.inherited = false;
        self.value = measured.value;
        self.title.clone_from(&measured.title);
        let further = match (measured.value, self.row.peak) {
            (Some(new), Some(old)) => {
                if below {
                    new < old
                } else {
                    new > old
                }
            }
            (Some(_), None) => true,
            (None, _) => false,
        };
        if further {
            self.row.peak = measured.value;
            self.row.title.clone_from(&measured.title);
            self.unwritten = true;
        }
        if (self.row.threshold, self.row.severity) != (measured.threshold, rule.severity) {
            self.row.threshold = measured.threshold;
            self.row.severity = rule.severity;
            self.unwritten = true;
        }
        if self.unwritten && now.monotonic_ms - self.written_ms >= PEAK_MS {
            self.unwritten = false;
            self.written_ms = now.monotonic_ms;
            events.push(Event::Row(self.row.clone()));
        }
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

/// Unique also where the clock was set back to the same millisecond.
fn fresh_id(ended: &VecDeque<Ended>, rule: &str, subject: &str, start_ms: i64) -> String {
    let mut id = format!("{rule}:{subject}:{start_ms}");
    let mut more = 1;
    while ended.iter().any(|ended| ended.row.id == id) {
        more += 1;
        id = format!("{rule}:{subject}:{start_ms}-{more}");
    }
    id
}

fn is_recent(row: &AlertRow, now: Instant3) -> bool {
    row.end_ms.is_none_or(|end| now.wall_ms - end <= LIST_MS)
}
