//! Questions that cost an engine nothing: health, models, figures. And the private
//! path on which a double tells its counts and is told its faults.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{Method, Request, Response, body::Incoming, header};
use serde_json::{Value, json};

use super::{
    super::{body::Answer, fault::Planned, runner::Memory, shared::Shared, spec::Speaks},
    Served, before, broken, created, error, has_key, json_of, llama_cpp, loading, loads, no_key,
    ollama, text, vllm,
};

/// Longest body that is read.
const MOST_BODY: usize = 64 << 20;

/// The whole body; an answer where it cannot be had.
pub async fn body_of(
    speaks: Speaks,
    request: Request<Incoming>,
) -> Result<Bytes, Response<Answer>> {
    match Limited::new(request.into_body(), MOST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(_) => Err(error(speaks, 413, "invalid_request_error", "the body is too long")),
    }
}

pub async fn serve(shared: &Arc<Shared>, path: &str, request: Request<Incoming>) -> Served {
    let speaks = shared.spec.speaks;
    shared.with(|state, _| state.stats.control += 1);
    let fault = shared.strike(false);
    if let Some(served) = before(speaks, fault).await {
        return served;
    }
    let response = match speaks {
        Speaks::LlamaCpp => of_llama_cpp(shared, path, &request),
        Speaks::Vllm => of_vllm(shared, path, &request),
        Speaks::Ollama => of_ollama(shared, path, &request),
    };
    Ok(broken(fault, response).await)
}

fn of_llama_cpp(shared: &Shared, path: &str, request: &Request<Incoming>) -> Response<Answer> {
    let speaks = Speaks::LlamaCpp;
    if shared.with(|state, _| loads(shared, state)) {
        return loading(speaks);
    }
    let open = matches!(path, "/health" | "/v1/health" | "/models" | "/v1/models");
    if !open && !has_key(shared, request) {
        return no_key(speaks);
    }
    let missing = |what: &str| error(speaks, 501, "not_supported_error", what);
    match path {
        "/health" | "/v1/health" => json_of(200, &json!({ "status": "ok" })),
        "/props" => json_of(200, &shared.with(|state, _| llama_cpp::props(&shared.spec, state))),
        "/models" | "/v1/models" => {
            json_of(200, &shared.with(|state, now| llama_cpp::models(state, created(shared, now))))
        }
        "/slots" if !shared.spec.slots => {
            missing("This server does not support slots endpoint. Start it with `--slots`")
        }
        "/slots" => {
            // To ask for them is work: it wakes.
            let slots = shared.with(|state, now| {
                state.runners[0].load(now);
                state.runners[0].idle_since = now;
                llama_cpp::slots(state)
            });
            json_of(200, &slots)
        }
        "/metrics" if !shared.spec.metrics => {
            missing("This server does not support metrics endpoint. Start it with `--metrics`")
        }
        "/metrics" => {
            let told = shared.with(|state, now| {
                let runner = &mut state.runners[0];
                if runner.memory == Memory::In {
                    runner.idle_since = now;
                }
                llama_cpp::metrics(state)
            });
            super::answer(200, "text/plain; version=0.0.4", Answer::whole(told))
        }
        _ => error(speaks, 404, "not_found_error", "File Not Found"),
    }
}

fn of_vllm(shared: &Shared, path: &str, request: &Request<Incoming>) -> Response<Answer> {
    if path.starts_with("/v1") && !has_key(shared, request) {
        return no_key(Speaks::Vllm);
    }
    match path {
        "/health" | "/ping" => text(200, ""),
        "/version" => json_of(200, &json!({ "version": shared.spec.version })),
        "/load" => {
            let load = shared.with(|state, _| state.stats.in_flight);
            json_of(200, &json!({ "server_load": load }))
        }
        "/v1/models" => {
            json_of(200, &shared.with(|state, now| vllm::models(state, created(shared, now))))
        }
        "/metrics" => {
            let told = shared.with(|state, _| vllm::metrics(state));
            super::answer(200, "text/plain; version=0.0.4; charset=utf-8", Answer::whole(told))
        }
        _ => json_of(404, &json!({ "detail": "Not Found" })),
    }
}

fn of_ollama(shared: &Shared, path: &str, request: &Request<Incoming>) -> Response<Answer> {
    match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/") => text(200, "Ollama is running"),
        (&Method::GET, "/api/version") => json_of(200, &json!({ "version": shared.spec.version })),
        (&Method::GET, "/api/tags") => {
            json_of(200, &shared.with(|state, now| ollama::tags(state, shared.wall_ms(now))))
        }
        (&Method::GET, "/api/ps") => {
            json_of(200, &shared.with(|state, now| ollama::ps(state, now, |at| shared.wall_ms(at))))
        }
        (&Method::GET, "/v1/models") => {
            let card = |name: &str, created: i64| json!({ "id": name, "object": "model", "created": created, "owned_by": "library" });
            let cards: Vec<Value> = shared.with(|state, now| {
                let created = created(shared, now);
                state.runners.iter().map(|runner| card(&runner.model.name, created)).collect()
            });
            json_of(200, &json!({ "object": "list", "data": cards }))
        }
        _ => text(404, "404 page not found"),
    }
}

/// `stats` (GET, and DELETE to count anew), `fault` (POST one, DELETE all).
pub async fn private(shared: &Arc<Shared>, what: &str, request: Request<Incoming>) -> Served {
    let speaks = shared.spec.speaks;
    Ok(match (request.method().clone(), what) {
        (Method::GET, "stats") => {
            let stats = serde_json::to_value(shared.stats()).unwrap_or_default();
            json_of(200, &stats)
        }
        (Method::DELETE, "stats") => {
            shared.reset();
            json_of(200, &json!({}))
        }
        (Method::DELETE, "fault") => {
            shared.with(|state, _| state.planned.clear());
            json_of(200, &json!({}))
        }
        (Method::POST, "fault") => {
            let body = match body_of(speaks, request).await {
                Ok(body) => body,
                Err(response) => return Ok(response),
            };
            match serde_json::from_slice::<Planned>(&body) {
                Ok(planned) => {
                    shared.with(|state, _| state.planned.push(planned));
                    json_of(200, &json!({}))
                }
                Err(wrong) => json_of(400, &json!({ "error": wrong.to_string() })),
            }
        }
        _ => {
            let mut response = text(404, "There are stats and fault.\n");
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
            response
        }
    })
}
