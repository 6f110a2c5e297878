//! A history of years for benches, made in seconds: every level is filled to
//! its retention through the store's own codec, the hours through the sealing
//! itself.

use std::path::Path;

use plimsoll_core::{metric::Metric, series::Level};

use crate::{
    codec::chunk::{self, RawColumn},
    db::{self, HISTORY},
    error::ReadError,
    lane::{Lane, slot_of},
    rollup::{Gauge, Points},
};

/// Fills `folder` so that `now_ms` is a moment of its newest raw slot: the given
/// number of series (cores' busy shares), levels held for so many milliseconds
/// in the order of [`Level::ALL`]; the hours are left to the writer.
#[doc(hidden)]
pub async fn fill(
    folder: &Path,
    now_ms: i64,
    series: u32,
    held_ms: [i64; 4],
) -> Result<(), ReadError> {
    let mut connection = HISTORY.open(folder).await?;
    let first = now_ms - held_ms[3];
    let mut lane = Lane::begin(1, first, 0);
    lane.last_ms = now_ms;
    for i in 1..=series {
        sqlx::query("INSERT INTO series (id, metric, subject, cadence_ms) VALUES (?, ?, ?, 1000)")
            .bind(i)
            .bind(Metric::CoreBusy.name())
            .bind((i - 1).to_string())
            .execute(&mut connection)
            .await?;
    }
    sqlx::query("INSERT INTO epoch (id, lane, started_ms, cause) VALUES (1, 1, ?, 'start')")
        .bind(first)
        .execute(&mut connection)
        .await?;
    for (level, held) in Level::ALL.into_iter().zip(held_ms) {
        let span = level.chunk_ms();
        let mut from = slot_of(level, now_ms - held);
        let end = slot_of(level, now_ms);
        sqlx::query("INSERT INTO purged (level, until_ms) VALUES (?, ?)")
            .bind(level as u8)
            .bind(from)
            .execute(&mut connection)
            .await?;
        while from < end {
            slot(&mut connection, level, from, series).await?;
            from += span;
        }
        lane.until[level as usize] = end;
    }
    lane.save(&mut connection).await?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
    db::close(connection).await;
    Ok(())
}

async fn slot(
    connection: &mut sqlx::SqliteConnection,
    level: Level,
    from_ms: i64,
    series: u32,
) -> Result<(), ReadError> {
    let step = level.step_ms().unwrap_or(1000);
    let n = level.chunk_ms() / step;
    // A busy share that wanders and sometimes leaps; the same from the same place.
    let walk = |series: i64, i: i64| {
        let x = (series * 31 + (from_ms / step + i) * 17)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed());
        let slow = ((from_ms / step + i) / 40 + series * 7) % 60;
        slow + (x >> 60).rem_euclid(8)
    };
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
    let places: Vec<u32> = (0..n as u32).collect();
    for number in 0..=series {
        let data = match (level, number) {
            (Level::Raw, 0) => {
                let times: Vec<i64> = (0..n).map(|i| from_ms + i * step).collect();
                chunk::encode_times(from_ms, &times)
            }
            (_, 0) => continue,
            (Level::Raw, _) => {
                let values = (0..n).map(|i| walk(number.into(), i)).collect();
                chunk::encode_raw(&places, &RawColumn::Gauge(values), 1000)
            }
            _ => {
                let points = (0..n).map(|i| {
                    let (v, count) = (walk(number.into(), i), step / 1000);
                    let spread = (v * 7 + i) % 9;
                    let (min, max) = ((v - spread).max(0), v + spread);
                    let sum = v * count + spread * 3;
                    (from_ms + i * step, Gauge { count, sum, min, max, last: v })
                });
                chunk::encode_points(&Points::Gauge(points.collect()), from_ms, step, 1000)
            }
        };
        sqlx::query("INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?)")
            .bind(id)
            .bind(number)
            .bind(data)
            .execute(&mut *connection)
            .await?;
    }
    db::commit(connection).await?;
    Ok(())
}
