//! Against a real `redis-server`, of the path in `PLIMSOLL_REDIS_SERVER` or of the
//! program path. It listens on this machine only, keeps its data in a folder of
//! the test, and is ended by its process.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use plimsoll_core::metric::Metric;

use super::*;
use crate::{
    adapter::{FigureValue, identify},
    adapters,
    client::{Bounds, Client, Limits, Secret},
    normalise::Normaliser,
};

/// A server of this test; ended, and its folder removed, when it is dropped.
struct Server {
    child: Child,
    place: String,
    folder: PathBuf,
}

impl Server {
    async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("plimsoll-redis-{port}"));
        std::fs::create_dir_all(folder.join("data")).unwrap();
        let program = std::env::var_os("PLIMSOLL_REDIS_SERVER").unwrap_or("redis-server".into());
        let child = Command::new(&program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--daemonize", "no", "--logfile"])
            .arg(folder.join("log"))
            .arg("--dir")
            .arg(folder.join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{} is not here ({error}): install the package redis-server",
                    program.display()
                )
            });
        let server = Self { child, place: format!("127.0.0.1:{port}"), folder };
        for _ in 0..500 {
            if ask(&server.target(None)).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("redis-server did not answer on {}", server.place);
    }

    fn target(&self, key: Option<&str>) -> Target {
        let client = Client::new(Limits::of(2, false)).unwrap();
        let bounds = Bounds { budget: Duration::from_secs(10), ..Bounds::default() };
        let url = format!("redis://{}", self.place);
        Target::new(&client, &url, key.map(Secret::new), bounds).unwrap()
    }

    /// As an unknown port is met.
    fn probe(&self) -> Probe {
        let client = Client::new(Limits::of(2, false)).unwrap();
        let url = format!("http://{}", self.place);
        Probe::new(Target::new(&client, &url, None, Bounds::default()).unwrap())
    }

    async fn tell(&self, words: &[&str]) {
        let target = self.target(None);
        let is_whole = |so_far: &[u8]| so_far.ends_with(b"\r\n");
        let answer = target.talk(&command(words), is_whole).await.unwrap();
        assert_ne!(answer[0], b'-', "{}", String::from_utf8_lossy(&answer));
    }

    async fn look(&self, key: Option<&str>) -> Scrape {
        Redis.scrape(&self.target(key), &mut Memory::default()).await.unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn level(scrape: &Scrape, metric: Metric) -> Option<f64> {
    scrape.figures.iter().find(|f| f.metric == metric).map(|f| match f.value {
        FigureValue::Gauge(value) | FigureValue::Total(value) => value,
        FigureValue::Buckets(_) => panic!("no histogram"),
    })
}

// AA2
#[tokio::test]
#[ignore = "needs a real redis-server: ./test.sh real runs it"]
async fn a_real_redis_is_known_and_tells_its_figures() {
    let server = Server::start().await;
    let all = adapters::all();
    let patience = Duration::from_secs(20);

    // By the name of its process it is asked in its own protocol alone.
    let known = identify(&all, &server.probe(), Some(ServiceKind::Redis), patience).await.unwrap();
    assert_eq!(known.kind, ServiceKind::Redis);
    assert!(known.version.unwrap().starts_with(|c: char| c.is_ascii_digit()));
    assert!(!server.log().contains("SECURITY ATTACK"), "{}", server.log());
    // And as an unknown port it is found too.
    let known = identify(&all, &server.probe(), None, patience).await.unwrap();
    assert_eq!(known.kind, ServiceKind::Redis);

    let first = server.look(None).await;
    assert_eq!(first.condition, Condition::Ready);
    assert!(level(&first, Metric::RedisMemoryUsed).unwrap() > 100_000.0);
    assert!(level(&first, Metric::RedisMemoryRss).unwrap() > 100_000.0);
    assert!(level(&first, Metric::RedisFragmentation).is_some());
    assert_eq!(level(&first, Metric::RedisMemoryLimit), None);
    assert_eq!(first.hints[0].id, "no-memory-limit");
    assert_eq!(first.hints.len(), 1, "a small server is not fragmented: {:?}", first.hints);

    server.tell(&["CONFIG", "SET", "maxmemory", "64mb"]).await;
    server.tell(&["SET", "a", "1"]).await;
    for key in ["a", "a", "a", "b"] {
        server.tell(&["GET", key]).await;
    }
    let second = server.look(None).await;
    assert_eq!(level(&second, Metric::RedisMemoryLimit), Some(64.0 * 1024.0 * 1024.0));
    let mut normaliser = Normaliser::new("redis");
    normaliser.take(&first, 0);
    let figures = normaliser.take(&second, 1000).figures.redis.unwrap();
    assert_eq!(figures.hit_percent, Some(75.0));
    // CONFIG, SET, four GET, and the look itself.
    assert_eq!(figures.ops_per_s, Some(7.0));
}

// AA2
#[tokio::test]
#[ignore = "needs a real redis-server: ./test.sh real runs it"]
async fn a_real_redis_that_cannot_save_is_degraded() {
    let server = Server::start().await;
    server.tell(&["SET", "a", "1"]).await;
    std::fs::remove_dir_all(server.folder.join("data")).unwrap();
    server.tell(&["BGSAVE"]).await;
    for _ in 0..500 {
        let scrape = server.look(None).await;
        if scrape.condition != Condition::Ready {
            assert_eq!(
                scrape.condition,
                Condition::Ailing("its last snapshot to disk failed".into())
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the failed snapshot was not told");
}

// AA2
#[tokio::test]
#[ignore = "needs a real redis-server: ./test.sh real runs it"]
async fn a_real_redis_with_a_key_is_locked_without_it() {
    let server = Server::start().await;
    assert_eq!(server.look(Some("needless")).await.condition, Condition::Ready);
    server.tell(&["ACL", "SETUSER", "reader", "on", ">r3ad", "+info"]).await;
    server.tell(&["CONFIG", "SET", "requirepass", "s3cret"]).await;
    let id = |scrape: &Scrape| scrape.hints.first().map(|hint| hint.id.clone());
    assert_eq!(id(&server.look(None).await).as_deref(), Some("wants-a-key"));
    assert_eq!(id(&server.look(Some("wrong")).await).as_deref(), Some("wrong-key"));
    assert_eq!(server.look(Some("s3cret")).await.condition, Condition::Ready);
    assert_eq!(server.look(Some("reader\nr3ad")).await.condition, Condition::Ready);
    let known = Redis.identify(&server.probe()).await.unwrap();
    assert!(known.wants_key);
}
