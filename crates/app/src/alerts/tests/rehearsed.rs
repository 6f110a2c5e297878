//! Alerts about services where ticks are all that is known of them.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    alert::AlertRow,
    clock::{Clock, ManualClock},
    config::Config,
    device::GpuInfo,
    metric::{Kind, Metric},
    reading::{Reading, Tick},
    record::Nowhere,
};

use super::{
    super::Rehearsal,
    bench::{GIB, START_MS},
};
/// A past, a second at a time.
struct Past {
    clock: ManualClock,
    rules: Rehearsal,
    totals: BTreeMap<(Metric, String), f64>,
}

impl Past {
    fn new() -> Self {
        let clock = ManualClock::at(START_MS);
        let rules = Rehearsal::new(Arc::new(Config::default()), GpuInfo::default());
        Self { clock, rules, totals: BTreeMap::new() }
    }

    fn seconds(&mut self, seconds: u64, values: &[(Metric, &str, f64)]) {
        for _ in 0..seconds {
            let at = self.clock.now();
            let mut readings = Vec::new();
            for &(metric, name, value) in values {
                let subject: Arc<str> = name.into();
                readings.push(match metric.spec().kind {
                    // A total, by how much it grows in a second.
                    Kind::Counter => {
                        let total = self.totals.entry((metric, name.into())).or_default();
                        *total += value;
                        Reading::counter(metric, &subject, *total as u64)
                    }
                    _ => Reading::gauge(metric, &subject, value),
                });
            }
            let tick = Tick { at, readings };
            self.rules.tick(&tick, &[], &Nowhere);
            self.clock.advance_ms(1000);
        }
    }

    fn over(self) -> Vec<AlertRow> {
        let now = self.clock.now();
        self.rules.finish(now, &Nowhere)
    }
}

fn rules(rows: &[AlertRow]) -> Vec<String> {
    rows.iter().map(|row| format!("{} {}", row.rule, row.subject)).collect()
}

#[test]
fn a_past_of_ticks_has_the_same_alerts_as_a_watched_one() {
    let mut past = Past::new();
    let up = (Metric::ServiceUp, "chat", 1.0);
    let model = |vram: f64| {
        [
            (Metric::ServiceUp, "ollama", 1.0),
            (Metric::ModelSize, "ollama/qwen:14b", 9.0 * GIB),
            (Metric::ModelVram, "ollama/qwen:14b", vram * GIB),
        ]
    };
    past.seconds(60, &[[up].as_slice(), &model(9.0)].concat());
    past.seconds(60, &[[up].as_slice(), &model(5.0)].concat());
    past.seconds(60, &[[up].as_slice(), &model(9.0)].concat());
    let queue = [
        up,
        (Metric::SlotsTotal, "chat", 4.0),
        (Metric::SlotsBusy, "chat", 4.0),
        (Metric::RequestsRunning, "chat", 4.0),
        (Metric::RequestsWaiting, "chat", 20.0),
    ];
    past.seconds(90, &queue);
    past.seconds(30, &[up, (Metric::RequestsWaiting, "chat", 0.0)]);
    past.seconds(60, &[(Metric::ServiceUp, "chat", 0.0)]);
    past.seconds(60, &[up]);
    let rows = past.over();
    assert_eq!(
        rules(&rows),
        ["model-on-cpu ollama/qwen:14b", "service-queue chat", "service-down chat"]
    );
    assert!(rows.iter().all(|row| row.end_ms.is_some()));
    assert!(rows[1].title.starts_with("20 requests wait inside chat"), "{}", rows[1].title);
}

#[test]
fn a_collapse_shows_in_totals_and_a_service_that_is_not_told_of_is_not_judged() {
    let mut past = Past::new();
    let work = |speed: f64| {
        [
            (Metric::ServiceUp, "chat", 1.0),
            (Metric::RequestsRunning, "chat", 2.0),
            (Metric::TokensGenerated, "chat", speed),
        ]
    };
    past.seconds(35 * 60, &work(80.0));
    past.seconds(600, &[]);
    past.seconds(600, &work(80.0));
    past.seconds(300, &work(8.0));
    past.seconds(300, &work(80.0));
    let rows = past.over();
    assert_eq!(rules(&rows), ["model-slow chat"]);
    assert!(rows[0].title.starts_with("chat makes 4 tokens/s per running request"), "{rows:?}");
}
