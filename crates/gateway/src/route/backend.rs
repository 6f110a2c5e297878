//! A service as requests see it.

use std::sync::Arc;

use plimsoll_services::{
    client::{Secret, Trust},
    kind::ServiceKind,
    service::{Loaded, Service, ServiceState},
};

use crate::admission::BackendId;

/// A service that requests can be sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    pub id: BackendId,
    pub kind: Option<ServiceKind>,
    /// `http` or `https`, host, port, and a path before `/v1` where it has one.
    pub url: Arc<str>,
    /// Put into the request instead of the client's own.
    pub key: Option<Secret>,
    /// Whose certificates are believed there; `None`: whom the system trusts.
    pub trust: Option<Trust>,
    /// By the names its server uses; as it told them last.
    pub models: Vec<Arc<str>>,
    /// Of these, the one that is loaded, where one is and the server says so.
    pub loaded: Option<Arc<str>>,
    /// It serves, or nothing is known against it.
    pub up: bool,
}

// === impl Backend ===

impl Backend {
    /// Whether it serves models over HTTP, or may turn out to.
    pub(super) fn is_one(service: &Service) -> bool {
        let http = ["http://", "https://"].iter().any(|scheme| service.url.starts_with(scheme));
        http && service.kind.is_none_or(ServiceKind::is_engine)
    }

    /// As it was seen last; its key and its trust are not told by it.
    pub(super) fn of(service: &Service) -> Self {
        // Paths that come from a client begin with /v1 themselves.
        let url = service.url.trim_end_matches('/');
        let url = url.strip_suffix("/v1").unwrap_or(url).trim_end_matches('/');
        let loaded = service.models.iter().find(|model| model.loaded == Loaded::Loaded);
        Self {
            id: service.id.as_str().into(),
            kind: service.kind,
            url: url.into(),
            key: None,
            trust: None,
            models: service.models.iter().map(|model| model.name.as_str().into()).collect(),
            loaded: loaded.map(|model| model.name.as_str().into()),
            up: match service.state {
                ServiceState::Healthy | ServiceState::Degraded | ServiceState::Unknown => true,
                // It loads its model; before the first look nothing is known against it.
                ServiceState::Starting => service.checked_ms.is_none(),
                ServiceState::Down => false,
            },
        }
    }

    /// All names that its models go by: Ollama's `:latest` goes without saying.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        let mut names = self.models.clone();
        if self.kind == Some(ServiceKind::Ollama) {
            let short = self.models.iter().filter_map(|name| name.strip_suffix(":latest"));
            names.extend(short.map(Arc::from));
        }
        names
    }
}
