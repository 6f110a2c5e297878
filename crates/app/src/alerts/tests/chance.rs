//! Whatever happens: what must always be true of alerts.

use std::collections::HashMap;

use plimsoll_core::metric::Metric;
use proptest::prelude::*;

use super::{
    super::{Answer, Event, Restored},
    bench::{Bench, only_warm},
};

#[derive(Clone, Debug)]
enum Step {
    /// Some seconds with a value for each of two subjects; `None` is a gap.
    Seconds(u32, Option<f64>, Option<f64>),
    Wall(i64),
    Threshold(f64),
    Enabled(bool),
    Acknowledge,
    Snooze(u32),
    Restart(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let value = || prop::option::weighted(0.85, 60.0..95.0);
    prop_oneof![
        12 => (1u32..400, value(), value()).prop_map(|(s, a, b)| Step::Seconds(s, a, b)),
        1 => (-7_200_000i64..7_200_000).prop_map(Step::Wall),
        1 => (65.0..90.0).prop_map(Step::Threshold),
        1 => any::<bool>().prop_map(Step::Enabled),
        1 => Just(Step::Acknowledge),
        1 => (0u32..90).prop_map(Step::Snooze),
        1 => (1000i64..1_000_000).prop_map(Step::Restart),
    ]
}

/// What a history and a store would hold of the events.
#[derive(Default)]
struct Kept {
    rows: HashMap<String, plimsoll_core::alert::AlertRow>,
    answers: HashMap<(String, String), Answer>,
    /// Monotonic time of the last notification.
    notified: HashMap<(String, String), i64>,
}

impl Kept {
    fn take(&mut self, bench: &mut Bench) {
        let now = bench.now();
        for event in std::mem::take(&mut bench.events) {
            match event {
                Event::Row(row) => {
                    if let Some(end_ms) = row.end_ms {
                        assert!(row.start_ms <= end_ms, "{row:?}");
                    }
                    if let Some(old) = self.rows.get(&row.id) {
                        assert_eq!(old.start_ms, row.start_ms);
                        assert!(old.end_ms.is_none(), "{row:?} had ended");
                    }
                    self.rows.insert(row.id.clone(), row);
                }
                Event::Notify(notice) => {
                    let key = (notice.rule, notice.subject);
                    if let Some(before) = self.notified.insert(key, now.monotonic_ms) {
                        assert!(now.monotonic_ms - before >= 600_000, "too early");
                    }
                }
                Event::Answer(answer) => {
                    let key = (answer.rule.clone(), answer.subject.clone());
                    if answer.acknowledged_ms.or(answer.snoozed_until_ms).is_some() {
                        self.answers.insert(key, answer);
                    } else {
                        self.answers.remove(&key);
                    }
                }
                Event::Mark(_) | Event::Changed => {}
            }
        }
        let mut open = HashMap::new();
        for row in self.rows.values().filter(|row| row.end_ms.is_none()) {
            assert!(open.insert((&row.rule, &row.subject), &row.id).is_none(), "two open rows");
        }
        let list = bench.engine.list(now);
        let listed: Vec<_> = list.iter().filter(|a| a.row.end_ms.is_none()).collect();
        assert_eq!(listed.len(), open.len(), "the list and the history agree");
        for alert in &listed {
            assert_eq!(open.get(&(&alert.row.rule, &alert.row.subject)), Some(&&alert.row.id));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn alerts_are_well_formed_single_and_not_too_loud(steps in prop::collection::vec(step(), 1..60)) {
        let mut bench = Bench::new(only_warm);
        let mut kept = Kept::default();
        let mut jumped = false;
        for step in steps {
            match step {
                Step::Seconds(seconds, a, b) => {
                    let a = a.map(|v| (Metric::Temperature, "cpu", v));
                    let b = b.map(|v| (Metric::Temperature, "nvme", v));
                    let values: Vec<_> = a.into_iter().chain(b).collect();
                    for _ in 0..seconds {
                        bench.tick(&values);
                        kept.take(&mut bench);
                    }
                }
                Step::Wall(ms) => {
                    jumped = true;
                    bench.clock.step_wall_ms(ms);
                }
                Step::Threshold(limit) => bench.reconfigure(|c| {
                    if let Some(rule) = c.alerts.rules.get_mut("warm") {
                        (rule.threshold, rule.clear) = (Some(limit), Some(limit - 5.0));
                    }
                }),
                Step::Enabled(on) => bench.reconfigure(|c| c.alerts.enabled = on),
                Step::Acknowledge => {
                    if let Some(first) = bench.engine.list(bench.now()).first() {
                        let events = bench.engine.acknowledge(bench.now(), &first.row.id).unwrap();
                        bench.events.extend(events);
                    }
                }
                Step::Snooze(minutes) => {
                    if let Some(first) = bench.engine.list(bench.now()).first() {
                        let events = bench.engine.snooze(bench.now(), &first.row.id, minutes).unwrap();
                        bench.events.extend(events);
                    }
                }
                Step::Restart(away) => {
                    kept.take(&mut bench);
                    // What was told is known over a restart by the wall clock only.
                    if jumped {
                        kept.notified.clear();
                    }
                    let restored = Restored {
                        answers: kept.answers.values().cloned().collect(),
                        rows: kept.rows.values().cloned().collect(),
                    };
                    bench.restart(away, restored);
                }
            }
            kept.take(&mut bench);
        }
    }
}
