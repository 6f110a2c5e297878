//! The one HTTP client that looks at services. Whatever a server answers is
//! taken with a time budget and up to a size; nothing is asked of any place but
//! the one that was named: no proxy, no cookies, no redirect to elsewhere.
//!
//! A call is never left hanging: when its budget ends its connection is closed.
//! The number of connections to one upstream fits the machine ([`Limits`]).

mod answer;
mod error;
mod limits;
mod target;
mod tls;
mod trust;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use reqwest::redirect;
use tokio::sync::Semaphore;

pub use answer::Answer;
pub use error::CallError;
pub use limits::Limits;
pub use target::{Bounds, Secret, Target, port_of};
pub use trust::{Trust, distrusted};

/// Redirects that are followed within one place, e.g. from `/metrics` to `/metrics/`.
const MOST_REDIRECTS: usize = 3;

/// The client, shared by all who look at services. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    /// Trusts nobody: for `http`, which is nearly all there is to ask.
    plain: reqwest::Client,
    /// For `https`. The system's certificates are megabytes, read when first of use.
    trusting: OnceLock<reqwest::Client>,
    /// For TLS that carries no HTTP; why there is none where it could not be made.
    tls: OnceLock<Result<Arc<rustls::ClientConfig>, rustls::Error>>,
    limits: Limits,
    /// Permits by place and number; those nobody holds any more are forgotten.
    permits: Mutex<BTreeMap<(String, usize), Weak<Semaphore>>>,
}

// === impl Client ===

impl Client {
    /// A client with these limits. Certificates are judged by the system's trust;
    /// where the system has none, `https` places fail one by one, and `http` works.
    pub fn new(limits: Limits) -> Result<Self, CallError> {
        Self::with(builder(&limits), limits)
            .map_err(|error| CallError::BadUrl(format!("no HTTP client can be made: {error}")))
    }

    /// A client whose every call goes through this socket of the file system, whatever
    /// host the address names: Docker speaks HTTP there.
    pub fn over_socket(path: &Path) -> Result<Self, CallError> {
        let limits = Limits { connections: 1, idle: 0, idle_life: Duration::ZERO };
        Self::with(builder(&limits).unix_socket(path), limits).map_err(|error| {
            CallError::BadUrl(format!("no client can be made for {}: {error}", path.display()))
        })
    }

    fn with(builder: reqwest::ClientBuilder, limits: Limits) -> Result<Self, reqwest::Error> {
        let plain = builder.tls_certs_only([]).build()?;
        let (trusting, tls, permits) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { plain, trusting, tls, limits, permits }) })
    }

    /// The client for places of that scheme.
    fn http(&self, scheme: &str) -> &reqwest::Client {
        if scheme != "https" {
            return &self.inner.plain;
        }
        self.inner.trusting.get_or_init(|| {
            builder(&self.inner.limits).build().unwrap_or_else(|error| {
                tracing::warn!(%error, "no trusted certificates here: https services will fail");
                self.inner.plain.clone()
            })
        })
    }

    /// How TLS is spoken where it carries no HTTP: with the system's trust.
    fn tls(&self) -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
        self.inner.tls.get_or_init(tls::config).clone()
    }

    pub fn limits(&self) -> Limits {
        self.inner.limits
    }

    /// The permits for connections to a place: those who ask the same place share them.
    fn permits(&self, place: &str, connections: Option<usize>) -> Arc<Semaphore> {
        let most = connections.unwrap_or(self.inner.limits.connections).max(1);
        let mut permits = self.inner.permits.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (place.to_string(), most);
        if let Some(held) = permits.get(&key).and_then(Weak::upgrade) {
            return held;
        }
        permits.retain(|_, held| held.strong_count() > 0);
        let fresh = Arc::new(Semaphore::new(most));
        permits.insert(key, Arc::downgrade(&fresh));
        fresh
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

fn builder(limits: &Limits) -> reqwest::ClientBuilder {
    // One provider for the whole process; a second call finds the first one's.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(limits.idle)
        .pool_idle_timeout(limits.idle_life)
        .redirect(redirect::Policy::custom(|attempt| {
            let same = attempt.previous().last().is_some_and(|from| {
                from.scheme() == attempt.url().scheme()
                    && from.host_str() == attempt.url().host_str()
                    && from.port_or_known_default() == attempt.url().port_or_known_default()
            });
            if same && attempt.previous().len() <= MOST_REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
}

#[cfg(test)]
mod tests;
