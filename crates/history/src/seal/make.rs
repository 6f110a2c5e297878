//! What one series gets in one slot: a chunk, from ticks or from finer chunks.

use plimsoll_core::series::Level;
use rustc_hash::FxHashMap;
use sqlx::{Row as _, SqliteConnection};

use super::{due::FinerSlot, finer};
use crate::{
    codec::{
        Sample,
        points::{self, Columns},
        raw::{self, RawColumn},
    },
    db,
    faults::may_be_killed,
    hours::Hours,
    rollup::{Points, Values},
};

/// What is stored of it, and where.
pub(super) enum Stored {
    Chunk(Vec<u8>),
    Hours(Hours),
}

/// What one series gets in one slot.
pub(super) struct Made {
    pub series: u32,
    pub data: Stored,
    pub samples: usize,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Of raw chunks: the newest value.
    pub newest: Option<Sample>,
    /// The same in the metric's unit.
    pub last: Option<f64>,
}

// === impl Made ===

impl Made {
    pub(super) fn bytes(&self) -> i64 {
        match &self.data {
            Stored::Chunk(data) => data.len() as i64,
            Stored::Hours(hours) => hours.bytes(),
        }
    }

    pub(super) async fn store(
        &self,
        connection: &mut SqliteConnection,
        slot: i64,
    ) -> Result<(), sqlx::Error> {
        match &self.data {
            Stored::Chunk(data) => {
                sqlx::query("INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?)")
                    .bind(slot)
                    .bind(self.series)
                    .bind(&data[..])
                    .execute(connection)
                    .await?;
            }
            Stored::Hours(hours) => {
                hours.put(connection, self.series, slot).await?;
            }
        }
        Ok(())
    }
}

/// Chunks of the batch by series, in the order of their slots.
pub(super) async fn load_chunks(
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

/// The values of one series in one raw slot.
pub(super) struct RawWork {
    pub series: u32,
    pub places: Vec<u32>,
    pub column: RawColumn,
    pub cadence_ms: u32,
}

pub(super) fn make_raw(
    with_times: bool,
    from_ms: i64,
    times: &[i64],
    work: Vec<RawWork>,
) -> Vec<Made> {
    let mut made = Vec::with_capacity(work.len() + 1);
    let at = |place: Option<&u32>, or: i64| place.map_or(or, |&p| times[p as usize]);
    if with_times {
        made.push(Made {
            series: 0,
            data: Stored::Chunk(raw::encode_times(from_ms, times)),
            samples: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            newest: None,
            last: None,
        });
    }
    for RawWork { series, places, column, cadence_ms } in work {
        made.push(Made {
            series,
            data: Stored::Chunk(raw::encode_raw(&places, &column, cadence_ms)),
            samples: places.len(),
            first_ms: at(places.first(), i64::MAX),
            last_ms: at(places.last(), i64::MIN),
            newest: match column {
                RawColumn::Gauge(v) => v.last().map(|v| Sample::Gauge(*v)),
                RawColumn::Counter(v) => v.last().map(|v| Sample::Counter(*v)),
                RawColumn::Histogram(v) => v.into_iter().next_back().map(Sample::Histogram),
            },
            last: None,
        });
    }
    made
}

pub(super) fn make_coarse(
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
        if !points.times().is_sorted_by(|a, b| a < b) {
            // Slots that overlap are damage: what they hold is put in order.
            points.interleave(points.none());
            points = points.coarser(step);
        }
        let times = points.times();
        let (Some(&first_ms), Some(&last_ms)) = (times.first(), times.last()) else { continue };
        let data = if level == Level::H1 {
            Stored::Hours(Hours::of(&points, from_ms, cadence_ms))
        } else {
            Stored::Chunk(points::encode_points(&points, from_ms, step, cadence_ms))
        };
        made.push(Made {
            series,
            data,
            samples: points.len(),
            first_ms,
            last_ms,
            newest: None,
            last: None,
        });
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

pub(super) async fn insert_chunks(
    connection: &mut SqliteConnection,
    slot: i64,
    made: &[Made],
) -> Result<(), sqlx::Error> {
    db::begin(connection).await?;
    for chunk in made {
        chunk.store(connection, slot).await?;
        if let Some(last) = chunk.last {
            sqlx::query("UPDATE series SET last_ms = ?2, last = ?3 WHERE id = ?1")
                .bind(chunk.series)
                .bind(chunk.last_ms)
                .bind(last)
                .execute(&mut *connection)
                .await?;
        }
    }
    may_be_killed!("seal.batch");
    db::commit(connection).await
}
