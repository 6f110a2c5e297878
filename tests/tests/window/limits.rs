//! Limits: one is moved by hand on the chart it moves, the next requests obey it, and it comes
//! back with one click.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use plimsoll_sim::server::{Double, Handle, Spec};
use plimsoll_tests::{
    desk::{Desk, shots},
    gateway::{self, Program},
    page::{Page, test_id},
    program::Home,
    wait,
};
use thirtyfour::By;
use tokio::task::JoinSet;

use crate::{pictures, steps};

const KEY: &str = "services.chat.max_in_flight";
/// As many programs ask at once, one request after another.
const CLIENTS: usize = 8;

/// A double that could take more at once than its limit lets it.
async fn chat() -> Result<Handle> {
    let mut spec = Spec::named("llama-cpp").map_err(|error| anyhow::anyhow!("{error}"))?;
    spec.models[0].slots = 8;
    spec.models[0].answer_tokens = 40;
    Ok(Double::start(spec).await?)
}

fn config(url: &str) -> String {
    format!(
        "[gateway]\naddress = \"127.0.0.1:0\"\n[services]\ndiscover = false\n\
         [services.chat]\nurl = \"{url}\"\nkind = \"llama-cpp\"\nmax_in_flight = 4\n"
    )
}

/// Programs that ask again as soon as they are answered.
fn traffic(address: SocketAddr) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let notebook =
            Program { tokens: 40, ..Program::new(address, &format!("notebook-{client}/1.0")) };
        clients.spawn(async move {
            loop {
                if notebook.asks().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    clients
}

/// The line of a limit, taken by its mark and carried to another height of its chart.
async fn drag(page: &Page, key: &str, from: f64, to: f64) -> Result<()> {
    let line = page.find(&test_id(&format!("line-{key}"))).await?;
    line.scroll_into_view().await?;
    let tall = page
        .script(&format!(
            "const panel = document.querySelector(\"[data-key='{key}']\");
             return [Number(panel.querySelector('[data-tall]').dataset.tall),
                     Number(panel.querySelector('[data-top]').dataset.top)];"
        ))
        .await?;
    let (tall, top) = (tall[0].as_f64().context("a height")?, tall[1].as_f64().context("an end")?);
    ensure!(top >= from.max(to), "the chart ends at {top}");
    let pixels = ((from - to) / top * tall).round();
    #[expect(clippy::cast_possible_truncation, reason = "pixels of a window")]
    let pixels = pixels as i64;
    page.driver
        .action_chain()
        .move_to_element_center(&line)
        .click_and_hold()
        .move_by_offset(0, pixels / 2)
        .move_by_offset(0, pixels - pixels / 2)
        .release()
        .perform()
        .await?;
    Ok(())
}

fn in_file(home: &Home) -> Result<String> {
    Ok(std::fs::read_to_string(home.config_file())?)
}

async fn limits_page(page: &Page) -> Result<()> {
    page.keys("6").await?;
    page.find("main[aria-label=Limits]").await.map(drop)
}

/// What the double counts over the next requests that it begins.
async fn most_of_the_next(llama: &Handle, requests: u64) -> usize {
    llama.reset();
    llama.until(|stats| stats.requests >= requests).await.most_in_flight
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_dragged_on_its_chart_obeyed_by_the_next_request_and_undone() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let llama = chat().await?;
    std::fs::write(home.config_file(), config(&llama.url()))?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    let mut clients = traffic(gateway::listening(&home).await?);
    llama.until(|stats| stats.in_flight == 4).await;
    assert_eq!(most_of_the_next(&llama, 12).await, 4);

    limits_page(&page).await?;
    let panel = format!("[data-key='{KEY}']");
    page.text_when(&panel, |text| text.contains("Requests at once")).await?;
    // The axis grows while its first minutes come in, and whoever lands beside the number
    // drags once more.
    wait::until("the line is let go at 2", || async {
        let input = page.driver.find(By::Css(format!("{panel} input"))).await?;
        let at = input.prop("value").await?.context("a value")?;
        if at == "2" {
            return Ok(Some(()));
        }
        drag(&page, KEY, at.parse()?, 2.0).await?;
        Ok(None)
    })
    .await?;
    page.text_when(&panel, |text| text.contains("4 →")).await?;
    page.text_when("[aria-label='Staged changes']", |text| {
        text.contains("1 change staged") && text.contains("max_in_flight")
    })
    .await?;
    // Nothing holds yet: it is staged, and nothing more.
    assert!(in_file(&home)?.contains("max_in_flight = 4"));
    assert_eq!(most_of_the_next(&llama, 8).await, 4);
    // What it would have done is told from what was recorded.
    page.text_when(&format!("{panel} .eff"), |text| {
        text.contains("requests would have waited") || text.contains("Cannot tell")
    })
    .await?;

    page.press("Apply 1").await?;
    page.says("Applied as revision").await?;
    assert!(in_file(&home)?.contains("max_in_flight = 2"));
    // Those that run may end; none of the next makes it three.
    llama.until(|stats| stats.in_flight <= 2).await;
    assert_eq!(most_of_the_next(&llama, 12).await, 2);

    // The mark stands on the chart of what was moved, with the way back.
    let mark = format!("{panel} .glyphs button[aria-label^='change']");
    page.find(&mark).await?;
    if shots().is_some() {
        page.keys("[[").await?;
        page.live_for(Duration::from_secs(60)).await;
    }
    pictures::both(&home, &page, "applied", &["Limits"]).await?;
    page.resize(1440, 900).await?;
    // Long after the news of it is gone, the revision says what it did, and takes it back.
    page.click("nav[aria-label='Groups of limits'] a[href^='#/limits/r-']").await?;
    let revision = "section[aria-label^='What revision']";
    page.text_when(revision, |text| text.contains("4 → 2")).await?;
    steps::shot(&page, "limits-compared").await?;
    page.click_xpath(
        "//section[starts-with(@aria-label,'What revision')]//button[normalize-space(.)='Undo']",
    )
    .await?;
    page.text_when(revision, |text| text.contains("not in force any more")).await?;
    wait::until("the file to say 4 again", || async {
        Ok(in_file(&home)?.contains("max_in_flight = 4").then_some(()))
    })
    .await?;
    llama.until(|stats| stats.in_flight == 4).await;
    assert_eq!(most_of_the_next(&llama, 12).await, 4);
    clients.shutdown().await;
    llama.stop().await;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_staged_stands_there_after_a_restart_until_it_is_dropped() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let llama = chat().await?;
    std::fs::write(home.config_file(), config(&llama.url()))?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    limits_page(&page).await?;
    let slider = format!("[data-key='{KEY}'] [role=slider][tabindex='0']");
    page.find(&slider).await?;
    // Two steps up by keyboard.
    page.type_at(&slider, "\u{e014}\u{e014}").await?;
    let staged = "[aria-label='Staged changes']";
    page.text_when(staged, |text| text.contains('6')).await?;
    page.live_for(Duration::from_secs(1)).await;
    page.close().await?;

    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    limits_page(&page).await?;
    page.text_when(staged, |text| text.contains("1 change staged") && text.contains('6')).await?;
    page.text_when(&format!("[data-key='{KEY}']"), |text| text.contains("4 →")).await?;

    // The file says something else by now: that is shown, and nothing is written before a look.
    let other = in_file(&home)?.replace("max_in_flight = 4", "max_in_flight = 3");
    std::fs::write(home.config_file(), other)?;
    page.says("The file changed since you began").await?;
    page.text_when(&format!("[data-key='{KEY}']"), |text| text.contains("4 → 3")).await?;
    page.press("Drop mine").await?;
    page.says_not("1 change staged").await?;
    assert!(in_file(&home)?.contains("max_in_flight = 3"));
    llama.stop().await;
    page.close().await
}

/// Names beside the list, or in the menu that stands for it in a narrow window, that have too
/// little room.
async fn cut(page: &Page) -> Result<serde_json::Value> {
    page.script(
        "const cut = [...document.querySelectorAll(\"nav[aria-label='Groups of limits'] a > *\")]
             .filter((part) => part.scrollWidth > part.clientWidth && part.clientWidth > 0);
         const menu = document.querySelector(\"select[aria-label='Which limits']\");
         const wide = menu.offsetWidth;
         menu.style.width = 'max-content';
         menu.style.maxWidth = 'none';
         if (menu.offsetWidth > wide) cut.push(menu);
         menu.style.width = menu.style.maxWidth = '';
         return cut.map((part) => part.textContent);",
    )
    .await
}

/// With changes staged, in both themes and two sizes, where pictures were asked for.
async fn staged_pictures(home: &Home, page: &Page) -> Result<()> {
    let Some(folder) = shots() else { return Ok(()) };
    for theme in ["light", "dark"] {
        // Before anything is staged: a file that changes under it is a conflict.
        let toml = std::fs::read_to_string(home.config_file()).unwrap_or_default();
        let others = toml.lines().filter(|line| !line.starts_with("window.theme"));
        let others = others.collect::<Vec<_>>().join("\n");
        std::fs::write(home.config_file(), format!("window.theme = \"{theme}\"\n{others}\n"))?;
        page.find(&format!("html[data-theme={theme}]")).await?;
        page.resize(1440, 900).await?;
        for (group, key, keys) in [
            ("concurrency", KEY, "\u{e014}\u{e014}"),
            ("queue", "gateway.queue.max", "\u{e00f}"),
            ("memory", "gateway.gates.cpu.busy_percent", "\u{e00f}"),
        ] {
            page.click(&format!("nav[aria-label='Groups of limits'] a[href='#/limits/{group}']"))
                .await?;
            page.type_at(&format!("[data-key='{key}'] [role=slider][tabindex='0']"), keys).await?;
        }
        page.click("nav[aria-label='Groups of limits'] a[href='#/limits/staged']").await?;
        page.live_for(Duration::from_secs(4)).await;
        for (width, height) in [(1440, 900), (1024, 700)] {
            page.resize(width, height).await?;
            page.live_for(Duration::from_secs(1)).await;
            let file = format!("limits-staged-{theme}-{width}x{height}.png");
            page.picture(&folder.join(file)).await?;
        }
        page.press("Discard").await?;
        page.says_not("changes staged").await?;
        page.live_for(Duration::from_secs(1)).await;
    }
    page.resize(1440, 900).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_shown_of_the_demo_and_no_name_beside_them_is_cut() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &["--demo"]).await?;
    steps::settled(&page).await?;
    limits_page(&page).await?;
    page.text_when("main", |text| text.contains("Requests at once in all")).await?;
    page.says("simulated").await?;
    // The longest name has to share its line with a count, and with what is staged of it.
    let groups = "nav[aria-label='Groups of limits']";
    page.click(&format!("{groups} a[href='#/limits/memory']")).await?;
    let gate = "[data-key='gateway.gates.cpu.busy_percent'] [role=slider][tabindex='0']";
    page.type_at(gate, "\u{e00f}").await?;
    page.find(&format!("{groups} [aria-label$=' staged']")).await?;
    for (width, height) in [(1440, 900), (1024, 700)] {
        page.resize(width, height).await?;
        page.find("[data-key='gateway.gates.cpu.busy_percent']").await?;
        assert_eq!(cut(&page).await?, serde_json::json!([]), "at {width}x{height}");
    }
    page.resize(1440, 900).await?;
    page.press("Discard").await?;
    page.click(&format!("{groups} a[href='#/limits/concurrency']")).await?;
    // The page with the demo's first day is among the pictures of every page, which wait for it.
    staged_pictures(&home, &page).await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_shown_of_a_machine_on_which_nothing_runs() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let toml = "[gateway]\naddress = \"127.0.0.1:0\"\n[services]\ndiscover = false\n";
    std::fs::write(home.config_file(), toml)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    limits_page(&page).await?;
    page.click("nav[aria-label='Groups of limits'] a[href='#/limits/staged']").await?;
    page.says("Nothing is staged").await?;
    pictures::both(&home, &page, "empty", &["Limits"]).await?;
    // Found by its words, wherever it stands.
    page.keys("/").await?;
    page.keys("waiting requests").await?;
    page.find("[data-key='gateway.queue.max']").await?;
    assert!(!page.is_there("[data-key='gateway.max_in_flight']").await?);
    // What a preset changes is read before it is chosen.
    page.click_xpath("//button[normalize-space(.)='Conservative']").await?;
    page.text_when("section[aria-label^='Conservative']", |text| {
        text.contains("Waiting requests") && text.contains("100") && text.contains("Stage")
    })
    .await?;
    assert!(!page.is_there("[aria-label='Staged changes']").await?);
    page.close().await
}
