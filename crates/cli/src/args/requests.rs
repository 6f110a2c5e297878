//! What can be typed after `requests`.

use clap::{Args, ValueEnum};
use plimsoll_core::request::Finish;

/// Without a filter, the newest.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plimsoll requests --client open-webui
  plimsoll requests --failed --limit 20
  plimsoll requests --over 10s --model qwen3-8b --json
  plimsoll requests --csv -n 100000 > requests.csv
  plimsoll requests --follow               each one as it ends, until Ctrl-C")]
pub struct Requests {
    /// Print each request as it ends, until Ctrl-C
    #[arg(long, short, conflicts_with = "before")]
    pub follow: bool,
    /// As CSV with a heading, each field of the log a column
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// At most so many; of a table no more than 10000
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub limit: u32,
    /// Only of this client: its key's name, or its program's
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
    /// Only for this model, as it was asked for or as it was asked of the backend
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Only those that this service answered, or was asked last
    #[arg(long, value_name = "ID")]
    pub backend: Option<String>,
    /// Only those that ended so; may be given more than once
    #[arg(long, value_enum, value_name = "HOW")]
    pub finish: Vec<Ended>,
    /// Only those that failed or ran out of time
    #[arg(long)]
    pub failed: bool,
    /// Only those that took at least so long, e.g. `500ms`, `10s`, `2m`
    #[arg(long, value_name = "SPAN")]
    pub over: Option<String>,
    /// Only older ones than the one of this number
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ended {
    Answered,
    Refused,
    Failed,
    Left,
    Cancelled,
    TimedOut,
}

// === impl Ended ===

impl From<Ended> for Finish {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Answered => Self::Answered,
            Ended::Refused => Self::Refused,
            Ended::Failed => Self::Failed,
            Ended::Left => Self::Left,
            Ended::Cancelled => Self::Cancelled,
            Ended::TimedOut => Self::TimedOut,
        }
    }
}
