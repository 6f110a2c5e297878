//! What each client asks, second by second.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, header};
use plimsoll_core::request::{Endpoint, Priority};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    noise::Noise,
    scenario::{Activity, ScenarioError},
    server::{
        inside::{Finish, Wish},
        words,
    },
};

const CLIENTS: &str = include_str!("../../scenarios/clients.toml");
/// What it says first to whom it chats with.
const SYSTEM: &str = "You are a clerk on a quay. Answer in full sentences.";
/// Texts that an embedding request holds.
const TEXTS: u32 = 2;
/// Most that one second asks of one client.
const MOST_A_SECOND: u32 = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(rename = "client")]
    clients: Vec<Program>,
}

/// How it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Chat,
    Completions,
    Embeddings,
    Ollama,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Burst {
    every_s: i64,
    of: u32,
}

/// A client as the script describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// As it names itself: by this it is told apart.
    pub agent: String,
    way: Way,
    model: String,
    pub activity: Activity,
    /// At level 1.
    requests_per_s: f64,
    prompt_tokens: u32,
    #[serde(default)]
    max_tokens: u32,
    /// Most requests that it has under way.
    pub most: usize,
    #[serde(default)]
    priority: Priority,
    /// How long it would wait for room.
    #[serde(default)]
    deadline_ms: Option<u32>,
    /// So many at once, besides.
    #[serde(default)]
    burst: Option<Burst>,
    /// The part of its answers in whose middle it leaves, 0 to 1.
    #[serde(default)]
    leaves: f64,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Since the second began.
    pub after: Duration,
    prompt_tokens: u32,
    /// Of its words: no other request has them.
    seed: u64,
    /// It goes away after so long.
    pub leaves: Option<Duration>,
}

/// What a request costs, as its server counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    prompt: u32,
    tokens: u32,
    max_tokens: u32,
}

/// Those of the demo.
pub fn programs() -> Result<Vec<Program>, ScenarioError> {
    let script: Script = toml_edit::de::from_str(CLIENTS)
        .map_err(|error| ScenarioError(format!("The clients: {error}")))?;
    Ok(script.clients)
}

// === impl Ask ===

impl Ask {
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

// === impl Cost ===

impl Cost {
    /// Of its prompt, and the most that it may be answered with.
    pub fn most(self) -> u32 {
        self.prompt.saturating_add(self.max_tokens)
    }

    pub fn wish(self) -> Wish {
        let cut = self.tokens > 0 && self.tokens >= self.max_tokens;
        let finish = if cut { Finish::Length } else { Finish::Stop };
        let (prompt, tokens) = (self.prompt, self.tokens);
        Wish { prompt, tokens, finish, prefix: Arc::default(), cached: 0 }
    }
}

// === impl Program ===

impl Program {
    /// As it is told apart: without its version.
    pub fn name(&self) -> &str {
        self.agent.split('/').next().unwrap_or_default()
    }

    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn priority(&self) -> Priority {
        self.priority
    }

    pub fn patience_ms(&self) -> Option<u32> {
        self.deadline_ms
    }

    pub fn streams(&self) -> bool {
        matches!(self.way, Way::Chat | Way::Completions)
    }

    pub fn endpoint(&self) -> Endpoint {
        match self.way {
            Way::Chat => Endpoint::Chat,
            Way::Completions => Endpoint::Completions,
            Way::Embeddings => Endpoint::Embeddings,
            Way::Ollama => Endpoint::OllamaChat,
        }
    }

    /// What a request costs at a server that has so much to say to it.
    pub fn cost(&self, ask: &Ask, says: u32) -> Cost {
        // Four characters make a token.
        let system = u32::try_from(SYSTEM.len()).unwrap_or_default() / 4;
        let prompt = match self.way {
            Way::Chat | Way::Ollama => ask.prompt_tokens.saturating_add(system),
            Way::Completions => ask.prompt_tokens,
            Way::Embeddings => ask.prompt_tokens.saturating_mul(TEXTS),
        };
        let max_tokens = self.max_tokens;
        let tokens = if max_tokens == 0 { 0 } else { says.clamp(1, max_tokens) };
        Cost { prompt, tokens, max_tokens }
    }

    /// What it asks in a second at a level of its activity: the same, whenever one looks.
    pub fn asks(&self, noise: Noise, level: f64, second: i64) -> Vec<Ask> {
        let mut stream = 0;
        let mut unit = || {
            stream += 1;
            (noise.white(stream, second) + 1.0) / 2.0
        };
        let mean = self.requests_per_s * level.max(0.0);
        let mut count = u32::from(unit() < mean);
        // Who is at rest has no bursts.
        if let Some(burst) = self.burst
            && level > 0.1
            && second.rem_euclid(burst.every_s.max(1)) == 0
        {
            count += burst.of;
        }
        (0..count.min(MOST_A_SECOND))
            .map(|place| {
                let after = Duration::from_secs_f64(unit() * 0.9);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "half to one and a half times a small count"
                )]
                let prompt_tokens = (f64::from(self.prompt_tokens) * (0.5 + unit())) as u32;
                let leaves = unit() < self.leaves;
                let leaves = leaves.then(|| Duration::from_secs_f64(0.3 + 2.5 * unit()));
                // Spread over all bits: texts that begin alike would be known to the server.
                let number = second.cast_unsigned().wrapping_mul(64).wrapping_add(u64::from(place));
                let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                Ask { after, prompt_tokens: prompt_tokens.max(8), seed, leaves }
            })
            .collect()
    }

    pub fn request(&self, gateway: SocketAddr, ask: &Ask) -> Request<Full<Bytes>> {
        let (path, body) = self.says(ask);
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = hyper::Uri::from_static(path);
        let headers = request.headers_mut();
        let mut put = |name, text: String| {
            if let Ok(value) = header::HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        };
        put(header::HOST, gateway.to_string());
        put(header::USER_AGENT, self.agent.clone());
        put(header::CONTENT_TYPE, "application/json".into());
        if self.priority == Priority::Batch {
            put(header::HeaderName::from_static("x-plimsoll-priority"), "batch".into());
        }
        if let Some(ms) = self.deadline_ms {
            put(header::HeaderName::from_static("x-plimsoll-deadline-ms"), ms.to_string());
        }
        request
    }

    #[cfg(test)]
    pub fn asks_one_of(&self, models: &std::collections::BTreeSet<&str>) -> bool {
        models.contains(self.model.as_str())
    }

    fn says(&self, ask: &Ask) -> (&'static str, Value) {
        // A word has about five characters, and four make a token.
        let text = |seed: u64, tokens: u32| words(seed, tokens * 4 / 5);
        let messages = || {
            json!([
                { "role": "system", "content": SYSTEM },
                { "role": "user", "content": text(ask.seed, ask.prompt_tokens) },
            ])
        };
        match self.way {
            Way::Chat => (
                "/v1/chat/completions",
                json!({
                    "model": self.model, "messages": messages(), "max_tokens": self.max_tokens,
                    "stream": true, "stream_options": { "include_usage": true },
                }),
            ),
            Way::Completions => (
                "/v1/completions",
                json!({
                    "model": self.model, "prompt": text(ask.seed, ask.prompt_tokens),
                    "max_tokens": self.max_tokens, "stream": true,
                }),
            ),
            Way::Embeddings => {
                let texts: Vec<_> = (0..TEXTS)
                    .map(|n| text(ask.seed.rotate_left(16 * (n + 1)), ask.prompt_tokens))
                    .collect();
                (
                    "/v1/embeddings",
                    json!({ "model": self.model, "input": texts, "encoding_format": "base64" }),
                )
            }
            Way::Ollama => (
                "/api/chat",
                json!({
                    "model": self.model, "messages": messages(), "stream": false,
                    "options": { "num_predict": self.max_tokens },
                }),
            ),
        }
    }
}
