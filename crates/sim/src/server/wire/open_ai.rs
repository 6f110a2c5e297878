//! The protocol that all three speak, each with its own accent.
//!
//! - llama.cpp's first chunk has `content: null`; its usage comes in a chunk without
//!   choices (of a completion in the last one, asked for or not), and the last chunk has
//!   `timings`.
//! - vLLM's first chunk has `content: ""`, and each choice has `logprobs`.
//! - Ollama has no chunk before the first token, and says `fp_ollama`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{body::Form, engine::Outcome, spec::Speaks},
    ask::{Ask, word, words},
};

/// One answer of a chat or a completion.
#[derive(Clone, Debug)]
pub struct OpenAi {
    pub speaks: Speaks,
    pub chat: bool,
    pub id: String,
    pub created: i64,
    pub model: String,
    pub version: String,
    pub usage: bool,
    pub seed: u64,
}

const DONE: &[u8] = b"data: [DONE]\n\n";

// === impl OpenAi ===

impl OpenAi {
    pub fn new(speaks: Speaks, chat: bool, ask: &Ask<'_>, number: u64) -> Self {
        let kind = if chat || speaks == Speaks::LlamaCpp { "chatcmpl" } else { "cmpl" };
        let id = match speaks {
            Speaks::Ollama => format!("{kind}-{}", number % 1000),
            _ => format!("{kind}-{:032x}", u128::from(number) | (1 << 120)),
        };
        Self {
            speaks,
            chat,
            id,
            created: 0,
            model: String::new(),
            version: String::new(),
            usage: ask.include_usage(),
            seed: ask.text().map_or(0, super::ask::Text::seed),
        }
    }

    fn fingerprint(&self) -> Option<&str> {
        match self.speaks {
            Speaks::LlamaCpp => Some(&self.version),
            Speaks::Vllm => None,
            Speaks::Ollama => Some("fp_ollama"),
        }
    }

    fn frame(&self, streamed: bool, choices: Value) -> Value {
        let object = match (self.chat, streamed) {
            (true, true) => "chat.completion.chunk",
            (true, false) => "chat.completion",
            (false, _) => "text_completion",
        };
        let mut frame = json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model,
            "choices": choices,
        });
        if let Some(fingerprint) = self.fingerprint() {
            frame["system_fingerprint"] = fingerprint.into();
        }
        frame
    }

    fn choice(&self, delta: Value, finish: Value) -> Value {
        let mut choice = json!({ "index": 0, "finish_reason": finish });
        if self.chat {
            choice["delta"] = delta;
        } else {
            choice["text"] = delta;
        }
        if self.speaks == Speaks::Vllm || !self.chat {
            choice["logprobs"] = Value::Null;
        }
        json!([choice])
    }

    fn piece(&self, text: &str, first: bool) -> Value {
        match (self.chat, self.speaks) {
            (false, _) => text.into(),
            (true, Speaks::Ollama) => json!({ "role": "assistant", "content": text }),
            (true, _) if first => json!({ "role": "assistant", "content": text }),
            (true, _) => json!({ "content": text }),
        }
    }

    fn usage(&self, outcome: &Outcome) -> Value {
        let mut usage = json!({
            "prompt_tokens": outcome.prompt,
            "completion_tokens": outcome.generated,
            "total_tokens": outcome.prompt + outcome.generated,
        });
        if self.speaks == Speaks::LlamaCpp {
            usage["prompt_tokens_details"] = json!({ "cached_tokens": outcome.cached });
        }
        usage
    }
}

impl Form for OpenAi {
    fn head(&self) -> Option<Bytes> {
        let content = match self.speaks {
            _ if !self.chat => return None,
            Speaks::LlamaCpp => Value::Null,
            Speaks::Vllm => "".into(),
            Speaks::Ollama => return None,
        };
        let delta = json!({ "role": "assistant", "content": content });
        Some(event(&self.frame(true, self.choice(delta, Value::Null))))
    }

    fn token(&self, number: u32) -> Bytes {
        let word = word(self.seed, number);
        let piece = if number == 0 { word.to_owned() } else { format!(" {word}") };
        event(&self.frame(true, self.choice(self.piece(&piece, false), Value::Null)))
    }

    fn tail(&self, outcome: &Outcome) -> Vec<Bytes> {
        let finish = json!(outcome.finish);
        let delta = match (self.chat, self.speaks) {
            (true, Speaks::LlamaCpp) => json!({}),
            _ => self.piece("", false),
        };
        let mut last = vec![self.frame(true, self.choice(delta, finish))];
        if self.speaks == Speaks::LlamaCpp && !self.chat {
            last[0]["usage"] = self.usage(outcome);
        } else if self.usage {
            let mut usage = self.frame(true, json!([]));
            usage["usage"] = self.usage(outcome);
            last.push(usage);
        }
        if self.speaks == Speaks::LlamaCpp
            && let Some(last) = last.last_mut()
        {
            last["timings"] = timings(outcome);
        }
        last.iter().map(event).chain([Bytes::from_static(DONE)]).collect()
    }

    fn whole(&self, outcome: &Outcome) -> Value {
        let text = words(self.seed, outcome.generated);
        let mut choice = json!({ "index": 0, "finish_reason": outcome.finish });
        if self.chat {
            choice["message"] = json!({ "role": "assistant", "content": text });
        } else {
            choice["text"] = text.into();
        }
        if self.speaks == Speaks::Vllm {
            choice["logprobs"] = Value::Null;
            choice["stop_reason"] = Value::Null;
        }
        let mut answer = self.frame(false, json!([choice]));
        answer["usage"] = self.usage(outcome);
        if self.speaks == Speaks::LlamaCpp {
            answer["timings"] = timings(outcome);
        }
        answer
    }

    fn garbage(&self) -> Bytes {
        Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\n\n")
    }
}

/// One server-sent event.
fn event(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}

/// What llama.cpp adds of its own.
pub fn timings(outcome: &Outcome) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a request")]
    let ms = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1000.0;
    let prompt_n = outcome.prompt - outcome.cached;
    let prompt_ms = ms(outcome.admitted, outcome.first);
    let predicted_ms = ms(outcome.first, outcome.ended);
    let per = |count: u32, ms: f64| (ms / f64::from(count.max(1)), f64::from(count) / ms * 1000.0);
    let (prompt_each, prompt_rate) = per(prompt_n, prompt_ms);
    let (predicted_each, predicted_rate) = per(outcome.generated, predicted_ms);
    // What took no time has no rate that JSON knows.
    let finite = |rate: f64| if rate.is_finite() { rate } else { 0.0 };
    json!({
        "cache_n": outcome.cached,
        "prompt_n": prompt_n,
        "prompt_ms": prompt_ms,
        "prompt_per_token_ms": prompt_each,
        "prompt_per_second": finite(prompt_rate),
        "predicted_n": outcome.generated,
        "predicted_ms": predicted_ms,
        "predicted_per_token_ms": predicted_each,
        "predicted_per_second": finite(predicted_rate),
    })
}
