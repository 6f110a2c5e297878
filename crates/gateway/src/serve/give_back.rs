//! The way back: the answer's head with Plimsoll's own marks, and a body that holds the permit.

use std::{future::poll_fn, task::Poll};

use bytes::Bytes;
use hyper::{
    Method, Response,
    header::{self, HeaderName, HeaderValue},
    http::response,
};
use plimsoll_core::request::{Endpoint, Finish};

use super::{
    answer::Answer,
    course::Course,
    options::Options,
    pace::Pace,
    passing::{Passing, is_sound, outcome_of},
    refuse::{Dialect, Refused},
    send::AnsweredBy,
};
use crate::{
    admission::Outcome,
    request as body,
    sse::{Form, Watch},
    turn,
    upstream::{self, Begun},
};

pub const X_REQUEST: HeaderName = HeaderName::from_static("x-plimsoll-request");
pub const X_BACKEND: HeaderName = HeaderName::from_static("x-plimsoll-backend");
pub const X_WAIT: HeaderName = HeaderName::from_static("x-plimsoll-wait-ms");
pub const X_FALLBACK: HeaderName = HeaderName::from_static("x-plimsoll-fallback");
pub const X_QUEUE: HeaderName = HeaderName::from_static("x-plimsoll-queue");
/// Milliseconds. In an answer: as it was expected when it came; in a refusal: as it is now.
pub const X_EXPECTED: HeaderName = HeaderName::from_static("x-plimsoll-expected-wait-ms");

/// An answer of at most so many bytes that is there at once goes on in one piece.
const AT_ONCE: u64 = 256 << 10;

/// The answer as it goes to the client.
pub async fn give_back(
    options: &Options,
    mut course: Course,
    endpoint: Endpoint,
    begun: Begun,
    by: AnsweredBy,
) -> Response<Answer> {
    let Begun { head: mut parts, mut flow } = begun;
    upstream::cross_to_client(&mut parts.headers);
    if let Err(elsewhere) = stay(&mut parts, &by) {
        let why = course.refuse(elsewhere, outcome_of(parts.status));
        return why.into_response(Dialect::at(endpoint));
    }
    mark(&mut parts, &course, &by);
    course.trace.status(parts.status.as_u16());
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let form = Form::of(text(header::CONTENT_TYPE), text(header::CONTENT_ENCODING));
    let mut watch = Watch::new(endpoint, form, by.usage_added);
    let cuts = by.usage_added && form == Form::Events;
    if cuts {
        parts.headers.remove(header::CONTENT_LENGTH);
    }

    // Most answers that do not stream are there by now, whole. One that does tells in itself
    // how it went, whether it comes at once or not.
    let mut first = None;
    let streams = matches!(form, Form::Events | Form::Lines);
    if !streams && flow.size().is_some_and(|size| size <= AT_ONCE) {
        match poll_fn(|cx| Poll::Ready(flow.poll_next(cx))).await {
            Poll::Ready(Some(Ok(piece))) => first = Some(piece),
            Poll::Ready(None) => first = Some(Bytes::new()),
            Poll::Ready(Some(Err(_))) => {
                let why = Refused::broken_off(&by.upstream.place());
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
            by.upstream.rest_of(flow).await;
            turn::comes().await;
            let answer = Answer::whole(whole).sound(is_sound(form, watch.seen()));
            return Response::from_parts(parts, answer);
        }
    }
    let pace = Pace::new(options.budgets.between, by.end);
    let dialect = Dialect::at(endpoint);
    let seen = (watch, form, cuts);
    let mut passing = Passing::new(course, flow, by.upstream, seen, dialect, pace, parts.status);
    if let Some(piece) = first {
        passing.begin_with(piece);
    }
    Response::from_parts(parts, Answer::passing(passing))
}

/// No answer leads its client past Plimsoll: what its backend has at another path that Plimsoll
/// serves is there, too, and to whatever else it sends, nobody goes.
fn stay(parts: &mut response::Parts, by: &AnsweredBy) -> Result<(), Refused> {
    let Some(location) = parts.headers.remove(header::LOCATION) else { return Ok(()) };
    let here = by.upstream.path_of(&location).filter(|path| {
        let path = path.split('?').next().unwrap_or_default();
        body::endpoint::of(&Method::POST, path).is_some()
    });
    if let Some(here) = here.and_then(|path| HeaderValue::from_str(&path).ok()) {
        parts.headers.insert(header::LOCATION, here);
        return Ok(());
    }
    if parts.status.is_redirection() {
        return Err(Refused::elsewhere(&by.upstream.place(), parts.status, &location));
    }
    Ok(())
}

/// What a client may know of how its answer came to be.
fn mark(parts: &mut response::Parts, course: &Course, by: &AnsweredBy) {
    let headers = &mut parts.headers;
    headers.insert(X_REQUEST, course.trace.id().into());
    // Most wait for nothing, and a number is written anew each time.
    headers.insert(
        X_WAIT,
        match course.trace.wait_us() / 1000 {
            0 => HeaderValue::from_static("0"),
            wait_ms => wait_ms.into(),
        },
    );
    if let Some(place) = by.place {
        headers.insert(X_QUEUE, place.position.into());
        if let Some(expected) = place.expected_wait {
            headers.insert(X_EXPECTED, expected.into());
        }
    }
    if let Ok(backend) = HeaderValue::from_str(&by.backend) {
        headers.insert(X_BACKEND, backend);
    }
    if let Some(model) = &by.fallback
        && let Ok(model) = HeaderValue::from_str(model)
    {
        headers.insert(X_FALLBACK, model);
    }
}
