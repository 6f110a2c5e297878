//! Hours and their blocks, in tables of their own that are sorted by series.
//!
//! Chunks of the finer levels lie in the order in which they were sealed: slot by
//! slot, all series side by side. Years of a few series would then be a page or
//! more in hundreds of places. Hours lie series by series instead, so that
//! neighbours in time are neighbours in the file, and the points that a chart of
//! years draws lie several slots to a page.

use futures::future::BoxFuture;
use plimsoll_core::series::Level;
use sqlx::{Row as _, SqliteConnection};

use crate::{
    codec::points::{self, BLOCK_MS, Columns},
    db,
    rollup::Points,
};

const HOUR_MS: i64 = 3_600_000;

/// What one series has in a slot of hours.
pub(crate) struct Hours {
    pub hours: Vec<u8>,
    pub blocks: Vec<u8>,
}

/// The row of a series in a slot.
pub(crate) fn row(series: u32, slot: i64) -> i64 {
    i64::from(series) << 32 | (slot & 0xffff_ffff)
}

/// Series and slot of a row.
pub(crate) fn parts(row: i64) -> (u32, i64) {
    ((row.cast_unsigned() >> 32) as u32, row & 0xffff_ffff)
}

// === impl Hours ===

impl Hours {
    pub(crate) fn of(points: &Points, from_ms: i64, cadence_ms: u32) -> Self {
        let hours = points::encode_points(points, from_ms, HOUR_MS, cadence_ms);
        let joined = points.clone().coarser(BLOCK_MS);
        Self { hours, blocks: points::encode_blocks(&joined, from_ms, cadence_ms) }
    }

    /// From a chunk of any version, with how many points it has.
    pub(crate) fn read(data: &[u8], from_ms: i64) -> Option<(Self, usize)> {
        let (points, cadence_ms) = points::decode_points(data, from_ms, HOUR_MS, Columns::All)?;
        Some((Self::of(&points, from_ms, cadence_ms), points.len()))
    }

    pub(crate) fn bytes(&self) -> i64 {
        (self.hours.len() + self.blocks.len()) as i64
    }

    /// In the caller's transaction; `false` where the series has a row already.
    pub(crate) async fn put(
        &self,
        connection: &mut SqliteConnection,
        series: u32,
        slot: i64,
    ) -> Result<bool, sqlx::Error> {
        let row = row(series, slot);
        let done = sqlx::query("INSERT INTO hours (id, data) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(row)
            .bind(&self.hours[..])
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("INSERT OR REPLACE INTO blocks (id, step_ms, data) VALUES (?, ?, ?)")
            .bind(row)
            .bind(BLOCK_MS)
            .bind(&self.blocks[..])
            .execute(connection)
            .await?;
        Ok(true)
    }
}

/// The rows of a slot, series by series; in the caller's transaction.
pub(crate) async fn of_slot(
    connection: &mut SqliteConnection,
    slot: i64,
) -> Result<Vec<(u32, Vec<u8>)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT s.id, h.data FROM series s CROSS JOIN hours h ON h.id = s.id << 32 | ?1 ORDER BY s.id",
    )
    .bind(slot)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

pub(crate) async fn delete(
    connection: &mut SqliteConnection,
    series: u32,
    slot: i64,
) -> Result<(), sqlx::Error> {
    for sql in ["DELETE FROM hours WHERE id = ?", "DELETE FROM blocks WHERE id = ?"] {
        sqlx::query(sql).bind(row(series, slot)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes up to `limit` rows of a slot; `false` where none were left.
pub(crate) async fn delete_some(
    connection: &mut SqliteConnection,
    slot: i64,
    limit: i64,
) -> Result<bool, sqlx::Error> {
    let found: Vec<u32> = sqlx::query_scalar(
        "SELECT s.id FROM series s
         WHERE EXISTS (SELECT 1 FROM hours WHERE id = s.id << 32 | ?1)
            OR EXISTS (SELECT 1 FROM blocks WHERE id = s.id << 32 | ?1) LIMIT ?2",
    )
    .bind(slot)
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    if found.is_empty() {
        return Ok(false);
    }
    db::begin(connection).await?;
    let outcome = async {
        for series in found {
            delete(connection, series, slot).await?;
        }
        db::commit(connection).await
    };
    let outcome = outcome.await;
    db::or_rollback(outcome, connection).await?;
    Ok(true)
}

/// Moves hours from among the other chunks; where it was interrupted it goes on.
/// A damaged one stays behind: nobody reads it there, and it goes with its slot.
pub(crate) fn move_in(connection: &mut SqliteConnection) -> BoxFuture<'_, Result<(), sqlx::Error>> {
    Box::pin(async move {
        let slots = sqlx::query("SELECT id, from_ms FROM slot WHERE level = ? AND state = 1")
            .bind(Level::H1 as u8)
            .fetch_all(&mut *connection)
            .await?;
        for slot in &slots {
            db::begin(connection).await?;
            let outcome = move_slot(connection, slot.try_get(0)?, slot.try_get(1)?).await;
            db::or_rollback(outcome, connection).await?;
            // All slots would make the log as long as the database.
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut *connection).await?;
        }
        Ok(())
    })
}

async fn move_slot(
    connection: &mut SqliteConnection,
    slot: i64,
    from_ms: i64,
) -> Result<(), sqlx::Error> {
    let ids: Vec<u32> = sqlx::query_scalar("SELECT series FROM chunk WHERE slot = ?")
        .bind(slot)
        .fetch_all(&mut *connection)
        .await?;
    let mut more = 0;
    for series in ids {
        let data: Vec<u8> =
            sqlx::query_scalar("SELECT data FROM chunk WHERE slot = ? AND series = ?")
                .bind(slot)
                .bind(series)
                .fetch_one(&mut *connection)
                .await?;
        let Some((hours, _)) = Hours::read(&data, from_ms) else {
            tracing::warn!("a damaged chunk is left out");
            continue;
        };
        hours.put(connection, series, slot).await?;
        more += hours.bytes() - data.len() as i64;
        sqlx::query("DELETE FROM chunk WHERE slot = ? AND series = ?")
            .bind(slot)
            .bind(series)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("UPDATE slot SET bytes = bytes + ?2 WHERE id = ?1")
        .bind(slot)
        .bind(more)
        .execute(&mut *connection)
        .await?;
    db::commit(connection).await
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        db::{HISTORY, Schema, Step},
        error::OpenError,
        rollup::{Counter, Gauge},
    };

    const SLOT: i64 = 30 * 24 * HOUR_MS;
    const FROM: i64 = SLOT * 600;

    #[test]
    fn a_row_says_its_series_and_its_slot() {
        for (series, slot) in [(0, 1), (1, 0), (7, 4_294_967_295), (u32::MAX, 12)] {
            assert_eq!(parts(row(series, slot)), (series, slot));
        }
        assert!(row(7, 4_294_967_295) < row(8, 0));
    }

    fn before(steps: &'static [Step]) -> Schema {
        let Schema { file, application_id, synchronous, always_copy, .. } = HISTORY;
        Schema { file, application_id, steps, synchronous, always_copy }
    }

    fn gauges(from_ms: i64) -> Points {
        let at = |i: i64| from_ms + i * HOUR_MS;
        let of = |i: i64| Gauge { count: 3600, sum: 3600 * i, min: i - 5, max: i + 9, last: i };
        Points::Gauge((0..720).filter(|i| i % 7 > 0).map(|i| (at(i), of(i))).collect())
    }

    fn counters(from_ms: i64) -> Points {
        let at = |i: i64| from_ms + i * HOUR_MS;
        let of = |i: u64| Counter {
            increase: i * 31,
            covered_ms: HOUR_MS,
            min_rate: i,
            max_rate: i * 5,
            last: i * 77,
        };
        Points::Counter((0..500).map(|i| (at(i), of(i.unsigned_abs()))).collect())
    }

    /// Two slots of hours of three series, as the version before kept them; of the
    /// third series the chunks are damaged.
    async fn old(folder: &Path) {
        let mut connection = before(&HISTORY.steps[..2]).open(folder).await.unwrap();
        let text = "INSERT INTO series (id, metric, subject, cadence_ms) VALUES
                        (1, 'cpu.core.busy', 'a', 1000), (2, 'net.received', 'b', 1000),
                        (3, 'cpu.core.busy', 'c', 1000);";
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
        for slot in [5, 9] {
            let from_ms = FROM + slot * SLOT;
            let chunks = [
                points::with_blocks(&gauges(from_ms), from_ms),
                points::with_blocks(&counters(from_ms), from_ms),
                b"damaged".to_vec(),
            ];
            let bytes: usize = chunks.iter().map(Vec::len).sum();
            sqlx::query(
                "INSERT INTO slot (id, level, lane, from_ms, state, chunks, bytes, first_ms, last_ms)
                 VALUES (?1, 4, 1, ?2, 1, 3, ?3, ?2, ?2 + 1000)",
            )
            .bind(slot)
            .bind(from_ms)
            .bind(bytes as i64)
            .execute(&mut connection)
            .await
            .unwrap();
            for (series, data) in chunks.into_iter().enumerate() {
                sqlx::query("INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?)")
                    .bind(slot)
                    .bind(series as i64 + 1)
                    .bind(data)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
        }
        db::close(connection).await;
    }

    async fn check(connection: &mut SqliteConnection) {
        let slots = sqlx::query("SELECT id, from_ms FROM slot ORDER BY from_ms")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        assert_eq!(slots.len(), 2);
        for slot in slots {
            let (slot, from_ms): (i64, i64) = (slot.get(0), slot.get(1));
            let rows = of_slot(connection, slot).await.unwrap();
            assert_eq!(rows.iter().map(|(series, _)| *series).collect::<Vec<_>>(), [1, 2]);
            for ((series, data), points) in
                rows.into_iter().zip([gauges(from_ms), counters(from_ms)])
            {
                let back = points::decode_points(&data, from_ms, HOUR_MS, Columns::All).unwrap();
                assert_eq!(back, (points.clone(), 1000));
                let blocks: Vec<u8> = sqlx::query_scalar("SELECT data FROM blocks WHERE id = ?")
                    .bind(row(series, slot))
                    .fetch_one(&mut *connection)
                    .await
                    .unwrap();
                assert_eq!(blocks, Hours::of(&points, from_ms, 1000).blocks);
            }
        }
        let wrong: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM slot s WHERE s.bytes != 7 * (SELECT count(*) FROM chunk WHERE slot = s.id)
             + (SELECT sum(length(h.data) + length(b.data)) FROM hours h JOIN blocks b ON b.id = h.id
                WHERE h.id & 0xffffffff = s.id)",
        )
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        assert_eq!(wrong, 0);
    }

    /// One slot is moved, and then the process is killed.
    fn interrupted(connection: &mut SqliteConnection) -> BoxFuture<'_, Result<(), sqlx::Error>> {
        Box::pin(async move {
            db::begin(connection).await?;
            move_slot(connection, 5, FROM + 5 * SLOT).await?;
            Err(sqlx::Error::WorkerCrashed)
        })
    }

    #[tokio::test]
    async fn hours_of_an_older_version_are_moved_also_where_that_was_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        old(folder.path()).await;
        let [first, second, third, ..] = HISTORY.steps else { panic!("fewer steps") };
        let of = |step: &Step, then| Step { then, ..*step };
        let steps = vec![of(first, None), of(second, None), of(third, Some(interrupted as _))];
        let error = before(steps.leak()).open(folder.path()).await.err().unwrap();
        assert!(matches!(error, OpenError::Migration { .. }), "{error}");
        for _ in 0..2 {
            let mut connection = HISTORY.open(folder.path()).await.unwrap();
            check(&mut connection).await;
            let left: Vec<i64> = sqlx::query_scalar("SELECT series FROM chunk")
                .fetch_all(&mut connection)
                .await
                .unwrap();
            assert_eq!(left, [3, 3]);
            db::close(connection).await;
        }
    }

    #[tokio::test]
    async fn hours_of_an_older_version_are_recovered() {
        let (folder, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        old(folder.path()).await;
        let file = HISTORY.path(folder.path());
        let report = crate::recover(&file, new.path()).await.unwrap();
        assert_eq!((report.chunks, report.lost), (4, 2), "{report:?}");
        let mut connection = HISTORY.open(new.path()).await.unwrap();
        check(&mut connection).await;
        db::close(connection).await;
    }
}
