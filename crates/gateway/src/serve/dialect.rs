//! An error in the words of the API that was asked, so that each client's own library reads it.

use bytes::Bytes;
use hyper::StatusCode;
use plimsoll_core::request::Endpoint;
use serde_json::json;

use super::refuse::Refused;

/// Whose words an error is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    #[default]
    OpenAi,
    Anthropic,
    Ollama,
}

// === impl Dialect ===

impl Dialect {
    pub fn of(path: &str) -> Self {
        if path.starts_with("/v1/messages") {
            Dialect::Anthropic
        } else if path.starts_with("/api/") {
            Dialect::Ollama
        } else {
            Dialect::OpenAi
        }
    }

    pub fn at(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Messages => Dialect::Anthropic,
            Endpoint::OllamaChat | Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => {
                Dialect::Ollama
            }
            _ => Dialect::OpenAi,
        }
    }

    /// An error as a whole body.
    pub fn body(self, refused: &Refused) -> Bytes {
        let message = &refused.message;
        let value = match self {
            Dialect::OpenAi => json!({ "error": {
                "message": message,
                "type": open_ai_type(refused.status),
                "param": refused.param,
                "code": refused.code,
            }}),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": { "type": anthropic_type(refused.status), "message": message },
            }),
            Dialect::Ollama => json!({ "error": message }),
        };
        value.to_string().into()
    }

    /// An error in the middle of a stream, so that a client reads why it ends. `between`:
    /// what came before it is complete.
    pub fn event(self, refused: &Refused, between: bool) -> Bytes {
        let body = self.body(refused);
        let mut event = Vec::with_capacity(body.len() + 32);
        if !between {
            event.extend_from_slice(if self == Dialect::Ollama { b"\n" } else { b"\n\n" });
        }
        match self {
            Dialect::OpenAi => event.extend_from_slice(b"data: "),
            Dialect::Anthropic => event.extend_from_slice(b"event: error\ndata: "),
            Dialect::Ollama => {}
        }
        event.extend_from_slice(&body);
        event.extend_from_slice(if self == Dialect::Ollama { b"\n" } else { b"\n\n" });
        event.into()
    }
}

fn open_ai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 => "overloaded_error",
        _ => "server_error",
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 => "overloaded_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_api_hears_errors_in_its_own_words() {
        let refused =
            Refused::new(StatusCode::NOT_FOUND, "model_not_found", "No \"x\".").about("model");
        // The order of the members is nobody's promise.
        let said = |dialect: Dialect| -> Value {
            serde_json::from_slice(&dialect.body(&refused)).unwrap()
        };
        let (code, kind, words) = ("model_not_found", "not_found_error", "No \"x\".");
        assert_eq!(
            said(Dialect::OpenAi),
            json!({ "error": { "code": code, "message": words, "param": "model", "type": kind } })
        );
        assert_eq!(
            said(Dialect::Anthropic),
            json!({ "type": "error", "error": { "type": kind, "message": words } })
        );
        assert_eq!(said(Dialect::Ollama), json!({ "error": words }));
        assert!(
            text(&Dialect::Anthropic.event(&refused, true)).starts_with("event: error\ndata: {")
        );
        assert!(text(&Dialect::OpenAi.event(&refused, false)).starts_with("\n\ndata: {"));
    }
}
