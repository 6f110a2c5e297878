//! The ticks of one raw slot, column by column.

use rustc_hash::FxHashMap;
use sqlx::SqliteConnection;

use super::make::{Made, RawWork, make_raw};
use crate::{
    codec::{Sample, raw::RawColumn},
    offload::off_the_runtime,
};

/// The ticks of one raw slot, column by column.
#[derive(Debug, Default)]
pub(crate) struct RawSlot {
    times: Vec<i64>,
    columns: FxHashMap<u32, (Vec<u32>, RawColumn)>,
}

// === impl RawSlot ===

impl RawSlot {
    pub(crate) fn push(&mut self, at_ms: i64, samples: Vec<(u32, Sample)>) {
        self.begin_tick(at_ms);
        for (series, sample) in samples {
            self.put(series, sample);
        }
    }

    /// What is put from here on was measured then.
    pub(super) fn begin_tick(&mut self, at_ms: i64) {
        self.times.push(at_ms);
    }

    pub(super) fn times(&self) -> &[i64] {
        &self.times
    }

    /// In ascending order.
    pub(super) fn series(&self) -> Vec<u32> {
        let mut series: Vec<u32> = self.columns.keys().copied().collect();
        series.sort_unstable();
        series
    }

    /// Takes the values of these series out.
    pub(super) fn take(&mut self, series: &[u32], cadence_ms: impl Fn(u32) -> u32) -> Vec<RawWork> {
        let work = series.iter().filter_map(|&series| {
            let (places, column) = self.columns.remove(&series)?;
            Some(RawWork { series, places, column, cadence_ms: cadence_ms(series) })
        });
        work.collect()
    }

    /// A value of the tick that was begun last.
    pub(super) fn put(&mut self, series: u32, sample: Sample) {
        let Some(place) = self.times.len().checked_sub(1) else { return };
        let (places, column) = self.columns.entry(series).or_insert_with(|| {
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
        places.push(place as u32);
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
    .bind(made.iter().map(Made::bytes).sum::<i64>())
    .bind(made.iter().map(|m| m.samples as i64).sum::<i64>())
    .bind(first_ms)
    .bind(last_ms)
    .execute(&mut *connection)
    .await?
    .last_insert_rowid();
    for chunk in &made {
        chunk.store(connection, id).await?;
    }
    Ok(())
}
