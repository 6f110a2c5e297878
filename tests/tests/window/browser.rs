//! The same pages in a browser, over the loopback page of `plimsoll up --ui`.

use anyhow::{Context as _, Result};
use plimsoll_tests::{desk::Desk, program::Home};

use crate::steps;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_the_same_pages_behind_a_token_that_serves_once() -> Result<()> {
    let home = Home::new()?;
    let mut up = home.up(&["--ui", "127.0.0.1:0"])?;
    let link = up.ready["ui"].as_str().context("the link")?.to_owned();
    let mut desk = Desk::new(&home)?;
    let page = desk.browser(&home, &link).await?;
    steps::settled(&page).await?;
    steps::shot(&page, "overview-browser").await?;
    let address = page.script("return location.href").await?;
    assert!(!address.as_str().unwrap_or_default().contains("token"), "{address}");

    // Live, and the commands work: a page that asks for a list.
    steps::go(&page, "Processes").await?;
    page.find("[role=treegrid] [role=row]").await?;
    // The cookie holds over a reload; the token does not serve twice.
    page.driver.refresh().await?;
    page.find("nav a[aria-label=Overview]").await?;
    page.driver.delete_all_cookies().await?;
    page.driver.goto(&link).await?;
    page.text_when("body", |text| !text.is_empty() && !text.contains("Plimsoll itself")).await?;
    assert!(!page.is_there("nav a[aria-label=Overview]").await?, "the token served twice");
    page.close().await?;
    assert!(up.group.terminate()?.success());
    Ok(())
}
