//! The window shows them by itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use plimsoll_tests::{
    desk::{Desk, shots},
    page::Page,
    program::Home,
};

use crate::servers::Server;

const PROMISED: Duration = Duration::from_secs(10);

/// Waits until the page shows it; how long that was since `ready`.
async fn shown(page: &Page, css: &str, ready: Instant) -> Result<Duration> {
    page.find(css).await?;
    Ok(ready.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real servers: ./test.sh real runs it"]
async fn the_page_shows_both_within_ten_seconds_of_their_start_without_a_word() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    page.find("main .btn.primary").await?;
    page.click("main .btn.primary").await?;
    page.click("nav a[aria-label='Services']").await?;
    page.find("main[aria-label='Services']").await?;

    let llama = Server::with_model(4, 8192, &["--metrics"]).await?;
    let llama_ready = Instant::now();
    let redis = Server::redis().await?;
    let redis_ready = Instant::now();
    for (name, port, ready) in
        [("llama.cpp", llama.port, llama_ready), ("Redis", redis.port, redis_ready)]
    {
        let add = format!("button[aria-label^='Add'][aria-label$=':{port}']");
        let took = shown(&page, &add, ready).await?;
        println!("{name} stands on the page after {:.1} s", took.as_secs_f64());
        ensure!(took <= PROMISED, "{name} took {took:?}, promised are {PROMISED:?}");
        page.click(&add).await?;
    }
    page.text_when("section[aria-label='Services']", |text| text.contains("2 healthy")).await?;
    let streams = [llama.stream(60_000).await?, llama.stream(60_000).await?];
    page.text_when("section[aria-label='Services']", |text| text.contains("2 of 4")).await?;
    if let Some(folder) = shots() {
        page.live_for(Duration::from_secs(15)).await;
        page.picture(&folder.join("services-with-real-servers.png")).await?;
    }
    for stream in streams {
        stream.end().await;
    }
    page.close().await
}
