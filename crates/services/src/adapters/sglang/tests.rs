use super::{super::scripted::*, *};
use crate::adapter::FigureValue;

/// As 0.4 tells them.
const OLD: &str = r#"# HELP sglang:prompt_tokens_total Number of prefill tokens processed.
# TYPE sglang:prompt_tokens_total counter
sglang:prompt_tokens_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 8000.0
sglang:generation_tokens_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 7500.0
sglang:cached_tokens_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 2000.0
sglang:num_requests_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 40.0
sglang:token_usage{model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.28
sglang:cache_hit_rate{model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.0075
sglang:gen_throughput{model_name="meta-llama/Llama-3.1-8B-Instruct"} 86.5
sglang:num_running_reqs{model_name="meta-llama/Llama-3.1-8B-Instruct"} 6.0
sglang:num_queue_reqs{model_name="meta-llama/Llama-3.1-8B-Instruct"} 3.0
sglang:time_to_first_token_seconds_bucket{le="0.1",model_name="meta-llama/Llama-3.1-8B-Instruct"} 30.0
sglang:time_to_first_token_seconds_bucket{le="+Inf",model_name="meta-llama/Llama-3.1-8B-Instruct"} 40.0
sglang:time_per_output_token_seconds_bucket{le="0.02",model_name="meta-llama/Llama-3.1-8B-Instruct"} 7.0
sglang:time_per_output_token_seconds_bucket{le="+Inf",model_name="meta-llama/Llama-3.1-8B-Instruct"} 9.0
sglang:e2e_request_latency_seconds_bucket{le="1.0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 5.0
sglang:e2e_request_latency_seconds_bucket{le="+Inf",model_name="meta-llama/Llama-3.1-8B-Instruct"} 40.0
"#;

/// As 0.5.6 tells them with two engines, two cards each, all of them telling, and
/// with priorities.
const NEW: &str = r#"sglang:num_running_reqs{dp_rank="0",model_name="m",priority="",tp_rank="0"} 6.0
sglang:num_running_reqs{dp_rank="0",model_name="m",priority="",tp_rank="1"} 6.0
sglang:num_running_reqs{dp_rank="0",model_name="m",priority="5",tp_rank="0"} 6.0
sglang:num_running_reqs{dp_rank="1",model_name="m",priority="",tp_rank="0"} 2.0
sglang:num_running_reqs{dp_rank="1",model_name="m",priority="",tp_rank="1"} 2.0
sglang:num_queue_reqs{dp_rank="0",model_name="m",priority="",tp_rank="0"} 1.0
sglang:num_queue_reqs{dp_rank="0",model_name="m",priority="",tp_rank="1"} 1.0
sglang:token_usage{dp_rank="0",model_name="m",tp_rank="0"} 0.75
sglang:token_usage{dp_rank="1",model_name="m",tp_rank="0"} 0.25
sglang:num_retracted_requests_total{dp_rank="0",model_name="m",tp_rank="0"} 2.0
sglang:num_retracted_requests_total{dp_rank="0",model_name="m",tp_rank="1"} 2.0
sglang:realtime_tokens_total{dp_rank="0",mode="prefill_compute",model_name="m",tp_rank="0"} 600.0
sglang:realtime_tokens_total{dp_rank="0",mode="prefill_compute",model_name="m",tp_rank="1"} 600.0
sglang:realtime_tokens_total{dp_rank="0",mode="prefill_cache",model_name="m",tp_rank="0"} 300.0
sglang:realtime_tokens_total{dp_rank="1",mode="prefill_cache",model_name="m",tp_rank="0"} 100.0
sglang:realtime_tokens_total{dp_rank="0",mode="decode",model_name="m",tp_rank="0"} 5000.0
sglang:realtime_tokens_total{dp_rank="1",mode="decode",model_name="m",tp_rank="0"} 50.0
sglang:prompt_tokens_total{is_streaming="true",model_name="m"} 1.0
sglang:generation_tokens_total{is_streaming="true",model_name="m"} 1.0
sglang:cached_tokens_total{cache_source="device",model_name="m"} 1.0
sglang:num_requests_total{is_streaming="false",model_name="m"} 3.0
sglang:num_requests_total{is_streaming="true",model_name="m"} 4.0
sglang:inter_token_latency_seconds_bucket{le="0.02",model_name="m"} 7.0
sglang:inter_token_latency_seconds_bucket{le="+Inf",model_name="m"} 9.0
sglang:queue_time_seconds_bucket{dp_rank="0",le="0.1",model_name="m",tp_rank="0"} 2.0
sglang:queue_time_seconds_bucket{dp_rank="0",le="0.1",model_name="m",tp_rank="1"} 2.0
sglang:queue_time_seconds_bucket{dp_rank="0",le="+Inf",model_name="m",tp_rank="0"} 3.0
"#;

const CARDS: &str = r#"{"object":"list","data":[{"id":"meta-llama/Llama-3.1-8B-Instruct",
    "object":"model","created":1758000000,"owned_by":"sglang",
    "root":"meta-llama/Llama-3.1-8B-Instruct","max_model_len":131072}]}"#;

const MODEL_INFO: &str = r#"{"model_path":"meta-llama/Llama-3.1-8B-Instruct",
    "tokenizer_path":"meta-llama/Llama-3.1-8B-Instruct","is_generation":true,
    "preferred_sampling_params":null,"weight_version":"default"}"#;

const SERVER_INFO: &str = r#"{"model_path":"meta-llama/Llama-3.1-8B-Instruct","api_key":"sk-secret",
    "quantization":"fp8","max_running_requests":512,"dp_size":2,"version":"0.5.6",
    "internal_states":[{"effective_max_running_requests_per_dp":48},
                       {"effective_max_running_requests_per_dp":48}]}"#;

async fn serve(metrics: &str) -> Scripted {
    let server = Scripted::start().await;
    server
        .on("GET /metrics", 200, metrics)
        .on("GET /model_info", 200, MODEL_INFO)
        .on("GET /server_info", 200, SERVER_INFO)
        .on("GET /v1/models", 200, CARDS);
    server
}

#[tokio::test]
async fn figures_are_read_from_an_older_server() {
    let server = serve(OLD).await;
    let scrape = server.look(&SgLang).await.unwrap();
    assert_eq!((&scrape.condition, scrape.hints.len()), (&Condition::Ready, 0));
    assert_eq!(value(&scrape, Metric::RequestsRunning), &FigureValue::Gauge(6.0));
    assert_eq!(value(&scrape, Metric::RequestsWaiting), &FigureValue::Gauge(3.0));
    let FigureValue::Gauge(kv) = value(&scrape, Metric::KvUsed) else { panic!() };
    assert!((kv - 28.0).abs() < 1e-9, "{kv}");
    let totals = [
        (Metric::RequestsFinished, 40.0),
        (Metric::TokensPrompt, 8000.0),
        (Metric::TokensGenerated, 7500.0),
        (Metric::PrefixQueries, 8000.0),
        (Metric::PrefixHits, 2000.0),
    ];
    assert_totals(&scrape, &totals);
    let inf = f64::INFINITY;
    assert_eq!(value(&scrape, Metric::LatencyTtft), &buckets([(100.0, 30.0), (inf, 40.0)]));
    assert_eq!(value(&scrape, Metric::LatencyItl), &buckets([(20.0, 7.0), (inf, 9.0)]));
    assert_eq!(value(&scrape, Metric::LatencyE2e), &buckets([(1000.0, 5.0), (inf, 40.0)]));
}

#[tokio::test]
async fn engines_add_up_and_what_cards_tell_alike_counts_once() {
    let scrape = serve(NEW).await.look(&SgLang).await.unwrap();
    assert_eq!(value(&scrape, Metric::RequestsRunning), &FigureValue::Gauge(8.0));
    assert_eq!(value(&scrape, Metric::RequestsWaiting), &FigureValue::Gauge(1.0));
    assert_eq!(value(&scrape, Metric::KvUsed), &FigureValue::Gauge(75.0));
    let totals = [
        (Metric::RequestsFinished, 7.0),
        (Metric::Preemptions, 2.0),
        // The counts as they go, not those at a request's end.
        (Metric::TokensPrompt, 1000.0),
        (Metric::TokensGenerated, 5050.0),
        (Metric::PrefixQueries, 1000.0),
        (Metric::PrefixHits, 400.0),
    ];
    assert_totals(&scrape, &totals);
    let inf = f64::INFINITY;
    assert_eq!(value(&scrape, Metric::LatencyQueue), &buckets([(100.0, 2.0), (inf, 3.0)]));
}

#[tokio::test]
async fn version_quantization_and_slots_are_asked_once() {
    let server = serve(NEW).await;
    let (target, mut memory) = (server.target(), Memory::default());
    let scrape = SgLang.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(scrape.version.as_deref(), Some("0.5.6"));
    let model = &scrape.models.unwrap()[0];
    assert_eq!((model.quantization.as_deref(), model.context_tokens), (Some("fp8"), Some(131_072)));
    let slots = scrape.slots.unwrap();
    assert_eq!((slots.total, slots.busy, slots.waiting), (Some(96), Some(8), Some(1)));
    assert_eq!(server.asked(), ["GET /metrics", "GET /server_info", "GET /v1/models"]);
    for _ in 0..CALM_LOOKS {
        let scrape = SgLang.scrape(&target, &mut memory).await.unwrap();
        assert_eq!(server.asked(), ["GET /metrics"]);
        assert_eq!(scrape.slots.unwrap().total, Some(96));
    }
    SgLang.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(server.asked(), ["GET /metrics", "GET /v1/models"]);
}

#[tokio::test]
async fn what_it_holds_is_told_of_one_card_and_counts_for_all() {
    let held = |flags: &str, states: usize| {
        let state = format!(r#"{{{flags}"memory_usage":{{"weight":2.5,"kvcache":4,"graph":1}}}}"#);
        let told = format!(r#"{{"internal_states":[{}]}}"#, vec![state; states].join(","));
        let held = held(&serde_json::from_str(&told).unwrap()).unwrap();
        (held.weights_bytes.unwrap() >> 20, held.kv_bytes.unwrap() >> 20, held.basis)
    };
    assert_eq!(held("", 1), (2560, 4096, Basis::Told));
    assert_eq!(held(r#""tp_size":2,"pp_size":2,"#, 1), (10_240, 16_384, Basis::Told));
    assert_eq!(held(r#""tp_size":2,"dp_size":2,"#, 2), (10_240, 16_384, Basis::Told));
    let split = r#""tp_size":4,"dp_size":4,"enable_dp_attention":true,"#;
    assert_eq!(held(split, 4), (10_240, 16_384, Basis::Told));
    // What is no number, or not told by all, is not known.
    for states in [r#"[]"#, r#"[{"memory_usage":{"weight":"2"}}]"#, r#"[{}, 5, null]"#, "7"] {
        let told = format!(r#"{{"internal_states":{states}}}"#);
        assert_eq!(super::held(&serde_json::from_str(&told).unwrap()), None, "{states}");
    }
}

#[tokio::test]
async fn its_health_is_never_asked_because_that_generates() {
    let server = serve(NEW).await;
    let (target, mut memory) = (server.target(), Memory::default());
    for metrics in [200, 404, 500] {
        server.on("GET /metrics", metrics, if metrics == 200 { NEW } else { "" });
        for _ in 0..3 {
            let _ = SgLang.scrape(&target, &mut memory).await;
        }
    }
    SgLang.identify(&server.probe()).await.unwrap();
    let asked = server.asked();
    assert!(asked.iter().all(|asked| !asked.contains("/health")), "{asked:?}");
}

#[tokio::test]
async fn without_metrics_it_is_healthy_and_there_is_a_hint() {
    let server = serve("").await;
    server.on("GET /metrics", 404, r#"{"detail":"Not Found"}"#);
    let (target, mut memory) = (server.target(), Memory::default());
    let scrape = SgLang.scrape(&target, &mut memory).await.unwrap();
    assert_eq!((&scrape.condition, scrape.figures.len()), (&Condition::Ready, 0));
    assert_eq!(scrape.hints[0].id, "no-metrics");
    let slots = scrape.slots.unwrap();
    assert_eq!((slots.total, slots.busy), (Some(96), None), "unknown is not idle");
    server.asked();
    for _ in 0..10 {
        let scrape = SgLang.scrape(&target, &mut memory).await.unwrap();
        assert_eq!(scrape.hints[0].id, "no-metrics", "the hint stays");
        assert_eq!(server.asked(), ["GET /model_info"]);
    }
    // Started again with them, on the same port; nobody has asked it anything yet.
    server.on("GET /metrics", 200, "# HELP sglang:num_running_reqs The number of.\n");
    let mut seen = false;
    for _ in 0..=CALM_LOOKS {
        seen = SgLang.scrape(&target, &mut memory).await.unwrap().hints.is_empty();
    }
    assert!(seen);
}

#[tokio::test]
async fn figures_that_cannot_be_read_are_a_hint_and_no_fault_of_the_server() {
    let server = serve(NEW).await;
    server.on("GET /metrics", 500, "");
    let scrape = server.look(&SgLang).await.unwrap();
    assert_eq!(scrape.condition, Condition::Ready);
    let said = "answers /metrics with 500";
    assert!(scrape.hints[0].text.contains(said), "{:?}", scrape.hints);
    server.on("GET /model_info", 503, "");
    let scrape = server.look(&SgLang).await.unwrap();
    assert!(matches!(scrape.condition, Condition::Ailing(_)));
}

#[tokio::test]
async fn an_older_server_is_asked_by_the_older_path_alone() {
    let server = Scripted::start().await;
    server
        .on("GET /get_model_info", 200, MODEL_INFO)
        .on("GET /get_server_info", 200, r#"{"version":"0.4.3","max_running_requests":null}"#)
        .on("GET /v1/models", 200, CARDS);
    let (target, mut memory) = (server.target(), Memory::default());
    let scrape = SgLang.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(scrape.condition, Condition::Ready);
    assert_eq!((scrape.version.as_deref(), scrape.slots), (Some("0.4.3"), None));
    server.asked();
    SgLang.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(server.asked(), ["GET /get_model_info"]);
    let identity = SgLang.identify(&server.probe()).await.unwrap();
    assert_eq!(identity.name.as_deref(), Some("meta-llama/Llama-3.1-8B-Instruct"));
}

#[tokio::test]
async fn a_scheduler_that_does_not_answer_is_not_asked_for_ever() {
    let server = serve(NEW).await;
    server.on("GET /server_info", 500, "");
    let (target, mut memory) = (server.target(), Memory::default());
    for _ in 0..10 {
        SgLang.scrape(&target, &mut memory).await.unwrap();
    }
    let asked = server.asked();
    let tries = asked.iter().filter(|asked| *asked == "GET /server_info").count();
    assert_eq!(tries, 3);
}

#[tokio::test]
async fn after_it_was_away_everything_is_asked_anew() {
    let server = serve(NEW).await;
    let mut memory = Memory::default();
    SgLang.scrape(&server.target(), &mut memory).await.unwrap();
    server.asked();
    SgLang.scrape(&nobody().await, &mut memory).await.unwrap_err();
    SgLang.scrape(&server.target(), &mut memory).await.unwrap();
    assert_eq!(server.asked(), ["GET /metrics", "GET /server_info", "GET /v1/models"]);
}

#[tokio::test]
async fn a_server_with_a_key_tells_its_figures_and_is_known() {
    let server = serve(NEW).await;
    server.lock("/v1").lock("/model_info").lock("/server_info");
    let scrape = server.look(&SgLang).await.unwrap();
    assert_eq!((scrape.condition, scrape.models), (Condition::Ready, None));
    assert_eq!(scrape.hints[0].id, "wants-a-key");
    assert!(SgLang.identify(&server.probe()).await.unwrap().wants_key);
    // Without figures nothing is left that tells it from others.
    server.on("GET /metrics", 404, "");
    assert_eq!(SgLang.identify(&server.probe()).await, None);
    assert!(matches!(server.look(&SgLang).await.unwrap().condition, Condition::Locked(_)));
    let keyed = server.target_with_key();
    let scrape = SgLang.scrape(&keyed, &mut Memory::default()).await.unwrap();
    assert_eq!((scrape.condition, scrape.models.unwrap().len()), (Condition::Ready, 1));
}
