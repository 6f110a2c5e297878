//! Ticks that were not sealed yet.

use std::collections::BTreeMap;

use plimsoll_core::series::Level;
use sqlx::{Row as _, SqliteConnection};

use super::{Recovery, scan::scan};
use crate::{
    codec::tick,
    lane::slot_of,
    seal::{RawSlot, make_raw_slot},
};

// === impl Recovery ===

impl Recovery {
    /// Unsealed ticks become raw chunks at once.
    pub(super) async fn ticks(
        &mut self,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let mut epochs: Vec<(i64, i64)> = Vec::new();
        self.report.lost += scan(
            source,
            "SELECT id, id, lane FROM epoch NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT 256",
            |row| {
                epochs.push((row.try_get(1)?, row.try_get(2)?));
                Ok(())
            },
        )
        .await?;
        self.lane_of_epoch.extend(epochs);
        let mut slots: BTreeMap<(i64, i64), RawSlot> = BTreeMap::new();
        let (mut damaged, mut read) = (0, 0);
        let (lane_of_epoch, series, lanes) = (&self.lane_of_epoch, &self.series, &self.lanes);
        self.report.lost += scan(
            source,
            "SELECT seq, epoch, at_ms, payload FROM tick NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT 256",
            |row| {
                let (epoch, at_ms): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
                let payload: &[u8] = row.try_get(3)?;
                let lane = lane_of_epoch.get(&epoch).copied().unwrap_or(epoch);
                if lanes.get(&lane).is_some_and(|l| at_ms < l.until(Level::Raw)) {
                    return Ok(()); // sealed already, and only not deleted yet
                }
                let slot = slots.entry((lane, slot_of(Level::Raw, at_ms))).or_default();
                let mut samples = Vec::new();
                match tick::decode(payload, |id, sample| {
                    if let Some(&id) = series.get(&id) {
                        samples.push((id, sample));
                    }
                }) {
                    Some(()) => {
                        slot.push(at_ms, samples);
                        read += 1;
                    }
                    None => damaged += 1,
                }
                Ok(())
            },
        )
        .await?;
        self.report.lost += damaged;
        self.report.ticks += read;
        for ((lane, from_ms), slot) in slots {
            let Some((first, last)) = slot.extent() else { continue };
            self.report.spans(first, last);
            let lane = self.lane(lane, from_ms);
            lane.first_ms = lane.first_ms.min(first);
            lane.last_ms = lane.last_ms.max(last);
            lane.until[0] = lane.until[0].max(from_ms + Level::Raw.chunk_ms());
            let id = lane.id;
            make_raw_slot(target, id, from_ms, slot).await?;
        }
        Ok(())
    }
}
