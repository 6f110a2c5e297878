//! What is asked of one server beside questions to its models: Ollama's word on a model, and,
//! with a key's scope `admin`, to load, unload, pull and delete. It takes no room and waits in
//! no line: to unload is how room is made.

use std::{borrow::Cow, ops::Range, sync::Arc};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{HeaderName, HeaderValue},
    http::request,
};
use plimsoll_core::{
    config::gateway::Balance,
    request::{Endpoint, Priority},
    traffic::Scope,
};
use plimsoll_services::kind::ServiceKind;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::Answer,
    column::{self, Received},
    course::Course,
    give_back::give_back,
    options::{Options, Retry},
    own,
    refuse::Refused,
    send::{Question, send},
    state::State,
};
use crate::{
    admission::Candidate,
    clients::Client,
    request::{self as body, Understood},
    route::{Backend, Table, Way},
};

/// The service that is meant, where its model does not tell it.
const X_SERVICE: HeaderName = HeaderName::from_static("x-plimsoll-service");

/// Paths that change a server, with their method and the kind of server that has them.
const ACTS: [(&str, Method, &str, ServiceKind); 6] = [
    ("/api/pull", Method::POST, "POST", ServiceKind::Ollama),
    ("/api/delete", Method::DELETE, "DELETE", ServiceKind::Ollama),
    ("/models/load", Method::POST, "POST", ServiceKind::LlamaCpp),
    ("/models/unload", Method::POST, "POST", ServiceKind::LlamaCpp),
    ("/v1/load_lora_adapter", Method::POST, "POST", ServiceKind::Vllm),
    ("/v1/unload_lora_adapter", Method::POST, "POST", ServiceKind::Vllm),
];

/// A longer body is not looked through for the name that older clients write.
const LONGEST: usize = 64 << 10;

/// What is asked of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    what: What,
    /// The service that the client names.
    service: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Ollama's `/api/show`.
    Show,
    /// Of a server of this kind; `None`: of any.
    Act(Option<ServiceKind>),
}

// === impl Aside ===

impl Aside {
    /// Whether it is such a thing, and may be asked for by this client.
    pub fn of(head: &request::Parts, client: &Client) -> Result<Option<Self>, Refused> {
        let path = head.uri.path();
        let is = |what, method: &Method, allow| {
            if head.method != method {
                return Err(Refused::no_method(path, head.method.as_str(), allow));
            }
            Ok(Some(Self { what, service: service_of(&head.headers) }))
        };
        if path == "/api/show" {
            return is(What::Show, &Method::POST, "POST");
        }
        let act = ACTS.iter().find(|(known, ..)| *known == path);
        match act {
            Some(_) if !client.may(Scope::Admin) => Err(Refused::closed_path(path)),
            Some((_, method, allow, kind)) => is(What::Act(Some(*kind)), method, *allow),
            None if own::methods_of(path).is_none()
                && body::endpoint::is_administrative(path)
                && client.may(Scope::Admin) =>
            {
                is(What::Act(None), &Method::POST, "POST")
            }
            None => Ok(None),
        }
    }

    /// The one service that is meant.
    fn way(&self, table: &Table, path: &str, model: &str) -> Result<Arc<Way>, Refused> {
        let kind = match self.what {
            What::Show => Some(ServiceKind::Ollama),
            What::Act(kind) => kind,
        };
        let fits = |backend: &&Backend| kind.is_none() || backend.kind == kind;
        let all: Vec<&Backend> = table.backends().filter(fits).collect();
        let unclear = |why: String| {
            let ids: Vec<&str> = all.iter().map(|backend| &*backend.id).collect();
            let message = match ids.as_slice() {
                [] => format!("{why} No service here has `{path}`."),
                ids => format!("{why} `x-plimsoll-service` names one of {}.", ids.join(", ")),
            };
            Refused::new(StatusCode::BAD_REQUEST, "service_unclear", message)
        };
        if let Some(name) = &self.service {
            let named = all.iter().find(|backend| *backend.id == **name);
            let Some(named) = named else {
                return Err(unclear(format!("`{name}` is no service that this is for.")));
            };
            return Ok(way_to(named, model));
        }
        // By its model, an alias of it, or a route.
        if self.what == What::Show {
            return Ok(table.way(Endpoint::OllamaChat, model)?);
        }
        let having: Vec<&&Backend> = all.iter().filter(|backend| has(backend, model)).collect();
        match (having.as_slice(), all.as_slice()) {
            ([one], _) => Ok(way_to(one, model)),
            ([], [one]) => Ok(way_to(one, model)),
            (_, []) => Err(unclear(String::new())),
            _ => Err(unclear("It could be meant for several services.".into())),
        }
    }
}

/// Asks the one server that is meant for it.
pub async fn ask(
    state: &Arc<State>,
    options: &Options,
    aside: &Aside,
    received: Received<'_>,
    understood: &Understood,
) -> Result<Response<Answer>, Refused> {
    let Received { head, client, mut body, share, mut trace, .. } = received;
    let table = state.table();
    let named = understood.model.is_none().then(|| Named::of(&body)).flatten();
    let model = understood.model.as_deref().or(named.as_ref().map(|named| &*named.name));
    let model = model.unwrap_or_default().to_owned();
    let way = match aside.way(&table, head.uri.path(), &model) {
        Ok(way) => way,
        Err(refused) => return Err(column::refuse(trace, refused)),
    };
    let Some(way) = column::allowed(client, &model, &way) else {
        return Err(column::refuse(trace, Refused::not_its_model(&model)));
    };
    trace.asked(&model, understood.stream, Priority::default());
    let is_up = |id: &str| table.backend(id).is_some_and(|backend| backend.up);
    let candidates = || way.candidates.iter().map(|candidate| &candidate.backend);
    let Some(to) = candidates().find(|id| is_up(id)).or_else(|| candidates().next()) else {
        return Err(column::refuse(trace, Refused::gone()));
    };
    let mut understood = Cow::Borrowed(understood);
    if let (Some(named), Some(real)) = (named, way.send_as(to, 0)) {
        understood.to_mut().model = Some(real.to_string());
        body = named.replaced(&body, real);
    }
    let mut course = Course::new(state.clone(), trace, model.as_str().into(), 0, share);
    course.asks(to.clone());
    // What changes a server is not done twice, and nothing is added to it.
    let retry = Retry { most: 0, ..options.retry };
    let options = Options { retry, ask_usage: false, ..options.clone() };
    let question = Question { head, body, understood: &understood, way: &way };
    let (begun, from) = send(state, &options, &table, &mut course, question).await?;
    Ok(give_back(&options, course, Endpoint::Other, begun, from).await)
}

fn service_of(headers: &HeaderMap) -> Option<String> {
    let told = headers.get(X_SERVICE).map(HeaderValue::to_str)?.ok()?;
    Some(told.trim().chars().take(100).collect())
}

/// The model as older clients of Ollama name it, in the member `name`.
struct Named {
    name: String,
    /// Where in the body that stands.
    at: Range<usize>,
}

// === impl Named ===

impl Named {
    fn of(body: &Bytes) -> Option<Self> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            name: &'a RawValue,
        }
        if body.len() > LONGEST {
            return None;
        }
        let said = serde_json::from_slice::<Raw<'_>>(body).ok()?.name.get();
        let begin = (said.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
        Some(Self { name: serde_json::from_str(said).ok()?, at: begin..begin + said.len() })
    }

    /// The body with another name in its place.
    fn replaced(&self, body: &Bytes, name: &str) -> Bytes {
        let name = serde_json::Value::from(name).to_string();
        let (before, after) = (&body[..self.at.start], &body[self.at.end..]);
        [before, name.as_bytes(), after].concat().into()
    }
}

fn has(backend: &Backend, model: &str) -> bool {
    let latest = |known: &str| {
        backend.kind == Some(ServiceKind::Ollama) && known.strip_suffix(":latest") == Some(model)
    };
    backend.models.iter().any(|known| **known == *model || latest(known))
}

fn way_to(backend: &Backend, model: &str) -> Arc<Way> {
    Arc::new(Way {
        route: None,
        counted: model.into(),
        candidates: [Candidate { backend: backend.id.clone(), rank: 0, weight: 1 }].into(),
        policy: Balance::LeastInFlight,
        send_as: vec![None],
        others: Vec::new(),
        priority: None,
        cache: false,
        coalesce: Some(false),
    })
}
