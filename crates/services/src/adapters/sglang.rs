//! SGLang.
//!
//! - **`/health` generates a token** where the server is idle, and answers after a
//!   second at the soonest (unless `SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION=0`).
//!   It is never asked: looking would keep the GPU awake. That the server is there
//!   is told by `/metrics`, and without it by `/model_info`; older versions have
//!   `/get_model_info`, which newer ones answer with a warning in their log.
//!   The port opens when the model is loaded, and a dead scheduler takes the whole
//!   server with it.
//! - `/metrics` is there with `--enable-metrics` only. Labels `model_name`,
//!   `engine_type`, and ranks: `dp_rank` are engines of their own, which add up;
//!   `tp_rank`, `pp_rank` and `moe_ep_rank` work on the same requests and, with
//!   `--enable-metrics-for-all-schedulers`, tell them alike: the highest counts once.
//!   With priorities, `priority=""` is the total and the others are parts of it.
//! - `token_usage` goes from 0 to 1: the part of the KV cache that is used. The
//!   highest of several stands.
//! - `prompt_tokens_total` and `generation_tokens_total` are counted when a request
//!   **ends**, so a long answer shows as nothing and then as a jump; newer versions
//!   count `realtime_tokens_total{mode=prefill_compute|prefill_cache|decode}` as they
//!   go, which is taken where it is told. `gen_throughput` is a rate that stands
//!   still at its last value in some versions; rates here come from counts.
//! - Prefix cache: `cached_tokens_total` of `prompt_tokens_total`, by `cache_source`;
//!   with the counts above `prefill_cache` of both prefills.
//! - A retracted request is one that was set aside because the KV cache was full.
//! - With `--api-key`, `/health` and `/metrics` stay open, the rest wants the key.
//! - `/server_info` (before `/get_server_info`) asks the scheduler itself. It tells
//!   the version, the quantization and how many requests run at once; it is asked
//!   once after a start.

use async_trait::async_trait;
use plimsoll_core::metric::Metric;
use serde::Deserialize;
use serde_json::Value;

use super::{
    hints,
    tally::{self, Is, Line},
};
use crate::{
    adapter::{Adapter, Condition, Figure, Identity, Memory, Probe, Scrape},
    client::{CallError, Target},
    health,
    kind::ServiceKind,
    prometheus::{Exposition, Sample},
    service::{Basis, Hint, Loaded, MAX_MODELS, Model, Slots},
};

/// An SGLang server.
#[derive(Clone, Copy, Debug, Default)]
pub struct SgLang;

/// What every version tells.
const LINES: &[Line] = &[
    (Is::Amount(Metric::RequestsRunning), &["sglang:num_running_reqs"]),
    (Is::Amount(Metric::RequestsWaiting), &["sglang:num_queue_reqs"]),
    (Is::Total(Metric::RequestsFinished), &["sglang:num_requests_total"]),
    (Is::Share(Metric::KvUsed), &["sglang:token_usage"]),
    (Is::Total(Metric::Preemptions), &["sglang:num_retracted_requests_total"]),
    (Is::Total(Metric::TokensPrompt), &[PREFILL, "sglang:prompt_tokens_total"]),
    (Is::Total(Metric::TokensGenerated), &[DECODE, "sglang:generation_tokens_total"]),
    (Is::Total(Metric::PrefixQueries), &[PREFILL, "sglang:prompt_tokens_total"]),
    (Is::Total(Metric::PrefixHits), &[CACHED, "sglang:cached_tokens_total"]),
    (Is::Seconds(Metric::LatencyTtft), &["sglang:time_to_first_token_seconds"]),
    (
        Is::Seconds(Metric::LatencyItl),
        &["sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"],
    ),
    (Is::Seconds(Metric::LatencyQueue), &["sglang:queue_time_seconds"]),
    (Is::Seconds(Metric::LatencyE2e), &["sglang:e2e_request_latency_seconds"]),
];

/// The counts as they go, and the names that its modes are given here.
const REALTIME: &str = "sglang:realtime_tokens_total";
const PREFILL: &str = "realtime prefill";
const CACHED: &str = "realtime cached";
const DECODE: &str = "realtime decode";

/// Ranks that work on the same requests.
const SAME: [&str; 3] = ["tp_rank", "pp_rank", "moe_ep_rank"];

/// Looks between two questions for what hardly changes: models, and figures of a
/// server that had none.
const CALM_LOOKS: u32 = 60;
/// A scheduler that does not answer is not asked for ever.
const MOST_TRIES: u32 = 3;

#[derive(Default)]
struct Known {
    /// Looks until the models are asked again.
    calm: u32,
    /// Looks until the figures are asked again, of a server without them.
    without: u32,
    /// It is of the versions before `/model_info`.
    old: bool,
    info: Option<Info>,
    tries: u32,
    locked: bool,
}

/// Of `/server_info`, which tells all flags, a key included: no more than this is kept.
#[derive(Default)]
struct Info {
    quantization: Option<String>,
    slots: Option<u32>,
}

#[derive(Deserialize)]
struct Cards {
    data: Vec<Card>,
}

#[derive(Deserialize)]
struct Card {
    id: String,
    max_model_len: Option<u64>,
}

#[async_trait]
impl Adapter for SgLang {
    fn kind(&self) -> ServiceKind {
        ServiceKind::SgLang
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let cards = probe.get("/v1/models").await.ok()?;
        if matches!(cards.status, 401 | 403) {
            let told = probe.text("/metrics").await?;
            let wants_key = told.lines().any(is_its_own);
            return wants_key.then(|| Identity { wants_key, ..Identity::of(ServiceKind::SgLang) });
        }
        let cards: Value = cards.is_ok().then(|| cards.json().ok())??;
        let first = cards.pointer("/data/0")?;
        if first.get("owned_by")?.as_str()? != "sglang" {
            return None;
        }
        let info = match probe.json("/model_info").await {
            Some(info) => info,
            None => probe.json("/get_model_info").await?,
        };
        // What passes another's list of models on is not this server.
        info.get("model_path")?.as_str()?;
        let name = first.get("id").and_then(Value::as_str).map(Into::into);
        Some(Identity { name, ..Identity::of(ServiceKind::SgLang) })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let known = memory.of::<Known>();
        let mut scrape = Scrape::default();
        let told = if known.without > 0 { Ok(None) } else { figures(target).await };
        match told {
            Ok(Some(figures)) => scrape.figures = figures,
            Ok(None) => {
                known.without = known.without.checked_sub(1).unwrap_or(CALM_LOOKS);
                scrape.condition = known.look(target).await?;
                scrape.hints.push(Hint::advice(
                    "no-metrics",
                    "This server was started without --enable-metrics.",
                    "Start it with --enable-metrics to see its tokens, its queue and its KV cache.",
                ));
            }
            Err(error) if error.is_absent() => {
                // What comes back on this port may be another version with another model.
                *known = Known::default();
                return Err(error);
            }
            Err(error) => {
                scrape.condition = known.look(target).await?;
                scrape.hints.push(hints::unread(&error));
            }
        }
        if scrape.condition == Condition::Ready {
            known.ask_calmly(target, &mut scrape).await;
        }
        if known.locked {
            scrape.hints.push(hints::wants_a_key("its models"));
        }
        scrape.slots = known.slots(&scrape.figures);
        Ok(scrape)
    }
}

// === impl Known ===

impl Known {
    /// How it is, without `/health`.
    async fn look(&mut self, target: &Target) -> Result<Condition, CallError> {
        if !self.old {
            let answer = target.get("/model_info").await?;
            if answer.status != 404 {
                return Ok(health::judge(&answer));
            }
        }
        let answer = target.get("/get_model_info").await?;
        self.old = answer.is_ok();
        Ok(health::judge(&answer))
    }

    /// What hardly changes. Asked again at the next look where it was not told.
    async fn ask_calmly(&mut self, target: &Target, scrape: &mut Scrape) {
        if self.info.is_none() && self.tries < MOST_TRIES {
            self.tries += 1;
            if let Some(told) = server_info(target).await {
                scrape.version = told.get("version").and_then(Value::as_str).map(Into::into);
                self.info = Some(Info::of(&told));
                self.calm = 0;
            }
        }
        if self.calm > 0 {
            self.calm -= 1;
            return;
        }
        match target.get_json::<Cards>("/v1/models").await {
            Ok(cards) => {
                self.locked = false;
                self.calm = CALM_LOOKS;
                let cards = cards.data.into_iter().take(MAX_MODELS);
                scrape.models = Some(cards.map(|card| self.model(card)).collect());
            }
            Err(CallError::WantsKey { .. }) => {
                self.locked = true;
                self.calm = CALM_LOOKS;
            }
            Err(_) => {}
        }
    }

    fn model(&self, card: Card) -> Model {
        Model {
            quantization: self.info.as_ref().and_then(|info| info.quantization.clone()),
            context_tokens: card.max_model_len,
            ..Model::named(card.id, Loaded::Loaded)
        }
    }

    fn slots(&self, figures: &[Figure]) -> Option<Slots> {
        let total = self.info.as_ref().and_then(|info| info.slots);
        let busy = tally::amount(figures, Metric::RequestsRunning);
        let waiting = tally::amount(figures, Metric::RequestsWaiting);
        (total.is_some() || busy.is_some()).then_some(Slots {
            total,
            busy,
            waiting,
            basis: Basis::Told,
        })
    }
}

// === impl Info ===

impl Info {
    fn of(told: &Value) -> Self {
        let quantization = told.get("quantization").and_then(Value::as_str).map(Into::into);
        let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
        // Each engine says how many fit into its memory; the flag is what was asked for.
        let states = told.get("internal_states").and_then(Value::as_array);
        let fit = states.and_then(|states| {
            let mut each =
                states.iter().map(|s| number(s.get("effective_max_running_requests_per_dp")?));
            each.try_fold(0u32, |sum, one| Some(sum.saturating_add(one?))).filter(|&sum| sum > 0)
        });
        let slots = fit.or_else(|| number(told.get("max_running_requests")?));
        Self { quantization, slots }
    }
}

/// Before the first request there are only comments.
fn is_its_own(line: &str) -> bool {
    line.starts_with("sglang:") || line.starts_with("# HELP sglang:")
}

async fn server_info(target: &Target) -> Option<Value> {
    for path in ["/server_info", "/get_server_info"] {
        let answer = target.get(path).await.ok()?;
        if answer.status != 404 {
            return answer.ok().ok()?.json().ok();
        }
    }
    None
}

/// The figures; `None` where it was started without. Of a server that nobody has
/// asked anything yet they are none, too, and will come.
async fn figures(target: &Target) -> Result<Option<Vec<Figure>>, CallError> {
    let told = target.get("/metrics").await?;
    if matches!(told.status, 404 | 405) {
        return Ok(None);
    }
    let told = told.ok()?;
    let mut read = tally::read_with(told.text()?, LINES, &[REALTIME]);
    straighten(&mut read);
    Ok(Some(tally::figures(read, LINES, "model_name")))
}

/// Takes out what is told twice, and gives the modes of the realtime counts names.
fn straighten(read: &mut Exposition) {
    read.samples.retain(|sample| sample.label("priority").is_none_or(str::is_empty));
    tally::fold(read, &SAME);
    let mut cached = Vec::new();
    for sample in read.samples.iter_mut().filter(|sample| sample.name == REALTIME) {
        let name = match sample.label("mode") {
            Some("decode") => DECODE,
            Some("prefill_compute") => PREFILL,
            // Found in the cache, it is a part of the prompt and a hit.
            Some("prefill_cache") => {
                cached.push(Sample { name: CACHED.into(), ..sample.clone() });
                PREFILL
            }
            _ => continue,
        };
        sample.name = name.into();
    }
    read.samples.append(&mut cached);
}

#[cfg(test)]
mod tests {
    use super::{super::scripted::*, *};
    use crate::adapter::{Buckets, FigureValue};

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

    fn value(scrape: &Scrape, metric: Metric) -> &FigureValue {
        let mut told = scrape.figures.iter().filter(|figure| figure.metric == metric);
        let one = told.next().unwrap_or_else(|| panic!("no {metric:?}"));
        assert_eq!(told.next(), None, "{metric:?} is told once");
        &one.value
    }

    fn buckets(bounds: [(f64, f64); 2]) -> FigureValue {
        FigureValue::Buckets(Buckets { cumulative: bounds.to_vec() })
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
        for (metric, expected) in totals {
            assert_eq!(value(&scrape, metric), &FigureValue::Total(expected), "{metric:?}");
        }
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
        for (metric, expected) in totals {
            assert_eq!(value(&scrape, metric), &FigureValue::Total(expected), "{metric:?}");
        }
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
        assert_eq!(
            (model.quantization.as_deref(), model.context_tokens),
            (Some("fp8"), Some(131_072))
        );
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
}
