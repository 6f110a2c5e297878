//! Connections to backends: kept, reused, and never trusted to be alive.
//!
//! A real llama.cpp server closes its connection after every streamed answer and does
//! not say so. A connection that rested is therefore looked at before it is used; one
//! that dies under a request without a byte in return is replaced at once by a new one,
//! and the client sees nothing of it.

mod headers;
mod line;
mod origin;
mod pool;
mod wire;

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Method, Request, Uri, header};
use plimsoll_services::client::distrusted;
use tokio::time::{Instant, timeout, timeout_at};

use self::line::Unanswered;
pub use self::{
    headers::{cross_to_backend, cross_to_client},
    line::{Flow, Line},
    origin::{BadAddress, Origin, authorization},
    pool::{Upstream, Upstreams},
};
use crate::turn;

/// What is sent: the body is held until an answer begins, so that it can be sent again.
pub struct Sending<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    /// As they cross to the backend; its own key and the host are put in here.
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    pub connect: Duration,
    pub first_byte: Instant,
    /// Told when a resting connection has died, and it is sent once more on a new one.
    pub replays: &'a (dyn Fn() + Sync),
}

/// An answer that has begun.
pub struct Begun {
    pub head: hyper::http::response::Parts,
    pub flow: Flow,
}

/// Why a backend gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("nothing listens at {place}")]
    Refused { place: String },
    #[error("{place} cannot be reached: {source}")]
    Unreachable { place: String, source: io::Error },
    #[error("the certificate of {place} is not believed: {why}")]
    Distrusted { place: String, why: String },
    #[error("{place} did not accept a connection within {} ms", budget.as_millis())]
    SlowConnect { place: String, budget: Duration },
    #[error("{place} closed the connection without an answer")]
    Closed { place: String, source: hyper::Error },
    #[error("{place} does not answer in HTTP: {source}")]
    NotHttp { place: String, source: hyper::Error },
    #[error("{place} gave no first byte in time")]
    SlowFirstByte { place: String },
}

// === impl Upstream ===

impl Upstream {
    /// Sends a request, and answers when the head of its answer is there.
    pub async fn send(&self, sending: Sending<'_>) -> Result<Begun, Failure> {
        turn::comes().await;
        if let Some(line) = self.rested().await {
            match self.ask(line, &sending).await? {
                Ok((head, flow)) => return Ok(Begun { head, flow }),
                // It had closed, and its word of it was still on the way.
                Err(Unanswered { silent: true, .. }) => (sending.replays)(),
                Err(broken) => return Err(self.unanswered(broken)),
            }
        }
        let line = self.dial(sending.connect).await?;
        match self.ask(line, &sending).await? {
            Ok((head, flow)) => Ok(Begun { head, flow }),
            Err(broken) => Err(self.unanswered(broken)),
        }
    }

    async fn ask(
        &self,
        line: Line,
        sending: &Sending<'_>,
    ) -> Result<Result<(hyper::http::response::Parts, Flow), Unanswered>, Failure> {
        let mut request = Request::new(Full::new(sending.body.clone()));
        *request.method_mut() = sending.method.clone();
        *request.uri_mut() = self.origin.target(sending.uri);
        *request.headers_mut() = sending.headers.clone();
        request.headers_mut().insert(header::HOST, self.origin.authority.clone());
        if let Some(key) = &self.key {
            request.headers_mut().insert(header::AUTHORIZATION, key.clone());
        }
        match timeout_at(sending.first_byte, line.ask(request)).await {
            Ok(Ok((head, flow))) => Ok(Ok((head.into_parts().0, flow))),
            Ok(Err(broken)) => Ok(Err(broken)),
            Err(_) => Err(Failure::SlowFirstByte { place: self.origin.place() }),
        }
    }

    async fn dial(&self, budget: Duration) -> Result<Line, Failure> {
        let place = || self.origin.place();
        let wire = match timeout(budget, wire::connect(&self.origin, self.trust.as_ref())).await {
            Ok(Ok(wire)) => wire,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(Failure::Refused { place: place() });
            }
            Ok(Err(source)) => {
                return Err(match distrusted(&source) {
                    Some(why) => Failure::Distrusted { place: place(), why },
                    None => Failure::Unreachable { place: place(), source },
                });
            }
            Err(_) => return Err(Failure::SlowConnect { place: place(), budget }),
        };
        Line::on(wire).await.map_err(|source| Failure::Closed { place: place(), source })
    }

    fn unanswered(&self, broken: Unanswered) -> Failure {
        let place = self.origin.place();
        let source = broken.error;
        if source.is_parse() {
            Failure::NotHttp { place, source }
        } else {
            Failure::Closed { place, source }
        }
    }
}
