//! What llama.cpp tells of itself.

use serde_json::{Value, json};

use super::super::{runner::Memory, spec::Spec, state::State};

/// `/props`
pub fn props(spec: &Spec, state: &State) -> Value {
    let runner = &state.runners[0];
    let model = &runner.model;
    json!({
        "default_generation_settings": { "params": {}, "n_ctx": model.context },
        "total_slots": model.slots,
        "model_alias": model.name,
        "model_ftype": model.quantization,
        "model_path": format!("/models/{}.gguf", model.name),
        "modalities": { "vision": false, "video": false, "audio": false },
        "endpoint_slots": spec.slots,
        "endpoint_props": false,
        "endpoint_metrics": spec.metrics,
        "chat_template": "",
        "build_info": spec.version,
        "is_sleeping": runner.memory == Memory::Out,
    })
}

/// `/v1/models`
pub fn models(state: &State, created: i64) -> Value {
    let model = &state.runners[0].model;
    let capabilities = if model.embeds { "embedding" } else { "completion" };
    json!({
        "models": [{ "name": model.name, "model": model.name, "modified_at": "", "size": "",
            "type": "model", "capabilities": [capabilities] }],
        "object": "list",
        "data": [{
            "id": model.name, "object": "model", "created": created, "owned_by": "llamacpp",
            "meta": { "n_ctx": model.context, "n_ctx_train": model.context_trained,
                "n_embd": model.dimensions, "size": model.size_bytes,
                "ftype": model.quantization },
        }],
    })
}

/// `/slots`
pub fn slots(state: &State) -> Value {
    let runner = &state.runners[0];
    let slot = |(id, who): (usize, &Option<u64>)| {
        let mut slot = json!({
            "id": id, "n_ctx": runner.model.context, "speculative": false,
            "is_processing": who.is_some(),
        });
        if let Some(last) = runner.engine.last()[id] {
            slot["id_task"] = (last & 0xffff_ffff).into();
        }
        if let Some(job) = who.and_then(|who| runner.engine.find(who)) {
            slot["n_prompt_tokens"] = job.wish.prompt.into();
            slot["n_prompt_tokens_processed"] =
                (job.wish.prompt.saturating_sub(job.cached + job.to_prefill)).into();
            slot["n_prompt_tokens_cache"] = job.cached.into();
            slot["next_token"] = json!([{
                "has_next_token": true, "n_decoded": job.generated,
                "n_remain": job.wish.tokens - job.generated,
            }]);
        }
        slot
    };
    runner.engine.slots().iter().enumerate().map(slot).collect()
}

/// `/metrics`
pub fn metrics(state: &State) -> String {
    let engine = &state.runners[0].engine;
    let f = &engine.figures;
    #[expect(clippy::cast_precision_loss, reason = "it writes them as doubles, too")]
    let count = |n: u64| n as f64;
    let s = |us: u64| count(us) / 1e6;
    let per = |n: u64, us: u64| if us > 0 { count(n) / s(us) } else { 0.0 };
    let items = [
        (
            "prompt_tokens_total",
            "counter",
            "Number of prompt tokens processed, excluding cached tokens",
            count(f.computed),
        ),
        (
            "prompt_tokens_cached_total",
            "counter",
            "Number of prompt tokens reused from the cache",
            count(f.cached),
        ),
        ("prompt_seconds_total", "counter", "Total time spent processing prompts", s(f.prompt_us)),
        (
            "tokens_predicted_total",
            "counter",
            "Number of generation tokens processed",
            count(f.generated_ended),
        ),
        (
            "tokens_predicted_seconds_total",
            "counter",
            "Total time spent generating tokens",
            s(f.generated_ended_us),
        ),
        ("n_decode_total", "counter", "Total number of llama_decode() calls", count(f.steps)),
        (
            "n_tokens_max",
            "counter",
            "Largest observed sequence length (prompt + generation)",
            count(f.longest),
        ),
        (
            "prompt_tokens_seconds",
            "gauge",
            "Average prompt throughput in tokens/s",
            per(f.computed, f.prompt_us),
        ),
        (
            "predicted_tokens_seconds",
            "gauge",
            "Average generation throughput in tokens/s",
            per(f.generated_ended, f.generated_ended_us),
        ),
        (
            "requests_processing",
            "gauge",
            "Number of requests processing",
            count(engine.running().len() as u64),
        ),
        (
            "requests_deferred",
            "gauge",
            "Number of requests deferred",
            count(engine.waiting() as u64),
        ),
        (
            "n_busy_slots_per_decode",
            "gauge",
            "Average number of busy slots per llama_decode() call",
            count(f.busy_in_steps) / count(f.steps.max(1)),
        ),
    ];
    items
        .map(|(name, kind, help, value)| {
            let value = six_digits(value);
            format!(
                "# HELP llamacpp:{name} {help}\n# TYPE llamacpp:{name} {kind}\n\
                 llamacpp:{name} {value}\n"
            )
        })
        .concat()
}

/// As C++ writes a double where nothing else is said: with six digits, so that large
/// totals come rounded.
fn six_digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".into();
    }
    let exact = format!("{value:.5e}");
    let (digits, exponent) = exact.split_once('e').unwrap_or((&exact, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or(0);
        let plain = format!("{value:.places$}");
        return if plain.contains('.') {
            plain.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            plain
        };
    }
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_written_with_six_digits() {
        let told = [0.0, 3.0, 1200.0, 342.857_142, 123_456.0, 1_234_567.0, 1e6, 0.000_012_3];
        assert_eq!(
            told.map(six_digits),
            ["0", "3", "1200", "342.857", "123456", "1.23457e+06", "1e+06", "1.23e-05"]
        );
    }
}
