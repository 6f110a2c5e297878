//! The one place where a reason becomes an answer: honest, in the words of the API that
//! was asked, and saying which limit refused and when to come again.

use std::time::Duration;

use hyper::{
    Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use plimsoll_core::request::Finish;

pub use super::dialect::Dialect;
use super::{
    answer::Answer,
    door::Turned,
    give_back::{X_EXPECTED, X_REQUEST},
    read::Unread,
};
use crate::{
    admission::{Limit, Ms, Refusal},
    clients::Stranger,
    request::Misread,
    route::NoWay,
    upstream::{BadAddress, Failure},
};

/// Why a request got no answer of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: StatusCode,
    /// For programs, e.g. `queue_full`.
    pub code: &'static str,
    /// One or two sentences for a person.
    pub message: String,
    /// The field of the body that is wrong.
    pub param: Option<&'static str>,
    pub retry_after: Option<Ms>,
    /// What follows on the connection cannot be read.
    pub close: bool,
    /// How it is recorded.
    pub finish: Finish,
    /// Number of its row in the log, where it has one.
    pub request: Option<i64>,
    /// The methods that the path has.
    pub allow: Option<&'static str>,
}

/// Which limit refused, for programs.
pub const X_LIMIT: HeaderName = HeaderName::from_static("x-plimsoll-limit");

// === impl Refused ===

impl Refused {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            close: false,
            finish: Finish::Refused,
            request: None,
            allow: None,
        }
    }

    #[must_use]
    pub fn about(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    #[must_use]
    pub fn again_after(self, retry_after: Option<Ms>) -> Self {
        Self { retry_after, ..self }
    }

    #[must_use]
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    #[must_use]
    pub fn ending(self, finish: Finish) -> Self {
        Self { finish, ..self }
    }

    /// A path that is not served here.
    pub fn no_path(path: &str) -> Self {
        let path: String = path.chars().take(100).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_path",
            format!(
                "Plimsoll does not pass `{path}` on. It passes POST /v1/… that names a known \
                 model, and /api/chat, /api/generate, /api/embed and /api/show."
            ),
        )
    }

    /// A path that is known, asked for with a method that it has not got.
    pub fn no_method(path: &str, method: &str, allow: &'static str) -> Self {
        let path: String = path.chars().take(100).collect();
        let method: String = method.chars().take(20).collect();
        let message = format!("`{path}` is asked for with {allow}, and not with {method}.");
        let refused = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        Self { allow: Some(allow), ..refused }
    }

    /// A body that is sent compressed: no model server here takes one, and the model that it
    /// asks for could not be read.
    pub fn encoded(encoding: &str) -> Self {
        let encoding: String = encoding.chars().take(40).collect();
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_encoding",
            format!(
                "The body comes with `Content-Encoding: {encoding}`. Plimsoll, like the servers \
                 behind it, takes bodies as they are: send it without."
            ),
        )
    }

    /// A path that changes a server.
    pub fn closed_path(path: &str) -> Self {
        let path: String = path.chars().take(100).collect();
        Self::new(
            StatusCode::FORBIDDEN,
            "administrative_path",
            format!("`{path}` administers a server: it wants a key with the scope `admin`."),
        )
    }

    pub fn not_its_model(model: &str) -> Self {
        let model: String = model.chars().filter(|c| !c.is_control()).take(100).collect();
        let message = format!("This key does not allow the model `{model}`.");
        Self::new(StatusCode::FORBIDDEN, "model_not_allowed", message).about("model")
    }

    /// What was chosen is not there any more.
    pub fn gone() -> Self {
        let message = "The backend that was chosen is gone.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "backends", message).again_after(Some(1000))
    }

    pub fn cancelled() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "cancelled", "A person ended this request in Plimsoll.")
            .ending(Finish::Cancelled)
    }

    pub fn broken_off(place: &str) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "backend_broke_off",
            format!("{place} broke off in the middle of its answer."),
        )
        .ending(Finish::Failed)
    }

    /// A backend that sends its clients away.
    pub fn elsewhere(place: &str, status: StatusCode, to: &HeaderValue) -> Self {
        let to: String = to.as_bytes().escape_ascii().to_string().chars().take(200).collect();
        let message = format!(
            "{place} answered {status} and sends its clients to `{to}`, where Plimsoll does not \
             follow. Set the service's address to where it answers itself."
        );
        Self::new(StatusCode::BAD_GATEWAY, "backend_redirects", message).ending(Finish::Failed)
    }

    /// What a backend said of itself that is tried again, where that came to nothing.
    pub fn said(place: &str, status: StatusCode, retry_after: Option<Duration>) -> Self {
        let after = retry_after.map_or(1000, |after| after.as_millis());
        Self::new(status, "backend_failed", format!("{place} answered {status}."))
            .again_after(Some(Ms::try_from(after).unwrap_or(Ms::MAX)))
            .ending(Finish::Failed)
    }

    /// The backend's failure stays the reason where another try found no room in time, after
    /// so many of them and so long a wait for it.
    #[must_use]
    pub fn not_again(self, tries: usize, waited: Duration, why: Self) -> Self {
        if why.finish == Finish::Cancelled {
            return why;
        }
        let seconds = waited.as_secs();
        let again = match (tries, seconds) {
            (..=1, 0) => "It was not tried again.".to_owned(),
            (..=1, _) => format!("It waited {seconds} s for another try, and got none."),
            (_, 0) => format!("It was tried {tries} times."),
            _ => format!("It was tried {tries} times, and waited {seconds} s for another one."),
        };
        let message = format!("{} {again} {}", self.message, why.message);
        Self { message, retry_after: self.retry_after.max(why.retry_after), ..self }
    }

    pub fn too_late(message: String) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", message).ending(Finish::TimedOut)
    }

    /// As an answer.
    pub fn into_response(self, dialect: Dialect) -> Response<Answer> {
        let mut response = Response::new(Answer::whole(dialect.body(&self)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(ms) = self.retry_after {
            headers.insert(header::RETRY_AFTER, ms.div_ceil(1000).max(1).into());
        }
        if let Some(ms) = self.retry_after
            && matches!(self.code, "queue_full" | "deadline" | "rate")
        {
            headers.insert(X_EXPECTED, ms.into());
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(request) = self.request {
            headers.insert(X_REQUEST, request.into());
        }
        if self.finish == Finish::Refused {
            headers.insert(X_LIMIT, HeaderValue::from_static(self.code));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<Turned> for Refused {
    fn from(turned: Turned) -> Self {
        let message = turned.to_string();
        match turned {
            Turned::Host(_) => Self::new(StatusCode::FORBIDDEN, "host_not_allowed", message),
            Turned::Origin(_) => Self::new(StatusCode::FORBIDDEN, "origin_not_allowed", message),
            Turned::NoHost => Self::new(StatusCode::BAD_REQUEST, "bad_host", message).closing(),
        }
    }
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        let message = unread.to_string();
        match unread {
            Unread::TooLarge(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).closing()
            }
            Unread::Full => Self::new(StatusCode::SERVICE_UNAVAILABLE, "memory", message)
                .again_after(Some(1000))
                .closing(),
            Unread::Left => Self::new(StatusCode::BAD_REQUEST, "bad_body", message)
                .closing()
                .ending(Finish::Left),
            Unread::Broken => Self::new(StatusCode::BAD_REQUEST, "bad_body", message).closing(),
        }
    }
}

impl From<Stranger> for Refused {
    fn from(stranger: Stranger) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", stranger.to_string())
    }
}

impl From<NoWay> for Refused {
    fn from(none: NoWay) -> Self {
        let message = none.to_string();
        if none.is_passing() {
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "model_not_yet_known", message)
                .again_after(Some(2000));
        }
        let (status, code) = match none {
            NoWay::Unnamed => (StatusCode::BAD_REQUEST, "model_missing"),
            NoWay::Off { .. } => (StatusCode::NOT_FOUND, "service_off"),
            NoWay::OtherSpeech { .. } => (StatusCode::NOT_FOUND, "other_path"),
            _ => (StatusCode::NOT_FOUND, "model_not_found"),
        };
        Self::new(status, code, message).about("model")
    }
}

impl From<BadAddress> for Refused {
    fn from(bad: BadAddress) -> Self {
        Self::failed(format!("The address of the backend cannot be used: {bad}."))
    }
}

impl From<Misread> for Refused {
    fn from(misread: Misread) -> Self {
        let mut message = misread.to_string();
        if let Some(first) = message.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        message.push('.');
        let refused = Self::new(StatusCode::BAD_REQUEST, "invalid_body", message);
        Self { param: misread.param(), ..refused }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal.limit {
            Limit::Queue => (StatusCode::TOO_MANY_REQUESTS, "queue_full"),
            Limit::Deadline => (StatusCode::SERVICE_UNAVAILABLE, "deadline"),
            Limit::Rate => (StatusCode::TOO_MANY_REQUESTS, "rate"),
            Limit::Backends => (StatusCode::SERVICE_UNAVAILABLE, "backends"),
            Limit::Tokens => (StatusCode::BAD_REQUEST, "tokens"),
            Limit::Pressure => (StatusCode::SERVICE_UNAVAILABLE, "pressure"),
            Limit::Twice => (StatusCode::CONFLICT, "twice"),
            Limit::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        };
        // What can never be served has no time to come again.
        let never = refusal.limit == Limit::Tokens;
        let after = refusal.retry_after.or(Some(1000)).filter(|_| !never);
        Self::new(status, code, refusal.reason).again_after(after)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        // What the library says is for the log: it may quote what it read.
        tracing::debug!(%failure, "a backend gave no answer");
        match &failure {
            Failure::SlowConnect { place, budget } => Self::too_late(format!(
                "{place} did not accept a connection within {} ms.",
                budget.as_millis()
            )),
            Failure::SlowFirstByte { place } => {
                Self::too_late(format!("{place} gave no first byte in time."))
            }
            Failure::Distrusted { place, why } => {
                Self::failed(format!("The certificate of {place} is not believed: {why}."))
            }
            Failure::Refused { place } => Self::failed(format!("Nothing listens at {place}.")),
            Failure::Unreachable { place, source } => {
                Self::failed(format!("{place} cannot be reached: {source}."))
            }
            Failure::Closed { place, .. } => {
                Self::failed(format!("{place} closed the connection without an answer."))
            }
            Failure::NotHttp { place, .. } => {
                Self::failed(format!("{place} does not answer in HTTP."))
            }
        }
    }
}

impl Refused {
    fn failed(message: String) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "backend_failed", message)
            .again_after(Some(1000))
            .ending(Finish::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_which_limit_and_when_to_come_again() {
        let refusal = Refusal {
            limit: Limit::Queue,
            reason: "The queue is full.".into(),
            retry_after: Some(1500),
        };
        let response = Refused::from(refusal).into_response(Dialect::OpenAi);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["x-plimsoll-limit"], "queue_full");
        assert_eq!(response.headers()["x-plimsoll-expected-wait-ms"], "1500");
    }

    #[test]
    fn what_is_said_of_further_tries_is_what_there_was_of_them() {
        let said = |tries, waited_s| {
            let why = Refused::new(StatusCode::SERVICE_UNAVAILABLE, "backends", "a is down.");
            let failed = Refused::failed("It broke.".into());
            failed.not_again(tries, Duration::from_secs(waited_s), why).message
        };
        assert_eq!(said(1, 0), "It broke. It was not tried again. a is down.");
        assert_eq!(said(1, 9), "It broke. It waited 9 s for another try, and got none. a is down.");
        assert_eq!(said(3, 0), "It broke. It was tried 3 times. a is down.");
        let both = "It broke. It was tried 2 times, and waited 7 s for another one. a is down.";
        assert_eq!(said(2, 7), both);
    }

    #[test]
    fn every_limit_but_the_hopeless_one_says_when() {
        for limit in [
            Limit::Queue,
            Limit::Deadline,
            Limit::Rate,
            Limit::Backends,
            Limit::Pressure,
            Limit::Stopping,
        ] {
            let refused =
                Refused::from(Refusal { limit, reason: String::new(), retry_after: None });
            assert!(matches!(refused.status.as_u16(), 429 | 503), "{limit:?}");
            assert!(refused.retry_after.is_some(), "{limit:?}");
        }
        let never = Refusal { limit: Limit::Tokens, reason: String::new(), retry_after: None };
        assert_eq!(Refused::from(never).retry_after, None);
    }
}
