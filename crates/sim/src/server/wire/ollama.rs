//! Ollama's own protocol: JSON in lines, durations in nanoseconds.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::{
        body::Form,
        engine::{Outcome, Us},
        runner::{Memory, Runner},
        spec::ModelSpec,
        state::State,
    },
    ask::{word, words},
};

/// Centuries ahead: it stays for ever.
const FOR_EVER_MS: i64 = 9_223_372_036_854;

/// One answer of `/api/generate` or `/api/chat`.
#[derive(Clone, Debug)]
pub struct Native {
    pub chat: bool,
    pub model: String,
    pub created_ms: i64,
    pub seed: u64,
    pub load_us: Us,
}

pub fn moment(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
}

// === impl Native ===

impl Native {
    fn said(&self, text: &str, done: bool) -> Value {
        let mut line = json!({
            "model": self.model, "created_at": moment(self.created_ms), "done": done,
        });
        if self.chat {
            line["message"] = json!({ "role": "assistant", "content": text });
        } else {
            line["response"] = text.into();
        }
        line
    }

    /// What stands in the last line.
    fn counted(&self, mut line: Value, outcome: &Outcome) -> Value {
        let ns = |from: Us, to: Us| to.saturating_sub(from).saturating_mul(1000);
        line["done_reason"] = json!(outcome.finish);
        line["total_duration"] = ns(outcome.arrived, outcome.ended).into();
        line["load_duration"] = self.load_us.saturating_mul(1000).into();
        line["prompt_eval_count"] = outcome.prompt.into();
        line["prompt_eval_duration"] = ns(outcome.admitted, outcome.first).into();
        line["eval_count"] = outcome.generated.into();
        line["eval_duration"] = ns(outcome.first, outcome.ended).into();
        line
    }

    /// A question without words: it only loads or unloads.
    pub fn empty(&self, reason: &str) -> Value {
        let mut line = self.said("", true);
        line["done_reason"] = reason.into();
        line
    }
}

impl Form for Native {
    fn head(&self) -> Option<Bytes> {
        None
    }

    fn token(&self, number: u32) -> Bytes {
        let word = word(self.seed, number);
        let piece = if number == 0 { word.to_owned() } else { format!(" {word}") };
        line(&self.said(&piece, false))
    }

    fn tail(&self, outcome: &Outcome) -> Vec<Bytes> {
        vec![line(&self.counted(self.said("", true), outcome))]
    }

    fn whole(&self, outcome: &Outcome) -> Value {
        self.counted(self.said(&words(self.seed, outcome.generated), true), outcome)
    }

    fn garbage(&self) -> Bytes {
        Bytes::from_static(b"{\"model\":\"half a\n")
    }
}

pub fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

fn details(model: &ModelSpec) -> Value {
    json!({
        "parent_model": "", "format": "gguf", "family": model.family,
        "families": [model.family], "parameter_size": model.parameters,
        "quantization_level": model.quantization,
    })
}

fn digest(model: &ModelSpec) -> String {
    let seed = super::ask::Text(&model.name).seed();
    format!("{seed:016x}").repeat(4)
}

/// `/api/tags`
pub fn tags(state: &State, wall_ms: i64) -> Value {
    let tag = |runner: &Runner| {
        let model = &runner.model;
        json!({
            "name": model.name, "model": model.name,
            "modified_at": moment(wall_ms - 86_400_000),
            "size": model.size_bytes, "digest": digest(model), "details": details(model),
        })
    };
    json!({ "models": state.runners.iter().map(tag).collect::<Vec<_>>() })
}

/// `/api/ps`
pub fn ps(state: &State, now: Us, wall: impl Fn(Us) -> i64) -> Value {
    let run = |runner: &Runner| {
        let model = &runner.model;
        let expires_ms = match (runner.memory, runner.keep) {
            (Memory::Out, _) => return None,
            // While it loads this is the year 1.
            (Memory::Loading(_), _) => None,
            (Memory::In, None) => Some(FOR_EVER_MS),
            (Memory::In, Some(keep)) => {
                let since = if runner.engine.is_idle() { runner.idle_since } else { now };
                Some(wall(since.saturating_add(keep)))
            }
        };
        Some(json!({
            "name": model.name, "model": model.name, "digest": digest(model),
            "size": model.size_bytes, "size_vram": model.vram_bytes,
            "expires_at": expires_ms.map_or("0001-01-01T00:00:00Z".into(), moment),
            "context_length": model.context, "details": details(model),
        }))
    };
    json!({ "models": state.runners.iter().filter_map(run).collect::<Vec<_>>() })
}

/// The place of a model; a name without a tag means `:latest`.
pub fn find(state: &State, name: &str) -> Option<usize> {
    let bare = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_owned();
    state.runners.iter().position(|runner| bare(&runner.model.name) == bare(name))
}
