//! What is said of each model's answer, as a choice among several.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::refuse::Refused;

/// Tokens of all answers together, as their servers counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    prompt: u64,
    completion: u64,
    known: bool,
}

// === impl Usage ===

impl Usage {
    /// Adds what a server says; of what it does not say nothing is known.
    pub fn add(&mut self, usage: &Value) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        let (prompt, completion) = (count("prompt_tokens"), count("completion_tokens"));
        self.known |= prompt.is_some() || completion.is_some();
        self.prompt = self.prompt.saturating_add(prompt.unwrap_or(0));
        self.completion = self.completion.saturating_add(completion.unwrap_or(0));
    }

    pub fn value(self) -> Option<Value> {
        self.known.then(|| {
            json!({
                "prompt_tokens": self.prompt,
                "completion_tokens": self.completion,
                "total_tokens": self.prompt.saturating_add(self.completion),
            })
        })
    }
}

/// Marks every choice of a chunk, or of a whole answer, as the one of model `at` of `of`. A
/// model that gives several has them at its place, and `of` further on each.
pub fn place(answer: &mut Value, at: usize, of: usize, name: &str) {
    let Some(choices) = answer.get_mut("choices").and_then(Value::as_array_mut) else { return };
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        let own = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        let own = usize::try_from(own).unwrap_or(0);
        choice.insert("index".into(), json!(own.saturating_mul(of).saturating_add(at)));
        choice.insert("model".into(), json!(name));
    }
}

/// It gives an answer at all.
pub fn has_choice(answer: &Value) -> bool {
    answer.get("choices").and_then(Value::as_array).is_some_and(|all| !all.is_empty())
}

/// A chunk that says why its choice ends.
pub fn ends_choice(chunk: &Value) -> bool {
    let choices = chunk.get("choices").and_then(Value::as_array);
    choices.is_some_and(|all| all.iter().any(|choice| choice["finish_reason"].is_string()))
}

/// The last piece of a choice that failed. Its `error` stands in the choice: one beside the
/// choices ends the whole stream for OpenAI's own clients.
pub fn failed(at: usize, name: &str, why: &Refused, part: &str) -> Value {
    let empty =
        if part == "delta" { json!({}) } else { json!({ "role": "assistant", "content": null }) };
    json!({
        "index": at,
        "model": name,
        part: empty,
        "finish_reason": "error",
        "error": { "message": why.message, "code": why.code, "status": why.status.as_u16() },
    })
}

/// A whole answer as one chunk, of a server that does not stream.
pub fn as_chunk(mut whole: Value) -> Value {
    if let Some(choices) = whole.get_mut("choices").and_then(Value::as_array_mut) {
        for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
            if let Some(message) = choice.remove("message") {
                choice.insert("delta".into(), message);
            }
        }
    }
    whole
}

/// The frame of a chunk or of an answer: the first server's own, where there is one.
pub fn frame(like: Option<&Value>, id: &str, object: &str, model: &str) -> Map<String, Value> {
    // A server that does not say when it began leaves it open; clients insist on a number.
    let created = like.and_then(|like| like.get("created")).filter(|created| created.is_u64());
    let created = created.cloned().unwrap_or(json!(0));
    let mut frame = Map::new();
    frame.insert("id".into(), json!(id));
    frame.insert("object".into(), json!(object));
    frame.insert("created".into(), created);
    frame.insert("model".into(), json!(model));
    frame
}

pub fn event(chunk: &Value) -> Bytes {
    format!("data: {chunk}\n\n").into()
}

/// What a server says is wrong, in whatever shape.
pub fn complaint(answer: &Value) -> Option<String> {
    let error = answer.get("error")?;
    let text = error.as_str().or_else(|| error.get("message").and_then(Value::as_str))?;
    Some(text.chars().filter(|c| !c.is_control()).take(500).collect())
}
