//! Backends that fail, go, and come back; clients that do.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use http_body_util::BodyExt as _;
use plimsoll_core::{config::gateway::GateMode, request::Finish, traffic::BreakerState};
use plimsoll_gateway::{
    admission::{BreakerLimits, ClientLimits, Gate, Gates, Limits, Pressure},
    route::Table,
    serve::{Options, Retry},
};
use plimsoll_sim::server::{Fault, Planned};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::house::{CHAT, House, backend, chat, double, options, room, row, tokens_of};

fn tries(most: u8) -> Options {
    let retry = Retry { most, pause: Duration::from_millis(5), ..Retry::default() };
    Options { retry, ..options() }
}

/// So much room, and nothing is taken for broken.
fn no_breaker(limit: u32) -> Limits {
    let breaker = BreakerLimits { enabled: false, ..BreakerLimits::default() };
    Limits { breaker, ..room(limit) }
}

// MV9
#[tokio::test]
async fn a_resting_connection_that_dies_under_a_request_is_replaced_unseen() {
    let double = double(2, 2, 0.0).await;
    let house = House::open(vec![backend("one", &double.url())], room(2), tries(0)).await;
    let mut client = house.client().await;
    for _ in 0..20 {
        assert_eq!(client.post(CHAT, chat(false, 2)).await.status, 200);
        // The next one dies on the kept connection, before a byte of its answer.
        double.set_fault(Planned::new(Fault::HangsUp).times(1));
        let reply = client.post(CHAT, chat(false, 2)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(house.records.replays(), 20, "what was sent once more is counted");
}

#[tokio::test]
async fn a_backend_that_says_it_is_busy_is_not_broken_whether_it_is_tried_again_or_not() {
    for most in [0, 1] {
        let double = double(2, 2, 0.0).await;
        let breaker = BreakerLimits { failures: 2, ..BreakerLimits::default() };
        let limits = Limits { breaker, ..room(2) };
        let house = House::open(vec![backend("one", &double.url())], limits, tries(most)).await;
        let busy = Fault::Answers { status: 429, retry_after_s: None };
        double.set_fault(Planned::new(busy));
        let mut client = house.client().await;
        for _ in 0..4 {
            assert_eq!(client.post(CHAT, chat(false, 2)).await.status, 429);
        }
        assert_eq!(double.stats().requests, 4 * (1 + u64::from(most)));
        assert_eq!(house.desk.snapshot().backends[0].breaker.state, BreakerState::Passing);
    }
}

#[tokio::test]
async fn a_failure_that_finds_no_time_for_another_try_is_told_with_it() {
    let double = double(2, 2, 0.0).await;
    let mut slow = tries(2);
    slow.retry.pause = Duration::from_secs(60);
    slow.retry.longest_pause = Duration::from_secs(60);
    // Shorter than the pause, which is jittered, can ever be.
    slow.wait = Duration::from_secs(20);
    let house = House::open(vec![backend("one", &double.url())], no_breaker(2), slow).await;
    let busy = Fault::Answers { status: 503, retry_after_s: None };
    for (fault, status, words) in
        [(Fault::HangsUp, 502, "closed the connection"), (busy, 503, "answered 503")]
    {
        double.set_fault(Planned::new(fault).times(1));
        let reply = house.client().await.post(CHAT, chat(false, 2)).await;
        let text = reply.text();
        assert_eq!((reply.status, reply.header("x-plimsoll-limit")), (status, None), "{text}");
        assert!(text.contains(words) && text.contains("It was not tried again."), "{text}");
        let row = row(&house.records, |row| row.status == status).await;
        assert_eq!((row.finish, row.retries), (Finish::Failed, 0));
    }
    assert_eq!(double.stats().requests, 2);
}

// DE2
#[tokio::test]
async fn a_new_connection_that_dies_is_a_failure_and_tried_again_only_by_rule() {
    let double = double(2, 2, 0.0).await;
    let url = double.url();
    let house = House::open(vec![backend("one", &url)], no_breaker(2), tries(0)).await;
    double.set_fault(Planned::new(Fault::HangsUp).times(1));
    let reply = house.client().await.post(CHAT, chat(false, 2)).await;
    assert_eq!(
        (reply.status, reply.json()["error"]["code"].as_str()),
        (502, Some("backend_failed"))
    );

    let house = House::open(vec![backend("one", &url)], no_breaker(2), tries(2)).await;
    double.set_fault(Planned::new(Fault::HangsUp).times(2));
    let reply = house.client().await.post(CHAT, chat(false, 2)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let row = row(&house.records, |row| row.finish == Finish::Answered).await;
    assert_eq!(row.retries, 2, "what is executed again is counted");
}

// DE2
#[tokio::test]
async fn a_large_body_and_one_too_many_are_not_held_for_another_try() {
    let double = double(2, 2, 0.0).await;
    for (payload_bytes, held_bytes) in [(10, 1 << 20), (1 << 20, 10)] {
        let mut small = tries(2);
        small.retry = Retry { payload_bytes, held_bytes, ..small.retry };
        let house = House::open(vec![backend("one", &double.url())], no_breaker(2), small).await;
        double.set_fault(Planned::new(Fault::HangsUp).times(1));
        assert_eq!(house.client().await.post(CHAT, chat(false, 2)).await.status, 502);
        assert_eq!(house.client().await.post(CHAT, chat(false, 2)).await.status, 200);
    }
}

// DE2
#[tokio::test]
async fn nothing_is_tried_again_while_a_gate_is_closed_whether_it_holds_or_observes() {
    let busy = Pressure { cpu: Some(99.0), ..Pressure::default() };
    for (mode, retries) in [(None, 2), (Some(GateMode::Observe), 0), (Some(GateMode::Enforce), 0)] {
        let double = double(2, 2, 0.0).await;
        let cpu = mode.map(|mode| Gate { mode, close: 90.0, open: 80.0 });
        let gates = Gates { cpu, ..Gates::default() };
        let limits = Limits { gates, ..no_breaker(2) };
        let house = House::open(vec![backend("one", &double.url())], limits, tries(2)).await;
        double.set_fault(Planned::new(Fault::SlowHeaders { ms: 3_600_000 }).times(1));
        let mut client = house.client().await;
        let request = client.request(CHAT, chat(false, 2));
        let reply = tokio::spawn(async move { client.send(request).await });
        double.until(|stats| stats.requests == 1).await;
        // It was admitted; now the machine is short, and then its backend breaks off.
        house.desk.pressure(busy);
        double.kill();
        let reply = reply.await.unwrap().unwrap();
        assert_eq!(reply.status, 502, "{mode:?}: {}", reply.text());
        let row = row(&house.records, |row| row.status == 502).await;
        assert_eq!(row.retries, retries, "{mode:?}");
    }
}

// MA8
#[tokio::test]
async fn the_other_backend_answers_where_one_is_dead() {
    let (dead, alive) = (double(2, 2, 0.0).await, double(2, 2, 0.0).await);
    dead.kill();
    let both = vec![backend("dead", &dead.url()), backend("alive", &alive.url())];
    let house = House::open(both, no_breaker(2), tries(2)).await;
    let mut client = house.client().await;
    for _ in 0..10 {
        let reply = client.post(CHAT, chat(false, 2)).await;
        assert_eq!((reply.status, reply.header("x-plimsoll-backend")), (200, Some("alive")));
    }
}

#[tokio::test]
async fn a_backend_that_says_later_is_waited_for_as_long_as_it_says_and_not_longer() {
    let double = double(2, 2, 0.0).await;
    let url = double.url();
    let house = House::open(vec![backend("one", &url)], no_breaker(2), tries(1)).await;
    let busy = |seconds| Fault::Answers { status: 503, retry_after_s: Some(seconds) };
    double.set_fault(Planned::new(busy(0)).times(1));
    let reply = house.client().await.post(CHAT, chat(false, 2)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    // Longer than a client is kept waiting for: the backend's own answer is passed on.
    double.set_fault(Planned::new(busy(3600)).times(1));
    let reply = house.client().await.post(CHAT, chat(false, 2)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("3600")));
}

#[tokio::test]
async fn what_gives_no_first_byte_in_time_is_given_up() {
    let double = double(2, 2, 0.0).await;
    let mut hasty = tries(2);
    hasty.budgets.first_byte = Duration::from_millis(100);
    let house = House::open(vec![backend("one", &double.url())], room(2), hasty).await;
    double.set_fault(Planned::new(Fault::SlowHeaders { ms: 60_000 }));
    let reply = house.client().await.post(CHAT, chat(true, 2)).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (504, Some("timed_out")));
    let row = row(&house.records, |row| row.finish == Finish::TimedOut).await;
    assert_eq!((row.status, row.retries), (504, 0));
    house.until(|flying, _| flying == 0).await;
}

#[tokio::test]
async fn a_stream_that_stands_still_or_breaks_says_so_and_does_not_look_whole() {
    let double = double(2, 50, 0.0).await;
    let house = House::before(&double, no_breaker(2)).await;
    let faults = [
        (Fault::Stalls { after_tokens: 3, for_ms: None }, "timed_out"),
        (Fault::Dies { after_tokens: 3 }, "backend_broke_off"),
        (Fault::HalfFrame { after_tokens: 3 }, "backend_broke_off"),
    ];
    for (fault, code) in faults {
        let mut options = options();
        // The others break at once: no time is to end before they do.
        if matches!(fault, Fault::Stalls { .. }) {
            options.budgets.between = Duration::from_millis(500);
        }
        house.options.send_replace(Arc::new(options));
        double.set_fault(Planned::new(fault).times(1));
        let mut client = house.client().await;
        let request = client.request(CHAT, chat(true, 50));
        let mut body = client.begin(request).await.unwrap().into_body();
        let mut text = Vec::new();
        let broke = loop {
            match body.frame().await {
                Some(Ok(frame)) => text.extend_from_slice(&frame.into_data().unwrap()),
                Some(Err(_)) => break true,
                None => break false,
            }
        };
        let text = String::from_utf8(text).unwrap();
        assert!(broke, "{fault:?} ended as if it were whole");
        assert!(tokens_of(&text) >= 3 && text.contains(code), "{fault:?}: {text}");
        assert!(!text.contains("[DONE]"));
    }
    house.until(|flying, _| flying == 0).await;
}

// MV8
#[tokio::test]
async fn a_breaker_refuses_at_once_and_lets_one_probe_pass() {
    let double = double(4, 2, 0.0).await;
    // The pause does not end by itself within the test.
    let (pause, pause_max) = (3_600_000, 3_600_000);
    let breaker = BreakerLimits { failures: 3, pause, pause_max, ..BreakerLimits::default() };
    let limits = Limits { breaker, ..room(4) };
    let mut brief = tries(0);
    brief.wait = Duration::from_millis(50);
    let house = House::open(vec![backend("one", &double.url())], limits, brief).await;
    let mut client = house.client().await;
    double.set_fault(Planned::new(Fault::Answers { status: 500, retry_after_s: None }).times(3));
    for _ in 0..3 {
        assert_eq!(client.post(CHAT, chat(false, 2)).await.status, 500);
    }
    let refused = client.post(CHAT, chat(false, 2)).await;
    assert_eq!((refused.status, refused.header("x-plimsoll-limit")), (503, Some("backends")));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(double.stats().requests, 3);
    // It is said to be back: one asks it, and while that one waits nobody else does.
    double.set_fault(Planned::new(Fault::SlowHeaders { ms: 3_600_000 }).times(1));
    house.desk.up("one", false);
    house.desk.up("one", true);
    let mut probe = house.client().await;
    let request = probe.request(CHAT, chat(false, 2));
    let probe = tokio::spawn(async move { probe.begin(request).await.map(|_| ()) });
    double.until(|stats| stats.requests == 4).await;
    for _ in 0..3 {
        let refused = client.post(CHAT, chat(false, 2)).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
    }
    assert_eq!(double.stats().requests, 4);
    // It left without an answer: the next one asks, and is served.
    probe.abort();
    house.until(|flying, _| flying == 0).await;
    let reply = client.post(CHAT, chat(false, 2)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(double.stats().requests, 5);
}

#[tokio::test]
async fn backends_are_killed_restarted_and_replaced_under_load() {
    let (one, two) = (double(8, 4, 1.0).await, double(8, 4, 1.0).await);
    let third = double(8, 4, 1.0).await;
    let both = vec![backend("one", &one.url()), backend("two", &two.url())];
    let house = Arc::new(House::open(both, no_breaker(8), tries(2)).await);
    let (done, told) = tokio::sync::watch::channel(false);
    let mut load = FuturesUnordered::new();
    for worker in 0..12 {
        let (house, told) = (house.clone(), told.clone());
        load.push(tokio::spawn(async move {
            let mut client = house.client().await;
            let (mut served, mut failed) = (0_u32, 0_u32);
            while !*told.borrow() {
                let request = client.request(CHAT, chat(worker % 2 == 0, 4));
                match client.send(request).await {
                    Ok(reply) if reply.status == 200 => served += 1,
                    Ok(reply) => {
                        assert!(matches!(reply.status, 502..=504), "{}", reply.status);
                        failed += 1;
                    }
                    // Cut off in the middle of a stream.
                    Err(_) => {
                        failed += 1;
                        client = house.client().await;
                    }
                }
            }
            (served, failed)
        }));
    }
    for _ in 0..5 {
        two.until(|stats| stats.running > 0).await;
        two.kill();
        let before = one.stats().finished;
        one.until(|stats| stats.finished > before + 10).await;
        two.revive();
        two.until(|stats| stats.running > 0).await;
    }
    // Another server in its place, by the same id.
    let replaced = vec![backend("one", &one.url()), backend("two", &third.url())];
    house.table.send_replace(Arc::new(Table::of(replaced)));
    two.kill();
    third.until(|stats| stats.finished > 20).await;
    done.send_replace(true);
    let mut served = 0;
    while let Some(counts) = load.next().await {
        served += counts.unwrap().0;
    }
    assert!(served > 70, "{served}");
    house.until(|flying, waiting| flying == 0 && waiting == 0).await;
}

#[tokio::test]
async fn a_hundred_changes_of_everything_break_no_request() {
    let (one, two) = (double(8, 3, 1.0).await, double(8, 3, 1.0).await);
    let tables = [
        vec![backend("one", &one.url())],
        vec![backend("one", &one.url()), backend("two", &two.url())],
        vec![backend("two", &two.url())],
    ];
    let house = Arc::new(House::open(tables[0].clone(), room(4), options()).await);
    let (done, told) = tokio::sync::watch::channel(false);
    let mut load = FuturesUnordered::new();
    for worker in 0..8 {
        let (house, told) = (house.clone(), told.clone());
        load.push(tokio::spawn(async move {
            let mut client = house.client().await;
            let mut served = 0_u32;
            while !*told.borrow() {
                let reply = client.post(CHAT, chat(worker % 2 == 0, 3)).await;
                assert_eq!(reply.status, 200, "{}", reply.text());
                served += 1;
            }
            served
        }));
    }
    let finished = || one.stats().finished + two.stats().finished;
    for change in 0..100_u32 {
        let before = finished();
        house.desk.set_limits(room(1 + change % 7));
        house.table.send_replace(Arc::new(Table::of(tables[change as usize % 3].clone())));
        let mut options = (*house.options.borrow().clone()).clone();
        // A second door opens and closes beside the first.
        options.listen.truncate(1);
        if change % 2 == 0 {
            options.listen.push(([127, 0, 0, 2], 0).into());
        }
        options.budgets.between = Duration::from_secs(10 + u64::from(change));
        house.options.send_replace(Arc::new(options));
        crate::house::until(|| finished() > before + 2).await;
    }
    done.send_replace(true);
    let mut served = 0;
    while let Some(count) = load.next().await {
        served += count.unwrap();
    }
    assert!(served >= 200, "{served}");
    assert!(one.stats().most_in_flight <= 7 && two.stats().most_in_flight <= 7);
    house.until(|flying, waiting| flying == 0 && waiting == 0).await;
}

#[tokio::test]
async fn clients_cut_at_every_stage_leave_nothing_behind() {
    let double = double(2, 30, 2.0).await;
    let house = House::before(&double, room(2)).await;
    let body = chat(true, 30);
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    // In the middle of the head, of the body, and right after the request …
    for cut in (0..=request.len()).step_by(7).chain([request.len()]) {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(&request.as_bytes()[..cut]).await.unwrap();
        drop(stream);
    }
    // … while it waits for room, while it streams, and with the answer half taken.
    for take in [0, 1, 200, 900, 2000] {
        let mut streams = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(house.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            streams.push(stream);
        }
        house.until(|flying, waiting| flying == 2 && waiting >= 1).await;
        let mut taken = vec![0; take];
        for stream in &mut streams[..2] {
            let mut at = 0;
            while at < take {
                match stream.read(&mut taken[at..]).await.unwrap() {
                    0 => break,
                    n => at += n,
                }
            }
        }
        drop(streams);
        house.until(|flying, waiting| flying == 0 && waiting == 0).await;
    }
    crate::house::until(|| house.gateway.held_bytes() == 0 && house.gateway.connections() == 0)
        .await;
    assert_eq!(house.records.live(10), []);
    let stats = double.until(|stats| stats.in_flight == 0).await;
    assert!(stats.most_in_flight <= 2);
    // It works as before.
    assert_eq!(house.client().await.post(CHAT, chat(false, 2)).await.status, 200);
}

#[tokio::test]
async fn who_leaves_before_the_count_pays_for_what_it_got() {
    let double = double(2, 400, 0.0).await;
    let each = ClientLimits { tokens_per_minute: Some(600), ..ClientLimits::default() };
    let limits = Limits { client: each, ..room(2) };
    let house = House::open(vec![backend("one", &double.url())], limits, tries(0)).await;
    let ask = r#"{"model":"instant","stream":true,"messages":[{"role":"user","content":"On."}]}"#;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{ask}",
        ask.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut piece, mut read) = (vec![0; 1 << 14], Vec::new());
    while tokens_of(&String::from_utf8_lossy(&read)) < 200 {
        let taken = stream.read(&mut piece).await.unwrap();
        assert!(taken > 0, "it ended early");
        read.extend_from_slice(&piece[..taken]);
    }
    drop(stream);
    house.until(|flying, _| flying == 0).await;
    // A hundred may come at once; the two hundred that it got are owed first.
    let mut again = TcpStream::connect(house.address).await.unwrap();
    let head = head.replacen("\r\n\r\n", "\r\nx-plimsoll-deadline-ms: 50\r\n\r\n", 1);
    again.write_all(head.as_bytes()).await.unwrap();
    let taken = again.read(&mut piece).await.unwrap();
    let answer = String::from_utf8_lossy(&piece[..taken]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
}
