//! Which slot is to be sealed next, and what it is made from.

use plimsoll_core::series::Level;
use sqlx::{Row as _, SqliteConnection};

use super::{LOOKBACK_MS, Material, slot::RawSlot};
use crate::{
    codec::{raw, tick},
    lane::{Lane, slot_of},
};

/// A slot of the finer level.
#[derive(Clone, Debug)]
pub(super) struct FinerSlot {
    pub id: i64,
    pub from_ms: i64,
    /// Of raw ones: the times of their ticks.
    pub times: Vec<i64>,
}

/// Start of the slot, what it is made from, and of which series.
type Found = (i64, Material, Vec<u32>);

/// The next raw slot of a lane whose time is over, with what its ticks hold.
pub(super) async fn next_raw(
    connection: &mut SqliteConnection,
    lane: &mut Lane,
) -> Result<Option<Found>, sqlx::Error> {
    let span = Level::Raw.chunk_ms();
    if !lane.closed && lane.last_ms < lane.until(Level::Raw) + span || lane.exhausted(Level::Raw) {
        return Ok(None);
    }
    let first: Option<i64> = sqlx::query_scalar(
        "SELECT t.at_ms FROM tick t JOIN epoch e ON e.id = t.epoch
         WHERE t.seq > ?1 AND e.lane = ?2 ORDER BY t.seq LIMIT 1",
    )
    .bind(lane.sealed_seq)
    .bind(lane.id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(first) = first else {
        if lane.closed {
            lane.until[0] = slot_of(Level::Raw, lane.last_ms) + span;
            lane.save(connection).await?;
        }
        return Ok(None);
    };
    let from_ms = slot_of(Level::Raw, first).max(lane.until(Level::Raw));
    // Silence before it needs no slots.
    lane.until[0] = from_ms;
    if !lane.closed && lane.last_ms < from_ms + span {
        return Ok(None);
    }
    let rows = sqlx::query(
        "SELECT t.seq, t.at_ms, t.payload FROM tick t JOIN epoch e ON e.id = t.epoch
         WHERE t.seq > ?1 AND e.lane = ?2 AND t.at_ms < ?3 ORDER BY t.seq",
    )
    .bind(lane.sealed_seq)
    .bind(lane.id)
    .bind(from_ms + span)
    .fetch_all(connection)
    .await?;
    let mut slot = RawSlot::default();
    let mut last_seq = lane.sealed_seq;
    for row in &rows {
        last_seq = row.try_get(0)?;
        slot.begin_tick(row.try_get(1)?);
        if tick::decode(row.try_get(2)?, |series, sample| slot.put(series, sample)).is_none() {
            tracing::warn!(seq = last_seq, "a damaged tick is left out");
        }
    }
    let series = slot.series();
    Ok(Some((from_ms, Material::Ticks { slot, last_seq }, series)))
}

/// The next slot of a coarse level for which the finer one is complete.
pub(super) async fn next_coarse(
    connection: &mut SqliteConnection,
    lane: &mut Lane,
    level: Level,
    finer: Level,
) -> Result<Option<Found>, sqlx::Error> {
    let (span, finer_span) = (level.chunk_ms(), finer.chunk_ms());
    let complete =
        |lane: &Lane, from: i64| lane.until(finer) >= from + span || lane.exhausted(finer);
    if lane.exhausted(level) || !complete(lane, lane.until(level)) {
        return Ok(None);
    }
    let first: Option<i64> = sqlx::query_scalar(
        "SELECT from_ms FROM slot
         WHERE level = ?1 AND from_ms > ?2 AND lane = ?3 AND state = 1 ORDER BY from_ms LIMIT 1",
    )
    .bind(finer as u8)
    .bind(lane.until(level) - finer_span)
    .bind(lane.id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(first) = first else {
        if lane.closed {
            lane.until[level as usize] = slot_of(level, lane.last_ms) + span;
            lane.save(connection).await?;
        } else {
            lane.until[level as usize] = slot_of(level, lane.until(finer)).max(lane.until(level));
        }
        return Ok(None);
    };
    let from_ms = slot_of(level, first).max(lane.until(level));
    lane.until[level as usize] = from_ms;
    if !complete(lane, from_ms) {
        return Ok(None);
    }
    let reach = if finer == Level::Raw { LOOKBACK_MS } else { 0 };
    let rows = sqlx::query(
        "SELECT id, from_ms FROM slot
         WHERE level = ?1 AND from_ms > ?2 AND from_ms < ?3 AND lane = ?4 AND state = 1 ORDER BY from_ms",
    )
    .bind(finer as u8)
    .bind(from_ms - finer_span - reach)
    .bind(from_ms + span)
    .bind(lane.id)
    .fetch_all(&mut *connection)
    .await?;
    let mut slots = Vec::with_capacity(rows.len());
    let mut series: Vec<u32> = Vec::new();
    for row in &rows {
        let (id, start): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let times = if finer == Level::Raw {
            let data: Option<Vec<u8>> =
                sqlx::query_scalar("SELECT data FROM chunk WHERE slot = ? AND series = 0")
                    .bind(id)
                    .fetch_optional(&mut *connection)
                    .await?;
            data.and_then(|data| raw::decode_times(&data, start)).unwrap_or_default()
        } else {
            Vec::new()
        };
        slots.push(FinerSlot { id, from_ms: start, times });
        if start + finer_span > from_ms {
            let ids: Vec<u32> =
                sqlx::query_scalar("SELECT series FROM chunk WHERE slot = ? AND series > 0")
                    .bind(id)
                    .fetch_all(&mut *connection)
                    .await?;
            series.extend(ids);
        }
    }
    series.sort_unstable();
    series.dedup();
    Ok(Some((from_ms, Material::Slots(slots), series)))
}
