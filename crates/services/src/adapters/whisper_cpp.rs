//! The speech server of whisper.cpp (`whisper-server`).
//!
//! - Every answer has the header `Server: whisper.cpp`, also a 404: that is how it is
//!   known. With `--request-path` all its paths begin with that, so the address of a
//!   configured one may have a path.
//! - `/health` (since 2025) answers `{"status":"ok"}`, or 503 `{"status":"loading model"}`;
//!   before it there is only the page at `/`. Neither wants a key: it has none.
//! - `POST /inference` takes a file; a lock lets one request at a time through, so its
//!   one slot is assumed, and whether it is busy is not told.
//! - `POST /load` takes the path of a file and replaces the only model by it, with no
//!   way to learn which was there: that is no action to offer. It has no list of models
//!   and no metrics.

use async_trait::async_trait;

use crate::{
    adapter::{Adapter, Identity, Memory, Probe, Scrape},
    client::{CallError, Target},
    health,
    kind::ServiceKind,
    service::{Basis, Slots},
};

const SERVER: &str = "whisper.cpp";

/// A whisper.cpp server.
#[derive(Clone, Copy, Debug, Default)]
pub struct WhisperCpp;

#[async_trait]
impl Adapter for WhisperCpp {
    fn kind(&self) -> ServiceKind {
        ServiceKind::WhisperCpp
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        // Any path will do. Its health is not asked: for that SGLang generates a token.
        let answer = probe.get("/").await.ok()?;
        let named = answer.server.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(SERVER));
        named.then(|| Identity::of(ServiceKind::WhisperCpp))
    }

    async fn scrape(&self, target: &Target, _memory: &mut Memory) -> Result<Scrape, CallError> {
        let condition = health::look(target, "/").await?;
        let slots = Slots { total: Some(1), busy: None, waiting: None, basis: Basis::Assumed };
        Ok(Scrape { condition, slots: Some(slots), ..Scrape::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapter::Condition,
        adapters::peer::{Peer, Reply},
    };

    const NAMED: &str = "Server: whisper.cpp";

    async fn condition(peer: &Peer) -> Condition {
        WhisperCpp.scrape(&peer.target(), &mut Memory::default()).await.unwrap().condition
    }

    #[tokio::test]
    async fn new_and_old_ones_are_known_by_their_header() {
        let new = Peer::http(|_| Reply::json(200, r#"{"status":"ok"}"#).with(NAMED)).await;
        let old = Peer::http(|asked| match asked.path.as_str() {
            "/" => Reply::of(200, "text/html", "<html><h1>Whisper.cpp Server</h1>").with(NAMED),
            _ => Reply::text(404, "File Not Found (/health)").with(NAMED),
        })
        .await;
        for peer in [new, old] {
            let identity = WhisperCpp.identify(&peer.probe()).await.unwrap();
            assert_eq!(identity.kind, ServiceKind::WhisperCpp);
            assert_eq!(condition(&peer).await, Condition::Ready);
        }
        for other in ["Server: llama.cpp", "X-Server: whisper.cpp"] {
            let peer = Peer::http(|_| Reply::json(200, "{}").with(other)).await;
            assert_eq!(WhisperCpp.identify(&peer.probe()).await, None);
        }
    }

    #[tokio::test]
    async fn one_that_loads_is_starting_and_one_that_fails_is_ailing() {
        let peer = Peer::http(|_| Reply::json(503, r#"{"status":"loading model"}"#)).await;
        assert_eq!(condition(&peer).await, Condition::Loading("loading model".into()));
        let peer = Peer::http(|_| Reply::text(500, "")).await;
        assert!(matches!(condition(&peer).await, Condition::Ailing(_)));
        let peer = Peer::http(|_| Reply::missing()).await;
        assert!(matches!(condition(&peer).await, Condition::Ailing(w) if w.contains("none of")));
    }

    #[tokio::test]
    async fn looking_asks_its_health_alone_and_assumes_one_slot() {
        let peer = Peer::http(|_| Reply::json(200, r#"{"status":"ok"}"#)).await;
        let target = peer.target_at("http", "/speech", None);
        let scrape = WhisperCpp.scrape(&target, &mut Memory::default()).await.unwrap();
        let slots = scrape.slots.unwrap();
        assert_eq!((slots.total, slots.busy, slots.basis), (Some(1), None, Basis::Assumed));
        assert_eq!(peer.asked(), ["GET /speech/health"]);
    }
}
