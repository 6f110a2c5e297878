//! Chroma, a vector store.
//!
//! - `/api/v2/heartbeat` answers `{"nanosecond heartbeat": …}` and needs no key;
//!   before 0.6 it was `/api/v1/heartbeat`, which from 1.0 on answers 410.
//! - `/api/v2/version` is a bare text in JSON, e.g. `"1.0.15"`, and needs no key.
//! - `/api/v2/healthcheck` (from 1.0) tells `is_executor_ready` and
//!   `is_log_client_ready`, with 503 where one is not.
//! - There are no metrics: how many collections there are is known only by tenant and
//!   database, and a number that leaves some out is not told.

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    adapter::{Adapter, Condition, Identity, Memory, Probe, Scrape},
    client::{CallError, Target},
    health,
    kind::ServiceKind,
};

/// The generations of its interface, the newest first.
const ROOTS: [&str; 2] = ["/api/v2", "/api/v1"];
const BEAT: &str = "nanosecond heartbeat";

/// A Chroma.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chroma;

/// What is remembered of one server.
#[derive(Default)]
struct Known {
    version: Option<String>,
    /// It has no `/api/v2/healthcheck`.
    no_check: bool,
}

#[async_trait]
impl Adapter for Chroma {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Chroma
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        for root in ROOTS {
            let beat = probe.json(&format!("{root}/heartbeat")).await;
            if beat.as_ref().is_some_and(beats) {
                let version = probe.json(&format!("{root}/version")).await;
                let version = version.as_ref().and_then(version_of);
                return Some(Identity { version, ..Identity::of(ServiceKind::Chroma) });
            }
        }
        None
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let known = memory.of::<Known>();
        let (root, mut condition) = heartbeat(target).await?;
        if condition == Condition::Ready && root == ROOTS[0] && !known.no_check {
            let answer = target.get("/api/v2/healthcheck").await?;
            known.no_check = matches!(answer.status, 404 | 405 | 410);
            if !answer.is_ok() && !known.no_check {
                condition = match unready(&answer.json().unwrap_or_default()) {
                    parts if parts.is_empty() => health::judge(&answer),
                    parts => Condition::Ailing(format!("not ready: {}", parts.join(", "))),
                };
            }
        }
        if condition == Condition::Ready && known.version.is_none() {
            let version: Option<Value> = target.get_json(&format!("{root}/version")).await.ok();
            known.version = version.as_ref().and_then(version_of);
        }
        Ok(Scrape { condition, version: known.version.clone(), ..Scrape::default() })
    }
}

/// Its heartbeat, and where it was found.
async fn heartbeat(target: &Target) -> Result<(&'static str, Condition), CallError> {
    let mut judged = Condition::Ready;
    for root in ROOTS {
        let answer = target.get(&format!("{root}/heartbeat")).await?;
        if answer.is_ok() {
            if !beats(&answer.json()?) {
                return Err(answer.not_understood("it is no heartbeat"));
            }
            return Ok((root, Condition::Ready));
        }
        judged = health::judge(&answer);
        if answer.status != 404 {
            break;
        }
    }
    Ok((ROOTS[0], judged))
}

fn beats(answer: &Value) -> bool {
    answer.get(BEAT).is_some_and(Value::is_number)
}

fn version_of(answer: &Value) -> Option<String> {
    Some(answer.as_str()?.chars().take(64).collect())
}

/// The parts that say that they are not ready.
fn unready(check: &Value) -> Vec<&'static str> {
    [("is_executor_ready", "its executor"), ("is_log_client_ready", "the client of its log")]
        .into_iter()
        .filter(|(name, _)| check.get(name) == Some(&Value::Bool(false)))
        .map(|(_, words)| words)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::peer::{Asked, Peer, Reply};

    const HEARTBEAT: &str = r#"{"nanosecond heartbeat":1790000000123456789}"#;

    fn new(asked: &Asked) -> Reply {
        match asked.path.as_str() {
            "/api/v2/heartbeat" => Reply::json(200, HEARTBEAT),
            "/api/v2/version" => Reply::json(200, "\"1.0.15\""),
            "/api/v2/healthcheck" => {
                Reply::json(200, r#"{"is_executor_ready":true,"is_log_client_ready":true}"#)
            }
            _ if asked.path.starts_with("/api/v1/") => Reply::json(
                410,
                r#"{"error":"Unimplemented","message":"The v1 API is deprecated"}"#,
            ),
            _ => Reply::missing(),
        }
    }

    fn old(asked: &Asked) -> Reply {
        match asked.path.as_str() {
            "/api/v1/heartbeat" => Reply::json(200, HEARTBEAT),
            "/api/v1/version" => Reply::json(200, "\"0.5.23\""),
            _ => Reply::missing(),
        }
    }

    async fn look(peer: &Peer) -> Result<Scrape, CallError> {
        Chroma.scrape(&peer.target(), &mut Memory::default()).await
    }

    #[tokio::test]
    async fn both_generations_are_known_and_well() {
        for (peer, version) in
            [(Peer::http(new).await, "1.0.15"), (Peer::http(old).await, "0.5.23")]
        {
            let identity = Chroma.identify(&peer.probe()).await.unwrap();
            assert_eq!(identity.version.as_deref(), Some(version));
            let scrape = look(&peer).await.unwrap();
            assert_eq!(scrape.condition, Condition::Ready);
            assert_eq!(scrape.version.as_deref(), Some(version));
            assert!(scrape.figures.is_empty() && scrape.hints.is_empty());
        }
    }

    #[tokio::test]
    async fn its_version_is_asked_once() {
        let peer = Peer::http(new).await;
        let mut memory = Memory::default();
        for _ in 0..4 {
            Chroma.scrape(&peer.target(), &mut memory).await.unwrap();
        }
        let asked = peer.asked();
        assert_eq!(asked.iter().filter(|line| line.ends_with("/version")).count(), 1);
        assert_eq!(asked.iter().filter(|line| line.ends_with("/heartbeat")).count(), 4);
        assert!(asked.iter().all(|line| line.starts_with("GET ")));
    }

    #[tokio::test]
    async fn a_part_that_is_not_ready_is_named() {
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/api/v2/healthcheck" => {
                Reply::json(503, r#"{"is_executor_ready":false,"is_log_client_ready":true}"#)
            }
            _ => new(asked),
        })
        .await;
        let scrape = look(&peer).await.unwrap();
        assert_eq!(scrape.condition, Condition::Ailing("not ready: its executor".into()));
    }

    #[tokio::test]
    async fn what_answers_and_is_no_chroma_is_an_error_or_ailing() {
        let other = Peer::http(|_| Reply::json(200, r#"{"heartbeat":1}"#)).await;
        assert!(matches!(look(&other).await, Err(CallError::NotUnderstood { .. })));
        assert_eq!(Chroma.identify(&other.probe()).await, None);
        let page = Peer::http(|_| Reply::of(200, "text/html", "<html></html>")).await;
        assert!(matches!(look(&page).await, Err(CallError::NotUnderstood { .. })));
        let failing = Peer::http(|_| Reply::text(500, "Internal Server Error")).await;
        let condition = look(&failing).await.unwrap().condition;
        assert!(matches!(condition, Condition::Ailing(w) if w.contains("500")));
        let locked = Peer::http(|_| Reply::json(403, r#"{"error":"Forbidden"}"#)).await;
        assert!(matches!(look(&locked).await.unwrap().condition, Condition::Locked(_)));
        let missing = Peer::http(|_| Reply::missing()).await;
        assert!(matches!(look(&missing).await.unwrap().condition, Condition::Ailing(_)));
    }
}
