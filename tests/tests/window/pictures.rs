//! Pictures of every page for people to look at, in both themes and two sizes. Made where
//! `PLIMSOLL_SHOTS` names a folder; in any case each page must show something.

use std::time::Duration;

use anyhow::Result;
use plimsoll_tests::{
    desk::{Desk, shots},
    page::{Page, test_id},
    program::Home,
};

use crate::steps;

const SIZES: [(u32, u32); 2] = [(1440, 900), (1024, 700)];
const PAGES: [&str; 7] =
    ["Overview", "Explore", "Processes", "Services", "Traffic", "Limits", "Settings"];

/// Pictures of some pages as they stand, where pictures were asked for.
pub async fn both(home: &Home, page: &Page, kind: &str, pages: &[&str]) -> Result<()> {
    if shots().is_none() {
        return Ok(());
    }
    page.live_for(Duration::from_secs(10)).await;
    take(home, page, kind, pages).await
}

async fn take(home: &Home, page: &Page, kind: &str, pages: &[&str]) -> Result<()> {
    let folder = shots().unwrap_or_else(|| home.path().join("shots"));
    for theme in ["dark", "light"] {
        let mut toml = std::fs::read_to_string(home.config_file()).unwrap_or_default();
        toml = toml
            .lines()
            .filter(|line| !line.starts_with("window.theme"))
            .collect::<Vec<_>>()
            .join("\n");
        std::fs::write(home.config_file(), format!("window.theme = \"{theme}\"\n{toml}\n"))?;
        page.find(&format!("html[data-theme={theme}]")).await?;
        for (width, height) in SIZES {
            page.resize(width, height).await?;
            for name in pages {
                steps::go(page, name).await?;
                // Until charts and lists have had their answers.
                page.live_for(Duration::from_secs(2)).await;
                let file = format!("{}-{kind}-{theme}-{width}x{height}.png", name.to_lowercase());
                page.picture(&folder.join(file)).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_shown_with_this_machines_numbers() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    page.find("main .btn.primary").await?;
    if let Some(folder) = shots() {
        page.live_for(Duration::from_secs(4)).await;
        page.picture(&folder.join("welcome-real.png")).await?;
    }
    steps::settled(&page).await?;
    page.live_for(Duration::from_secs(if shots().is_some() { 20 } else { 1 })).await;
    take(&home, &page, "real", &PAGES).await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_shown_with_the_simulated_workstation() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &["--demo"]).await?;
    steps::settled(&page).await?;
    if shots().is_some() {
        // The demo's first day is still being written when the window opens.
        page.live_for(Duration::from_secs(3)).await;
        let mut rounds = 0;
        while page.is_there(&test_id("work")).await? && rounds < 120 {
            page.live_for(Duration::from_secs(1)).await;
            rounds += 1;
        }
        page.live_for(Duration::from_secs(5)).await;
    }
    take(&home, &page, "demo", &PAGES).await?;
    page.close().await
}
