//! A window beside a running `plimsoll up`: one owner, two doors.

use anyhow::Result;
use plimsoll_tests::{desk::Desk, program::Home};

use crate::steps;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_attaches_to_a_running_plimsoll_and_leaves_it_running() -> Result<()> {
    let home = Home::new()?;
    let mut up = home.up(&[])?;
    let owner = up.group.pid();
    assert_eq!(up.ready["pid"], owner);

    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    let about = page
        .script(
            "return await window.__TAURI_INTERNALS__.invoke('call', { command: { command: 'about', args: {} } })",
        )
        .await?;
    assert_eq!(about["pid"], owner, "the engine runs in `plimsoll up`, not in the window");

    // What the terminal changes, the window shows.
    home.plimsoll(&["config", "set", "sampling.interval_ms=2000"])?;
    page.text_when("footer.status", |text| text.contains("Every 2 s")).await?;

    page.close().await?;
    drop(desk);
    assert!(!up.group.has_ended()?, "closing the window ended the owner");
    assert_eq!(home.plimsoll(&["status"])?["recording"], "recording");
    assert!(up.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_owner_ends_the_window_says_so_and_takes_over() -> Result<()> {
    let home = Home::new()?;
    let mut up = home.up(&[])?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;

    assert!(up.group.terminate()?.success());
    page.text_when("footer.status", |text| {
        text.contains("No live values") || text.contains("has ended")
    })
    .await?;
    // It waits for the owner to come back, then hosts the engine itself.
    page.text_when("footer.status", |text| text.contains("Every 1 s") && !text.contains("No live"))
        .await?;
    let about = page
        .script(
            "return await window.__TAURI_INTERNALS__.invoke('call', { command: { command: 'about', args: {} } })",
        )
        .await?;
    assert_ne!(about["pid"], up.group.pid());
    page.close().await
}
