//! Connections that rest between two requests: bounded in number and in age.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use hyper::header::HeaderValue;
use plimsoll_services::client::{Secret, Trust};
use tokio::time::Instant;

use super::{
    line::{Flow, Line},
    origin::{BadAddress, Origin, authorization},
};
use crate::{admission::BackendId, route::Backend, serve::Idle};

/// One backend, and the connections to it that rest.
pub struct Upstream {
    pub(super) origin: Origin,
    pub(super) key: Option<HeaderValue>,
    pub(super) trust: Option<Trust>,
    bounds: Idle,
    /// The one that rests the shortest is the last, and the next to be used.
    resting: Mutex<Vec<(Line, Instant)>>,
}

/// All backends that were asked, by their ids.
#[derive(Default)]
pub struct Upstreams {
    known: RwLock<HashMap<BackendId, Known>>,
}

struct Known {
    url: Arc<str>,
    secret: Option<String>,
    upstream: Arc<Upstream>,
}

// === impl Upstream ===

impl Upstream {
    pub fn new(
        url: &str,
        key: Option<&Secret>,
        trust: Option<Trust>,
        bounds: Idle,
    ) -> Result<Self, BadAddress> {
        Ok(Self {
            origin: Origin::parse(url)?,
            key: key.and_then(authorization),
            trust,
            bounds,
            resting: Mutex::default(),
        })
    }

    /// Host and port, for sentences.
    pub fn place(&self) -> String {
        self.origin.place()
    }

    /// See [`Origin::path_of`].
    pub fn path_of(&self, location: &HeaderValue) -> Option<String> {
        self.origin.path_of(location)
    }

    /// A connection that rested and is still well.
    pub(super) async fn rested(&self) -> Option<Line> {
        poll_fn(|cx| {
            loop {
                let Some(mut line) = self.pop() else { return Poll::Ready(None) };
                if line.is_well(cx) {
                    return Poll::Ready(Some(line));
                }
            }
        })
        .await
    }

    fn pop(&self) -> Option<Line> {
        self.locked().pop().map(|(line, _)| line)
    }

    /// Keeps the connection of an answer that has ended, where it can be used again.
    pub fn rest(&self, flow: Flow, cx: &mut Context<'_>) {
        let Some(line) = flow.into_line(cx) else { return };
        let now = Instant::now();
        let mut resting = self.locked();
        if resting.len() < self.bounds.most {
            resting.push((line, now));
        }
    }

    /// The same outside of a poll.
    pub async fn rest_of(&self, flow: Flow) {
        let mut flow = Some(flow);
        poll_fn(|cx| {
            if let Some(flow) = flow.take() {
                self.rest(flow, cx);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Lets go of what rested too long, and of what the backend closed meanwhile.
    pub fn sweep(&self, now: Instant) {
        let old = {
            let mut resting = self.locked();
            let life = self.bounds.life;
            let (kept, old): (Vec<_>, Vec<_>) = std::mem::take(&mut *resting)
                .into_iter()
                .partition(|(_, since)| now.saturating_duration_since(*since) < life);
            *resting = kept;
            resting.retain_mut(|(line, _)| line.rests_well());
            old
        };
        // Closing takes a system call each: not under the lock.
        drop(old);
    }

    pub fn resting(&self) -> usize {
        self.locked().len()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<(Line, Instant)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Upstreams ===

impl Upstreams {
    /// How often resting connections are looked at.
    pub const SWEEP: Duration = Duration::from_secs(5);

    /// The backend, made anew where its address, key, trust or bounds have changed.
    pub fn of(&self, backend: &Backend, bounds: Idle) -> Result<Arc<Upstream>, BadAddress> {
        let Backend { id, url, key, trust, .. } = backend;
        let secret = key.as_ref().map(Secret::reveal);
        let fits = |known: &Known| {
            known.url == *url
                && known.secret.as_deref() == secret
                && known.upstream.trust == *trust
                && known.upstream.bounds == bounds
        };
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = known.get(id).filter(|known| fits(known)) {
                return Ok(known.upstream.clone());
            }
        }
        let upstream = Arc::new(Upstream::new(url, key.as_ref(), trust.clone(), bounds)?);
        let made = Known {
            url: url.clone(),
            secret: secret.map(str::to_owned),
            upstream: upstream.clone(),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(id.clone(), made);
        Ok(upstream)
    }

    /// Forgets backends that are gone, and sweeps the others.
    pub fn sweep(&self, now: Instant, is_known: impl Fn(&BackendId) -> bool) {
        let all: Vec<_> = {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.retain(|id, _| is_known(id));
            known.values().map(|known| known.upstream.clone()).collect()
        };
        for upstream in all {
            upstream.sweep(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_made_anew_only_where_something_of_it_has_changed() {
        let mut backend = Backend {
            id: "one".into(),
            kind: None,
            url: "http://127.0.0.1:1".into(),
            key: None,
            trust: None,
            models: Vec::new(),
            loaded: None,
            up: true,
        };
        let upstreams = Upstreams::default();
        let idle = Idle::default();
        let first = upstreams.of(&backend, idle).unwrap();
        assert!(Arc::ptr_eq(&first, &upstreams.of(&backend, idle).unwrap()));
        // Bounds that a person changes hold from the next request on.
        let fewer = Idle { most: 1, ..idle };
        let second = upstreams.of(&backend, fewer).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &upstreams.of(&backend, fewer).unwrap()));
        backend.url = "http://127.0.0.1:2".into();
        assert_eq!(upstreams.of(&backend, fewer).unwrap().place(), "127.0.0.1:2");
    }
}
