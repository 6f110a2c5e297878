//! Streams that are held open: limits, leaving, connections that die.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use http_body_util::BodyExt as _;
use hyper::{Response, body::Incoming};
use plimsoll_core::request::Finish;
use plimsoll_services::kind::ServiceKind;
use plimsoll_sim::server::{Double, Fault, Planned, Spec};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::house::{
    CHAT, Client, House, Reply, backend, chat, double, options, patiently, room, row, spec,
    tokens_of, until,
};

/// Begins a stream and takes its first piece.
async fn open(house: &House) -> (Client, Response<Incoming>) {
    let mut client = house.client().await;
    let mut response = client.begin(client.request(CHAT, chat(true, 1_000_000))).await.unwrap();
    assert_eq!(response.status(), 200);
    response.body_mut().frame().await.unwrap().unwrap();
    (client, response)
}

#[tokio::test]
async fn with_n_streams_held_open_against_a_limit_of_n_the_next_one_waits() {
    let double = double(16, 1_000_000, 5.0).await;
    let house = House::before(&double, room(4)).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(open(&house).await);
    }
    let mut late = house.client().await;
    let asked = late.request(CHAT, chat(true, 3));
    let late = tokio::spawn(async move { late.send(asked).await.unwrap() });
    house.until(|flying, waiting| flying == 4 && waiting == 1).await;
    assert_eq!(double.stats().most_in_flight, 4, "the backend's own count");
    drop(held.pop());
    let reply = late.await.unwrap();
    assert_eq!((reply.status, tokens_of(reply.text())), (200, 3));
    assert_eq!(reply.header("x-plimsoll-queue"), Some("1"));
    assert_eq!(double.stats().most_in_flight, 4);
}

#[tokio::test]
async fn many_at_once_never_pass_the_limit_at_the_backend() {
    let double = double(64, 5, 1.0).await;
    let house = House::before(&double, room(6)).await;
    let mut all = FuturesUnordered::new();
    for turn in 0..120 {
        let mut client = house.client().await;
        all.push(async move { client.post(CHAT, chat(turn % 3 > 0, 5)).await.status });
    }
    while let Some(status) = all.next().await {
        assert_eq!(status, 200);
    }
    let stats = double.stats();
    assert_eq!(stats.requests, 120);
    assert!(stats.most_in_flight <= 6, "{}", stats.most_in_flight);
}

#[tokio::test]
async fn with_eight_open_and_the_limit_set_to_two_the_next_comes_after_the_seventh_end() {
    let double = double(16, 1_000_000, 5.0).await;
    let house = House::before(&double, room(8)).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(open(&house).await);
    }
    house.desk.set_limits(room(2));
    let mut late = house.client().await;
    let asked = late.request(CHAT, chat(true, 2));
    let late = tokio::spawn(async move { late.send(asked).await.unwrap() });
    for ended in 1..=6 {
        drop(held.pop());
        house.until(|flying, waiting| flying == 8 - ended && waiting == 1).await;
    }
    assert_eq!(double.stats().requests, 8, "nobody was admitted so far");
    drop(held.pop());
    assert_eq!(late.await.unwrap().status, 200);
    assert_eq!(double.stats().requests, 9);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_along() {
    let double = Arc::new(double(2, 1_000_000, 2.0).await);
    let house = House::before(&double, room(2)).await;
    house.watches("one", &double);
    let stream = open(&house).await;
    drop(stream);
    let stats = double.until(|stats| stats.cancelled == 1).await;
    assert_eq!(stats.orphans, 0);
    house.until(|flying, _| flying == 0).await;
    let row = row(&house.records, |row| row.finish == Finish::Left).await;
    assert_eq!((row.status, row.backend.as_deref()), (200, Some("one")));
    assert!(house.world.orphans.lock().unwrap().is_empty());

    // Before its answer began, too: the backend still reads the prompt.
    let mut slow = spec(1, 10, 1.0);
    slow.models[0].prefill_tokens_per_s = 0.1;
    let slow = Double::start(slow).await.unwrap();
    let house = House::before(&slow, room(1)).await;
    let mut client = house.client().await;
    let asked = client.request(CHAT, chat(false, 10));
    let waits = tokio::spawn(async move { client.send(asked).await.map(|reply| reply.status) });
    slow.until(|stats| stats.in_flight == 1).await;
    waits.abort();
    slow.until(|stats| stats.cancelled == 1).await;
    house.until(|flying, _| flying == 0).await;
}

#[tokio::test]
async fn a_client_that_sent_more_than_its_request_is_seen_leaving_all_the_same() {
    let mut slow = spec(1, 10, 1.0);
    slow.models[0].prefill_tokens_per_s = 0.1;
    let slow = Double::start(slow).await.unwrap();
    let house = House::before(&slow, room(1)).await;
    let body = chat(true, 10);
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    // With the request, behind it, more of it than one, and more than is read ahead: a body
    // that is longer than was said.
    let much = "x".repeat(40_000);
    let more = ["G", "", "GET /health", "", &much].into_iter();
    let behind = ["", "G", " HTTP/1.1\r\n", &much, ""];
    for (with, behind) in more.zip(behind) {
        // To close what it sends with is to leave, too: TCP does not tell the two apart.
        for half in [false, true] {
            let before = slow.stats().cancelled;
            let mut stream = TcpStream::connect(house.address).await.unwrap();
            stream.write_all(format!("{request}{with}").as_bytes()).await.unwrap();
            until(|| slow.stats().in_flight == 1).await;
            stream.write_all(behind.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            if !half {
                drop(stream);
            }
            until(|| slow.stats().cancelled == before + 1).await;
            house.until(|flying, _| flying == 0).await;
        }
    }
    until(|| house.gateway.connections() == 0).await;

    // Who stays is answered, and so is what it asked ahead, however much that is.
    let double = double(1, 2, 0.0).await;
    let house = House::before(&double, room(1)).await;
    for spaces in [0, 20_000] {
        let body = format!("{body}{}", " ".repeat(spaces));
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        let held = Planned::new(Fault::SlowHeaders { ms: 200 });
        double.set_fault(held.times(1));
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(format!("{request}{request}").as_bytes()).await.unwrap();
        until(|| double.stats().in_flight == 1).await;
        let last = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        stream.write_all(last.as_bytes()).await.unwrap();
        let mut said = String::new();
        patiently(stream.read_to_string(&mut said)).await.unwrap();
        assert_eq!(said.matches("HTTP/1.1 200").count(), 3, "{said}");
    }
}

#[tokio::test]
async fn a_generation_that_runs_on_keeps_its_room_and_is_told_as_an_orphan() {
    let mut spec = spec(2, 1_000_000, 5.0);
    spec.orphans_run_on = true;
    let double = Arc::new(Double::start(spec).await.unwrap());
    let mut patient = options();
    patient.slot_watch = Duration::from_millis(300);
    let house = House::open(vec![backend("one", &double.url())], room(2), patient).await;
    house.watches("one", &double);
    drop(open(&house).await);
    double.until(|stats| stats.orphans == 1).await;
    assert_eq!(house.desk.in_flight(), 1, "its slot is not free");
    until(|| !house.world.orphans.lock().unwrap().is_empty()).await;
    let orphan = house.world.orphans.lock().unwrap()[0].clone();
    assert_eq!((&*orphan.backend, orphan.model.as_str()), ("one", "instant"));
    assert!(orphan.after_ms >= 300);
    house.until(|flying, _| flying == 0).await;
}

#[tokio::test]
async fn a_look_at_a_slot_that_fails_does_not_end_its_watch() {
    let mut spec = spec(2, 1_000_000, 5.0);
    spec.orphans_run_on = true;
    let double = Arc::new(Double::start(spec).await.unwrap());
    let mut patient = options();
    patient.slot_watch = Duration::from_millis(600);
    let house = House::open(vec![backend("one", &double.url())], room(2), patient).await;
    house.watches("one", &double);
    house.world.fails.store(2, Relaxed);
    drop(open(&house).await);
    until(|| !house.world.orphans.lock().unwrap().is_empty()).await;
    let orphan = house.world.orphans.lock().unwrap()[0].clone();
    assert!(orphan.after_ms >= 600, "it was watched until its time was up");
    house.until(|flying, _| flying == 0).await;

    // One that never tells what it runs is looked at a few times, and is no orphan.
    house.world.fails.store(u32::MAX, Relaxed);
    house.world.looks.store(0, Relaxed);
    drop(open(&house).await);
    house.until(|flying, _| flying == 0).await;
    assert_eq!(house.world.looks.load(Relaxed), 4);
    assert_eq!(house.world.orphans.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_given_up_for_time_keeps_its_room_until_its_slot_is_free() {
    let mut spec = spec(1, 2, 0.0);
    spec.orphans_run_on = true;
    spec.models[0].prefill_tokens_per_s = 40.0;
    let double = Arc::new(Double::start(spec).await.unwrap());
    let mut hasty = options();
    hasty.budgets.first_byte = Duration::from_millis(100);
    hasty.slot_watch = Duration::from_secs(3600);
    let house = House::open(vec![backend("one", &double.url())], room(1), hasty).await;
    house.watches("one", &double);
    let long = chat(true, 2).replace("Hello", &"Hello again, ".repeat(20));
    let reply = house.client().await.post(CHAT, long).await;
    assert_eq!(reply.status, 504, "{}", reply.text());
    until(|| double.stats().orphans == 1).await;
    assert_eq!(house.desk.in_flight(), 1, "its slot is not free");

    house.options.send_replace(Arc::new(options()));
    let mut late = house.client().await;
    let asked = late.request(CHAT, chat(true, 2));
    let late = tokio::spawn(async move { late.send(asked).await.unwrap() });
    house.until(|flying, waiting| flying == 1 && waiting == 1).await;
    let reply = late.await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let stats = double.stats();
    assert_eq!((stats.requests, stats.most_waiting), (2, 0), "nobody met a server that was busy");
    assert!(house.world.orphans.lock().unwrap().is_empty());
}

#[tokio::test]
async fn three_hundred_streams_in_a_row_against_a_server_that_closes_after_each() {
    // As a real llama.cpp server does: without a word, and it promises to stay.
    let mut spec = spec(4, 3, 0.0);
    spec.closes_after_stream = true;
    let double = Double::start(spec).await.unwrap();
    let house = House::before(&double, room(4)).await;
    let mut client = house.client().await;
    for turn in 0..300 {
        let reply = client.post(CHAT, chat(true, 3)).await;
        assert_eq!((reply.status, tokens_of(reply.text())), (200, 3), "stream {turn}");
    }
    let stats = double.stats();
    assert_eq!((stats.requests, stats.finished), (300, 300), "none was asked twice");
    let retried = house.records.recent().iter().map(|row| u32::from(row.retries)).sum::<u32>();
    assert_eq!(retried, 0);
}

#[tokio::test]
async fn a_server_that_closes_after_a_hundred_answers_is_not_noticed() {
    let mut spec = spec(4, 2, 0.0);
    spec.answers_per_connection = Some(100);
    spec.closes_after_stream = true;
    let double = Double::start(spec).await.unwrap();
    let house = House::before(&double, room(4)).await;
    let mut all = FuturesUnordered::new();
    for _ in 0..4 {
        let mut client = house.client().await;
        all.push(async move {
            for turn in 0..150 {
                let reply = client.post(CHAT, chat(turn % 5 == 0, 2)).await;
                assert_eq!(reply.status, 200, "{}", reply.text());
            }
        });
    }
    while all.next().await.is_some() {}
    let stats = double.stats();
    assert_eq!((stats.requests, stats.finished), (600, 600));
}

#[tokio::test]
async fn usage_that_nobody_asked_for_is_counted_and_taken_out_again() {
    let double = Double::start(Spec::named("vllm").unwrap()).await.unwrap();
    let model = Spec::named("vllm").unwrap().models[0].name.clone();
    let mut backend = backend("one", &double.url());
    backend.kind = Some(ServiceKind::Vllm);
    backend.models = vec![model.as_str().into()];
    let house = House::open(vec![backend], room(4), options()).await;
    let mut client = house.client().await;
    let plain = chat(true, 6).replace("instant", &model);
    let reply = client.post(CHAT, plain.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!reply.text().contains("usage"), "{}", reply.text());
    let row = row(&house.records, |row| row.stream).await;
    assert_eq!(row.tokens_out, Some(6));
    assert!(row.tokens_in.is_some() && row.ttft_us.is_some() && row.itl_p50_us.is_some());
    let asking = plain
        .replace(r#""stream":true"#, r#""stream":true,"stream_options":{"include_usage":true}"#);
    let reply = client.post(CHAT, asking).await;
    assert!(reply.text().contains(r#""usage":{"#), "{}", reply.text());
}

#[tokio::test]
async fn a_person_who_cancels_ends_a_stream_and_one_that_waits() {
    let double = double(1, 1_000_000, 2.0).await;
    let house = House::before(&double, room(1)).await;
    let (_client, stream) = open(&house).await;
    let running = house.records.live(10)[0].id;
    let mut late = house.client().await;
    let asked = late.request(CHAT, chat(true, 2));
    let late = tokio::spawn(async move { late.send(asked).await.unwrap() });
    house.until(|_, waiting| waiting == 1).await;
    let queued = house.records.live(10).iter().find(|under| under.id != running).unwrap().id;
    assert!(house.records.cancel(queued));
    let reply = late.await.unwrap();
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (503, Some("cancelled")));
    assert!(house.records.cancel(running));
    double.until(|stats| stats.cancelled == 1).await;
    assert!(Reply::of(stream).await.is_err(), "what is cut off does not look whole");
    house.until(|flying, waiting| flying == 0 && waiting == 0).await;
}
