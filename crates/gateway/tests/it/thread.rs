//! One request through, and back, byte for byte.

use hyper::Request;

use crate::house::{CHAT, Client, House, chat, double, options, room, spec, tokens_of, with_key};

#[tokio::test]
async fn an_answer_is_the_backends_own_byte_for_byte() {
    let double = double(4, 8, 0.0).await;
    let house = House::before(&double, room(4)).await;
    let direct = Client::to(double.address()).await.post(CHAT, chat(false, 8)).await;
    let through = house.client().await.post(CHAT, chat(false, 8)).await;
    assert_eq!(through.status, 200, "{}", through.text());
    let without_time = |text: &str| {
        let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
        let told = value.as_object_mut().unwrap();
        for name in ["created", "id", "timings"] {
            told.remove(name);
        }
        value
    };
    assert_eq!(without_time(through.text()), without_time(direct.text()));
    assert_eq!(through.header("x-plimsoll-backend"), Some("one"));
    assert!(through.header("x-plimsoll-request").is_some());
    assert_eq!(through.header("x-plimsoll-wait-ms"), Some("0"));
}

#[tokio::test]
async fn a_stream_comes_whole_and_its_end_with_it() {
    let double = double(4, 16, 1.0).await;
    let house = House::before(&double, room(4)).await;
    let reply = house.client().await.post(CHAT, chat(true, 16)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(tokens_of(reply.text()), 16, "{}", reply.text());
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    house.until(|flying, waiting| flying == 0 && waiting == 0).await;
}

// MV9
#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let double = double(4, 4, 0.0).await;
    let house = House::before(&double, room(4)).await;
    let mut client = house.client().await;
    for turn in 0..20 {
        let reply = client.post(CHAT, chat(turn % 2 == 0, 4)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let stats = double.stats();
    assert_eq!((stats.requests, stats.finished), (20, 20));
    assert_eq!(stats.connections_in_all, 1, "the connection to the backend is kept");
}

#[tokio::test]
async fn the_backends_key_takes_the_place_of_the_clients() {
    let mut spec = spec(2, 4, 0.0);
    spec.key = Some("sk-of-the-backend".into());
    let double = plimsoll_sim::server::Double::start(spec).await.unwrap();
    let backend = with_key(crate::house::backend("one", &double.url()), "sk-of-the-backend");
    let house = House::open(vec![backend], room(2), options()).await;
    let mut client = house.client().await;
    let mut request = client.request(CHAT, chat(false, 4));
    request.headers_mut().insert("authorization", "Bearer sk-of-the-client".parse().unwrap());
    let reply = client.send(request).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
}

// AR9
#[tokio::test]
async fn models_health_and_figures_are_told_without_a_backend() {
    let double = double(1, 4, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let mut client = house.client().await;
    let models = client.get("/v1/models").await.json();
    assert_eq!(models["data"][0]["id"], "instant");
    assert_eq!(client.get("/v1/models/instant").await.status, 200);
    assert_eq!(client.get("/v1/models/other").await.status, 404);
    assert_eq!(client.get("/health").await.status, 200);
    assert_eq!(client.get("/ready").await.status, 200);
    assert_eq!(client.get("/metrics").await.text(), "plimsoll_up 1\n");
    assert_eq!(double.stats().control + double.stats().requests, 0);
}

#[tokio::test]
async fn errors_of_the_backend_pass_as_they_are() {
    let mut spec = spec(1, 4, 0.0);
    spec.models[0].context = 64;
    let double = plimsoll_sim::server::Double::start(spec).await.unwrap();
    let house = House::before(&double, room(1)).await;
    let long = format!(
        r#"{{"model":"instant","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "word ".repeat(500)
    );
    let direct = Client::to(double.address()).await.post(CHAT, long.clone()).await;
    let through = house.client().await.post(CHAT, long).await;
    assert_eq!(direct.status, 400);
    assert_eq!((through.status, through.text()), (direct.status, direct.text()));
}

#[tokio::test]
async fn what_is_not_served_is_said_in_the_words_of_its_api() {
    let double = double(1, 4, 0.0).await;
    let house = House::before(&double, room(1)).await;
    let mut client = house.client().await;
    let unknown = client.post(CHAT, chat(false, 1).replace("instant", "instont")).await;
    assert_eq!(unknown.status, 404);
    let error = unknown.json();
    assert_eq!(error["error"]["code"], "model_not_found");
    assert!(error["error"]["message"].as_str().unwrap().contains("instant"), "{error}");
    for path in ["/slots", "/api/pull", "/v1/load_lora_adapter", "/props"] {
        let reply = client.post(path, r#"{"model":"instant"}"#).await;
        assert!(matches!(reply.status, 403 | 404), "{path}: {}", reply.status);
    }
    let bad = client.post(CHAT, "{\"model\": ").await;
    assert_eq!((bad.status, bad.json()["error"]["code"].as_str()), (400, Some("invalid_body")));
    let ollama = client.post("/api/chat", r#"{"model":"nobody"}"#).await;
    assert!(ollama.json()["error"].is_string(), "{}", ollama.text());
    let claude = client.post("/v1/messages", r#"{"model":"nobody"}"#).await;
    assert_eq!(claude.json()["type"], "error");
    let request = Request::delete("/v1/models/instant").header("host", "localhost");
    let reply = client.send(request.body(Default::default()).unwrap()).await.unwrap();
    assert_eq!(reply.status, 403, "to delete a model is administration");
    assert_eq!(double.stats().requests, 0);
}
