//! What a command answers when it cannot be done: words for the person, a code
//! for the program, a hint for the next step.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The arguments do not make sense.
    Invalid,
    NotFound,
    /// What it was based on has changed meanwhile.
    Conflict,
    /// The system does not allow it.
    Denied,
    /// The part concerned cannot answer now (recording paused, shutting down).
    Unavailable,
    /// A newer or older Plimsoll on the other side.
    Protocol,
    /// Our own mistake; the log has the rest.
    Internal,
}

/// An error that a person sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub code: FaultCode,
    /// What is wrong, where, and what is allowed: one or two sentences.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

// === impl Fault ===

impl Fault {
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
