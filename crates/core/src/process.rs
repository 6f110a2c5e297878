//! The processes of this machine, as a table that lives in memory only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Bound of the ports that are told of one process.
pub const MAX_PORTS: usize = 32;

/// Points kept for each trace: ten minutes at the default cadence of 5 s.
pub const TRACE_POINTS: usize = 120;

/// One process at the time of the last scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// Short name of the program, e.g. `llama-server`.
    pub name: String,
    /// Command line, arguments joined by spaces, cut at 4096 characters; empty for a kernel thread.
    pub command: String,
    pub uid: u32,
    /// Name of the user, or the number where it has none.
    pub user: String,
    /// Container it runs in, by short id or name.
    pub container: Option<String>,
    /// Unit of systemd that started it, e.g. `ollama.service`.
    pub unit: Option<String>,
    /// CPU over the last interval, 100 for one core; `None` at first sight.
    pub cpu_percent: Option<f64>,
    pub rss_bytes: u64,
    /// `None` where it holds no GPU memory or the driver does not say.
    pub vram_bytes: Option<u64>,
    pub threads: u32,
    /// TCP ports it listens on, ascending, at most 32. Empty where it listens on none
    /// and where the system does not let us look (another user's process).
    pub ports: Vec<u16>,
    pub started_ms: i64,
    /// CPU percent, oldest first, one value a scan; ends with the newest. `None` is a gap.
    pub cpu_trace: Vec<Option<f32>>,
    /// True for a process of Plimsoll (its window included).
    pub own: bool,
}

/// All processes, and how they were found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct ProcessTable {
    /// 0 before the first scan.
    pub at_ms: i64,
    pub interval_ms: u32,
    pub processes: Vec<Process>,
    /// What each container holds, as its control group counts it, without the cache that
    /// the kernel would give back first; by [`Process::container`], at most 64. Who shows
    /// processes does not need it: it is told of the services behind which they are.
    #[serde(skip)]
    #[ts(skip)]
    pub container_memory: BTreeMap<String, u64>,
    /// Why VRAM per process is not known, in words; `None` where it is.
    pub vram_unknown: Option<String>,
}

/// More about one process, read when somebody looks at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct ProcessDetail {
    pub process: Process,
    pub nice: i32,
    pub executable: Option<String>,
    pub parent_name: Option<String>,
    pub open_files: Option<u32>,
    pub open_files_limit: Option<u64>,
    /// Limit of its memory cgroup.
    pub memory_limit_bytes: Option<u64>,
    /// Addresses of `process.ports`, read again when asked for, e.g. `127.0.0.1:8080`; at most 64.
    pub listens: Vec<String>,
    pub rss_trace: Vec<Option<u64>>,
    pub vram_trace: Vec<Option<u64>>,
}

/// A request to end a process. `started_ms` must match, so that a pid that was
/// given to another process meanwhile is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct EndProcess {
    pub pid: i32,
    pub started_ms: i64,
    /// `false` asks (SIGTERM), `true` kills (SIGKILL).
    #[serde(default)]
    pub kill: bool,
}
