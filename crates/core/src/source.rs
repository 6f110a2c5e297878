//! A source of readings, and the state it is in.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{clock::Instant3, reading::Reading};

/// Something that can be read at a cadence. Reading may block (files, drivers):
/// the sampler gives each source a thread of its own, never the runtime's.
pub trait Source: Send + 'static {
    /// Stable short name, e.g. `gpu`.
    fn name(&self) -> &'static str;

    /// How often it wants to be read; asked before each wait.
    fn cadence(&self) -> Duration;

    /// Appends what can be read now. What cannot is left out: never a zero in its place.
    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError>;
}

/// Why a source has nothing to say. The text is shown to a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Not on this machine (no driver, no such file): looked for again now and then.
    #[error("{0}")]
    Absent(String),
    /// Was there and is not now (GPU lost, driver updated): tried again until it is back.
    #[error("{0}")]
    Lost(String),
    /// This one reading failed.
    #[error("{0}")]
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Not read yet.
    Starting,
    Healthy,
    Absent,
    Lost,
    Failed,
    /// A reading has been under way for longer than 2.5 cadences.
    Late,
}

/// A source's state as the window names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct SourceStatus {
    pub name: String,
    pub state: SourceState,
    /// In words, e.g. `No NVIDIA driver on this machine`; empty while healthy.
    pub reason: String,
    pub since_ms: i64,
    /// When it last gave readings.
    pub last_ms: Option<i64>,
}
