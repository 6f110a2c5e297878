//! Sends one small request through the gateway, over its port, as a program would.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use plimsoll_core::request::{Endpoint, RequestRow};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use super::{Traffic, connect::endpoint_of, local};
use crate::api::{Fault, FaultCode, GatewayState, GatewayTest, GatewayTested, TestStep};

/// Longest time for all of it: a model that is loaded cold takes minutes.
const PATIENCE: Duration = Duration::from_secs(330);
/// So much of the answer is shown.
const SHOWN: usize = 400;
/// So much of it is read.
const MOST_READ: usize = 1 << 20;

/// What happened so far.
struct Steps {
    began: Instant,
    steps: Vec<TestStep>,
}

// === impl Steps ===

impl Steps {
    fn say(&mut self, ok: bool, text: impl Into<String>) {
        let at_ms = self.began.elapsed().as_secs_f64() * 1000.0;
        self.steps.push(TestStep { ok, text: text.into(), at_ms });
    }
}

// === impl Traffic ===

impl Traffic {
    pub async fn test(&self, ask: GatewayTest) -> Result<GatewayTested, Fault> {
        let (state, reason) = self.state();
        let Some(address) = self.address().filter(|_| state == GatewayState::Listening) else {
            return Err(Fault::new(
                FaultCode::Unavailable,
                format!("The gateway does not listen. {reason}"),
            ));
        };
        if ask.model.trim().is_empty() {
            return Err(Fault::new(FaultCode::Invalid, "A test names the model that it asks for."));
        }
        let mut steps = Steps { began: Instant::now(), steps: Vec::new() };
        let mut tested = GatewayTested { steps: Vec::new(), text: String::new(), row: None };
        let went = timeout(PATIENCE, send(local(address), &ask, &mut steps)).await;
        match went {
            Ok(Ok((text, id))) => {
                tested.text = text;
                tested.row = match id {
                    Some(id) => self.row(id).await,
                    None => None,
                };
            }
            Ok(Err(why)) => steps.say(false, why),
            Err(_) => steps.say(false, format!("No answer within {} s", PATIENCE.as_secs())),
        }
        tested.steps = steps.steps;
        Ok(tested)
    }

    /// The log's row of a request that has ended: it comes there within some seconds.
    async fn row(&self, id: i64) -> Option<RequestRow> {
        for _ in 0..30 {
            let found = self.records.recent().into_iter().rev().find(|row| row.id == id);
            if let Some(row) = found {
                return Some((*row).clone());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }
}

async fn send(
    address: SocketAddr,
    ask: &GatewayTest,
    steps: &mut Steps,
) -> Result<(String, Option<i64>), String> {
    let model = ask.model.trim();
    let endpoint = endpoint_of(model);
    let (path, body) = match endpoint {
        Endpoint::Embeddings => ("/v1/embeddings", json!({ "model": model, "input": "Hello" })),
        _ => (
            "/v1/chat/completions",
            json!({
                "model": model,
                "messages": [{ "role": "user", "content": "Say hello in one short sentence." }],
                "max_tokens": 32,
                "stream": true,
            }),
        ),
    };
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("Nobody answers at {address}: {error}"))?;
    steps.say(true, format!("Connected to {address}"));
    let broke = |error: hyper::Error| format!("The connection broke off: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
    let connection = tokio::spawn(connection);
    let mut request = Request::post(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "plimsoll-test");
    if !ask.key.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", ask.key));
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|_| "A key has no such characters.".to_owned())?;
    let response = sender.send_request(request).await.map_err(broke)?;
    let id = number(&response, "x-plimsoll-request");
    if let Some(waited) = number(&response, "x-plimsoll-wait-ms").filter(|ms| *ms > 0) {
        steps.say(true, format!("Waited {waited} ms for room"));
    }
    let status = response.status();
    let backend = text_of(&response, "x-plimsoll-backend").map(str::to_owned);
    let fallback = text_of(&response, "x-plimsoll-fallback").map(str::to_owned);
    let body = read(response, steps).await.map_err(broke)?;
    drop(sender);
    connection.abort();
    if !status.is_success() {
        return Err(format!("{status}: {}", error_of(&body)));
    }
    let by = backend.map(|id| format!(" by {id}")).unwrap_or_default();
    let other = fallback.map(|model| format!(", with {model} instead")).unwrap_or_default();
    steps.say(true, format!("Answered{by}{other}"));
    Ok((said(endpoint, &body), id))
}

/// The whole answer, as far as it is read; its first byte is a step.
async fn read(response: Response<Incoming>, steps: &mut Steps) -> Result<String, hyper::Error> {
    let ok = response.status().is_success();
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if bytes.is_empty() && ok {
                steps.say(true, "The first bytes came");
            }
            bytes.extend_from_slice(&data);
            if bytes.len() > MOST_READ {
                break;
            }
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The beginning of what the model said.
fn said(endpoint: Endpoint, body: &str) -> String {
    if endpoint == Endpoint::Embeddings {
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        let length = value["data"][0]["embedding"].as_array().map_or(0, Vec::len);
        return format!("A vector of {length} numbers");
    }
    let mut text = String::new();
    for line in body.lines() {
        let Some(data) = line.strip_prefix("data:") else { continue };
        let Ok(value) = serde_json::from_str::<Value>(data.trim()) else { continue };
        let delta = &value["choices"][0]["delta"];
        let part = delta["content"].as_str().or_else(|| delta["reasoning_content"].as_str());
        text.push_str(part.unwrap_or_default());
        if text.len() >= SHOWN {
            break;
        }
    }
    text.chars().take(SHOWN).collect()
}

/// What the error says, in whichever shape.
fn error_of(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let message = value["error"]["message"].as_str().or_else(|| value["error"].as_str());
    message.unwrap_or(body).chars().take(SHOWN).collect()
}

fn text_of<'a>(response: &'a Response<Incoming>, header: &str) -> Option<&'a str> {
    response.headers().get(header)?.to_str().ok()
}

fn number(response: &Response<Incoming>, header: &str) -> Option<i64> {
    text_of(response, header)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_said_is_put_together_from_its_stream() {
        let body = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n\
                    data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n\
                    data: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\n\ndata: [DONE]\n\n";
        assert_eq!(said(Endpoint::Chat, body), "Hello");
        let body = r#"{"data":[{"embedding":[0.1,0.2,0.3]}]}"#;
        assert_eq!(said(Endpoint::Embeddings, body), "A vector of 3 numbers");
        assert_eq!(said(Endpoint::Chat, "no stream"), "");
    }

    #[test]
    fn an_error_is_told_in_whichever_shape() {
        assert_eq!(error_of(r#"{"error":{"message":"The queue is full."}}"#), "The queue is full.");
        assert_eq!(error_of(r#"{"error":"model not found"}"#), "model not found");
        assert_eq!(error_of("bad gateway"), "bad gateway");
    }
}
