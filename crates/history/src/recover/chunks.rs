//! Chunks: those that a walk through the table finds, and where it fails those
//! that lie in its pages.

use std::{collections::BTreeMap, path::Path};

use plimsoll_core::series::Level;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    Recovery, carve,
    scan::{scan, scan_from},
};
use crate::{
    codec::{chunk, varint},
    hours::{self, Hours},
};

struct OldSlot {
    level: Level,
    lane: i64,
    from_ms: i64,
    first_ms: i64,
    last_ms: i64,
    new_id: i64,
    chunks: i64,
    bytes: i64,
    samples: i64,
}

// === impl Recovery ===

impl Recovery {
    /// Takes one chunk over; `false` where it is damaged or belongs to nothing.
    async fn chunk(
        &mut self,
        target: &mut SqliteConnection,
        slots: &mut BTreeMap<i64, OldSlot>,
        slot: i64,
        series: u32,
        data: &[u8],
    ) -> Result<bool, sqlx::Error> {
        let series = if series == 0 { Some(0) } else { self.series.get(&series).copied() };
        let (Some(slot), Some(series), true) =
            (slots.get_mut(&slot), series, varint::verified(data).is_some())
        else {
            return Ok(false);
        };
        let (new, bytes, samples) = if slot.level == Level::H1 {
            // Also those of a version that kept them among the others.
            let Some((hours, n)) = Hours::read(data, slot.from_ms) else { return Ok(false) };
            (hours.put(target, series, slot.new_id).await?, hours.bytes(), n)
        } else {
            let done = sqlx::query(
                "INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(slot.new_id)
            .bind(series)
            .bind(data)
            .execute(target)
            .await?;
            let n = if series == 0 { 0 } else { chunk::count(data).unwrap_or(0) };
            (done.rows_affected() == 1, data.len() as i64, n)
        };
        if new {
            slot.chunks += 1;
            slot.bytes += bytes;
            slot.samples += samples as i64;
            self.report.chunks += u64::from(series != 0);
            self.report.spans(slot.first_ms, slot.last_ms);
        }
        Ok(true)
    }

    /// Takes over what a walk through one of the tables finds.
    async fn walk(
        &mut self,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
        slots: &mut BTreeMap<i64, OldSlot>,
        select: &'static str,
        place: impl Fn(&SqliteRow) -> Result<(u32, i64), sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        let mut at = i64::MIN;
        loop {
            // In batches, so that no more than one is held.
            let mut batch: Vec<(u32, i64, Vec<u8>)> = Vec::new();
            let lost = scan_from(source, select, &mut at, |row| {
                let (series, slot) = place(row)?;
                batch.push((series, slot, row.try_get(1)?));
                Ok(())
            })
            .await?;
            let Some(lost) = lost else { return Ok(()) };
            self.report.lost += lost;
            for (series, slot, data) in batch {
                if !self.chunk(target, slots, slot, series, &data).await? {
                    self.report.lost += 1;
                }
            }
        }
    }

    pub(super) async fn chunks(
        &mut self,
        file: &Path,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let mut slots: BTreeMap<i64, OldSlot> = BTreeMap::new();
        self.report.lost += scan(
            source,
            "SELECT id, id, level, lane, from_ms, first_ms, last_ms FROM slot NOT INDEXED
             WHERE id >= ?1 AND state = 1 ORDER BY id LIMIT 256",
            |row| {
                let level: u8 = row.try_get(2)?;
                let Some(&level) = Level::ALL.get(usize::from(level)) else { return Ok(()) };
                slots.insert(
                    row.try_get(1)?,
                    OldSlot {
                        level,
                        lane: row.try_get(3)?,
                        from_ms: row.try_get(4)?,
                        first_ms: row.try_get(5)?,
                        last_ms: row.try_get(6)?,
                        new_id: 0,
                        chunks: 0,
                        bytes: 0,
                        samples: 0,
                    },
                );
                Ok(())
            },
        )
        .await?;
        for slot in slots.values_mut() {
            let lane = self.lane(slot.lane, slot.from_ms);
            lane.first_ms = lane.first_ms.min(slot.first_ms.max(slot.from_ms));
            lane.last_ms = lane.last_ms.max(slot.last_ms);
            let end = slot.from_ms + slot.level.chunk_ms();
            lane.until[slot.level as usize] = lane.until[slot.level as usize].max(end);
            let id = lane.id;
            slot.new_id =
                sqlx::query("INSERT INTO slot (level, lane, from_ms, state) VALUES (?, ?, ?, 1)")
                    .bind(slot.level as u8)
                    .bind(id)
                    .bind(slot.from_ms)
                    .execute(&mut *target)
                    .await?
                    .last_insert_rowid();
        }
        let before = self.report.lost;
        self.walk(
            source,
            target,
            &mut slots,
            "SELECT rowid, data, slot, series FROM chunk NOT INDEXED
             WHERE rowid >= ?1 ORDER BY rowid LIMIT 256",
            |row| Ok((row.try_get(3)?, row.try_get(2)?)),
        )
        .await?;
        // A version that had no such table kept hours among the chunks.
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'hours'";
        let has_hours = sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut *source).await;
        if has_hours.is_ok_and(|n| n == 1) {
            self.walk(
                source,
                target,
                &mut slots,
                "SELECT id, data FROM hours NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT 256",
                |row| Ok(hours::parts(row.try_get(0)?)),
            )
            .await?;
        }
        if self.report.lost > before {
            // Leaves that no walk through the table reaches any more. What
            // belongs to no slot was purged long ago, and only not overwritten.
            let mut leaves = Vec::new();
            let carved = carve::rows(file, |row| {
                let place = match row.numbers[..] {
                    [Some(slot), Some(series)] => u32::try_from(series).ok().map(|n| (n, slot)),
                    // Of `hours`; one of `blocks` has a second number.
                    [None] => Some(hours::parts(row.rowid)),
                    _ => None,
                };
                if let Some((series, slot)) = place
                    && slots.contains_key(&slot)
                {
                    leaves.push((slot, series, row.blob));
                }
            });
            if let Err(error) = carved {
                tracing::warn!(%error, "the pages of the damaged database could not be read");
            }
            for (slot, series, data) in leaves {
                self.chunk(target, &mut slots, slot, series, &data).await?;
            }
        }
        for slot in slots.values() {
            sqlx::query(
                "UPDATE slot SET chunks = ?2, bytes = ?3, samples = ?4, first_ms = ?5, last_ms = ?6 WHERE id = ?1",
            )
            .bind(slot.new_id)
            .bind(slot.chunks)
            .bind(slot.bytes)
            .bind(slot.samples)
            .bind(slot.first_ms)
            .bind(slot.last_ms)
            .execute(&mut *target)
            .await?;
        }
        Ok(())
    }
}
