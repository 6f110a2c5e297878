//! What a request asks for, read from its body without changing a byte of it.

use bytes::Bytes;
use plimsoll_core::request::Endpoint;

/// What the way of a request needs to know of its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Understood {
    pub endpoint: Endpoint,
    /// `None` where the body names none.
    pub model: Option<String>,
    pub stream: bool,
    /// The client itself asked for `usage` at the end of its stream.
    pub usage_wanted: bool,
    /// Estimated: one token for four bytes of text.
    pub prompt_tokens: u32,
    /// The most it may generate, where it says so.
    pub max_tokens: Option<u32>,
    /// The same question gets the same answer: temperature 0, or a seed.
    pub deterministic: bool,
    /// Of the conversation's beginning: equal for a conversation's next request.
    pub prefix: u64,
}

/// A body as it is sent upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub body: Bytes,
    /// `usage` was asked for on the client's behalf: its chunk is taken out of the stream.
    pub usage_added: bool,
}
