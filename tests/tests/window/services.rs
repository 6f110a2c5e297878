//! Services: what runs beside Plimsoll is found, watched, loaded, started and stopped, and
//! what a person takes away comes back.

use anyhow::{Context as _, Result};
use plimsoll_sim::server::{Double, Handle, Spec};
use plimsoll_tests::{desk::Desk, page::Page, program::Home, wait};
use serde_json::Value;

use crate::steps;

async fn double(name: &str) -> Result<Handle> {
    let spec = Spec::named(name).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(Double::start(spec).await?)
}

/// The service at that address, as the terminal tells it.
fn told(home: &Home, url: &str) -> Result<Option<Value>> {
    let services = home.plimsoll(&["services", "list"])?;
    let services = services.as_array().context("a list of services")?;
    Ok(services.iter().find(|service| service["url"] == url).cloned())
}

async fn services_page(page: &Page) -> Result<()> {
    steps::settled(page).await?;
    steps::go(page, "Services").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_server_is_found_added_with_a_click_and_missed_when_it_ends() -> Result<()> {
    let home = Home::new()?;
    std::fs::write(home.config_file(), "[sampling]\nprocesses_ms = 2000\n")?;
    let llama = double("llama-cpp").await?;
    let url = llama.url();

    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    services_page(&page).await?;
    let port = llama.address().port();
    page.click(&format!("button[aria-label^='Add'][aria-label$=':{port}']")).await?;
    let service = wait::until("it to be watched", || async {
        Ok(told(&home, &url)?.filter(|service| service["state"] == "healthy"))
    })
    .await?;
    assert_eq!((&service["origin"], &service["kind"]), (&"accepted".into(), &"llama-cpp".into()));
    let row = format!("#service-{}", service["id"].as_str().context("an id")?);
    page.text_when(&row, |text| text.contains("Qwen2.5-14B") && text.contains("of 4")).await?;
    page.find(&format!("{row} [aria-label='healthy']")).await?;

    // Down, it is still there, and says why.
    llama.kill();
    page.find(&format!("{row} [aria-label='down']")).await?;
    page.says("refused").await?;
    llama.revive();
    page.find(&format!("{row} [aria-label='healthy']")).await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_tried_out_added_and_removed_and_comes_back_by_undo() -> Result<()> {
    let home = Home::new()?;
    std::fs::write(home.config_file(), "services.discover = false\n")?;
    let notes = double("ollama").await?;
    let url = notes.url();

    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    services_page(&page).await?;
    page.click("button[aria-label='Add a service']").await?;
    let form = "section[aria-label='Add a service']";
    page.fill(&format!("{form} input[name=url]"), &url).await?;
    page.fill(&format!("{form} input[name=name]"), "Notes").await?;
    page.press("Test connection").await?;
    page.text_when(form, |text| text.contains("Ollama") && text.contains("answers")).await?;
    page.click(&format!("{form} button[type=submit]")).await?;
    let added = wait::until("it to be watched", || async {
        Ok(told(&home, &url)?.filter(|service| service["state"] == "healthy"))
    })
    .await?;
    assert_eq!((&added["origin"], &added["name"]), (&"configured".into(), &"Notes".into()));
    assert!(std::fs::read_to_string(home.config_file())?.contains("[services.notes]"));

    page.find("section[aria-label='Service Notes']").await?;
    page.press("Remove").await?;
    wait::until("it to be gone", || async { Ok(told(&home, &url)?.is_none().then_some(())) })
        .await?;
    // There may be an older word with an Undo of its own above it.
    let removed = "//*[@role='status']/div[contains(., 'no longer in the configuration')]//button";
    page.click_xpath(removed).await?;
    wait::until("it to be back", || async { told(&home, &url) }).await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_a_command_is_started_read_and_stopped() -> Result<()> {
    let home = Home::new()?;
    // It listens nowhere: what is shown is its process and its output.
    std::fs::write(
        home.config_file(),
        "services.discover = false\n[services.tool]\nurl = \"http://127.0.0.1:9\"\nkind = \"http\"\n\
         command = [\"sh\", \"-c\", \"echo it began; exec sleep 86398\"]\nautostart = false\nstop_s = 2\n",
    )?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    services_page(&page).await?;
    page.click("#service-tool").await?;
    page.press("Start").await?;
    let pid = wait::until("its process", || async {
        let tool = told(&home, "http://127.0.0.1:9")?;
        Ok(tool.and_then(|tool| tool["run"]["pid"].as_i64()))
    })
    .await?;
    page.press("Output").await?;
    page.text_when("section[aria-label='Output of tool']", |text| text.contains("it began"))
        .await?;
    page.press("Stop").await?;
    wait::until("its end", || async {
        let there = std::path::Path::new(&format!("/proc/{pid}")).exists();
        Ok((!there).then_some(()))
    })
    .await?;
    page.close().await
}
