//! What a double is: its kind, its models, and what is wrong with it.
//!
//! A spec is a small TOML file below `servers/`, or made in code from one of those.

use std::net::SocketAddr;

use serde::Deserialize;

use super::{
    engine::{BLOCK_TOKENS, Speed},
    fault::Planned,
};
use crate::scenario::ScenarioError;

/// Name and text of every spec that is built in.
const BUILT_IN: &[(&str, &str)] = &[
    ("llama-cpp", include_str!("../../servers/llama-cpp.toml")),
    ("vllm", include_str!("../../servers/vllm.toml")),
    ("ollama", include_str!("../../servers/ollama.toml")),
    ("instant", include_str!("../../servers/instant.toml")),
    ("demo-chat", include_str!("../../servers/demo-chat.toml")),
    ("demo-embed", include_str!("../../servers/demo-embed.toml")),
    ("demo-notes", include_str!("../../servers/demo-notes.toml")),
];

/// The protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    LlamaCpp,
    Vllm,
    Ollama,
}

/// A server that never was.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub speaks: Speaks,
    /// As the server tells it, e.g. `b9931-1a2b3c4`.
    pub version: String,
    /// The first is the one that llama.cpp and vLLM serve.
    #[serde(rename = "model")]
    pub models: Vec<ModelSpec>,
    /// Where it listens; a free port of 127.0.0.1 where nothing is said.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// Wanted as `Authorization: Bearer …`.
    #[serde(default)]
    pub key: Option<String>,
    /// What a client left behind goes on to its end.
    #[serde(default)]
    pub orphans_run_on: bool,
    /// Closes the connection after each streamed answer, without a word: llama.cpp does.
    #[serde(default)]
    pub closes_after_stream: bool,
    /// Closes the connection after so many answers; says so in the last of them.
    #[serde(default)]
    pub answers_per_connection: Option<u32>,
    /// `--metrics` and `--slots` of llama.cpp.
    #[serde(default = "yes")]
    pub metrics: bool,
    #[serde(default = "yes")]
    pub slots: bool,
    /// Gives its memory back after so long without work, and loads again when asked.
    #[serde(default)]
    pub sleep_idle_ms: Option<u64>,
    /// Requests that may wait (`OLLAMA_MAX_QUEUE`).
    #[serde(default)]
    pub most_waiting: Option<usize>,
    /// VRAM for models that are loaded when asked for; the one that rests the longest goes.
    #[serde(default)]
    pub room_bytes: Option<u64>,
    #[serde(default, rename = "fault")]
    pub faults: Vec<Planned>,
}

/// A model and the engine that runs it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// By the name that requests use.
    pub name: String,
    #[serde(default)]
    pub quantization: String,
    #[serde(default)]
    pub family: String,
    #[serde(default)]
    pub parameters: String,
    /// On disk and in memory.
    #[serde(default)]
    pub size_bytes: u64,
    /// The part of it that lies on the GPU.
    #[serde(default)]
    pub vram_bytes: u64,
    #[serde(default)]
    pub embeds: bool,
    #[serde(default)]
    pub dimensions: usize,
    /// Tokens of context of the longest training.
    #[serde(default)]
    pub context_trained: u32,
    /// In memory at the start, once it has loaded.
    #[serde(default)]
    pub loaded: bool,
    #[serde(default)]
    pub load_ms: u64,
    /// Tokens after which it has said all it has to say.
    pub answer_tokens: u32,
    /// How far the length of an answer lies from that, by what is asked: 0 (never) to 1.
    #[serde(default)]
    pub answer_spread: f64,
    pub slots: usize,
    /// Tokens of one request.
    pub context: u32,
    #[serde(default)]
    pub kv_blocks: Option<u32>,
    pub prefill_tokens_per_s: f64,
    #[serde(default = "batch")]
    pub batch_tokens: u32,
    pub token_ms: f64,
    #[serde(default)]
    pub token_ms_more: f64,
}

fn yes() -> bool {
    true
}

fn batch() -> u32 {
    2048
}

/// The names of the built-in specs.
pub fn server_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

// === impl Spec ===

impl Spec {
    /// The built-in spec of that name.
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        let Some((_, text)) = BUILT_IN.iter().find(|(n, _)| *n == name) else {
            let known: Vec<_> = server_names().collect();
            return Err(ScenarioError(format!(
                "There is no server {name:?}. Known are: {}.",
                known.join(", ")
            )));
        };
        Self::parse(text).map_err(|e| ScenarioError(format!("The server {name:?}: {e}")))
    }

    /// Reads a spec and checks it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let spec: Self = toml_edit::de::from_str(text).map_err(|e| ScenarioError(e.to_string()))?;
        spec.check()?;
        Ok(spec)
    }

    /// Says what cannot be.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let refuse = |what: String| Err(ScenarioError(what));
        if self.models.is_empty() {
            return refuse("a server has at least one model.".into());
        }
        for model in &self.models {
            let name = &model.name;
            if !(1..=4096).contains(&model.slots) {
                return refuse(format!("`slots` of {name} is 1 to 4096. Found {}.", model.slots));
            }
            if !(1..=4_000_000).contains(&model.context) {
                let context = model.context;
                return refuse(format!("`context` of {name} is 1 to 4,000,000. Found {context}."));
            }
            if let Some(blocks) = model.kv_blocks
                && u64::from(blocks) * u64::from(BLOCK_TOKENS) < u64::from(model.context)
            {
                return refuse(format!(
                    "`kv_blocks` of {name} hold {} tokens, and one request may have {}.",
                    u64::from(blocks) * u64::from(BLOCK_TOKENS),
                    model.context
                ));
            }
            if !(0.0..=1.0).contains(&model.answer_spread) {
                let spread = model.answer_spread;
                return refuse(format!("`answer_spread` of {name} is 0 to 1. Found {spread}."));
            }
            let times = [model.token_ms, model.token_ms_more];
            if model.prefill_tokens_per_s.is_nan()
                || model.prefill_tokens_per_s <= 0.0
                || times.iter().any(|ms| !ms.is_finite() || *ms < 0.0)
            {
                return refuse(format!(
                    "`prefill_tokens_per_s` of {name} is above 0 (`inf`: no time), \
                     `token_ms` and `token_ms_more` are 0 or more."
                ));
            }
        }
        Ok(())
    }
}

// === impl ModelSpec ===

impl ModelSpec {
    /// Tokens of the answer to a text with that seed.
    pub fn says(&self, seed: u64) -> u32 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
        let unit = (seed >> 11) as f64 / (1u64 << 53) as f64;
        let stretch = 1.0 + self.answer_spread * (2.0 * unit - 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tokens")]
        let says = (f64::from(self.answer_tokens) * stretch).round() as u32;
        says
    }

    pub fn speed(&self) -> Speed {
        Speed {
            slots: self.slots,
            context: self.context,
            kv_blocks: self.kv_blocks,
            prefill_tokens_per_s: self.prefill_tokens_per_s,
            batch_tokens: self.batch_tokens,
            token_ms: self.token_ms,
            token_ms_more: self.token_ms_more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::fault::{Fault, On},
        *,
    };

    #[test]
    fn every_built_in_server_can_be_read() {
        for name in server_names() {
            Spec::named(name).unwrap();
        }
    }

    #[test]
    fn faults_can_be_planned_in_the_file() {
        let text = BUILT_IN[1].1.to_owned()
            + "\n[[fault]]\nkind = \"stalls\"\nafter_tokens = 3\nfor_ms = 900\n\
               on = \"all\"\nfrom_ms = 5000\nfor_ms_in_all = 2000\ntimes = 4\n";
        let fault = Fault::Stalls { after_tokens: 3, for_ms: Some(900) };
        let planned = Planned { from_ms: 5000, for_ms_in_all: Some(2000), ..Planned::new(fault) };
        assert_eq!(Spec::parse(&text).unwrap().faults, [planned.on(On::All).times(4)]);
    }

    #[test]
    fn how_much_it_says_hangs_on_what_is_asked() {
        let mut model = Spec::named("llama-cpp").unwrap().models[0].clone();
        model.answer_tokens = 100;
        assert_eq!((model.says(0), model.says(u64::MAX)), (100, 100));
        model.answer_spread = 0.6;
        assert_eq!((model.says(0), model.says(1 << 63), model.says(u64::MAX)), (40, 100, 160));
    }

    #[test]
    fn an_unknown_server_is_answered_with_the_known_ones() {
        let error = Spec::named("tgi").unwrap_err().to_string();
        assert!(error.contains("llama-cpp, vllm, ollama"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let mut spec = Spec::named("vllm").unwrap();
        spec.models[0].kv_blocks = Some(1);
        assert!(spec.check().unwrap_err().to_string().contains("hold 16 tokens"));
        let mut spec = Spec::named("vllm").unwrap();
        spec.models[0].slots = 0;
        assert!(spec.check().unwrap_err().to_string().contains("1 to 4096"));
        let mut spec = Spec::named("vllm").unwrap();
        spec.models[0].token_ms = f64::NAN;
        assert!(spec.check().unwrap_err().to_string().contains("token_ms"));
        assert!(Spec::parse("speaks = \"tgi\"").is_err());
    }
}
