//! Bringing back what can be read of a damaged database.
//!
//! Tables are read row by row in the order of their row numbers; where a page
//! is damaged, reading goes on behind it. Where the first page itself is lost,
//! another one takes its place in a copy: the tables of one version always stand at
//! the same pages. What is found joins the history as earlier lanes, so that nothing
//! newer is hidden by it.

mod carve;
mod chunks;
pub(crate) mod scan;
mod source;
mod ticks;

use std::path::Path;

use rustc_hash::FxHashMap;
use sqlx::{Row as _, SqliteConnection};

use self::{
    scan::{copy_rows, scan},
    source::open_damaged,
};
use crate::{
    db::{self, HISTORY, Schema},
    error::ReadError,
    lane::Lane,
    requests,
};

/// What was brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoverReport {
    pub series: u64,
    /// Compressed chunks of any level.
    pub chunks: u64,
    /// Ticks that were not sealed yet.
    pub ticks: u64,
    pub marks: u64,
    pub alerts: u64,
    pub log: u64,
    /// Of the request log.
    pub requests: u64,
    /// Places that could not be read, and rows that were found damaged.
    pub lost: u64,
    /// Time of the recovered measurements; `None` where there are none.
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
}

/// Reads the damaged database `file` and adds what can be read to the history
/// in `folder`. Nobody else may own the folder meanwhile; `file` is not changed.
pub async fn recover(file: &Path, folder: &Path) -> Result<RecoverReport, ReadError> {
    recover_as(&HISTORY, file, folder).await
}

/// The same for a database of that version or an older one.
async fn recover_as(
    schema: &Schema,
    file: &Path,
    folder: &Path,
) -> Result<RecoverReport, ReadError> {
    let mut source = open_damaged(schema, file, folder).await?;
    let mut target = schema.open(folder).await?;
    let outcome = Recovery::begin(&mut source.connection, &mut target).await;
    let outcome = match outcome {
        Ok(recovery) => recovery.run(file, &mut source.connection, &mut target).await,
        Err(error) => Err(error),
    };
    let outcome = db::or_rollback(outcome, &mut target).await;
    let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut target).await;
    db::close(target).await;
    db::close(source.connection).await;
    if let Some(copy) = source.copy {
        let _ = std::fs::remove_file(copy);
    }
    Ok(outcome?)
}

struct Recovery {
    report: RecoverReport,
    /// Numbers of series and lanes in the damaged database → in the history.
    series: FxHashMap<u32, u32>,
    lanes: FxHashMap<i64, Lane>,
    lane_of_epoch: FxHashMap<i64, i64>,
    next_lane: i64,
}

// === impl Recovery ===

impl Recovery {
    async fn begin(
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
    ) -> Result<Self, sqlx::Error> {
        let first: Option<i64> =
            sqlx::query_scalar("SELECT min(id) FROM lane").fetch_one(&mut *target).await?;
        let mut recovery = Self {
            report: RecoverReport::default(),
            series: FxHashMap::default(),
            lanes: FxHashMap::default(),
            lane_of_epoch: FxHashMap::default(),
            next_lane: first.unwrap_or(1),
        };
        let mut old_lanes = Vec::new();
        let lost = scan(
            source,
            "SELECT id, id, first_ms, last_ms, raw_until, s10_until, m1_until, m15_until, h1_until
             FROM lane NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT 256",
            |row| {
                let mut until = [0; 5];
                for (i, until) in until.iter_mut().enumerate() {
                    *until = row.try_get(4 + i)?;
                }
                let (first_ms, last_ms) = (row.try_get(2)?, row.try_get(3)?);
                let id = row.try_get(1)?;
                old_lanes.push(Lane { id, first_ms, last_ms, sealed_seq: 0, until, closed: true });
                Ok(())
            },
        )
        .await?;
        recovery.report.lost += lost;
        // Earlier than every lane that is there, in their own order.
        let n = old_lanes.len() as i64;
        for (i, mut lane) in old_lanes.into_iter().enumerate() {
            let old = lane.id;
            lane.id = recovery.next_lane - n + i as i64;
            recovery.lanes.insert(old, lane);
        }
        recovery.next_lane -= n;
        Ok(recovery)
    }

    async fn run(
        mut self,
        file: &Path,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
    ) -> Result<RecoverReport, sqlx::Error> {
        db::begin(target).await?;
        self.series(source, target).await?;
        self.chunks(file, source, target).await?;
        self.ticks(source, target).await?;
        self.events(source, target).await?;
        for lane in self.lanes.values() {
            let used: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM slot WHERE lane = ?)")
                    .bind(lane.id)
                    .fetch_one(&mut *target)
                    .await?;
            if used {
                lane.save(target).await?;
            }
        }
        db::commit(target).await?;
        Ok(self.report)
    }

    async fn series(
        &mut self,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let mut found: Vec<(u32, String, String, u32)> = Vec::new();
        self.report.lost += scan(
            source,
            "SELECT id, id, metric, subject, cadence_ms FROM series NOT INDEXED
             WHERE id >= ?1 ORDER BY id LIMIT 256",
            |row| {
                found.push((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?));
                Ok(())
            },
        )
        .await?;
        for (old, metric, subject, cadence_ms) in found {
            sqlx::query(
                "INSERT INTO series (metric, subject, cadence_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&metric)
            .bind(&subject)
            .bind(cadence_ms)
            .execute(&mut *target)
            .await?;
            let new: u32 =
                sqlx::query_scalar("SELECT id FROM series WHERE metric = ? AND subject = ?")
                    .bind(&metric)
                    .bind(&subject)
                    .fetch_one(&mut *target)
                    .await?;
            self.series.insert(old, new);
            self.report.series += 1;
        }
        Ok(())
    }

    async fn events(
        &mut self,
        source: &mut SqliteConnection,
        target: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        self.report.marks = copy_rows(
            source,
            target,
            "SELECT id, at_ms, end_ms, kind, subject, title, detail, ref FROM mark NOT INDEXED
             WHERE id >= ?1 ORDER BY id LIMIT 256",
            "INSERT INTO mark (at_ms, end_ms, kind, subject, title, detail, ref) VALUES (?, ?, ?, ?, ?, ?, ?)",
            "iittttt",
            &mut self.report.lost,
        )
        .await?;
        self.report.alerts = copy_rows(
            source,
            target,
            "SELECT rowid, id, rule, subject, severity, title, start_ms, end_ms, peak, threshold
             FROM alert NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT 256",
            "INSERT OR IGNORE INTO alert (id, rule, subject, severity, title, start_ms, end_ms, peak, threshold)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "tttttiirr",
            &mut self.report.lost,
        )
        .await?;
        self.report.log = copy_rows(
            source,
            target,
            "SELECT id, at_ms, level, module, message, fields FROM log NOT INDEXED
             WHERE id >= ?1 ORDER BY id LIMIT 256",
            "INSERT INTO log (at_ms, level, module, message, fields) VALUES (?, ?, ?, ?, ?)",
            "iittt",
            &mut self.report.lost,
        )
        .await?;
        self.report.requests = requests::recover(source, target, &mut self.report.lost).await?;
        Ok(())
    }

    /// The lane of that number, or one made for it where its row was lost.
    fn lane(&mut self, old: i64, at_ms: i64) -> &mut Lane {
        let next = &mut self.next_lane;
        self.lanes.entry(old).or_insert_with(|| {
            *next -= 1;
            Lane { closed: true, ..Lane::begin(*next, at_ms, 0) }
        })
    }
}

// === impl RecoverReport ===

impl RecoverReport {
    fn spans(&mut self, first_ms: i64, last_ms: i64) {
        if first_ms <= last_ms {
            self.from_ms = Some(self.from_ms.map_or(first_ms, |t| t.min(first_ms)));
            self.to_ms = Some(self.to_ms.map_or(last_ms, |t| t.max(last_ms)));
        }
    }
}
