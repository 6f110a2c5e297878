//! The data folder as a whole: backed up, brought back, moved, deleted, and less of it kept.

use anyhow::{Context as _, Result};
use plimsoll_tests::{
    desk::Desk,
    page::Page,
    program::{Home, Up},
    wait,
};
use serde_json::Value;

use crate::steps;

/// Where the recorded history begins, as the terminal says it.
fn oldest(home: &Home) -> Result<i64> {
    home.plimsoll(&["history", "stats"])?["oldest_ms"].as_i64().context("an oldest value")
}

async fn history_page(page: &Page) -> Result<()> {
    steps::settled(page).await?;
    steps::go(page, "Settings").await?;
    page.click("a[href$='settings/history']").await?;
    page.find("section[aria-label='Data folder']").await.map(drop)
}

/// Notes every bar of progress that the page draws from now on.
async fn watch_progress(page: &Page) -> Result<()> {
    page.script(
        "window.seenProgress = [];
         new MutationObserver(() => {
           for (const bar of document.querySelectorAll('section[aria-label=\"Long work\"] [role=progressbar]'))
             window.seenProgress.push(bar.getAttribute('aria-label'));
         }).observe(document.body, { subtree: true, childList: true, attributes: true });",
    )
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_backed_up_comes_back_after_it_was_deleted() -> Result<()> {
    let home = Home::new()?;
    let copy = home.path().join("copy");
    std::fs::create_dir(&copy)?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    history_page(&page).await?;
    watch_progress(&page).await?;
    let began = oldest(&home)?;

    page.press("Back up…").await?;
    desk.choose("Folder to put the backup in", &copy).await?;
    page.text_when("section[aria-label='Long work']", |text| {
        text.contains("A complete copy is in")
    })
    .await?;
    let seen = page.script("return window.seenProgress").await?;
    assert!(!seen.as_array().context("a list")?.is_empty(), "nothing said how far it was");
    // It is a data folder of its own, and opens as one.
    let stats = home.plimsoll_at(&copy, &["history", "stats"])?;
    assert_eq!(stats["oldest_ms"], began);
    assert!(stats["samples"].as_u64().context("samples")? > 50, "{stats}");

    page.press("Delete…").await?;
    page.script(
        "const what = document.querySelector('select[aria-label=\"What to delete\"]');
         what.value = 'all'; what.dispatchEvent(new Event('change', { bubbles: true }));",
    )
    .await?;
    page.press("Delete everything").await?;
    page.says("The whole history was deleted").await?;
    wait::until("the history to go", || async { Ok((oldest(&home)? > began).then_some(())) })
        .await?;

    page.press("Restore…").await?;
    desk.choose("Folder of the backup", &copy).await?;
    page.press("Check and restore").await?;
    page.says("is sound").await?;
    assert!(oldest(&home)? > began, "until the next start nothing is put back");
    page.close().await?;

    let mut up = home.up(&[])?;
    assert_eq!(oldest(&home)?, began);
    let aside = std::fs::read_dir(home.data())?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("before-restore-"));
    assert_eq!(aside.count(), 1, "what was there is set aside, not deleted");
    assert!(up.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_was_moved_is_used_there_from_the_next_start() -> Result<()> {
    let home = Home::new()?;
    let there = home.path().join("elsewhere");
    std::fs::create_dir(&there)?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    history_page(&page).await?;
    let began = oldest(&home)?;

    page.press("Move…").await?;
    desk.choose("New data folder", &there).await?;
    page.text_when("section[aria-label='Long work']", |text| text.contains("was copied to"))
        .await?;
    page.close().await?;

    // Started with the old folder's name, as the desktop's entry and a person's habit do.
    // The window's own engine stops in order, and lets go of the folder at its very end.
    let up = wait::until("the folder is free", async || Ok(home.up(&[]).ok())).await?;
    let Up { mut group, ready } = up;
    assert_eq!(ready["data_dir"], there.display().to_string());
    assert_eq!(oldest(&home)?, began);
    assert!(group.terminate()?.success());
    Ok(())
}

/// What the seconds hold, as the page was told.
async fn seconds(page: &Page) -> Result<(u64, i64)> {
    let report = page
        .script(
            "return await window.__TAURI_INTERNALS__.invoke('call', { command: { command: 'storage', args: {} } })",
        )
        .await?;
    let raw =
        report["kinds"].as_array().and_then(|kinds| kinds.iter().find(|k| k["kind"] == "raw"));
    let raw: &Value = raw.context("the seconds")?;
    Ok((
        raw["bytes"].as_u64().context("their bytes")?,
        raw["oldest_ms"].as_i64().context("their begin")?,
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeping_less_says_what_it_frees_and_frees_it() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &["--demo"]).await?;
    history_page(&page).await?;
    // Some hours of the demo's past are there.
    let (bytes, oldest) = wait::until("some seconds to free", || async {
        let (bytes, oldest) = seconds(&page).await?;
        Ok((bytes > 2 << 20).then_some((bytes, oldest)))
    })
    .await?;

    steps::set(&page, "history.keep.raw_hours", "1").await?;
    // The words beside the change, and the row of the table.
    page.text_when("#tab-panel", |text| {
        text.contains("older than 1 h is deleted") && text.contains("Frees")
    })
    .await?;
    page.text_when("section[aria-label='What history holds']", |text| text.contains("staged:"))
        .await?;
    page.press("Apply 1").await?;
    wait::until("the seconds to go", || async {
        let (left, since) = seconds(&page).await?;
        Ok((since > oldest && left < bytes).then_some(()))
    })
    .await?;
    page.close().await
}
