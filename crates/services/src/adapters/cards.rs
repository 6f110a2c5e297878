//! The models of vLLM and SGLang, which tell them alike at `/v1/models`. They hardly
//! change (adapters of LoRA come and go), so they are asked now and then.

use serde::Deserialize;

use crate::{
    client::{CallError, Target},
    service::{Loaded, MAX_MODELS, Model},
};

/// Looks between two questions for what hardly changes.
pub(super) const CALM_LOOKS: u32 = 60;

/// What `/v1/models` answers.
#[derive(Deserialize)]
pub(super) struct Cards {
    pub data: Vec<Card>,
}

#[derive(Deserialize)]
pub(super) struct Card {
    pub id: String,
    pub owned_by: Option<String>,
    max_model_len: Option<u64>,
}

/// When the models are asked again, and whether a key is in the way.
#[derive(Default)]
pub(super) struct Calm {
    looks_left: u32,
    pub locked: bool,
}

// === impl Calm ===

impl Calm {
    /// Counts a look, and says whether the models are due with it.
    pub fn due(&mut self) -> bool {
        let due = self.looks_left == 0;
        self.looks_left = self.looks_left.saturating_sub(1);
        due
    }

    /// Makes them due with the next look.
    pub fn hurry(&mut self) {
        self.looks_left = 0;
    }

    /// Asks for the models; once more at the next look where they are not told.
    pub async fn models(&mut self, target: &Target) -> Option<Vec<Model>> {
        let told = target.get_json::<Cards>("/v1/models").await;
        self.locked = matches!(told, Err(CallError::WantsKey { .. }));
        if told.is_ok() || self.locked {
            self.looks_left = CALM_LOOKS;
        }
        Some(told.ok()?.data.into_iter().take(MAX_MODELS).map(Card::model).collect())
    }
}

// === impl Card ===

impl Card {
    fn model(self) -> Model {
        Model { context_tokens: self.max_model_len, ..Model::named(self.id, Loaded::Loaded) }
    }
}
