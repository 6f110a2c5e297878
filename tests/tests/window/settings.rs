//! Settings: a change takes force and is rolled back; a broken file is said with its line.

use anyhow::{Context as _, Result};
use plimsoll_tests::{desk::Desk, program::Home};

use crate::steps;

fn value(home: &Home, key: &str) -> Result<serde_json::Value> {
    let answer = home.plimsoll(&["config", "get", key])?;
    Ok(answer.get("value").with_context(|| answer.to_string())?.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_is_changed_takes_force_and_is_rolled_back() -> Result<()> {
    let home = Home::new()?;
    let written = "# my own words\n[sampling]\nprocesses_ms = 4000 # quick enough\n";
    std::fs::write(home.config_file(), written)?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    page.text_when("footer.status", |text| text.contains("Every 1 s")).await?;

    steps::go(&page, "Settings").await?;
    steps::set(&page, "sampling.interval_ms", "2000").await?;
    page.says("1 change staged").await?;
    // Staged is not in force.
    assert_eq!(value(&home, "sampling.interval_ms")?, 1000);
    page.press("Apply 1").await?;
    page.text_when("footer.status", |text| text.contains("Every 2 s")).await?;
    assert_eq!(value(&home, "sampling.interval_ms")?, 2000);
    let text = std::fs::read_to_string(home.config_file())?;
    assert!(text.contains("# my own words") && text.contains("# quick enough"), "{text}");
    assert!(text.contains("interval_ms = 2000"), "{text}");

    page.click("#tab-revisions").await?;
    page.find(".rv .line").await?;
    page.click_xpath("(//*[contains(@class,'rv')]/button[contains(@class,'line')])[2]").await?;
    page.click_xpath("//button[starts-with(normalize-space(.),'Roll back to r')]").await?;
    page.text_when("footer.status", |text| text.contains("Every 1 s")).await?;
    assert_eq!(value(&home, "sampling.interval_ms")?, 1000);
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_said_with_its_line_and_the_last_good_one_stays() -> Result<()> {
    let home = Home::new()?;
    std::fs::write(home.config_file(), "[sampling]\ninterval_ms = 2000\n")?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    page.text_when("footer.status", |text| text.contains("Every 2 s")).await?;
    steps::go(&page, "Settings").await?;

    // Somebody else's editor saves a slip.
    std::fs::write(home.config_file(), "[sampling]\n\ninterval_ms = \"fast\"\n")?;
    page.find("#tab-file [aria-label='1 error']").await?;
    page.click("#tab-file").await?;
    page.text_when("#tab-panel", |text| text.contains("Line 3")).await?;
    page.text_when("#tab-panel", |text| text.contains("500 to 10000")).await?;
    assert_eq!(value(&home, "sampling.interval_ms")?, 2000, "the last good one stays in force");

    std::fs::write(home.config_file(), "[sampling]\n\ninterval_ms = 3000\n")?;
    page.text_when("footer.status", |text| text.contains("Every 3 s")).await?;
    page.text_when("#tab-panel", |text| !text.contains("Line 3, ")).await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_just_made_stands_in_the_log_and_a_bundle_for_a_report_is_written() -> Result<()>
{
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    steps::go(&page, "Settings").await?;
    page.click("a[href$='settings/read-log']").await?;
    page.find("section[aria-label=Log]").await?;
    std::fs::write(home.config_file(), "[sampling]\ninterval_ms = \"fast\"\n")?;
    page.press("warn").await?;
    page.text_when("section[aria-label=Log]", |text| text.contains("plimsoll.toml")).await?;

    page.click("a[href$='settings/doctor']").await?;
    page.press("Bundle for a bug report…").await?;
    let bundle = home.path().join("bundle.tar.gz");
    desk.choose("File to write the bundle to", &bundle).await?;
    page.says("without secrets").await?;
    let bytes = std::fs::read(&bundle)?;
    assert_eq!(bytes.get(..2), Some([0x1f, 0x8b].as_slice()), "it is no gzip file");
    page.close().await
}
