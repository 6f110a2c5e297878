//! A connection that reads, and what one question needs from it: everything in
//! one read transaction, so that sealing meanwhile shows no seam.

use std::sync::Arc;

use plimsoll_core::{
    metric::{Kind, Metric},
    series::{Level, SeriesKey},
};
use sqlx::{Row as _, SqliteConnection};

use crate::{
    codec::{Sample, chunk, quantise},
    db::{self, Found, HISTORY},
    error::{Fault, OpenError, ReadError, fault_of},
    history::Shared,
    lane::Lane,
    query::{LanePieces, Material, Piece, Wanted, level_for},
    recorder::Queue,
    rollup::GAP_TENTHS,
    tail::Tail,
};

pub(crate) struct Desk {
    pub shared: Arc<Shared>,
    /// In the process of the writer: ticks that wait.
    pub queue: Option<Arc<Queue>>,
    link: Option<(u64, SqliteConnection)>,
    pub tail: Tail,
    /// Nobody asks any more.
    pub closed: bool,
}

// === impl Desk ===

impl Desk {
    pub(crate) fn new(shared: Arc<Shared>, queue: Option<Arc<Queue>>) -> Self {
        Self { shared, queue, link: None, tail: Tail::default(), closed: false }
    }

    pub(crate) async fn close(&mut self) {
        self.closed = true;
        if let Some((_, connection)) = self.link.take() {
            db::close(connection).await;
        }
    }

    /// Opens the database, or again after it was replaced.
    pub(crate) async fn ready(&mut self) -> Result<(), ReadError> {
        if self.closed {
            return Err(ReadError::Closed);
        }
        let generation = self.shared.generation();
        if self.link.as_ref().is_some_and(|(g, _)| *g == generation) {
            return Ok(());
        }
        if let Some((_, old)) = self.link.take() {
            db::close(old).await;
        }
        self.tail = Tail::default();
        let path = self.shared.path.clone();
        let unusable = |reason: String| OpenError::Unusable { path: path.clone(), reason };
        match HISTORY.look_at(&path).map_err(|e| unusable(e.to_string()))? {
            Found::Nothing | Found::Ours(0) => {
                let folder = path.parent().unwrap_or(&path).to_owned();
                return Err(OpenError::Missing { path: folder }.into());
            }
            Found::Ours(found) if found > HISTORY.version() => {
                return Err(OpenError::Newer { path, found, known: HISTORY.version() }.into());
            }
            Found::Ours(found) if found < HISTORY.version() => {
                return Err(unusable(
                    "it is of an older version; start Plimsoll once, which brings it up to date"
                        .into(),
                )
                .into());
            }
            Found::Ours(_) => {}
            Found::Foreign => return Err(OpenError::Foreign { path }.into()),
            Found::Damaged => {
                self.report(generation, None);
                return Err(OpenError::Damaged {
                    path,
                    reason: "it does not begin like a database".into(),
                }
                .into());
            }
        }
        let connection = HISTORY.reader(&path).await.map_err(|e| unusable(e.to_string()))?;
        self.link = Some((generation, connection));
        Ok(())
    }

    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, ReadError> {
        self.link.as_mut().map(|(_, connection)| connection).ok_or(ReadError::Closed)
    }

    /// After an error: the connection is made anew, and the writer hears of damage.
    pub(crate) async fn failed(&mut self, error: &ReadError) {
        if let ReadError::Database(error) = error
            && let Some((generation, connection)) = self.link.take()
        {
            db::close(connection).await;
            self.report(generation, Some(error));
        }
    }

    fn report(&self, generation: u64, error: Option<&sqlx::Error>) {
        if error.is_none_or(|e| fault_of(e) == Fault::Damaged)
            && let Some(queue) = &self.queue
        {
            self.shared.report_damage(generation);
            queue.wake.notify_one();
        }
    }

    pub(crate) async fn begin(&mut self) -> Result<(), ReadError> {
        sqlx::query("BEGIN").execute(self.connection()?).await?;
        Ok(())
    }

    pub(crate) async fn end(&mut self) -> Result<(), ReadError> {
        sqlx::query("COMMIT").execute(self.connection()?).await?;
        Ok(())
    }

    /// Lanes as they are now, unsealed ticks read.
    pub(crate) async fn lanes(&mut self) -> Result<Vec<Lane>, ReadError> {
        let Some((_, connection)) = self.link.as_mut() else { return Err(ReadError::Closed) };
        let mut lanes = Lane::load_all(connection).await?;
        self.tail.sync(connection, &mut lanes).await?;
        Ok(lanes)
    }

    pub(crate) async fn purged(&mut self) -> Result<[i64; 5], ReadError> {
        let rows =
            sqlx::query("SELECT level, until_ms FROM purged").fetch_all(self.connection()?).await?;
        let mut purged = [i64::MIN; 5];
        for row in &rows {
            let level: i64 = row.try_get(0)?;
            if let Some(until) = usize::try_from(level).ok().and_then(|l| purged.get_mut(l)) {
                *until = row.try_get(1)?;
            }
        }
        Ok(purged)
    }

    pub(crate) async fn find(&mut self, key: &SeriesKey) -> Result<Option<Wanted>, ReadError> {
        let Some(metric) = Metric::named(&key.metric) else { return Ok(None) };
        let row =
            sqlx::query("SELECT id, cadence_ms FROM series WHERE metric = ?1 AND subject = ?2")
                .bind(&key.metric)
                .bind(&key.subject)
                .fetch_optional(self.connection()?)
                .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Wanted {
            id: row.try_get(0)?,
            metric,
            subject: key.subject.clone(),
            cadence_ms: row.try_get(1)?,
        }))
    }

    /// Reads what a chart of these series needs. `level`: that one, else the
    /// coarsest that fills the width.
    pub(crate) async fn material(
        &mut self,
        wanted: &[Wanted],
        from_ms: i64,
        to_ms: i64,
        width_px: u32,
        level: Option<Level>,
    ) -> Result<Material, ReadError> {
        let lanes = self.lanes().await?;
        let level = match level {
            Some(level) => level,
            None => level_for(from_ms, to_ms, width_px, &self.purged().await?),
        };
        // A point that begins within the range counts whole, sealed or not.
        let step = level.step_ms().unwrap_or(1);
        let to_ms = to_ms + (-to_ms).rem_euclid(step);
        let mut read = Vec::with_capacity(lanes.len());
        for lane in &lanes {
            let before = reach(wanted) + step;
            let pieces = if lane.first_ms < to_ms && lane.last_ms >= from_ms - before {
                self.lane_pieces(lane, wanted, level, from_ms, to_ms).await?
            } else {
                let start = from_ms - from_ms.rem_euclid(step);
                LanePieces { starts: [start; 5], ..LanePieces::default() }
            };
            read.push(pieces);
        }
        let mut material = Material { level, lanes, read, from_ms, to_ms };
        self.add_waiting(&mut material, wanted);
        Ok(material)
    }

    async fn lane_pieces(
        &mut self,
        lane: &Lane,
        wanted: &[Wanted],
        level: Level,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<LanePieces, ReadError> {
        let mut found = LanePieces::default();
        let step = level.step_ms().unwrap_or(1);
        let mut start = from_ms - from_ms.rem_euclid(step);
        let ids = ids(wanted, false);
        for level in Level::ALL[..=level as usize].iter().rev().copied() {
            found.starts[level as usize] = start;
            let end = to_ms.min(lane.until(level));
            if level == Level::Raw {
                // Also where only ticks answer: their first pair begins in the last chunk.
                let from = start - reach(wanted);
                if from < lane.until(level) {
                    self.read_pieces(&mut found, lane, level, from, end, &with_times(wanted))
                        .await?;
                }
            } else if start < end {
                self.read_pieces(&mut found, lane, level, start, end, &ids).await?;
            }
            start = start.max(lane.until(level));
        }
        let tail_from = found.starts[Level::Raw as usize] - reach(wanted);
        for want in wanted {
            if let Some(values) = self.tail.values(lane.id, want.id, tail_from, to_ms) {
                found.tail.insert(want.id, values);
            }
        }
        Ok(found)
    }

    async fn read_pieces(
        &mut self,
        found: &mut LanePieces,
        lane: &Lane,
        level: Level,
        from_ms: i64,
        end_ms: i64,
        ids: &str,
    ) -> Result<(), ReadError> {
        let rows = sqlx::query(
            "SELECT s.from_ms, c.series, c.data
             FROM slot s CROSS JOIN json_each(?5) j CROSS JOIN chunk c
             ON c.slot = s.id AND c.series = j.value
             WHERE s.level = ?1 AND s.lane = ?2 AND s.state = 1 AND s.from_ms > ?3 AND s.from_ms < ?4
             ORDER BY s.from_ms",
        )
        .bind(level as u8)
        .bind(lane.id)
        .bind(from_ms.saturating_sub(level.chunk_ms()))
        .bind(end_ms)
        .bind(ids)
        .fetch_all(self.connection()?)
        .await?;
        for row in &rows {
            let (from_ms, series): (i64, u32) = (row.try_get(0)?, row.try_get(1)?);
            let data: &[u8] = row.try_get(2)?;
            if series == 0 {
                if let Some(times) = chunk::decode_times(data, from_ms) {
                    found.times.insert(from_ms, times);
                }
            } else {
                found.pieces.push(Piece { level, from_ms, series, data: data.to_vec() });
            }
        }
        Ok(())
    }

    /// While recording is paused its newest ten minutes are only in memory.
    fn add_waiting(&self, material: &mut Material, wanted: &[Wanted]) {
        let Some(queue) = &self.queue else { return };
        let waiting = queue.lock();
        if !waiting.paused {
            return;
        }
        let (Some(lane), Some(read)) = (material.lanes.last_mut(), material.read.last_mut()) else {
            return;
        };
        for tick in &waiting.ticks {
            let at_ms = tick.at.wall_ms;
            if at_ms <= lane.last_ms {
                continue;
            }
            lane.last_ms = at_ms;
            for reading in &tick.readings {
                use plimsoll_core::reading::Value;
                let Some(want) = wanted
                    .iter()
                    .find(|w| w.metric == reading.metric && w.subject == *reading.subject)
                else {
                    continue;
                };
                let sample = match &reading.value {
                    Value::Gauge(v) if v.is_finite() => {
                        Sample::Gauge(quantise(*v, want.metric.spec().resolution))
                    }
                    Value::Counter(v) => Sample::Counter(*v),
                    _ => continue,
                };
                let more = crate::tail::one(at_ms, &sample);
                match read.tail.entry(want.id) {
                    std::collections::hash_map::Entry::Occupied(mut e) => e.get_mut().append(more),
                    std::collections::hash_map::Entry::Vacant(e) => drop(e.insert(more)),
                }
            }
        }
    }
}

/// How far before a range its first pair of totals may begin.
fn reach(wanted: &[Wanted]) -> i64 {
    wanted
        .iter()
        .filter(|w| w.metric.spec().kind == Kind::Counter)
        .map(|w| i64::from(w.cadence_ms) * GAP_TENTHS / 10)
        .max()
        .unwrap_or(0)
}

fn ids(wanted: &[Wanted], times: bool) -> String {
    let mut ids: Vec<u32> = wanted.iter().map(|w| w.id).collect();
    if times {
        ids.push(0);
    }
    ids.sort_unstable();
    ids.dedup();
    let words: Vec<String> = ids.iter().map(u32::to_string).collect();
    format!("[{}]", words.join(","))
}

fn with_times(wanted: &[Wanted]) -> String {
    ids(wanted, true)
}
