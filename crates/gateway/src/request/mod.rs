//! What a request asks for, read from its body without changing a byte of it.
//!
//! - [`endpoint`]: by its path;
//! - [`understand`]: model, stream, limits, an estimate of its tokens, and what tells its
//!   conversation from others;
//! - [`outgoing`]: the body as it is sent on. Only the model's name and the asking for
//!   `usage` are ever written anew, in their place; all other bytes stay as they came;
//! - [`question`]: what two identical requests have in common.

use bytes::Bytes;
use plimsoll_core::request::Endpoint;

pub use self::{
    misread::Misread,
    outgoing::outgoing,
    question::{hasher, question},
};

pub mod endpoint;
mod json;
mod meter;
mod misread;
mod multipart;
mod outgoing;
mod question;

/// What the way of a request needs to know of its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Understood {
    pub endpoint: Endpoint,
    /// `None` where the body names none.
    pub model: Option<String>,
    pub stream: bool,
    /// The client itself asked for `usage` at the end of its stream.
    pub usage_wanted: bool,
    /// Estimated: one token for four bytes of text, 1024 for an image or a sound.
    pub prompt_tokens: u32,
    /// The most it may generate, in all its choices together, where it says so.
    pub max_tokens: Option<u32>,
    /// The same question gets the same answer: temperature 0, or a seed; embeddings always.
    pub deterministic: bool,
    /// Of the conversation's beginning: equal for a conversation's next request.
    pub prefix: u64,
    /// Where in the body stands what may be written anew.
    pub places: Places,
}

/// Where in a body stands what may be written anew. Positions are bytes from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Length of the body: another one is not touched.
    len: usize,
    /// Values of `model`: the first, and any that repeat it.
    model: Option<Span>,
    models: Vec<Span>,
    /// What to write, and where, to be told `usage` at the end of a stream.
    usage: Option<(Span, &'static str)>,
    /// Where a member that is missing can be added.
    end: Option<End>,
}

type Span = (usize, usize);

/// The end of what the body holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Before the last `}`; whether a member stands before it.
    Object { at: usize, members: bool },
    /// Before the form's first boundary.
    Form { at: usize, boundary: String },
}

/// A body as it is sent upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub body: Bytes,
    /// `usage` was asked for on the client's behalf: its chunk is taken out of the stream.
    pub usage_added: bool,
}

/// Longest name of a model.
const MODEL_MOST: usize = 512;

/// Reads what a body asks for. What servers complain about themselves (a temperature that
/// is a text) is left to them; only what names the model must be beyond doubt.
///
/// # Errors
/// Where it is no JSON object (for audio: no form), or does not say for certain which
/// model it means.
pub fn understand(
    endpoint: Endpoint,
    body: &[u8],
    content_type: Option<&str>,
) -> Result<Understood, Misread> {
    if body.is_empty() {
        return Err(Misread::Empty);
    }
    if content_type.is_some_and(multipart::is_form) {
        return multipart::understand(endpoint, body, content_type.unwrap_or_default());
    }
    if matches!(endpoint, Endpoint::Transcriptions | Endpoint::Translations) {
        return Err(Misread::NoForm);
    }
    json::understand(endpoint, body)
}

// === impl Places ===

impl Places {
    /// Notes one more value of `model`.
    fn names(&mut self, span: Span) {
        match self.model {
            None => self.model = Some(span),
            Some(_) => self.models.push(span),
        }
    }
}

#[cfg(test)]
mod tests;
