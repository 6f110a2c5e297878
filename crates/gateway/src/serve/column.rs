//! The way of one request, as a column to be read from top to bottom.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, Uri,
    body::{Body as _, Incoming},
    header,
    http::request,
};
use plimsoll_core::request::{Endpoint, Priority};

use super::{
    answer::Answer,
    aside::{self, Aside},
    connection::Link,
    consult,
    course::Course,
    door::{self, Page},
    give_back::give_back,
    large, ollama,
    options::Options,
    own,
    read::{self, Share},
    refuse::{Dialect, Refused},
    send::{Question, send},
    shared,
    state::State,
    wishes::Wishes,
};
use crate::{
    admission::{Admit, Ask, Ms, Outcome, Refusal},
    clients::Client,
    record::Trace,
    request::{self as body, Understood},
    route::{Table, Way},
    upstream,
};

/// Answers one request, in any case.
pub async fn serve(
    state: &Arc<State>,
    link: &Link,
    request: Request<Incoming>,
) -> Response<Answer> {
    // The head is here: from now on the connection is given a body's time.
    link.progress.reads_body(request.body().is_end_stream());
    // One reading of the options for all of its way: no change falls in the midst of it.
    let options = state.options();
    // A refusal is worded as the client's own library expects it.
    let dialect = Dialect::of(request.uri().path());
    let mut page = Page::default();
    let mut answer = match go(state, &options, link, &mut page, request).await {
        Ok(answer) => answer,
        Err(refused) => refused.into_response(dialect),
    };
    // The page that was let in may read what came of it, a refusal too.
    page.allow(answer.headers_mut());
    // The connection rests, and may be closed, only when the answer has been given.
    answer.body_mut().on(link.progress.clone());
    answer
}

/// What holds for every request, until it is a question that was read.
async fn go(
    state: &Arc<State>,
    options: &Options,
    link: &Link,
    page: &mut Page,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Refused> {
    let (mut head, body) = request.into_parts();

    // Is it meant for Plimsoll, and may the page that asks?
    *page = door::pass(options, &head.uri, &head.headers)?;

    // That it is there, and whether it is ready, everybody may ask.
    if let Some(own) = own::probe(state, page, &head) {
        return Ok(own);
    }

    // Who asks: limits and figures go by client, and beyond this machine by key.
    let client = link.client(state, &head.headers).await?;

    // Models and figures are Plimsoll's own to tell, and wait for nothing.
    if let Some(own) = own::answer(state, &client, &head)? {
        let path = head.uri.path().trim_end_matches('/');
        let tags = head.method == Method::GET && path == ollama::TAGS;
        return Ok(if tags { Box::pin(ollama::told(state, options, own)).await } else { own });
    }
    if ollama::is_running(&head) {
        return Ok(Box::pin(ollama::running(state, options, &client)).await);
    }

    // What is asked for, by its path: administration of a backend is closed.
    let aside = Aside::of(&head, &client)?;
    let endpoint = match aside {
        Some(_) => Endpoint::Other,
        None => endpoint_of(&head)?,
    };
    if let Some(path) = body::endpoint::without_slash(head.uri.path()) {
        head.uri = at_path(path, &head.uri);
    }
    let mut trace = state.records.begin(endpoint);
    trace.client(&client.name, client.basis);

    // What is compressed would be read as what it is not.
    if let Some(encoding) = encoding_of(&head.headers) {
        return Err(refuse(trace, Refused::encoded(encoding)));
    }

    // All of the body, within its bounds: nothing is decided on a half.
    trace.uploads();
    let mut share = state.bodies.share();
    let body = match read::whole(body, &options.bounds, &mut share, &link.progress).await {
        Ok(body) => body,
        Err(unread) => return Err(refuse(trace, unread.into())),
    };
    link.progress.works();
    trace.read();

    // What Plimsoll alone was told goes no further.
    let wishes = Wishes::of(&head.headers);
    upstream::cross_to_backend(&mut head.headers);
    let (head, client) = (&head, &*client);
    let received = Received { head, endpoint, client, wishes, aside, body, share, trace };
    ask(state, options, received).await
}

/// A question that came whole.
pub struct Received<'a> {
    /// Without what Plimsoll alone was told.
    pub head: &'a request::Parts,
    pub endpoint: Endpoint,
    pub client: &'a Client,
    pub wishes: Wishes,
    pub aside: Option<Aside>,
    pub body: Bytes,
    pub share: Share,
    pub trace: Trace,
}

/// The rest of the way: what a question to one model goes through, and one to several as
/// many times.
pub async fn ask(
    state: &Arc<State>,
    options: &Options,
    mut received: Received<'_>,
) -> Result<Response<Answer>, Refused> {
    // Kept before anything can refuse it, where questions are kept.
    received.trace.question(&received.body);

    // Which model, and what is known of the question.
    let content_type = received.head.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|kind| kind.to_str().ok());
    let understood = match large::understand(received.endpoint, &received.body, content_type).await
    {
        Ok(understood) => understood,
        Err(misread) => return Err(refuse(received.trace, misread)),
    };
    let model = understood.model.as_deref().unwrap_or_default();
    // Also what is refused is told with its model; how urgent it is, is known later.
    received.trace.asked(model, understood.stream, Priority::default());

    if let Some(aside) = received.aside.take() {
        return Box::pin(aside::ask(state, options, &aside, received, &understood)).await;
    }

    // Several models at once: each of them comes this way by itself.
    if let Some(names) = consult::models(received.endpoint, model) {
        return match consult::judge(&names, options) {
            Ok(()) => consult::consult(state, options, received, &understood, names).await,
            Err(refused) => Err(refuse(received.trace, refused)),
        };
    }
    let Received { head, endpoint, client, wishes, body, share, mut trace, .. } = received;

    // Which backends could answer.
    let table = state.table();
    let way = match table.way(endpoint, model) {
        Ok(way) => way,
        Err(none) => return Err(refuse(trace, none.into())),
    };

    // Not every key is for every model, and only now is it known what stands behind the name.
    let Some(way) = allowed(client, model, &way) else {
        return Err(refuse(trace, Refused::not_its_model(model)));
    };

    // How urgent it is; and its row says what was meant, also if it never gets there.
    let priority = wishes.priority(client, &way);
    trace.urgent(priority);
    trace.expects(Some(understood.prompt_tokens), understood.max_tokens);
    if let Some(route) = &way.route {
        trace.route(route);
    }
    if let [only] = &*way.candidates {
        trace.at(&only.backend);
    }

    // It waits for room so long, and no longer than its client wants it to.
    let deadline = state.desk.deadline_in(wishes.wait(options, priority));
    let known =
        Known { head, client, body, understood: &understood, way: &way, priority, deadline };

    // What was answered before, or is being answered, is not asked again where that is allowed.
    match shared::of(options, &known, wishes.wait).await {
        Some(reuse) => shared::ask(state, options, &table, reuse, known, trace, share).await,
        None => run(state, options, &table, known, trace, share).await,
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
    state: &Arc<State>,
    options: &Options,
    table: &Table,
    known: Known<'_>,
    trace: Trace,
    share: Share,
) -> Result<Response<Answer>, Refused> {
    let Known { head, client, body, understood, way, priority, deadline } = known;
    let model = understood.model.as_deref().unwrap_or_default();

    // Room in all, of the client, of the model and of a backend, or a place in the queue.
    let prompt_tokens = understood.prompt_tokens;
    let mut course = Course::new(state.clone(), trace, model.into(), prompt_tokens, share);
    let admitted = state.desk.admit(Ask {
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
    admit(&mut course, admitted, |why| state.look_again(table, way, why)).await?;

    // To the backend …
    let question = Question { head, body, understood, way };
    let (begun, from) = send(state, options, table, &mut course, question).await?;

    // … and back, with the permit inside the body.
    Ok(give_back(options, course, understood.endpoint, begun, from).await)
}

/// Waits for room, and ends what does not get it.
async fn admit(
    course: &mut Course,
    admitted: Admit,
    refused: impl FnOnce(&Refusal),
) -> Result<(), Refused> {
    match room(course, admitted, refused).await {
        Ok(()) => Ok(()),
        Err(refused) => Err(course.refuse(refused, Outcome::Unknown)),
    }
}

/// Waits for room, for as long as the client and the person who watches want it to.
pub async fn room(
    course: &mut Course,
    mut admitted: Admit,
    refused: impl FnOnce(&Refusal),
) -> Result<(), Refused> {
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
        Some(Err(refusal)) => {
            refused(&refusal);
            Err(refusal.into())
        }
        None => Err(Refused::cancelled()),
    }
}

/// Ends the row of a request that got no permit.
pub fn refuse(mut trace: Trace, refused: Refused) -> Refused {
    trace.status(refused.status.as_u16());
    let refused = Refused { request: Some(trace.id()), ..refused };
    trace.finish(refused.finish, refused.message.clone());
    refused
}

/// The same at another path.
fn at_path(path: &str, uri: &Uri) -> Uri {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    // Both were read as parts of an address before.
    format!("{path}{query}").parse().unwrap_or_default()
}

/// How a body is compressed; `None`: it comes as it is.
fn encoding_of(headers: &HeaderMap) -> Option<&str> {
    let mut told = headers.get_all(header::CONTENT_ENCODING).iter();
    let told = told.find(|told| !told.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))?;
    Some(told.to_str().unwrap_or("?"))
}

/// An unknown path and a closed one are told apart, since only one of them has a way out.
fn endpoint_of(head: &request::Parts) -> Result<Endpoint, Refused> {
    let path = head.uri.path();
    // A path that is known is there, also where it is asked for in another way.
    let asked = body::endpoint::of(&Method::POST, path);
    let allow = match asked.filter(|endpoint| *endpoint != Endpoint::Other) {
        Some(_) => Some("POST").filter(|_| head.method != Method::POST),
        None => own::methods_of(path),
    };
    if let Some(allow) = allow {
        return Err(Refused::no_method(path, head.method.as_str(), allow));
    }
    match body::endpoint::of(&head.method, path) {
        Some(endpoint) => Ok(endpoint),
        None if body::endpoint::is_administrative(path) => Err(Refused::closed_path(path)),
        None => Err(Refused::no_path(path)),
    }
}

/// What of the way its key allows: a service by its id, or the model that it would be asked for.
/// The name that the client wrote is no word for another model that would answer in its place.
pub fn allowed(client: &Client, model: &str, way: &Arc<Way>) -> Option<Arc<Way>> {
    let Some(key) = &client.key else { return Some(way.clone()) };
    way.narrowed(|candidate, send_as| {
        let asked = (candidate.rank == 0).then_some(model);
        key.may_ask([Some(&*candidate.backend), send_as, asked].into_iter().flatten())
    })
}

#[cfg(test)]
mod tests {
    use plimsoll_core::{config::gateway::Balance, traffic::ClientBasis};

    use super::*;
    use crate::{
        admission::Candidate,
        clients::{Fresh, Kept, Keys},
    };

    fn client(models: &[&str]) -> Client {
        let fresh = Fresh::make().unwrap();
        let models = models.iter().map(ToString::to_string).collect();
        let kept = Kept { models, ..fresh.kept("one", 1) };
        let key = Keys::new([kept]).find(&fresh.key).cloned();
        Client { name: "one".into(), basis: ClientBasis::Key, priority: None, key, named: false }
    }

    /// `small` on two services, and `large` on a third where neither can serve.
    fn way() -> Arc<Way> {
        let candidate = |id: &str, rank| Candidate { backend: id.into(), rank, weight: 1 };
        Arc::new(Way {
            route: None,
            counted: "small".into(),
            candidates: [candidate("a", 0), candidate("b", 0), candidate("c", 1)].into(),
            policy: Balance::LeastInFlight,
            send_as: vec![None, None, Some("large".into())],
            others: Vec::new(),
            priority: None,
            cache: false,
            coalesce: None,
        })
    }

    fn left(models: &[&str]) -> Vec<String> {
        let allowed = allowed(&client(models), "small", &way());
        let names = |way: Arc<Way>| way.candidates.iter().map(|c| c.backend.to_string()).collect();
        allowed.map(names).unwrap_or_default()
    }

    #[test]
    fn a_key_reaches_what_it_names_and_nothing_in_its_place() {
        assert_eq!(left(&[]), ["a", "b", "c"]);
        assert_eq!(left(&["a"]), ["a"], "a service");
        assert_eq!(left(&["small"]), ["a", "b"], "a model, and not the one it falls back to");
        assert_eq!(left(&["small", "large"]), ["a", "b", "c"]);
        assert_eq!(left(&["other"]), [""; 0]);
    }
}
