//! What the engine shows: the list of alerts and the rules in force.

use std::collections::HashMap;

use plimsoll_core::{
    alert::{Alert, AlertRow},
    clock::Instant3,
    config::{BUILT_IN, Rule},
    unit::Unit,
};

use super::{Engine, MAX_SUBJECTS, Open, is_recent, measure};
use crate::{
    alerts::{
        measure::{own_metric, own_sentence, own_unit},
        watch,
    },
    api::{AlertRule, LoadLine},
};

// === impl Engine ===

impl Engine {
    /// Active alerts, the worst and newest first, then those that have ended.
    pub fn list(&self, now: Instant3) -> Vec<Alert> {
        let mut active = Vec::new();
        for slot in self.slots.values().flat_map(HashMap::values) {
            let Some(open) = &slot.open else { continue };
            active.push(self.alert(now, open, slot.snoozed_until_ms));
        }
        active.sort_by(|a, b| {
            (b.row.severity, b.row.start_ms, &a.row.id).cmp(&(
                a.row.severity,
                a.row.start_ms,
                &b.row.id,
            ))
        });
        let ended = self.ended.iter().rev().filter(|e| is_recent(&e.row, now)).map(|ended| Alert {
            row: ended.row.clone(),
            value: None,
            unit: self.unit(&ended.row.rule),
            advice: self.advice(&ended.row),
            acknowledged_ms: ended.acknowledged_ms,
            snoozed_until_ms: self
                .slots
                .get(&ended.row.rule)
                .and_then(|subjects| subjects.get(&*ended.row.subject)?.snoozed_until_ms)
                .filter(|&until| until > now.wall_ms),
        });
        active.extend(ended);
        active
    }

    pub fn active(&self) -> usize {
        self.slots.values().flat_map(HashMap::values).filter(|slot| slot.open.is_some()).count()
    }

    /// The rules in force: those that come with Plimsoll in their order, then a person's own.
    pub fn rules(&self) -> Vec<AlertRule> {
        let rules = &self.config.alerts.rules;
        let built_in = BUILT_IN.iter().map(|b| b.id);
        let own = rules.keys().map(String::as_str).filter(|id| watch::watch(id).is_none());
        let rule = |id| Some(self.rule(id, rules.get(id)?));
        built_in.chain(own).filter_map(rule).collect()
    }

    fn rule(&self, id: &str, rule: &Rule) -> AlertRule {
        let watch = watch::watch(id);
        let mut measured = Vec::new();
        measure(watch, rule, &self.facts, &mut measured);
        let mut lines: Vec<LoadLine> = measured
            .iter()
            .flat_map(|m| m.lines.iter().flatten().map(move |line| (m, line)))
            .map(|(m, &(metric, value, below))| LoadLine {
                metric: metric.name().into(),
                subject: m.subject.to_string(),
                value,
                below,
            })
            .take(4 * MAX_SUBJECTS)
            .collect();
        lines.sort_by(|a, b| (&a.metric, &a.subject).cmp(&(&b.metric, &b.subject)));
        let mut active: Vec<String> = self
            .slots
            .get(id)
            .into_iter()
            .flatten()
            .filter(|(_, slot)| slot.open.is_some())
            .map(|(subject, _)| subject.to_string())
            .collect();
        active.sort();
        let chart = match watch {
            Some(watch) => watch.chart,
            None => own_metric(rule),
        };
        // The distance to the slowdown point becomes a temperature once the card has named its own.
        let threshold = match lines.first() {
            Some(line) if chart.is_some_and(|c| c.name() == line.metric) => Some(line.value),
            _ if id == "gpu-hot" => None,
            _ => rule.threshold,
        };
        AlertRule {
            id: id.into(),
            sentence: match watch {
                Some(watch) => (watch.sentence)(rule),
                None => own_sentence(rule),
            },
            severity: rule.severity,
            enabled: rule.enabled && self.config.alerts.enabled,
            unit: self.unit(id),
            metric: chart.map(|metric| metric.name().into()),
            threshold,
            below: watch.map_or(rule.below, |watch| watch.below),
            active,
            lines,
        }
    }

    fn alert(&self, now: Instant3, open: &Open, snoozed_until_ms: Option<i64>) -> Alert {
        Alert {
            row: AlertRow { title: open.title.clone(), ..open.row.clone() },
            value: open.value,
            unit: self.unit(&open.row.rule),
            advice: self.advice(&open.row),
            acknowledged_ms: open.acknowledged_ms,
            snoozed_until_ms: snoozed_until_ms.filter(|&until| until > now.wall_ms),
        }
    }

    fn unit(&self, id: &str) -> Option<Unit> {
        match watch::watch(id) {
            Some(watch) => watch.unit,
            None => own_metric(self.config.alerts.rules.get(id)?).map(own_unit),
        }
    }

    pub(super) fn advice(&self, row: &AlertRow) -> String {
        self.advice_of(&row.rule, &row.subject)
    }

    pub(super) fn advice_of(&self, rule: &str, subject: &str) -> String {
        match watch::watch(rule) {
            Some(watch) => (watch.advice)(subject),
            None => format!("A rule of your own: `alerts.rules.{rule}` in the settings."),
        }
    }
}
