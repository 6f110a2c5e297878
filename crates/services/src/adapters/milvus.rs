//! Milvus, a vector store.
//!
//! - It has two doors. The management port (9091) answers `/healthz` with `OK`, or 500
//!   and `Not all components are registered, 3/7` while it starts and
//!   `Not all components are healthy, 6/7` after; and `/metrics`. The other (19530)
//!   speaks gRPC and REST, of which version 2 asks everything by POST, also what only
//!   reads. Either may be configured.
//! - **Found by itself it is only by the management port**: what 19530 answers to a GET
//!   is not particular, and a POST to an unknown server is never sent. So one Milvus
//!   is also proposed once and not twice.
//! - `POST /v2/vectordb/collections/list` with `{}` reads: `{"code":0,"data":["notes"]}`.
//!   Errors have a `code` that is not 0, 1800 being a key that is wanted, with any status.
//!   The key is a token, or `user:password`, as a bearer.
//! - `milvus_build_info{version="2.6.7"}` (also with a `v` before it),
//!   `milvus_rootcoord_collection_num`, `milvus_datacoord_stored_rows_num` by collection
//!   and state, `milvus_proxy_req_count{status}` of which `total` counts each request
//!   once, and `milvus_proxy_sq_latency`, a histogram of searches and queries that is in
//!   **milliseconds** already. Since 2.6 `/metrics` wants a key where there are users.

use async_trait::async_trait;
use plimsoll_core::metric::Metric;
use serde_json::{Value, json};

use super::hints;
use crate::{
    adapter::{Adapter, Condition, Figure, Identity, Memory, Probe, Scrape},
    client::{Answer, CallError, Target},
    health,
    kind::ServiceKind,
    prometheus::{Bounds, Exposition},
    service::Hint,
};

const BUILD: &str = "milvus_build_info";
const COLLECTIONS: &str = "milvus_rootcoord_collection_num";
const ROWS: &str = "milvus_datacoord_stored_rows_num";
const REQUESTS: &str = "milvus_proxy_req_count";
const LATENCY: &str = "milvus_proxy_sq_latency";
const LATENCY_BUCKET: &str = "milvus_proxy_sq_latency_bucket";
const LIST: &str = "/v2/vectordb/collections/list";

/// A Milvus.
#[derive(Clone, Copy, Debug, Default)]
pub struct Milvus;

/// What is remembered of one server.
#[derive(Default)]
struct Known {
    /// The door is the one of REST: its management is not asked again.
    rest: bool,
}

#[async_trait]
impl Adapter for Milvus {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Milvus
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let text = probe.text("/metrics").await?;
        let read = Exposition::read(&text, Bounds::default(), |name| name == BUILD);
        read.has(BUILD)
            .then(|| Identity { version: version_of(&read), ..Identity::of(ServiceKind::Milvus) })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let known = memory.of::<Known>();
        if !known.rest {
            let answer = target.get("/healthz").await?;
            if answer.status != 404 {
                return manage(target, &answer).await;
            }
        }
        let scrape = rest(target).await?;
        // Remembered only where it was one: else a server that starts is taken for it.
        known.rest = scrape.condition == Condition::Ready;
        Ok(scrape)
    }
}

/// A look through the management port.
async fn manage(target: &Target, health: &Answer) -> Result<Scrape, CallError> {
    let mut scrape = Scrape { condition: judge(health), ..Scrape::default() };
    let metrics = match target.get_ok("/metrics").await {
        Ok(answer) => answer.text().map(read_metrics),
        Err(error) => Err(error),
    };
    match metrics {
        Ok(read) => {
            scrape.version = version_of(&read);
            scrape.figures = figures(&read);
        }
        Err(CallError::WantsKey { .. }) => scrape.hints.push(hints::wants_a_key("its figures")),
        Err(error) => scrape.hints.push(hints::unread(&error)),
    }
    Ok(scrape)
}

/// A look through the port of its clients.
async fn rest(target: &Target) -> Result<Scrape, CallError> {
    let answer = target.post(LIST, &json!({})).await?;
    let said: Option<Value> = answer.json().ok();
    let code = said.as_ref().and_then(|said| said.get("code")?.as_i64());
    let mut scrape = Scrape::default();
    match (answer.status, code) {
        (200..=299, Some(0)) => {
            let list = said.as_ref().and_then(|said| said.get("data")?.as_array());
            let count = list.map(|list| list.len() as f64);
            scrape
                .figures
                .extend(count.map(|count| Figure::gauge(Metric::StoreCollections, count)));
            scrape.hints.push(Hint::advice(
                "other-door",
                "This is the port of its clients, which tells little.",
                "Give the address of its management port, 9091 as a rule, to see its health, points and requests.",
            ));
        }
        (401 | 403, _) | (_, Some(1800)) => {
            scrape.condition = Condition::Locked("it wants a key".into());
            scrape.hints.push(hints::wants_a_key("its figures"));
        }
        (200..=299, Some(code)) => {
            let said = health::words_of(&answer);
            scrape.condition = Condition::Ailing(format!("answers with code {code}: {said}"));
        }
        (200..=299, None) => return Err(answer.not_understood("it has no code")),
        (404, _) => {
            scrape.condition =
                Condition::Ailing(format!("{} has neither /healthz nor {LIST}", answer.place));
        }
        _ => scrape.condition = health::judge(&answer),
    }
    Ok(scrape)
}

/// Components that are not there yet come while it starts.
fn judge(answer: &Answer) -> Condition {
    let said = health::words_of(answer);
    if answer.status == 500 && said.contains("registered") {
        return Condition::Loading(said);
    }
    health::judge(answer)
}

fn read_metrics(text: &str) -> Exposition {
    let wanted = [BUILD, COLLECTIONS, ROWS, REQUESTS, LATENCY_BUCKET];
    Exposition::read(text, Bounds::default(), |name| wanted.contains(&name))
}

fn figures(read: &Exposition) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (metric, name) in [(Metric::StoreCollections, COLLECTIONS), (Metric::StorePoints, ROWS)] {
        figures.extend(read.sum(name).map(|value| Figure::gauge(metric, value)));
    }
    let requests = read
        .all(REQUESTS)
        .filter(|sample| sample.label("status") == Some("total") && sample.value.is_finite())
        .map(|sample| sample.value)
        .reduce(|a, b| a + b);
    figures.extend(requests.map(|total| Figure::total(Metric::StoreRequests, total)));
    let took = read.histogram(LATENCY, 1.0);
    figures.extend(took.map(|buckets| Figure::buckets(Metric::LatencyE2e, buckets)));
    figures
}

fn version_of(read: &Exposition) -> Option<String> {
    let version = read.all(BUILD).find_map(|sample| sample.label("version"))?;
    Some(version.trim_start_matches('v').chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::peer::{Asked, Peer, Reply};

    const METRICS: &str = "# TYPE milvus_build_info gauge\n\
        milvus_build_info{built=\"Wed Jul 29 11:12:18 UTC 2026\",git_commit=\"f46a032855\",version=\"v2.6.7\"} 1\n\
        milvus_rootcoord_collection_num{db_name=\"default\"} 2\nmilvus_rootcoord_collection_num{db_name=\"other\"} 1\n\
        milvus_datacoord_stored_rows_num{db_name=\"default\",collection_id=\"1\",segment_state=\"Flushed\"} 900\n\
        milvus_datacoord_stored_rows_num{db_name=\"default\",collection_id=\"1\",segment_state=\"Growing\"} 100\n\
        milvus_proxy_req_count{node_id=\"1\",function_name=\"Search\",status=\"total\"} 42\n\
        milvus_proxy_req_count{node_id=\"1\",function_name=\"Search\",status=\"success\"} 41\n\
        milvus_proxy_req_count{node_id=\"1\",function_name=\"Insert\",status=\"total\"} 8\n\
        milvus_proxy_sq_latency_bucket{node_id=\"1\",query_type=\"search\",le=\"5\"} 30\n\
        milvus_proxy_sq_latency_bucket{node_id=\"1\",query_type=\"search\",le=\"+Inf\"} 42\n\
        go_goroutines 812\n";

    fn managed(asked: &Asked) -> Reply {
        match asked.path.as_str() {
            "/healthz" => Reply::text(200, "OK"),
            "/metrics" => Reply::text(200, METRICS),
            _ => Reply::text(404, "404 page not found\n"),
        }
    }

    /// What the port of clients answers; only the list is there.
    async fn client_port(status: u16, body: &'static str) -> Peer {
        Peer::http(move |asked| match asked.line().as_str() {
            "POST /v2/vectordb/collections/list" => Reply::json(status, body),
            _ => Reply::text(404, "404 page not found"),
        })
        .await
    }

    async fn look(peer: &Peer) -> Result<Scrape, CallError> {
        Milvus.scrape(&peer.target(), &mut Memory::default()).await
    }

    fn figure(scrape: &Scrape, metric: Metric) -> Option<Figure> {
        scrape.figures.iter().find(|f| f.metric == metric).cloned()
    }

    #[tokio::test]
    async fn its_management_tells_health_version_and_figures() {
        let peer = Peer::http(managed).await;
        let scrape = look(&peer).await.unwrap();
        assert_eq!(scrape.condition, Condition::Ready);
        assert_eq!(scrape.version.as_deref(), Some("2.6.7"));
        let of = |metric| figure(&scrape, metric);
        let gauge = |metric, value| Some(Figure::gauge(metric, value));
        assert_eq!(of(Metric::StoreCollections), gauge(Metric::StoreCollections, 3.0));
        assert_eq!(of(Metric::StorePoints), gauge(Metric::StorePoints, 1000.0));
        // Each request once, and not once more as a success.
        assert_eq!(of(Metric::StoreRequests), Some(Figure::total(Metric::StoreRequests, 50.0)));
        let took = of(Metric::LatencyE2e).unwrap();
        let cumulative = vec![(5.0, 30.0), (f64::INFINITY, 42.0)];
        let buckets = crate::adapter::Buckets { cumulative };
        assert_eq!(took, Figure::buckets(Metric::LatencyE2e, buckets), "milliseconds as they are");
        assert_eq!(peer.asked(), ["GET /healthz", "GET /metrics"]);
    }

    #[tokio::test]
    async fn components_that_are_missing_are_a_start_and_those_that_are_ill_an_illness() {
        let said = async |words: &'static str| {
            let peer = Peer::http(move |asked| match asked.path.as_str() {
                "/healthz" => Reply::text(500, words),
                _ => managed(asked),
            })
            .await;
            look(&peer).await.unwrap().condition
        };
        let words = "Not all components are registered, 3/7";
        assert_eq!(said(words).await, Condition::Loading(words.into()));
        let ill = said("Not all components are healthy, 6/7").await;
        assert!(matches!(ill, Condition::Ailing(w) if w.contains("6/7")));
    }

    #[tokio::test]
    async fn the_port_of_clients_is_asked_for_its_list_and_says_where_more_is() {
        let peer = client_port(200, r#"{"code":0,"data":["notes","mail"]}"#).await;
        let mut memory = Memory::default();
        for _ in 0..3 {
            let scrape = Milvus.scrape(&peer.target(), &mut memory).await.unwrap();
            assert_eq!(scrape.condition, Condition::Ready);
            let two = Some(Figure::gauge(Metric::StoreCollections, 2.0));
            assert_eq!(figure(&scrape, Metric::StoreCollections), two);
            assert_eq!(scrape.hints[0].id, "other-door");
        }
        let asked = peer.asked();
        assert_eq!(asked.iter().filter(|line| *line == "GET /healthz").count(), 1);
        assert_eq!(peer.requests().last().unwrap().body, "{}");
    }

    #[tokio::test]
    async fn a_key_that_is_wanted_is_told_through_both_doors() {
        let unauthenticated = r#"{"code":1800,"message":"user hasn't authenticated"}"#;
        for status in [200, 401] {
            let scrape = look(&client_port(status, unauthenticated).await).await.unwrap();
            assert_eq!(scrape.condition, Condition::Locked("it wants a key".into()));
            assert_eq!(scrape.hints[0].id, "wants-a-key");
        }
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/metrics" => Reply::json(401, unauthenticated),
            _ => managed(asked),
        })
        .await;
        let scrape = look(&peer).await.unwrap();
        assert_eq!(
            (scrape.condition, scrape.hints[0].id.as_str()),
            (Condition::Ready, "wants-a-key")
        );
    }

    #[tokio::test]
    async fn what_is_broken_is_told_in_words() {
        let peer = client_port(200, r#"{"code":65535,"message":"proxy not ready"}"#).await;
        let words = "answers with code 65535: proxy not ready";
        assert_eq!(look(&peer).await.unwrap().condition, Condition::Ailing(words.into()));
        for odd in ["[]", "<html>", r#"{"code":"0"}"#] {
            let answer = look(&client_port(200, odd).await).await;
            assert!(matches!(answer, Err(CallError::NotUnderstood { .. })), "{odd}");
        }
        let peer = Peer::http(|_| Reply::missing()).await;
        assert!(matches!(look(&peer).await.unwrap().condition, Condition::Ailing(_)));
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/metrics" => Reply::of(200, "application/octet-stream", "\0"),
            _ => managed(asked),
        })
        .await;
        let scrape = look(&peer).await.unwrap();
        assert_eq!(
            (scrape.condition, scrape.hints[0].id.as_str()),
            (Condition::Ready, "no-metrics")
        );
    }

    #[tokio::test]
    async fn it_is_known_by_its_build_and_an_unknown_server_gets_no_post() {
        let peer = Peer::http(managed).await;
        let identity = Milvus.identify(&peer.probe()).await.unwrap();
        assert_eq!(identity.version.as_deref(), Some("2.6.7"));
        let other = client_port(200, r#"{"code":0,"data":[]}"#).await;
        assert_eq!(Milvus.identify(&other.probe()).await, None);
        assert!(other.asked().iter().all(|line| line.starts_with("GET ")));
    }
}
