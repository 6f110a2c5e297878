//! Services: what runs beside Plimsoll is found, watched, loaded, started and stopped, and
//! what a person takes away comes back.

use anyhow::{Context as _, Result};
use plimsoll_sim::server::{Double, Fault, Handle, On, Planned, Spec};
use plimsoll_tests::{desk::Desk, page::Page, program::Home, wait};
use serde_json::Value;

use crate::{pictures, steps};

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

/// One that is down, one that is not well, one that loads for long and one that does not start,
/// each with its reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_not_well_say_why() -> Result<()> {
    let home = Home::new()?;
    let ill = double("vllm").await?;
    ill.set_fault(Planned {
        on: On::All,
        ..Planned::new(Fault::Answers { status: 500, retry_after_s: None })
    });
    let loading = double("llama-cpp").await?;
    loading.set_fault(Planned { on: On::All, ..Planned::new(Fault::Loads) });
    let gone = double("ollama").await?;
    let config = format!(
        "services.discover = false\n\
         [services.embed]\nurl = \"{}\"\nkind = \"vllm\"\n\
         [services.chat]\nurl = \"{}\"\nkind = \"llama-cpp\"\n\
         [services.notes]\nurl = \"{}\"\nkind = \"ollama\"\n\
         [services.rerank]\nurl = \"http://127.0.0.1:9\"\nkind = \"http\"\n\
         command = [\"sh\", \"-c\", \"echo no such model: bge-reranker.gguf; exit 3\"]\n",
        ill.url(),
        loading.url(),
        gone.url()
    );
    std::fs::write(home.config_file(), config)?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    services_page(&page).await?;
    page.find("#service-notes [aria-label='healthy']").await?;
    gone.kill();
    for (id, state) in
        [("embed", "degraded"), ("chat", "starting"), ("notes", "down"), ("rerank", "down")]
    {
        page.find(&format!("#service-{id} [aria-label='{state}']")).await?;
    }
    page.text_when("#service-notes", |text| text.contains("refused")).await?;
    page.text_when("#service-embed", |text| text.contains("500")).await?;
    page.text_when("#service-chat", |text| text.contains("Loading model")).await?;
    page.text_when("#service-rerank", |text| text.contains("ended with code 3")).await?;
    page.click("#service-rerank").await?;
    page.text_when("section[aria-label='Service rerank']", |text| text.contains("Run by Plimsoll"))
        .await?;
    pictures::both(&home, &page, "failing", &["Services", "Overview"]).await?;
    page.close().await
}
