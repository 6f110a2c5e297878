//! Measures what Plimsoll costs, beside a peer and in the same run.
//!
//! `measure cpu` compares `plimsoll up` with `btm` (the crate `bottom`), each
//! refreshing once a second beside 300 sleeping processes. `measure window`
//! measures the real window under `Xvfb`: the time to its first painted value,
//! and its CPU while it is seen and while it is hidden. `./bench.sh` builds what
//! these need and passes the paths.

mod cpu;
mod usage;
mod window;

use std::time::Duration;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: measure cpu [SECONDS [ROUNDS]]      (120 s, 2 rounds)
       measure window [SECONDS]            (60 s)
Paths come from the environment: PLIMSOLL_BIN, PLIMSOLL_DESKTOP_BIN, BTM_BIN.";

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let mut number = |default: u64| -> Result<u64> {
        args.next().map_or(Ok(default), |text| text.parse().context("not a whole number"))
    };
    match what.as_str() {
        "cpu" => cpu::run(Duration::from_secs(number(120)?), number(2)?),
        "window" => window::run(Duration::from_secs(number(60)?)),
        _ => bail!("{USAGE}"),
    }
}

/// The path in that environment variable.
fn program(variable: &str) -> Result<String> {
    std::env::var(variable).with_context(|| format!("{variable} is not set; run ./bench.sh"))
}
