//! The unfinished end of the history: ticks that are not sealed yet, decoded
//! once and kept, so that a query reads only those that came since the last.

use std::collections::hash_map::Entry;

use plimsoll_core::series::Level;
use rustc_hash::FxHashMap;

use crate::{
    codec::{Sample, tick},
    lane::Lane,
    rollup::Values,
};

#[derive(Debug, Default)]
pub(crate) struct Tail {
    seq: i64,
    /// Unsealed values by lane and series.
    values: FxHashMap<(i64, u32), Values>,
    newest_ms: FxHashMap<i64, i64>,
    trimmed: FxHashMap<i64, i64>,
}

// === impl Tail ===

impl Tail {
    /// Number of the newest tick that was read.
    pub(crate) fn seq(&self) -> i64 {
        self.seq
    }

    /// One more tick of a lane, in the order of their numbers.
    pub(crate) fn take(&mut self, seq: i64, lane: i64, at_ms: i64, payload: &[u8]) {
        let _ = tick::decode(payload, |series, sample| self.push(lane, series, at_ms, sample));
        self.newest_ms.insert(lane, at_ms);
        self.seq = seq;
    }

    /// Drops what was sealed meanwhile, and sets the lanes' newest times. The
    /// lanes are of the same moment as the ticks.
    pub(crate) fn settle(&mut self, lanes: &mut [Lane]) {
        for lane in lanes {
            let sealed_to = lane.until(Level::Raw);
            if self.trimmed.insert(lane.id, sealed_to) != Some(sealed_to) {
                for ((id, _), values) in &mut self.values {
                    if *id == lane.id {
                        values.retain(|at| at >= sealed_to);
                    }
                }
                self.values.retain(|_, values| values.len() > 0);
            }
            if let Some(&newest) = self.newest_ms.get(&lane.id) {
                lane.last_ms = lane.last_ms.max(newest);
            }
        }
    }

    fn push(&mut self, lane: i64, series: u32, at_ms: i64, sample: Sample) {
        match self.values.entry((lane, series)) {
            Entry::Vacant(entry) => drop(entry.insert(one(at_ms, sample))),
            Entry::Occupied(mut entry) => match (entry.get_mut(), sample) {
                (Values::Gauge(v), Sample::Gauge(value)) => v.push((at_ms, value)),
                (Values::Counter(v), Sample::Counter(value)) => v.push((at_ms, value)),
                (Values::Histogram(v), Sample::Histogram(hist)) => v.push((at_ms, hist)),
                _ => {}
            },
        }
    }

    /// The newest value of a series that is not sealed yet.
    pub(crate) fn latest(&self, lanes: &[Lane], series: u32) -> Option<(i64, Sample)> {
        let values = lanes.iter().rev().find_map(|lane| self.values.get(&(lane.id, series)))?;
        match values {
            Values::Gauge(v) => v.last().map(|&(at, v)| (at, Sample::Gauge(v))),
            Values::Counter(v) => v.last().map(|&(at, v)| (at, Sample::Counter(v))),
            Values::Histogram(v) => v.last().map(|(at, v)| (*at, Sample::Histogram(v.clone()))),
        }
    }

    /// Unsealed values of a series within a range.
    pub(crate) fn values(
        &self,
        lane: i64,
        series: u32,
        from_ms: i64,
        to_ms: i64,
    ) -> Option<Values> {
        let values = self.values.get(&(lane, series))?;
        Some(match values {
            Values::Gauge(v) => Values::Gauge(within(v, from_ms, to_ms).to_vec()),
            Values::Counter(v) => Values::Counter(within(v, from_ms, to_ms).to_vec()),
            Values::Histogram(v) => Values::Histogram(within(v, from_ms, to_ms).to_vec()),
        })
    }

    /// Unsealed samples in all.
    pub(crate) fn samples(&self) -> u64 {
        self.values.values().map(|v| v.len() as u64).sum()
    }
}

pub(crate) fn one(at_ms: i64, sample: Sample) -> Values {
    match sample {
        Sample::Gauge(v) => Values::Gauge(vec![(at_ms, v)]),
        Sample::Counter(v) => Values::Counter(vec![(at_ms, v)]),
        Sample::Histogram(v) => Values::Histogram(vec![(at_ms, v)]),
    }
}

pub(crate) fn within<T>(values: &[(i64, T)], from_ms: i64, to_ms: i64) -> &[(i64, T)] {
    let from = values.partition_point(|p| p.0 < from_ms);
    let to = values.partition_point(|p| p.0 < to_ms).max(from);
    &values[from..to]
}
