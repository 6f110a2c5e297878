//! The whole program finds them by itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use plimsoll_tests::{program::Home, wait::until};
use serde_json::Value;
use tokio::time::sleep;

use crate::servers::Server;

/// What a person is promised: seen within so long of the server being ready.
const PROMISED: Duration = Duration::from_secs(10);

/// The service on that port, as the terminal tells it.
fn listed(home: &Home, port: u16) -> Result<Option<Value>> {
    let services = home.plimsoll(&["services", "list"])?;
    let services = services.as_array().context("a list of services")?;
    let ending = format!(":{port}");
    let is_it =
        |service: &&Value| service["url"].as_str().is_some_and(|url| url.ends_with(&ending));
    Ok(services.iter().find(is_it).cloned())
}

/// Waits until the service on that port is as wanted; how long that was since `ready`.
async fn seen(
    home: &Home,
    server: &Server,
    ready: Instant,
    is: impl Fn(&Value) -> bool,
) -> Result<(Value, Duration)> {
    let mut last = None;
    // Longer than what is promised: a figure says more than a failure without one.
    while ready.elapsed() < PROMISED * 3 {
        last = listed(home, server.port)?;
        if let Some(service) = last.as_ref().filter(|service| is(service)) {
            return Ok((service.clone(), ready.elapsed()));
        }
        sleep(Duration::from_millis(200)).await;
    }
    anyhow::bail!("not seen on {}: {last:?}", server.url())
}

fn in_time(what: &str, took: Duration) -> Result<()> {
    println!("{what}: {:.1} s", took.as_secs_f64());
    ensure!(took <= PROMISED, "{what} took {took:?}, promised are {PROMISED:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real servers: ./test.sh real runs it"]
async fn both_are_proposed_within_ten_seconds_without_a_word_of_configuration() -> Result<()> {
    let home = Home::new()?;
    let mut up = home.up(&[])?;
    let proposed = |service: &Value| service["origin"] == "proposed";

    let llama = Server::with_model(2, 8192, &["--metrics"]).await?;
    let llama_ready = Instant::now();
    let redis = Server::redis().await?;
    let redis_ready = Instant::now();
    let (one, took) = seen(&home, &llama, llama_ready, proposed).await?;
    in_time("llama.cpp is proposed after", took)?;
    let (other, took) = seen(&home, &redis, redis_ready, proposed).await?;
    in_time("Redis is proposed after", took)?;
    assert_eq!((&one["kind"], &other["kind"]), (&"llama-cpp".into(), &"redis".into()));
    assert_eq!((&one["state"], &other["state"]), (&"unknown".into(), &"unknown".into()));

    // A word is enough.
    let id = one["id"].as_str().context("it has an id")?;
    home.plimsoll(&["services", "accept", id])?;
    let accepted = Instant::now();
    let (_, took) = seen(&home, &llama, accepted, |service| service["state"] == "healthy").await?;
    println!("healthy {:.1} s after it was accepted", took.as_secs_f64());
    assert!(up.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real servers: ./test.sh real runs it"]
async fn both_are_watched_within_ten_seconds_where_what_is_found_is_accepted() -> Result<()> {
    let home = Home::new()?;
    std::fs::write(home.config_file(), "[services]\naccept = \"always\"\n")?;
    let mut up = home.up(&[])?;
    let healthy = |service: &Value| service["state"] == "healthy";

    let llama = Server::with_model(2, 65_536, &["--metrics"]).await?;
    let llama_ready = Instant::now();
    let redis = Server::redis().await?;
    let redis_ready = Instant::now();
    let (_, took) = seen(&home, &llama, llama_ready, healthy).await?;
    in_time("llama.cpp is healthy after", took)?;
    let (_, took) = seen(&home, &redis, redis_ready, healthy).await?;
    in_time("Redis is healthy after", took)?;
    let whole = |service: &Value| healthy(service) && !service["holder"].is_null();
    let (one, took) = seen(&home, &llama, llama_ready, whole).await?;
    in_time("llama.cpp with its process after", took)?;
    let (other, took) = seen(&home, &redis, redis_ready, whole).await?;
    in_time("Redis with its process after", took)?;

    assert_eq!((&one["kind"], &one["origin"]), (&"llama-cpp".into(), &"accepted".into()));
    assert_eq!((&other["kind"], &other["origin"]), (&"redis".into(), &"accepted".into()));
    assert_eq!(
        (&one["models"][0]["name"], &one["models"][0]["loaded"]),
        (&"tide".into(), &"loaded".into())
    );
    assert_eq!(one["slots"]["total"], 2);
    // There may be a GPU here; a server that was built without one holds none of it.
    assert_eq!((&one["vram"], &one["holder"]["vram_bytes"]), (&Value::Null, &Value::Null));
    for (service, server) in [(&one, &llama), (&other, &redis)] {
        assert_eq!(service["holder"]["pids"][0], server.group.pid());
        assert!(service["holder"]["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    }
    assert!(other["figures"]["redis"]["memory_used_bytes"].as_f64().is_some_and(|b| b > 1e5));

    // Its work is seen as it works.
    let streams = [llama.stream(60_000).await?, llama.stream(60_000).await?];
    let began = Instant::now();
    let works = |service: &Value| {
        let speed = service["figures"]["generated_tokens_per_s"].as_f64();
        service["slots"]["busy"] == 2 && speed.is_some_and(|speed| speed > 1.0)
    };
    let (busy, took) = seen(&home, &llama, began, works).await?;
    println!(
        "two busy slots at {} tokens/s after {:.1} s",
        busy["figures"]["generated_tokens_per_s"],
        took.as_secs_f64()
    );
    for stream in streams {
        stream.end().await;
    }
    // It is never forgotten because it is down.
    let (port, ended) = (llama.port, Instant::now());
    drop(llama);
    loop {
        let service = listed(&home, port)?.context("it is forgotten")?;
        if service["state"] == "down" {
            break;
        }
        ensure!(ended.elapsed() < PROMISED * 3, "still {}", service["state"]);
        sleep(Duration::from_millis(200)).await;
    }
    println!("down {:.1} s after its end", ended.elapsed().as_secs_f64());
    assert!(up.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real servers: ./test.sh real runs it"]
async fn a_router_is_one_service_with_all_its_processes() -> Result<()> {
    let home = Home::new()?;
    std::fs::write(home.config_file(), "[services]\naccept = \"always\"\n")?;
    let mut up = home.up(&[])?;
    let router = Server::router(&["--metrics"]).await?;
    let ready = Instant::now();
    let healthy = |service: &Value| service["state"] == "healthy";
    let (service, took) = seen(&home, &router, ready, healthy).await?;
    in_time("the router is healthy after", took)?;
    assert_eq!(router.children()?, [0; 0], "a look loaded a model");

    assert_eq!(router.complete(10, "tide").await?.status, 200);
    let children = router.children()?;
    assert_eq!(children.len(), 1);
    let whole = |service: &Value| {
        let pids = service["holder"]["pids"].as_array();
        pids.is_some_and(|pids| pids.contains(&children[0].into()))
    };
    let (whole, took) = seen(&home, &router, Instant::now(), whole).await?;
    println!("its process for the model counts to it after {:.1} s", took.as_secs_f64());
    assert_eq!(whole["id"], service["id"]);
    // The port on which that one listens is the router's own affair.
    let services = home.plimsoll(&["services", "list"])?;
    let of_llama = services.as_array().context("a list")?.iter();
    let pids: Vec<_> = of_llama.map(|service| service["holder"]["pids"][0].clone()).collect();
    assert!(!pids.contains(&children[0].into()), "{services}");
    assert!(up.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn a_server_that_may_sleep_does_so_while_it_is_watched() -> Result<()> {
    let home = Home::new()?;
    std::fs::write(home.config_file(), "[services]\naccept = \"always\"\n")?;
    let mut up = home.up(&[])?;
    let server = Server::with_model(2, 4096, &["--metrics", "--sleep-idle-seconds", "3"]).await?;
    let ready = Instant::now();
    let sleeps = |service: &Value| service["models"][0]["loaded"] == "unloaded";
    let (_, took) = seen(&home, &server, ready, sleeps).await?;
    println!("asleep {:.1} s after it was ready, watched every second", took.as_secs_f64());
    let asleep = Instant::now();
    while asleep.elapsed() < Duration::from_secs(5) {
        let service = listed(&home, server.port)?.context("it is there")?;
        assert_eq!(
            (&service["state"], &service["models"][0]["loaded"]),
            (&"healthy".into(), &"unloaded".into())
        );
        assert_eq!(service["hints"][0]["id"], "sleeping");
        sleep(Duration::from_millis(500)).await;
    }
    // A request wakes it, and that is seen.
    assert_eq!(server.complete(20, "").await?.status, 200);
    let (_, took) = seen(&home, &server, Instant::now(), |service| !sleeps(service)).await?;
    println!("awake is seen after {:.1} s", took.as_secs_f64());
    assert!(up.group.terminate()?.success());
    Ok(())
}

#[tokio::test]
#[ignore = "needs a real redis-server: ./test.sh real runs it"]
async fn a_redis_over_tls_is_asked_where_its_certificate_is_trusted() -> Result<()> {
    let redis = Server::redis_over_tls()?;
    let test = |home: &Home| home.plimsoll(&["services", "test", &redis.url()]);
    let mut home = Home::new()?;
    home.set("SSL_CERT_FILE", redis.certificate());
    let tested = until("it answers", async || Ok(test(&home).ok())).await?;
    assert_eq!((&tested["kind"], &tested["state"]), (&"redis".into(), &"healthy".into()));
    // Nobody but its own certificate vouches for it.
    let refused = test(&Home::new()?).unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    println!("{}", tested["message"]);
    Ok(())
}
