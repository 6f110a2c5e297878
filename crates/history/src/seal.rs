//! Sealing: a cascade of compressed columns.
//!
//! When the span of a chunk is over, its slot is made once from the finer
//! level: raw from the ticks, 10 s from raw, and so on. The work is cut into
//! steps of at most [`BATCH`] series, between which ticks are committed; the
//! slot becomes visible, and its ticks superfluous, in one last small commit.
//! What a killed process leaves half done is invisible and made again.

use plimsoll_core::series::Level;
use rustc_hash::FxHashMap;
use sqlx::{Row as _, SqliteConnection};

use crate::{
    codec::{
        Sample,
        points::{self, Columns},
        raw::{self, RawColumn},
        tick,
    },
    db,
    faults::may_be_killed,
    lane::{Lane, slot_of},
    rollup::{Points, Values},
    writer::Writer,
};

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
    Ticks {
        columns: FxHashMap<u32, (Vec<u32>, RawColumn)>,
        times: Vec<i64>,
        last_seq: i64,
    },
    /// Slots of the finer level with their start and, for raw ones, the times of their ticks.
    Slots(Vec<FinerSlot>),
}

#[derive(Clone, Debug)]
struct FinerSlot {
    id: i64,
    from_ms: i64,
    times: Vec<i64>,
}

/// What one series gets in one slot.
struct Made {
    series: u32,
    data: Vec<u8>,
    samples: usize,
    first_ms: i64,
    last_ms: i64,
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
            Material::Ticks { columns, times, .. } => {
                let mut work: Vec<RawWork> = Vec::with_capacity(batch.len());
                for &series in batch {
                    let Some((places, column)) = columns.remove(&series) else { continue };
                    let cadence_ms = self.catalog.cadence_ms(series);
                    work.push(RawWork { series, places, column, cadence_ms });
                }
                let (first, from_ms, times) = (job.next == 0, job.from_ms, times.clone());
                off_the_runtime(move || make_raw(first, from_ms, &times, work)).await
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
            job.bytes += chunk.data.len() as i64;
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

/// The ticks of one raw slot, column by column.
#[derive(Debug, Default)]
pub(crate) struct RawSlot {
    times: Vec<i64>,
    columns: FxHashMap<u32, (Vec<u32>, RawColumn)>,
}

// === impl RawSlot ===

impl RawSlot {
    pub(crate) fn push(&mut self, at_ms: i64, samples: Vec<(u32, Sample)>) {
        let place = self.times.len() as u32;
        self.times.push(at_ms);
        for (series, sample) in samples {
            put_sample(&mut self.columns, series, place, sample);
        }
    }

    pub(crate) fn extent(&self) -> Option<(i64, i64)> {
        Some((*self.times.first()?, *self.times.last()?))
    }
}

/// Makes a sealed raw slot at once, outside of the cascade: for what was recovered.
pub(crate) async fn make_raw_slot(
    connection: &mut SqliteConnection,
    lane: i64,
    from_ms: i64,
    slot: RawSlot,
) -> Result<(), sqlx::Error> {
    let Some((first_ms, last_ms)) = slot.extent() else { return Ok(()) };
    let RawSlot { times, columns } = slot;
    let work = columns
        .into_iter()
        .map(|(series, (places, column))| RawWork { series, places, column, cadence_ms: 1000 })
        .collect();
    let made = off_the_runtime(move || make_raw(true, from_ms, &times, work)).await;
    let id = sqlx::query(
        "INSERT INTO slot (level, lane, from_ms, state, chunks, bytes, samples, first_ms, last_ms)
         VALUES (0, ?, ?, 1, ?, ?, ?, ?, ?)",
    )
    .bind(lane)
    .bind(from_ms)
    .bind(made.len() as i64)
    .bind(made.iter().map(|m| m.data.len() as i64).sum::<i64>())
    .bind(made.iter().map(|m| m.samples as i64).sum::<i64>())
    .bind(first_ms)
    .bind(last_ms)
    .execute(&mut *connection)
    .await?
    .last_insert_rowid();
    for chunk in &made {
        sqlx::query("INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?)")
            .bind(id)
            .bind(chunk.series)
            .bind(&chunk.data[..])
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

type Found = (i64, Material, Vec<u32>);

/// The next raw slot of a lane whose time is over, with what its ticks hold.
async fn next_raw(
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
    let mut times = Vec::with_capacity(rows.len());
    let mut columns: FxHashMap<u32, (Vec<u32>, RawColumn)> = FxHashMap::default();
    let mut last_seq = lane.sealed_seq;
    for (place, row) in rows.iter().enumerate() {
        last_seq = row.try_get(0)?;
        times.push(row.try_get(1)?);
        let payload: &[u8] = row.try_get(2)?;
        let whole = tick::decode(payload, |series, sample| {
            put_sample(&mut columns, series, place as u32, sample);
        });
        if whole.is_none() {
            tracing::warn!(seq = last_seq, "a damaged tick is left out");
        }
    }
    let mut series: Vec<u32> = columns.keys().copied().collect();
    series.sort_unstable();
    Ok(Some((from_ms, Material::Ticks { columns, times, last_seq }, series)))
}

fn put_sample(
    columns: &mut FxHashMap<u32, (Vec<u32>, RawColumn)>,
    series: u32,
    place: u32,
    sample: Sample,
) {
    let (places, column) = columns.entry(series).or_insert_with(|| {
        let column = match sample {
            Sample::Gauge(_) => RawColumn::Gauge(Vec::with_capacity(600)),
            Sample::Counter(_) => RawColumn::Counter(Vec::with_capacity(600)),
            Sample::Histogram(_) => RawColumn::Histogram(Vec::new()),
        };
        (Vec::with_capacity(600), column)
    });
    match (column, sample) {
        (RawColumn::Gauge(v), Sample::Gauge(value)) => v.push(value),
        (RawColumn::Counter(v), Sample::Counter(value)) => v.push(value),
        (RawColumn::Histogram(v), Sample::Histogram(value)) => v.push(value),
        _ => return,
    }
    places.push(place);
}

/// The next slot of a coarse level for which the finer one is complete.
async fn next_coarse(
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

/// Chunks of the batch by series, in the order of their slots.
async fn load_chunks(
    connection: &mut SqliteConnection,
    slots: &[FinerSlot],
    batch: &[u32],
) -> Result<FxHashMap<u32, Vec<(usize, Vec<u8>)>>, sqlx::Error> {
    let mut chunks: FxHashMap<u32, Vec<(usize, Vec<u8>)>> = FxHashMap::default();
    let (Some(&low), Some(&high)) = (batch.first(), batch.last()) else { return Ok(chunks) };
    for (i, slot) in slots.iter().enumerate() {
        let rows = sqlx::query(
            "SELECT series, data FROM chunk WHERE slot = ?1 AND series BETWEEN ?2 AND ?3",
        )
        .bind(slot.id)
        .bind(low)
        .bind(high)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            chunks.entry(row.try_get(0)?).or_default().push((i, row.try_get(1)?));
        }
    }
    Ok(chunks)
}

struct RawWork {
    series: u32,
    places: Vec<u32>,
    column: RawColumn,
    cadence_ms: u32,
}

fn make_raw(with_times: bool, from_ms: i64, times: &[i64], work: Vec<RawWork>) -> Vec<Made> {
    let mut made = Vec::with_capacity(work.len() + 1);
    let at = |place: Option<&u32>, or: i64| place.map_or(or, |&p| times[p as usize]);
    if with_times {
        made.push(Made {
            series: 0,
            data: raw::encode_times(from_ms, times),
            samples: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
        });
    }
    for RawWork { series, places, column, cadence_ms } in work {
        made.push(Made {
            series,
            data: raw::encode_raw(&places, &column, cadence_ms),
            samples: places.len(),
            first_ms: at(places.first(), i64::MAX),
            last_ms: at(places.last(), i64::MIN),
        });
    }
    made
}

fn make_coarse(
    level: Level,
    from_ms: i64,
    slots: &[FinerSlot],
    chunks: FxHashMap<u32, Vec<(usize, Vec<u8>)>>,
) -> Vec<Made> {
    let (Some(step), Some(finer)) = (level.step_ms(), finer(level)) else { return Vec::new() };
    let to_ms = from_ms + level.chunk_ms();
    let mut made = Vec::with_capacity(chunks.len());
    for (series, pieces) in chunks {
        let rolled = match finer.step_ms() {
            None => roll_raw(slots, &pieces, step, from_ms),
            Some(fine) => roll_points(slots, &pieces, fine, step),
        };
        let Some((mut points, cadence_ms)) = rolled else { continue };
        points.retain(|at| (from_ms..to_ms).contains(&at));
        let times = points.times();
        let (Some(&first_ms), Some(&last_ms)) = (times.first(), times.last()) else { continue };
        let data = points::encode_points(&points, from_ms, step, cadence_ms);
        made.push(Made { series, data, samples: points.len(), first_ms, last_ms });
    }
    made.sort_by_key(|m| m.series);
    made
}

fn roll_raw(
    slots: &[FinerSlot],
    pieces: &[(usize, Vec<u8>)],
    step: i64,
    from_ms: i64,
) -> Option<(Points, u32)> {
    let mut all: Option<(Values, u32)> = None;
    for (i, data) in pieces {
        // A damaged chunk is a gap; what is whole is kept.
        let Some((values, cadence)) = raw::decode_raw(data, &slots[*i].times) else {
            tracing::warn!("a damaged chunk is left out");
            continue;
        };
        match &mut all {
            None => all = Some((values, cadence)),
            Some((have, longest)) => {
                have.append(values);
                *longest = cadence.max(*longest);
            }
        }
    }
    all.map(|(values, cadence)| (values.roll(step, from_ms, cadence), cadence))
}

fn roll_points(
    slots: &[FinerSlot],
    pieces: &[(usize, Vec<u8>)],
    fine: i64,
    step: i64,
) -> Option<(Points, u32)> {
    let mut all: Option<(Points, u32)> = None;
    for (i, data) in pieces {
        let from = slots[*i].from_ms;
        let Some((points, cadence)) = points::decode_points(data, from, fine, Columns::All) else {
            tracing::warn!("a damaged chunk is left out");
            continue;
        };
        match &mut all {
            None => all = Some((points, cadence)),
            Some((have, longest)) => {
                have.append(points);
                *longest = cadence.max(*longest);
            }
        }
    }
    all.map(|(points, cadence)| (points.coarser(step), cadence))
}

async fn insert_chunks(
    connection: &mut SqliteConnection,
    slot: i64,
    made: &[Made],
) -> Result<(), sqlx::Error> {
    db::begin(connection).await?;
    for chunk in made {
        sqlx::query("INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?)")
            .bind(slot)
            .bind(chunk.series)
            .bind(&chunk.data[..])
            .execute(&mut *connection)
            .await?;
    }
    may_be_killed!("seal.batch");
    db::commit(connection).await
}

/// Compression takes milliseconds: not on a thread that serves others.
pub(crate) async fn off_the_runtime<T: Default + Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            // Only at the end of the runtime: nobody waits for the outcome.
            tracing::debug!(%error, "work was given up");
            T::default()
        }
    }
}
