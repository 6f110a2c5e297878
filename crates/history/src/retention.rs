//! Retention: by age and by size, whichever comes first.
//!
//! A slot goes only after the coarser level that is made from it is sealed.
//! First it is marked as going, in one small commit, from which moment nobody
//! reads it; then its rows are deleted in small steps, and the free pages are
//! given back to the file system in small steps.

use plimsoll_core::series::Level;
use sqlx::{Row as _, SqliteConnection};

use crate::{
    db, faults::may_be_killed, hours, lane::Lane, requests, seal::LOOKBACK_MS, writer::Writer,
};

/// Rows deleted at once: 200 took 121 ms, 50 pass unnoticed.
pub(crate) const ROWS: i64 = 50;
/// Pages given back at once.
const PAGES: i64 = 64;
/// Free pages that are kept for the next ticks instead of being given back: 4 MiB.
const SPARE_PAGES: i64 = 1024;
/// Raw data younger than this goes last when the size is passed.
const PROTECTED_RAW_MS: i64 = 86_400_000;
/// Shares of the size that marks with alerts, and the log, may take.
const EVENT_SHARE: u64 = 16;

/// Weighing a table reads all its pages: once in so many rounds (an hour) is enough.
const WEIGH_EVERY: u32 = 60;

/// What is left to do of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// Choose what has grown too old.
    Age,
    /// Marks, alerts, log entries and requests, step by step.
    Events,
    /// Rows of slots that go.
    Rows,
    /// Is the size passed? Then one more slot goes.
    Size,
    /// Give free pages back, down to that number.
    Vacuum { spare: i64 },
}

// === impl Writer ===

impl Writer {
    /// Does one step of a round; `false` when it is over.
    pub(crate) async fn purge_step(&mut self) -> Result<bool, sqlx::Error> {
        let Some(round) = self.round else { return Ok(false) };
        let next = match round {
            Round::Age => {
                self.rounds = self.rounds.wrapping_add(1);
                self.choose_by_age().await?;
                Some(Round::Events)
            }
            Round::Events => {
                let more = self.delete_events().await?;
                Some(if more { Round::Events } else { Round::Rows })
            }
            Round::Rows => {
                let more = self.delete_rows().await?;
                Some(if more { Round::Rows } else { Round::Size })
            }
            Round::Size => {
                let (over, chosen) = self.choose_by_size().await?;
                Some(match (over, chosen) {
                    (_, true) => Round::Rows,
                    (over, false) => Round::Vacuum { spare: if over { 0 } else { SPARE_PAGES } },
                })
            }
            Round::Vacuum { spare } => self.vacuum(spare).await?.then_some(round),
        };
        self.round = next;
        Ok(next.is_some())
    }

    /// Deletes sealed ticks; `false` when there are none left.
    pub(crate) async fn delete_spent_ticks(&mut self) -> Result<bool, sqlx::Error> {
        let Some(up_to) = self.spent_ticks else { return Ok(false) };
        let Some(connection) = self.connection.as_mut() else { return Ok(false) };
        may_be_killed!("purge");
        let done = sqlx::query(
            "DELETE FROM tick WHERE seq IN (SELECT seq FROM tick WHERE seq <= ?1 ORDER BY seq LIMIT ?2)",
        )
        .bind(up_to)
        .bind(ROWS)
        .execute(connection)
        .await?;
        may_be_killed!("purged");
        if done.rows_affected() < ROWS.unsigned_abs() {
            self.spent_ticks = None;
        }
        self.committed();
        Ok(true)
    }

    async fn choose_by_age(&mut self) -> Result<(), sqlx::Error> {
        let held = self.clock.now().monotonic_ms < self.hold_purge_until_ms;
        let Some(connection) = self.connection.as_mut() else { return Ok(()) };
        let Some(now_ms) = self.lanes.last().map(|lane| lane.last_ms) else { return Ok(()) };
        if held {
            return Ok(());
        }
        let keep = self.options.keep;
        let spans = [keep.raw_ms, keep.s10_ms, keep.m1_ms, keep.m15_ms, keep.h1_ms];
        for (level, span) in Level::ALL.into_iter().zip(spans) {
            for lane in &self.lanes {
                let (old, sealed) = (now_ms - span, replaceable(lane, level));
                // The newest slot that is old enough is not all sealed yet.
                self.purge_waits |= sealed < old - old.rem_euclid(level.chunk_ms());
                let outcome = mark_going(connection, lane.id, level, old.min(sealed)).await;
                db::or_rollback(outcome, connection).await?;
            }
        }
        Ok(())
    }

    /// One slot more, if the database is over its size: raw older than a day
    /// first, then 10 s, then 1 min, then what is left.
    async fn choose_by_size(&mut self) -> Result<(bool, bool), sqlx::Error> {
        let Some(connection) = self.connection.as_mut() else { return Ok((false, false)) };
        let used = used_bytes(connection).await?;
        if used <= self.options.max_bytes {
            let on_disk = db::bytes_on_disk(&self.shared.path);
            return Ok((on_disk > self.options.max_bytes, false));
        }
        let Some(now_ms) = self.lanes.last().map(|lane| lane.last_ms) else {
            return Ok((true, false));
        };
        let order = [
            (Level::Raw, now_ms - PROTECTED_RAW_MS),
            (Level::S10, i64::MAX),
            (Level::M1, i64::MAX),
            (Level::Raw, i64::MAX),
            (Level::M15, i64::MAX),
        ];
        for (level, before) in order {
            let mut oldest: Option<(i64, i64)> = None;
            for lane in &self.lanes {
                let limit = replaceable(lane, level).min(before);
                let from: Option<i64> = sqlx::query_scalar(
                    "SELECT from_ms FROM slot WHERE level = ?1 AND lane = ?2 AND state = 1
                       AND from_ms + ?3 <= ?4 ORDER BY from_ms LIMIT 1",
                )
                .bind(level as u8)
                .bind(lane.id)
                .bind(level.chunk_ms())
                .bind(limit)
                .fetch_optional(&mut *connection)
                .await?;
                if let Some(from) = from
                    && oldest.is_none_or(|(_, old)| from < old)
                {
                    oldest = Some((lane.id, from));
                }
            }
            if let Some((lane, from)) = oldest {
                let outcome = mark_going(connection, lane, level, from + level.chunk_ms()).await;
                db::or_rollback(outcome, connection).await?;
                return Ok((true, true));
            }
        }
        Ok((true, false))
    }

    async fn delete_events(&mut self) -> Result<bool, sqlx::Error> {
        let held = self.clock.now().monotonic_ms < self.hold_purge_until_ms;
        let Some(connection) = self.connection.as_mut() else { return Ok(false) };
        let Some(now_ms) = self.lanes.last().map(|lane| lane.last_ms) else { return Ok(false) };
        if held {
            return Ok(false);
        }
        let share = self.options.max_bytes / EVENT_SHARE;
        let weigh = self.rounds.is_multiple_of(WEIGH_EVERY);
        let keep = self.options.keep;
        let tables = [("mark", keep.marks_ms), ("alert", keep.marks_ms), ("log", keep.log_ms)];
        let mut more = false;
        for (table, span) in tables {
            let full = weigh && table_bytes(connection, table).await? > share;
            // Over its share the oldest go, whatever their age.
            let before = if full { i64::MAX } else { now_ms - span };
            let sql = match table {
                "mark" => {
                    "DELETE FROM mark WHERE id IN (SELECT id FROM mark WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)"
                }
                "alert" => {
                    "DELETE FROM alert WHERE rowid IN (SELECT rowid FROM alert
                     WHERE start_ms < ?1 AND end_ms IS NOT NULL ORDER BY start_ms LIMIT ?2)"
                }
                _ => {
                    "DELETE FROM log WHERE id IN (SELECT id FROM log WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)"
                }
            };
            let done = sqlx::query(sql).bind(before).bind(ROWS).execute(&mut *connection).await?;
            more |= done.rows_affected() == ROWS.unsigned_abs();
        }
        more |= requests::delete_older(connection, now_ms - keep.requests_ms).await?;
        Ok(more)
    }

    /// Rows of one slot that goes; `false` when no slot goes any more.
    async fn delete_rows(&mut self) -> Result<bool, sqlx::Error> {
        let Some(connection) = self.connection.as_mut() else { return Ok(false) };
        let row = sqlx::query(
            "SELECT id, level FROM slot WHERE state = 2 ORDER BY level, from_ms LIMIT 1",
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let (slot, level): (i64, u8) = (row.try_get(0)?, row.try_get(1)?);
        may_be_killed!("purge");
        if level == Level::H1 as u8 && hours::delete_some(connection, slot, ROWS).await? {
            may_be_killed!("purged");
            self.committed();
            return Ok(true);
        }
        let done = sqlx::query(
            "DELETE FROM chunk WHERE rowid IN (SELECT rowid FROM chunk WHERE slot = ?1 LIMIT ?2)",
        )
        .bind(slot)
        .bind(ROWS)
        .execute(&mut *connection)
        .await?;
        if done.rows_affected() < ROWS.unsigned_abs() {
            sqlx::query("DELETE FROM slot WHERE id = ?").bind(slot).execute(connection).await?;
        }
        may_be_killed!("purged");
        self.committed();
        Ok(true)
    }

    async fn vacuum(&mut self, spare: i64) -> Result<bool, sqlx::Error> {
        let Some(connection) = self.connection.as_mut() else { return Ok(false) };
        let free: i64 =
            sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut *connection).await?;
        if free <= spare {
            return Ok(false);
        }
        may_be_killed!("purge");
        let pages = PAGES.min(free - spare);
        // Each page given back is a row of this statement's answer.
        let sql = format!("PRAGMA incremental_vacuum({pages})");
        sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
        self.committed();
        Ok(true)
    }
}

/// Up to when the slots of a level have been sealed into the next one. Raw
/// slots stay a little longer: the first pair of a counter reaches back.
fn replaceable(lane: &Lane, level: Level) -> i64 {
    match Level::ALL.get(level as usize + 1) {
        None => i64::MAX,
        Some(&coarser) if lane.exhausted(coarser) => i64::MAX,
        Some(&coarser) if level == Level::Raw => lane.until(coarser) - LOOKBACK_MS,
        Some(&coarser) => lane.until(coarser),
    }
}

/// Marks the slots of a lane that end by `end_ms` as going, and remembers that
/// the level does not reach further back.
pub(crate) async fn mark_going(
    connection: &mut SqliteConnection,
    lane: i64,
    level: Level,
    end_ms: i64,
) -> Result<(), sqlx::Error> {
    let last = end_ms.saturating_sub(level.chunk_ms());
    let row = sqlx::query(
        "SELECT max(from_ms) FROM slot WHERE level = ?1 AND lane = ?2 AND state = 1 AND from_ms <= ?3",
    )
    .bind(level as u8)
    .bind(lane)
    .bind(last)
    .fetch_one(&mut *connection)
    .await?;
    let Some(newest) = row.try_get::<Option<i64>, _>(0)? else { return Ok(()) };
    db::begin(connection).await?;
    sqlx::query(
        "UPDATE slot SET state = 2 WHERE level = ?1 AND lane = ?2 AND state = 1 AND from_ms <= ?3",
    )
    .bind(level as u8)
    .bind(lane)
    .bind(last)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO purged (level, until_ms) VALUES (?1, ?2)
         ON CONFLICT (level) DO UPDATE SET until_ms = max(until_ms, ?2)",
    )
    .bind(level as u8)
    .bind(newest + level.chunk_ms())
    .execute(&mut *connection)
    .await?;
    may_be_killed!("purge");
    db::commit(connection).await
}

/// What the database's pages in use take.
async fn used_bytes(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let row = sqlx::query(
        "SELECT (c.page_count - f.freelist_count) * s.page_size
         FROM pragma_page_count c, pragma_freelist_count f, pragma_page_size s",
    )
    .fetch_one(connection)
    .await?;
    Ok(row.try_get::<i64, _>(0)?.max(0).unsigned_abs())
}

/// Bytes of one table without its indexes.
pub(crate) async fn table_bytes(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<u64, sqlx::Error> {
    let bytes: Option<i64> =
        sqlx::query_scalar("SELECT sum(pgsize) FROM dbstat WHERE name = ?1 AND aggregate = 1")
            .bind(table)
            .fetch_optional(connection)
            .await?
            .flatten();
    Ok(bytes.unwrap_or(0).max(0).unsigned_abs())
}
