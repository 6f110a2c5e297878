//! Deleting what a person no longer wants kept: up to a moment, or everything.

use plimsoll_core::{
    mark::{Mark, MarkKind},
    series::Level,
};
use sqlx::{Row as _, SqliteConnection};

use crate::{
    codec::{
        points::{self, Columns},
        raw::{self, RawColumn},
    },
    db,
    error::ReadError,
    hours::{self, Hours},
    lane::slot_of,
    requests,
    retention::{ROWS, Round, mark_going},
    rollup::Values,
    writer::Writer,
};

// === impl Writer ===

impl Writer {
    pub(crate) async fn delete(&mut self, before_ms: Option<i64>) -> Result<(), ReadError> {
        match before_ms {
            Some(before) => self.delete_before(before).await?,
            None => self.delete_all().await?,
        }
        // Readers hold decoded ticks: they begin anew.
        self.shared.replaced();
        let now_ms = self.clock.now().wall_ms;
        let mut mark = Mark::new(now_ms, MarkKind::History, "History was deleted");
        if let Some(connection) = self.connection.as_mut() {
            mark.id = crate::events::insert_mark(connection, &mark).await?;
        }
        self.shared.tell(mark);
        Ok(())
    }

    /// A new file: quicker than emptying the old one, and nothing stays behind in it.
    async fn delete_all(&mut self) -> Result<(), ReadError> {
        if let Some(connection) = self.connection.take() {
            db::close(connection).await;
        }
        for suffix in ["-wal", "-shm", ""] {
            match std::fs::remove_file(db::sidecar(&self.shared.path, suffix)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        self.attach().await?;
        Ok(())
    }

    async fn delete_before(&mut self, before_ms: i64) -> Result<(), ReadError> {
        if let Some(job) = self.job.take()
            && let Some(connection) = self.connection.as_mut()
        {
            job.give_up(connection).await?;
        }
        let Some(connection) = self.connection.as_mut() else { return Err(ReadError::Closed) };
        for level in Level::ALL {
            for lane in &self.lanes {
                let outcome = mark_going(connection, lane.id, level, before_ms).await;
                db::or_rollback(outcome, connection).await?;
            }
            sqlx::query(
                "INSERT INTO purged (level, until_ms) VALUES (?1, ?2)
                 ON CONFLICT (level) DO UPDATE SET until_ms = max(until_ms, ?2)",
            )
            .bind(level as u8)
            .bind(before_ms)
            .execute(&mut *connection)
            .await?;
            let slots: Vec<i64> = sqlx::query_scalar(
                "SELECT id FROM slot WHERE level = ?1 AND from_ms = ?2 AND state = 1",
            )
            .bind(level as u8)
            .bind(slot_of(level, before_ms))
            .fetch_all(&mut *connection)
            .await?;
            for slot in slots {
                let outcome = cut(connection, slot, level, before_ms).await;
                db::or_rollback(outcome, connection).await?;
            }
        }
        for sql in [
            "DELETE FROM tick WHERE seq IN (SELECT seq FROM tick WHERE at_ms < ?1 LIMIT ?2)",
            "DELETE FROM mark WHERE id IN (SELECT id FROM mark WHERE at_ms < ?1 LIMIT ?2)",
            "DELETE FROM alert WHERE rowid IN (SELECT rowid FROM alert WHERE end_ms < ?1 LIMIT ?2)",
            "DELETE FROM log WHERE id IN (SELECT id FROM log WHERE at_ms < ?1 LIMIT ?2)",
        ] {
            loop {
                let done =
                    sqlx::query(sql).bind(before_ms).bind(ROWS).execute(&mut *connection).await?;
                if done.rows_affected() < ROWS.unsigned_abs() {
                    break;
                }
            }
        }
        while requests::delete_older(connection, before_ms).await? {}
        sqlx::query("UPDATE series SET last_ms = NULL, last = NULL WHERE last_ms < ?")
            .bind(before_ms)
            .execute(&mut *connection)
            .await?;
        self.round = Some(Round::Rows);
        while self.purge_step().await? {}
        self.round = Some(Round::Vacuum { spare: 0 });
        while self.purge_step().await? {}
        Ok(())
    }
}

/// Takes what lies before a moment out of the chunks of one slot.
async fn cut(
    connection: &mut SqliteConnection,
    slot: i64,
    level: Level,
    before_ms: i64,
) -> Result<(), sqlx::Error> {
    let row = sqlx::query("SELECT from_ms FROM slot WHERE id = ?")
        .bind(slot)
        .fetch_one(&mut *connection)
        .await?;
    let from_ms: i64 = row.try_get(0)?;
    if level == Level::H1 {
        return cut_hours(connection, slot, from_ms, before_ms).await;
    }
    let rows = sqlx::query("SELECT series, data FROM chunk WHERE slot = ? ORDER BY series")
        .bind(slot)
        .fetch_all(&mut *connection)
        .await?;
    let mut times = Vec::new();
    let (mut chunks, mut bytes, mut samples) = (0i64, 0i64, 0i64);
    db::begin(connection).await?;
    for row in &rows {
        let (series, data): (u32, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        if series == 0 {
            times = raw::decode_times(data, from_ms).unwrap_or_default();
            continue;
        }
        let shorter = match level.step_ms() {
            None => cut_raw(data, &times, before_ms),
            Some(step) => cut_points(data, from_ms, step, before_ms),
        };
        match shorter {
            Some((data, n)) => {
                chunks += 1;
                bytes += data.len() as i64;
                samples += n as i64;
                sqlx::query("UPDATE chunk SET data = ?3 WHERE slot = ?1 AND series = ?2")
                    .bind(slot)
                    .bind(series)
                    .bind(data)
                    .execute(&mut *connection)
                    .await?;
            }
            None => {
                sqlx::query("DELETE FROM chunk WHERE slot = ?1 AND series = ?2")
                    .bind(slot)
                    .bind(series)
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    is_left(connection, slot, [chunks, bytes, samples], before_ms).await
}

async fn cut_hours(
    connection: &mut SqliteConnection,
    slot: i64,
    from_ms: i64,
    before_ms: i64,
) -> Result<(), sqlx::Error> {
    let rows = hours::of_slot(connection, slot).await?;
    let (mut chunks, mut bytes, mut samples) = (0i64, 0i64, 0i64);
    db::begin(connection).await?;
    for (series, data) in rows {
        hours::delete(connection, series, slot).await?;
        let step = Level::H1.step_ms().unwrap_or(1);
        let shorter = cut_points(&data, from_ms, step, before_ms);
        let Some((hours, n)) = shorter.and_then(|(data, _)| Hours::read(&data, from_ms)) else {
            continue;
        };
        hours.put(connection, series, slot).await?;
        chunks += 1;
        bytes += hours.bytes();
        samples += n as i64;
    }
    is_left(connection, slot, [chunks, bytes, samples], before_ms).await
}

/// Says in its slot what is left of it, and ends the transaction.
async fn is_left(
    connection: &mut SqliteConnection,
    slot: i64,
    [chunks, bytes, samples]: [i64; 3],
    before_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE slot SET chunks = ?2, bytes = ?3, samples = ?4, first_ms = max(first_ms, ?5)
         WHERE id = ?1",
    )
    .bind(slot)
    .bind(chunks)
    .bind(bytes)
    .bind(samples)
    .bind(before_ms)
    .execute(&mut *connection)
    .await?;
    db::commit(connection).await
}

fn cut_raw(data: &[u8], times: &[i64], before_ms: i64) -> Option<(Vec<u8>, usize)> {
    let (mut values, cadence_ms) = raw::decode_raw(data, times)?;
    values.retain(|at| at >= before_ms);
    let place = |at: i64| times.partition_point(|t| *t < at) as u32;
    let (places, column): (Vec<u32>, RawColumn) = match values {
        Values::Gauge(v) => {
            let (times, values): (Vec<_>, Vec<_>) = v.into_iter().unzip();
            (times.into_iter().map(place).collect(), RawColumn::Gauge(values))
        }
        Values::Counter(v) => {
            let (times, values): (Vec<_>, Vec<_>) = v.into_iter().unzip();
            (times.into_iter().map(place).collect(), RawColumn::Counter(values))
        }
        Values::Histogram(v) => {
            let (times, values): (Vec<_>, Vec<_>) = v.into_iter().unzip();
            (times.into_iter().map(place).collect(), RawColumn::Histogram(values))
        }
    };
    let n = places.len();
    (n > 0).then(|| (raw::encode_raw(&places, &column, cadence_ms), n))
}

/// A point that the moment falls into goes: part of it lies before.
fn cut_points(data: &[u8], from_ms: i64, step: i64, before_ms: i64) -> Option<(Vec<u8>, usize)> {
    let (mut points, cadence_ms) = points::decode_points(data, from_ms, step, Columns::All)?;
    points.retain(|at| at >= before_ms);
    let n = points.len();
    (n > 0).then(|| (points::encode_points(&points, from_ms, step, cadence_ms), n))
}
