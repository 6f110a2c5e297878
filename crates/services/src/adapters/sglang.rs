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
//!   the version, the quantization, how many requests run at once, and what weights and
//!   KV cache take of one card, in GiB; it is asked once after a start.

use async_trait::async_trait;
use plimsoll_core::metric::Metric;
use serde_json::Value;

use super::{
    cards::{CALM_LOOKS, Calm},
    hints,
    tally::{self, Is, Line},
};
use crate::{
    adapter::{Adapter, Condition, Figure, Held, Identity, Memory, Probe, Scrape},
    client::{CallError, Target},
    health,
    kind::ServiceKind,
    prometheus::{Exposition, Sample},
    service::{Basis, Hint, Slots},
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

/// A scheduler that does not answer is not asked for ever.
const MOST_TRIES: u32 = 3;

#[derive(Default)]
struct Known {
    calm: Calm,
    /// Looks until the figures are asked again, of a server without them.
    without: u32,
    /// It is of the versions before `/model_info`.
    old: bool,
    info: Option<Info>,
    tries: u32,
}

/// Of `/server_info`, which tells all flags, a key included: no more than this is kept.
#[derive(Default)]
struct Info {
    quantization: Option<String>,
    slots: Option<u32>,
    held: Option<Held>,
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
        if known.calm.locked {
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
                let info = Info::of(&told);
                scrape.held = info.held;
                self.info = Some(info);
                self.calm.hurry();
            }
        }
        if !self.calm.due() {
            return;
        }
        scrape.models = self.calm.models(target).await;
        let quantization = self.info.as_ref().and_then(|info| info.quantization.as_ref());
        for model in scrape.models.iter_mut().flatten() {
            model.quantization = quantization.cloned();
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
        Self { quantization, slots, held: held(told) }
    }
}

/// What weights and KV cache take of all cards. Each engine tells it of its first card;
/// the others that share its work hold as much.
fn held(told: &Value) -> Option<Held> {
    let states = told.get("internal_states")?.as_array()?;
    let all = |part: &str| {
        let mut each = states.iter().map(|state| {
            let gib = state.get("memory_usage")?.get(part)?.as_f64()?;
            let bytes = gib * f64::from(1 << 30) * cards(state);
            (bytes.is_finite() && bytes >= 0.0).then_some(bytes)
        });
        each.try_fold(0.0, |sum, one| Some(sum + one?)).map(|bytes| bytes as u64)
    };
    let held = Held { weights_bytes: all("weight"), kv_bytes: all("kvcache"), basis: Basis::Told };
    (!states.is_empty() && (held.weights_bytes, held.kv_bytes) != (None, None)).then_some(held)
}

/// Cards of one engine, by its flags. With attention split by requests the engines
/// share the cards.
fn cards(state: &Value) -> f64 {
    let flag = |name: &str| state.get(name).and_then(Value::as_u64).filter(|&n| n > 0).unwrap_or(1);
    let split = state.get("enable_dp_attention").and_then(Value::as_bool) == Some(true);
    let shared = if split { flag("dp_size") } else { 1 };
    (flag("tp_size").saturating_mul(flag("pp_size")) as f64 / shared as f64).max(1.0)
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
mod tests;
