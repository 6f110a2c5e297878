//! What vLLM tells of itself.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::{
    engine::{BLOCK_TOKENS, Finish, Seconds},
    state::State,
};

/// `/v1/models`
pub fn models(state: &State, created: i64) -> Value {
    let model = &state.runners[0].model;
    json!({
        "object": "list",
        "data": [{
            "id": model.name, "object": "model", "created": created, "owned_by": "vllm",
            "root": model.name, "parent": null, "max_model_len": model.context,
            "permission": [{ "object": "model_permission", "allow_sampling": true }],
        }],
    })
}

/// `/metrics`
pub fn metrics(state: &State) -> String {
    let runner = &state.runners[0];
    let (engine, f) = (&runner.engine, &runner.engine.figures);
    let labels = format!("engine=\"0\",model_name={}", Value::from(runner.model.name.as_str()));
    let mut text = String::with_capacity(24 << 10);
    let mut one = |name: &str, kind: &str, more: &[(&str, f64)]| {
        let total = if kind == "counter" { "_total" } else { "" };
        let _ =
            writeln!(text, "# HELP vllm:{name}{total} {name}.\n# TYPE vllm:{name}{total} {kind}");
        for (extra, value) in more {
            let _ = writeln!(text, "vllm:{name}{total}{{{labels}{extra}}} {value:?}");
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "Python writes them as floats, too")]
    let count = |n: u64| n as f64;
    one("num_requests_running", "gauge", &[("", count(engine.running().len() as u64))]);
    one("num_requests_waiting", "gauge", &[("", count(engine.waiting() as u64))]);
    one("kv_cache_usage_perc", "gauge", &[("", engine.kv_used().unwrap_or(0.0))]);
    one("prefix_cache_queries", "counter", &[("", count(f.prompt))]);
    one("prefix_cache_hits", "counter", &[("", count(f.cached))]);
    one("num_preemptions", "counter", &[("", count(f.preemptions))]);
    one("prompt_tokens", "counter", &[("", count(f.prompt))]);
    one("generation_tokens", "counter", &[("", count(f.generated))]);
    let reason = |finish: Finish| count(f.ended[finish as usize]);
    one(
        "request_success",
        "counter",
        &[
            (",finished_reason=\"stop\"", reason(Finish::Stop)),
            (",finished_reason=\"length\"", reason(Finish::Length)),
            (",finished_reason=\"abort\"", reason(Finish::Abort)),
        ],
    );
    let blocks = runner.model.kv_blocks.unwrap_or(0);
    let config = format!(",block_size=\"{BLOCK_TOKENS}\",num_gpu_blocks=\"{blocks}\"");
    one("cache_config_info", "gauge", &[(&config, 1.0)]);
    for (name, seconds) in [
        ("time_to_first_token_seconds", &f.ttft),
        ("inter_token_latency_seconds", &f.between),
        ("e2e_request_latency_seconds", &f.whole),
        ("request_queue_time_seconds", &f.queue),
        ("request_inference_time_seconds", &f.inference),
        ("request_prefill_time_seconds", &f.prefill),
        ("request_decode_time_seconds", &f.decode),
    ] {
        histogram(&mut text, name, &labels, seconds);
    }
    text
}

fn histogram(text: &mut String, name: &str, labels: &str, seconds: &Seconds) {
    let _ = writeln!(text, "# HELP vllm:{name} {name}.\n# TYPE vllm:{name} histogram");
    let mut below = 0;
    for (bound, count) in seconds.bounds.iter().zip(&seconds.counts) {
        below += count;
        let _ = writeln!(text, "vllm:{name}_bucket{{{labels},le=\"{bound:?}\"}} {below}.0");
    }
    let all = seconds.count();
    let _ = writeln!(text, "vllm:{name}_bucket{{{labels},le=\"+Inf\"}} {all}.0");
    let _ = writeln!(text, "vllm:{name}_count{{{labels}}} {all}.0");
    let _ = writeln!(text, "vllm:{name}_sum{{{labels}}} {:?}", seconds.sum);
}
