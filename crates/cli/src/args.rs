//! What can be typed, in one place: help, completions and man page come from here.

mod keys;
mod limits;
mod requests;
mod services;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::keys::{KeyAction, KeyPriority, KeyScope, Keys, NewKey};
pub use self::limits::{LimitAction, Limits, PresetName};
pub use self::requests::Requests;
pub use self::services::{
    Hold, NewService, OfService, OutputOf, RunOf, ServiceAction, Services, TestOf,
};

const EXAMPLES: &str = "\
Examples:
  plimsoll up                        record this machine until Ctrl-C
  plimsoll up --ui 127.0.0.1:0       the same, and the window in a browser
  plimsoll sample --ticks 3          read everything three times, record nothing
  plimsoll history query gpu.vram.used --last 24h
  plimsoll config set sampling.interval_ms=2000
  plimsoll services                  the model servers and stores, and how they are
  plimsoll hold --for 1h             free the GPU for an hour, then bring everything back
  plimsoll doctor                    what works here, and how to check it by hand

A command acts on the Plimsoll that runs on the data folder, where one does, and else on the
folder itself. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not running (status).";

/// The control center for one GPU workstation, in a terminal.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, after_help = EXAMPLES, propagate_version = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Folder of the data [default: $PLIMSOLL_DATA_DIR, else ~/.local/share/plimsoll]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file [default: ~/.config/plimsoll/plimsoll.toml, or in --data-dir where given]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Act on the demo's simulated workstation
    #[arg(long, global = true)]
    pub demo: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record this machine until it is told to end (Ctrl-C, SIGTERM)
    Up(Up),
    /// Read everything once a tick and print it; nothing is recorded
    Sample(Sample),
    /// Ask the recorded history
    #[command(subcommand)]
    History(History),
    /// Show and change settings
    #[command(subcommand)]
    Config(Config),
    /// Show alerts, or answer them
    Alerts(Alerts),
    /// Show the services, and act on them: model servers, stores and others beside Plimsoll
    Services(Services),
    /// Free the GPU for a while: models are unloaded, and brought back at the end
    Hold(Hold),
    /// Requests that passed the gateway, the newest first
    Requests(Requests),
    /// Keys for the gateway: for programs in containers and on other machines
    Keys(Keys),
    /// Limits: how much at once and for how long; presets, and what a change would have done
    Limits(Limits),
    /// How the running Plimsoll is doing; exit code 3 where none runs
    Status,
    /// A new one-time link to the page of a running `up --ui`; an unused one from before is void
    Link,
    /// Look at this machine: what works, what does not, and how to check it by hand
    Doctor(Doctor),
    /// Run a simulated workstation, in a folder of its own
    Demo(Up),
    /// Print the completions of a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub struct Up {
    /// Serve the window to a browser at this loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub ui: Option<SocketAddr>,
    /// Where the gateway listens, in place of gateway.address (127.0.0.1 brings [::1] with it,
    /// gateway.also stays); port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub gateway: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub struct Sample {
    /// How many ticks to print
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub ticks: u32,
}

#[derive(Debug, Subcommand)]
pub enum History {
    /// Values of some series over a range: `METRIC` or `METRIC[SUBJECT]`
    #[command(after_help = "\
Examples:
  plimsoll history query memory.used --last 10m
  plimsoll history query 'mount.used[/home]' 'mount.used[/]' --last 30d --width 600
  plimsoll history query cpu.busy --from 2026-11-20T08:00 --to 2026-11-20T10:00 --json")]
    Query {
        /// Series, e.g. `memory.used` or `net.received[eth0]`; a metric alone means all its subjects
        #[arg(required = true, value_name = "SERIES")]
        series: Vec<String>,
        #[command(flatten)]
        range: Range,
        /// Most points per series
        #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=4096))]
        width: u32,
    },
    /// Size and extent of the history
    Stats,
    /// Write raw values as CSV or JSON lines, to a file or to standard output
    #[command(after_help = "\
Examples:
  plimsoll history export --last 1h > hour.csv
  plimsoll history export gpu.power gpu.vram.used --last 7d --format jsonl --output week.jsonl")]
    Export {
        /// Series as in `history query`; none means all
        #[arg(value_name = "SERIES")]
        series: Vec<String>,
        #[command(flatten)]
        range: Range,
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// File to write; without it, standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Bring back what can be read of a damaged database that was set aside
    Recover {
        /// The damaged file; without it, every one that was set aside
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// A range of time. Without any of these, the last hour.
#[derive(Clone, Debug, Args)]
pub struct Range {
    /// A span that ends now, e.g. `90s`, `10m`, `24h`, `7d`
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["from", "to"])]
    pub last: Option<String>,
    /// Beginning: milliseconds since 1970, or a time such as `2026-11-20T08:00` (local)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// End, not included; without it, now
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Settings in force and where they come from; all, or those that begin with KEY
    Show {
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// One setting's value
    Get {
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Change settings in the file and put them in force; `KEY=` goes back to the default
    #[command(after_help = "\
Examples:
  plimsoll config set history.keep.raw_hours=24
  plimsoll config set alerts.rules.gpu-hot.threshold=80 alerts.notify=false
  plimsoll config set sampling.interval_ms=      back to the default")]
    Set {
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
    /// Check a configuration file: the one in use, or FILE
    Validate {
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Every setting with its meaning, range and default
    Schema {
        /// As a JSON schema, for an editor
        #[arg(long)]
        json_schema: bool,
        /// As a commented file with all defaults
        #[arg(long, conflicts_with = "json_schema")]
        defaults: bool,
    },
    /// Applied changes, the newest first
    Revisions {
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Go back to an earlier revision
    Rollback {
        #[arg(value_name = "REVISION")]
        revision: i64,
    },
}

#[derive(Debug, Args)]
pub struct Alerts {
    #[command(subcommand)]
    pub action: Option<AlertAction>,
}

#[derive(Debug, Subcommand)]
pub enum AlertAction {
    /// Say that you have seen an alert
    Ack {
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Silence an alert for a while; 0 minutes ends that
    Snooze {
        #[arg(value_name = "ID")]
        id: String,
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=10080))]
        minutes: u32,
    },
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// Write a redacted bundle for a bug report
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}
