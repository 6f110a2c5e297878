//! From a question to its answer, in the words of each kind of server.

mod ask;
mod control;
mod dialects;
mod llama_cpp;
mod ollama;
mod open_ai;
mod vectors;
mod vllm;
mod work;

use std::{io, sync::Arc};

use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    time::{Duration, sleep},
};

use self::work::Work;
use super::{
    body::Answer, engine::Us, fault::Fault, runner::Memory, shared::Shared, spec::Speaks,
    state::State,
};

pub use self::ask::words;

/// An answer, or a connection that ends without one.
pub type Served = Result<Response<Answer>, io::Error>;

/// Far longer than anybody waits.
const FOR_EVER: Duration = Duration::from_secs(86_400 * 365);

/// Answers one question. `close` is told when a stream begins after which the
/// connection ends.
pub async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    close: Arc<Notify>,
    last: bool,
) -> Served {
    let path = request.uri().path().to_owned();
    if let Some(rest) = path.strip_prefix("/double/") {
        return control::private(&shared, rest, request).await;
    }
    let speaks = shared.spec.speaks;
    let work = if *request.method() == Method::POST { Work::at(speaks, &path) } else { None };
    let mut served = match work {
        Some(work) => work::serve(&shared, work, request, close).await?,
        None => control::serve(&shared, &path, request).await?,
    };
    let headers = served.headers_mut();
    let server = match speaks {
        Speaks::LlamaCpp => Some("llama.cpp"),
        Speaks::Vllm => Some("uvicorn"),
        Speaks::Ollama => None,
    };
    if let Some(server) = server {
        headers.insert(header::SERVER, header::HeaderValue::from_static(server));
    }
    if last {
        headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    } else if speaks == Speaks::LlamaCpp {
        // It says so before it closes, too.
        let promise = header::HeaderValue::from_static("timeout=5, max=100");
        headers.insert("keep-alive", promise);
    }
    Ok(served)
}

fn answer(status: u16, kind: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn text(status: u16, body: impl Into<bytes::Bytes>) -> Response<Answer> {
    answer(status, "text/plain; charset=utf-8", Answer::whole(body))
}

fn json_of(status: u16, body: &Value) -> Response<Answer> {
    answer(status, "application/json; charset=utf-8", Answer::whole(body.to_string()))
}

/// An error in the form of the kind.
fn error(speaks: Speaks, status: u16, kind: &str, said: &str) -> Response<Answer> {
    let body = match speaks {
        Speaks::LlamaCpp => {
            json!({ "error": { "code": status, "message": said, "type": kind } })
        }
        Speaks::Vllm => json!({
            "error": { "message": said, "type": kind, "param": null, "code": status },
        }),
        Speaks::Ollama => json!({ "error": said }),
    };
    json_of(status, &body)
}

/// What is said while the model loads.
fn loading(speaks: Speaks) -> Response<Answer> {
    error(speaks, 503, "unavailable_error", "Loading model")
}

/// Whether llama.cpp still loads: then every path says so. One that wakes from its
/// sleep does not.
fn loads(shared: &Shared, state: &State) -> bool {
    let runner = &state.runners[0];
    let first = runner.loads <= 1 || shared.staged.is_some();
    shared.spec.speaks == Speaks::LlamaCpp && first && matches!(runner.memory, Memory::Loading(_))
}

/// Whether the question bears the key that is wanted.
fn has_key(shared: &Shared, request: &Request<Incoming>) -> bool {
    let Some(key) = &shared.spec.key else { return true };
    let told = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    told.and_then(|value| value.strip_prefix("Bearer ")) == Some(key)
}

fn no_key(speaks: Speaks) -> Response<Answer> {
    match speaks {
        Speaks::Vllm => json_of(401, &json!({ "error": "Unauthorized" })),
        _ => error(speaks, 401, "authentication_error", "Invalid API Key"),
    }
}

/// Does what a fault does before an answer begins; `Some` where that is the answer.
async fn before(speaks: Speaks, fault: Option<Fault>) -> Option<Served> {
    match fault? {
        Fault::HangsUp => {
            Some(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "hung up on purpose")))
        }
        Fault::Loads => Some(Ok(loading(speaks))),
        Fault::Answers { status, retry_after_s } => {
            let kind = if status == 429 { "rate_limit_error" } else { "server_error" };
            let known = StatusCode::from_u16(status).ok();
            let said = known.and_then(|status| status.canonical_reason()).unwrap_or("error");
            let mut response = error(speaks, status, kind, said);
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            Some(Ok(response))
        }
        Fault::SlowHeaders { ms } => {
            sleep(Duration::from_millis(ms)).await;
            None
        }
        _ => None,
    }
}

/// Breaks an answer in one piece as a fault says.
async fn broken(fault: Option<Fault>, response: Response<Answer>) -> Response<Answer> {
    let Some(fault) = fault else { return response };
    let (parts, body) = response.into_parts();
    let Answer::Whole(bytes, flight) = body else { return Response::from_parts(parts, body) };
    let bytes = bytes.unwrap_or_default();
    let body = match fault {
        Fault::Dies { .. } | Fault::HalfFrame { .. } => Answer::half(&bytes),
        Fault::Stalls { for_ms, .. } => {
            sleep(for_ms.map_or(FOR_EVER, Duration::from_millis)).await;
            Answer::whole(bytes)
        }
        Fault::WrongJson => Answer::whole(&b"{\"choices\": [<html>\xff"[..]),
        Fault::Endless => Answer::Endless(vec![b' '; 16 << 10].into(), None),
        _ => Answer::whole(bytes),
    };
    let body = match flight {
        Some(flight) => body.landing(flight),
        None => body,
    };
    Response::from_parts(parts, body)
}

/// Seconds since 1970.
fn created(shared: &Shared, now: Us) -> i64 {
    shared.wall_ms(now) / 1000
}
