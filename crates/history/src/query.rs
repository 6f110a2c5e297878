//! From stored pieces to the points of a series.

use std::ops::Range;

use plimsoll_core::{
    metric::{Kind, Metric, MetricSpec},
    series::Level,
};
use rustc_hash::FxHashMap;

use crate::{
    codec::{
        points::{self, BLOCK_MS, Columns, Part, Scratch},
        raw,
    },
    lane::{Lane, hidden},
    rollup::{Points, Values},
};

/// What is wanted of one series, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub id: u32,
    pub metric: Metric,
    pub subject: String,
    pub cadence_ms: u32,
}

/// A chunk as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub level: Level,
    pub from_ms: i64,
    /// Hours joined to [`BLOCK_MS`].
    pub blocks: bool,
    pub series: u32,
    /// Where it lies in [`Material::data`]: in which part, and there.
    pub source: usize,
    pub data: Range<usize>,
}

/// What was read of one lane: each level only where no coarser one reaches.
#[derive(Clone, Debug, Default)]
pub(crate) struct LanePieces {
    /// Start of the part that each level gives; its end is the start of the next finer one.
    pub starts: [i64; 5],
    /// Pieces in order of time within each level.
    pub pieces: Vec<Piece>,
    /// Times of the ticks of raw slots, by the start of the slot.
    pub times: FxHashMap<i64, Vec<i64>>,
    pub tail: FxHashMap<u32, Values>,
}

/// Everything that was read for one question, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    pub level: Level,
    pub lanes: Vec<Lane>,
    pub read: Vec<LanePieces>,
    /// All chunks, one behind the other, of each connection that read some.
    pub data: Vec<Vec<u8>>,
    pub from_ms: i64,
    pub to_ms: i64,
}

// === impl Material ===

impl Material {
    /// What one series has, visible and in order of time, with the longest
    /// cadence at which it was taken. At the raw level each value is a point of
    /// its own, and each pair of totals.
    ///
    /// Where one lane answers alone, points may be joined to `join_ms` (a
    /// multiple of the level's step) as they are read: years of hours then never
    /// stand in memory one by one. With more lanes each point is looked at.
    pub(crate) fn collect(
        &self,
        wanted: &Wanted,
        columns: Columns,
        join_ms: Option<i64>,
    ) -> (Points, u32) {
        let join_ms = join_ms.filter(|_| self.lanes.len() == 1).or(self.level.step_ms());
        let mut cadence = wanted.cadence_ms;
        let mut found: Option<Points> = None;
        for (index, read) in self.read.iter().enumerate() {
            let Some(mut own) = self.lane_points(read, wanted, columns, join_ms, &mut cadence)
            else {
                continue;
            };
            if self.lanes.len() > index + 1 {
                let span = self.level.step_ms().unwrap_or(1) - 1;
                own.retain(|at| !hidden(&self.lanes, index, at, at + span));
            }
            match &mut found {
                None => found = Some(own),
                Some(points) => points.interleave(own),
            }
        }
        (found.unwrap_or(Points::Gauge(Vec::new())), cadence)
    }

    /// Measured values, visible and in order of time; of a question at the raw level.
    pub(crate) fn collect_values(&self, wanted: &Wanted) -> Values {
        let mut found: Option<Values> = None;
        for (index, read) in self.read.iter().enumerate() {
            let Some((mut own, _)) = self.lane_values(read, wanted) else { continue };
            own.retain(|at| {
                at >= self.from_ms && at < self.to_ms && !hidden(&self.lanes, index, at, at)
            });
            match &mut found {
                None => found = Some(own),
                Some(values) => values.interleave(own),
            }
        }
        found.unwrap_or(Values::Gauge(Vec::new()))
    }

    fn lane_points(
        &self,
        read: &LanePieces,
        wanted: &Wanted,
        columns: Columns,
        join_ms: Option<i64>,
        cadence: &mut u32,
    ) -> Option<Points> {
        let mut points: Option<Points> = None;
        let mut scratch = Scratch::default();
        for piece in &read.pieces {
            let Some(step) = piece.level.step_ms().filter(|_| piece.series == wanted.id) else {
                continue;
            };
            let from = read.starts[piece.level as usize];
            let to = read.starts[piece.level as usize - 1].min(self.to_ms);
            let part = Part { from_ms: from, to_ms: to, join_ms: join_ms.unwrap_or(step) };
            let data = &self.data[piece.source][piece.data.clone()];
            let step = if piece.blocks { BLOCK_MS } else { step };
            let Some(taken_every) = points::join_points(
                data,
                piece.from_ms,
                step,
                columns,
                part,
                &mut points,
                &mut scratch,
            ) else {
                tracing::warn!("a damaged chunk is shown as a gap");
                continue;
            };
            *cadence = taken_every.max(*cadence);
        }
        let values = self.lane_values(read, wanted).map(|(mut values, taken_every)| {
            *cadence = taken_every.max(*cadence);
            values.retain(|at| at < self.to_ms);
            values
        });
        let raw_from = read.starts[Level::Raw as usize];
        let (Some(_), Some(step)) = (self.level.step_ms(), join_ms) else {
            return values.map(|values| values.singly(raw_from, *cadence));
        };
        let rolled = values.map(|values| values.roll(step, raw_from, *cadence));
        // A raw chunk ends at ten minutes, a point of an hour does not: both parts of it join.
        match (points, rolled) {
            (Some(mut points), Some(rolled)) => {
                points.append(rolled);
                Some(points.coarser(step))
            }
            (points, rolled) => points.or(rolled).map(|points| points.coarser(step)),
        }
    }

    fn lane_values(&self, read: &LanePieces, wanted: &Wanted) -> Option<(Values, u32)> {
        let mut values: Option<Values> = None;
        let mut cadence = wanted.cadence_ms;
        for piece in &read.pieces {
            if piece.level != Level::Raw || piece.series != wanted.id {
                continue;
            }
            let times = read.times.get(&piece.from_ms).map_or(&[][..], |times| times);
            let Some((more, taken_every)) =
                raw::decode_raw(&self.data[piece.source][piece.data.clone()], times)
            else {
                tracing::warn!("a damaged chunk is shown as a gap");
                continue;
            };
            cadence = taken_every.max(cadence);
            match &mut values {
                None => values = Some(more),
                Some(values) => values.append(more),
            }
        }
        match (values, read.tail.get(&wanted.id)) {
            (Some(mut values), Some(tail)) => {
                values.append(tail.clone());
                Some((values, cadence))
            }
            (None, Some(tail)) => Some((tail.clone(), cadence)),
            (values, None) => values.map(|values| (values, cadence)),
        }
    }
}

/// How a counter grew over a range, from points of any level: the increase in
/// the metric's unit, and the time over which it was seen.
#[expect(clippy::cast_precision_loss, reason = "shown, not stored")]
pub(crate) fn grown(points: &Points, spec: &MetricSpec) -> Option<(f64, i64)> {
    let Points::Counter(points) = points else {
        return (spec.kind == Kind::Counter).then_some((0.0, 0));
    };
    let increase: u128 = points.iter().map(|(_, p)| u128::from(p.increase)).sum();
    let covered: i64 = points.iter().map(|(_, p)| p.covered_ms).sum();
    Some((increase as f64 * spec.resolution, covered))
}
