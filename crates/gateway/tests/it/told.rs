//! What a client is told where it gets no whole answer, and what the log keeps of that.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use hyper::{Method, header};
use plimsoll_core::{request::Finish, traffic::Scope};
use plimsoll_gateway::{
    clients::{Fresh, Kept, Keys},
    route::Backend,
    serve::{Budgets, Options},
};
use plimsoll_services::kind::ServiceKind;
use plimsoll_sim::server::{Double, Spec};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    canned::Canned,
    faults::no_breaker,
    house::{CHAT, Client, House, Reply, backend, chat, double, options, room, row},
};

const TOKEN: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

/// A stream in chunks that begins so and has no end.
fn begun(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n",
        text.len()
    )
}

#[tokio::test]
async fn what_came_of_an_answer_that_ended_early_stands_in_its_row() {
    let open_ai = TOKEN.repeat(3);
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":\
                 {\"usage\":{\"input_tokens\":9,\"output_tokens\":0}}}\n\n";
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\
                 \"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n";
    let anthropic = start.to_owned() + &delta.repeat(3);
    for (path, answer, read) in [(CHAT, open_ai, None), ("/v1/messages", anthropic, Some(9))] {
        let server = Canned::answers(move |_| begun(&answer)).await;
        let house = House::open(vec![backend("one", &server.url)], no_breaker(2), options()).await;
        let mut client = house.client().await;
        let request = client.request(path, chat(true, 8));
        let body = client.begin(request).await.unwrap().into_body();
        let _ = body.collect().await;
        let row = row(&house.records, |row| row.finish == Finish::Failed).await;
        assert_eq!((row.tokens_in, row.tokens_out), (read, Some(3)), "{path}");
    }
}

#[tokio::test]
async fn who_leaves_or_is_cut_off_has_what_it_got_counted() {
    for left in [true, false] {
        let server = Canned::stays(begun(&TOKEN.repeat(4))).await;
        let budgets = Budgets { between: Duration::from_millis(50), ..Budgets::default() };
        let options = if left { options() } else { Options { budgets, ..options() } };
        let house = House::open(vec![backend("one", &server.url)], no_breaker(2), options).await;
        let mut client = house.client().await;
        let request = client.request(CHAT, chat(true, 8));
        let mut body = client.begin(request).await.unwrap().into_body();
        let mut heard = 0;
        while heard < 4 {
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            heard += String::from_utf8_lossy(&piece).matches("content").count();
        }
        let finish = if left {
            drop((body, client));
            Finish::Left
        } else {
            let _ = body.collect().await;
            Finish::TimedOut
        };
        let row = row(&house.records, |row| row.finish == finish).await;
        assert_eq!(row.tokens_out, Some(4), "{finish:?}");
    }
}

#[tokio::test]
async fn a_failure_names_the_row_that_it_has_in_the_log() {
    let double = double(1, 1, 0.0).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let mut down = backend("two", &double.url());
    (down.up, down.models) = (false, vec!["asleep".into()]);
    let house = House::open(vec![backend("one", &gone), down], no_breaker(2), options()).await;
    house.desk.up("two", false);
    let mut client = house.client().await;
    for (body, status) in [
        (chat(false, 1), 502),
        (chat(false, 1).replace("instant", "asleep"), 503),
        (chat(false, 1).replace("instant", "nothing"), 404),
        ("{".to_owned(), 400),
    ] {
        let reply = client.post(CHAT, body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        let id: i64 = reply.header("x-plimsoll-request").unwrap().parse().unwrap();
        assert_eq!(row(&house.records, |row| row.id == id).await.status, status);
    }
}

#[tokio::test]
async fn a_known_path_asked_for_in_another_way_says_which_ways_there_are() {
    let double = double(1, 1, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let mut client = house.client().await;
    for (method, path, allow) in [
        (Method::GET, CHAT, "POST"),
        (Method::OPTIONS, CHAT, "POST"),
        (Method::DELETE, "/api/chat", "POST"),
        (Method::POST, "/v1/models", "GET, HEAD"),
        (Method::OPTIONS, "/v1/models", "GET, HEAD"),
        (Method::PUT, "/metrics", "GET, HEAD"),
    ] {
        let mut request = client.request(path, "");
        *request.method_mut() = method.clone();
        let reply = client.send(request).await.unwrap();
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    assert_eq!(client.get("/v1/nothing").await.status, 404);
}

#[tokio::test]
async fn a_compressed_body_is_refused_with_what_is_wrong_with_it() {
    let double = double(1, 1, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let mut client = house.client().await;
    let mut request = client.request(CHAT, &b"\x1f\x8b\x08\x00"[..]);
    request.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
    let reply = client.send(request).await.unwrap();
    assert_eq!(reply.status, 415);
    assert!(reply.text().contains("Content-Encoding: gzip"), "{}", reply.text());
    let mut client = house.client().await;
    let mut request = client.request(CHAT, chat(false, 1));
    request.headers_mut().insert(header::CONTENT_ENCODING, "identity".parse().unwrap());
    assert_eq!(client.send(request).await.unwrap().status, 200);
}

/// Answers each request with what was asked for, by its method and path.
async fn echoes() -> Canned {
    Canned::answers(|line| {
        let text = json!({ "did": line.trim_end_matches(" HTTP/1.1") }).to_string();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{text}",
            text.len()
        )
    })
    .await
}

fn of_kind(id: &str, kind: ServiceKind, url: &str) -> Backend {
    Backend { kind: Some(kind), ..backend(id, url) }
}

/// Has one key with these scopes taken.
fn key(house: &House, scopes: Vec<Scope>) -> String {
    let fresh = Fresh::make().unwrap();
    let kept = Kept { scopes, ..fresh.kept("one", 1) };
    house.keys.send_replace(Arc::new(Keys::new([kept])));
    fresh.key
}

async fn asks(
    client: &mut Client,
    key: &str,
    (method, path, body): (Method, &str, &str),
    service: Option<&str>,
) -> Reply {
    let mut request = client.request(path, body.to_owned());
    *request.method_mut() = method;
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
    if let Some(service) = service {
        headers.insert("x-plimsoll-service", service.parse().unwrap());
    }
    client.send(request).await.unwrap()
}

#[tokio::test]
async fn the_scope_admin_opens_what_loads_unloads_pulls_and_deletes() {
    let server = echoes().await;
    let all = vec![
        of_kind("o", ServiceKind::Ollama, &server.url),
        of_kind("v", ServiceKind::Vllm, &server.url),
        of_kind("l", ServiceKind::LlamaCpp, &server.url),
    ];
    // To unload is how room is made: there is none.
    let house = House::open(all, room(0), options()).await;
    let mut client = house.client().await;
    let (post, model) = (Method::POST, r#"{"model":"new"}"#);
    let lora = r#"{"lora_name":"x","lora_path":"/x"}"#;
    let admin = key(&house, vec![Scope::Admin]);
    for (method, path, body, id) in [
        (post.clone(), "/api/pull", model, "o"),
        (post.clone(), "/api/pull", r#"{"name":"new"}"#, "o"),
        (Method::DELETE, "/api/delete", model, "o"),
        (post.clone(), "/v1/load_lora_adapter", lora, "v"),
        (post.clone(), "/v1/unload_lora_adapter", lora, "v"),
        (post.clone(), "/models/load", model, "l"),
        (post.clone(), "/models/unload", r#"{"model":"instant"}"#, "l"),
    ] {
        let reply = asks(&mut client, &admin, (method.clone(), path, body), None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.json()["did"], format!("{method} {path}"));
        assert_eq!(reply.header("x-plimsoll-backend"), Some(id), "{path}");
    }
    let files = asks(&mut client, &admin, (Method::GET, "/v1/files", ""), None).await;
    assert_eq!((files.status, files.header("allow")), (405, Some("POST")));
    let none = key(&house, Vec::new());
    for path in ["/api/pull", "/models/load", "/v1/load_lora_adapter"] {
        let reply = asks(&mut client, &none, (post.clone(), path, model), None).await;
        assert_eq!(reply.status, 403, "{path}");
        assert!(reply.text().contains("scope `admin`"), "{}", reply.text());
    }
}

#[tokio::test]
async fn where_several_services_could_be_meant_one_has_to_be_named() {
    let server = echoes().await;
    let mut second = of_kind("o2", ServiceKind::Ollama, &server.url);
    second.models = vec!["other:latest".into()];
    let all = vec![of_kind("o1", ServiceKind::Ollama, &server.url), second];
    let house = House::open(all, room(1), options()).await;
    let mut client = house.client().await;
    let admin = key(&house, vec![Scope::Admin]);
    let pull = |model: &str| json!({ "model": model }).to_string();
    for (model, service, status, backend) in [
        ("new", None, 400, None),
        ("new", Some("nobody"), 400, None),
        ("new", Some("o2"), 200, Some("o2")),
        ("instant", None, 200, Some("o1")),
        ("other", None, 200, Some("o2")),
    ] {
        let asked = (Method::POST, "/api/pull", &*pull(model));
        let reply = asks(&mut client, &admin, asked, service).await;
        assert_eq!(reply.status, status, "{model} {service:?}: {}", reply.text());
        assert_eq!(reply.header("x-plimsoll-backend"), backend, "{model} {service:?}");
        if status == 400 {
            assert!(reply.text().contains("o1, o2"), "{}", reply.text());
        }
    }
}

#[tokio::test]
async fn ollamas_own_lists_are_those_of_the_ollamas_behind() {
    let spec = Spec::named("ollama").unwrap();
    let name = spec.models[0].name.clone();
    let ollama = Double::start(spec).await.unwrap();
    let server = echoes().await;
    let mut own = of_kind("o", ServiceKind::Ollama, &ollama.url());
    own.models = vec![name.as_str().into()];
    let mut shows = of_kind("s", ServiceKind::Ollama, &server.url);
    (shows.models, shows.up) = (vec!["shown".into()], false);
    let house = House::open(vec![own, shows], room(1), options()).await;
    let mut client = house.client().await;
    let told = client.get("/api/tags").await.json();
    let of = |name: &str| {
        let models = told["models"].as_array().unwrap();
        models.iter().find(|model| model["name"] == name).unwrap().clone()
    };
    assert!(of(&name)["size"].as_u64().unwrap() > 0, "{told}");
    assert!(!of(&name)["digest"].as_str().unwrap().is_empty(), "{told}");
    assert_ne!(of(&name)["modified_at"], "1970-01-01T00:00:00Z");
    // What does not answer is listed as it is known.
    assert_eq!(of("shown")["size"], 0);

    let running = client.get("/api/ps").await;
    assert_eq!(running.status, 200, "{}", running.text());
    assert!(running.json()["models"].is_array(), "{}", running.text());
    let shown = client.post("/api/show", r#"{"model":"shown"}"#).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert_eq!(shown.json()["did"], "POST /api/show");
    let none = client.post("/api/show", r#"{"model":"nobody"}"#).await;
    assert_eq!(none.status, 404);
}
