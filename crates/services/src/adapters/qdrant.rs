//! Qdrant, a vector store.
//!
//! - `/readyz` answers 503 until its shards are ready, `/healthz` always while it
//!   lives; neither wants a key, nor does `/`, which tells title and version. All
//!   else wants the header `api-key`, or the key as a bearer, which is what is sent.
//! - `/metrics` begins with `app_info{name="qdrant",version="…"}`. The setting
//!   `service.metrics_prefix` puts any word before every name, so the prefix is taken
//!   from that one. `collections_total` is a level in spite of its name.
//! - `collection_points{id="…"}` came with 1.15. Before it there were only vectors, of
//!   which a point may have several: then the points are unknown.
//! - `rest_responses_total{method,endpoint,status}` counts what clients asked, and not
//!   what is asked here; `grpc_responses_total{endpoint}` beside it. Histograms
//!   `…_responses_duration_seconds` since 1.10.
//! - `/metrics` of a store with very many collections can be larger than what is
//!   taken; `/collections` names them, and is asked where metrics do not count them.

use async_trait::async_trait;
use plimsoll_core::metric::Metric;
use serde_json::Value;

use super::hints;
use crate::{
    adapter::{Adapter, Condition, Figure, Identity, Memory, Probe, Scrape},
    client::{Answer, CallError, Target},
    health,
    kind::ServiceKind,
    prometheus::{Bounds, Exposition},
    service::Hint,
};

/// Names that are taken of `/metrics`, without a prefix.
const WANTED: &[&str] = &[
    APP_INFO,
    "app_status_recovery_mode",
    "collections_total",
    "collection_points",
    "rest_responses_total",
    "grpc_responses_total",
    "rest_responses_duration_seconds_bucket",
    "grpc_responses_duration_seconds_bucket",
];
const APP_INFO: &str = "app_info";

/// A Qdrant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Qdrant;

/// What is remembered of one server.
#[derive(Default)]
struct Known {
    /// By `/`, for the case that its metrics are closed.
    version: Option<String>,
}

/// Metrics, by the names that they have without the user's prefix.
struct Metrics {
    read: Exposition,
    prefix: String,
}

#[async_trait]
impl Adapter for Qdrant {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Qdrant
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let version = version_of(&probe.json("/").await?)?;
        let wants_key = matches!(probe.status("/collections").await, Some(401 | 403));
        let version = Some(version);
        Some(Identity { version, wants_key, ..Identity::of(ServiceKind::Qdrant) })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let mut scrape = Scrape { condition: readiness(target).await?, ..Scrape::default() };
        let metrics = match target.get_ok("/metrics").await {
            Ok(answer) => Metrics::read(&answer),
            Err(error) => Err(error),
        };
        match metrics {
            Ok(metrics) => {
                if metrics.sum("app_status_recovery_mode").is_some_and(|mode| mode > 0.0) {
                    scrape.condition = Condition::Ailing("it runs in recovery mode".into());
                    scrape.hints.push(Hint::warning(
                        "recovery-mode",
                        "It runs in recovery mode, in which only deleting is possible.",
                        "Delete what it cannot load, and start it without QDRANT_ALLOW_RECOVERY_MODE.",
                    ));
                }
                scrape.version = metrics.version();
                scrape.figures = metrics.figures();
            }
            Err(CallError::WantsKey { .. }) => scrape.hints.push(hints::wants_a_key("its figures")),
            Err(error) => scrape.hints.push(hints::unread(&error)),
        }
        let counted = scrape.figures.iter().any(|f| f.metric == Metric::StoreCollections);
        if !counted && let Some(count) = count_collections(target).await {
            scrape.figures.push(Figure::gauge(Metric::StoreCollections, count));
        }
        let known = memory.of::<Known>();
        if scrape.version.is_none() {
            if known.version.is_none() {
                let root: Option<Value> = target.get_json("/").await.ok();
                known.version = root.as_ref().and_then(version_of);
            }
            scrape.version = known.version.clone();
        }
        Ok(scrape)
    }
}

/// `/readyz`, or what there was before it. Not ready is no illness: it is how a
/// Qdrant begins.
async fn readiness(target: &Target) -> Result<Condition, CallError> {
    let answer = target.get("/readyz").await?;
    match answer.status {
        404 => health::look_at(target, &["/healthz", "/"]).await,
        503 => Ok(Condition::Loading(match health::words_of(&answer) {
            words if words.is_empty() => "its shards are not ready yet".into(),
            words => words,
        })),
        _ => Ok(health::judge(&answer)),
    }
}

async fn count_collections(target: &Target) -> Option<f64> {
    let list: Value = target.get_json("/collections").await.ok()?;
    Some(list.pointer("/result/collections")?.as_array()?.len() as f64)
}

/// The version of `{"title":"qdrant - vector search engine","version":"1.15.0",…}`.
fn version_of(root: &Value) -> Option<String> {
    let title = root.get("title")?.as_str()?;
    let version = root.get("version")?.as_str()?;
    let is_qdrant = title.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("qdrant"));
    is_qdrant.then(|| version.chars().take(64).collect())
}

// === impl Metrics ===

impl Metrics {
    fn read(answer: &Answer) -> Result<Self, CallError> {
        let wanted = |name: &str| WANTED.iter().any(|wanted| name.ends_with(wanted));
        let read = Exposition::read(answer.text()?, Bounds::default(), wanted);
        let prefix = read.samples.iter().find_map(|sample| {
            let prefix = sample.name.strip_suffix(APP_INFO)?;
            (sample.label("name") == Some("qdrant")).then(|| prefix.to_string())
        });
        match prefix {
            Some(prefix) => Ok(Self { read, prefix }),
            None => Err(answer.not_understood("it has no app_info of qdrant")),
        }
    }

    fn version(&self) -> Option<String> {
        let name = self.named(APP_INFO);
        let version = self.read.all(&name).find_map(|sample| sample.label("version"))?;
        Some(version.chars().take(64).collect())
    }

    fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        let gauges = [
            (Metric::StoreCollections, "collections_total"),
            (Metric::StorePoints, "collection_points"),
        ];
        for (metric, name) in gauges {
            figures.extend(self.sum(name).map(|value| Figure::gauge(metric, value)));
        }
        let (rest, grpc) = (self.sum("rest_responses_total"), self.sum("grpc_responses_total"));
        if rest.is_some() || grpc.is_some() {
            let requests = rest.unwrap_or_default() + grpc.unwrap_or_default();
            figures.push(Figure::total(Metric::StoreRequests, requests));
        }
        // Where both are used the first stands for both: their bounds may differ.
        let took = ["rest_responses_duration_seconds", "grpc_responses_duration_seconds"]
            .iter()
            .find_map(|base| self.read.histogram(&self.named(base), 1000.0));
        figures.extend(took.map(|buckets| Figure::buckets(Metric::LatencyE2e, buckets)));
        figures
    }

    fn sum(&self, name: &str) -> Option<f64> {
        self.read.sum(&self.named(name))
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::peer::{Asked, Peer, Reply};

    const ROOT: &str =
        r#"{"title":"qdrant - vector search engine","version":"1.15.1","commit":"b4b4b4b4"}"#;
    const METRICS: &str = "# HELP app_info information about qdrant server\n\
        # TYPE app_info gauge\napp_info{name=\"qdrant\",version=\"1.15.1\"} 1\n\
        app_status_recovery_mode 0\ncollections_total 2\n\
        collection_points{id=\"notes\"} 1200\ncollection_points{id=\"mail\"} 300\n\
        collections_vector_total 4500\nmemory_resident_bytes 268435456\n\
        rest_responses_total{method=\"POST\",endpoint=\"/collections/{name}/points/search\",status=\"200\"} 90\n\
        rest_responses_total{method=\"PUT\",endpoint=\"/collections/{name}/points\",status=\"200\"} 10\n\
        rest_responses_duration_seconds_bucket{method=\"POST\",endpoint=\"/s\",status=\"200\",le=\"0.001\"} 40\n\
        rest_responses_duration_seconds_bucket{method=\"POST\",endpoint=\"/s\",status=\"200\",le=\"+Inf\"} 90\n\
        grpc_responses_total{endpoint=\"/qdrant.Points/Search\"} 5\n";

    fn usual(asked: &Asked, metrics: &str) -> Reply {
        match asked.path.as_str() {
            "/" => Reply::json(200, ROOT),
            "/readyz" => Reply::text(200, "all shards are ready"),
            "/healthz" => Reply::text(200, "healthz check passed"),
            "/metrics" => Reply::text(200, metrics),
            "/collections" => Reply::json(
                200,
                r#"{"result":{"collections":[{"name":"notes"}]},"status":"ok","time":2e-6}"#,
            ),
            _ => Reply::missing(),
        }
    }

    async fn look(peer: &Peer) -> Scrape {
        Qdrant.scrape(&peer.target(), &mut Memory::default()).await.unwrap()
    }

    fn figure(scrape: &Scrape, metric: Metric) -> Option<Figure> {
        scrape.figures.iter().find(|f| f.metric == metric).cloned()
    }

    #[tokio::test]
    async fn collections_points_and_requests_are_told_with_and_without_a_prefix() {
        for prefix in ["", "qdrant_", "my:"] {
            let metrics: String = METRICS
                .lines()
                .map(|line| match line.strip_prefix('#') {
                    Some(_) => format!("{line}\n"),
                    None => format!("{prefix}{line}\n"),
                })
                .collect();
            let peer = Peer::http(move |asked| usual(asked, &metrics)).await;
            let scrape = look(&peer).await;
            assert_eq!(scrape.condition, Condition::Ready);
            assert_eq!(scrape.version.as_deref(), Some("1.15.1"));
            let gauge = |metric, value| Some(Figure::gauge(metric, value));
            let of = |metric| figure(&scrape, metric);
            assert_eq!(of(Metric::StoreCollections), gauge(Metric::StoreCollections, 2.0));
            assert_eq!(of(Metric::StorePoints), gauge(Metric::StorePoints, 1500.0));
            let requests = Some(Figure::total(Metric::StoreRequests, 105.0));
            assert_eq!(of(Metric::StoreRequests), requests);
            assert!(of(Metric::LatencyE2e).is_some());
            assert!(scrape.hints.is_empty(), "{:?}", scrape.hints);
            assert_eq!(peer.asked(), ["GET /readyz", "GET /metrics"]);
        }
    }

    #[tokio::test]
    async fn vectors_are_not_taken_for_points() {
        let old = "app_info{name=\"qdrant\",version=\"1.7.0\"} 1\ncollections_vector_total 4500\n";
        let peer = Peer::http(|asked| usual(asked, old)).await;
        let scrape = look(&peer).await;
        assert_eq!(figure(&scrape, Metric::StorePoints), None);
        // Not counted by its metrics: then by the list.
        let one = Some(Figure::gauge(Metric::StoreCollections, 1.0));
        assert_eq!(figure(&scrape, Metric::StoreCollections), one);
    }

    #[tokio::test]
    async fn a_store_whose_shards_are_not_ready_is_starting() {
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/readyz" => Reply::text(503, "some shards are not ready"),
            _ => usual(asked, METRICS),
        })
        .await;
        let scrape = look(&peer).await;
        assert_eq!(scrape.condition, Condition::Loading("some shards are not ready".into()));
    }

    #[tokio::test]
    async fn one_from_before_readyz_is_well_by_its_health() {
        let peer = Peer::http(|asked| match asked.path.as_str() {
            "/readyz" => Reply::missing(),
            _ => usual(asked, METRICS),
        })
        .await;
        assert_eq!(look(&peer).await.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn recovery_mode_is_degraded() {
        let metrics = METRICS.replace("recovery_mode 0", "recovery_mode 1");
        let peer = Peer::http(move |asked| usual(asked, &metrics)).await;
        let scrape = look(&peer).await;
        assert_eq!(scrape.condition, Condition::Ailing("it runs in recovery mode".into()));
    }

    #[tokio::test]
    async fn with_a_key_all_is_told_and_without_it_a_hint() {
        let answer = |asked: &Asked| match asked.path.as_str() {
            "/" | "/readyz" | "/healthz" => usual(asked, METRICS),
            _ if asked.head.contains("authorization: bearer s3cret") => usual(asked, METRICS),
            _ => Reply::text(401, "Must provide an API key or an Authorization bearer token"),
        };
        let peer = Peer::http(answer).await;
        let mut memory = Memory::default();
        for _ in 0..3 {
            let scrape = Qdrant.scrape(&peer.target(), &mut memory).await.unwrap();
            assert_eq!(scrape.condition, Condition::Ready);
            assert_eq!(scrape.version.as_deref(), Some("1.15.1"));
            assert_eq!(scrape.hints[0].id, "wants-a-key");
            assert!(scrape.figures.is_empty());
        }
        assert_eq!(peer.asked().iter().filter(|line| *line == "GET /").count(), 1);
        assert!(Qdrant.identify(&peer.probe()).await.unwrap().wants_key);
        let scrape = Qdrant.scrape(&peer.target_with("s3cret"), &mut Memory::default()).await;
        assert!(figure(&scrape.unwrap(), Metric::StorePoints).is_some());
    }

    #[tokio::test]
    async fn broken_metrics_are_a_hint_and_no_error() {
        for broken in ["<html>no</html>", "app_info{name=\"other\"} 1\n", "\0\0", ""] {
            let peer = Peer::http(move |asked| usual(asked, broken)).await;
            let scrape = look(&peer).await;
            assert_eq!(scrape.condition, Condition::Ready);
            assert_eq!(scrape.hints[0].id, "no-metrics");
            assert_eq!(scrape.version.as_deref(), Some("1.15.1"));
        }
        let nan = METRICS.replace("collections_total 2", "collections_total NaN");
        let peer = Peer::http(move |asked| usual(asked, &nan)).await;
        let one = Some(Figure::gauge(Metric::StoreCollections, 1.0));
        assert_eq!(figure(&look(&peer).await, Metric::StoreCollections), one);
    }

    #[tokio::test]
    async fn it_is_known_by_its_title_alone() {
        let peer = Peer::http(|asked| usual(asked, METRICS)).await;
        let identity = Qdrant.identify(&peer.probe()).await.unwrap();
        assert_eq!((identity.version.as_deref(), identity.wants_key), (Some("1.15.1"), false));
        for other in [r#"{"title":"Weaviate","version":"1"}"#, "[]", "{}", r#"{"title":"é"}"#] {
            let peer = Peer::http(move |_| Reply::json(200, other)).await;
            assert_eq!(Qdrant.identify(&peer.probe()).await, None, "{other}");
        }
    }
}
