//! What the server writes, as far as it is read. Every field may be missing:
//! builds add and drop some, and forks lag behind.

use std::time::Duration;

use serde::Deserialize;

use crate::service::{Loaded, Model};

/// `/props`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Props {
    /// `router`, and absent in a server of one model.
    role: Option<String>,
    /// E.g. `b9931-1a2b3c4`.
    pub build_info: Option<String>,
    model_alias: Option<String>,
    model_path: Option<String>,
    /// E.g. `Q4_K - Medium`.
    model_ftype: Option<String>,
    pub total_slots: Option<u32>,
    /// Absent in builds that cannot sleep.
    pub is_sleeping: Option<bool>,
    /// Whether there is `/metrics`; absent in builds that do not tell.
    pub endpoint_metrics: Option<bool>,
    pub endpoint_slots: Option<bool>,
    default_generation_settings: Option<Settings>,
}

#[derive(Debug, Default, Deserialize)]
struct Settings {
    /// Of one slot.
    n_ctx: Option<u64>,
}

/// `/v1/models`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Cards {
    #[serde(default)]
    pub data: Vec<Card>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Card {
    pub id: String,
    /// Only in router mode.
    pub status: Option<Status>,
    /// Absent while the model is not loaded.
    pub meta: Option<Meta>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    /// `unloaded`, `loading`, `loaded`, `sleeping`, `downloading`, `downloaded`.
    pub value: String,
    /// The command line of its process.
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub failed: bool,
    pub exit_code: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Meta {
    /// Of one slot; in newer builds.
    n_ctx: Option<u64>,
    /// Bytes of its tensors.
    pub size: Option<u64>,
    ftype: Option<String>,
}

/// One of `/slots`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Slot {
    pub id: Option<i64>,
    is_processing: Option<bool>,
    /// In builds of 2024: 0 for one that has nothing to do.
    state: Option<i64>,
    /// The number of its last task.
    pub id_task: Option<i64>,
    next_token: Option<Next>,
}

/// How far a task is: a list of one, and no list in builds of 2025.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Next {
    List(Vec<Decoded>),
    One(Decoded),
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Decoded {
    n_decoded: u64,
}

// === impl Props ===

impl Props {
    pub fn is_router(&self) -> bool {
        self.role.as_deref() == Some("router")
    }

    /// Whether these are the properties of a llama.cpp server at all.
    pub fn is_known(&self) -> bool {
        (self.is_router() && self.build_info.is_some())
            || (self.total_slots.is_some() && self.default_generation_settings.is_some())
    }

    pub fn sleeps(&self) -> bool {
        self.is_sleeping == Some(true)
    }

    fn context(&self) -> Option<u64> {
        self.default_generation_settings.as_ref()?.n_ctx.filter(|&n| n > 0)
    }

    /// The name of its one model, by its alias or the name of its file.
    pub fn name(&self) -> Option<String> {
        let told = |text: &Option<String>| text.as_deref().filter(|t| !t.is_empty()).map(name_of);
        told(&self.model_alias).or_else(|| told(&self.model_path)).filter(|_| !self.is_router())
    }

    /// The model that these are about.
    pub fn model(&self, name: String, loaded: Loaded, meta: Option<&Meta>) -> Model {
        let texts = [self.model_ftype.as_ref(), meta.and_then(|m| m.ftype.as_ref())];
        let names = [self.model_path.as_ref(), Some(&name)];
        let quantization =
            texts.into_iter().chain(names).flatten().find_map(|text| quantization(text));
        Model {
            quantization,
            context_tokens: self.context().or(meta.and_then(|m| m.n_ctx).filter(|&n| n > 0)),
            ..Model::named(name, loaded).sized(meta.and_then(|m| m.size), None)
        }
    }
}

// === impl Status ===

impl Status {
    pub fn loaded(&self) -> Loaded {
        match self.value.as_str() {
            "loaded" => Loaded::Loaded,
            "loading" | "downloading" => Loaded::Loading,
            // One that sleeps has given its memory back.
            "unloaded" | "sleeping" | "downloaded" => Loaded::Unloaded,
            _ => Loaded::Unknown,
        }
    }
}

// === impl Slot ===

impl Slot {
    pub fn is_busy(&self) -> bool {
        self.is_processing.unwrap_or(self.state.is_some_and(|state| state != 0))
    }

    /// Tokens that its task has generated so far.
    pub fn decoded(&self) -> Option<u64> {
        match self.next_token.as_ref()? {
            Next::List(list) => Some(list.first()?.n_decoded),
            Next::One(one) => Some(one.n_decoded),
            Next::Other(_) => None,
        }
    }
}

/// A name to show: of a path only the file, without its ending.
pub(in crate::adapters) fn name_of(id: &str) -> String {
    match id.strip_suffix(".gguf") {
        Some(path) => path.rsplit(['/', '\\']).next().unwrap_or(path).to_string(),
        None => id.to_string(),
    }
}

/// The quantisation in a file's name or in the server's own words, e.g. `Q4_K_M`
/// from `Q4_K - Medium`; `None` where there is none that is known.
pub(in crate::adapters) fn quantization(text: &str) -> Option<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let word = words.map(str::to_ascii_uppercase).rfind(|word| {
        let digits = ["IQ", "TQ", "Q", "MXFP", "NVFP"]
            .iter()
            .find_map(|start| word.strip_prefix(start))
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        digits || matches!(word.as_str(), "F16" | "FP16" | "BF16" | "F32" | "FP32")
    })?;
    let size = [("Small", "_S"), ("Medium", "_M"), ("Large", "_L")]
        .into_iter()
        .find_map(|(name, ending)| text.ends_with(name).then_some(ending));
    Some(word + size.unwrap_or_default())
}

/// After how long without a request it sleeps, by its command line; `None` where
/// it never does or where that is not told.
pub(super) fn idle_limit<'w>(words: impl Iterator<Item = &'w str>) -> Option<Duration> {
    const FLAG: &str = "--sleep-idle-seconds";
    let mut limit = None;
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let Some(rest) = word.strip_prefix(FLAG) else { continue };
        let number = match rest.strip_prefix('=') {
            Some(number) => Some(number),
            None if rest.is_empty() => words.peek().copied(),
            None => None,
        };
        // Less than 0 is never. A day is as good as never.
        let seconds = number.and_then(|n| n.parse::<i64>().ok()).unwrap_or(-1);
        limit = u64::try_from(seconds).ok().filter(|&s| s <= 86_400).map(Duration::from_secs);
    }
    limit
}

/// A text within a query: everything but the plainest characters as `%XX`.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantisation_is_read_from_names_and_from_the_servers_words() {
        let cases = [
            ("../models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", Some("Q4_K_M")),
            ("ggml-org/gemma-3-4b-it-GGUF:Q8_0", Some("Q8_0")),
            ("Kimi-K2-Thinking-UD-IQ1_S-00001-of-00006.gguf", Some("IQ1_S")),
            ("Q4_K - Medium", Some("Q4_K_M")),
            ("Q5_K - Small", Some("Q5_K_S")),
            ("IQ2_XXS - 2.0625 bpw", Some("IQ2_XXS")),
            ("MXFP4 MoE", Some("MXFP4")),
            ("model-f16.gguf", Some("F16")),
            ("Qwen3-8B", None),
            ("tiny.gguf", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(quantization(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_idle_sleep_is_read_from_a_command_line() {
        let limit = |line: &str| idle_limit(line.split_whitespace()).map(|d| d.as_secs());
        assert_eq!(limit("llama-server --sleep-idle-seconds 300 --metrics"), Some(300));
        assert_eq!(limit("llama-server --sleep-idle-seconds=60"), Some(60));
        assert_eq!(limit("llama-server --sleep-idle-seconds -1"), None);
        assert_eq!(limit("llama-server --sleep-idle-seconds"), None);
        assert_eq!(limit("llama-server --sleep-idle-seconds 99999999"), None);
        assert_eq!(limit("llama-server -m x.gguf"), None);
        // The last one counts, as it does for the server.
        assert_eq!(limit("x --sleep-idle-seconds 9 --sleep-idle-seconds 5"), Some(5));
    }

    #[test]
    fn names_are_encoded_and_paths_are_cut() {
        assert_eq!(encoded("ggml-org/gemma:Q4&x=ä"), "ggml-org%2Fgemma%3AQ4%26x%3D%C3%A4");
        assert_eq!(name_of("../models/a-Q4_0.gguf"), "a-Q4_0");
        assert_eq!(name_of("ggml-org/gemma-GGUF:Q4_0"), "ggml-org/gemma-GGUF:Q4_0");
    }

    #[test]
    fn a_slot_is_busy_by_either_of_its_two_ways_to_say_so() {
        let busy = |json: &str| serde_json::from_str::<Slot>(json).unwrap().is_busy();
        assert!(busy("{\"is_processing\":true}"));
        assert!(!busy("{\"is_processing\":false,\"state\":1}"));
        assert!(busy("{\"state\":1}"));
        assert!(!busy("{}"));
    }
}
