//! What is counted up, within bounds, and told.

use super::*;

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
