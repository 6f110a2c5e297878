//! What one client sent and got: kept where a person asked for it, and nowhere else.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use plimsoll_gateway::record::{MAX_BODIES, MAX_TEXT, Passed};

use crate::house::{CHAT, House, Reply, backend, chat, double, options, room};

/// Requests whose bodies are kept at once.
const MOST: usize = 64;

async fn ask(house: &House, agent: &str, body: impl Into<bytes::Bytes>) -> (i64, Reply) {
    let mut client = house.client().await;
    let mut request = client.request(CHAT, body);
    request.headers_mut().insert("user-agent", agent.parse().unwrap());
    let reply = client.send(request).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    (reply.header("x-plimsoll-request").unwrap().parse().unwrap(), reply)
}

/// A request of a program that calls itself so, and what was kept of it.
async fn asks(house: &House, agent: &str, body: impl Into<bytes::Bytes>) -> (i64, Option<Passed>) {
    let (id, reply) = ask(house, agent, body).await;
    let row = crate::house::row(&house.records, |row| row.id == id).await;
    assert_eq!(row.client, agent);
    let kept = house.records.body(id);
    if let Some(kept) = &kept {
        let answer = String::from_utf8_lossy(&reply.body);
        assert_eq!(String::from_utf8_lossy(&kept.answer), answer, "byte for byte");
    }
    (id, kept)
}

#[tokio::test]
async fn bodies_are_kept_of_the_one_client_that_a_person_named_and_of_nobody_before() {
    let double = double(2, 3, 0.0).await;
    let house = House::before(&double, room(2)).await;
    house.world.nobody.store(true, Relaxed);
    let question = chat(false, 3);
    for agent in ["scribe", "other"] {
        assert_eq!(asks(&house, agent, question.clone()).await.1, None, "nothing by default");
    }
    assert!(house.records.keep_bodies("scribe", Duration::from_secs(600)));
    for stream in [false, true] {
        let question = chat(stream, 3);
        let (_, kept) = asks(&house, "scribe", question.clone()).await;
        let kept = kept.expect("they were to be kept");
        assert_eq!((kept.request, kept.cut), (question.clone().into_bytes(), false));
        assert_eq!(asks(&house, "other", question).await.1, None, "nobody asked for these");
    }
    let clients = house.records.bodies_kept();
    assert_eq!(clients.len(), 1, "{clients:?}");
    assert_eq!(&*clients[0].0, "scribe");
}

#[tokio::test]
async fn their_time_ends_by_itself_and_takes_what_was_kept_with_it() {
    let double = double(2, 3, 0.0).await;
    let house = House::before(&double, room(2)).await;
    house.world.nobody.store(true, Relaxed);
    // More than is allowed is as much as is allowed.
    assert!(house.records.keep_bodies("scribe", 2 * MAX_BODIES));
    let (id, kept) = asks(&house, "scribe", chat(false, 3)).await;
    assert!(kept.is_some());
    tokio::time::pause();
    tokio::time::advance(MAX_BODIES - Duration::from_secs(60)).await;
    assert!(house.records.body(id).is_some(), "not before");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!((house.records.body(id), house.records.bodies_kept().len()), (None, 0));
    tokio::time::resume();
    assert_eq!(asks(&house, "scribe", chat(false, 3)).await.1, None, "nor anything after it");
}

// MV13
#[tokio::test]
async fn long_bodies_are_cut_and_the_oldest_go_first() {
    let double = double(2, 3, 0.0).await;
    let house = House::open(vec![backend("one", &double.url())], room(2), options()).await;
    house.world.nobody.store(true, Relaxed);
    assert!(house.records.keep_bodies("scribe", Duration::from_secs(600)));
    let (first, kept) = asks(&house, "scribe", chat(false, 3)).await;
    assert!(kept.is_some());
    let long = format!("{}{}", chat(false, 3), " ".repeat(MAX_TEXT));
    let kept = asks(&house, "scribe", long.clone()).await.1.unwrap();
    assert!(kept.cut && kept.request == long.as_bytes()[..MAX_TEXT]);
    for _ in 1..MOST {
        ask(&house, "scribe", chat(false, 3)).await;
    }
    let last = asks(&house, "scribe", chat(false, 3)).await.0;
    assert_eq!(house.records.body(first), None, "the oldest made room");
    assert!(house.records.body(last).is_some());
    // A person ends it before its time.
    assert!(house.records.keep_bodies("scribe", Duration::ZERO));
    assert_eq!(house.records.body(last), None);
    assert_eq!(asks(&house, "scribe", chat(false, 3)).await.1, None);
}
