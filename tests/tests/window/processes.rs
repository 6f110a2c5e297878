//! Processes: one is found, named, and ended only after a question.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use plimsoll_tests::{child::Group, desk::Desk, program::Home, wait};

use crate::steps;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_ended_only_after_the_question_and_its_end_is_told() -> Result<()> {
    let home = Home::new()?;
    // Read every two seconds: the quickest that is allowed.
    std::fs::write(home.config_file(), "[sampling]\nprocesses_ms = 2000\n")?;
    let mut victim = Group::start(Command::new("sleep").arg("86399").stdout(Stdio::null()))?;
    let pid = victim.pid().to_string();

    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    steps::go(&page, "Processes").await?;
    page.fill("input[aria-label='Find a process']", &pid).await?;
    let row = format!("[id='row-p:{pid}']");
    page.click(&row).await?;
    page.find("section[aria-label='Process sleep']").await?;

    // The question says what it is; Cancel changes nothing.
    page.press("End").await?;
    page.says(&format!("End sleep, {pid}?")).await?;
    page.says("come free").await?;
    page.press("Cancel").await?;
    page.says_not(&format!("End sleep, {pid}?")).await?;
    assert!(!victim.has_ended()?, "Cancel ended it");

    page.press("End").await?;
    page.press("Ask it to end").await?;
    let status = victim.wait()?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(15), "asked first: SIGTERM");
    page.says(&format!("sleep, {pid} has ended")).await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_sorts_by_a_click_and_says_so() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &["--demo"]).await?;
    steps::settled(&page).await?;
    steps::go(&page, "Processes").await?;
    page.click_xpath("//button[@role='radio'][normalize-space(.)='None']").await?;
    page.click_xpath("//*[@role='columnheader']//button[starts-with(normalize-space(.),'RSS')]")
        .await?;
    page.find("[role=columnheader][aria-sort=descending]").await?;

    wait::until("the rows in order", || async {
        let rows = page
            .script(
                "return [...document.querySelectorAll('.cols.p')].slice(0, 6)
                   .map((row) => parseFloat(row.children[4].textContent.replace('<', '')))",
            )
            .await?;
        let rows: Vec<f64> = serde_json::from_value(rows)?;
        ensure!(rows.len() >= 3, "too few rows: {rows:?}");
        ensure!(rows.is_sorted_by(|a, b| a >= b), "not in order: {rows:?}");
        Ok(Some(()))
    })
    .await?;
    page.close().await
}
