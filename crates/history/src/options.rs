//! What a person can set about the history, with the defaults in force.

/// How long each kind of data is kept, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    pub raw_ms: i64,
    pub s10_ms: i64,
    pub m1_ms: i64,
    pub m15_ms: i64,
    pub h1_ms: i64,
    /// Marks and alerts.
    pub marks_ms: i64,
    pub log_ms: i64,
    pub requests_ms: i64,
    /// Whichever of the two comes first.
    pub requests_bytes: u64,
}

/// Settings of the history; every one applies live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `false` records nothing; what was recorded can still be read.
    pub enabled: bool,
    /// Size of the database with its write-ahead log that is not to be passed.
    pub max_bytes: u64,
    /// Series beyond this number fall into the subject `other` of their metric.
    pub max_series: u32,
    pub keep: Keep,
    /// Longest time between two checkpoints: what a power cut may cost.
    pub checkpoint_ms: u64,
    /// Cadences of the three classes of metrics.
    pub tick_ms: u32,
    pub processes_ms: u32,
    pub space_ms: u32,
    /// How often complete slots are looked for, in time of the ticks.
    pub seal_ms: i64,
    /// How often retention is applied, in time of the ticks.
    pub purge_ms: i64,
}

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

// === impl Keep ===

impl Default for Keep {
    fn default() -> Self {
        Self {
            raw_ms: 48 * HOUR,
            s10_ms: 14 * DAY,
            m1_ms: 90 * DAY,
            m15_ms: 1826 * DAY,
            h1_ms: 3650 * DAY,
            marks_ms: 3650 * DAY,
            log_ms: 30 * DAY,
            requests_ms: 30 * DAY,
            requests_bytes: 512 << 20,
        }
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            max_bytes: 4096 * 1024 * 1024,
            max_series: 2000,
            keep: Keep::default(),
            checkpoint_ms: 10_000,
            tick_ms: 1000,
            processes_ms: 5000,
            space_ms: 10_000,
            seal_ms: 5000,
            purge_ms: 60_000,
        }
    }
}

impl Options {
    /// What the request log may take: never more than an eighth of everything.
    pub(crate) fn requests_bytes(&self) -> u64 {
        self.keep.requests_bytes.min(self.max_bytes / 8)
    }

    /// Interval at which metrics of that class come.
    pub fn cadence_ms(&self, cadence: plimsoll_core::metric::Cadence) -> u32 {
        use plimsoll_core::metric::Cadence;
        match cadence {
            Cadence::Tick => self.tick_ms,
            Cadence::Processes => self.processes_ms,
            Cadence::Space => self.space_ms,
        }
    }
}
