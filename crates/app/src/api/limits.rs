//! Arguments and answers of the commands about limits: what they are, what moving one
//! would have done to the traffic that was recorded, and what moving one did.
//!
//! Limits are settings: they are applied by `config.apply` and taken back by
//! `config.undo`. What stands here is what a person needs beside that to move one by sight.

use plimsoll_core::{
    config::wire::{Change, Changed, Origin, SettingType, SettingValue},
    series::SeriesKey,
};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Range;

/// What a limit limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum LimitGroup {
    Vram,
    Concurrency,
    Queue,
    Clients,
    Time,
    Retries,
    Cache,
    Memory,
    Disk,
    Measuring,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LimitGroupInfo {
    pub id: LimitGroup,
    /// E.g. `Queue and waiting`.
    pub title: String,
}

/// Why a limit cannot be changed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum LimitLock {
    /// A variable goes before the file.
    Environment { variable: String, reason: String },
    /// The file cannot be written.
    File { reason: String },
    /// The service's own command says the same.
    Command { flag: String, reason: String },
}

/// When a change is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum LimitTakesHold {
    /// With the next request.
    Live,
    /// A service that Plimsoll runs is started anew with another flag.
    ServiceRestarts {
        service: String,
        name: String,
        /// How long it was away at its latest starts, the middle one; `None` where none is
        /// recorded.
        about_ms: Option<i64>,
        /// E.g. `restarts chat, about 9 s` or `restarts chat; how long is not known yet`.
        text: String,
    },
    PlimsollRestarts,
}

/// The chart that a limit moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitChart {
    /// What is drawn; the first carries the line, the others stand on it or beside it.
    pub series: Vec<SeriesKey>,
    /// The second series stands on the first: their sum is the demand.
    pub stacked: bool,
    /// The limit in the chart's unit is its number times this; `None` where it is no line of
    /// this chart, which it moves all the same.
    pub scale: Option<f64>,
    /// A floor: being below it is what is limited.
    pub floor: bool,
    /// It is meant to be filled, and never near or over: the queue above it is the sign.
    pub filled: bool,
}

/// The part of the range that a slider goes over; the number beside it takes the whole range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitSlider {
    pub min: f64,
    pub max: f64,
    pub step: f64,
    /// Equal distances are equal factors; `min` is then above 0.
    pub log: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum LimitSide {
    AtMost,
    AtLeast,
}

/// The value of another limit, which this one cannot pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LimitStop {
    pub side: LimitSide,
    /// Key of the other one.
    pub key: String,
}

/// One limit as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitInfo {
    /// As in the file, e.g. `services.chat.max_in_flight`.
    pub key: String,
    pub group: LimitGroup,
    /// E.g. `Requests at once, Chat`.
    pub title: String,
    /// What it limits, a sentence or two.
    pub meaning: String,
    /// Id of the service, the route or the client it is of.
    pub of: Option<String>,
    pub accepts: SettingType,
    pub unit: Option<String>,
    pub default: SettingValue,
    pub value: SettingValue,
    pub origin: Origin,
    /// What holds now where the value is a word or stands for none, e.g. the 4 of `auto`.
    pub in_force: Option<f64>,
    /// How that is known, e.g. `told by the server`; empty where nothing has to be said.
    pub in_force_why: String,
    pub lock: Option<LimitLock>,
    /// What the presets set it to; `None`: they leave it alone.
    pub conservative: Option<SettingValue>,
    pub balanced: Option<SettingValue>,
    pub aggressive: Option<SettingValue>,
    /// `None` where it is a word out of several.
    pub slider: Option<LimitSlider>,
    /// Where a slider ends before its range does, whatever stands there by then.
    pub stop: Option<LimitStop>,
    pub chart: Option<LimitChart>,
    pub takes_hold: LimitTakesHold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    Conservative,
    Balanced,
    Aggressive,
}

/// All that a preset changes, before it is chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitPreset {
    pub id: Preset,
    pub title: String,
    /// What it is for, one sentence.
    pub meaning: String,
    /// From what is in force; empty: it is in force.
    pub changes: Vec<Changed>,
    /// Keys that it would change and that are locked.
    pub locked: Vec<String>,
}

/// A change that is staged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct DraftChange {
    pub key: String,
    /// In force when it was staged.
    pub from: SettingValue,
    /// In force now.
    pub now: SettingValue,
    /// `None`: back to the default.
    pub to: Option<SettingValue>,
    /// It was changed elsewhere since: `now` is not `from`.
    pub conflict: bool,
}

/// What is staged and not in force yet, by whatever window. It outlives the window and Plimsoll.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitsDraft {
    /// Grows with every change of the draft: of two, the one with the larger is the later.
    pub serial: i64,
    /// Without those that are in force by now.
    pub changes: Vec<DraftChange>,
    /// When it was staged last.
    pub at_ms: Option<i64>,
    /// The file is another one than it was then, in whatever: apply on its digest of now.
    pub file_changed: bool,
}

/// Single changes of the draft. What others staged of other keys stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct LimitsStage {
    /// Each takes the place of what was staged of its key.
    #[serde(default)]
    pub set: Vec<Change>,
    /// Keys of which nothing is to be staged any more.
    #[serde(default)]
    pub clear: Vec<String>,
    /// After a look at a conflict: what is staged begins from what is in force now.
    #[serde(default)]
    pub rebase: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitsView {
    /// Revision in force, and the digest that `config.apply` wants as its base.
    pub revision: i64,
    pub digest: String,
    /// In the order in which they are shown; each has at least one limit.
    pub groups: Vec<LimitGroupInfo>,
    pub limits: Vec<LimitInfo>,
    pub presets: Vec<LimitPreset>,
    /// The one that is in force; `None`: a person's own.
    pub preset: Option<Preset>,
    pub draft: LimitsDraft,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct LimitsAsk {
    pub changes: Vec<Change>,
}

/// One side of a replay. Times of those that were served; a refused one waited for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ReplaySide {
    /// How many waited at all.
    pub waited: u32,
    pub wait_sum_ms: u64,
    /// Over all that were served; `None` below 59 of them.
    pub wait_p95_ms: Option<u64>,
    pub wait_max_ms: u64,
    pub refused: u32,
    /// Most that ran at once, of those that are counted.
    pub most_at_once: u32,
}

/// Recorded requests, sent through admission once more: as it is, and as it would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ReplayFigures {
    /// How many are counted, at most the last 1000 that the limit is about.
    pub requests: u32,
    /// From the first of them to the last.
    pub from_ms: i64,
    pub to_ms: i64,
    /// What they waited in fact, all together, to judge the replay by.
    pub recorded_wait_ms: u64,
    /// Of these, how many lasted an unknown time and were given the middle one of their model.
    pub supposed: u32,
    pub today: ReplaySide,
    pub proposed: ReplaySide,
    /// Served on both sides, and would have waited less; by how much, on average.
    pub less: u32,
    pub less_mean_ms: u64,
    pub more: u32,
    pub more_mean_ms: u64,
    /// Refused at the proposed limit and served at today's.
    pub newly_refused: u32,
    /// The other way round.
    pub newly_served: u32,
}

/// What a service holds on the card, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct VramFigures {
    /// Of all cards in use now.
    pub used_bytes: Option<u64>,
    pub total_bytes: Option<u64>,
    pub before_bytes: u64,
    pub after_bytes: u64,
}

/// What changes would have done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitEffect {
    pub keys: Vec<String>,
    /// False where it cannot be told; the text says so then, and why.
    pub known: bool,
    /// One sentence, the result, e.g. `38 of the last 1000 requests would have waited 2.1 s
    /// less; none refused.`
    pub text: String,
    /// How that is known and what it supposes, one sentence; may be empty.
    pub why: String,
    pub replay: Option<ReplayFigures>,
    pub vram: Option<VramFigures>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitsEffect {
    /// One for each change alone, in their order.
    pub effects: Vec<LimitEffect>,
    /// Of all that admission keeps together, where that is more than one.
    pub together: Option<LimitEffect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct RevisionId {
    pub revision: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ComparedFigure {
    TtftP95,
    WaitP95,
    RefusedShare,
    RequestsPerMin,
}

/// What can be said of a difference: its whole 95 % interval is on one side of 0, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ComparedVerdict {
    ClearlyBetter,
    ClearlyWorse,
    CannotTell,
    /// Of what is no merit: how often was asked.
    ClearlyMore,
    ClearlyLess,
}

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Compared {
    pub figure: ComparedFigure,
    /// E.g. `TTFT p95`.
    pub title: String,
    /// `ms`, `%` or `/min`.
    pub unit: String,
    /// Requests that it is made from.
    pub before_count: u32,
    pub after_count: u32,
    /// `None` where there were too few.
    pub before: Option<Estimate>,
    pub after: Option<Estimate>,
    /// After less before.
    pub difference: Option<Estimate>,
    pub verdict: ComparedVerdict,
    /// E.g. `TTFT p95 612 → 740 ms, clearly worse`.
    pub text: String,
    /// Why it cannot be told, e.g. `needs 59 requests, 12 before and 400 after`; may be empty.
    pub why: String,
}

/// Before a revision and after it, over windows of one length on both sides of its mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LimitsCompared {
    pub revision: i64,
    pub at_ms: i64,
    pub changed: Vec<Changed>,
    /// Only requests of these services; empty: all.
    pub services: Vec<String>,
    /// `None` where there is nothing on one side.
    pub before: Option<Range>,
    pub after: Option<Range>,
    /// Why the windows are as long as they are, one sentence.
    pub window_why: String,
    pub figures: Vec<Compared>,
    /// What makes it doubtful, e.g. that far more was asked; empty where nothing does.
    pub caution: String,
}
