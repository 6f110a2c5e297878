//! The way to the backend: where to, with which body, and again where that is allowed.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use hyper::http::request;
use plimsoll_services::kind::ServiceKind;
use tokio::time::Instant;

use super::{
    column::room,
    course::Course,
    large,
    options::Options,
    passing::outcome_of,
    refuse::Refused,
    retry::{Budget, retry_after},
    state::State,
};
use crate::{
    admission::{BackendId, Outcome, Place},
    request::{self as body, Understood},
    route::{Other, Table, Way},
    upstream::{Begun, Sending, Upstream},
};

/// What is sent, and to whom it may be.
pub struct Question<'a> {
    pub head: &'a request::Parts,
    pub body: Bytes,
    pub understood: &'a Understood,
    pub way: &'a Way,
}

/// Where an answer came from.
pub struct AnsweredBy {
    pub upstream: Arc<Upstream>,
    pub backend: Arc<str>,
    /// The model that answers in place of the one that was asked for.
    pub fallback: Option<Arc<str>>,
    pub usage_added: bool,
    /// Where it stood in line when it came.
    pub place: Option<Place>,
    /// When the request has had its time, retries and all.
    pub end: Instant,
}

/// Asks the backend that admission chose; another, or the same again, where that is
/// allowed and nothing of an answer has been passed on.
pub async fn send(
    state: &Arc<State>,
    options: &Options,
    table: &Table,
    course: &mut Course,
    question: Question<'_>,
) -> Result<(Begun, AnsweredBy), Refused> {
    let end = Instant::now() + options.budgets.total;
    let mut budget = Budget::new(state, &options.retry, question.body.len());
    // Who failed it so far, each as often as it did.
    let mut failed: Vec<BackendId> = Vec::new();
    loop {
        let (from, body) = match aim(state, options, table, course, &question, &failed, end).await {
            Ok(aim) => aim,
            Err(refused) => return Err(course.refuse(refused, Outcome::Unknown)),
        };
        let sent = course.sent();
        let sending = Sending {
            method: &question.head.method,
            uri: &question.head.uri,
            headers: &question.head.headers,
            body,
            connect: options.budgets.connect,
            first_byte: (sent + options.budgets.first_byte).min(end),
            replays: &|| state.records.replayed(),
        };
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
        let next = question.way.next(&from.backend, times(&failed, &from.backend));
        let hops = next.filter(|_| budget.hops(state, &sent, end));
        let pause = match hops {
            Some(_) => Some(Duration::ZERO),
            None => budget.pause(state, &sent, end),
        };
        let Some(pause) = pause else {
            return match sent {
                Ok(begun) => Ok((begun, from)),
                Err(failure) => Err(course.refuse(failure.into(), Outcome::Failed)),
            };
        };
        // What was answered so far is dropped with its connection; what it says of the backend
        // is the same as where it is passed on.
        let (why, outcome) = match sent {
            Ok(begun) => {
                let status = begun.head.status;
                let place = from.upstream.place();
                (Refused::said(&place, status, retry_after(&begun)), outcome_of(status))
            }
            Err(failure) => (failure.into(), Outcome::Failed),
        };
        // A model that fails says nothing of its server, unless another one has it, too.
        let elsewhere = |other: &Other| {
            let mut before = question.way.candidates.iter().filter(|of| of.rank < other.rank);
            before.any(|of| of.backend != from.backend && !failed.contains(&of.backend))
        };
        let outcome = match hops {
            Some(other) if !elsewhere(other) => Outcome::Unknown,
            _ => outcome,
        };
        failed.push(from.backend.clone());
        let since = Instant::now();
        if let Some(admitted) = course.again(outcome, pause)
            && let Err(refused) =
                room(course, admitted, |why| state.look_again(table, question.way, why)).await
        {
            let why = why.not_again(failed.len(), since.elapsed(), refused);
            return Err(course.refuse(why, Outcome::Unknown));
        }
    }
}

fn times(failed: &[BackendId], backend: &str) -> usize {
    failed.iter().filter(|id| &***id == backend).count()
}

/// The address and the body for the backend that was granted.
async fn aim(
    state: &State,
    options: &Options,
    table: &Table,
    course: &mut Course,
    question: &Question<'_>,
    failed: &[BackendId],
    end: Instant,
) -> Result<(AnsweredBy, Bytes), Refused> {
    let Some((id, place)) = course.backend() else { return Err(Refused::gone()) };
    // A request holds the table that it began with, so the backend is in it.
    let Some(backend) = table.backend(&id) else { return Err(Refused::gone()) };
    let failed = times(failed, &id);
    let send_as = question.way.send_as(&id, failed);
    let upstream = state.upstreams.of(backend, options.idle)?;
    // llama.cpp counts its tokens in every last chunk without being asked.
    let asks = options.ask_usage && backend.kind != Some(ServiceKind::LlamaCpp);
    let write = {
        let send_as = send_as.cloned();
        move |read: &Understood, bytes| body::outgoing(read, bytes, send_as.as_deref(), asks)
    };
    let outgoing = large::with_body(question.understood, &question.body, write).await?;
    let answers = send_as.unwrap_or(&course.model);
    course.trace.granted(&id, answers);
    let fallback = question.way.is_fallback(&id, failed).then(|| answers.clone());
    let by = AnsweredBy {
        upstream,
        backend: id,
        fallback,
        usage_added: outgoing.usage_added,
        place,
        end,
    };
    Ok((by, outgoing.body))
}
