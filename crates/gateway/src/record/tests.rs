use std::time::Duration;

use plimsoll_core::{
    alert::AlertRow,
    clock::ManualClock,
    log::LogEntry,
    mark::Mark,
    reading::Tick,
    request::{Finish, Priority, Shared},
    traffic::{ClientBasis, StoryMinute},
};
use tokio::time::advance;

use super::*;

const MS: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Kept {
    rows: Mutex<Vec<RequestRow>>,
    batches: Mutex<usize>,
}

impl Record for Kept {
    fn tick(&self, _: Arc<Tick>) {}
    fn mark(&self, _: Mark) {}
    fn alert(&self, _: AlertRow) {}
    fn log(&self, _: Vec<LogEntry>) {}
    fn requests(&self, rows: Vec<RequestRow>) {
        *lock(&self.batches) += 1;
        lock(&self.rows).extend(rows);
    }
    fn queue_len(&self) -> usize {
        0
    }
    fn dropped(&self) -> u64 {
        0
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_000_000))
}

/// The reckoning done by hand.
fn bench() -> (Records, pump::Reckoner, Arc<Kept>) {
    let (records, kept) = (Records::new(clock()), Arc::new(Kept::default()));
    let reckoner = pump::Reckoner::new(records.inner.clone(), kept.clone());
    (records, reckoner, kept)
}

fn one(records: &Records, client: &str) -> Trace {
    let mut trace = records.begin(Endpoint::Chat);
    trace.client(&client.into(), ClientBasis::Program);
    trace.asked("qwen3-8b", true, Priority::Interactive);
    trace
}

fn answered(mut trace: Trace) {
    trace.granted(&"chat".into(), "qwen3-8b");
    trace.sent();
    trace.first();
    trace.status(200);
    trace.finish(Finish::Answered, "");
}

#[tokio::test(start_paused = true)]
async fn each_step_of_a_request_has_its_own_time() {
    let (records, mut reckoner, kept) = bench();
    let mut trace = one(&records, "open-webui");
    advance(3 * MS).await;
    trace.queued();
    advance(40 * MS).await;
    assert_eq!(trace.wait_us(), 40_000);
    trace.granted(&"chat".into(), "Qwen/Qwen3-8B");
    advance(2 * MS).await;
    trace.sent();
    advance(500 * MS).await;
    trace.retry();
    advance(MS).await;
    trace.sent();
    advance(100 * MS).await;
    trace.first();
    advance(900 * MS).await;
    trace.own_us(250);
    trace.usage(Some(812), Some(90));
    trace.itl(10_000, 12_000);
    trace.status(200);
    trace.finish(Finish::Answered, "");
    trace.finish(Finish::Failed, "said too late");
    drop(trace);
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    let row = &rows[0];
    // The pause before the other try is a wait.
    assert_eq!((row.wait_us, row.overhead_us, row.total_us), (41_000, 5250, 1_546_000));
    assert_eq!((row.ttft_us, row.retries), (Some(646_000), 1));
    assert_eq!((row.finish, row.status, row.reason.as_str()), (Finish::Answered, 200, ""));
    assert_eq!((row.tokens_in, row.tokens_out), (Some(812), Some(90)));
    assert_eq!(row.sent_model.as_deref(), Some("Qwen/Qwen3-8B"));
    assert_eq!(row.joules, None, "no card tells its energy");
    let client = &records.clients()[0];
    assert!((client.backend_s - 1.499_75).abs() < 1e-9, "{}", client.backend_s);
}

#[tokio::test(start_paused = true)]
async fn what_the_client_and_another_request_take_is_in_the_total_alone() {
    let (records, mut reckoner, kept) = bench();
    let mut trace = records.begin(Endpoint::Chat);
    trace.uploads();
    advance(300 * MS).await;
    assert_eq!((trace.overhead_us(), records.live(1)[0].overhead_us), (0, 0));
    trace.read();
    advance(2 * MS).await;
    trace.joins();
    advance(400 * MS).await;
    assert_eq!((trace.wait_us(), records.live(1)[0].wait_us), (0, 0));
    assert_eq!(records.counted().all, Counted::default(), "no backend works for it");
    trace.shared(Shared::Joined);
    trace.first();
    advance(500 * MS).await;
    trace.finish(Finish::Answered, "");
    drop(trace);
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    let row = &rows[0];
    assert_eq!((row.wait_us, row.overhead_us, row.total_us), (0, 2000, 1_202_000));
    assert_eq!(row.ttft_us, Some(702_000), "what its client felt");
    assert!(records.clients()[0].backend_s.abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_never_sent_is_no_execution() {
    let (records, mut reckoner, kept) = bench();
    let mut trace = one(&records, "curl");
    trace.sent();
    trace.retry();
    trace.finish(Finish::Failed, "");
    drop(trace);
    reckoner.round(Instant::now(), false);
    assert_eq!(lock(&kept.rows)[0].retries, 0);
}

#[tokio::test(start_paused = true)]
async fn words_of_others_are_kept_without_what_would_move_a_terminal() {
    let (records, mut reckoner, kept) = bench();
    let mut trace = one(&records, "curl");
    trace.asked("a\u{1b}[2Jb\n", false, Priority::Batch);
    trace.granted(&"chat".into(), "a\u{1b}[2Jb\n");
    trace.finish(Finish::Refused, format!("There is no {}.", "\u{9b}2J"));
    drop(trace);
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    assert_eq!(rows[0].model, "a\u{fffd}[2Jb\u{fffd}");
    assert_eq!(rows[0].sent_model, None, "the same as it was asked for");
    assert_eq!(rows[0].reason, "There is no \u{fffd}2J.");
}

#[tokio::test(start_paused = true)]
async fn a_trace_dropped_without_a_word_was_left_by_its_client() {
    let (records, mut reckoner, kept) = bench();
    drop(one(&records, "curl"));
    reckoner.round(Instant::now(), false);
    let rows = lock(&kept.rows);
    assert_eq!((rows[0].finish, rows[0].status), (Finish::Left, 0));
    assert_eq!((rows[0].ttft_us, rows[0].tokens_out), (None, None), "unknown is not 0");
}

#[tokio::test(start_paused = true)]
async fn the_list_shows_what_is_under_way_and_a_person_ends_it() {
    let (records, mut reckoner, kept) = bench();
    let mut a = one(&records, "agent");
    a.expects(Some(800), Some(512));
    a.queued();
    advance(7 * MS).await;
    let b = one(&records, "curl");
    let live = records.live(10);
    assert_eq!(live.iter().map(|u| u.id).collect::<Vec<_>>(), [a.id(), b.id()], "oldest first");
    assert_eq!((live[0].phase, live[0].wait_us), (Phase::Queued, 7000));
    assert_eq!((live[0].tokens_in, live[0].max_tokens), (Some(800), Some(512)));
    let counted = records.counted();
    assert_eq!(counted.all, Counted { in_flight: 0, queued: 1 });
    assert_eq!(records.live(1).len(), 1);

    assert!(records.cancel(a.id()));
    a.cancelled().await;
    drop(a);
    assert!(!records.cancel(live[0].id), "it has ended");
    drop(b);
    reckoner.round(Instant::now(), false);
    assert_eq!(lock(&kept.rows)[0].finish, Finish::Cancelled);
    assert!(records.live(10).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_is_woken_by_it() {
    let records = Records::new(clock());
    let trace = one(&records, "agent");
    let id = trace.id();
    let waiting = tokio::spawn(async move { trace.cancelled().await });
    tokio::task::yield_now().await;
    assert!(records.cancel(id));
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn numbers_grow_also_when_the_clock_goes_back() {
    let clock = clock();
    let records = Records::new(clock.clone());
    let first = one(&records, "a").id();
    clock.step_wall_ms(-5000);
    let second = one(&records, "a").id();
    clock.step_wall_ms(60_000);
    let third = one(&records, "a").id();
    assert_eq!(first, 1_000_000 * 4096);
    assert_eq!(second, first + 1);
    assert_eq!(third, 1_055_000 * 4096);
}

#[tokio::test(start_paused = true)]
async fn rows_travel_in_batches_and_the_last_ones_at_the_close() {
    let kept = Arc::new(Kept::default());
    let (records, pump) = Records::start(clock(), kept.clone());
    for _ in 0..50 {
        answered(one(&records, "a"));
    }
    tokio::time::sleep(300 * MS).await;
    assert_eq!((lock(&kept.rows).len(), *lock(&kept.batches)), (50, 1));
    answered(one(&records, "a"));
    pump.close().await;
    assert_eq!(lock(&kept.rows).len(), 51);
}

#[tokio::test(start_paused = true)]
async fn a_row_waits_for_the_energy_of_its_last_second_but_not_for_ever() {
    let (records, mut reckoner, kept) = bench();
    records.place(&[("chat".into(), vec!["GPU-1".into()])]);
    records.energy("GPU-1", Some(0.0));
    let mut trace = one(&records, "a");
    trace.granted(&"chat".into(), "qwen3-8b");
    trace.sent();
    advance(500 * MS).await;
    trace.finish(Finish::Answered, "");
    drop(trace);
    answered(one(&records, "b"));
    reckoner.round(Instant::now(), false);
    assert_eq!(lock(&kept.rows).len(), 0);
    advance(500 * MS).await;
    records.energy("GPU-1", Some(300.0));
    reckoner.round(Instant::now(), false);
    let joules: Vec<_> = lock(&kept.rows).iter().map(|row| row.joules).collect();
    assert_eq!(joules, [Some(150.0), Some(0.0)], "the other half second nothing ran");

    let mut trace = one(&records, "a");
    trace.granted(&"chat".into(), "qwen3-8b");
    trace.sent();
    advance(100 * MS).await;
    drop(trace);
    advance(3000 * MS).await;
    reckoner.round(Instant::now(), false);
    assert_eq!(lock(&kept.rows)[2].joules, None, "the card fell silent");
    assert_eq!(records.clients()[0].joules, Some(150.0));
}

#[tokio::test(start_paused = true)]
async fn a_backends_story_tells_its_minutes_and_a_client_that_left_says_nothing() {
    let (records, mut reckoner, _) = bench();
    let end = |finish, status| {
        let mut trace = one(&records, "a");
        trace.granted(&"chat".into(), "qwen3-8b");
        trace.status(status);
        trace.finish(finish, "");
    };
    end(Finish::Answered, 200);
    end(Finish::Answered, 400);
    end(Finish::Answered, 500);
    end(Finish::Left, 0);
    reckoner.round(Instant::now(), false);
    advance(Duration::from_secs(60)).await;
    end(Finish::Failed, 502);
    end(Finish::Refused, 429);
    reckoner.round(Instant::now(), false);
    let story = records.story("chat");
    assert_eq!(story.len(), 30);
    assert_eq!(story[28], StoryMinute { answered: 2, failed: 1, refused: 0 });
    assert_eq!(story[29], StoryMinute { answered: 0, failed: 1, refused: 1 });
    assert_eq!(records.totals().requests_per_min, 2, "the others are a minute old");
    assert_eq!(records.totals().ended, 6);
}

// MV13 DE3
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_requests_leave_bounded_windows() {
    let (records, mut reckoner, kept) = bench();
    for n in 0..100_000u32 {
        answered(one(&records, &format!("client {}", n % 1000)));
        if n % 1000 == 999 {
            advance(Duration::from_secs(30)).await;
            reckoner.round(Instant::now(), false);
            // What is written is the history's.
            lock(&kept.rows).clear();
        }
    }
    assert_eq!(records.dropped(), 0);
    assert_eq!(records.totals().ended, 100_000);
    let clients = records.clients();
    assert!(clients.len() <= MAX_CLIENTS, "{}", clients.len());
    assert!(clients.iter().any(|client| &*client.name == OTHER));
    {
        let figures = lock(&records.inner.figures);
        assert!(figures.client_series.len() <= MAX_CLIENT_SERIES + 1);
        assert_eq!(figures.client_series.values().map(|c| c.requests).sum::<u64>(), 100_000);
    }
    assert_eq!(records.recent().len(), MAX_RECENT);
    advance(RECENT_FOR).await;
    assert_eq!(records.recent().len(), 0);
    assert_eq!(records.live(10).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bounds_requests_are_counted_and_nothing_grows() {
    let (records, mut reckoner, kept) = bench();
    // Nobody reckons.
    for _ in 0..100_000 {
        answered(one(&records, "a"));
    }
    assert_eq!(records.dropped(), 100_000 - ended::MAX_ENDED as u64);
    reckoner.round(Instant::now(), false);
    assert_eq!(lock(&kept.rows).len(), ended::MAX_ENDED);
    let open: Vec<_> = (0..MAX_LIVE + 10).map(|_| one(&records, "a")).collect();
    assert_eq!(records.live(usize::MAX).len(), MAX_LIVE);
    drop(open);
    assert_eq!(records.live(usize::MAX).len(), 0);
    let one_more = one(&records, "a");
    assert_eq!(records.live(usize::MAX)[0].id, one_more.id(), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn the_source_reads_what_passed_and_each_distribution_once() {
    use plimsoll_core::{clock::Instant3, metric::Metric, source::Source as _};
    let (records, mut reckoner, _) = bench();
    for n in 0..80 {
        answered(one(&records, &format!("client {n:02}")));
    }
    let mut open = one(&records, "client 79");
    open.granted(&"chat".into(), "qwen3-8b");
    open.sent();
    reckoner.round(Instant::now(), false);
    let (_interval, told) = watch::channel(Duration::from_secs(1));
    let mut source = records.source(told);
    let now = Instant3 { wall_ms: 0, monotonic_ms: 0, boottime_ms: 0 };
    let mut read = || {
        let mut out = Vec::new();
        source.read(now, &mut out).unwrap();
        plimsoll_core::reading::Tick { at: now, readings: out }
    };
    let first = read();
    assert_eq!(first.get(Metric::GatewayRequests, ""), Some(80.0));
    assert_eq!(first.get(Metric::GatewayInFlight, ""), Some(1.0));
    assert_eq!(first.get(Metric::GatewayServiceInFlight, "chat"), Some(1.0));
    assert_eq!(first.get(Metric::GatewayServiceTtft, "chat"), Some(80.0));
    assert_eq!(first.get(Metric::GatewayClientRequests, OTHER), Some(16.0));
    assert_eq!(first.get(Metric::GatewayClientInFlight, OTHER), Some(1.0));
    assert_eq!(first.get(Metric::GatewayClientEnergy, "client 00"), None, "unknown is not 0");
    let mut subjects = std::collections::HashSet::new();
    for reading in &first.readings {
        assert!(subjects.insert((reading.metric, reading.subject.clone())), "{reading:?} twice");
    }
    let second = read();
    assert_eq!(second.get(Metric::GatewayServiceTtft, "chat"), None);
    assert_eq!(second.get(Metric::GatewayServiceRequests, "chat"), Some(80.0));
}

#[tokio::test(start_paused = true)]
async fn the_source_tells_how_many_wait_for_each_backend() {
    use plimsoll_core::{
        clock::Instant3, config::gateway::Balance, metric::Metric, source::Source as _,
    };

    use crate::admission::{Ask, BackendLimits, Candidate, Limits};
    let (records, mut reckoner, _) = bench();
    answered(one(&records, "a"));
    reckoner.round(Instant::now(), false);
    let (_interval, told) = watch::channel(Duration::from_secs(1));
    let mut source = records.source(told);
    let now = Instant3 { wall_ms: 0, monotonic_ms: 0, boottime_ms: 0 };
    let mut queued = || {
        let mut out = Vec::new();
        source.read(now, &mut out).unwrap();
        plimsoll_core::reading::Tick { at: now, readings: out }
            .get(Metric::GatewayServiceQueued, "chat")
    };
    assert_eq!(queued(), None, "nobody admits: that is not known");
    let room = BackendLimits { room: Some(1), ..BackendLimits::default() };
    let desk = Desk::new(Limits { backends: [("chat".into(), room)].into(), ..Limits::default() });
    desk.up("chat", true);
    records.waits_at(desk.clone());
    assert_eq!(queued(), Some(0.0));
    let ask = |id| Ask {
        id,
        client: "a".into(),
        model: "qwen3-8b".into(),
        priority: Priority::Interactive,
        tokens: 0,
        deadline: desk.deadline_in(Duration::from_secs(60)),
        candidates: Arc::new([Candidate { backend: "chat".into(), rank: 0, weight: 1 }]),
        policy: Balance::LeastInFlight,
        hash: 0,
    };
    let held: Vec<_> = (1..4).map(|id| desk.admit(ask(id))).collect();
    assert_eq!(queued(), Some(2.0));
    drop(held);
    assert_eq!(queued(), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn numbers_go_on_where_an_earlier_start_ended() {
    let records = Records::new(clock());
    records.continue_after(9_000_000 * 4096);
    assert_eq!(one(&records, "a").id(), 9_000_000 * 4096 + 1);
}
