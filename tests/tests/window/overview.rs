//! Overview: this machine's own numbers, alive.

use anyhow::{Context as _, Result};
use plimsoll_tests::{desk::Desk, page::Page, program::Home};

use crate::steps::{self, meter};

const GIB: f64 = 1_073_741_824.0;
/// Others use the machine while the test runs.
const SLACK: f64 = 2.0;

fn meminfo(name: &str) -> Result<f64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find(|line| line.starts_with(name)).context("meminfo")?;
    let kib: f64 = line.split_whitespace().nth(1).context("meminfo")?.parse()?;
    Ok(kib * 1024.0)
}

/// What an instrument shows as its value.
fn value(title: &str) -> String {
    format!("{} [data-testid=instrument-value]", meter(title))
}

/// The number and its unit as the instrument shows them, e.g. `5.05` and the `GiB` of `of 18.8 GiB`.
async fn reading(page: &Page, title: &str) -> Result<(f64, String)> {
    let number = page.text_when(&value(title), |text| text.trim().parse::<f64>().is_ok()).await?;
    let unit = page.text_when(&format!("{} .u", meter(title)), |text| !text.is_empty()).await?;
    let unit = unit.split_whitespace().last().context("a unit")?;
    Ok((number.trim().parse()?, unit.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_shows_this_machines_memory_as_proc_says_it() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;

    let (shown, unit) = reading(&page, "RAM").await?;
    let used = (meminfo("MemTotal:")? - meminfo("MemAvailable:")?) / GIB;
    let shown = if unit == "MiB" { shown / 1024.0 } else { shown };
    assert!((shown - used).abs() < SLACK, "the window says {shown} GiB, /proc says {used} GiB");
    page.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_values_live_and_a_click_leads_to_explore() -> Result<()> {
    let home = Home::new()?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &["--demo"]).await?;
    steps::settled(&page).await?;

    // Three different readings of the same instrument: nobody touched anything.
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        let next = page.text_when(&value("CPU"), |text| !seen.contains(text)).await?;
        seen.insert(next);
    }

    page.click(&meter("CPU")).await?;
    page.find("main[aria-label=Explore]").await?;
    page.find("[data-lane='cpu.busy']").await?;
    page.close().await
}

/// The fake library is loaded through the real wrapper, as a driver's would be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_named_in_the_settings_shows_its_vram() -> Result<()> {
    let mut home = Home::new()?;
    let library = plimsoll_tests::program::built("PLIMSOLL_FAKE_NVML")?;
    let scenario = home.path().join("scenario");
    std::fs::write(
        &scenario,
        "state = ok\nname = NVIDIA GeForce RTX 4090\nuuid = GPU-5a3f\n\
         vram.used = 12884901888\nvram.free = 12884901888\nvram.total = 25769803776\n\
         busy = 37\npower = 312500\n",
    )?;
    home.set("FAKE_NVML_SCENARIO", &scenario);
    std::fs::write(home.config_file(), format!("[gpu]\nnvml_path = \"{}\"\n", library.display()))?;
    let mut desk = Desk::new(&home)?;
    let page = desk.window(&home, &[]).await?;
    steps::settled(&page).await?;
    assert_eq!(reading(&page, "VRAM").await?.0, 12.0);
    page.says("RTX 4090").await?;
    steps::shot(&page, "overview-card").await?;
    page.close().await
}
