//! A server of the Model Context Protocol over HTTP. It is listed, and no more: what
//! its tools do is nobody's business here.
//!
//! - "Streamable HTTP" has one path, `/mcp` as a rule, that takes JSON-RPC by POST.
//!   Versions 2025-06-18 and 2025-11-25 begin with `initialize`, which makes a session
//!   in most servers, kept until somebody ends it: looking must create nothing, so it
//!   is not sent. Version 2026-07-28 has neither `initialize` nor sessions; each request
//!   carries its version, and `server/discover` tells the server's. Older servers do not
//!   know that method, so it is not sent either.
//! - **What is asked is a GET without the wish for a stream.** It changes nothing in any
//!   version: 405 where there are no streams (always in 2026-07-28), 406 where the wish is
//!   missed, 400 where a session is; the SDKs say so in a JSON-RPC error or in a line that
//!   names `text/event-stream`. A bare 405 counts where the server knows other paths not
//!   to exist. Versions, names and tools stay unknown.
//! - Some open their stream all the same, which never ends: it is cut, and the next time
//!   sooner.
//! - Where a key is wanted, 401; which server it is then tells
//!   `/.well-known/oauth-protected-resource`, if that is there.
//! - The older pair of `/sse` and `/messages` is not asked for: a GET of it is a session.

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    adapter::{Adapter, Condition, Identity, Memory, Probe, Scrape},
    client::{Answer, Bounds, CallError, Target},
    health,
    kind::ServiceKind,
    service::Hint,
};

const USUAL: &str = "/mcp";
/// The part of the budget after which a stream that was expected is cut.
const CUT: u32 = 4;
/// Longest line that is looked through for a word of the protocol.
const LONGEST_LINE: usize = 4096;

/// An MCP server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mcp;

/// What is remembered of one server.
#[derive(Default)]
struct Known {
    /// It answers a GET with a stream.
    streams: bool,
}

#[async_trait]
impl Adapter for Mcp {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Mcp
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let answer = probe.get(USUAL).await.ok()?;
        let wants_key = matches!(answer.status, 401 | 403);
        let is = match answer.status {
            _ if speaks_mcp(&answer) => true,
            // Asked before, by the kinds that have it.
            405 => probe.status("/v1/models").await == Some(404),
            401 | 403 => is_protected(probe).await,
            _ => false,
        };
        is.then(|| Identity { wants_key, ..Identity::of(ServiceKind::Mcp) })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let known = memory.of::<Known>();
        let has_path = target.url().splitn(4, '/').nth(3).is_some();
        let path = if has_path { "" } else { USUAL };
        let answer = if known.streams {
            let bounds = target.bounds();
            let budget = bounds.budget / CUT;
            target.within(Bounds { budget, ..bounds }).get(path).await
        } else {
            target.get(path).await
        };
        let mut scrape = Scrape::default();
        match answer {
            Ok(answer) => {
                known.streams = false;
                scrape.condition = judge(&answer);
            }
            Err(CallError::TooSlow { began: true, .. }) => known.streams = true,
            Err(error) => return Err(error),
        }
        if matches!(scrape.condition, Condition::Locked(_)) {
            scrape.hints.push(Hint::advice(
                "wants-a-key",
                "It answers only to who has a key.",
                "Where it takes a fixed one, write it into a file and name that as key_file.",
            ));
        }
        Ok(scrape)
    }
}

/// What the answer to a GET says. A refusal by the protocol's own rules is the answer
/// of a server that is well.
fn judge(answer: &Answer) -> Condition {
    match answer.status {
        400 | 405 | 406 => Condition::Ready,
        402 | 404 | 407.. if answer.status < 500 && !speaks_mcp(answer) => {
            let what = if answer.path.is_empty() { "its address" } else { answer.path.as_str() };
            Condition::Ailing(format!("has no MCP at {what}: answers {}", answer.status))
        }
        402 | 404 | 407..500 => Condition::Ready,
        _ => health::judge(answer),
    }
}

/// Whether an answer to a GET is in the words of the protocol.
fn speaks_mcp(answer: &Answer) -> bool {
    let Ok(text) = answer.text() else { return false };
    if text.len() > LONGEST_LINE {
        return false;
    }
    if let Ok(Value::Object(json)) = serde_json::from_str(text)
        && json.get("jsonrpc").is_some_and(|version| version == "2.0")
    {
        return true;
    }
    let refuses = matches!(answer.status, 400 | 405 | 406);
    refuses && text.to_ascii_lowercase().contains("text/event-stream")
}

/// Whether its key is wanted for an MCP path.
async fn is_protected(probe: &Probe) -> bool {
    for path in
        ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"]
    {
        let about = probe.json(path).await;
        let resource = about.as_ref().and_then(|about| about.get("resource")?.as_str());
        if resource.is_some_and(|resource| resource.trim_end_matches('/').ends_with(USUAL)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::adapters::peer::{Asked, Peer, Reply};

    /// What servers in the wild answer to a GET without the wish for a stream.
    fn refusals() -> Vec<(&'static str, Reply)> {
        let json_rpc = |status, message: &str| {
            let body = format!(
                r#"{{"jsonrpc":"2.0","error":{{"code":-32000,"message":"{message}"}},"id":null}}"#
            );
            Reply::json(status, &body)
        };
        vec![
            ("TypeScript", json_rpc(406, "Not Acceptable: Client must accept text/event-stream")),
            ("TypeScript, no session", json_rpc(400, "Bad Request: Mcp-Session-Id is required")),
            ("TypeScript, stateless", json_rpc(405, "Method not allowed.")),
            ("Rust", Reply::text(406, "Not Acceptable: Client must accept text/event-stream")),
            ("Go", Reply::text(400, "Accept must contain 'text/event-stream' for GET requests")),
            ("2026-07-28", Reply::text(405, "").with("Allow: POST")),
        ]
    }

    fn at_mcp(reply: Reply) -> impl Fn(&Asked) -> Reply {
        move |asked| if asked.path == USUAL { reply.clone() } else { Reply::missing() }
    }

    async fn look(target: &Target) -> Result<Scrape, CallError> {
        Mcp.scrape(target, &mut Memory::default()).await
    }

    #[tokio::test]
    async fn servers_of_every_version_are_known_and_well_by_their_refusal() {
        for (which, reply) in refusals() {
            let peer = Peer::http(at_mcp(reply)).await;
            let identity = Mcp.identify(&peer.probe()).await;
            assert_eq!(
                identity.map(|i| (i.kind, i.wants_key)),
                Some((ServiceKind::Mcp, false)),
                "{which}"
            );
            let scrape = look(&peer.target()).await.unwrap();
            assert_eq!(scrape.condition, Condition::Ready, "{which}");
        }
    }

    #[tokio::test]
    async fn nothing_is_posted_and_no_stream_is_wished_for() {
        let peer = Peer::http(at_mcp(refusals()[0].1.clone())).await;
        Mcp.identify(&peer.probe()).await.unwrap();
        look(&peer.target()).await.unwrap();
        for asked in peer.requests() {
            assert_eq!(asked.method, "GET");
            assert!(!asked.head.contains("text/event-stream"), "{}", asked.head);
        }
    }

    #[tokio::test]
    async fn what_merely_answers_is_not_taken_for_one() {
        let others = [
            Reply::text(200, "hello"),
            Reply::of(200, "text/html", "<html>text/event-stream</html>"),
            Reply::json(200, r#"{"jsonrpc":"1.0"}"#),
            Reply::text(401, "no"),
            Reply::text(500, "text/event-stream"),
            Reply::missing(),
        ];
        for other in others {
            let peer = Peer::http(at_mcp(other.clone())).await;
            assert_eq!(Mcp.identify(&peer.probe()).await, None, "{other:?}");
        }
        // One that allows no GET anywhere.
        let peer = Peer::http(|_| Reply::text(405, "")).await;
        assert_eq!(Mcp.identify(&peer.probe()).await, None);
    }

    #[tokio::test]
    async fn one_that_wants_a_key_is_known_where_it_says_for_what() {
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/.well-known/oauth-protected-resource" => {
                Reply::json(200, r#"{"resource":"http://localhost:3000/mcp"}"#)
            }
            USUAL => Reply::json(401, r#"{"error":"invalid_token"}"#),
            _ => Reply::missing(),
        })
        .await;
        assert!(Mcp.identify(&peer.probe()).await.unwrap().wants_key);
        let scrape = look(&peer.target()).await.unwrap();
        assert!(matches!(scrape.condition, Condition::Locked(_)));
        assert_eq!(scrape.hints[0].id, "wants-a-key");
    }

    #[tokio::test]
    async fn the_path_of_its_address_is_asked_where_it_has_one() {
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/tools/mcp" => Reply::text(405, ""),
            _ => Reply::missing(),
        })
        .await;
        let scrape = look(&peer.target_at("http", "/tools/mcp", None)).await.unwrap();
        assert_eq!(scrape.condition, Condition::Ready);
        let scrape = look(&peer.target_at("http", "/tools/mpc/", None)).await.unwrap();
        let words = "has no MCP at its address: answers 404";
        assert_eq!(scrape.condition, Condition::Ailing(words.into()));
        let scrape = look(&peer.target()).await.unwrap();
        let words = "has no MCP at /mcp: answers 404";
        assert_eq!(scrape.condition, Condition::Ailing(words.into()));
        assert_eq!(peer.asked(), ["GET /tools/mcp", "GET /tools/mpc", "GET /mcp"]);
        let failing = Peer::http(|_| Reply::text(502, "")).await;
        let condition = look(&failing.target()).await.unwrap().condition;
        assert!(matches!(condition, Condition::Ailing(w) if w.contains("502")));
    }

    #[tokio::test]
    async fn a_stream_that_is_opened_is_cut_and_cut_sooner_the_next_time() {
        let peer = Peer::raw(|mut stream| async move {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n: begin\n\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            // Until the client hangs up.
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
        })
        .await;
        let target = peer.target();
        let bounds = Bounds { budget: Duration::from_millis(1200), ..target.bounds() };
        let target = target.within(bounds);
        let mut memory = Memory::default();
        for _ in 0..2 {
            let scrape = Mcp.scrape(&target, &mut memory).await.unwrap();
            assert_eq!(scrape.condition, Condition::Ready);
            assert!(memory.of::<Known>().streams);
        }
    }
}
