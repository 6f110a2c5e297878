//! The frame: it opens, follows the theme and the keyboard, and loads nothing from anywhere.

use anyhow::Result;
use plimsoll_tests::{desk::Desk, page::ENTER, program::Home};

use crate::steps;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_opens_and_its_policy_forbids_the_network() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    assert_eq!(page.driver.title().await?, "Overview · Plimsoll");

    // Both ways a page could fetch from elsewhere: the policy refuses before anything is sent.
    let refused = page
        .script(
            "const seen = [];
             document.addEventListener('securitypolicyviolation', (e) => seen.push(e.effectiveDirective));
             await fetch('http://127.0.0.1:9/').catch(() => undefined);
             const image = new Image();
             await new Promise((done) => {
               image.onload = image.onerror = done;
               image.src = 'http://127.0.0.1:9/x.png';
             });
             await new Promise((done) => setTimeout(done, 0));
             return seen;",
        )
        .await?;
    assert_eq!(refused, serde_json::json!(["connect-src", "img-src"]));
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_may_call_only_what_it_needs() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    for command in [
        "plugin:window|destroy",
        "plugin:window-state|save_window_state",
        "plugin:notification|notify",
    ] {
        let answer = page
            .script(&format!(
                "return await window.__TAURI_INTERNALS__.invoke('{command}', {{}})
                   .then(() => 'allowed', (error) => String(error));"
            ))
            .await?;
        let answer = answer.as_str().unwrap_or_default();
        assert!(answer.contains("not allowed"), "{command}: {answer}");
    }
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_opens_by_its_key_and_the_palette_finds_them() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &["--demo"]).await?;
    steps::settled(&page).await?;
    for (key, name) in [("2", "Explore"), ("3", "Processes"), ("1", "Overview")] {
        page.keys(key).await?;
        page.find(&format!("main[aria-label='{name}']")).await?;
    }
    page.control('k').await?;
    page.type_at("[role=combobox]", "settings").await?;
    page.type_at("[role=combobox]", ENTER).await?;
    page.find("main[aria-label=Settings]").await?;
    // The demo says so on every page.
    page.says("Nothing here is measured").await?;
    page.close().await
}
