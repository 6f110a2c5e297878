//! The unfinished end of the history: ticks that are not sealed yet, decoded
//! once and kept, so that a query reads only those that came since the last.

use rustc_hash::FxHashMap;
use sqlx::{Row as _, SqliteConnection};

use crate::{
    codec::{Sample, tick},
    lane::Lane,
    rollup::Values,
};

#[derive(Debug, Default)]
pub(crate) struct Tail {
    seq: i64,
    lane_of_epoch: FxHashMap<i64, i64>,
    /// Unsealed values by lane and series.
    values: FxHashMap<(i64, u32), Values>,
    /// Newest value of each series.
    pub latest: FxHashMap<u32, (i64, Sample)>,
    newest_ms: FxHashMap<i64, i64>,
    trimmed: FxHashMap<i64, i64>,
}

// === impl Tail ===

impl Tail {
    /// Reads the ticks that came since, drops those that were sealed meanwhile,
    /// and sets the lanes' newest times. Within one read transaction with the
    /// lanes, so that both speak of the same moment.
    pub(crate) async fn sync(
        &mut self,
        connection: &mut SqliteConnection,
        lanes: &mut [Lane],
    ) -> Result<(), sqlx::Error> {
        let sealed = lanes.iter().find(|lane| !lane.closed).map_or(0, |lane| lane.sealed_seq);
        let unsealed_before = lanes
            .iter()
            .find(|lane| lane.closed && !lane.exhausted(plimsoll_core::series::Level::Raw))
            .map_or(i64::MAX, |lane| lane.sealed_seq);
        let after = self.seq.max(sealed.min(unsealed_before));
        let rows =
            sqlx::query("SELECT seq, epoch, at_ms, payload FROM tick WHERE seq > ?1 ORDER BY seq")
                .bind(after)
                .fetch_all(&mut *connection)
                .await?;
        for row in &rows {
            let epoch: i64 = row.try_get(1)?;
            if !self.lane_of_epoch.contains_key(&epoch) {
                let epochs =
                    sqlx::query("SELECT id, lane FROM epoch").fetch_all(&mut *connection).await?;
                for row in &epochs {
                    self.lane_of_epoch.insert(row.try_get(0)?, row.try_get(1)?);
                }
            }
            let Some(&lane) = self.lane_of_epoch.get(&epoch) else { continue };
            let at_ms: i64 = row.try_get(2)?;
            let payload: &[u8] = row.try_get(3)?;
            let _ = tick::decode(payload, |series, sample| self.push(lane, series, at_ms, sample));
            self.newest_ms.insert(lane, at_ms);
            self.seq = row.try_get(0)?;
        }
        for lane in lanes {
            let sealed_to = lane.until(plimsoll_core::series::Level::Raw);
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
        Ok(())
    }

    fn push(&mut self, lane: i64, series: u32, at_ms: i64, sample: Sample) {
        match self.values.entry((lane, series)) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(one(at_ms, &sample));
            }
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                match (entry.get_mut(), &sample) {
                    (Values::Gauge(v), Sample::Gauge(value)) => v.push((at_ms, *value)),
                    (Values::Counter(v), Sample::Counter(value)) => v.push((at_ms, *value)),
                    (Values::Histogram(v), Sample::Histogram(hist)) => {
                        v.push((at_ms, hist.clone()));
                    }
                    _ => {}
                }
            }
        }
        self.latest.insert(series, (at_ms, sample));
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

pub(crate) fn one(at_ms: i64, sample: &Sample) -> Values {
    match sample {
        Sample::Gauge(v) => Values::Gauge(vec![(at_ms, *v)]),
        Sample::Counter(v) => Values::Counter(vec![(at_ms, *v)]),
        Sample::Histogram(v) => Values::Histogram(vec![(at_ms, v.clone())]),
    }
}

pub(crate) fn within<T>(values: &[(i64, T)], from_ms: i64, to_ms: i64) -> &[(i64, T)] {
    let from = values.partition_point(|p| p.0 < from_ms);
    let to = values.partition_point(|p| p.0 < to_ms).max(from);
    &values[from..to]
}
