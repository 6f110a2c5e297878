//! Log entries, as they are kept and shown.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LogEntry {
    pub at_ms: i64,
    pub level: LogLevel,
    /// Module that wrote it, e.g. `plimsoll_history::seal`.
    pub module: String,
    pub message: String,
    /// Further fields as `key=value`, joined by spaces.
    pub fields: String,
}
