//! One answer for several requests: kept from before, or heard together while it is given.
//!
//! A request gets another's answer only where both would have been answered alike: the same
//! path, the same body byte for byte, the same headers but for those that say who asks or
//! when, the same way through the gateway, the same priority and patience — and the same client,
//! unless `gateway.cache.shared` lets answers cross from one client to another. A client is
//! its key, its program, or who `gateway.clients` names; one that is known only by its own word
//! for itself, or not at all, goes its way alone. Whether it may ask for the model at all has been
//! judged before. What is shared costs no room and no rate: no backend works for it.
//!
//! `Cache-Control: no-cache` or `no-store` in a request asks for an answer of its own.

use std::{
    hash::{Hash as _, Hasher as _},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::{
    Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
    http::{response, uri::PathAndQuery},
};
use plimsoll_core::request::{Endpoint, Finish, Shared};
use siphasher::sip128::Hasher128 as _;

use super::{
    answer::Answer,
    column::{self, Known},
    give_back::{X_BACKEND, X_EXPECTED, X_FALLBACK, X_QUEUE, X_REQUEST, X_WAIT},
    heard::{Head, Heard, Leading},
    large,
    options::Options,
    read::Share,
    refuse::Refused,
    state::State,
};
use crate::{
    cache::{self, Kept},
    coalesce::{self, Entry, Failure, Listener, Ticket},
    record::Trace,
    request,
    route::Table,
};

/// `hit`: the answer was kept from before.
const X_CACHE: HeaderName = HeaderName::from_static("x-plimsoll-cache");
/// `joined`: the same was under way, and its answer goes to both.
const X_SHARED: HeaderName = HeaderName::from_static("x-plimsoll-shared");

pub type Flights = coalesce::Flights<Head, Refused>;

/// What is held of an answer for those who may still join: of one, and of all.
const ANSWER: usize = 8 << 20;
const ALL: usize = 128 << 20;

/// How a question may be answered together with others.
#[derive(Clone, Copy, Debug)]
pub struct Reuse {
    /// Equal for questions that are answered alike.
    key: u128,
    /// The same, and equally urgent.
    joins: Option<u128>,
    /// It may be answered with what was kept.
    looks: bool,
    /// Its answer is kept.
    keeps: bool,
}

/// Headers that say who asks, from where and which time, and nothing of what.
static OF_THE_ASKER: [HeaderName; 15] = [
    header::USER_AGENT,
    header::DATE,
    header::ORIGIN,
    header::REFERER,
    header::FORWARDED,
    header::VIA,
    header::DNT,
    header::CACHE_CONTROL,
    header::PRAGMA,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-client-request-id"),
];
/// Such headers, by how they begin: counters of the SDKs, proxies, browsers, Plimsoll's own.
const BEGIN: [&str; 5] = ["x-stainless-", "x-forwarded-", "x-real-ip", "sec-", "x-plimsoll-"];

/// Whether it may be answered together with others; `None`: it goes its way alone.
pub async fn of(options: &Options, known: &Known<'_>, wait: Option<Duration>) -> Option<Reuse> {
    let sharing = &options.sharing;
    let joins = sharing.joins(known.way, known.understood);
    let keeps = sharing.keeps(known.way, known.understood);
    // Whoever cannot be told from others shares with nobody: it could be anybody.
    if !joins && !keeps || !sharing.across_clients && !known.client.is_known() {
        return None;
    }
    let headers = &known.head.headers;
    let fresh = cache::says(headers, &["no-cache", "no-store"]);
    let keeps = keeps && !cache::says(headers, &["no-store"]);
    let joins = joins && !fresh;
    if !joins && !keeps {
        return None;
    }
    // One that cannot be told from others goes its way alone.
    let question = large::with_body(known.understood, &known.body, |understood, body| {
        request::question(understood, &body)
    });
    let key = key(known, question.await.ok()?, sharing.across_clients);
    let joins = joins.then(|| {
        let mut hasher = request::hasher();
        (key, known.priority, wait).hash(&mut hasher);
        hasher.finish128().as_u128()
    });
    Some(Reuse { key, joins, looks: keeps && !fresh, keeps })
}

fn key(known: &Known<'_>, question: u128, across_clients: bool) -> u128 {
    let mut hasher = request::hasher();
    question.hash(&mut hasher);
    known.head.uri.path_and_query().map(PathAndQuery::as_str).hash(&mut hasher);
    // In whatever order they came.
    let headers = known.head.headers.iter().filter(|(name, _)| !is_of_the_asker(name));
    let headers = headers.fold(0_u64, |sum, (name, value)| {
        let mut hasher = request::hasher();
        name.as_str().hash(&mut hasher);
        value.as_bytes().hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    });
    headers.hash(&mut hasher);
    known.way.route.hash(&mut hasher);
    for (candidate, send_as) in known.way.candidates.iter().zip(&known.way.send_as) {
        (&candidate.backend, candidate.rank, send_as).hash(&mut hasher);
    }
    for other in &known.way.others {
        (&other.backend, other.rank, &other.model).hash(&mut hasher);
    }
    if !across_clients {
        let client = known.client;
        client.basis.hash(&mut hasher);
        client.name.hash(&mut hasher);
        client.key.as_ref().map(|key| &key.kept.id).hash(&mut hasher);
    }
    hasher.finish128().as_u128()
}

fn is_of_the_asker(name: &HeaderName) -> bool {
    OF_THE_ASKER.contains(name) || BEGIN.iter().any(|begin| name.as_str().starts_with(begin))
}

/// Answers it with what was kept, or with what is being answered, or has it answered for
/// all who will ask the same.
pub async fn ask(
    state: &Arc<State>,
    options: &Options,
    table: &Arc<Table>,
    reuse: Reuse,
    known: Known<'_>,
    mut trace: Trace,
    share: Share,
) -> Result<Response<Answer>, Refused> {
    let cache = options.sharing.cache();
    if reuse.looks
        && let Some(kept) = state.cache.get(reuse.key, cache.ttl)
    {
        return Ok(hit(kept, trace));
    }
    let held = if reuse.keeps { ANSWER.max(cache.entry_bytes) } else { ANSWER };
    let bounds = coalesce::Bounds { answer: held, all: ALL };
    let ticket = loop {
        let Some(key) = reuse.joins else { break state.flights.alone(bounds) };
        let mut listener = match state.flights.enter(key, bounds) {
            Entry::Leads(ticket) => break ticket,
            Entry::Joined(listener) => listener,
        };
        match follow(&mut listener, &mut trace).await {
            Ok(head) => return Ok(join(&head, listener, trace, known.understood.endpoint)),
            // Its limit, its patience, a person who ended it: each has its own.
            Err(refused) if is_the_leaders(&refused) && !trace.is_cancelled() => {}
            Err(refused) => return Err(column::refuse(trace, refused)),
        }
    };
    lead(state, table, reuse, ticket, known, trace, share).await
}

/// Waits for the head of an answer that another one leads.
async fn follow(
    listener: &mut Listener<Head, Refused>,
    trace: &mut Trace,
) -> Result<Head, Refused> {
    // What it waits for is neither Plimsoll's own work nor a backend's for it.
    trace.joins();
    let head = std::future::poll_fn(|cx| match listener.poll_head(cx) {
        Poll::Ready(head) => Poll::Ready(Some(head)),
        Poll::Pending => trace.poll_cancelled(cx).map(|()| None),
    })
    .await;
    match head {
        Some(Ok(head)) => {
            trace.shared(Shared::Joined);
            Ok(head)
        }
        Some(Err(Failure::Of(refused))) => {
            if !is_the_leaders(&refused) {
                trace.shared(Shared::Joined);
            }
            Err(refused)
        }
        Some(Err(Failure::Lost)) => Err(Refused::gone()),
        None => Err(Refused::cancelled()),
    }
}

/// No backend failed: it was refused, or ended, for what it was itself.
fn is_the_leaders(refused: &Refused) -> bool {
    let gone = Refused { request: refused.request, ..Refused::gone() };
    matches!(refused.finish, Finish::Refused | Finish::Cancelled) && *refused != gone
}

/// Has it answered, in a task that goes on without this client where others listen.
async fn lead(
    state: &Arc<State>,
    table: &Arc<Table>,
    reuse: Reuse,
    ticket: Ticket<Head, Refused>,
    known: Known<'_>,
    trace: Trace,
    share: Share,
) -> Result<Response<Answer>, Refused> {
    let endpoint = known.understood.endpoint;
    let run = {
        let (state, table) = (state.clone(), table.clone());
        let Known { head, client, body, understood, way, priority, deadline } = known;
        let (head, client) = (head.clone(), client.clone());
        let (understood, way) = (understood.clone(), way.clone());
        async move {
            let options = state.options();
            let known = Known {
                head: &head,
                client: &client,
                body,
                understood: &understood,
                way: &way,
                priority,
                deadline,
            };
            let answer = column::run(&state, &options, &table, known, trace, share).await?;
            let (head, answer) = answer.into_parts();
            let head = Arc::new(head);
            let keeps = reuse.keeps && is_to_be_kept(&head);
            let keep = keeps.then(|| (state.clone(), reuse.key));
            Ok((head.clone(), Leading { answer, head, keep }))
        }
    };
    let mut listener = ticket.start(&state.tasks, run);
    match std::future::poll_fn(|cx| listener.poll_head(cx)).await {
        Ok(head) => {
            let parts = response::Parts::clone(&head);
            let answer = match listener.only() {
                Some(whole) => Answer::whole(whole),
                None => Answer::heard(Heard::new(listener, None, endpoint, &parts)),
            };
            Ok(Response::from_parts(parts, answer))
        }
        Err(Failure::Of(refused)) => Err(refused),
        Err(Failure::Lost) => Err(Refused::gone()),
    }
}

/// All of it, and what was asked for.
fn is_to_be_kept(head: &response::Parts) -> bool {
    head.status == StatusCode::OK && !head.headers.contains_key(X_FALLBACK)
}

/// An answer from before.
fn hit(kept: Kept, mut trace: Trace) -> Response<Answer> {
    trace.answer(&kept.body);
    let mut response = Response::new(Answer::whole(kept.body));
    *response.headers_mut() = kept.headers;
    let headers = response.headers_mut();
    headers.insert(header::AGE, kept.made.elapsed().as_secs().into());
    headers.insert(X_CACHE, HeaderValue::from_static("hit"));
    headers.insert(X_REQUEST, trace.id().into());
    if let Some(backend) = kept.backend {
        headers.insert(X_BACKEND, backend);
    }
    trace.shared(Shared::Hit);
    trace.first();
    trace.status(200);
    trace.finish(Finish::Answered, "");
    response
}

/// An answer that another one leads.
fn join(
    head: &response::Parts,
    mut listener: Listener<Head, Refused>,
    mut trace: Trace,
    endpoint: Endpoint,
) -> Response<Answer> {
    let mut parts = head.clone();
    trace.status(parts.status.as_u16());
    let headers = &mut parts.headers;
    if let Some(backend) = headers.get(X_BACKEND).and_then(|id| id.to_str().ok()) {
        trace.at(&backend.into());
    }
    headers.remove(X_QUEUE);
    headers.remove(X_EXPECTED);
    headers.insert(X_REQUEST, trace.id().into());
    headers.insert(X_WAIT, (trace.wait_us() / 1000).into());
    headers.insert(X_SHARED, HeaderValue::from_static("joined"));
    let answer = match listener.only() {
        Some(whole) => {
            trace.first();
            trace.answer(&whole);
            trace.finish(Finish::Answered, "");
            Answer::whole(whole)
        }
        None => Answer::heard(Heard::new(listener, Some(trace), endpoint, &parts)),
    };
    Response::from_parts(parts, answer)
}
