//! A llama.cpp server that falls asleep when it is idle.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use plimsoll_services::{
    adapter::{Condition, Memory},
    service::Loaded,
};
use serde_json::Value;
use tokio::time::sleep;

use crate::servers::Server;

async fn sleeps(server: &Server) -> Result<bool> {
    let props: Value = serde_json::from_str(&server.get("/props").await?.body)?;
    Ok(props["is_sleeping"] == true)
}

#[tokio::test]
#[ignore = "needs a real llama.cpp server: ./test.sh real runs it"]
async fn a_server_that_is_looked_at_falls_asleep_and_is_not_woken() -> Result<()> {
    let words = ["--metrics", "--sleep-idle-seconds", "3"];
    let server = Server::with_model(2, 4096, &words).await?;
    let mut memory = Memory::default();
    memory.set_command(Some(words.join(" ").into()));
    assert_eq!(server.complete(20, "").await?.status, 200);

    // Twice a second, which is twice as often as Plimsoll looks.
    let began = Instant::now();
    while !sleeps(&server).await? {
        ensure!(began.elapsed() < Duration::from_secs(30), "looking keeps it awake");
        let scrape = server.look(&mut memory).await?;
        assert_eq!(scrape.condition, Condition::Ready);
        sleep(Duration::from_millis(500)).await;
    }
    println!("asleep after {:.1} s of looks twice a second", began.elapsed().as_secs_f64());

    for _ in 0..20 {
        let scrape = server.look(&mut memory).await?;
        assert_eq!(scrape.condition, Condition::Ready);
        let models = scrape.models.unwrap_or_default();
        assert_eq!(models[0].loaded, Loaded::Unloaded, "{models:?}");
        assert_eq!(scrape.hints[0].id, "sleeping");
        assert!(sleeps(&server).await?, "a look woke it");
    }
    // A request does.
    assert_eq!(server.complete(20, "").await?.status, 200);
    let models = server.look(&mut memory).await?.models.unwrap_or_default();
    assert_eq!(models[0].loaded, Loaded::Loaded, "{models:?}");
    Ok(())
}
