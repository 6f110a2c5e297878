//! Where answers lead, what is listed, and what stands in the documentation of the headers.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};

use plimsoll_core::traffic::BreakerState;
use plimsoll_gateway::{
    admission::{BreakerLimits, Limits},
    clients::{Fresh, Kept, Keys},
    route::{Backend, Table},
};

use crate::{
    canned::Canned,
    house::{CHAT, House, Reply, backend, chat, double, options, room, until},
};

/// An answer without a body.
fn bare(head: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

async fn answered(head: &'static str) -> (Reply, House) {
    let server = Canned::answers(move |_| bare(head)).await;
    let breaker = BreakerLimits { failures: 1, ..BreakerLimits::default() };
    let limits = Limits { breaker, ..room(2) };
    let house = House::open(vec![backend("one", &server.url)], limits, options()).await;
    let reply = house.client().await.post(CHAT, chat(false, 1)).await;
    (reply, house)
}

#[tokio::test]
async fn a_redirect_stays_within_the_gateway_or_is_no_answer() {
    for head in [
        "307 Temporary Redirect\r\nlocation: OWN/v1/completions?x=1",
        "308 Permanent Redirect\r\nlocation: /v1/completions?x=1",
    ] {
        let (reply, _house) = answered(head).await;
        assert!(matches!(reply.status, 307 | 308), "{}", reply.text());
        assert_eq!(reply.header("location"), Some("/v1/completions?x=1"));
    }
    for head in [
        "307 Temporary Redirect\r\nlocation: http://127.0.0.9:1/v1/completions",
        "302 Found\r\nlocation: OWN/login",
        "301 Moved Permanently\r\nlocation: //evil.example/v1/completions",
    ] {
        let (reply, house) = answered(head).await;
        let text = reply.text();
        assert_eq!((reply.status, reply.header("location")), (502, None), "{text}");
        assert_eq!(reply.json()["error"]["code"], "backend_redirects");
        assert!(text.contains("Plimsoll does not follow"), "{text}");
        house.until(|flying, _| flying == 0).await;
        let state = house.desk.snapshot().backends[0].breaker.state;
        assert_eq!(state, BreakerState::Passing, "it answers, and is not broken");
    }
    let (made, _house) = answered("201 Created\r\nlocation: http://127.0.0.9:1/x").await;
    assert_eq!((made.status, made.header("location")), (201, None));
}

#[tokio::test]
async fn a_slash_behind_a_known_path_does_not_reach_the_backend() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let lines = asked.clone();
    let server = Canned::answers(move |line| {
        lines.lock().unwrap().push(line.to_owned());
        bare("200 OK")
    })
    .await;
    let house = House::open(vec![backend("one", &server.url)], room(2), options()).await;
    for path in ["/v1/chat/completions/", "/v1/chat/completions/?a=b", "/v1/chat/completions"] {
        assert_eq!(house.client().await.post(path, chat(false, 1)).await.status, 200, "{path}");
    }
    let first = |path| format!("POST {path} HTTP/1.1");
    let want = [first(CHAT), first("/v1/chat/completions?a=b"), first(CHAT)];
    assert_eq!(*asked.lock().unwrap(), want);
}

#[tokio::test]
async fn a_key_for_some_models_is_told_of_these_alone() {
    let double = double(1, 2, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let models = ["Qwen/Qwen3-4B", "qwen3:4b", "llama"].map(Arc::from).to_vec();
    let one = Backend { models, ..backend("one", &double.url()) };
    house.table.send(Arc::new(Table::of([one]))).unwrap();
    let fresh = Fresh::make().unwrap();
    let models = vec!["qwen*".into(), "Qwen/*".into()];
    let kept = Kept { models, ..fresh.kept("one", 1) };
    house.keys.send_replace(Arc::new(Keys::new([kept])));
    let mut client = house.client().await;
    let ask = async |client: &mut crate::house::Client, path: &str, key: Option<&str>| {
        let mut request = client.request(path, "");
        *request.method_mut() = hyper::Method::GET;
        if let Some(key) = key {
            let value = format!("Bearer {key}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        client.send(request).await.unwrap()
    };
    for (key, want) in [
        (Some(&*fresh.key), &["Qwen/Qwen3-4B", "qwen3:4b"][..]),
        (None, &["Qwen/Qwen3-4B", "llama", "qwen3:4b"]),
    ] {
        let listed = ask(&mut client, "/v1/models", key).await.json();
        let listed: Vec<_> = listed["data"].as_array().unwrap().iter().collect();
        let ids: Vec<_> = listed.iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids, want);
        for (name, there) in [
            ("Qwen/Qwen3-4B", true),
            ("Qwen%2FQwen3-4B", true),
            ("qwen3%3A4b", true),
            ("llama", key.is_none()),
        ] {
            let one = ask(&mut client, &format!("/v1/models/{name}"), key).await;
            assert_eq!(one.status == 200, there, "{name}: {}", one.text());
        }
    }
}

#[tokio::test]
async fn who_waited_is_told_how_long_it_was_to_be_expected() {
    let double = double(1, 1_000_000, 10.0).await;
    let house = House::before(&double, room(1)).await;
    // So many must have ended before it is known what is usual.
    for _ in 0..5 {
        let reply = house.client().await.post(CHAT, chat(false, 8)).await;
        assert_eq!(reply.header("x-plimsoll-expected-wait-ms"), None, "it did not wait");
    }
    let mut first = house.client().await;
    let held = first.begin(first.request(CHAT, chat(true, 1_000_000))).await.unwrap();
    assert_eq!(held.headers().get("x-plimsoll-queue"), None);
    let mut client = house.client().await;
    let waits = tokio::spawn(async move { client.post(CHAT, chat(false, 8)).await });
    until(|| house.desk.snapshot().queued == 1).await;
    drop((first, held));
    let reply = waits.await.unwrap();
    assert_eq!((reply.status, reply.header("x-plimsoll-queue")), (200, Some("1")));
    let expected = reply.header("x-plimsoll-expected-wait-ms").unwrap();
    assert!(expected.parse::<u64>().unwrap() > 0, "{expected}");
}

/// All names of headers of that beginning in the sources below, as they are declared.
fn declared(dir: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            declared(&path, names);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let told = text.split("HeaderName::from_static(\"x-plimsoll-").skip(1);
            names.extend(told.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
}

#[test]
fn every_header_of_plimsolls_own_stands_in_the_table_and_nothing_else_does() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    declared(&here.join("src"), &mut names);
    let text = std::fs::read_to_string(here.join("../../docs/gateway.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let told = rows.iter().filter_map(|row| row.strip_prefix("| `x-plimsoll-")?.split_once('`'));
    let told: BTreeSet<String> = told.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(told, names);
    assert!(names.len() > 10, "{names:?}");
    for other in [
        "Authorization",
        "x-api-key",
        "api-key",
        "User-Agent",
        "Forwarded",
        "X-Forwarded-For",
        "X-Real-IP",
        "Via",
        "Host",
        "Origin",
        "Cache-Control",
        "Retry-After",
        "WWW-Authenticate",
    ] {
        let name = format!("`{other}`");
        assert!(rows.iter().any(|row| row.contains(&name)), "{other}");
    }
}
