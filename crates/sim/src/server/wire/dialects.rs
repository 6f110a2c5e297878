//! What llama.cpp speaks besides: OpenAI's `/v1/responses` and Anthropic's
//! `/v1/messages`, as its build 0.3.36 of the Python package was seen to answer.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{
        body::Form,
        engine::{Finish, Outcome},
    },
    ask::{word, words},
    open_ai::timings,
};

/// One answer of `/v1/responses`.
#[derive(Clone, Debug)]
pub struct Responses {
    pub number: u64,
    pub created: i64,
    pub model: String,
    pub seed: u64,
}

/// One answer of `/v1/messages`.
#[derive(Clone, Debug)]
pub struct Messages {
    pub number: u64,
    pub model: String,
    pub seed: u64,
    pub prompt: u32,
}

/// A server-sent event with its name, which stands in its data, too.
fn event(data: &Value) -> Bytes {
    let name = data["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

fn piece(seed: u64, number: u32) -> String {
    let word = word(seed, number);
    if number == 0 { word.to_owned() } else { format!(" {word}") }
}

fn joined(events: &[Value]) -> Bytes {
    events.iter().map(event).collect::<Vec<_>>().concat().into()
}

// === impl Responses ===

impl Responses {
    fn ids(&self) -> (String, String) {
        (format!("resp_{:032x}", self.number), format!("msg_{:032x}", self.number))
    }

    fn item(&self, text: &str) -> Value {
        json!({
            "type": "message", "status": "completed", "id": self.ids().1, "role": "assistant",
            "content": [part(text)],
        })
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

impl Form for Responses {
    fn head(&self) -> Option<Bytes> {
        let (response, item) = self.ids();
        let begun = json!({ "id": response, "object": "response", "status": "in_progress" });
        Some(joined(&[
            json!({ "type": "response.created", "response": begun }),
            json!({ "type": "response.in_progress", "response": begun }),
            json!({ "type": "response.output_item.added", "item": {
                "content": [], "id": item, "role": "assistant", "status": "in_progress",
                "type": "message",
            } }),
            json!({ "type": "response.content_part.added", "item_id": item,
                "part": { "type": "output_text", "text": "" } }),
        ]))
    }

    fn token(&self, number: u32) -> Bytes {
        event(&json!({
            "type": "response.output_text.delta", "item_id": self.ids().1,
            "delta": piece(self.seed, number),
        }))
    }

    fn tail(&self, outcome: &Outcome) -> Vec<Bytes> {
        let (text, item) = (words(self.seed, outcome.generated), self.ids().1);
        vec![joined(&[
            json!({ "type": "response.output_text.done", "item_id": item, "text": text }),
            json!({ "type": "response.content_part.done", "item_id": item, "part": part(&text) }),
            json!({ "type": "response.output_item.done", "item": self.item(&text) }),
            json!({ "type": "response.completed", "response": self.whole(outcome),
                "timings": timings(outcome) }),
        ])]
    }

    fn whole(&self, outcome: &Outcome) -> Value {
        json!({
            "id": self.ids().0, "object": "response", "status": "completed",
            "created_at": self.created, "completed_at": self.created, "model": self.model,
            "output": [self.item(&words(self.seed, outcome.generated))],
            "usage": {
                "input_tokens": outcome.prompt, "output_tokens": outcome.generated,
                "total_tokens": outcome.prompt + outcome.generated,
                "input_tokens_details": { "cached_tokens": outcome.cached },
            },
        })
    }

    fn garbage(&self) -> Bytes {
        Bytes::from_static(b"event: response.output_text.delta\ndata: {\"type\":\n\n")
    }
}

// === impl Messages ===

impl Messages {
    fn message(&self, content: &Value, stop: Option<&str>, usage: &Value) -> Value {
        json!({
            "id": format!("chatcmpl-{:032x}", self.number), "type": "message",
            "role": "assistant", "content": content, "model": self.model,
            "stop_reason": stop, "stop_sequence": null, "usage": usage,
        })
    }
}

fn stop(outcome: &Outcome) -> &'static str {
    if outcome.finish == Finish::Length { "max_tokens" } else { "end_turn" }
}

impl Form for Messages {
    fn head(&self) -> Option<Bytes> {
        let usage = json!({
            "cache_read_input_tokens": 0, "input_tokens": self.prompt, "output_tokens": 0,
        });
        Some(joined(&[
            json!({ "type": "message_start",
                "message": self.message(&json!([]), None, &usage) }),
            json!({ "type": "content_block_start", "index": 0,
                "content_block": { "type": "text", "text": "" } }),
        ]))
    }

    fn token(&self, number: u32) -> Bytes {
        let delta = json!({ "type": "text_delta", "text": piece(self.seed, number) });
        event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
    }

    fn tail(&self, outcome: &Outcome) -> Vec<Bytes> {
        vec![joined(&[
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "usage": { "output_tokens": outcome.generated },
                "delta": { "stop_reason": stop(outcome), "stop_sequence": null } }),
            json!({ "type": "message_stop" }),
        ])]
    }

    fn whole(&self, outcome: &Outcome) -> Value {
        let text = words(self.seed, outcome.generated);
        let usage = json!({
            "cache_read_input_tokens": outcome.cached,
            "input_tokens": outcome.prompt - outcome.cached,
            "output_tokens": outcome.generated,
        });
        let content = json!([{ "type": "text", "text": text }]);
        self.message(&content, Some(stop(outcome)), &usage)
    }

    fn garbage(&self) -> Bytes {
        Bytes::from_static(b"event: content_block_delta\ndata: {\"type\":\n\n")
    }
}
