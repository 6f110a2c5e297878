//! How the house is closed: what runs ends or is cut off, and each request has its row.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use hyper::{Response, body::Incoming};
use plimsoll_core::request::{Finish, Shared};
use plimsoll_gateway::{Lane, serve::Options};
use plimsoll_sim::server::Double;

use crate::{
    house::{CHAT, Client, House, backend, chat, double, options, room, spec, until},
    shared::{chats_are_shared, fixed},
};

#[tokio::test]
async fn to_stop_lets_what_runs_end_and_refuses_what_waits() {
    let double = double(1, 40, 5.0).await;
    let house = House::before(&double, room(1)).await;
    let mut client = house.client().await;
    let idle = house.client().await;
    let stream = client.begin(client.request(CHAT, chat(true, 40))).await.unwrap();
    let mut late = house.client().await;
    let asked = late.request(CHAT, chat(true, 2));
    let late = tokio::spawn(async move { late.send(asked).await.unwrap() });
    house.until(|flying, waiting| flying == 1 && waiting == 1).await;
    let whole = tokio::spawn(async move { stream.into_body().collect().await.unwrap().to_bytes() });
    let drained = house.stop().await;
    assert_eq!(drained.cut_off, 0);
    let text = whole.await.unwrap();
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    let refused = late.await.unwrap();
    assert_eq!((refused.status, refused.header("x-plimsoll-limit")), (503, Some("stopping")));
    drop(idle);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off_at_a_stop() {
    let double = double(1, 1_000_000, 5.0).await;
    let brief = Options { drain: Duration::from_millis(100), ..options() };
    let house = House::open(vec![backend("one", &double.url())], room(1), brief).await;
    let mut client = house.client().await;
    let stream = client.begin(client.request(CHAT, chat(true, 1_000_000))).await.unwrap();
    let drained = house.stop().await;
    assert_eq!(drained.cut_off, 1);
    assert!(stream.into_body().collect().await.is_err());
    double.until(|stats| stats.cancelled == 1).await;
}

/// Begins a stream and takes its first piece.
async fn open(house: &House, body: String) -> (Client, Response<Incoming>) {
    let mut client = house.client().await;
    let mut response = client.begin(client.request(CHAT, body)).await.unwrap();
    assert_eq!(response.status(), 200);
    response.body_mut().frame().await.unwrap().unwrap();
    (client, response)
}

#[tokio::test]
async fn shared_runs_and_watched_slots_end_with_a_stop_and_each_request_has_its_row() {
    let mut spec = spec(8, 1_000_000, 5.0);
    spec.orphans_run_on = true;
    let double = Arc::new(Double::start(spec).await.unwrap());
    let mut brief = chats_are_shared();
    brief.drain = Duration::from_millis(100);
    // Nothing else ends this watch.
    brief.slot_watch = Duration::from_secs(3600);
    let lane = Lane::start().unwrap();
    let one = vec![backend("one", &double.url())];
    let house = House::open_on(lane.handle().clone(), one, room(8), brief).await;
    house.watches("one", &double);

    // A run that two hear, one that its leader has left, and a slot that is watched.
    let heard =
        [open(&house, fixed(true, 1_000_000)).await, open(&house, fixed(true, 1_000_000)).await];
    let left = open(&house, fixed(true, 999_999)).await;
    let stays = open(&house, fixed(true, 999_999)).await;
    let leader: i64 = left.1.headers()["x-plimsoll-request"].to_str().unwrap().parse().unwrap();
    drop(left);
    until(|| house.gateway.connections() == 3).await;
    // Its run has gone on since.
    let tokens = || {
        let live = house.records.live(10);
        live.iter().find(|one| one.id == leader).map(|one| one.tokens_out)
    };
    let so_far = tokens();
    until(|| tokens() > so_far).await;
    // All that runs is at the backend by now, so what is looked at is not taken for one of them.
    drop(open(&house, chat(true, 1_000_000)).await);
    double.until(|stats| stats.orphans == 1).await;
    assert_eq!((double.stats().requests, house.desk.in_flight()), (3, 3));

    let (log, desk, world) = (house.log.clone(), house.desk.clone(), house.world.clone());
    let drained = house.stop().await;
    assert_eq!(drained.cut_off, 3);
    assert_eq!(desk.in_flight(), 0);
    assert_eq!(world.orphans.lock().unwrap().len(), 0, "it was not watched until its time was up");
    let rows = std::mem::take(&mut *log.0.lock().unwrap());
    let mut ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((rows.len(), ids.len()), (5, 5), "each once: {rows:?}");
    let ended = |finish, shared| {
        rows.iter().filter(|row| (row.finish, row.shared) == (finish, shared)).count()
    };
    assert_eq!(ended(Finish::Left, None), 2, "{rows:?}");
    assert_eq!(ended(Finish::Cancelled, None), 1, "{rows:?}");
    assert_eq!(ended(Finish::Cancelled, Some(Shared::Joined)), 2, "{rows:?}");
    assert!(rows.iter().all(|row| (row.finish == Finish::Left) == row.reason.is_empty()));
    // The last ones are just being put away.
    until(|| lane.handle().metrics().num_alive_tasks() == 0).await;
    drop((heard, stays));
}
