//! Series, and the questions one can ask the history about them.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{
    metric::{Kind, SubjectKind},
    unit::Unit,
};

/// A series by name: a metric of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
pub struct SeriesKey {
    /// A name from the catalogue, e.g. `gpu.vram.used`.
    pub metric: String,
    /// The subject's name; empty for the machine.
    #[serde(default)]
    pub subject: String,
}

/// A series that the history holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct SeriesInfo {
    pub key: SeriesKey,
    /// Label of the metric, e.g. `VRAM used`.
    pub label: String,
    pub subject_kind: SubjectKind,
    pub kind: Kind,
    pub unit: Unit,
    pub cadence_ms: u32,
    /// When it was last written, and what; `None` before the first value of this start.
    pub last_ms: Option<i64>,
    pub last: Option<f64>,
}

/// How finely a series is stored. Each level is made once from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As measured.
    Raw,
    S10,
    M1,
    M15,
    H1,
}

/// A question for a chart: some series over a range, for so many pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Query {
    /// 1 to [`MAX_SERIES_PER_QUERY`].
    pub series: Vec<SeriesKey>,
    pub from_ms: i64,
    /// Not included.
    pub to_ms: i64,
    /// Width of the plot, 1 to [`MAX_WIDTH_PX`]: at most one point a pixel is answered.
    pub width_px: u32,
}

pub const MAX_SERIES_PER_QUERY: usize = 64;
pub const MAX_WIDTH_PX: u32 = 4096;

/// The answer for one series, in columns of equal length, ordered by time.
/// A point without data is `None` in all three: that is a gap, and is drawn as one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct Points {
    pub at_ms: Vec<i64>,
    /// In the unit of the answer: a counter's columns are rates per second.
    pub min: Vec<Option<f64>>,
    pub mean: Vec<Option<f64>>,
    pub max: Vec<Option<f64>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct SeriesAnswer {
    pub key: SeriesKey,
    pub unit: Unit,
    pub kind: Kind,
    pub level: Level,
    /// Span of time that one point stands for.
    pub step_ms: i64,
    pub points: Points,
}

/// Answers in the order of the question. A series that the history does not
/// know is answered with no points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Answer {
    pub from_ms: i64,
    pub to_ms: i64,
    pub series: Vec<SeriesAnswer>,
}

// === impl SeriesKey ===

impl SeriesKey {
    pub fn new(metric: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { metric: metric.into(), subject: subject.into() }
    }
}

impl std::fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.subject.is_empty() {
            f.write_str(&self.metric)
        } else {
            write!(f, "{}[{}]", self.metric, self.subject)
        }
    }
}

// === impl Level ===

impl Level {
    pub const ALL: [Level; 5] = [Level::Raw, Level::S10, Level::M1, Level::M15, Level::H1];

    /// Span of one point; `None` for raw, whose step is the series' cadence.
    pub fn step_ms(self) -> Option<i64> {
        match self {
            Level::Raw => None,
            Level::S10 => Some(10_000),
            Level::M1 => Some(60_000),
            Level::M15 => Some(900_000),
            Level::H1 => Some(3_600_000),
        }
    }

    /// Span of one sealed chunk.
    pub fn chunk_ms(self) -> i64 {
        const MINUTE: i64 = 60_000;
        const DAY: i64 = 86_400_000;
        match self {
            Level::Raw => 10 * MINUTE,
            Level::S10 => 120 * MINUTE,
            Level::M1 => 720 * MINUTE,
            Level::M15 => 7 * DAY,
            Level::H1 => 30 * DAY,
        }
    }
}
