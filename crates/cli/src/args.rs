//! What can be typed, in one place: help, completions and man page come from here.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  plimsoll up                        record this machine until Ctrl-C
  plimsoll up --ui 127.0.0.1:0       the same, and the window in a browser
  plimsoll sample --ticks 3          read everything three times, record nothing
  plimsoll history query gpu.vram.used --last 24h
  plimsoll config set sampling.interval_ms=2000
  plimsoll services                  the model servers and stores, and how they are
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
    /// Show the services: model servers, stores and others that run beside Plimsoll
    #[command(after_help = "\
Examples:
  plimsoll services                          how each one is, and which were found
  plimsoll services accept qwen3             watch one that was found from now on
  plimsoll services add http://gpu-box:8080 --name \"The big one\" --key-file llama.key
  plimsoll services show llama               its models, figures, processes and hints
  plimsoll services test redis://127.0.0.1   what answers there; exit code 1 where nothing does
  plimsoll services remove llama             out of the configuration; a rollback brings it back

What runs on this machine is found by itself; `services.accept` in the configuration says whether
it then waits for `accept`. Other machines are known only from `add`.")]
    Services(Services),
    /// Free the GPU for a while: models are unloaded, and brought back at the end
    #[command(after_help = "\
Examples:
  plimsoll hold --for 1h && ./train.sh       free the GPU, then use it
  plimsoll hold --for 30m --service ollama   of this service alone
  plimsoll hold                              what is held, and until when
  plimsoll hold --for 2h                     again: 2 h from now on instead
  plimsoll hold --end                        bring everything back now

What cannot be freed is told with the reason. A hold outlives a restart of Plimsoll, and time that
the machine sleeps counts. Exit code 1 where it could not begin, or at its end not all came back.")]
    Hold(Hold),
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
pub struct Services {
    #[command(subcommand)]
    pub action: Option<ServiceAction>,
}

#[derive(Debug, Subcommand)]
pub enum ServiceAction {
    /// All services, as without a word
    List,
    /// Everything that is known of one
    Show {
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Ask an address, or a service that is known, what it is and how; needs no running Plimsoll
    Test {
        #[arg(value_name = "URL|ID")]
        target: String,
    },
    /// Watch a service that was found
    Accept {
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Propose a service that was found no more
    Ignore {
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Propose a service again that was ignored
    Restore {
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Write a service into the configuration, as a revision
    #[command(after_help = "\
Examples:
  plimsoll services add http://127.0.0.1:8080
  plimsoll services add https://gpu-box:8000 --name \"Big one\" --kind vllm --key-file ~/vllm.key
  plimsoll services add redis://127.0.0.1 --id cache")]
    Add(NewService),
    /// Load a model, and wait until it is loaded; Ctrl-C waits no longer
    #[command(after_help = "\
Examples:
  plimsoll services load ollama qwen2.5:7b
  plimsoll services load ollama qwen2.5:7b --json && ./benchmark

Exit code 0 once it is loaded, also where it was already; 1 where it was not, or nobody waited.
Without a running Plimsoll the server is asked from here.")]
    Load(OfService),
    /// Unload a model, and wait until it is gone; Ctrl-C waits no longer
    Unload(OfService),
    /// Start a service that has a command, and wait until it serves; Ctrl-C waits no longer
    #[command(after_help = "\
Examples:
  plimsoll config set 'services.llama.command=[\"llama-server\", \"-m\", \"/models/a.gguf\"]'
  plimsoll services start llama && ./benchmark

It waits for its turn and for room in VRAM as at the start of Plimsoll, and says what for. Exit
code 0 once it serves, also where it did already; 1 where it does not, or nobody waited.")]
    Start(RunOf),
    /// Stop one, and wait until it has ended; it stays so until it is started again, or Plimsoll is
    #[command(after_help = "Example:\n  plimsoll services stop llama --no-wait --json")]
    Stop(RunOf),
    /// What a service wrote last that Plimsoll runs
    #[command(after_help = "\
Examples:
  plimsoll services output llama --lines 1000 | grep -i error
  plimsoll services output llama --follow")]
    Output(OutputOf),
    /// Take a service out of the configuration, or watch one that was found no more
    Remove {
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct RunOf {
    /// Id of the service, as `services` lists it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Do not wait until it is done
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Clone, Debug, Args)]
pub struct OutputOf {
    /// Id of the service, as `services` lists it
    #[arg(value_name = "ID")]
    pub id: String,
    /// How many lines, the newest ones
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub lines: u32,
    /// Go on with what is written, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub follow: bool,
}

#[derive(Clone, Debug, Args)]
pub struct OfService {
    /// Id of the service, as `services` lists it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Name of the model, as `services show ID` lists it
    #[arg(value_name = "MODEL")]
    pub model: String,
}

#[derive(Debug, Args)]
pub struct NewService {
    /// Where it is, e.g. `http://127.0.0.1:8080` or `redis://127.0.0.1`
    #[arg(value_name = "URL")]
    pub url: String,
    /// What it is called in the window
    #[arg(long)]
    pub name: Option<String>,
    /// Its name in the configuration: a-z, 0-9 and -; made from the name or the address by default
    #[arg(long)]
    pub id: Option<String>,
    /// What it speaks, e.g. llama-cpp; found out by default
    #[arg(long)]
    pub kind: Option<String>,
    /// File that holds its key or password
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Hold {
    /// Begin a hold, or change how long it lasts from now on, e.g. `30m`, `1h`; at most 24h
    #[arg(long = "for", value_name = "SPAN")]
    pub span: Option<String>,
    /// Free only this service; may be given several times
    #[arg(long = "service", value_name = "ID", requires = "span")]
    pub services: Vec<String>,
    /// Show the hold that is on, or the one that ended last; the same as without a word
    #[arg(long, conflicts_with_all = ["span", "end"])]
    pub show: bool,
    /// Bring everything back now; after the end, try again what could not be brought back
    #[arg(long, conflicts_with = "span")]
    pub end: bool,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// Write a redacted bundle for a bug report
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}
