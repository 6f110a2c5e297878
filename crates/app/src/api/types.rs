//! Arguments and answers of the commands.

use plimsoll_core::{
    alert::Severity,
    config::wire::Change,
    device::{GpuInfo, MachineInfo},
    log::LogLevel,
    series::SeriesKey,
    source::SourceStatus,
    unit::Unit,
};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// No arguments: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// It was done; a sentence says what, where that helps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Done {
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub from_ms: i64,
    /// Not included.
    pub to_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct About {
    pub version: String,
    pub protocol: u32,
    /// Of the process that owns the data folder.
    pub pid: u32,
    pub started_ms: i64,
    pub data_dir: String,
    pub config_path: String,
    pub socket: String,
    /// Address of the loopback page, where it is served.
    pub ui: Option<String>,
    /// True for the demo: nothing is measured.
    pub simulated: bool,
    pub machine: MachineInfo,
    pub gpu: Option<GpuInfo>,
    /// First start with this data folder: nothing was recorded before.
    pub first_start: bool,
}

/// Opens the loopback page in one browser, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct PageLink {
    pub url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    Recording,
    /// Disk full, read-only or failing: the newest ten minutes are kept in memory.
    Paused,
    /// Switched off in the configuration.
    Off,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Status {
    pub at_ms: i64,
    pub interval_ms: u32,
    pub series: u32,
    pub series_limit: u32,
    pub recording: RecordingState,
    /// Why recording is paused, in words.
    pub recording_reason: Option<String>,
    pub history_bytes: u64,
    pub history_limit_bytes: u64,
    pub oldest_ms: Option<i64>,
    /// Of one core, over the last minute.
    pub self_cpu_percent: Option<f64>,
    pub self_rss_bytes: Option<u64>,
    pub active_alerts: u32,
    pub sources: Vec<SourceStatus>,
    /// Where the gateway listens; `None` where it does not.
    pub gateway: Option<String>,
    /// Which of its addresses the gateway could not have, by whom they are taken and what to
    /// do; `None` where it has them all.
    pub gateway_trouble: Option<String>,
    /// Plimsoll's own time of the last 5 minutes' requests, p99; `None` where there were none.
    pub gateway_overhead_us: Option<f64>,
    /// Why the configuration file, or a variable, is not in force, and what is instead; `None`
    /// where all is.
    pub config_trouble: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct HistoryStats {
    /// Size of the database and its write-ahead log.
    pub bytes: u64,
    /// Raw samples held, sealed and not.
    pub samples: u64,
    /// Sealed raw chunks only; `None` before the first is sealed.
    pub bytes_per_sample: Option<f64>,
    pub series: u32,
    pub oldest_ms: Option<i64>,
    pub newest_ms: Option<i64>,
    pub epochs: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    Csv,
    Jsonl,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// Empty: every series.
    pub series: Vec<SeriesKey>,
    pub from_ms: i64,
    pub to_ms: i64,
    pub format: ExportFormat,
    /// Absolute path of the file to write; an existing one is replaced when it is complete.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct JobStarted {
    pub job: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct JobId {
    pub job: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Running,
    Done,
    Cancelled,
    Failed,
}

/// Long work: an export, a backup, a move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct JobProgress {
    pub job: u64,
    pub title: String,
    pub state: JobState,
    /// 0 to 1; `None` where the end is not known.
    pub share: Option<f64>,
    /// What was done, or why it failed.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct EnergyReport {
    /// Where the figure comes from: `counter`, `power` (integrated) or `none`.
    pub basis: String,
    /// `None` where neither is known.
    pub kwh: Option<f64>,
    /// At `power.price_per_kwh`.
    pub cost: Option<f64>,
    pub currency: String,
    /// Share of the range that was measured, 0 to 1: gaps are not filled in.
    pub covered: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Pid {
    pub pid: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct AlertId {
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct AlertSnooze {
    pub id: String,
    /// 1 to 10080 (a week); 0 ends a snooze.
    pub minutes: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct AlertRule {
    pub id: String,
    /// What it watches, in one sentence, with the thresholds in force.
    pub sentence: String,
    pub severity: Severity,
    pub enabled: bool,
    pub unit: Option<Unit>,
    /// Metric whose chart carries its threshold as a load line, where there is one.
    pub metric: Option<String>,
    pub threshold: Option<f64>,
    /// True where being below the threshold is what alerts.
    pub below: bool,
    /// Subjects for which it holds now.
    pub active: Vec<String>,
    /// What charts draw: one line a subject, also where each has a height of its own.
    pub lines: Vec<LoadLine>,
}

/// A threshold as a line on the chart of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LoadLine {
    pub metric: String,
    pub subject: String,
    /// In the metric's unit.
    pub value: f64,
    /// True where being below the line is what alerts.
    pub below: bool,
}

/// Changes to single settings, a whole new text, or both: then the changes are made
/// in that text, as where a person edited the file by hand and set a value as well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ConfigEdit {
    /// Digest of the text it started from; `None` only for `config.preview`.
    #[serde(default)]
    pub base: Option<String>,
    #[serde(default)]
    pub changes: Vec<Change>,
    #[serde(default)]
    pub text: Option<String>,
    /// Who asks: `window`, `browser` or `terminal`.
    #[serde(default)]
    pub by: String,
    /// Keys of the changes that are all that is staged of the limits, as whoever asks saw it.
    /// `config.apply` refuses them (`Conflict`) where another draft is staged by now, and takes
    /// what it applied off the draft.
    #[serde(default)]
    #[ts(optional)]
    pub staged: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// For `config.rollback` the revision to go back to, for `config.undo` the one to take back.
    pub revision: i64,
    #[serde(default)]
    pub by: String,
}

/// What one kind of data takes, and what keeping less of it would free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct StorageKind {
    /// `raw`, `s10`, `m1`, `m15`, `h1`, `marks` or `log`.
    pub kind: String,
    pub label: String,
    pub bytes: u64,
    pub oldest_ms: Option<i64>,
    /// Setting that says how long it is kept, and its value.
    pub setting: String,
    pub keep: i64,
    pub keep_unit: String,
    /// A shorter span that is worth it, and the bytes it frees; `None` where nothing is.
    pub less: Option<i64>,
    pub less_frees_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct StorageReport {
    pub data_dir: String,
    pub total_bytes: u64,
    pub limit_bytes: u64,
    /// What the file system still takes.
    pub disk_available_bytes: Option<u64>,
    pub kinds: Vec<StorageKind>,
    /// Databases that were set aside because they were damaged.
    pub set_aside: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Absolute path.
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct FilePath {
    /// Absolute path of the file to write.
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Written {
    pub path: String,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    /// Everything before it goes; `None` deletes the whole history.
    pub before_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct LogRequest {
    /// This level and more severe ones.
    pub level: LogLevel,
    /// Only entries whose module, message or fields contain it.
    #[serde(default)]
    pub contains: String,
    /// Only older ones than that: for the next page.
    #[serde(default)]
    pub before_ms: Option<i64>,
    /// 1 to 1000.
    pub limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Good,
    /// Works, with something missing.
    Limited,
    Bad,
    /// Could not be found out.
    Unknown,
}

/// One thing the doctor looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Check {
    /// e.g. `NVIDIA driver`.
    pub name: String,
    pub verdict: Verdict,
    /// What was found.
    pub finding: String,
    /// What to do about it; empty where nothing is.
    pub advice: String,
    /// A command that checks the same by hand.
    pub by_hand: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DoctorReport {
    pub checks: Vec<Check>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// `[a-z0-9.-]{1,64}`.
    pub key: String,
    /// JSON, at most 64 KiB; `null` forgets it.
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct RememberKey {
    pub key: String,
}
