//! What follows each look: who is told, and what is forgotten.

use plimsoll_core::clock::Instant3;

use super::{Answer, Engine, Event, Notice, is_recent};

// === impl Engine ===

impl Engine {
    /// At most one notification of a rule about a subject in `alerts.notify_gap_min`.
    /// One that comes too early waits, and is dropped if the alert ends meanwhile.
    pub(super) fn notify(&mut self, now: Instant3, events: &mut Vec<Event>) {
        let config = self.config.clone();
        let gap_ms = i64::from(config.alerts.notify_gap_min) * 60_000;
        let mut notices = Vec::new();
        for (id, subjects) in &mut self.slots {
            for (subject, slot) in subjects {
                let snoozed = slot.snoozed_until_ms.is_some_and(|until| until > now.wall_ms);
                let early = slot.notified_ms.is_some_and(|at| now.monotonic_ms - at < gap_ms);
                let Some(open) = &mut slot.open else { continue };
                let known = open.value.is_some() || open.measured == now;
                if !open.wants_notice
                    || open.acknowledged_ms.is_some()
                    || snoozed
                    || early
                    || !known
                {
                    continue;
                }
                open.wants_notice = false;
                if !config.alerts.notify {
                    continue;
                }
                slot.notified_ms = Some(now.monotonic_ms);
                notices.push((
                    id.clone(),
                    subject.to_string(),
                    open.row.severity,
                    open.title.clone(),
                ));
            }
        }
        for (rule, subject, severity, title) in notices {
            let advice = self.advice_of(&rule, &subject);
            events.push(Event::Notify(Notice { rule, subject, severity, title, advice }));
        }
    }

    /// Forgets subjects that nothing hangs on any more.
    pub(super) fn tidy(&mut self, now: Instant3, events: &mut Vec<Event>) {
        let gap_ms = i64::from(self.config.alerts.notify_gap_min) * 60_000;
        for (rule, subjects) in &mut self.slots {
            subjects.retain(|subject, slot| {
                if slot.snoozed_until_ms.is_some_and(|until| until <= now.wall_ms) {
                    slot.snoozed_until_ms = None;
                    events.push(Event::Answer(Answer {
                        rule: rule.clone(),
                        subject: subject.to_string(),
                        acknowledged_ms: slot.open.as_ref().and_then(|open| open.acknowledged_ms),
                        snoozed_until_ms: None,
                    }));
                }
                slot.open.is_some()
                    || slot.past_since_ms.is_some()
                    || slot.snoozed_until_ms.is_some()
                    || slot.notified_ms.is_some_and(|at| now.monotonic_ms - at < gap_ms)
            });
        }
        self.slots.retain(|_, subjects| !subjects.is_empty());
        while self.ended.front().is_some_and(|ended| !is_recent(&ended.row, now)) {
            self.ended.pop_front();
        }
    }
}
