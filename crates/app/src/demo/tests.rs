use std::collections::BTreeMap;

use plimsoll_core::{
    clock::ManualClock,
    config::{
        Environment, Loaded,
        wire::{Change, SettingValue},
    },
    reading::Reading,
    record::Nowhere,
    request::Finish,
    series::SeriesKey,
    traffic::RoomBasis,
};
use plimsoll_gateway::{clients::Keys, route::Room};
use plimsoll_history::{History, Options, Reader, RequestFilter};
use plimsoll_sim::{DEMO, DEMO_SEED};
use tokio::sync::{oneshot, watch};

use super::*;
use crate::{
    api::LimitEffect,
    hub::Hub,
    jobs::Jobs,
    limits::{Ground, Source, effects},
};

/// 2026-11-17T14:32Z; the day's own clock then says 14:31.
const NOW_MS: i64 = 1_794_925_920_000;
/// From before lunch to where the demo begins: chat is restarted and embed falls ill in it.
const SPAN_MS: i64 = 3 * 3_600_000;
/// Live ticks begin so long after the start.
const LATER_MS: i64 = 3_400;

#[derive(Default)]
struct Ticks(Mutex<Vec<i64>>);

impl Layer for Ticks {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_tick(&self, tick: Arc<Tick>) {
        self.0.lock().unwrap().push(tick.at.wall_ms);
    }
}

fn tick(at_ms: i64) -> Arc<Tick> {
    let at = Instant3 { wall_ms: at_ms, monotonic_ms: at_ms, boottime_ms: at_ms };
    Arc::new(Tick { at, readings: Vec::new() })
}

#[test]
fn live_ticks_follow_the_past_in_order_and_the_oldest_of_too_many_go() {
    let written = Arc::new(Ticks::default());
    let gate = HoldBack::new(written.clone());
    let far = 1_000_000;
    for n in 0..700 {
        gate.tick(tick(far + n));
    }
    written.tick(tick(1));
    gate.let_go();
    gate.tick(tick(far + 700));
    let written = written.0.lock().unwrap();
    assert_eq!(written.len(), 1 + HELD + 1);
    assert_eq!((written[0], written[1]), (1, far + 100));
    assert!(written.is_sorted());
}
#[derive(Default)]
struct Marks(Mutex<Vec<Mark>>);

impl Layer for Marks {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_mark(&self, mark: Mark) {
        self.0.lock().unwrap().push(mark);
    }
}

#[test]
fn what_the_scenario_marks_while_it_runs_is_recorded_once() {
    let start = tick(1_794_925_920_000).at;
    let simulation = Simulation::new("day", 7, 1.0, start).unwrap();
    let heard = Arc::new(Marks::default());
    let scenes = Scenes::new(heard.clone(), &simulation);
    for second in 0..600 {
        scenes.tick(tick(start.wall_ms + second * 1000));
    }
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].title.contains("label_images.py started"), "{heard:?}");
    assert_eq!(heard[0].detail, "Simulated.");
    assert_eq!(heard[0].at_ms, start.wall_ms + 210_000);
}

fn now() -> Instant3 {
    Instant3 { wall_ms: NOW_MS, monotonic_ms: 90_000_000, boottime_ms: 90_000_000 }
}

fn stuff(span_ms: i64) -> Stuff {
    let cast = Cast::unheard().unwrap().with_clients();
    let simulation = Simulation::new(DEMO, DEMO_SEED, 1.0, now()).unwrap();
    let simulation = cast.on(simulation.since(NOW_MS - span_ms));
    Stuff { simulation, cast, config: Arc::default(), now: now(), span_ms }
}

fn live(n: i64) -> Arc<Tick> {
    let ms = LATER_MS + n * 1000;
    let Instant3 { wall_ms, monotonic_ms, boottime_ms } = now();
    let at = Instant3 {
        wall_ms: wall_ms + ms,
        monotonic_ms: monotonic_ms + ms,
        boottime_ms: boottime_ms + ms,
    };
    let mut readings = vec![Reading::gauge(Metric::CpuBusy, &"".into(), 50.0)];
    // Services are looked at for the first time a little later.
    if n > 0 {
        readings.push(Reading::gauge(Metric::ServiceUp, &"chat".into(), 1.0));
    }
    Arc::new(Tick { at, readings })
}

/// A new demo whose past is written, with three live ticks behind it.
async fn filled(folder: &Path) -> (History, watch::Sender<Options>, String) {
    let (sender, options) = watch::channel(Options::default());
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let history = History::open(folder, options, clock).await.unwrap();
    let record: Arc<dyn Record> = Arc::new(history.recorder());
    let hold = Arc::new(HoldBack::new(record.clone()));
    (0..3).for_each(|n| hold.tick(live(n)));
    let rules = Rehearsal::new(Arc::default(), Default::default());
    let (say, said) = oneshot::channel();
    let kept = hold.clone();
    let jobs = Jobs::new(Hub::default());
    let filling = async move |job: Job| {
        let done = fill(&job, stuff(SPAN_MS), rules, record, &kept).await;
        let _ = say.send(done.map(|(_, words)| words));
        Ok(String::new())
    };
    jobs.start("a past", filling).unwrap();
    let words = said.await.unwrap().unwrap_or_else(|_| panic!("it is stopped"));
    hold.let_go();
    assert!(history.settle().await);
    (history, sender, words)
}

async fn log(reader: &Reader) -> Vec<RequestRow> {
    let mut rows = Vec::new();
    loop {
        let before = rows.last().map(|row: &RequestRow| row.id);
        let filter = RequestFilter { before, ..RequestFilter::default() };
        let found = reader.requests(&filter, 500).await.unwrap();
        rows.extend(found.rows);
        if !found.more {
            return rows;
        }
    }
}

fn ended_ms(row: &RequestRow) -> i64 {
    row.at_ms + (row.total_us / 1000).cast_signed()
}

/// What the series of a demo tell and what its request log has are the same requests: those
/// that ended up to a second are counted by then, no more and no fewer.
#[tokio::test]
async fn a_new_demos_series_count_its_request_log_and_its_charts_have_no_gap_where_it_opens() {
    let folder = tempfile::tempdir().unwrap();
    let (history, _sender, words) = filled(folder.path()).await;
    let reader = history.reader();
    let rows = log(&reader).await;
    assert!(rows.len() > 800, "{}", rows.len());
    assert!(words.contains(&format!("and {} requests", rows.len())), "{words}");
    assert!(rows.iter().all(|row| (NOW_MS - SPAN_MS..NOW_MS).contains(&row.at_ms)));

    // A moment at which nothing ends within the rounding of a row's times.
    let is_quiet = |at: i64| rows.iter().all(|row| (ended_ms(row) - at).abs() > 3);
    let until = (1..600).map(|n| NOW_MS - n * 1000).find(|at| is_quiet(*at)).unwrap();
    let over: Vec<&RequestRow> = rows.iter().filter(|row| ended_ms(row) < until).collect();
    let counted = async |metric: &str, subject: &str| {
        let key = SeriesKey::new(metric, subject);
        let told = reader.counter_increase(&key, NOW_MS - SPAN_MS, until + 1).await.unwrap();
        told.map_or(0.0, |told| told.increase)
    };
    let those = |is: &dyn Fn(&RequestRow) -> bool| over.iter().filter(|row| is(row)).count() as f64;
    assert_eq!(counted("gateway.requests", "").await, over.len() as f64);
    let refused = those(&|row| row.finish == Finish::Refused);
    assert_eq!(counted("gateway.refused", "").await, refused);
    let failed = |row: &RequestRow| row.finish == Finish::Failed || row.status == 500;
    assert_eq!(counted("gateway.failed", "").await, those(&failed));
    let waited = those(&|row| row.wait_us > 1_000_000);
    assert!(refused > 5.0 && waited > 50.0, "{refused} refused, {waited} waited");
    for service in ["chat", "embed", "notes"] {
        let of: Vec<&&RequestRow> =
            over.iter().filter(|row| row.backend.as_deref() == Some(service)).collect();
        // Its series begin in the second after its first request, and grow from there on.
        let first_ms = of.iter().map(|row| ended_ms(row)).min().unwrap();
        let begun_ms = (first_ms / 1000 + 1) * 1000;
        let of: Vec<_> = of.into_iter().filter(|row| ended_ms(row) > begun_ms).collect();
        let tokens: u32 = of.iter().filter_map(|row| row.tokens_in).sum();
        assert!(tokens > 0, "{service}");
        assert_eq!(counted("gateway.service.tokens.in", service).await, f64::from(tokens));
        let requests = counted("gateway.service.requests", service).await;
        assert_eq!(requests, of.len() as f64, "{service}");
    }

    // The past goes on to where the services were first looked at live.
    let from_ms = NOW_MS - 60_000;
    for (metric, subject) in [("cpu.busy", ""), ("service.up", "chat")] {
        let key = SeriesKey::new(metric, subject);
        let page = reader.raw_page(&key, from_ms, NOW_MS + 60_000, None, 1000).await.unwrap();
        let at: Vec<i64> = page.values.iter().map(|value| value.at_ms).collect();
        assert_eq!(*at.last().unwrap(), NOW_MS + LATER_MS + 2000);
        let widest = at.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        assert!(widest <= 1000, "{metric}: {widest} ms in {at:?}");
    }
    history.stop().await;
}

async fn effect(reader: &Reader, key: &str, value: i64) -> LimitEffect {
    let room = |requests| Room { requests, basis: RoomBasis::Told, tokens: None, outside: None };
    let rooms = [("chat", 4), ("embed", 8), ("notes", 1)];
    let ground = Ground {
        source: Source::Alone(reader),
        reader,
        loaded: Loaded::of(String::new(), &Environment::default()),
        environment: Environment::default(),
        keys: Arc::new(Keys::default()),
        rooms: BTreeMap::from(rooms.map(|(id, most)| (id.to_owned(), room(most)))),
        services: &[],
        table: None,
        vram_used: None,
        vram_total: None,
        memory_bytes: None,
        now_ms: NOW_MS + 10_000,
        launch_changed: BTreeMap::new(),
    };
    let change = Change { key: key.into(), value: Some(SettingValue::Integer(value)) };
    effects(&ground, &[change]).await.unwrap().effects.remove(0)
}

// AR9
#[tokio::test]
async fn a_new_demo_can_tell_at_once_what_another_limit_would_have_done() {
    let folder = tempfile::tempdir().unwrap();
    let (history, _sender, _) = filled(folder.path()).await;
    let reader = history.reader();
    // More than ever ran at once: it holds nobody, and that is known.
    let loose = effect(&reader, "gateway.max_in_flight", 16).await;
    assert!(loose.known && loose.replay.is_some_and(|f| f.requests > 500), "{loose:?}");
    // Where it hangs on what clients do meanwhile, both figures are told.
    for (key, value) in [("gateway.max_in_flight", 2), ("services.chat.max_in_flight", 8)] {
        let told = effect(&reader, key, value).await;
        let figures = format!("{} {}", told.text, told.why);
        assert!(figures.contains("requests would have waited"), "{told:?}");
    }
    history.stop().await;
}

#[test]
fn the_same_demo_has_the_same_requests() {
    let rows = || {
        let mut past = stuff(1_800_000).past().unwrap();
        while past.next().is_some() {}
        past.requests()
    };
    let first = rows();
    assert!(first.len() > 100, "{}", first.len());
    assert_eq!(first, rows());
}
