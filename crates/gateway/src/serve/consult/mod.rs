//! One question to several models at once (DE4): `POST /v1/chat/completions` for the model
//! `consult:a,b,c`. Any client can ask so, and reads the answers as it reads several choices:
//! the choice 0 is a's answer, 1 is b's, 2 is c's, each with its `model` beside it.
//!
//! Each model is asked like any other request: by its own way, under admission, with a row
//! of its own in the log. Streamed answers come as they are written, piece by piece, in any
//! order. One that fails ends its choice with `finish_reason: "error"` and an `error` beside
//! it; the others go on. Where all fail, so does the request.

mod expert;
#[cfg(test)]
mod tests;
mod together;
mod words;

use std::{future::poll_fn, sync::Arc};

use futures::future::BoxFuture;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use plimsoll_core::request::Endpoint;

use self::expert::Expert;
pub use self::together::Together;
use super::{
    answer::Answer,
    column::{self, Received},
    give_back::X_REQUEST,
    large,
    options::Options,
    read::Unread,
    refuse::Refused,
    state::State,
};
use crate::request::{self as body, Understood};

const PREFIX: &str = "consult:";

/// The models that are asked, each once; `None` where one model is meant.
pub fn models(endpoint: Endpoint, model: &str) -> Option<Vec<Arc<str>>> {
    if endpoint != Endpoint::Chat {
        return None;
    }
    let mut names: Vec<Arc<str>> = Vec::new();
    for name in model.strip_prefix(PREFIX)?.split(',').map(str::trim) {
        if !name.is_empty() && !names.iter().any(|known| &**known == name) {
            names.push(name.into());
        }
    }
    Some(names)
}

/// Why so many, or so few, cannot be asked.
pub fn judge(names: &[Arc<str>], options: &Options) -> Result<(), Refused> {
    let most = options.consult.models;
    let message = match names.len() {
        0 => format!("`{PREFIX}` is followed by the names of models, with commas between."),
        many if many > most => {
            format!("{many} models are consulted; `gateway.consult.max_models` allows {most}.")
        }
        // Each is asked in the midst of another: with no end, one could stand in the next.
        _ if names.iter().any(|name| name.starts_with(PREFIX)) => {
            format!("A model is consulted by its own name, and not by `{PREFIX}` again.")
        }
        _ => return Ok(()),
    };
    Err(Refused::new(StatusCode::BAD_REQUEST, "consult", message).about("model"))
}

/// Asks all of them, one question each. Dropped, it asks none any more.
pub fn consult(
    state: &Arc<State>,
    options: &Options,
    received: Received<'_>,
    understood: &Understood,
    names: Vec<Arc<str>>,
) -> BoxFuture<'static, Result<Response<Answer>, Refused>> {
    let (stream, usage) = (understood.stream, understood.usage_wanted);
    let model = understood.model.clone().unwrap_or_default();
    let request = received.trace.id();
    let held = options.consult.held_bytes;
    let consults = state.consults.clone();
    let experts = questions(state, options, received, understood, names)
        .into_iter()
        .map(|(name, asking)| Expert::new(name, asking, consults.share(), held))
        .collect();
    let mut together = Together::new(experts, format!("consult-{request}"), usage);
    let told = move |refused| Refused { request: Some(request), ..refused };
    Box::pin(async move {
        let (kind, mut answer) = if stream {
            // Until the first has begun it may still be an error as a whole.
            poll_fn(|cx| together.poll_begun(cx)).await.map_err(told)?;
            ("text/event-stream", Response::new(Answer::together(together)))
        } else {
            let whole = poll_fn(|cx| together.poll_whole(cx, &model)).await.map_err(told)?;
            ("application/json", Response::new(Answer::whole(whole)))
        };
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_REQUEST, request.into());
        Ok(answer)
    })
}

/// A question to each, not begun: the same body but for the model's name.
fn questions(
    state: &Arc<State>,
    options: &Options,
    received: Received<'_>,
    understood: &Understood,
    names: Vec<Arc<str>>,
) -> Vec<(Arc<str>, expert::Asking)> {
    let Received { head, endpoint, client, wishes, body: whole, share, trace, .. } = received;
    let (options, client) = (Arc::new(options.clone()), Arc::new(client.clone()));
    let understood = Arc::new(understood.clone());
    // The first takes what was begun for all; the others get their own.
    let mut first = Some((trace, share));
    let question = |name: Arc<str>| {
        let (trace, mut share) = first.take().unwrap_or_else(|| {
            let mut trace = state.records.begin(endpoint);
            trace.client(&client.name, client.basis);
            (trace, state.bodies.share())
        });
        let (understood, whole, asked) = (understood.clone(), whole.clone(), name.clone());
        let (state, options, client, head) =
            (state.clone(), options.clone(), client.clone(), head.clone());
        let asking = async move {
            let write = move |read: &Understood, bytes| {
                body::outgoing(read, bytes, Some(&*asked), false).body
            };
            let body = match large::with_body(&understood, &whole, write).await {
                Ok(body) => body,
                Err(refused) => return Err(column::refuse(trace, refused)),
            };
            drop(whole);
            // Each has a body of its own now.
            if !share.grow(body.len(), options.bounds.bodies_bytes) {
                return Err(column::refuse(trace, Unread::Full.into()));
            }
            let (head, client) = (&head, &*client);
            let received =
                Received { head, endpoint, client, wishes, aside: None, body, share, trace };
            column::ask(&state, &options, received).await
        };
        (name, Box::pin(asking) as expert::Asking)
    };
    names.into_iter().map(question).collect()
}
