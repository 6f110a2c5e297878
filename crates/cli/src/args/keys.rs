//! What can be typed after `keys`.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plimsoll keys                                      those in force, and when each was used last
  export OPENAI_API_KEY=$(plimsoll keys add notebook)
  plimsoll keys add nightly --priority batch --max-in-flight 1 --model 'qwen*'
  plimsoll keys revoke nightly                       it opens nothing from now on

On this machine no key is needed; programs in containers and on other machines need one. A key is
printed once, when it is made: only its hash is kept.")]
pub struct Keys {
    #[command(subcommand)]
    pub action: Option<KeyAction>,
}

#[derive(Debug, Subcommand)]
pub enum KeyAction {
    /// Keys in force, as without a word
    List,
    /// Make a key, and print it this one time
    Add(NewKey),
    /// Take a key out of force
    Revoke {
        #[arg(value_name = "ID|NAME")]
        id: String,
    },
}

#[derive(Debug, Args)]
pub struct NewKey {
    /// Whose it is; requests and figures go by this name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Who waits longer where requests queue
    #[arg(long, value_enum, default_value_t = KeyPriority::Interactive)]
    pub priority: KeyPriority,
    /// A model or a service it may ask, or a pattern; more than once for more [default: all]
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<String>,
    /// What it may do beside asking models; more than once for more
    #[arg(long = "scope", value_enum, value_name = "SCOPE")]
    pub scopes: Vec<KeyScope>,
    /// Most requests at once; 0: no limit of its own
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub max_in_flight: u32,
    /// Most requests in a minute; 0: no limit of its own
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub requests_per_min: u32,
    /// Most tokens in a minute, in and out; 0: no limit of its own
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub tokens_per_min: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyPriority {
    Interactive,
    Batch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyScope {
    /// Paths of a backend that load, unload and pull
    Admin,
    /// The gateway's figures at /metrics
    Metrics,
}
