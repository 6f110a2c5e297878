//! What a client may ask of Plimsoll itself, by headers that no backend sees.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use plimsoll_core::request::Priority;

use super::options::Options;
use crate::{clients::Client, route::Way};

const X_PRIORITY: HeaderName = HeaderName::from_static("x-plimsoll-priority");
const X_DEADLINE: HeaderName = HeaderName::from_static("x-plimsoll-deadline-ms");

/// What a request says of itself to Plimsoll alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    priority: Option<Priority>,
    /// The longest that it waits for room.
    pub wait: Option<Duration>,
}

// === impl Wishes ===

impl Wishes {
    pub fn of(headers: &HeaderMap) -> Self {
        let priority = match headers.get(X_PRIORITY).map(HeaderValue::as_bytes) {
            Some(b"batch") => Some(Priority::Batch),
            Some(b"interactive") => Some(Priority::Interactive),
            _ => None,
        };
        let wait = headers.get(X_DEADLINE).and_then(|ms| ms.to_str().ok()?.parse().ok());
        Self { priority, wait: wait.map(Duration::from_millis) }
    }

    /// By its own word, its route's, its client's. A batch client stays one.
    pub fn priority(self, client: &Client, way: &Way) -> Priority {
        match self.priority {
            Some(Priority::Batch) => Priority::Batch,
            Some(Priority::Interactive) if client.priority != Some(Priority::Batch) => {
                Priority::Interactive
            }
            _ => way.priority.or(client.priority).unwrap_or_default(),
        }
    }

    /// Less than usual, never more.
    pub fn wait(self, options: &Options, priority: Priority) -> Duration {
        let usual = match priority {
            Priority::Interactive => options.wait,
            Priority::Batch => options.batch_wait,
        };
        self.wait.map_or(usual, |wait| wait.min(usual))
    }
}
