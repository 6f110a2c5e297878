//! The course of an alert: how it begins, goes on and ends.

use std::collections::{HashSet, VecDeque};

use plimsoll_core::{
    alert::{AlertRow, Severity},
    clock::Instant3,
    config::Rule,
    mark::{Mark, MarkKind},
};

use super::{
    Answer, Ended, Engine, Event, HOLD_MS, MAX_ENDED, MAX_SUBJECTS, Measured, Open, Standing,
    is_recent, watch,
};

/// Why an alert ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Cleared,
    NotMeasured,
    RuleGone,
    /// It had cleared by the time Plimsoll looked again.
    WhileAway,
}

// === impl Engine ===

impl Engine {
    /// One subject of one rule has a value.
    pub(super) fn measured(
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
    pub(super) fn not_measured(
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

    pub(super) fn close_rule(&mut self, now: Instant3, id: &str, events: &mut Vec<Event>) {
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

    pub(super) fn close(
        &mut self,
        now: Instant3,
        open: Open,
        why: Why,
        end_ms: i64,
        events: &mut Vec<Event>,
    ) {
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

    pub(super) fn keep_ended(&mut self, now: Instant3, ended: Ended) {
        if !is_recent(&ended.row, now) {
            return;
        }
        let after = self.ended.iter().rposition(|e| e.row.end_ms <= ended.row.end_ms);
        self.ended.insert(after.map_or(0, |place| place + 1), ended);
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
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
