//! Explore: metrics chosen from a list, one axis, zoom and back, and a choice that is kept.

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    desk::Desk,
    page::{ENTER, Page},
    program::Home,
    wait,
};

use crate::steps;

async fn lanes(page: &Page) -> Result<usize> {
    let count = page.script("return document.querySelectorAll('[data-lane]').length").await?;
    Ok(usize::try_from(count.as_u64().context("a count")?)?)
}

async fn lanes_are(page: &Page, wanted: usize) -> Result<()> {
    wait::until(&format!("{wanted} charts"), || async {
        Ok((lanes(page).await? == wanted).then_some(()))
    })
    .await
}

/// The range as the page's head names it.
async fn range(page: &Page) -> Result<String> {
    Ok(page.find(".explore .tools .n").await?.text().await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metric_is_found_drawn_zoomed_and_kept_over_a_reload() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &["--demo"]).await?;
    steps::settled(&page).await?;
    steps::go(&page, "Explore").await?;
    page.find("[data-lane]").await?;
    let before = lanes(&page).await?;

    // Found by a part of its name, chosen by Enter.
    page.fill("aside input[type=search]", "temperature").await?;
    page.find("aside [role=checkbox]").await?;
    page.type_at("aside input[type=search]", ENTER).await?;
    lanes_are(&page, before + 1).await?;
    page.find("[data-lane='gpu.temperature']").await?;

    // Drag zooms every chart; double-click goes back.
    let live = range(&page).await?;
    let canvas = page.find("[data-lane] canvas").await?;
    canvas.scroll_into_view().await?;
    let drag = page.driver.action_chain();
    drag.move_to_element_with_offset(&canvas, -150, 0)
        .click_and_hold()
        .move_by_offset(80, 0)
        .move_by_offset(80, 0)
        .release()
        .perform()
        .await?;
    page.press("Back").await?;
    wait::until("the zoom to be undone", || async {
        Ok((!page.is_there("button[title^='One zoom back']").await?).then_some(()))
    })
    .await?;
    assert_eq!(range(&page).await?.len(), live.len());

    // What was chosen is there again.
    page.live_for(std::time::Duration::from_millis(1500)).await;
    page.driver.refresh().await?;
    page.find("[data-lane='gpu.temperature']").await?;
    lanes_are(&page, before + 1).await?;
    page.close().await
}
