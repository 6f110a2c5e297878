//! Bringing back what can be read of a damaged database.
//!
//! Tables are read row by row in the order of their row numbers; where a page
//! is damaged, reading goes on behind it. Where the first page itself is lost,
//! that of a new database takes its place in a copy: the tables of one version
//! always stand at the same pages. What is found joins the history as earlier
//! lanes, so that nothing newer is hidden by it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use plimsoll_core::series::Level;
use rustc_hash::FxHashMap;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use crate::{
    carve,
    codec::{chunk, tick, varint},
    db::{self, Found, HISTORY},
    error::{Fault, OpenError, ReadError, fault_of},
    lane::{Lane, slot_of},
    seal::{RawSlot, make_raw_slot},
};

const PAGE: usize = 4096;
/// Rows skipped at once behind a damaged one grow up to that.
const MAX_LEAP: i64 = 1 << 20;
/// Damaged places after which a table is given up.
const MAX_DAMAGE: u32 = 100_000;

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
    /// Places that could not be read, and rows that were found damaged.
    pub lost: u64,
    /// Time of the recovered measurements; `None` where there are none.
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
}

/// Reads the damaged database `file` and adds what can be read to the history
/// in `folder`. Nobody else may own the folder meanwhile; `file` is not changed.
pub async fn recover(file: &Path, folder: &Path) -> Result<RecoverReport, ReadError> {
    let mut source = open_damaged(file, folder).await?;
    let mut target = HISTORY.open(folder).await?;
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

struct Source {
    connection: SqliteConnection,
    /// The copy with another first page.
    copy: Option<PathBuf>,
}

async fn open_damaged(file: &Path, folder: &Path) -> Result<Source, ReadError> {
    let unusable = |reason: String| OpenError::Unusable { path: file.to_owned(), reason };
    match HISTORY.look_at(file).map_err(|e| unusable(e.to_string()))? {
        Found::Nothing => return Err(OpenError::Missing { path: file.to_owned() }.into()),
        Found::Foreign => return Err(OpenError::Foreign { path: file.to_owned() }.into()),
        Found::Ours(found) if found > HISTORY.version() => {
            return Err(OpenError::Newer {
                path: file.to_owned(),
                found,
                known: HISTORY.version(),
            }
            .into());
        }
        Found::Ours(_) => {
            if let Ok(mut connection) = HISTORY.reader(file).await {
                let readable =
                    sqlx::query("SELECT count(*) FROM sqlite_schema WHERE name = 'chunk'")
                        .fetch_one(&mut connection)
                        .await
                        .is_ok_and(|row| row.try_get::<i64, _>(0).is_ok_and(|n| n == 1));
                if readable {
                    return Ok(Source { connection, copy: None });
                }
                db::close(connection).await;
            }
        }
        Found::Damaged => {}
    }
    let copy = transplant(file, folder).await?;
    let connection = HISTORY.reader(&copy).await.map_err(|e| unusable(e.to_string()))?;
    Ok(Source { connection, copy: Some(copy) })
}

/// Copies the file with the first page of a new database of this version.
async fn transplant(file: &Path, folder: &Path) -> Result<PathBuf, ReadError> {
    let bytes = std::fs::metadata(file)?.len();
    if db::available_bytes(folder).is_some_and(|room| room < bytes) {
        return Err(ReadError::Invalid(format!(
            "There is no room in {} for the copy that recovering needs ({} MiB).",
            folder.display(),
            bytes.div_ceil(1 << 20)
        )));
    }
    let fresh_folder = folder.join(".recover-part");
    let _ = std::fs::remove_dir_all(&fresh_folder);
    db::close(HISTORY.open(&fresh_folder).await?).await;
    let mut page = std::fs::read(HISTORY.path(&fresh_folder))?;
    let _ = std::fs::remove_dir_all(&fresh_folder);
    page.truncate(PAGE);
    let pages = u32::try_from(bytes / PAGE as u64).unwrap_or(u32::MAX);
    // Offsets of the file format: 18 and 19 journal mode (1: no log beside it),
    // 28 size in pages, 32 first free page, 36 number of free pages.
    page[18..20].copy_from_slice(&[1, 1]);
    page[28..32].copy_from_slice(&pages.to_be_bytes());
    page[32..40].fill(0);
    let copy = folder.join(".recover-copy.db");
    std::fs::copy(file, &copy)?;
    {
        use std::os::unix::fs::FileExt as _;
        std::fs::OpenOptions::new().write(true).open(&copy)?.write_all_at(&page, 0)?;
    }
    Ok(copy)
}

struct Recovery {
    report: RecoverReport,
    /// Numbers of series and lanes in the damaged database → in the history.
    series: FxHashMap<u32, u32>,
    lanes: FxHashMap<i64, Lane>,
    lane_of_epoch: FxHashMap<i64, i64>,
    next_lane: i64,
}

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
        let done = sqlx::query(
            "INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(slot.new_id)
        .bind(series)
        .bind(data)
        .execute(target)
        .await?;
        if done.rows_affected() == 1 {
            slot.chunks += 1;
            slot.bytes += data.len() as i64;
            if series != 0 {
                slot.samples += chunk::count(data).unwrap_or(0) as i64;
                self.report.chunks += 1;
            }
            self.report.spans(slot.first_ms, slot.last_ms);
        }
        Ok(true)
    }

    async fn chunks(
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
        let mut at = i64::MIN;
        let before = self.report.lost;
        loop {
            // In batches, so that no more than one is held.
            let mut batch: Vec<(i64, i64, u32, Vec<u8>)> = Vec::new();
            let lost = scan_from(
                source,
                "SELECT rowid, rowid, slot, series, data FROM chunk NOT INDEXED
                 WHERE rowid >= ?1 ORDER BY rowid LIMIT 256",
                &mut at,
                |row| {
                    batch.push((
                        row.try_get(1)?,
                        row.try_get(2)?,
                        row.try_get(3)?,
                        row.try_get(4)?,
                    ));
                    Ok(())
                },
            )
            .await?;
            let Some(lost) = lost else { break };
            self.report.lost += lost;
            for (_, slot, series, data) in batch {
                if !self.chunk(target, &mut slots, slot, series, &data).await? {
                    self.report.lost += 1;
                }
            }
        }
        if self.report.lost > before {
            // Leaves that no walk through the table reaches any more. What
            // belongs to no slot was purged long ago, and only not overwritten.
            let mut leaves = Vec::new();
            let carved = carve::rows(file, |row| {
                if let [Some(slot), Some(series)] = row.numbers[..]
                    && let Ok(series) = u32::try_from(series)
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

    /// Unsealed ticks become raw chunks at once.
    async fn ticks(
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

/// Copies rows column by column: `i` a whole number, `r` a number, `t` text, each or nothing.
async fn copy_rows(
    source: &mut SqliteConnection,
    target: &mut SqliteConnection,
    select: &'static str,
    insert: &'static str,
    types: &str,
    lost: &mut u64,
) -> Result<u64, sqlx::Error> {
    enum Cell {
        Int(Option<i64>),
        Real(Option<f64>),
        Text(Option<String>),
    }
    let mut copied = 0;
    let mut at = i64::MIN;
    loop {
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        let missed = scan_from(source, select, &mut at, |row| {
            let cells = types.chars().enumerate().take(row.len() - 1).map(|(i, kind)| {
                Ok(match kind {
                    'i' => Cell::Int(row.try_get(i + 1)?),
                    'r' => Cell::Real(row.try_get(i + 1)?),
                    _ => Cell::Text(row.try_get(i + 1)?),
                })
            });
            rows.push(cells.collect::<Result<_, sqlx::Error>>()?);
            Ok(())
        })
        .await?;
        let Some(missed) = missed else { return Ok(copied) };
        *lost += missed;
        for cells in rows {
            let mut query = sqlx::query(insert);
            for cell in cells {
                query = match cell {
                    Cell::Int(v) => query.bind(v),
                    Cell::Real(v) => query.bind(v),
                    Cell::Text(v) => query.bind(v),
                };
            }
            copied += query.execute(&mut *target).await?.rows_affected();
        }
    }
}

/// Every row of a table that can be read; how many places could not.
async fn scan(
    source: &mut SqliteConnection,
    sql: &'static str,
    mut each: impl FnMut(&SqliteRow) -> Result<(), sqlx::Error>,
) -> Result<u64, sqlx::Error> {
    let (mut at, mut lost) = (i64::MIN, 0);
    while let Some(missed) = scan_from(source, sql, &mut at, &mut each).await? {
        lost += missed;
    }
    Ok(lost)
}

/// The next rows from number `at` (the first column); `None` at the end. A
/// damaged place is leapt over, ever further while it lasts.
async fn scan_from(
    source: &mut SqliteConnection,
    sql: &'static str,
    at: &mut i64,
    mut each: impl FnMut(&SqliteRow) -> Result<(), sqlx::Error>,
) -> Result<Option<u64>, sqlx::Error> {
    use futures::TryStreamExt as _;
    if *at == i64::MAX {
        return Ok(None);
    }
    let (mut lost, mut leap) = (0u64, 1i64);
    for _ in 0..MAX_DAMAGE {
        let mut n = 0;
        let mut rows = sqlx::query(sql).bind(*at).fetch(&mut *source);
        let outcome = loop {
            match rows.try_next().await {
                Ok(Some(row)) => {
                    n += 1;
                    let number: i64 = row.try_get(0)?;
                    // A row whose columns make no sense is lost, the next one may not be.
                    lost += u64::from(each(&row).is_err());
                    *at = number.saturating_add(1);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        drop(rows);
        match outcome {
            Ok(()) if n == 0 => {
                *at = i64::MAX;
                return Ok((lost > 0).then_some(lost));
            }
            Ok(()) => return Ok(Some(lost)),
            Err(error) if fault_of(&error) == Fault::Damaged => {
                lost += 1;
                if n > 0 {
                    leap = 1;
                } else if *at == i64::MIN {
                    *at = 1;
                }
                *at = at.saturating_add(leap);
                if leap >= MAX_LEAP {
                    // Nothing readable for a million rows: the rest is gone.
                    *at = i64::MAX;
                    return Ok(Some(lost));
                }
                leap *= 2;
            }
            Err(error) => return Err(error),
        }
    }
    *at = i64::MAX;
    Ok(Some(lost))
}
