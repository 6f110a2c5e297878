//! Sealing: a cascade of compressed columns.
//!
//! When the span of a chunk is over, its slot is made once from the finer
//! level: raw from the ticks, 10 s from raw, and so on. The work is cut into
//! steps of at most [`BATCH`] series, between which ticks are committed; the
//! slot becomes visible, and its ticks superfluous, in one last small commit.
//! What a killed process leaves half done is invisible and made again.

mod due;
mod make;
mod slot;

use plimsoll_core::series::Level;
use sqlx::SqliteConnection;

pub(crate) use self::slot::{RawSlot, make_raw_slot};
use self::{
    due::{FinerSlot, next_coarse, next_raw},
    make::{insert_chunks, load_chunks, make_coarse, make_raw},
};
use crate::{db, faults::may_be_killed, offload::off_the_runtime, shown::number, writer::Writer};

/// Series that are sealed between two ticks.
const BATCH: usize = 100;
/// The longest silence that joins two totals of a counter (2.5 times the
/// longest cadence, 600 s): so far before a slot its first pair may begin.
pub(crate) const LOOKBACK_MS: i64 = 1_500_000;

/// A slot that is being sealed.
#[derive(Debug)]
pub(crate) struct Job {
    lane: i64,
    level: Level,
    from_ms: i64,
    slot: i64,
    from: Material,
    series: Vec<u32>,
    next: usize,
    chunks: i64,
    bytes: i64,
    samples: i64,
    first_ms: i64,
    last_ms: i64,
}

#[derive(Debug)]
enum Material {
    Ticks { slot: RawSlot, last_seq: i64 },
    Slots(Vec<FinerSlot>),
}

pub(crate) fn finer(level: Level) -> Option<Level> {
    Level::ALL.get((level as usize).checked_sub(1)?).copied()
}

// === impl Writer ===

impl Writer {
    /// Does one step of sealing; `false` where there is nothing to do.
    pub(crate) async fn seal_step(&mut self) -> Result<bool, sqlx::Error> {
        if self.job.is_none() {
            self.job = self.next_job().await?;
        }
        let Some(mut job) = self.job.take() else { return Ok(false) };
        if job.next < job.series.len() {
            self.seal_batch(&mut job).await?;
            self.job = Some(job);
        } else {
            self.flip(&job).await?;
        }
        Ok(true)
    }

    async fn next_job(&mut self) -> Result<Option<Job>, sqlx::Error> {
        let Some(connection) = self.connection.as_mut() else { return Ok(None) };
        for lane in &mut self.lanes {
            for level in Level::ALL {
                let found = match finer(level) {
                    None => next_raw(connection, lane).await?,
                    Some(finer) => next_coarse(connection, lane, level, finer).await?,
                };
                let Some((from_ms, from, series)) = found else { continue };
                let slot = sqlx::query(
                    "INSERT INTO slot (level, lane, from_ms, state) VALUES (?, ?, ?, 0)",
                )
                .bind(level as u8)
                .bind(lane.id)
                .bind(from_ms)
                .execute(&mut *connection)
                .await?
                .last_insert_rowid();
                return Ok(Some(Job {
                    lane: lane.id,
                    level,
                    from_ms,
                    slot,
                    from,
                    series,
                    next: 0,
                    chunks: 0,
                    bytes: 0,
                    samples: 0,
                    first_ms: i64::MAX,
                    last_ms: i64::MIN,
                }));
            }
        }
        Ok(None)
    }

    async fn seal_batch(&mut self, job: &mut Job) -> Result<(), sqlx::Error> {
        let Some(connection) = self.connection.as_mut() else { return Ok(()) };
        let end = (job.next + BATCH).min(job.series.len());
        let batch = &job.series[job.next..end];
        let made = match &mut job.from {
            Material::Ticks { slot, .. } => {
                let work = slot.take(batch, |series| self.catalog.cadence_ms(series));
                let (first, from_ms, times) = (job.next == 0, job.from_ms, slot.times().to_vec());
                let mut made =
                    off_the_runtime(move || make_raw(first, from_ms, &times, work)).await;
                for chunk in &mut made {
                    let metric = self.catalog.entries.get(&chunk.series).map(|entry| entry.metric);
                    let newest = chunk.newest.as_ref().zip(metric);
                    chunk.last = newest.map(|(sample, metric)| number(sample, metric));
                }
                made
            }
            Material::Slots(slots) => {
                let chunks = load_chunks(connection, slots, batch).await?;
                let (slots, level, from_ms) = (slots.clone(), job.level, job.from_ms);
                off_the_runtime(move || make_coarse(level, from_ms, &slots, chunks)).await
            }
        };
        let outcome = insert_chunks(connection, job.slot, &made).await;
        db::or_rollback(outcome, connection).await?;
        job.next = end;
        for chunk in &made {
            job.chunks += 1;
            job.bytes += chunk.bytes();
            job.samples += chunk.samples as i64;
            job.first_ms = job.first_ms.min(chunk.first_ms);
            job.last_ms = job.last_ms.max(chunk.last_ms);
        }
        self.committed();
        Ok(())
    }

    /// The slot becomes visible: from here on it is read instead of the finer level.
    async fn flip(&mut self, job: &Job) -> Result<(), sqlx::Error> {
        let Some(connection) = self.connection.as_mut() else { return Ok(()) };
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.id == job.lane) else {
            return Ok(());
        };
        let mut sealed = lane.clone();
        sealed.until[job.level as usize] = job.from_ms + job.level.chunk_ms();
        if let Material::Ticks { last_seq, .. } = job.from {
            sealed.sealed_seq = last_seq;
        }
        let outcome = async {
            db::begin(connection).await?;
            sqlx::query(
                "UPDATE slot SET state = 1, chunks = ?2, bytes = ?3, samples = ?4, first_ms = ?5, last_ms = ?6
                 WHERE id = ?1",
            )
            .bind(job.slot)
            .bind(job.chunks)
            .bind(job.bytes)
            .bind(job.samples)
            .bind(job.first_ms)
            .bind(job.last_ms)
            .execute(&mut *connection)
            .await?;
            sealed.save(connection).await?;
            may_be_killed!("seal.flip");
            db::commit(connection).await
        };
        db::or_rollback(outcome.await, connection).await?;
        may_be_killed!("sealed");
        if job.level == Level::Raw {
            self.spent_ticks = Some(sealed.sealed_seq);
        }
        *lane = sealed;
        if job.level != Level::Raw {
            self.purge_what_waited();
        }
        self.committed();
        Ok(())
    }
}

// === impl Job ===

impl Job {
    /// Leaves what was made so far to the next round of purging.
    pub(crate) async fn give_up(
        self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE slot SET state = 2 WHERE id = ?")
            .bind(self.slot)
            .execute(connection)
            .await?;
        Ok(())
    }
}
