//! Tokens, as the backend counted them.

use serde::Deserialize;

/// What a backend said it read and wrote. Never guessed from chunks: what it did not say
/// is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of the prompt, the part that was known from before included.
    pub tokens_in: Option<u32>,
    pub tokens_out: Option<u32>,
    /// The part of the prompt that was known from before.
    pub cached: Option<u32>,
}

// === impl Counts ===

impl Counts {
    /// Later words count; silence takes nothing back.
    pub fn update(&mut self, later: Self) {
        self.tokens_in = later.tokens_in.or(self.tokens_in);
        self.tokens_out = later.tokens_out.or(self.tokens_out);
        self.cached = later.cached.or(self.cached);
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `usage` as OpenAI (both its ways) and Anthropic write it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    total_tokens: Option<u32>,
    /// Anthropic counts these beside `input_tokens`.
    cache_read_input_tokens: Option<u32>,
    cache_creation_input_tokens: Option<u32>,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u32>,
}

/// llama.cpp's `timings`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Timings {
    cache_n: Option<u32>,
    prompt_n: Option<u32>,
    predicted_n: Option<u32>,
}

// === impl Usage ===

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let read = usage.cache_read_input_tokens;
        let details = usage.prompt_tokens_details.or(usage.input_tokens_details);
        let beside =
            read.unwrap_or(0).saturating_add(usage.cache_creation_input_tokens.unwrap_or(0));
        let input = usage.input_tokens.map(|input| input.saturating_add(beside));
        Self {
            // Rerankers tell the sum alone, and write nothing.
            tokens_in: usage.prompt_tokens.or(input).or_else(|| {
                let written = usage.completion_tokens.or(usage.output_tokens);
                usage.total_tokens.filter(|_| written.is_none())
            }),
            tokens_out: usage.completion_tokens.or(usage.output_tokens),
            cached: details.and_then(|details| details.cached_tokens).or(read),
        }
    }
}

// === impl Timings ===

impl From<Timings> for Counts {
    fn from(timings: Timings) -> Self {
        let cached = timings.cache_n;
        let prompt = timings.prompt_n.map(|n| n.saturating_add(cached.unwrap_or(0)));
        Self { tokens_in: prompt, tokens_out: timings.predicted_n, cached }
    }
}
