//! What Plimsoll tells of itself, without asking a backend.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;
use hyper::{
    Method, Response, StatusCode,
    header::{self, HeaderValue},
    http::request::Parts,
};
use plimsoll_core::{request::Endpoint, traffic::Scope};
use serde_json::json;

use super::{answer::Answer, column::allowed, door::Page, refuse::Refused, state::State};
use crate::{
    cache,
    clients::Client,
    route::{Listed, Listing},
};

/// As Ollama writes its own.
const VERSION: &str = concat!(r#"{"version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the gateway holds now, and what it counted since its start, besides requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnFigures {
    pub cache: cache::Figures,
    /// Answers under way that the next one who asks the same would hear.
    pub shared_open: usize,
    /// Bytes of them that are held for who comes late.
    pub shared_bytes: usize,
    /// Requests that heard an answer that was under way.
    pub shared_joined: u64,
    /// Of clients, idle ones included.
    pub connections: usize,
    /// Of these, the ones that hold no memory but their own bytes' until something comes.
    pub resting: usize,
    /// Of requests that are read and have no answer yet.
    pub body_bytes: usize,
}

// === impl OwnFigures ===

impl OwnFigures {
    pub fn of(state: &State) -> Self {
        Self {
            cache: state.cache.figures(),
            shared_open: state.flights.open(),
            shared_bytes: state.flights.held(),
            shared_joined: state.flights.joined(),
            connections: state.connections.load(Relaxed),
            resting: state.resting.load(Relaxed),
            body_bytes: state.bodies.bytes(),
        }
    }
}

/// What everybody may ask: whether it is there and ready, and a page whether it may ask.
pub fn probe(state: &State, page: &Page, head: &Parts) -> Option<Response<Answer>> {
    if head.method == Method::POST {
        return None;
    }
    if let Some(headers) = page.preflight(&head.method, &head.headers) {
        let mut response = Response::new(Answer::whole(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.headers_mut() = headers;
        return Some(response);
    }
    if !is_question(head) {
        return None;
    }
    Some(match head.uri.path() {
        // Ollama's clients ask whether somebody is there.
        "/" => said(StatusCode::OK, TEXT, "Plimsoll is running"),
        "/health" => said(StatusCode::OK, JSON, r#"{"status":"ok"}"#),
        "/ready" => ready(state),
        _ => return None,
    })
}

/// What a client may ask of Plimsoll itself; `None`: the request is about a model.
pub fn answer(
    state: &State,
    client: &Client,
    head: &Parts,
) -> Result<Option<Response<Answer>>, Refused> {
    if !is_question(head) {
        return Ok(None);
    }
    let path = head.uri.path();
    let told = |bytes: &Bytes| Ok(Some(said(StatusCode::OK, JSON, bytes.clone())));
    match path {
        "/v1/models" | "/v1/models/" | "/models" => told(&listing(state, client).openai),
        "/api/tags" | "/api/tags/" => told(&listing(state, client).ollama),
        "/api/version" => told(&Bytes::from_static(VERSION.as_bytes())),
        "/metrics" if client.key.is_some() && !client.may(Scope::Metrics) => {
            let message = "This key does not allow GET /metrics.";
            Err(Refused::new(StatusCode::FORBIDDEN, "scope", message))
        }
        "/metrics" => match state.world.metrics(&OwnFigures::of(state)) {
            Some(text) => Ok(Some(said(StatusCode::OK, METRICS, text))),
            None => Err(Refused::no_path(path)),
        },
        _ => match path.strip_prefix("/v1/models/") {
            Some(name) => match listing(state, client).one(&decoded(name)) {
                Some(one) => told(one),
                None => {
                    let name = decoded(name);
                    let name: String = name.chars().take(100).collect();
                    let message = format!("No service has the model `{name}`.");
                    Err(Refused::new(StatusCode::NOT_FOUND, "model_not_found", message))
                }
            },
            None => Ok(None),
        },
    }
}

/// What this client may ask for: all, unless its key is for some models only.
fn listing(state: &State, client: &Client) -> Arc<Listing> {
    let table = state.table();
    let listing = table.listing();
    if client.key.as_ref().is_none_or(|key| key.kept.models.is_empty()) {
        return listing.clone();
    }
    let may = |model: &Listed| {
        table.way(Endpoint::Other, &model.name).is_ok_and(|way| {
            let allowed = allowed(client, &model.name, &way);
            allowed.is_some_and(|way| way.candidates.iter().any(|one| one.rank == 0))
        })
    };
    Arc::new(listing.narrowed(may))
}

/// The SDKs write a model's `/` as `%2F`. What does not decode to text stays as it is.
fn decoded(name: &str) -> String {
    let bytes = name.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut text, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let written = match (digit(at + 1), digit(at + 2)) {
            (Some(high), Some(low)) if byte == b'%' => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        text.push(written.unwrap_or(byte));
        at += if written.is_some() { 3 } else { 1 };
    }
    String::from_utf8(text).unwrap_or_else(|_| name.to_owned())
}

/// The paths that are Plimsoll's own to answer, and with which methods they are asked.
pub fn methods_of(path: &str) -> Option<&'static str> {
    let own = matches!(
        path,
        "/" | "/health" | "/ready" | "/metrics" | "/v1/models" | "/v1/models/" | "/models"
    ) || matches!(path, "/api/tags" | "/api/tags/" | "/api/ps" | "/api/version");
    own.then_some("GET, HEAD")
}

fn is_question(head: &Parts) -> bool {
    head.method == Method::GET || head.method == Method::HEAD
}

fn ready(state: &State) -> Response<Answer> {
    // AR9
    let any = state.table().backends().any(|backend| backend.up);
    let (status, why) = if state.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if any {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no backend")
    };
    said(status, JSON, json!({ "status": why }).to_string())
}

fn said(status: StatusCode, kind: HeaderValue, text: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_path_is_read_as_it_was_meant() {
        for (written, meant) in [
            ("Qwen%2FQwen2.5-7B", "Qwen/Qwen2.5-7B"),
            ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B"),
            ("qwen3%3a4b", "qwen3:4b"),
            ("%c3%bc%25", "ü%"),
            ("100%", "100%"),
            ("%2", "%2"),
            ("%zz%+1", "%zz%+1"),
            ("%ff", "%ff"),
            ("", ""),
        ] {
            assert_eq!(decoded(written), meant, "{written}");
        }
    }
}
