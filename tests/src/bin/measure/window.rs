//! The real window under `Xvfb`: time to its first painted value, and its CPU.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    program,
    usage::{self, Running},
};

const DISPLAY: &str = ":97";
const STARTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(span: Duration) -> Result<()> {
    let desktop = program("PLIMSOLL_DESKTOP_BIN")?;
    let folder = tempfile::tempdir()?;
    let server = usage::start(
        Command::new("Xvfb")
            .args([DISPLAY, "-screen", "0", "1440x900x24", "-nolisten", "tcp"])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )?;
    std::thread::sleep(Duration::from_secs(2));
    let alone = usage::percent(usage::used_during(&[server.0.id()], span)?, span);
    println!("Xvfb alone      {alone:.2} % of a core over {} s", span.as_secs());

    let mut firsts = Vec::new();
    for start in 0..=STARTS {
        let painted = folder.path().join(format!("painted-{start}"));
        let begun = Instant::now();
        let window = open(&desktop, folder.path(), &painted, &[])?;
        if start == 0 {
            // The first start creates the folder, fills the file cache, and shows the welcome.
            std::thread::sleep(Duration::from_secs(5));
        } else {
            wait_for(&painted)?;
            firsts.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        drop(window);
    }
    firsts.sort_by(f64::total_cmp);
    println!(
        "first painted value: {:.0} ms median of {STARTS} starts, worst {:.0} ms",
        firsts[STARTS / 2],
        firsts[STARTS - 1]
    );

    let seen = cost(&desktop, folder.path(), &server, span, &[])?;
    println!(
        "seen and live   {:.2} % of a core above Xvfb alone, RSS {:.0} MB",
        seen.0 - alone,
        seen.1
    );
    let hidden = cost(&desktop, folder.path(), &server, span, &["--hidden"])?;
    println!(
        "hidden          {:.2} % of a core above Xvfb alone, RSS {:.0} MB",
        hidden.0 - alone,
        hidden.1
    );
    Ok(())
}

/// CPU of all our processes, WebKit's and the X server's, and our memory.
fn cost(
    desktop: &str,
    folder: &Path,
    server: &Running,
    span: Duration,
    arguments: &[&str],
) -> Result<(f64, f64)> {
    let painted = folder.join("painted-cost");
    let _ = std::fs::remove_file(&painted);
    let window = open(desktop, folder, &painted, arguments)?;
    if arguments.is_empty() {
        wait_for(&painted)?;
    }
    std::thread::sleep(Duration::from_secs(15));
    let mut pids: Vec<u32> = usage::family(window.0.id())?
        .into_iter()
        .filter(|&pid| !["dbus-daemon", "dbus-run-sessio"].contains(&&*usage::name(pid)))
        .collect();
    let rss = pids.iter().filter_map(|&pid| usage::rss_mb(pid)).sum();
    pids.push(server.0.id());
    let used = usage::used_during(&pids, span)?;
    Ok((usage::percent(used, span), rss))
}

/// The window writes that file when it has painted its first live value.
fn open(desktop: &str, folder: &Path, painted: &Path, arguments: &[&str]) -> Result<Running> {
    usage::start(
        Command::new("dbus-run-session")
            .args(["--", desktop, "--data-dir"])
            .arg(folder.join("data"))
            .args(arguments)
            .env("DISPLAY", DISPLAY)
            .env("PLIMSOLL_PAINTED_FILE", painted)
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}

fn wait_for(file: &Path) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if file.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("no value was painted within {} s", PATIENCE.as_secs())
}
