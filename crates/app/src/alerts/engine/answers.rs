//! How a person answers an alert, and what an earlier run left of that.

use std::collections::HashMap;

use plimsoll_core::{
    alert::{AlertRow, Severity},
    clock::Instant3,
};

use super::{Answer, Ended, Engine, Event, NoSuchAlert, Open, Restored, Why, slot};

// === impl Engine ===

impl Engine {
    /// Takes over what an earlier run left: answers apply again, open alerts
    /// go on until they are measured or have not been for [`HOLD_MS`].
    pub fn restore(&mut self, now: Instant3, restored: Restored) -> Vec<Event> {
        let mut events = Vec::new();
        let mut rows = restored.rows;
        rows.sort_by_key(|row| row.start_ms);
        let gap_ms = i64::from(self.config.alerts.notify_gap_min) * 60_000;
        for row in rows {
            // It may have told the desktop just before; a restart is no news.
            if row.end_ms.is_none_or(|end| (now.wall_ms - end).abs() < gap_ms) {
                let slot = slot(&mut self.slots, &row.rule, &row.subject);
                slot.notified_ms = Some(now.monotonic_ms);
            }
            if row.end_ms.is_some() {
                self.keep_ended(now, Ended { row, acknowledged_ms: None });
                continue;
            }
            let slot = slot(&mut self.slots, &row.rule, &row.subject);
            let measured = Instant3 { wall_ms: row.start_ms, ..now };
            let open = Open {
                title: row.title.clone(),
                value: None,
                acknowledged_ms: None,
                measured,
                written_ms: now.monotonic_ms,
                unwritten: false,
                wants_notice: false,
                inherited: true,
                row,
            };
            // Two open rows of one subject: the older one was left behind by a crash.
            if let Some(older) = slot.open.replace(open) {
                let end_ms = older.row.start_ms;
                self.close(now, older, Why::NotMeasured, end_ms, &mut events);
            }
        }
        for answer in restored.answers {
            let slot = slot(&mut self.slots, &answer.rule, &answer.subject);
            slot.snoozed_until_ms = answer.snoozed_until_ms.filter(|&until| until > now.wall_ms);
            if let Some(open) = &mut slot.open {
                open.acknowledged_ms = answer.acknowledged_ms.filter(|&at| at >= open.row.start_ms);
                open.wants_notice =
                    slot.snoozed_until_ms.is_some() && open.row.severity >= Severity::Warning;
            }
            let live = slot.snoozed_until_ms.is_some()
                || slot.open.as_ref().is_some_and(|open| open.acknowledged_ms.is_some());
            if !live {
                // Nothing hangs on it any more.
                let (rule, subject) = (answer.rule, answer.subject);
                events.push(Event::Answer(Answer { rule, subject, ..Answer::default() }));
            }
        }
        events
    }

    /// Takes alerts that have ended into the list; they are in the history already.
    pub fn remember(&mut self, now: Instant3, rows: Vec<AlertRow>) -> Vec<Event> {
        for row in rows.into_iter().filter(|row| row.end_ms.is_some()) {
            if !self.ended.iter().any(|ended| ended.row.id == row.id) {
                self.keep_ended(now, Ended { row, acknowledged_ms: None });
            }
        }
        vec![Event::Changed]
    }

    /// Says that a person has seen it: it does not notify any more.
    pub fn acknowledge(&mut self, now: Instant3, id: &str) -> Result<Vec<Event>, NoSuchAlert> {
        if let Some(ended) = self.ended.iter_mut().find(|ended| ended.row.id == id) {
            ended.acknowledged_ms.get_or_insert(now.wall_ms);
            return Ok(vec![Event::Changed]);
        }
        let (snoozed, open) = self.open_mut(id).ok_or(NoSuchAlert)?;
        open.acknowledged_ms.get_or_insert(now.wall_ms);
        let answer = answer(open, *snoozed);
        Ok(vec![Event::Answer(answer), Event::Changed])
    }

    /// Silences a rule about a subject, also for alerts that begin meanwhile.
    /// 0 minutes end that. Once it is over, an alert that still holds notifies.
    pub fn snooze(
        &mut self,
        now: Instant3,
        id: &str,
        minutes: u32,
    ) -> Result<Vec<Event>, NoSuchAlert> {
        let until = (minutes > 0).then(|| now.wall_ms + i64::from(minutes) * 60_000);
        if let Some(ended) = self.ended.iter().find(|ended| ended.row.id == id) {
            let (rule, subject) = (ended.row.rule.clone(), ended.row.subject.clone());
            let slot = slot(&mut self.slots, &rule, &subject);
            slot.snoozed_until_ms = until;
            let acknowledged_ms = slot.open.as_ref().and_then(|open| open.acknowledged_ms);
            let answer = Answer { rule, subject, acknowledged_ms, snoozed_until_ms: until };
            return Ok(vec![Event::Answer(answer), Event::Changed]);
        }
        let (snoozed, open) = self.open_mut(id).ok_or(NoSuchAlert)?;
        *snoozed = until;
        open.wants_notice = until.is_some() && open.row.severity >= Severity::Warning;
        let answer = answer(open, until);
        Ok(vec![Event::Answer(answer), Event::Changed])
    }

    fn open_mut(&mut self, id: &str) -> Option<(&mut Option<i64>, &mut Open)> {
        self.slots.values_mut().flat_map(HashMap::values_mut).find_map(|slot| {
            let open = slot.open.as_mut().filter(|open| open.row.id == id)?;
            Some((&mut slot.snoozed_until_ms, open))
        })
    }
}

fn answer(open: &Open, snoozed_until_ms: Option<i64>) -> Answer {
    Answer {
        rule: open.row.rule.clone(),
        subject: open.row.subject.clone(),
        acknowledged_ms: open.acknowledged_ms,
        snoozed_until_ms,
    }
}
