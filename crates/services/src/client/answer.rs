//! What a server answered: whole, bounded, and not yet believed.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::CallError;

/// An answer with any status. Its body has been read to its end and is within
/// the bound of its target.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `127.0.0.1:8080`.
    pub place: String,
    /// What was asked, with its query.
    pub path: String,
    pub status: u16,
    /// Without parameters, in lower case, e.g. `application/json`.
    pub content_type: Option<String>,
    /// What the server says it is, e.g. `llama.cpp`; from the header `Server`.
    pub server: Option<String>,
    pub body: Bytes,
    pub took: Duration,
}

// === impl Answer ===

impl Answer {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// This answer where its status is 2xx, else the error that the status is.
    pub fn ok(self) -> Result<Answer, CallError> {
        match self.status {
            200..=299 => Ok(self),
            status @ (401 | 403) => Err(CallError::WantsKey { place: self.place, status }),
            status => Err(CallError::Status { place: self.place, path: self.path, status }),
        }
    }

    /// The body as text. Bytes that are no UTF-8, or a NUL among them, are not text.
    pub fn text(&self) -> Result<&str, CallError> {
        match std::str::from_utf8(&self.body) {
            Ok(text) if !text.contains('\0') => Ok(text),
            _ => Err(CallError::NotText { place: self.place.clone(), path: self.path.clone() }),
        }
    }

    /// The body read as JSON. Let unknown fields pass: servers add some with each version.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let text = self.text()?;
        // serde_json stops at 128 levels of nesting, so depth cannot hurt.
        serde_json::from_str(text).map_err(|error| self.not_understood(&error.to_string()))
    }

    /// The error for a body that is text and not what was expected.
    pub fn not_understood(&self, detail: &str) -> CallError {
        CallError::NotUnderstood {
            place: self.place.clone(),
            path: self.path.clone(),
            detail: detail.chars().take(160).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static [u8]) -> Answer {
        Answer {
            place: "127.0.0.1:1".into(),
            path: "/x".into(),
            status,
            content_type: None,
            server: None,
            body: Bytes::from_static(body),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_status_that_is_no_success_is_an_error_with_its_words() {
        assert!(answer(204, b"").ok().is_ok());
        assert!(matches!(answer(401, b"").ok(), Err(CallError::WantsKey { status: 401, .. })));
        assert!(matches!(answer(500, b"").ok(), Err(CallError::Status { status: 500, .. })));
    }

    #[test]
    fn bytes_that_are_no_text_are_told_as_such() {
        for body in [&b"\xff\xfe\x00"[..], b"a\0b", b"\x1f\x8b\x08"] {
            assert!(matches!(answer(200, body).text(), Err(CallError::NotText { .. })));
        }
        assert_eq!(answer(200, "é".as_bytes()).text().unwrap(), "é");
    }

    #[test]
    fn json_that_is_too_deep_or_too_large_a_number_is_an_error() {
        let deep: &'static [u8] = "[".repeat(200_000).into_bytes().leak();
        assert!(answer(200, deep).json::<serde_json::Value>().is_err());
        let error = answer(200, b"{\"a\":1e999}").json::<serde_json::Value>().unwrap_err();
        assert!(matches!(error, CallError::NotUnderstood { .. }), "{error}");
    }
}
