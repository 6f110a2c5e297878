//! What a client asks for, read from its body.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{
    engine::{Finish, TOKEN_CHARS, Wish, hashes_of},
    fault::Fault,
    spec::ModelSpec,
};

/// A body, as far as it matters. What the server does not know is passed over, as real ones do.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ask<'a> {
    #[serde(borrow)]
    pub model: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    pub messages: Option<&'a RawValue>,
    #[serde(borrow)]
    pub prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
    pub stream: Option<bool>,
    pub max_tokens: Option<i64>,
    pub max_completion_tokens: Option<i64>,
    pub max_output_tokens: Option<i64>,
    pub n_predict: Option<i64>,
    pub ignore_eos: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    pub options: Option<Options>,
    pub encoding_format: Option<std::borrow::Cow<'a, str>>,
    /// Seconds, or a span such as `5m`.
    #[serde(borrow)]
    pub keep_alive: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StreamOptions {
    pub include_usage: Option<bool>,
}

/// Of Ollama.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Options {
    pub num_predict: Option<i64>,
}

/// A text that is worked on, whatever field it stood in.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a str);

// === impl Ask ===

impl<'a> Ask<'a> {
    pub fn text(&self) -> Option<Text<'a>> {
        let raw = self.messages.or(self.prompt).or(self.input)?;
        Some(Text(raw.get()))
    }

    /// The texts of an embedding request: one, several, or one as numbers of tokens.
    pub fn texts(&self) -> Vec<Text<'a>> {
        let Some(raw) = self.input.or(self.prompt) else { return Vec::new() };
        match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(many) if many.iter().any(|one| one.get().starts_with(['"', '['])) => {
                many.into_iter().map(|one| Text(one.get())).collect()
            }
            Ok(many) if many.is_empty() => Vec::new(),
            _ => vec![Text(raw.get())],
        }
    }

    pub fn include_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|o| o.include_usage == Some(true))
    }

    /// How long the model stays in memory after it: `Some(None)` for ever.
    pub fn keep_us(&self) -> Option<Option<u64>> {
        let raw = self.keep_alive?.get().trim_matches('"');
        let (number, unit) =
            raw.split_at(raw.find(|c: char| c.is_alphabetic()).unwrap_or(raw.len()));
        let number: f64 = number.parse().ok()?;
        let seconds = match unit {
            "" | "s" => number,
            "ms" => number / 1000.0,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            _ => return None,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
        let keep = (seconds >= 0.0).then_some((seconds * 1e6) as u64);
        Some(keep)
    }

    /// What the engine has to do, of a request that generates. `None`: longer than the context.
    pub fn wish(&self, model: &ModelSpec, fault: Option<Fault>) -> Option<Wish> {
        let text = self.text().unwrap_or(Text(""));
        let prompt = text.tokens();
        if prompt >= model.context {
            return None;
        }
        let asked = [
            self.max_completion_tokens,
            self.max_tokens,
            self.max_output_tokens,
            self.n_predict,
            self.options.as_ref().and_then(|options| options.num_predict),
        ];
        let most = asked.into_iter().flatten().find(|n| *n >= 0);
        let most = most.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX).max(1));
        let says = match self.ignore_eos {
            Some(true) => u32::MAX,
            _ => model.says(text.seed()),
        };
        let tokens = says.min(most).min(model.context - prompt).max(1);
        let finish = if tokens == says { Finish::Stop } else { Finish::Length };
        let tokens = if fault == Some(Fault::Endless) { u32::MAX } else { tokens };
        Some(Wish { prompt, tokens, finish, prefix: hashes_of(text.0.as_bytes()), cached: 0 })
    }
}

// === impl Text ===

impl Text<'_> {
    /// Four characters count as one token.
    pub fn tokens(self) -> u32 {
        u32::try_from(self.0.len() / TOKEN_CHARS).unwrap_or(u32::MAX).max(1)
    }

    pub fn seed(self) -> u64 {
        self.0.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    pub fn embedding(self) -> Wish {
        let prompt = self.tokens();
        Wish { prompt, tokens: 0, finish: Finish::Stop, prefix: Arc::default(), cached: 0 }
    }
}

/// The words that are generated.
const WORDS: [&str; 32] = [
    "the", "ship", "is", "loaded", "to", "her", "line", "and", "no", "further", "while", "cargo",
    "waits", "on", "quay", "until", "tide", "turns", "a", "clerk", "writes", "each", "crate",
    "into", "ledger", "by", "weight", "with", "care", "then", "rests", "again",
];

/// The text of a token: the same request is always answered with the same words.
pub fn word(seed: u64, number: u32) -> &'static str {
    let mixed = seed.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let place = (mixed >> 40) as usize % WORDS.len();
    WORDS[place]
}

/// So many tokens of text.
pub fn words(seed: u64, tokens: u32) -> String {
    let mut text = String::new();
    for number in 0..tokens {
        if number > 0 {
            text.push(' ');
        }
        text.push_str(word(seed, number));
    }
    text
}
