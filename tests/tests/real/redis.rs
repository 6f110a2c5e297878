//! A Redis.

use std::time::Duration;

use anyhow::{Context as _, Result};
use plimsoll_core::metric::Metric;
use plimsoll_services::{
    adapter::{Adapter as _, Condition, FigureValue, Memory, Scrape, identify},
    adapters::{Redis, all},
    client::Target,
    kind::ServiceKind,
    normalise::Normaliser,
};
use plimsoll_tests::wait::until;

use crate::servers::Server;

async fn look(target: Target) -> Result<Scrape> {
    Ok(Redis.scrape(&target, &mut Memory::default()).await?)
}

fn level(scrape: &Scrape, metric: Metric) -> Option<f64> {
    scrape.figures.iter().find(|figure| figure.metric == metric).and_then(|f| match f.value {
        FigureValue::Gauge(value) | FigureValue::Total(value) => Some(value),
        FigureValue::Buckets(_) => None,
    })
}

fn hints(scrape: &Scrape) -> Vec<&str> {
    scrape.hints.iter().map(|hint| hint.id.as_str()).collect()
}

// AA2
#[tokio::test]
#[ignore = "needs a real redis-server: ./test.sh real runs it"]
async fn a_real_redis_is_known_and_tells_its_figures() -> Result<()> {
    let server = Server::redis().await?;
    let patience = Duration::from_secs(20);
    // By the name of its process it is asked in its own protocol alone.
    let likely = Some(ServiceKind::Redis);
    let known = identify(&all(), &server.probe(), likely, patience).await.context("is known")?;
    assert_eq!(known.kind, ServiceKind::Redis);
    let version = known.version.context("it tells its version")?;
    assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{version}");
    assert!(!server.output().contains("SECURITY ATTACK"), "{}", server.output());
    // And as an unknown port it is found too.
    let known = identify(&all(), &server.probe(), None, patience).await.context("is known")?;
    assert_eq!(known.kind, ServiceKind::Redis);

    let first = look(server.target()).await?;
    assert_eq!(first.condition, Condition::Ready);
    let used = level(&first, Metric::RedisMemoryUsed).unwrap_or_default();
    let rss = level(&first, Metric::RedisMemoryRss).unwrap_or_default();
    assert!(used > 100_000.0 && rss > 100_000.0, "{used} {rss}");
    assert!(level(&first, Metric::RedisFragmentation).is_some());
    assert_eq!(level(&first, Metric::RedisMemoryLimit), None);
    // A small server is not fragmented, whatever its ratio.
    assert_eq!(hints(&first), ["no-memory-limit"]);

    server.tell(&["CONFIG", "SET", "maxmemory", "64mb"]).await?;
    server.tell(&["SET", "a", "1"]).await?;
    for key in ["a", "a", "a", "b"] {
        server.tell(&["GET", key]).await?;
    }
    let second = look(server.target()).await?;
    assert_eq!(level(&second, Metric::RedisMemoryLimit), Some(64.0 * 1024.0 * 1024.0));
    let mut normaliser = Normaliser::new("redis");
    normaliser.take(&first, 0);
    let figures = normaliser.take(&second, 1000).figures.redis.context("it has figures")?;
    assert_eq!(figures.hit_percent, Some(75.0));
    // CONFIG, SET, four GET, and the look itself.
    assert_eq!(figures.ops_per_s, Some(7.0));
    println!("Redis {version}: {used} bytes used, {rss} resident");
    Ok(())
}

// AA2
#[tokio::test]
#[ignore = "needs a real redis-server: ./test.sh real runs it"]
async fn a_real_redis_that_is_full_evicts_or_is_degraded() -> Result<()> {
    let server = Server::redis().await?;
    let used = level(&look(server.target()).await?, Metric::RedisMemoryUsed).unwrap_or_default();
    let limit = (used as u64 + (2 << 20)).to_string();
    server.tell(&["CONFIG", "SET", "maxmemory", &limit]).await?;
    server.tell(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await?;
    let mut memory = Memory::default();
    let before = Redis.scrape(&server.target(), &mut memory).await?;
    assert_eq!(level(&before, Metric::RedisEvicted), Some(0.0));
    let value = "x".repeat(8192);
    for key in 0..600 {
        server.tell(&["SET", &format!("key{key}"), &value]).await?;
    }
    let after = Redis.scrape(&server.target(), &mut memory).await?;
    let evicted = level(&after, Metric::RedisEvicted).unwrap_or_default();
    assert!(evicted > 100.0, "{evicted}");
    assert_eq!(after.condition, Condition::Ready);
    assert!(hints(&after).contains(&"evicting"), "{:?}", after.hints);

    // The same memory, and nothing may go: what comes next is refused.
    server.tell(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await?;
    let mut refused = false;
    for key in 0..600 {
        refused |= server.tell(&["SET", &format!("more{key}"), &value]).await.is_err();
    }
    assert!(refused);
    let full = Redis.scrape(&server.target(), &mut memory).await?;
    let said = Condition::Ailing("its memory is full and it refuses writes".into());
    assert_eq!(full.condition, said, "{:?}", full.figures);
    let used = level(&full, Metric::RedisMemoryUsed).unwrap_or_default();
    println!("{evicted} keys evicted; full at {used} of {limit} bytes: {:?}", hints(&full));
    Ok(())
}

// AA2
#[tokio::test]
#[ignore = "needs a real redis-server: ./test.sh real runs it"]
async fn a_real_redis_that_cannot_save_is_degraded() -> Result<()> {
    let server = Server::redis().await?;
    server.tell(&["SET", "a", "1"]).await?;
    std::fs::remove_dir_all(server.folder().join("data"))?;
    server.tell(&["BGSAVE"]).await?;
    let ailing = Condition::Ailing("its last snapshot to disk failed".into());
    until("the failed snapshot is told", async || {
        let scrape = look(server.target()).await?;
        let told = scrape.condition == ailing && hints(&scrape).contains(&"snapshot-failed");
        Ok(told.then_some(()))
    })
    .await
}

// AA2
#[tokio::test]
#[ignore = "needs a real redis-server: ./test.sh real runs it"]
async fn a_real_redis_with_a_key_is_locked_without_it() -> Result<()> {
    let server = Server::redis().await?;
    assert_eq!(look(server.target_with("needless")).await?.condition, Condition::Ready);
    server.tell(&["ACL", "SETUSER", "reader", "on", ">r3ad", "+info"]).await?;
    server.tell(&["CONFIG", "SET", "requirepass", "s3cret"]).await?;
    assert_eq!(hints(&look(server.target()).await?), ["wants-a-key"]);
    assert_eq!(hints(&look(server.target_with("wrong")).await?), ["wrong-key"]);
    assert_eq!(look(server.target_with("s3cret")).await?.condition, Condition::Ready);
    assert_eq!(look(server.target_with("reader\nr3ad")).await?.condition, Condition::Ready);
    let known = Redis.identify(&server.probe()).await.context("is known without its key")?;
    assert!(known.wants_key);
    Ok(())
}
