//! A connection that reads, and what one question needs from it: everything in
//! one read transaction, so that sealing meanwhile shows no seam.

use std::{cmp::Reverse, ops::Range, sync::Arc};

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

/// Slots of one level of a lane that begin after one moment and before another.
struct Span {
    level: Level,
    lane: i64,
    after_ms: i64,
    end_ms: i64,
}

/// What stands before each chunk of an answer.
struct Head {
    span: usize,
    series: u32,
    from_ms: i64,
    data: Range<usize>,
}

// === impl Head ===

impl Head {
    /// Reads on at `at` and moves it behind the chunk.
    fn take(all: &[u8], at: &mut usize) -> Option<Self> {
        let mut word = || -> Option<&str> {
            let rest = all.get(*at..)?;
            let end = rest.iter().position(|&b| b == b' ')?;
            *at += end + 1;
            std::str::from_utf8(&rest[..end]).ok()
        };
        let (span, series) = (word()?.parse().ok()?, word()?.parse().ok()?);
        let from_ms = word()?.parse().ok()?;
        let length: usize = word()?.parse().ok()?;
        let data = *at..at.checked_add(length).filter(|end| *end <= all.len())?;
        *at = data.end;
        Some(Self { span, series, from_ms, data })
    }
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
        Ok(self.find_all(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// In the order of the keys; `None` for a series that is not known.
    pub(crate) async fn find_all(
        &mut self,
        keys: &[SeriesKey],
    ) -> Result<Vec<Option<Wanted>>, ReadError> {
        let names: Vec<[&str; 2]> = keys.iter().map(|k| [&*k.metric, &*k.subject]).collect();
        let rows = sqlx::query(
            "SELECT j.key, s.id, s.cadence_ms FROM json_each(?1) j CROSS JOIN series s
             ON s.metric = j.value ->> 0 AND s.subject = j.value ->> 1",
        )
        .bind(serde_json::to_string(&names).unwrap_or_default())
        .fetch_all(self.connection()?)
        .await?;
        let mut found = vec![None; keys.len()];
        for row in &rows {
            let at: i64 = row.try_get(0)?;
            let Some((at, key)) = usize::try_from(at).ok().and_then(|at| Some((at, keys.get(at)?)))
            else {
                continue;
            };
            let Some(metric) = Metric::named(&key.metric) else { continue };
            found[at] = Some(Wanted {
                id: row.try_get(1)?,
                metric,
                subject: key.subject.clone(),
                cadence_ms: row.try_get(2)?,
            });
        }
        Ok(found)
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
        let mut spans = Vec::new();
        for lane in &lanes {
            let before = reach(wanted) + step;
            let pieces = if lane.first_ms < to_ms && lane.last_ms >= from_ms - before {
                self.plan(lane, wanted, level, from_ms, to_ms, &mut spans)
            } else {
                let start = from_ms - from_ms.rem_euclid(step);
                LanePieces { starts: [start; 5], ..LanePieces::default() }
            };
            read.push(pieces);
        }
        let mut material = Material { level, lanes, read, data: Vec::new(), from_ms, to_ms };
        self.read_pieces(&mut material, &spans, wanted).await?;
        self.add_waiting(&mut material, wanted);
        Ok(material)
    }

    /// Which level of a lane answers for which span, and what its tail has.
    fn plan(
        &self,
        lane: &Lane,
        wanted: &[Wanted],
        level: Level,
        from_ms: i64,
        to_ms: i64,
        spans: &mut Vec<Span>,
    ) -> LanePieces {
        let mut found = LanePieces::default();
        let step = level.step_ms().unwrap_or(1);
        let mut start = from_ms - from_ms.rem_euclid(step);
        for level in Level::ALL[..=level as usize].iter().rev().copied() {
            found.starts[level as usize] = start;
            let end = to_ms.min(lane.until(level));
            // Raw also where only ticks answer: their first pair begins in the last chunk.
            let (from, any) = if level == Level::Raw {
                let from = start - reach(wanted);
                (from, from < lane.until(level))
            } else {
                (start, start < end)
            };
            if any {
                let after_ms = from.saturating_sub(level.chunk_ms());
                spans.push(Span { level, lane: lane.id, after_ms, end_ms: end });
            }
            start = start.max(lane.until(level));
        }
        let tail_from = found.starts[Level::Raw as usize] - reach(wanted);
        for want in wanted {
            if let Some(values) = self.tail.values(lane.id, want.id, tail_from, to_ms) {
                found.tail.insert(want.id, values);
            }
        }
        found
    }

    /// Reads all chunks of a question in one row: a row costs two switches of
    /// threads, and years of a few series are hundreds of chunks. Each stands in
    /// it as span, series, start and length in digits, then its bytes.
    async fn read_pieces(
        &mut self,
        material: &mut Material,
        spans: &[Span],
        wanted: &[Wanted],
    ) -> Result<(), ReadError> {
        if spans.is_empty() || wanted.is_empty() {
            return Ok(());
        }
        let words: Vec<String> = spans
            .iter()
            .map(|s| format!("[{},{},{},{}]", s.level as u8, s.lane, s.after_ms, s.end_ms))
            .collect();
        let data: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT CAST(group_concat(
                 r.key || ' ' || c.series || ' ' || s.from_ms || ' ' || length(c.data) || ' ' || c.data,
                 '') AS BLOB)
             FROM json_each(?1) r CROSS JOIN slot s
             ON s.level = r.value ->> 0 AND s.from_ms > r.value ->> 2 AND s.from_ms < r.value ->> 3
             CROSS JOIN json_each(?2) j CROSS JOIN chunk c
             ON c.slot = s.id AND c.series = j.value
             WHERE s.lane = r.value ->> 1 AND s.state = 1",
        )
        .bind(format!("[{}]", words.join(",")))
        .bind(ids(wanted))
        .fetch_one(self.connection()?)
        .await?;
        material.data = data.unwrap_or_default();
        let mut at = 0;
        while at < material.data.len() {
            let Some((head, span, found)) = Head::take(&material.data, &mut at).and_then(|head| {
                let span = spans.get(head.span)?;
                let found = material.lanes.iter().position(|lane| lane.id == span.lane)?;
                Some((head, span, found))
            }) else {
                tracing::warn!("chunks came in another order than was asked for");
                break;
            };
            let Some(read) = material.read.get_mut(found) else { break };
            let (from_ms, data) = (head.from_ms, head.data);
            if head.series == 0 {
                if let Some(times) = chunk::decode_times(&material.data[data], from_ms) {
                    read.times.insert(from_ms, times);
                }
            } else {
                read.pieces.push(Piece { level: span.level, from_ms, series: head.series, data });
            }
        }
        // SQL promises no order within a concatenation.
        for read in &mut material.read {
            read.pieces.sort_by_key(|piece| (Reverse(piece.level), piece.from_ms));
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

/// Series as a JSON list, with the times of raw slots.
fn ids(wanted: &[Wanted]) -> String {
    let mut ids: Vec<u32> = wanted.iter().map(|w| w.id).chain([0]).collect();
    ids.sort_unstable();
    ids.dedup();
    let words: Vec<String> = ids.iter().map(u32::to_string).collect();
    format!("[{}]", words.join(","))
}
