//! The way of one request, as a column to be read from top to bottom.

use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Method, Request, Response,
    body::{Body as _, Incoming},
    header::{self, HeaderMap, HeaderName, HeaderValue},
    http::{request, response},
};
use plimsoll_core::request::{Endpoint, Finish, Priority};
use plimsoll_services::kind::ServiceKind;
use tokio::{task::spawn_blocking, time::Instant};

use super::{
    answer::{Answer, Pace, Passing, is_sound, outcome_of},
    consult,
    course::Course,
    door::{self, Page},
    gate::Gate,
    listen::Link,
    options::Options,
    own,
    read::{self, Share},
    refuse::{Dialect, Refused},
    retry::Budget,
    shared,
};
use crate::{
    admission::{Admit, Ask, Ms, Outcome},
    clients::{Client, Scope},
    record::Trace,
    request::{self as body, Understood},
    route::{Table, Way},
    sse::{Form, Watch},
    upstream::{self, Begun, Sending, Upstream},
};

pub const X_REQUEST: HeaderName = HeaderName::from_static("x-plimsoll-request");
pub const X_BACKEND: HeaderName = HeaderName::from_static("x-plimsoll-backend");
pub const X_WAIT: HeaderName = HeaderName::from_static("x-plimsoll-wait-ms");
pub const X_FALLBACK: HeaderName = HeaderName::from_static("x-plimsoll-fallback");
pub const X_QUEUE: HeaderName = HeaderName::from_static("x-plimsoll-queue");
const X_PRIORITY: HeaderName = HeaderName::from_static("x-plimsoll-priority");
const X_DEADLINE: HeaderName = HeaderName::from_static("x-plimsoll-deadline-ms");

/// An answer of at most so many bytes that is there at once goes on in one piece.
const AT_ONCE: u64 = 256 << 10;

/// From this size on a body is looked through elsewhere.
const LARGE: usize = 1 << 20;

/// Answers one request, in any case.
pub async fn serve(gate: &Arc<Gate>, link: &Link, request: Request<Incoming>) -> Response<Answer> {
    link.stage.reads_body(request.body().is_end_stream());
    let options = gate.options();
    let dialect = Dialect::of(request.uri().path());
    let mut page = Page::default();
    let mut answer = match go(gate, &options, link, &mut page, request).await {
        Ok(answer) => answer,
        Err(refused) => refused.into_response(dialect),
    };
    page.allow(answer.headers_mut());
    answer.body_mut().on(link.stage.clone());
    answer
}

async fn go(
    gate: &Arc<Gate>,
    options: &Options,
    link: &Link,
    page: &mut Page,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Refused> {
    let (mut head, body) = request.into_parts();

    // Is it meant for Plimsoll, and may the page that asks?
    *page = door::pass(options, &head.uri, &head.headers)?;

    // That it is there, and whether it is ready, everybody may ask.
    if let Some(own) = own::probe(gate, page, &head) {
        return Ok(own);
    }

    // Who asks: limits and figures go by client, and beyond this machine by key.
    let client = link.client(gate, &head.headers).await?;

    // Models and figures are Plimsoll's own to tell, and wait for nothing.
    if let Some(own) = own::answer(gate, &client, &head)? {
        return Ok(own);
    }

    // What is asked for, by its path: administration of a backend is closed.
    let endpoint = endpoint_of(&head, &client)?;
    let mut trace = gate.records.begin(endpoint);
    trace.client(&client.name, client.basis);

    // All of the body, within its bounds: nothing is decided on a half.
    let mut share = gate.bodies.share();
    let body = match read::whole(body, &options.bounds, &mut share).await {
        Ok(body) => body,
        Err(unread) => return Err(refuse(trace, unread.into())),
    };
    link.stage.works();

    // What Plimsoll alone was told goes no further.
    let wishes = Wishes::of(&head.headers);
    upstream::cross_to_backend(&mut head.headers);
    let (head, client) = (&head, &*client);
    ask(gate, options, Asked { head, endpoint, client, wishes, body, share, trace }).await
}

/// A question that was read.
pub struct Asked<'a> {
    /// Without what Plimsoll alone was told.
    pub head: &'a request::Parts,
    pub endpoint: Endpoint,
    pub client: &'a Client,
    pub wishes: Wishes,
    pub body: Bytes,
    pub share: Share,
    pub trace: Trace,
}

/// What a request says of itself to Plimsoll alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    priority: Option<Priority>,
    /// The longest that it waits for room.
    wait: Option<Duration>,
}

/// The rest of the way: what a question to one model goes through, and one to several as
/// many times.
pub async fn ask(
    gate: &Arc<Gate>,
    options: &Options,
    mut asked: Asked<'_>,
) -> Result<Response<Answer>, Refused> {
    asked.trace.question(&asked.body);
    // Which model, and what is known of the question.
    let content_type = asked.head.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|kind| kind.to_str().ok());
    let understood = match understand(asked.endpoint, &asked.body, content_type).await {
        Ok(understood) => understood,
        Err(misread) => return Err(refuse(asked.trace, misread)),
    };
    let model = understood.model.as_deref().unwrap_or_default();
    // Also what is refused is told with its model; how urgent it is, is known later.
    asked.trace.asked(model, understood.stream, Priority::default());
    if let Some(names) = consult::models(asked.endpoint, model) {
        return match consult::judge(&names, options) {
            Ok(()) => consult::consult(gate, options, asked, &understood, names).await,
            Err(refused) => Err(refuse(asked.trace, refused)),
        };
    }
    let Asked { head, endpoint, client, wishes, body, share, mut trace } = asked;

    // Which backends could answer.
    let table = gate.table();
    let way = match table.way(endpoint, model) {
        Ok(way) => way,
        Err(none) => return Err(refuse(trace, none.into())),
    };
    if !may_ask(client, model, &way) {
        return Err(refuse(trace, Refused::not_its_model(model)));
    }
    let priority = wishes.priority(client, &way);
    trace.asked(model, understood.stream, priority);
    trace.expects(Some(understood.prompt_tokens), understood.max_tokens);
    if let Some(route) = &way.route {
        trace.route(route);
    }
    if let [only] = &*way.candidates {
        trace.at(&only.backend);
    }

    let deadline = gate.desk.deadline_in(wishes.wait(options, priority));
    let known =
        Known { head, client, body, understood: &understood, way: &way, priority, deadline };

    // What was answered before, or is being answered, is not asked again where that is allowed.
    match shared::of(options, &known, wishes.wait) {
        Some(asked) => shared::ask(gate, options, &table, asked, known, trace, share).await,
        None => run(gate, options, &table, known, trace, share).await,
    }
}

/// A question, and who could answer it.
pub struct Known<'a> {
    pub head: &'a request::Parts,
    pub client: &'a Client,
    pub body: Bytes,
    pub understood: &'a Understood,
    pub way: &'a Arc<Way>,
    pub priority: Priority,
    pub deadline: Ms,
}

/// Has a backend answer it.
pub async fn run(
    gate: &Arc<Gate>,
    options: &Options,
    table: &Table,
    known: Known<'_>,
    trace: Trace,
    share: Share,
) -> Result<Response<Answer>, Refused> {
    let Known { head, client, body, understood, way, priority, deadline } = known;
    let model = understood.model.as_deref().unwrap_or_default();

    // Room in all, of the client, of the model and of a backend, or a place in the queue.
    let mut course = Course::new(gate.clone(), trace, model.into(), share);
    let admitted = gate.desk.admit(Ask {
        id: course.trace.id().unsigned_abs(),
        client: client.name.clone(),
        model: way.counted.clone(),
        priority,
        tokens: understood.prompt_tokens.saturating_add(understood.max_tokens.unwrap_or(0)),
        deadline,
        candidates: way.candidates.clone(),
        policy: way.policy,
        hash: understood.prefix,
    });
    admit(&mut course, admitted).await?;

    // To the backend …
    let question = Question { head, body, understood, way };
    let (begun, from) = send(gate, options, table, &mut course, question).await?;

    // … and back, with the permit inside the body.
    Ok(give_back(options, course, understood.endpoint, begun, from).await)
}

pub fn refuse(mut trace: Trace, refused: Refused) -> Refused {
    trace.status(refused.status.as_u16());
    trace.finish(refused.finish, refused.message.clone());
    refused
}

/// A large body takes milliseconds to look through: not on the threads that pass tokens.
async fn understand(
    endpoint: Endpoint,
    bytes: &Bytes,
    content_type: Option<&str>,
) -> Result<Understood, Refused> {
    if bytes.len() <= LARGE {
        return Ok(body::understand(endpoint, bytes, content_type)?);
    }
    let (bytes, kind) = (bytes.clone(), content_type.map(str::to_owned));
    let read = spawn_blocking(move || body::understand(endpoint, &bytes, kind.as_deref())).await;
    match read {
        Ok(understood) => Ok(understood?),
        Err(_) => Err(Refused::gone()),
    }
}

fn endpoint_of(head: &request::Parts, client: &Client) -> Result<Endpoint, Refused> {
    let path = head.uri.path();
    match body::endpoint::of(&head.method, path) {
        Some(endpoint) => Ok(endpoint),
        None if !body::endpoint::is_administrative(path) => Err(Refused::no_path(path)),
        None if head.method == Method::POST && client.may(Scope::Admin) => Ok(Endpoint::Other),
        None => Err(Refused::closed_path(path)),
    }
}

/// Whether its key allows the model, by its name or by a service that has it.
fn may_ask(client: &Client, model: &str, way: &Way) -> bool {
    let Some(key) = &client.key else { return true };
    let services = way.candidates.iter().map(|candidate| &*candidate.backend);
    key.may_ask(std::iter::once(model).chain(services))
}

// === impl Wishes ===

impl Wishes {
    fn of(headers: &HeaderMap) -> Self {
        let priority = match headers.get(X_PRIORITY).map(HeaderValue::as_bytes) {
            Some(b"batch") => Some(Priority::Batch),
            Some(b"interactive") => Some(Priority::Interactive),
            _ => None,
        };
        let wait = headers.get(X_DEADLINE).and_then(|ms| ms.to_str().ok()?.parse().ok());
        Self { priority, wait: wait.map(Duration::from_millis) }
    }

    /// By its own word, its route's, its client's. A batch client stays one.
    fn priority(self, client: &Client, way: &Way) -> Priority {
        match self.priority {
            Some(Priority::Batch) => Priority::Batch,
            Some(Priority::Interactive) if client.priority != Some(Priority::Batch) => {
                Priority::Interactive
            }
            _ => way.priority.or(client.priority).unwrap_or_default(),
        }
    }

    /// Less than usual, never more.
    fn wait(self, options: &Options, priority: Priority) -> Duration {
        let usual = match priority {
            Priority::Interactive => options.wait,
            Priority::Batch => options.batch_wait,
        };
        self.wait.map_or(usual, |wait| wait.min(usual))
    }
}

/// Waits for room, for as long as the client and the person who watches want it to.
async fn admit(course: &mut Course, mut admitted: Admit) -> Result<(), Refused> {
    if admitted.place().is_some() {
        course.trace.queued();
    }
    let decided = poll_fn(|cx| match Pin::new(&mut admitted).poll(cx) {
        Poll::Ready(decided) => Poll::Ready(Some(decided)),
        Poll::Pending => course.trace.poll_cancelled(cx).map(|()| None),
    })
    .await;
    match decided {
        Some(Ok(permit)) => {
            course.holds(permit);
            Ok(())
        }
        Some(Err(refusal)) => Err(course.refuse(refusal.into(), Outcome::Unknown)),
        None => Err(course.refuse(Refused::cancelled(), Outcome::Unknown)),
    }
}

struct Question<'a> {
    head: &'a request::Parts,
    body: Bytes,
    understood: &'a Understood,
    way: &'a Way,
}

/// Where an answer came from.
struct Whence {
    upstream: Arc<Upstream>,
    backend: Arc<str>,
    /// The model that answers in place of the one that was asked for.
    fallback: Option<Arc<str>>,
    usage_added: bool,
    /// Where it stood in line when it came.
    place: Option<u32>,
}

/// Asks the backend that admission chose; another, or the same again, where that is
/// allowed and nothing of an answer has been passed on.
async fn send(
    gate: &Arc<Gate>,
    options: &Options,
    table: &Table,
    course: &mut Course,
    question: Question<'_>,
) -> Result<(Begun, Whence), Refused> {
    let end = Instant::now() + options.budgets.total;
    let mut budget = Budget::new(gate, &options.retry, question.body.len());
    loop {
        let (from, body) = match aim(gate, options, table, course, &question) {
            Ok(aim) => aim,
            Err(refused) => return Err(course.refuse(refused, Outcome::Unknown)),
        };
        let sending = Sending {
            method: &question.head.method,
            uri: &question.head.uri,
            headers: &question.head.headers,
            body,
            connect: options.budgets.connect,
            first_byte: (Instant::now() + options.budgets.first_byte).min(end),
        };
        course.sent();
        let sent = {
            let mut sent = pin!(from.upstream.send(sending));
            poll_fn(|cx| match sent.as_mut().poll(cx) {
                Poll::Ready(sent) => Poll::Ready(Some(sent)),
                Poll::Pending => course.trace.poll_cancelled(cx).map(|()| None),
            })
            .await
        };
        let Some(sent) = sent else {
            return Err(course.refuse(Refused::cancelled(), Outcome::Unknown));
        };
        let Some(pause) = budget.pause(gate, &sent) else {
            return match sent {
                Ok(begun) => Ok((begun, from)),
                Err(failure) => Err(course.refuse(failure.into(), Outcome::Failed)),
            };
        };
        // What was answered so far is dropped with its connection.
        drop(sent);
        if let Some(admitted) = course.again(Outcome::Failed, pause) {
            admit(course, admitted).await?;
        }
    }
}

/// The address and the body for the backend that was granted.
fn aim(
    gate: &Gate,
    options: &Options,
    table: &Table,
    course: &mut Course,
    question: &Question<'_>,
) -> Result<(Whence, Bytes), Refused> {
    let Some(permit) = course.permit() else { return Err(Refused::gone()) };
    let (id, place) = (permit.grant.backend.clone(), permit.place.map(|place| place.position));
    // A request holds the table that it began with, so the backend is in it.
    let Some(backend) = table.backend(&id) else { return Err(Refused::gone()) };
    let send_as = question.way.send_as(&id);
    let upstream =
        gate.upstreams.of(&backend.id, &backend.url, backend.key.as_ref(), options.idle)?;
    // llama.cpp counts its tokens in every last chunk without being asked.
    let asks = options.ask_usage && backend.kind != Some(ServiceKind::LlamaCpp);
    let body = question.body.clone();
    let outgoing = body::outgoing(question.understood, body, send_as.map(|name| &**name), asks);
    let answers = send_as.unwrap_or(&course.model);
    course.trace.granted(&id, answers);
    let fallback = question.way.is_fallback(&id).then(|| answers.clone());
    let whence =
        Whence { upstream, backend: id, fallback, usage_added: outgoing.usage_added, place };
    Ok((whence, outgoing.body))
}

/// The answer as it goes to the client.
async fn give_back(
    options: &Options,
    mut course: Course,
    endpoint: Endpoint,
    begun: Begun,
    from: Whence,
) -> Response<Answer> {
    let Begun { head: mut parts, mut flow, again } = begun;
    if again {
        tracing::debug!(backend = %from.backend, "a resting connection had died, and was replaced");
    }
    upstream::cross_to_client(&mut parts.headers);
    mark(&mut parts, &course, &from);
    course.trace.status(parts.status.as_u16());
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let form = Form::of(text(header::CONTENT_TYPE), text(header::CONTENT_ENCODING));
    let mut watch = Watch::new(endpoint, form, from.usage_added);
    let cuts = from.usage_added && form == Form::Events;
    if cuts {
        parts.headers.remove(header::CONTENT_LENGTH);
    }

    // Most answers that do not stream are there by now, whole.
    let mut first = None;
    if !cuts && flow.size().is_some_and(|size| size <= AT_ONCE) {
        match poll_fn(|cx| Poll::Ready(flow.poll_next(cx))).await {
            Poll::Ready(Some(Ok(piece))) => first = Some(piece),
            Poll::Ready(None) => first = Some(Bytes::new()),
            Poll::Ready(Some(Err(_))) => {
                let why = Refused::broken_off(&from.upstream.place());
                let why = course.refuse(why, Outcome::Failed);
                return why.into_response(Dialect::at(endpoint));
            }
            Poll::Pending => {}
        }
        if flow.is_over()
            && let Some(whole) = first.take()
        {
            course.answered(parts.status);
            course.first();
            // What is given back is a view of the same bytes.
            let _ = (watch.feed(whole.clone(), 0).count(), watch.end(0).count());
            course.saw(watch.seen());
            course.trace.answer(&whole);
            course.end(Finish::Answered, String::new(), outcome_of(parts.status));
            from.upstream.rest_of(flow).await;
            let answer = Answer::whole(whole).sound(is_sound(form, watch.seen()));
            return Response::from_parts(parts, answer);
        }
    }
    let pace = Pace::new(options.budgets.between, Instant::now() + options.budgets.total);
    let dialect = Dialect::at(endpoint);
    let seen = (watch, form, cuts);
    let mut passing = Passing::new(course, flow, from.upstream, seen, dialect, pace, parts.status);
    if let Some(piece) = first {
        passing.begin_with(piece);
    }
    Response::from_parts(parts, Answer::passing(passing))
}

fn mark(parts: &mut response::Parts, course: &Course, from: &Whence) {
    let headers = &mut parts.headers;
    headers.insert(X_REQUEST, course.trace.id().into());
    headers.insert(X_WAIT, (course.trace.wait_us() / 1000).into());
    if let Some(place) = from.place {
        headers.insert(X_QUEUE, place.into());
    }
    if let Ok(backend) = HeaderValue::from_str(&from.backend) {
        headers.insert(X_BACKEND, backend);
    }
    if let Some(model) = &from.fallback
        && let Ok(model) = HeaderValue::from_str(model)
    {
        headers.insert(X_FALLBACK, model);
    }
}
