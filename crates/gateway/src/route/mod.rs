//! Which backends could answer a request: names, aliases, patterns, fallbacks.
//!
//! A [`Table`] is made anew whenever the configuration or the services change, and
//! is immutable: a request holds the one it began with.

use std::sync::Arc;

use plimsoll_core::request::Priority;
use plimsoll_services::{client::Secret, kind::ServiceKind};

use crate::admission::{BackendId, Candidate, Policy};

/// A service that requests can be sent to.
#[derive(Clone, Debug)]
pub struct Backend {
    pub id: BackendId,
    pub kind: Option<ServiceKind>,
    /// `http` or `https`, host, port, and a path before `/v1` where it has one.
    pub url: Arc<str>,
    /// Put into the request instead of the client's own.
    pub key: Option<Secret>,
    /// By the names its server uses; as it told them last.
    pub models: Vec<Arc<str>>,
    /// It serves, or nothing is known against it.
    pub up: bool,
}

/// Where a request could go, and how it is treated.
#[derive(Clone, Debug)]
pub struct Way {
    /// Id of the rule in `gateway.routes`; `None` where the model's own name led here.
    pub route: Option<Arc<str>>,
    pub candidates: Arc<[Candidate]>,
    pub policy: Policy,
    /// The model to ask each candidate for, in their order; `None`: as the client wrote it.
    pub send_as: Vec<Option<Arc<str>>>,
    pub priority: Option<Priority>,
}
