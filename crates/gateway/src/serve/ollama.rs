//! Ollama's own lists, as the Ollamas behind Plimsoll tell them: what a model weighs, when it
//! came, and what runs.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Method, Response, Uri,
    header::{self, HeaderValue},
    http::request,
};
use plimsoll_services::kind::ServiceKind;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{answer::Answer, options::Options, state::State};
use crate::{
    clients::Client,
    route::{Backend, Table},
    upstream::Sending,
};

/// What runs, of all Ollamas.
pub const PS: &str = "/api/ps";
/// What there is.
pub const TAGS: &str = "/api/tags";
/// What does not answer in this time is left out.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest list of one Ollama.
const LONGEST: usize = 4 << 20;

/// Whether it is asked for the models that run.
pub fn is_running(head: &request::Parts) -> bool {
    head.uri.path() == PS && matches!(head.method, Method::GET | Method::HEAD)
}

/// The models that run, of all Ollamas that are up.
pub async fn running(state: &Arc<State>, options: &Options, client: &Client) -> Response<Answer> {
    let table = state.table();
    let all = of_all(state, options, &table, PS).await;
    let may = |id: &str, model: &Value| {
        let name = model["name"].as_str().unwrap_or_default();
        client.key.as_ref().is_none_or(|key| key.may_ask([id, name].into_iter()))
    };
    let models: Vec<Value> = all
        .into_iter()
        .flat_map(|(id, models)| models.into_iter().filter(move |model| may(&id, model)))
        .collect();
    let mut response = Response::new(Answer::whole(json!({ "models": models }).to_string().into()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The list of models with what their Ollamas say of each; as it was where none says anything.
pub async fn told(
    state: &Arc<State>,
    options: &Options,
    answer: Response<Answer>,
) -> Response<Answer> {
    let (parts, body) = answer.into_parts();
    let Ok(body) = body.collect().await else { return Response::from_parts(parts, nothing()) };
    let body = body.to_bytes();
    let table = state.table();
    let all = of_all(state, options, &table, TAGS).await;
    let body = with(&body, &table, &all).unwrap_or(body);
    Response::from_parts(parts, Answer::whole(body))
}

fn nothing() -> Answer {
    Answer::whole(Bytes::from_static(br#"{"models":[]}"#))
}

/// Each model of the list as its own Ollama has it, under the name that it has here.
fn with(list: &[u8], table: &Table, all: &[(Arc<str>, Vec<Value>)]) -> Option<Bytes> {
    if all.is_empty() {
        return None;
    }
    let mut list: Value = serde_json::from_slice(list).ok()?;
    for model in list["models"].as_array_mut()? {
        let Some(name) = model["name"].as_str().map(ToOwned::to_owned) else { continue };
        let Some(listed) = table.models().iter().find(|listed| *listed.name == *name) else {
            continue;
        };
        let real = listed.stands_for.as_deref().unwrap_or(&name);
        let is = |one: &&Value| {
            let told = one["name"].as_str().unwrap_or_default();
            told == real || told.strip_suffix(":latest") == Some(real)
        };
        let mut told = all.iter().filter(|(id, _)| listed.backends.iter().any(|of| of == id));
        if let Some(told) = told.find_map(|(_, models)| models.iter().find(is)) {
            *model = told.clone();
            model["name"] = json!(name);
            model["model"] = json!(name);
        }
    }
    Some(list.to_string().into())
}

/// What each Ollama that is up answers.
async fn of_all(
    state: &State,
    options: &Options,
    table: &Table,
    path: &'static str,
) -> Vec<(Arc<str>, Vec<Value>)> {
    let ollamas = table
        .backends()
        .filter(|backend| backend.up && backend.kind == Some(ServiceKind::Ollama))
        .map(|backend| async move {
            let models = of_one(state, options, backend, path).await?;
            Some((backend.id.clone(), models))
        });
    join_all(ollamas).await.into_iter().flatten().collect()
}

async fn of_one(
    state: &State,
    options: &Options,
    backend: &Backend,
    path: &'static str,
) -> Option<Vec<Value>> {
    let upstream = state.upstreams.of(backend, options.idle).ok()?;
    let until = Instant::now() + PATIENCE;
    let sending = Sending {
        method: &Method::GET,
        uri: &Uri::from_static(path),
        headers: &HeaderMap::new(),
        body: Bytes::new(),
        connect: options.budgets.connect.min(PATIENCE),
        first_byte: until,
        replays: &|| {},
    };
    let begun = upstream.send(sending).await.ok()?;
    if !begun.head.status.is_success() {
        return None;
    }
    let mut flow = begun.flow;
    let mut text = Vec::new();
    while let Some(piece) = timeout_at(until, poll_fn(|cx| flow.poll_next(cx))).await.ok()? {
        text.extend_from_slice(&piece.ok()?);
        if text.len() > LONGEST {
            return None;
        }
    }
    upstream.rest_of(flow).await;
    let mut told: Value = serde_json::from_slice(&text).ok()?;
    match told["models"].take() {
        Value::Array(models) => Some(models),
        _ => None,
    }
}
