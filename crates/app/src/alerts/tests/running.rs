//! Alerts as they run beside the sampler, and on a simulated day.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use plimsoll_core::{
    alert::AlertRow,
    clock::{Clock, Instant3, ManualClock},
    config::Config,
    mark::Mark,
    metric::Metric,
    reading::{Reading, Tick},
    record::{Layer, Nowhere, Record},
};
use plimsoll_sense::Pulse;
use plimsoll_sim::Simulation;
use tokio::sync::watch;

use super::{
    super::{
        AlertStore, Alerts, Answer, Engine, Minute, Notice, Notifier, Parts, Past, Recording,
        Rehearsal, Restored, Wish,
    },
    bench::{START_MS, only_warm},
};
use crate::api::FaultCode;

#[derive(Default)]
struct Outside {
    rows: Mutex<Vec<AlertRow>>,
    marks: Mutex<Vec<Mark>>,
    notices: Mutex<Vec<Notice>>,
    answers: Mutex<Vec<Answer>>,
}

impl Layer for Outside {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_mark(&self, mark: Mark) {
        self.marks.lock().unwrap().push(mark);
    }
    fn on_alert(&self, alert: AlertRow) {
        self.rows.lock().unwrap().push(alert);
    }
}

impl Notifier for Outside {
    fn notify(&self, notice: &Notice) {
        self.notices.lock().unwrap().push(notice.clone());
    }
}

impl Past for Outside {
    fn minutes<'a>(&'a self, _: &'a Wish, _: i64) -> BoxFuture<'a, Vec<Minute>> {
        Box::pin(async { Vec::new() })
    }
}

impl AlertStore for Outside {
    fn save(&self, answer: Answer) -> BoxFuture<'_, Result<(), String>> {
        self.answers.lock().unwrap().push(answer);
        Box::pin(async { Ok(()) })
    }
}

fn pulse(at: Instant3, celsius: f64) -> Arc<Pulse> {
    let readings = vec![Reading::gauge(Metric::Temperature, &"cpu".into(), celsius)];
    let tick = Arc::new(Tick { at, readings });
    Arc::new(Pulse { tick, sources: Arc::default(), rates: Vec::new() })
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_decides_is_carried_out() {
    let outside = Arc::new(Outside::default());
    let clock = Arc::new(ManualClock::at(START_MS));
    let mut config = Config::default();
    only_warm(&mut config);
    let (pulse_in, pulse_out) = watch::channel(pulse(clock.now(), 20.0));
    let (config_in, config_out) = watch::channel(Arc::new(config.clone()));
    let alerts = Alerts::start(Parts {
        pulse: pulse_out,
        gpu: watch::channel(None).1,
        recording: watch::channel(Recording::default()).1,
        shortfalls: watch::channel(Default::default()).1,
        fleet: watch::channel(Arc::default()).1,
        config: config_out,
        clock: clock.clone(),
        record: outside.clone(),
        past: outside.clone(),
        store: outside.clone(),
        notifier: outside.clone(),
        restored: Restored::default(),
    });
    let mut changed = alerts.changed();
    for _ in 0..4 {
        clock.advance_ms(1000);
        pulse_in.send_replace(pulse(clock.now(), 90.0));
        // Let the watching task see each of them.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    changed.changed().await.unwrap();
    assert_eq!(alerts.active(), 1);
    let id = alerts.list()[0].row.id.clone();
    assert_eq!(outside.rows.lock().unwrap()[0].id, id);
    assert_eq!(outside.marks.lock().unwrap().len(), 1);
    assert_eq!(outside.notices.lock().unwrap().len(), 1);

    assert!(alerts.acknowledge(&id).is_ok());
    assert_eq!(alerts.acknowledge("nothing").unwrap_err().code, FaultCode::NotFound);
    assert_eq!(alerts.snooze(&id, 20_000).unwrap_err().code, FaultCode::Invalid);
    assert_eq!(alerts.snooze(&id, 120).unwrap().message, "Silent for 2 h.");

    // A setting that changes is in force without a tick.
    config.alerts.rules.get_mut("warm").unwrap().enabled = false;
    config_in.send_replace(Arc::new(config));
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    assert_eq!(alerts.active(), 0);
    assert!(!alerts.rules()[0].enabled);
    alerts.stop().await;
    let answers = outside.answers.lock().unwrap();
    assert_eq!(answers.len(), 3, "acknowledged, snoozed, over: {answers:?}");
    assert!(answers[2].snoozed_until_ms.is_some() && answers[2].acknowledged_ms.is_none());
}

#[tokio::test(start_paused = true)]
async fn without_any_tick_it_looks_all_the_same() {
    let outside = Arc::new(Outside::default());
    let clock = Arc::new(ManualClock::at(START_MS));
    let silent = plimsoll_core::source::SourceStatus {
        name: "system".into(),
        state: plimsoll_core::source::SourceState::Healthy,
        reason: String::new(),
        since_ms: START_MS,
        last_ms: Some(START_MS),
    };
    let tick = Arc::new(Tick { at: clock.now(), readings: Vec::new() });
    let stuck = Arc::new(Pulse { tick, sources: Arc::new(vec![silent]), rates: Vec::new() });
    let (_pulse_in, pulse) = watch::channel(stuck);
    let alerts = Alerts::start(Parts {
        pulse,
        gpu: watch::channel(None).1,
        recording: watch::channel(Recording::default()).1,
        shortfalls: watch::channel(Default::default()).1,
        fleet: watch::channel(Arc::default()).1,
        config: watch::channel(Arc::new(Config::default())).1,
        clock: clock.clone(),
        record: outside.clone(),
        past: outside.clone(),
        store: outside.clone(),
        notifier: outside.clone(),
        restored: Restored::default(),
    });
    for _ in 0..10 {
        clock.advance_ms(5000);
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    }
    assert_eq!(alerts.list()[0].row.rule, "source-silent");
    alerts.stop().await;
}

/// The demo's scenario through the real rules: what a person is to see of it.
#[test]
fn a_simulated_day_has_its_full_card_and_its_lost_gpu_and_nothing_else() {
    let start = Instant3 { wall_ms: START_MS, monotonic_ms: 0, boottime_ms: 0 };
    let from_ms = START_MS - 5 * 3_600_000;
    let simulation = Simulation::new("day", 1876, 1.0, start).unwrap().since(from_ms);
    let mut past = simulation.past(from_ms, START_MS + 3_600_000, 1000);
    let outside = Outside::default();
    let mut rehearsal = Rehearsal::new(Arc::new(Config::default()), simulation.gpu());
    while let Some(tick) = past.next() {
        rehearsal.tick(&tick, &past.sources(), &outside);
    }
    let end = Instant3 { wall_ms: START_MS + 3_600_000, ..start };
    let rows = rehearsal.finish(end, &outside);
    let told: Vec<_> = rows
        .iter()
        .filter(|row| row.rule != "gpu-throttle-power")
        .map(|row| (row.rule.as_str(), (row.end_ms.unwrap() - row.start_ms) / 60_000))
        .collect();
    assert_eq!(told.iter().filter(|(rule, _)| *rule == "gpu-lost").count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|(rule, _)| *rule == "vram-free").count(), 2, "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
    // Nothing is left open, and each has its two marks.
    let written = outside.rows.lock().unwrap();
    let open = |id: &str| written.iter().rfind(|row| row.id == id).unwrap().end_ms.is_none();
    assert!(!written.iter().any(|row| open(&row.id)));
    assert_eq!(outside.marks.lock().unwrap().len(), 2 * rows.len());

    let mut engine = Engine::new(Arc::new(Config::default()));
    engine.remember(end, rows.clone());
    engine.remember(end, rows.clone());
    assert_eq!(engine.list(end).len(), rows.len());
}
