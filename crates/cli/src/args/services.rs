//! What can be typed after `services` and `hold`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plimsoll services                          how each one is, and which were found
  plimsoll services accept qwen3             watch one that was found from now on
  plimsoll services add http://gpu-box:8080 --name \"The big one\" --key-file llama.key
  plimsoll services show llama               its models, figures, processes and hints
  plimsoll services load ollama qwen2.5:7b   load a model; `unload` lets it go
  plimsoll services start llama              start one that has a command
  plimsoll services stop llama               and stop it, until it is started again
  plimsoll services restart llama            started anew, with its launch settings as they are now
  plimsoll services output llama --follow    what it writes, until Ctrl-C
  plimsoll services test redis://127.0.0.1   what answers there; exit code 1 where nothing does
  plimsoll services remove llama             out of the configuration; a rollback brings it back

What runs on this machine is found by itself; `services.accept` in the configuration says whether
it then waits for `accept`. Other machines are known only from `add`.")]
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
    #[command(after_help = "\
Examples:
  plimsoll services test redis://127.0.0.1
  plimsoll services test https://gpu-box:8000 --ca-file ~/house.pem
  plimsoll services test llama --ca-file new.pem    with another file than the one that is set")]
    Test(TestOf),
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
  plimsoll services add https://gpu-box:8000 --ca-file ~/house.pem    a certificate of the house
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
    #[command(after_help = "\
Examples:
  plimsoll services stop llama
  plimsoll services stop llama --no-wait --json

Requests that came through Plimsoll end first, within `gateway.drain_s`; until then Ctrl-C leaves
it as it is. Exit code 0 once it has ended, also where it did not run; 1 where it was left, or
nobody waited.")]
    Stop(RunOf),
    /// Stop one and start it again, and wait until it serves
    #[command(after_help = "\
Example:
  plimsoll config set services.llama.context_tokens=8192 && plimsoll services restart llama

Requests that came through Plimsoll end first, within `gateway.drain_s`, and who asks meanwhile
waits; until then Ctrl-C leaves it as it is, afterwards it is started all the same. Exit code 0
once it serves; 1 where it was left, or does not serve.")]
    Restart(RunOf),
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
pub struct TestOf {
    /// Where it is, or the id of a service, as `services` lists it
    #[arg(value_name = "URL|ID")]
    pub target: String,
    /// PEM file with the certificate of who signed the server's, or with the server's own
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
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
    /// PEM file with the certificate of who signed the server's, or with the server's own
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plimsoll hold --for 1h && ./train.sh       free the GPU, then use it
  plimsoll hold --for 30m --service ollama   of this service alone
  plimsoll hold                              what is held, and until when
  plimsoll hold --for 2h                     again: 2 h from now on instead
  plimsoll hold --end                        bring everything back now

What cannot be freed is told with the reason. A hold outlives a restart of Plimsoll, and time that
the machine sleeps counts. Exit code 1 where it could not begin, or at its end not all came back.")]
pub struct Hold {
    /// Begin a hold, or change how long it lasts from now on, e.g. `30m`, `1h`; at most 24h
    #[arg(long = "for", value_name = "SPAN")]
    pub span: Option<String>,
    /// Free only this service; may be given several times
    #[arg(long = "service", value_name = "ID", requires = "span")]
    pub services: Vec<String>,
    /// Bring everything back now; after the end, try again what could not be brought back
    #[arg(long, conflicts_with = "span")]
    pub end: bool,
}
