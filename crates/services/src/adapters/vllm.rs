//! vLLM.
//!
//! - `/health` is 200 while the engine lives and 503 when it died; it generates
//!   nothing. `/version` tells `{"version":"0.11.0"}`. The port opens when the
//!   model is loaded.
//! - `/metrics` is always there; with `--disable-log-stats` it has no `vllm:` series.
//!   Labels `model_name` and, since V1, `engine`: one for each data-parallel rank.
//!   Amounts, counts and buckets of several engines add up. **Of KV usage the highest
//!   stands**: each engine has a pool of its own and a request lives in one, so the
//!   fullest engine is the one that preempts; a mean would hide it. All of them are
//!   told by one process, so a restart takes all counts back to 0 together.
//! - `kv_cache_usage_perc` goes from 0 to 1 despite its name. Before 0.9.2 it was
//!   `gpu_cache_usage_perc`, and the prefix counters (in tokens) began with
//!   `gpu_prefix_cache_`; some versions tell both. Before 0.11 the time between
//!   tokens was `time_per_output_token_seconds`: the same intervals.
//! - A request that ended is counted by `finished_reason`, `abort` included: the
//!   client left, and the engine is free of it.
//! - With `--api-key`, what lies under `/v1` wants the key; health and figures do not.
//!   They may in later versions.
//! - It takes any number of requests and batches what fits: no number of slots.

use async_trait::async_trait;
use plimsoll_core::metric::Metric;
use serde::Deserialize;

use super::{
    cards::{Calm, Cards},
    hints,
    tally::{self, Is, Line},
};
use crate::{
    adapter::{Adapter, Figure, Identity, Memory, Probe, Scrape},
    client::{Answer, CallError, Target},
    health,
    kind::ServiceKind,
    service::{Basis, Hint, Slots},
};

/// A vLLM server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vllm;

const LINES: &[Line] = &[
    (Is::Amount(Metric::RequestsRunning), &["vllm:num_requests_running"]),
    (Is::Amount(Metric::RequestsWaiting), &["vllm:num_requests_waiting"]),
    (Is::Total(Metric::RequestsFinished), &["vllm:request_success_total"]),
    (Is::Total(Metric::TokensPrompt), &["vllm:prompt_tokens_total"]),
    (Is::Total(Metric::TokensGenerated), &["vllm:generation_tokens_total"]),
    (Is::Share(Metric::KvUsed), &["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"]),
    (Is::Total(Metric::Preemptions), &["vllm:num_preemptions_total"]),
    (
        Is::Total(Metric::PrefixQueries),
        &["vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"],
    ),
    (
        Is::Total(Metric::PrefixHits),
        &["vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"],
    ),
    (Is::Seconds(Metric::LatencyTtft), &["vllm:time_to_first_token_seconds"]),
    (
        Is::Seconds(Metric::LatencyItl),
        &["vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"],
    ),
    (Is::Seconds(Metric::LatencyQueue), &["vllm:request_queue_time_seconds"]),
    (Is::Seconds(Metric::LatencyE2e), &["vllm:e2e_request_latency_seconds"]),
];

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[async_trait]
impl Adapter for Vllm {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Vllm
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let cards = probe.get("/v1/models").await.ok()?;
        let wants_key = matches!(cards.status, 401 | 403);
        let name = if wants_key {
            // Its models are locked; its figures bear its name.
            let told = probe.text("/metrics").await?;
            if !told.lines().any(|line| line.starts_with("vllm:")) {
                return None;
            }
            None
        } else {
            let cards: Cards = cards.is_ok().then(|| cards.json().ok())??;
            let owner = cards.data.first()?.owned_by.as_deref();
            (owner == Some("vllm")).then(|| Some(cards.data[0].id.clone()))?
        };
        // What passes another's list of models on is not this server.
        let version = probe.json("/version").await?.get("version")?.as_str()?.to_string();
        let kind = ServiceKind::Vllm;
        Some(Identity { kind, version: Some(version), name, wants_key })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let (condition, told) =
            tokio::join!(health::look(target, "/version"), target.get("/metrics"));
        let calm = memory.of::<Calm>();
        // What comes back on this port may be another version with another model.
        let condition = condition.inspect_err(|_| *calm = Calm::default())?;
        let mut scrape = Scrape { condition, ..Scrape::default() };
        match figures(told) {
            Ok(figures) => scrape.figures = figures,
            Err(hint) => scrape.hints.push(hint),
        }
        scrape.slots = slots(&scrape.figures);
        if calm.due() {
            let (version, models) =
                tokio::join!(target.get_json::<Version>("/version"), calm.models(target));
            scrape.version = version.ok().map(|told| told.version);
            scrape.models = models;
        }
        if calm.locked {
            scrape.hints.push(hints::wants_a_key("its models"));
        }
        Ok(scrape)
    }
}

fn slots(figures: &[Figure]) -> Option<Slots> {
    let busy = tally::amount(figures, Metric::RequestsRunning)?;
    let waiting = tally::amount(figures, Metric::RequestsWaiting);
    Some(Slots { total: None, busy: Some(busy), waiting, basis: Basis::Told })
}

/// The figures, or why there are none.
fn figures(told: Result<Answer, CallError>) -> Result<Vec<Figure>, Hint> {
    let told = told.and_then(Answer::ok);
    let read = told.and_then(|answer| Ok(tally::read(answer.text()?, LINES)));
    match read {
        Ok(read) if !read.samples.is_empty() => Ok(tally::figures(read, LINES, "model_name")),
        Ok(_) => Err(Hint::advice(
            "no-metrics",
            "This server was started with --disable-log-stats.",
            "Start it without to see its tokens, its queue and its KV cache.",
        )),
        Err(CallError::WantsKey { .. }) => Err(hints::wants_a_key("its figures")),
        Err(error) => Err(hints::unread(&error)),
    }
}

#[cfg(test)]
mod tests;
