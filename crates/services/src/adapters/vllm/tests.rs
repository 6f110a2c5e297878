use super::{
    super::{cards::CALM_LOOKS, scripted::*},
    *,
};
use crate::{
    adapter::{Condition, FigureValue},
    normalise::Normaliser,
    service::Loaded,
};

/// Two engines of one model, as 0.11 tells them, cut to what matters.
const NEW: &str = r#"# HELP python_gc_objects_collected_total Objects collected during gc
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{generation="0"} 12345.0
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 3.0
vllm:num_requests_running{engine="1",model_name="Qwen/Qwen3-8B"} 5.0
vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3-8B"} 0.0
vllm:num_requests_waiting{engine="1",model_name="Qwen/Qwen3-8B"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen3-8B"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="Qwen/Qwen3-8B"} 0.9375
vllm:prefix_cache_queries_total{engine="0",model_name="Qwen/Qwen3-8B"} 4000.0
vllm:prefix_cache_queries_total{engine="1",model_name="Qwen/Qwen3-8B"} 1000.0
vllm:prefix_cache_queries_created{engine="0",model_name="Qwen/Qwen3-8B"} 1.7e+09
vllm:prefix_cache_hits_total{engine="0",model_name="Qwen/Qwen3-8B"} 3000.0
vllm:prefix_cache_hits_total{engine="1",model_name="Qwen/Qwen3-8B"} 250.0
vllm:num_preemptions_total{engine="0",model_name="Qwen/Qwen3-8B"} 0.0
vllm:num_preemptions_total{engine="1",model_name="Qwen/Qwen3-8B"} 7.0
vllm:prompt_tokens_total{engine="0",model_name="Qwen/Qwen3-8B"} 4000.0
vllm:prompt_tokens_total{engine="1",model_name="Qwen/Qwen3-8B"} 1000.0
vllm:generation_tokens_total{engine="0",model_name="Qwen/Qwen3-8B"} 1.25e+06
vllm:generation_tokens_total{engine="1",model_name="Qwen/Qwen3-8B"} 750000.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="Qwen/Qwen3-8B"} 40.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="Qwen/Qwen3-8B"} 8.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="Qwen/Qwen3-8B"} 2.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1",model_name="Qwen/Qwen3-8B"} 30.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="Qwen/Qwen3-8B"} 50.0
vllm:time_to_first_token_seconds_bucket{engine="1",le="0.1",model_name="Qwen/Qwen3-8B"} 1.0
vllm:time_to_first_token_seconds_bucket{engine="1",le="+Inf",model_name="Qwen/Qwen3-8B"} 2.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="Qwen/Qwen3-8B"} 50.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="Qwen/Qwen3-8B"} 6.5
vllm:inter_token_latency_seconds_bucket{engine="0",le="0.025",model_name="Qwen/Qwen3-8B"} 9.0
vllm:inter_token_latency_seconds_bucket{engine="0",le="+Inf",model_name="Qwen/Qwen3-8B"} 10.0
vllm:request_queue_time_seconds_bucket{engine="0",le="0.3",model_name="Qwen/Qwen3-8B"} 50.0
vllm:request_queue_time_seconds_bucket{engine="0",le="+Inf",model_name="Qwen/Qwen3-8B"} 50.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="0.3",model_name="Qwen/Qwen3-8B"} 0.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="+Inf",model_name="Qwen/Qwen3-8B"} 50.0
"#;

/// As 0.8 tells them; 0.9.2 told KV usage and the prefix counters under both names.
const OLD: &str = r#"vllm:num_requests_running{engine="0",model_name="m"} 1.0
vllm:gpu_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:gpu_prefix_cache_queries_total{engine="0",model_name="m"} 100.0
vllm:gpu_prefix_cache_hits_total{engine="0",model_name="m"} 60.0
vllm:time_per_output_token_seconds_bucket{engine="0",le="0.05",model_name="m"} 4.0
vllm:time_per_output_token_seconds_bucket{engine="0",le="+Inf",model_name="m"} 4.0
"#;

const BOTH: &str = r#"vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 100.0
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 60.0
vllm:inter_token_latency_seconds_bucket{engine="0",le="0.05",model_name="m"} 4.0
vllm:inter_token_latency_seconds_bucket{engine="0",le="+Inf",model_name="m"} 4.0
"#;

const CARDS: &str = r#"{"object":"list","data":[
    {"id":"Qwen/Qwen3-8B","object":"model","created":1758000000,"owned_by":"vllm",
     "root":"Qwen/Qwen3-8B","parent":null,"max_model_len":32768,"permission":[]},
    {"id":"sql-lora","object":"model","created":1758000000,"owned_by":"vllm",
     "root":"/loras/sql","parent":"Qwen/Qwen3-8B","max_model_len":null,"permission":[]}]}"#;

async fn serve(metrics: &str) -> Scripted {
    let server = Scripted::start().await;
    server
        .on("GET /health", 200, "")
        .on("GET /version", 200, r#"{"version":"0.11.0"}"#)
        .on("GET /v1/models", 200, CARDS)
        .on("GET /metrics", 200, metrics);
    server
}

#[tokio::test]
async fn several_engines_are_one_service() {
    let server = serve(NEW).await;
    let scrape = server.look(&Vllm).await.unwrap();
    assert_eq!((&scrape.condition, &*scrape.hints), (&Condition::Ready, &[][..]));
    assert_eq!(scrape.version.as_deref(), Some("0.11.0"));
    let gauges = [
        (Metric::RequestsRunning, 8.0),
        (Metric::RequestsWaiting, 2.0),
        // The fullest engine, not 59 % as a mean.
        (Metric::KvUsed, 93.75),
    ];
    for (metric, expected) in gauges {
        assert_eq!(value(&scrape, metric), &FigureValue::Gauge(expected), "{metric:?}");
    }
    let totals = [
        (Metric::RequestsFinished, 50.0),
        (Metric::TokensPrompt, 5000.0),
        (Metric::TokensGenerated, 2e6),
        (Metric::Preemptions, 7.0),
        (Metric::PrefixQueries, 5000.0),
        (Metric::PrefixHits, 3250.0),
    ];
    assert_totals(&scrape, &totals);
    let histograms = [
        (Metric::LatencyTtft, [(100.0, 31.0), (f64::INFINITY, 52.0)]),
        (Metric::LatencyItl, [(25.0, 9.0), (f64::INFINITY, 10.0)]),
        (Metric::LatencyQueue, [(300.0, 50.0), (f64::INFINITY, 50.0)]),
        (Metric::LatencyE2e, [(300.0, 0.0), (f64::INFINITY, 50.0)]),
    ];
    for (metric, expected) in histograms {
        assert_eq!(value(&scrape, metric), &buckets(expected), "{metric:?}");
    }
    let slots = scrape.slots.unwrap();
    assert_eq!((slots.total, slots.busy, slots.waiting), (None, Some(8), Some(2)));
    let models = scrape.models.unwrap();
    assert_eq!(models[0].context_tokens, Some(32_768));
    assert_eq!((&*models[1].name, models[1].context_tokens), ("sql-lora", None));
    assert!(models.iter().all(|model| model.loaded == Loaded::Loaded));
}

#[tokio::test]
async fn old_names_new_names_and_both_at_once_come_to_the_same() {
    let both = format!("{OLD}{BOTH}");
    for metrics in [OLD, BOTH, &both] {
        let scrape = serve(metrics).await.look(&Vllm).await.unwrap();
        let kv = value(&scrape, Metric::KvUsed);
        assert_eq!(kv, &FigureValue::Gauge(50.0), "{metrics}");
        let queries = value(&scrape, Metric::PrefixQueries);
        assert_eq!(queries, &FigureValue::Total(100.0), "{metrics}");
        assert_eq!(value(&scrape, Metric::PrefixHits), &FigureValue::Total(60.0));
        let itl = buckets([(50.0, 4.0), (f64::INFINITY, 4.0)]);
        assert_eq!(value(&scrape, Metric::LatencyItl), &itl);
    }
}

#[tokio::test]
async fn several_models_add_up_to_one_service() {
    let metrics = "vllm:num_requests_running{model_name=\"a\"} 1\n\
        vllm:num_requests_running{model_name=\"b\"} 2\n\
        vllm:generation_tokens_total{model_name=\"a\"} 10\n\
        vllm:generation_tokens_total{model_name=\"b\"} 20\n\
        vllm:kv_cache_usage_perc{model_name=\"a\"} 0.5\n\
        vllm:kv_cache_usage_perc{model_name=\"b\"} 0.25\n";
    let scrape = serve(metrics).await.look(&Vllm).await.unwrap();
    assert_eq!(scrape.slots.unwrap().busy, Some(3));
    let normal = Normaliser::new("vllm").take(&scrape, 0);
    assert_eq!(normal.figures.running, Some(3.0));
    assert_eq!(normal.figures.kv_used_percent, Some(50.0));
    let tokens = normal.readings.iter().find(|r| r.metric == Metric::TokensGenerated);
    assert_eq!(tokens.unwrap().number(), 30.0);
}

#[tokio::test]
async fn a_look_asks_two_things_and_only_what_generates_nothing() {
    let server = serve(NEW).await;
    let (target, mut memory) = (server.target(), Memory::default());
    Vllm.scrape(&target, &mut memory).await.unwrap();
    let first = server.asked();
    assert_eq!(first, ["GET /health", "GET /metrics", "GET /v1/models", "GET /version"]);
    for look in 0..CALM_LOOKS {
        let scrape = Vllm.scrape(&target, &mut memory).await.unwrap();
        assert_eq!(server.asked(), ["GET /health", "GET /metrics"], "look {look}");
        assert_eq!(scrape.models, None, "not asked is not none");
    }
    Vllm.scrape(&target, &mut memory).await.unwrap();
    assert!(server.asked().contains(&"GET /v1/models".to_string()));
}

#[tokio::test]
async fn after_it_was_away_everything_is_asked_anew() {
    let server = serve(NEW).await;
    let mut memory = Memory::default();
    Vllm.scrape(&server.target(), &mut memory).await.unwrap();
    server.asked();
    Vllm.scrape(&nobody().await, &mut memory).await.unwrap_err();
    server.on("GET /version", 200, r#"{"version":"0.12.0"}"#);
    let scrape = Vllm.scrape(&server.target(), &mut memory).await.unwrap();
    assert_eq!(scrape.version.as_deref(), Some("0.12.0"));
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_dead_engine_is_told_by_its_health() {
    let server = serve(NEW).await;
    server.on("GET /health", 503, "");
    let scrape = server.look(&Vllm).await.unwrap();
    assert_eq!(scrape.condition, Condition::Ailing("answers /health with 503".into()));
}

#[tokio::test]
async fn without_figures_there_is_a_hint_and_nothing_is_zero() {
    let server = serve("process_resident_memory_bytes 1.0\n").await;
    let scrape = server.look(&Vllm).await.unwrap();
    assert_eq!((scrape.figures.len(), scrape.slots), (0, None));
    assert_eq!(scrape.hints[0].id, "no-metrics");
    assert!(scrape.hints[0].text.contains("--disable-log-stats"));
    server.on("GET /metrics", 500, "");
    let scrape = server.look(&Vllm).await.unwrap();
    assert!(scrape.hints[0].text.contains("answers /metrics with 500"), "{:?}", scrape.hints);
    assert_eq!(scrape.condition, Condition::Ready, "its figures are not its health");
}

#[tokio::test]
async fn with_a_key_its_models_are_told_and_without_there_is_a_hint() {
    let server = serve(NEW).await;
    server.lock("/v1");
    let (target, mut memory) = (server.target(), Memory::default());
    for _ in 0..3 {
        let scrape = Vllm.scrape(&target, &mut memory).await.unwrap();
        assert_eq!((scrape.condition, scrape.models), (Condition::Ready, None));
        assert_eq!(scrape.hints[0].id, "wants-a-key", "the hint stays");
    }
    let keyed = server.target_with_key();
    let scrape = Vllm.scrape(&keyed, &mut Memory::default()).await.unwrap();
    assert_eq!((scrape.models.unwrap().len(), scrape.hints.len()), (2, 0));
}

#[tokio::test]
async fn it_is_known_by_its_models_and_its_version() {
    let server = serve(NEW).await;
    let identity = Vllm.identify(&server.probe()).await.unwrap();
    assert_eq!(identity.version.as_deref(), Some("0.11.0"));
    assert_eq!(identity.name.as_deref(), Some("Qwen/Qwen3-8B"));
    server.lock("/v1");
    let identity = Vllm.identify(&server.probe()).await.unwrap();
    assert!(identity.wants_key);
    // Another server with the same paths.
    server.on("GET /metrics", 200, "llamacpp:requests_processing 0\n");
    assert_eq!(Vllm.identify(&server.probe()).await, None);
    let other = Scripted::start().await;
    other
        .on("GET /v1/models", 200, r#"{"object":"list","data":[{"id":"m","owned_by":"sglang"}]}"#)
        .on("GET /version", 200, r#"{"version":"1"}"#);
    assert_eq!(Vllm.identify(&other.probe()).await, None);
    // Another's list, passed on by a proxy without a version.
    other.on("GET /v1/models", 200, CARDS).on("GET /version", 404, "");
    assert_eq!(Vllm.identify(&other.probe()).await, None);
}
