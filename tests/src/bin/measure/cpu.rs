//! CPU time of `plimsoll up` at 1 Hz with history on, against `btm` at 1 s.

use std::{process::Command, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    program,
    usage::{self, Running},
};

const SLEEPERS: usize = 300;
/// Both programs settle before they are measured.
const WARM_UP: Duration = Duration::from_secs(10);

pub fn run(span: Duration, rounds: u64) -> Result<()> {
    let (plimsoll, btm) = (program("PLIMSOLL_BIN")?, program("BTM_BIN")?);
    let sleepers: Result<Vec<Running>> =
        (0..SLEEPERS).map(|_| usage::start(Command::new("sleep").arg("86400"))).collect();
    let sleepers = sleepers?;
    println!(
        "{SLEEPERS} sleeping processes; {} s each, {rounds} rounds, alternating",
        span.as_secs()
    );
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let (cpu, rss) = measure_plimsoll(&plimsoll, span)?;
        println!("round {round}  plimsoll up  {cpu:.3} % of a core, RSS {rss:.1} MB");
        ours.push(cpu);
        let (cpu, rss) = measure_btm(&btm, span)?;
        println!("round {round}  btm          {cpu:.3} % of a core, RSS {rss:.1} MB");
        theirs.push(cpu);
    }
    drop(sleepers);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    println!(
        "mean: plimsoll {:.3} %, btm {:.3} %, ratio {:.2}",
        mean(&ours),
        mean(&theirs),
        mean(&ours) / mean(&theirs)
    );
    Ok(())
}

fn measure_plimsoll(program: &str, span: Duration) -> Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    let running = usage::start(
        Command::new(program)
            .args(["--data-dir"])
            .arg(folder.path())
            .arg("up")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )?;
    std::thread::sleep(WARM_UP);
    let pid = running.0.id();
    let used = usage::used_during(&[pid], span)?;
    let rss = usage::rss_mb(pid).context("plimsoll ended")?;
    Ok((usage::percent(used, span), rss))
}

/// `btm` draws on a terminal of its own, made by `script` (util-linux).
fn measure_btm(program: &str, span: Duration) -> Result<(f64, f64)> {
    let running = usage::start(
        Command::new("script")
            .args(["-qfc", &format!("exec {program} --rate 1000"), "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )?;
    std::thread::sleep(WARM_UP);
    let found: Vec<u32> = usage::family(running.0.id())?
        .into_iter()
        .filter(|&pid| usage::name(pid) == "btm")
        .collect();
    ensure!(found.len() == 1, "btm did not start; is BTM_BIN right?");
    let used = usage::used_during(&found, span)?;
    let rss = usage::rss_mb(found[0]).context("btm ended")?;
    // It ends with the terminal; its own id makes sure of it.
    if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(found[0])?) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    Ok((usage::percent(used, span), rss))
}
