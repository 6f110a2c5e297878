//! The older part of a history of years, for benches.
//!
//! Each level is laid down, through the store's own codec, only where the next
//! finer one is long since purged; all that is younger is left to the sealing
//! itself: quarters of an hour are made from the laid-down minutes, minutes from
//! the ten seconds, ten seconds from ticks that the bench records, and hours all
//! from quarters.

use std::path::Path;

use plimsoll_core::{metric::Metric, series::Level};
use sqlx::SqliteConnection;

use crate::{
    codec::points,
    db::{self, HISTORY},
    error::ReadError,
    lane::{Lane, slot_of},
    options::Keep,
    rollup::{Counter, Gauge, Points},
};

/// Of ten series one is a counter (bytes received), nine are gauges (cores' busy shares).
#[doc(hidden)]
pub fn metric_of(series: u32) -> Metric {
    if series % 10 == 9 { Metric::NetReceived } else { Metric::CoreBusy }
}

/// Fills `folder` with what is older than raw values at `now_ms`, each level as
/// long as it is kept; returns the moment at which ticks have to go on.
#[doc(hidden)]
pub async fn fill(folder: &Path, now_ms: i64, series: u32, keep: Keep) -> Result<i64, ReadError> {
    let mut connection = HISTORY.open(folder).await?;
    for i in 0..series {
        sqlx::query("INSERT INTO series (id, metric, subject, cadence_ms) VALUES (?, ?, ?, 1000)")
            .bind(i + 1)
            .bind(metric_of(i).name())
            .bind(i.to_string())
            .execute(&mut connection)
            .await?;
    }
    // Where each level begins: at the start of a chunk of the level made from it, if one is.
    let raw = slot_of(Level::S10, now_ms - keep.raw_ms);
    let s10 = slot_of(Level::M1, now_ms - keep.s10_ms);
    let m1 = slot_of(Level::M15, now_ms - keep.m1_ms);
    let m15 = slot_of(Level::M15, now_ms - keep.m15_ms);
    for (level, from, to) in [(Level::M15, m15, m1), (Level::M1, m1, s10), (Level::S10, s10, raw)] {
        let mut at = from;
        while at < to {
            slot(&mut connection, level, at, series).await?;
            at += level.chunk_ms();
        }
    }
    for (level, until) in [(Level::Raw, raw), (Level::S10, s10), (Level::M1, m1), (Level::M15, m15)]
    {
        sqlx::query("INSERT INTO purged (level, until_ms) VALUES (?, ?)")
            .bind(level as u8)
            .bind(until)
            .execute(&mut connection)
            .await?;
    }
    sqlx::query("INSERT INTO epoch (id, lane, started_ms, cause) VALUES (1, 1, ?, 'start')")
        .bind(m15)
        .execute(&mut connection)
        .await?;
    let until = [raw, raw, s10, m1, slot_of(Level::H1, m15)];
    let lane = Lane { last_ms: raw - 1000, until, ..Lane::begin(1, m15, 0) };
    lane.save(&mut connection).await?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
    db::close(connection).await;
    Ok(raw)
}

async fn slot(
    connection: &mut SqliteConnection,
    level: Level,
    from_ms: i64,
    series: u32,
) -> Result<(), ReadError> {
    let Some(step) = level.step_ms() else { return Ok(()) };
    let n = level.chunk_ms() / step;
    db::begin(connection).await?;
    let id = sqlx::query(
        "INSERT INTO slot (level, lane, from_ms, state, chunks, bytes, samples, first_ms, last_ms)
         VALUES (?1, 1, ?2, 1, ?3, 0, ?4, ?2, ?5)",
    )
    .bind(level as u8)
    .bind(from_ms)
    .bind(series)
    .bind(n * i64::from(series))
    .bind(from_ms + level.chunk_ms() - step)
    .execute(&mut *connection)
    .await?
    .last_insert_rowid();
    let mut bytes = 0;
    for number in 0..series {
        let at = |i: i64| from_ms + i * step;
        let points = if metric_of(number) == Metric::NetReceived {
            Points::Counter((0..n).map(|i| (at(i), received(number, at(i), step))).collect())
        } else {
            Points::Gauge((0..n).map(|i| (at(i), busy(number, at(i), step))).collect())
        };
        let data = points::encode_points(&points, from_ms, step, 1000);
        bytes += data.len() as i64;
        sqlx::query("INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?)")
            .bind(id)
            .bind(number + 1)
            .bind(data)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("UPDATE slot SET bytes = ? WHERE id = ?")
        .bind(bytes)
        .bind(id)
        .execute(&mut *connection)
        .await?;
    db::commit(connection).await?;
    Ok(())
}

/// Noise that is the same for the same series and moment, below `n`.
fn noise(series: u32, at_ms: i64, salt: u64, n: u64) -> i64 {
    let x = (at_ms.cast_unsigned() ^ u64::from(series) << 48 ^ salt << 56)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((x ^ x >> 32) % n).cast_signed()
}

/// In tenths of a percent: hours go by in slow waves, within a point values spread.
fn busy(series: u32, at_ms: i64, step_ms: i64) -> Gauge {
    let hour = at_ms.div_euclid(3_600_000);
    let base = 200 + noise(series, hour, 1, 400) + noise(series, at_ms, 2, 40);
    let (below, above) = (noise(series, at_ms, 3, 120), noise(series, at_ms, 4, 200));
    let (min, max, count) = ((base - below).max(0), base + above, step_ms / 1000);
    let sum = min * count + noise(series, at_ms, 5, ((max - min).max(1) * count).unsigned_abs());
    Gauge { count, sum, min, max, last: min + (max - min) / 2 }
}

fn received(series: u32, at_ms: i64, step_ms: i64) -> Counter {
    let increase = noise(series, at_ms, 6, 100_000 * (step_ms / 1000).unsigned_abs());
    let low = noise(series, at_ms, 7, 20_000_000).cast_unsigned();
    let high = low + noise(series, at_ms, 8, 80_000_000).cast_unsigned();
    let increase = increase.cast_unsigned();
    // Totals only need to grow; how fast is seen in the increase.
    let last = at_ms.cast_unsigned() * 50;
    Counter { increase, covered_ms: step_ms, min_rate: low, max_rate: high, last }
}
