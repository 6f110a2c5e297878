//! Every adapter against answers that no server should give: nothing may panic,
//! hang or come out as a reading that is no number. The answers are a list of
//! known evils, and trees of JSON and lines of figures made by chance from words
//! that the protocols know, so that they get past the first look.

use std::{sync::Arc, time::Duration};

use plimsoll_services::{
    adapter::{Adapter, Memory, Probe, Scrape},
    adapters,
    client::{Bounds, Client, Limits, Target},
    normalise::Normaliser,
    service::{MAX_HINTS, MAX_MODELS},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A budget that is too short for a busy machine is one more evil, and no failure.
const BOUNDS: Bounds =
    Bounds { budget: Duration::from_millis(300), max_body: 1 << 20, connections: None };

/// Serves the same answer to whatever is asked, HTTP or not; answers where.
async fn serve(raw: Vec<u8>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let raw = Arc::new(raw);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let raw = raw.clone();
            tokio::spawn(async move { answer(stream, &raw).await });
        }
    });
    (place, task)
}

async fn answer(mut stream: TcpStream, raw: &[u8]) {
    let mut part = [0u8; 4096];
    // One read is one question: all of them are small.
    while matches!(stream.read(&mut part).await, Ok(n) if n > 0) {
        if stream.write_all(raw).await.is_err() {
            return;
        }
    }
}

fn http(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Identifies, looks twice, and brings both looks to readings.
async fn ask(adapter: &dyn Adapter, client: &Client, place: &str) {
    let scheme = adapter.kind().scheme();
    let target = Target::new(client, &format!("{scheme}://{place}"), None, BOUNDS).unwrap();
    let probe = Probe::new(target.clone());
    let _ = adapter.identify(&probe).await;
    let mut memory = Memory::default();
    let mut normaliser = Normaliser::new("x");
    for look in 0..2 {
        let told = adapter.scrape(&target, &mut memory).await;
        // A look that hangs would be cut off by its caller; here none may.
        let scrape = told.unwrap_or_else(|_| Scrape::default());
        let normal = normaliser.take(&scrape, look * 1000);
        for reading in &normal.readings {
            assert!(reading.number().is_finite(), "{:?}: {reading:?}", adapter.kind());
        }
        assert!(scrape.hints.len() <= MAX_HINTS, "{:?}", adapter.kind());
        let models = scrape.models.unwrap_or_default();
        assert!(models.len() <= 4 * MAX_MODELS, "{:?}: {}", adapter.kind(), models.len());
        for share in models.iter().filter_map(|model| model.gpu_share) {
            assert!((0.0..=1.0).contains(&share), "{:?}: {share}", adapter.kind());
        }
    }
    let _ = adapter.slots(&target).await;
}

async fn ask_all(raw: Vec<u8>) {
    let (place, server) = serve(raw).await;
    let client = Client::new(Limits::of(2, false)).unwrap();
    let asked = adapters::all().into_iter().map(|adapter| {
        let (client, place) = (client.clone(), place.clone());
        tokio::spawn(async move { ask(&*adapter, &client, &place).await })
    });
    for adapter in asked.collect::<Vec<_>>() {
        adapter.await.unwrap();
    }
    server.abort();
}

#[tokio::test]
async fn known_evils_hurt_no_adapter() {
    let json = "application/json";
    let text = "text/plain";
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let labels: String = (0..10_000).map(|i| format!("l{i}=\"v\",")).collect();
    let evils: Vec<Vec<u8>> = vec![
        Vec::new(),
        http("200 OK", json, b""),
        http("200 OK", json, b"null"),
        http("200 OK", json, b"[]"),
        http("200 OK", json, b"{}"),
        http("200 OK", json, b"\"x\""),
        http("200 OK", json, b"-1"),
        http("200 OK", json, b"{\"models\":null,\"data\":null,\"result\":null,\"version\":null}"),
        http("200 OK", json, b"{\"models\":{},\"data\":\"\",\"result\":[],\"version\":{\"a\":1}}"),
        http("200 OK", json, b"{\"data\":[null,1,\"x\",[],{}],\"models\":[null,1,\"x\",[],{}]}"),
        http("200 OK", json, deep.as_bytes()),
        http("200 OK", json, &[0xff, 0xfe, 0, 1]),
        http("200 OK", json, &vec![b'x'; 1 << 19]),
        http("200 OK", json, &vec![b'x'; 2 << 20]),
        http("200 OK", text, format!("vllm:num_requests_running{{{labels}}} 1\n").as_bytes()),
        http("200 OK", text, b"vllm:num_requests_running NaN\nvllm:kv_cache_usage_perc +Inf\n"),
        http("200 OK", "text/html", b"<!doctype html><title>Sign in</title>"),
        http("401 Unauthorized", json, b"{\"error\":\"no\"}"),
        http("404 Not Found", text, b"404 page not found"),
        http("500 Internal Server Error", json, b"{\"error\":{\"message\":[]}}"),
        http("503 Service Unavailable", json, b"{\"error\":{\"message\":\"Loading model\"}}"),
        http("302 Found", text, b""),
        b"-ERR unknown command\r\n".to_vec(),
        b"-NOAUTH Authentication required.\r\n".to_vec(),
        b"+PONG\r\n".to_vec(),
        b"$-1\r\n".to_vec(),
        b"$99999999999999999999\r\n".to_vec(),
        b"$5\r\nredis_version:\r\n".to_vec(),
        b"*1000000000\r\n".to_vec(),
        b":9223372036854775808\r\n".to_vec(),
        b"HTTP/1.1 999 \r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_vec(),
    ];
    // Each waits for its budget where a server keeps silent: all at once.
    let evils: Vec<_> = evils.into_iter().map(|raw| tokio::spawn(ask_all(raw))).collect();
    for evil in evils {
        evil.await.unwrap();
    }
}

/// Words of all protocols: a tree made of them is taken for an answer.
const WORDS: &[&str] = &[
    "models",
    "data",
    "id",
    "name",
    "model",
    "size",
    "size_vram",
    "expires_at",
    "context_length",
    "details",
    "quantization_level",
    "quantization",
    "state",
    "status",
    "value",
    "args",
    "meta",
    "n_ctx",
    "n_ctx_train",
    "total_slots",
    "model_path",
    "build_info",
    "is_processing",
    "version",
    "default_generation_settings",
    "max_model_len",
    "owned_by",
    "object",
    "result",
    "collections",
    "title",
    "commit",
    "max_context_length",
    "loaded_context_length",
    "type",
    "error",
    "message",
    "detail",
    "slots",
    "llamacpp",
    "list",
    "loaded",
    "is_sleeping",
    "max_total_num_tokens",
    "instances",
    "loaded_instances",
    "config",
    "params",
    "code",
    "app",
    "telemetry",
];

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop::sample::select(WORDS).prop_map(Into::into),
        Just("2999-12-31T23:59:59.999999999-12:00".into()),
        "\\PC{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::vec((prop::sample::select(WORDS), inner), 0..8).prop_map(|pairs| {
                serde_json::Value::Object(
                    pairs.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
                )
            }),
        ]
    })
}

/// Names of series of all engines.
const SERIES: &[&str] = &[
    "vllm:num_requests_running",
    "vllm:kv_cache_usage_perc",
    "vllm:prompt_tokens_total",
    "vllm:time_to_first_token_seconds_bucket",
    "llamacpp:requests_processing",
    "llamacpp:prompt_tokens_total",
    "sglang:num_running_reqs",
    "sglang:token_usage",
    "sglang:e2e_request_latency_seconds_bucket",
    "collections_total",
    "rest_responses_total",
];

fn lines() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<f64>().prop_map(|v| format!("{v:e}")),
        Just("NaN".to_string()),
        Just("+Inf".into()),
        Just("-5".into()),
        "[0-9eE.+-]{0,6}",
    ];
    let label = (
        prop::sample::select(&["le", "model_name", "engine", "status", "tp_rank"][..]),
        prop_oneof![Just("+Inf".to_string()), "[0-9.]{1,4}", "[a-z\\\\]{0,4}"],
    );
    let line = (prop::sample::select(SERIES), prop::collection::vec(label, 0..4), value).prop_map(
        |(name, labels, value)| {
            let labels: Vec<String> =
                labels.into_iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            format!("{name}{{{}}} {value}", labels.join(","))
        },
    );
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.join("\n"))
}

#[test]
fn answers_made_by_chance_hurt_no_adapter() {
    const CASES: u32 = 40;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // The same cases in every run: what fails once fails again.
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    for case in 0..CASES {
        let raw = if case % 2 == 0 {
            let body = tree().new_tree(&mut runner).unwrap().current().to_string();
            http("200 OK", "application/json", body.as_bytes())
        } else {
            let body = lines().new_tree(&mut runner).unwrap().current();
            http("200 OK", "text/plain; version=0.0.4", body.as_bytes())
        };
        runtime.block_on(ask_all(raw));
    }
}
