//! Why a body was not understood, in words for the one who wrote it.

use thiserror::Error;

/// A body that names no model for certain is not sent to any.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misread {
    #[error("the body is empty; a JSON object with `model` was expected")]
    Empty,
    #[error("the body is not JSON: {reason} at line {line}, column {column}")]
    Json { reason: String, line: usize, column: usize },
    #[error("the body is not JSON: byte {at} is no UTF-8")]
    Utf8 { at: usize },
    #[error("the body must be a JSON object, not {found}")]
    NoObject { found: &'static str },
    #[error("`model` must be a string, not {found} (at byte {at})")]
    Model { found: &'static str, at: usize },
    #[error("the name of the model has {length} bytes; {most} are allowed")]
    LongModel { length: usize, most: usize },
    /// Servers differ in which of the two they take: what is limited for one could run the
    /// other.
    #[error("the body names two models, `{first}` and then `{second}` (at byte {at})")]
    TwoModels { first: String, second: String, at: usize },
    #[error("the body must be multipart/form-data, with the audio as `file`")]
    NoForm,
    #[error("the form is not well-formed: {reason} at byte {at}")]
    Form { reason: &'static str, at: usize },
}

// === impl Misread ===

impl Misread {
    /// The field that is wrong, where it is one.
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Self::Model { .. } | Self::LongModel { .. } | Self::TwoModels { .. } => Some("model"),
            _ => None,
        }
    }
}
