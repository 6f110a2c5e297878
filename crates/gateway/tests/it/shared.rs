//! One answer for several requests: heard together, or kept from before.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, header::HeaderName};
use plimsoll_core::{
    config::{Environment, Loaded as Read, gateway::Balance},
    request::{Finish, Priority, RequestRow, Shared},
};
use plimsoll_gateway::{
    admission::{Ask, Candidate, Limits, Permit},
    record::{ActiveRequest, Phase},
    route::Table,
    serve::{Options, Sought},
    settings::Sharing,
};
use plimsoll_services::{
    fleet::{FleetView, Wanted, Watched},
    kind::ServiceKind,
    service::{Loaded, Model, Origin, Service, ServiceState},
};
use plimsoll_sim::server::{Double, Fault, Handle, Planned};
use tokio::task::JoinHandle;

use crate::house::{
    CHAT, Client, House, PATIENCE, Reply, backend, double, options, room, spec, tokens_of, until,
};

const EMBEDDINGS: &str = "/v1/embeddings";
const EMBED: &str = r#"{"model":"instant","input":"What is the mark on a hull?"}"#;

fn sharing(text: &str) -> Options {
    let read = Read::of(text.into(), &Environment::default());
    assert_eq!(read.problems, []);
    Options { sharing: Sharing::of(&read.config.gateway), ..options() }
}

pub fn chats_are_shared() -> Options {
    sharing("gateway.coalesce = [\"chat\"]")
}

pub fn fixed(stream: bool, tokens: u32) -> String {
    format!(
        r#"{{"model":"instant","stream":{stream},"max_tokens":{tokens},"temperature":0,"messages":[{{"role":"user","content":"Hello"}}]}}"#
    )
}

async fn embedder() -> Handle {
    let mut spec = spec(4, 0, 0.0);
    spec.models[0].embeds = true;
    spec.models[0].dimensions = 16;
    Double::start(spec).await.unwrap()
}

/// Room for one request in all, which is taken until what is given back is dropped.
async fn full(house: &House) -> Permit {
    let admitted = house.desk.admit(Ask {
        id: 1,
        client: "nobody".into(),
        model: "nothing".into(),
        priority: Priority::Interactive,
        tokens: 0,
        deadline: house.desk.deadline_in(PATIENCE),
        candidates: [Candidate { backend: "one".into(), rank: 0, weight: 1 }].into(),
        policy: Balance::LeastInFlight,
        hash: 0,
    });
    admitted.await.unwrap()
}

fn one_at_a_time() -> Limits {
    Limits { in_flight: Some(1), ..room(4) }
}

/// It stands in line, or waits for the answer of one that does.
fn waits(one: &ActiveRequest) -> bool {
    matches!(one.phase, Phase::Queued | Phase::Joined)
}

/// So many ask the same, and wait.
async fn ask(house: &House, many: usize, path: &'static str, body: &str) -> Vec<JoinHandle<Reply>> {
    let mut asking = Vec::new();
    for _ in 0..many {
        let mut client = house.client().await;
        let body = body.to_owned();
        asking.push(tokio::spawn(async move { client.post(path, body).await }));
    }
    until(|| {
        let live = house.records.live(1000);
        live.len() == many && live.iter().all(waits)
    })
    .await;
    asking
}

async fn replies(asking: Vec<JoinHandle<Reply>>) -> Vec<Reply> {
    join_all(asking).await.into_iter().map(Result::unwrap).collect()
}

async fn rows(house: &House, many: usize) -> Vec<Arc<RequestRow>> {
    until(|| house.records.recent().len() >= many).await;
    house.records.recent()
}

fn with(client: &Client, name: &'static str, value: &str, body: &str) -> Request<Full<Bytes>> {
    let path = if body == EMBED { EMBEDDINGS } else { CHAT };
    let mut request = client.request(path, body.to_owned());
    request.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    request
}

// MV15
#[tokio::test]
async fn fifty_identical_embeddings_are_one_execution_and_each_gets_the_whole_of_it() {
    let double = embedder().await;
    let house = House::before(&double, one_at_a_time()).await;
    let held = full(&house).await;
    let asking = ask(&house, 50, EMBEDDINGS, EMBED).await;
    drop(held);
    let replies = replies(asking).await;
    assert_eq!(double.stats().requests, 1);
    let first = &replies[0];
    assert_eq!(first.json()["data"][0]["embedding"].as_array().unwrap().len(), 16);
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (200, &first.body));
        assert_eq!(reply.header("content-type"), first.header("content-type"));
        assert_eq!(reply.header("x-plimsoll-backend"), Some("one"));
    }
    let joined = replies.iter().filter(|r| r.header("x-plimsoll-shared") == Some("joined")).count();
    assert_eq!(joined, 49);
    let figures = house.gateway.figures();
    assert_eq!((figures.shared_joined, figures.shared_open, figures.shared_bytes), (49, 0, 0));
    let mut ids: Vec<_> = replies.iter().map(|r| r.header("x-plimsoll-request")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50, "each has its own number");
    let rows = rows(&house, 50).await;
    assert!(rows.iter().all(|row| (row.status, row.finish) == (200, Finish::Answered)));
    let counted: Vec<_> = rows.iter().filter(|row| row.shared.is_none()).collect();
    assert_eq!(counted.len(), 1);
    assert!(counted[0].tokens_in.is_some(), "the tokens are counted once");
    assert!(rows.iter().all(|row| row.shared.is_none() || row.tokens_in.is_none()));
    // What comes afterwards is another execution: nothing is kept.
    house.client().await.post(EMBEDDINGS, EMBED).await;
    assert_eq!(double.stats().requests, 2);
}

#[tokio::test]
async fn who_comes_late_gets_the_stream_from_its_start_and_to_its_end() {
    let double = double(4, 60, 20.0).await;
    let house = House::open(vec![backend("one", &double.url())], room(4), chats_are_shared()).await;
    let mut first = house.client().await;
    let leader = first.request(CHAT, fixed(true, 60));
    let mut leader = first.begin(leader).await.unwrap();
    let mut heard = leader.body_mut().frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    let late = house.client().await.post(CHAT, fixed(true, 60)).await;
    assert_eq!(late.header("x-plimsoll-shared"), Some("joined"));
    assert_eq!(tokens_of(late.text()), 60);
    assert!(late.text().ends_with("data: [DONE]\n\n"), "{}", late.text());
    heard.extend(leader.into_body().collect().await.unwrap().to_bytes());
    assert_eq!(late.body, heard);
    assert_eq!(double.stats().requests, 1);
    // Chat that is not repeatable is never shared.
    let other = fixed(true, 60).replace(r#""temperature":0,"#, "");
    let (mut one, mut two) = (house.client().await, house.client().await);
    let both = tokio::join!(one.post(CHAT, other.clone()), two.post(CHAT, other));
    assert_eq!((both.0.status, both.1.status), (200, 200));
    assert_eq!(double.stats().requests, 3);
}

async fn open(house: &House) -> (Client, Response<Incoming>) {
    let mut client = house.client().await;
    let request = client.request(CHAT, fixed(true, 1_000_000));
    let mut response = client.begin(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.body_mut().frame().await.unwrap().unwrap();
    (client, response)
}

// MV15
#[tokio::test]
async fn forty_nine_leave_and_it_goes_on_and_with_the_fiftieth_it_is_cancelled_upstream() {
    let double = Arc::new(double(4, 1_000_000, 10.0).await);
    let house = House::open(vec![backend("one", &double.url())], room(4), chats_are_shared()).await;
    house.watches("one", &double);
    // The first one leads.
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(open(&house).await);
    }
    assert_eq!(double.stats().requests, 1);
    let mut last = all.pop().unwrap();
    drop(all);
    // The leader's own row ends with what its run took.
    until(|| house.records.live(100).len() == 2).await;
    for _ in 0..20 {
        let piece = last.1.body_mut().frame().await.unwrap().unwrap();
        assert!(piece.is_data());
    }
    assert_eq!((double.stats().cancelled, double.stats().running), (0, 1));
    assert_eq!(house.desk.in_flight(), 1);
    drop(last);
    let stats = double.until(|stats| stats.cancelled == 1).await;
    assert_eq!((stats.requests, stats.orphans), (1, 0));
    house.until(|flying, _| flying == 0).await;
    let rows = rows(&house, 50).await;
    assert!(rows.iter().all(|row| row.finish == Finish::Left));
    assert_eq!(rows.iter().filter(|row| row.shared == Some(Shared::Joined)).count(), 49);
}

#[tokio::test]
async fn a_leader_who_is_ended_takes_nobody_along() {
    let double = embedder().await;
    let house = House::before(&double, one_at_a_time()).await;
    let held = full(&house).await;
    let mut asking = ask(&house, 1, EMBEDDINGS, EMBED).await;
    let leader = house.records.live(10)[0].id;
    let mut client = house.client().await;
    asking.push(tokio::spawn(async move { client.post(EMBEDDINGS, EMBED).await }));
    until(|| house.records.live(10).iter().filter(|one| waits(one)).count() == 2).await;
    assert!(house.records.cancel(leader));
    let ended = asking.remove(0).await.unwrap();
    assert_eq!((ended.status, ended.json()["error"]["code"].as_str()), (503, Some("cancelled")));
    drop(held);
    let replies = replies(asking).await;
    assert_eq!(replies[0].status, 200, "{}", replies[0].text());
    assert_eq!(replies[0].header("x-plimsoll-shared"), None, "it leads now");
    assert_eq!(double.stats().requests, 1);
}

#[tokio::test]
async fn a_backend_that_fails_fails_for_all_who_wait_and_is_not_asked_by_each() {
    for (fault, status) in
        [(Fault::Answers { status: 500, retry_after_s: None }, 500), (Fault::HangsUp, 502)]
    {
        let double = embedder().await;
        let mut once = options();
        once.retry.most = 0;
        let house = House::open(vec![backend("one", &double.url())], one_at_a_time(), once).await;
        double.set_fault(Planned::new(fault));
        let held = full(&house).await;
        let asking = ask(&house, 10, EMBEDDINGS, EMBED).await;
        drop(held);
        for reply in replies(asking).await {
            assert_eq!(reply.status, status, "{}", reply.text());
        }
        assert_eq!(double.stats().requests + double.stats().faults, 2, "one, and its fault");
    }
}

#[tokio::test]
async fn an_answer_crosses_from_one_client_to_another_only_where_that_is_allowed() {
    for (text, executions) in [("", 2), ("gateway.cache.shared = true", 1)] {
        let double = embedder().await;
        let house =
            House::open(vec![backend("one", &double.url())], one_at_a_time(), sharing(text)).await;
        let held = full(&house).await;
        let mut asking = Vec::new();
        *house.world.sought.lock().unwrap() = ["one", "two"].map(found).into();
        for _ in 0..2 {
            let mut client = house.client().await;
            asking.push(tokio::spawn(async move { client.post(EMBEDDINGS, EMBED).await }));
        }
        until(|| house.records.live(10).iter().filter(|one| waits(one)).count() == 2).await;
        drop(held);
        let replies = replies(asking).await;
        assert!(replies.iter().all(|reply| reply.status == 200));
        assert_eq!(double.stats().requests, executions, "{text}");
    }
}

fn found(program: &str) -> Option<Sought> {
    Some(Sought::Found(program.into()))
}

#[tokio::test]
async fn who_cannot_be_told_from_others_shares_with_nobody_unless_all_do() {
    for (text, executions) in [("", 4), ("gateway.cache.shared = true", 1)] {
        for agent in [None, Some("one/1.0")] {
            let double = double(4, 12, 0.0).await;
            let options = sharing(&format!("gateway.coalesce = [\"chat\"]\n{text}"));
            let house =
                House::open(vec![backend("one", &double.url())], one_at_a_time(), options).await;
            house.world.nobody.store(true, Relaxed);
            house.table.send(Arc::new(kept(&double, ""))).unwrap();
            let held = full(&house).await;
            let mut asking = Vec::new();
            for _ in 0..2 {
                let mut client = house.client().await;
                let mut request = client.request(CHAT, fixed(false, 12));
                if let Some(agent) = agent {
                    request.headers_mut().insert("user-agent", agent.parse().unwrap());
                }
                asking.push(tokio::spawn(async move {
                    let first = client.send(request.clone()).await.unwrap();
                    (first, client.send(request).await.unwrap())
                }));
            }
            until(|| house.records.live(10).iter().filter(|one| waits(one)).count() == 2).await;
            drop(held);
            for asked in asking {
                let (first, again) = asked.await.unwrap();
                assert_eq!((first.status, again.status), (200, 200));
                let hit = again.header("x-plimsoll-cache");
                assert_eq!(hit.is_some(), executions == 1, "{text} {agent:?}");
            }
            assert_eq!(double.stats().requests, executions, "{text} {agent:?}");
        }
    }
}

/// One double on a route that keeps its answers.
fn kept(double: &Handle, text: &str) -> Table {
    let text = format!("{text}\n[gateway.routes.keeps]\nmodels = [\"instant\"]\ncache = true\n");
    let read = Read::of(text, &Environment::default());
    assert_eq!(read.problems, []);
    let url = double.url();
    let mut service =
        Service::new("one", "one", Some(ServiceKind::LlamaCpp), &url, Origin::Configured);
    service.state = ServiceState::Healthy;
    service.checked_ms = Some(1);
    service.models = vec![Model::named("instant", Loaded::Unknown)];
    let watched = Watched::new("one", service.kind, &url, service.origin);
    let wanted = Wanted { watched: vec![watched], proposed: Vec::new() };
    let view = FleetView { at_ms: 1, services: vec![Arc::new(service)] };
    Table::make(&read.config, &wanted, &view, None)
}

#[tokio::test]
async fn a_stream_that_was_kept_is_given_again_as_it_was() {
    let double = double(4, 12, 1.0).await;
    let house = House::before(&double, room(4)).await;
    house.table.send(Arc::new(kept(&double, ""))).unwrap();
    let mut client = house.client().await;
    let first = client.post(CHAT, fixed(true, 12)).await;
    assert_eq!((first.status, first.header("x-plimsoll-cache")), (200, None));
    let again = client.post(CHAT, fixed(true, 12)).await;
    assert_eq!((again.status, again.header("x-plimsoll-cache")), (200, Some("hit")));
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("content-type"), Some("text/event-stream"));
    assert_eq!(again.header("x-plimsoll-backend"), Some("one"));
    assert!(again.header("age").is_some());
    assert_ne!(again.header("x-plimsoll-request"), first.header("x-plimsoll-request"));
    assert_eq!(double.stats().requests, 1);
    let rows = rows(&house, 2).await;
    let hit = rows.iter().find(|row| row.shared == Some(Shared::Hit)).unwrap();
    assert_eq!((hit.status, hit.finish, hit.tokens_out), (200, Finish::Answered, None));
    assert_eq!(hit.route.as_deref(), Some("keeps"));

    // Another question, another client, and one who wants its own are asked anew.
    assert_eq!(client.post(CHAT, fixed(false, 12)).await.header("x-plimsoll-cache"), None);
    house.world.sought.lock().unwrap().push_back(found("other"));
    let other = house.client().await.post(CHAT, fixed(true, 12)).await;
    assert_eq!((other.status, other.header("x-plimsoll-cache")), (200, None));
    let request = with(&client, "cache-control", "no-cache", &fixed(true, 12));
    let reply = client.send(request).await.unwrap();
    assert_eq!((reply.status, reply.header("x-plimsoll-cache")), (200, None));
    assert_eq!(double.stats().requests, 4);
    // Not repeatable, so not kept either.
    let other = fixed(true, 12).replace(r#""temperature":0,"#, "");
    client.post(CHAT, other.clone()).await;
    assert_eq!(client.post(CHAT, other).await.header("x-plimsoll-cache"), None);
    // Who wants its own answer never looked, and what may not be kept was no miss. What is
    // kept: the stream, the whole answer, and the other client's stream.
    let cache = house.gateway.figures().cache;
    assert_eq!((cache.entries, cache.hits, cache.misses, cache.evicted), (3, 1, 3, 0));
    assert!(cache.bytes > 0);
}

#[tokio::test]
async fn an_answer_that_failed_or_broke_off_is_never_kept() {
    let double = double(4, 12, 1.0).await;
    let mut once = options();
    once.retry.most = 0;
    let house = House::open(vec![backend("one", &double.url())], room(4), once).await;
    house.table.send(Arc::new(kept(&double, ""))).unwrap();
    for fault in [
        Fault::Dies { after_tokens: 3 },
        Fault::HalfFrame { after_tokens: 3 },
        Fault::Answers { status: 500, retry_after_s: None },
    ] {
        double.set_fault(Planned::new(fault));
        let mut client = house.client().await;
        let request = client.request(CHAT, fixed(true, 12));
        let reply = client.send(request).await;
        assert!(reply.is_err() || reply.is_ok_and(|reply| reply.status == 500), "{fault:?}");
        double.clear_faults();
    }
    let mut client = house.client().await;
    let whole = client.post(CHAT, fixed(true, 12)).await;
    assert_eq!((whole.status, whole.header("x-plimsoll-cache")), (200, None));
    assert!(whole.text().ends_with("data: [DONE]\n\n"));
    // One that left early leaves nothing behind, either.
    let other = fixed(true, 11);
    let request = client.request(CHAT, other.clone());
    drop(client.begin(request).await.unwrap());
    drop(client);
    house.until(|flying, _| flying == 0).await;
    let mut client = house.client().await;
    let reply = client.post(CHAT, other).await;
    assert_eq!(tokens_of(reply.text()), 11);
    let hit = client.post(CHAT, fixed(true, 12)).await;
    assert_eq!((hit.header("x-plimsoll-cache"), &hit.body), (Some("hit"), &whole.body));
}
