//! Traffic: what passes the gateway is seen while it passes, ended from the list, and a program
//! is connected with what stands on the screen.

use std::{
    io::ErrorKind,
    net::{Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Result;
use plimsoll_sim::server::{Double, Fault, Handle, Planned, Spec};
use plimsoll_tests::{
    desk::{Desk, shots},
    gateway::{self, Program},
    page::{Page, test_id},
    program::Home,
    wait,
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{pictures, steps};

const ROWS_ALL: &str = "[role=grid][aria-label^='Requests']";
const ROWS: &str = "[role=grid][aria-label^='Requests'] [role=row]";

/// A window whose gateway leads to a double, and where it listens.
async fn opened(home: &Home, desk: &mut Desk) -> Result<(Page, Handle, SocketAddr)> {
    let mut spec = Spec::named("llama-cpp").map_err(|error| anyhow::anyhow!("{error}"))?;
    // It goes on for a minute: longer than a busy machine takes to press a button.
    spec.models[0].answer_tokens = 4000;
    let llama = Double::start(spec).await?;
    let toml = format!(
        "[gateway]\naddress = \"127.0.0.1:0\"\n[services]\ndiscover = false\n\
         [services.chat]\nurl = \"{}\"\nkind = \"llama-cpp\"\n",
        llama.url()
    );
    std::fs::write(home.config_file(), toml)?;
    let page = desk.window(home, &[]).await?;
    steps::settled(&page).await?;
    let address = gateway::listening(home).await?;
    page.keys("5").await?;
    page.find("main[aria-label=Traffic]").await?;
    Ok((page, llama, address))
}

/// A program that asks for a long answer.
fn notebook(gateway: SocketAddr) -> Program {
    Program::new(gateway, "notebook/1.0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_seen_while_it_runs_and_ended_from_the_list() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let (page, llama, address) = opened(&home, &mut desk).await?;
    page.says("Nothing passed yet").await?;

    let asking = tokio::spawn(async move { notebook(address).asks().await });
    page.text_when(&format!("{ROWS}[id]"), |text| text.contains("decode")).await?;
    page.text_when("section[aria-label='In flight and queued now']", |text| {
        text.contains("1 of 4 slots") && text.contains("of 4.0 k tok")
    })
    .await?;

    // The first click asks, the second does it.
    page.click(&format!("{ROWS}[id] button[aria-label^='Cancel the request of']")).await?;
    page.press("Cancel the request").await?;
    let answer = asking.await??;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:.200}");
    // Its client is told why there is no more.
    let end: String = answer.chars().skip(answer.chars().count().saturating_sub(1000)).collect();
    assert!(end.contains("A person ended this request"), "it ended with: {end}");
    page.text_when(&format!("{ROWS}[id]"), |text| text.contains("cancelled")).await?;
    // The slot is free again, here and in the server.
    llama.until(|stats| stats.cancelled == 1).await;
    page.text_when("section[aria-label='In flight and queued now']", |text| {
        text.contains("0 of 4 slots")
    })
    .await?;
    llama.stop().await;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_connected_with_a_key_that_is_shown_once_and_tried_out() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let (page, llama, address) = opened(&home, &mut desk).await?;
    page.keys("c").await?;
    let panel = "section[aria-label='Connect a program']";
    page.text_when(&format!("{panel} pre"), |text| {
        text.contains(&format!("http://{address}/v1")) && text.contains("Qwen2.5-14B")
    })
    .await?;

    page.click_xpath("//*[@role='radio'][normalize-space(.)='New']").await?;
    page.fill(&format!("{panel} form .in"), "notebook").await?;
    page.press("Make the key").await?;
    page.says("Shown once, only its hash is kept").await?;
    page.text_when(&format!("{panel} pre"), |text| text.contains("plm-")).await?;
    page.press("Send a test request").await?;
    page.text_when("ol[aria-label='Steps of the test']", |text| text.lines().count() > 2).await?;
    // It is a request like any other, and its client is the key's.
    page.text_when(&format!("{ROWS}[id]"), |text| {
        text.contains("notebook") && text.contains("200")
    })
    .await?;

    page.press("Close Esc").await?;
    page.click_xpath("//*[@role='radio'][normalize-space(.)='Keys']").await?;
    page.press("Revoke the key of notebook").await?;
    page.press("Revoke it").await?;
    page.says("No key was made yet").await?;
    llama.stop().await;
    page.close().await
}

/// Traffic of a window that is set up with this text, once it is shown.
async fn shown(home: &Home, desk: &mut Desk, toml: &str) -> Result<Page> {
    std::fs::write(home.config_file(), toml)?;
    let page = desk.window(home, &[]).await?;
    steps::settled(&page).await?;
    steps::go(&page, "Traffic").await?;
    Ok(page)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_traffic_is_busy_and_says_that_it_is_simulated() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &["--demo"]).await?;
    steps::settled(&page).await?;
    page.keys("5").await?;
    page.find("main[aria-label=Traffic]").await?;
    for client in ["open-webui", "research-agent", "rag-indexer"] {
        page.text_when("section[aria-label='Clients']", |text| text.contains(client)).await?;
    }
    page.find(&format!("{ROWS}[id]")).await?;
    page.says("simulated").await?;
    if shots().is_some() {
        let mut rounds = 0;
        while page.is_there(&test_id("work")).await? && rounds < 120 {
            page.live_for(Duration::from_secs(1)).await;
            rounds += 1;
        }
        // A queue and a refusal are among what comes in a minute.
        page.live_for(Duration::from_secs(60)).await;
    }
    pictures::both(&home, &page, "busy", &["Traffic"]).await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_without_requests_and_one_without_servers_say_what_to_do() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let (page, llama, _) = opened(&home, &mut desk).await?;
    page.says("Nothing passed yet").await?;
    page.text_when("section[aria-label='Clients']", |text| text.contains("Connect")).await?;
    pictures::both(&home, &page, "idle", &["Traffic"]).await?;
    llama.stop().await;
    page.close().await?;

    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let toml = "[gateway]\naddress = \"127.0.0.1:0\"\n[services]\ndiscover = false\n";
    let page = shown(&home, &mut desk, toml).await?;
    page.says("No model server is known").await?;
    pictures::both(&home, &page, "empty", &["Traffic"]).await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_told_where_it_fails() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let named = |name| Spec::named(name).map_err(|error| anyhow::anyhow!("{error}"));
    let mut spec = named("llama-cpp")?;
    spec.models[0].answer_tokens = 4000;
    spec.models[0].slots = 2;
    let chat = Double::start(spec).await?;
    let sandbox = Double::start(named("vllm")?).await?;
    sandbox.set_fault(Planned::new(Fault::Answers { status: 500, retry_after_s: None }));
    // Somebody else has this port.
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let toml = format!(
        "[gateway]\naddress = \"127.0.0.1:0\"\nalso = [\"{}\"]\nqueue.max = 3\n\
         [services]\ndiscover = false\n\
         [services.chat]\nurl = \"{}\"\nkind = \"llama-cpp\"\n\
         [services.sandbox]\nurl = \"{}\"\nkind = \"vllm\"\n\
         [services.laptop]\nurl = \"http://127.0.0.1:9\"\nkind = \"llama-cpp\"\n",
        taken.local_addr()?,
        chat.url(),
        sandbox.url()
    );
    let page = shown(&home, &mut desk, &toml).await?;
    let address = gateway::listening(&home).await?;
    page.says("One address is not served").await?;
    // Its server is known to be there before anybody asks.
    page.text_when("section[aria-label='In flight and queued now']", |text| {
        text.contains("0 of 2 slots") || text.contains("chat")
    })
    .await?;
    for _ in 0..6 {
        Program { model: "sandbox".into(), ..notebook(address) }.asks().await?;
    }
    let backends = "section[aria-label='Backends']";
    page.text_when(backends, |text| text.contains("Rejecting") && text.contains("Down")).await?;
    page.text_when(backends, |text| text.contains("requests in a row failed")).await?;
    let mut asking = JoinSet::new();
    for _ in 0..7 {
        asking.spawn(async move { notebook(address).asks().await });
    }
    page.text_when("section[aria-label='In flight and queued now']", |text| {
        text.contains("2 of 2 slots") && text.contains("3 of 3 queued")
    })
    .await?;
    page.text_when(ROWS_ALL, |text| text.contains("429") || text.contains("503")).await?;
    pictures::both(&home, &page, "failing", &["Traffic"]).await?;
    asking.shutdown().await;
    page.close().await?;

    // On both sides of this machine, where it has both; Plimsoll had the other one until now.
    let there = (Ipv6Addr::LOCALHOST, taken.local_addr()?.port());
    let _also = wait::until("the other side of the port", || async {
        match TcpListener::bind(there).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
            bound => Ok(Some(bound.ok())),
        }
    })
    .await?;
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let toml =
        format!("[gateway]\naddress = \"{}\"\n[services]\ndiscover = false\n", taken.local_addr()?);
    let page = shown(&home, &mut desk, &toml).await?;
    page.says("The gateway cannot listen").await?;
    page.says("Change the address").await?;
    pictures::both(&home, &page, "taken", &["Traffic"]).await?;
    chat.stop().await;
    sandbox.stop().await;
    page.close().await
}
