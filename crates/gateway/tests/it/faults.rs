//! Backends that fail: what is tried again, what is told, and when one is left alone.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use plimsoll_core::{config::gateway::GateMode, request::Finish, traffic::BreakerState};
use plimsoll_gateway::{
    admission::{BreakerLimits, Gate, Gates, Limits, Pressure},
    serve::{Options, Retry},
};
use plimsoll_sim::server::{Fault, Planned};

use crate::{
    canned::Canned,
    house::{CHAT, House, backend, chat, double, options, room, row, tokens_of},
};

pub fn tries(most: u8) -> Options {
    let retry = Retry { most, pause: Duration::from_millis(5), ..Retry::default() };
    Options { retry, ..options() }
}

/// So much room, and nothing is taken for broken.
pub fn no_breaker(limit: u32) -> Limits {
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
    // Also where that came to nothing.
    double.set_fault(Planned::new(Fault::HangsUp).times(2));
    assert_eq!(client.post(CHAT, chat(false, 2)).await.status, 502);
    assert_eq!(house.records.replays(), 21);
}

#[tokio::test]
async fn a_stream_whose_length_was_promised_tells_how_it_went_as_any_other() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ";
    let failed = "data: {\"error\":{\"message\":\"no memory\",\"code\":500}}\n\n";
    let token = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    // Whole, and at once; and broken off before the last of the bytes that were promised, which
    // are fewer than what could be said of it.
    for (text, missing, reason) in [(failed, 0, "no memory"), (token, 40, "broke off")] {
        let promised = text.len() + missing;
        let answer = format!("{head}{promised}\r\n\r\n{text}");
        let server = Canned::answers(move |_| answer.clone()).await;
        let house = House::open(vec![backend("one", &server.url)], no_breaker(2), tries(0)).await;
        let mut client = house.client().await;
        let request = client.request(CHAT, chat(true, 2));
        let mut body = client.begin(request).await.unwrap().into_body();
        let mut heard = Vec::new();
        let mut whole = true;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => heard.extend_from_slice(&frame.into_data().unwrap()),
                Err(_) => whole = false,
            }
        }
        assert_eq!((String::from_utf8(heard).unwrap().as_str(), whole), (text, missing == 0));
        let row = row(&house.records, |row| row.finish == Finish::Failed).await;
        assert!(row.reason.contains(reason), "{}", row.reason);
    }
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
async fn what_a_server_does_not_do_is_no_failure_of_it() {
    let two = BreakerLimits { failures: 2, ..BreakerLimits::default() };
    for (status, state) in [
        (400, BreakerState::Passing),
        (501, BreakerState::Passing),
        (505, BreakerState::Passing),
        (500, BreakerState::Rejecting),
        (502, BreakerState::Rejecting),
        (503, BreakerState::Rejecting),
        (504, BreakerState::Rejecting),
        (507, BreakerState::Rejecting),
        (529, BreakerState::Rejecting),
    ] {
        let double = double(2, 2, 0.0).await;
        let limits = Limits { breaker: two, ..room(2) };
        let house = House::open(vec![backend("one", &double.url())], limits, tries(0)).await;
        let fault = Fault::Answers { status, retry_after_s: None };
        double.set_fault(Planned::new(fault).times(2));
        let mut client = house.client().await;
        for _ in 0..2 {
            assert_eq!(client.post(CHAT, chat(false, 2)).await.status, status);
        }
        assert_eq!(house.desk.snapshot().backends[0].breaker.state, state, "{status}");
        if state == BreakerState::Passing {
            assert_eq!(client.post(CHAT, chat(false, 2)).await.status, 200, "after {status}");
        }
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
