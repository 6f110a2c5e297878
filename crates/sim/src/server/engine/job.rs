//! One request within an engine.

use std::sync::Arc;

use super::{BLOCK_TOKENS, Finish, Us};

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens that it will generate; 0 for an embedding.
    pub tokens: u32,
    /// Why it ends then.
    pub finish: Finish,
    /// The prompt, block by block: what begins alike is computed once.
    pub prefix: Arc<[u64]>,
    /// Tokens of the prompt that count as known already, whatever was asked before.
    pub cached: u32,
}

#[derive(Clone, Debug)]
pub struct Job {
    pub id: u64,
    pub wish: Wish,
    pub arrived: Us,
    /// Where it sits; `None` while it waits.
    pub place: Option<Place>,
    /// Tokens of the prompt that are still to be computed.
    pub to_prefill: u32,
    /// Tokens of the prompt that were known.
    pub cached: u32,
    pub generated: u32,
    pub first: Option<Us>,
    pub last: Us,
    pub blocks: u32,
    /// What it gets of the step that runs.
    pub(super) part: Part,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Part {
    #[default]
    None,
    /// So many tokens of its prompt.
    Prompt(u32),
    Token,
}

#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub slot: usize,
    /// When it was let in for the first time.
    pub admitted: Us,
}

/// How a request came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub finish: Finish,
    pub prompt: u32,
    /// Tokens of the prompt that were known before.
    pub cached: u32,
    pub generated: u32,
    pub arrived: Us,
    pub admitted: Us,
    /// When its first token came; its end where it has none.
    pub first: Us,
    pub ended: Us,
}

// === impl Job ===

impl Job {
    pub fn new(id: u64, arrived: Us, wish: Wish) -> Self {
        Self {
            id,
            to_prefill: wish.prompt,
            wish,
            arrived,
            place: None,
            cached: 0,
            generated: 0,
            first: None,
            last: arrived,
            blocks: 0,
            part: Part::None,
        }
    }

    /// Tokens of its sequence so far.
    pub fn tokens(&self) -> u32 {
        self.wish.prompt.saturating_add(self.generated)
    }

    pub(super) fn outcome(&self, at: Us) -> Outcome {
        Outcome {
            finish: self.wish.finish,
            prompt: self.wish.prompt,
            cached: self.cached,
            generated: self.generated,
            arrived: self.arrived,
            admitted: self.place.map_or(at, |place| place.admitted),
            first: self.first.unwrap_or(at),
            ended: at,
        }
    }

    pub fn is_embedding(&self) -> bool {
        self.wish.tokens == 0
    }
}

pub(super) fn blocks_of(tokens: u32) -> u32 {
    tokens.div_ceil(BLOCK_TOKENS)
}
