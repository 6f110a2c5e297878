//! How recording is doing, for the status line and the alerts.

use std::path::PathBuf;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    #[default]
    Recording,
    /// Disk full, read-only or failing: the newest ten minutes are kept in memory,
    /// and writing is tried again every two seconds. The reason is a clause,
    /// e.g. `the disk is full`.
    Paused { reason: String, since_ms: i64 },
    /// Switched off in the configuration.
    Off,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingStatus {
    pub state: Recording,
    /// Databases in the data folder that were set aside because they were damaged, oldest first.
    pub set_aside: Vec<PathBuf>,
    /// Series that had a value within the last day.
    pub series: u32,
    /// Series that the cap put into `other`.
    pub series_turned_away: u32,
    /// Size of the database and its write-ahead log.
    pub bytes: u64,
    /// Ticks given up because the database took none for more than ten minutes.
    pub dropped_ticks: u64,
}
