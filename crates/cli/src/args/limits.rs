//! What can be typed after `limits`.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plimsoll limits                                    every limit, what holds and what may be set
  plimsoll limits list queue                         those with that word in name or meaning
  plimsoll limits effect services.tiny.max_in_flight 2
  plimsoll limits set services.tiny.max_in_flight 2  the next request obeys it
  plimsoll limits reset services.tiny.max_in_flight  back to the default
  plimsoll limits preset conservative --dry-run      what it would change
  plimsoll limits apply                              puts in force what is staged in the window
  plimsoll limits discard                            stages nothing any more
  plimsoll config rollback 41                        takes a change back, by its revision

Names are those of the configuration file. A change is one revision, and marks the charts.")]
pub struct Limits {
    #[command(subcommand)]
    pub action: Option<LimitAction>,
}

#[derive(Debug, Subcommand)]
pub enum LimitAction {
    /// Every limit, or those with a word in them, as without an action
    List {
        #[arg(value_name = "WORD")]
        word: Option<String>,
    },
    /// Set a limit in the file, and put it in force at once
    Set {
        /// E.g. `gateway.queue.max`
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Take a limit out of the file: its default holds again
    Reset {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Set all limits that have an alternative
    Preset {
        #[arg(value_enum)]
        preset: PresetName,
        /// Only say what it would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Put in force what is staged, all of it as one revision
    #[command(after_help = "\
Examples:
  plimsoll limits list               what is staged stands beside today's value
  plimsoll limits apply
  plimsoll limits apply --anyway     also where it was changed elsewhere since it was staged

Exit code 0 where it is in force, also where nothing is staged; 1 where it is not: a value was
changed elsewhere since, or another draft is staged by now.")]
    Apply {
        /// Also where a value was changed elsewhere since it was staged
        #[arg(long)]
        anyway: bool,
    },
    /// Stage nothing any more, or nothing of one limit
    #[command(after_help = "\
Examples:
  plimsoll limits discard
  plimsoll limits discard gateway.queue.max

Exit code 0 where it is staged no more, also where nothing was; 1 where that limit is not staged.")]
    Discard {
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// What a value would have done to the requests that were recorded
    Effect {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PresetName {
    /// Costs least
    Conservative,
    /// The defaults
    Balanced,
    /// Takes and keeps more
    Aggressive,
}
