//! Which chunks a question needs, and reading them.

use std::{cmp::Reverse, ops::Range};

use futures::future::join_all;
use plimsoll_core::{metric::Kind, series::Level};

use crate::{
    chart::{level_for, step_for},
    chunks::{LAST, MORE, read_chunks},
    codec::{Sample, points::BLOCK_MS, quantise, raw},
    desk::Desk,
    error::ReadError,
    lane::Lane,
    moment::Moment,
    query::{LanePieces, Material, Piece, Wanted},
    rollup::GAP_TENTHS,
    spans::{Span, share},
};

/// What is asked, beside which series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub from_ms: i64,
    pub to_ms: i64,
    pub width_px: u32,
    /// That one, else the coarsest that fills the width.
    pub level: Option<Level>,
    /// Points are only drawn, joined to the chart's step.
    pub drawn: bool,
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
    /// Reads what a chart of these series needs, and ends the transaction.
    pub(crate) async fn material(
        &mut self,
        moment: Moment,
        asked: Asked,
    ) -> Result<Material, ReadError> {
        let Asked { from_ms, to_ms, width_px, .. } = asked;
        let Moment { lanes, purged, found } = moment;
        let wanted: Vec<Wanted> = found.into_iter().flatten().collect();
        let level = asked.level.unwrap_or_else(|| level_for(from_ms, to_ms, width_px, &purged));
        let step = level.step_ms().unwrap_or(1);
        // With more lanes each point is looked at.
        let blocks = asked.drawn
            && level == Level::H1
            && lanes.len() == 1
            && step_for(from_ms, to_ms, width_px, step) % BLOCK_MS == 0;
        // A point that begins within the range counts whole, sealed or not.
        let to_ms = to_ms + (-to_ms).rem_euclid(step);
        let mut read = Vec::with_capacity(lanes.len());
        let mut spans = Vec::new();
        for lane in &lanes {
            let before = reach(&wanted) + step;
            let pieces = if lane.first_ms < to_ms && lane.last_ms >= from_ms - before {
                self.plan(lane, &wanted, level, from_ms..to_ms, blocks, &mut spans)
            } else {
                let start = from_ms - from_ms.rem_euclid(step);
                LanePieces { starts: [start; 5], ..LanePieces::default() }
            };
            read.push(pieces);
        }
        let mut material = Material { level, lanes, read, data: Vec::new(), from_ms, to_ms };
        self.read_pieces(&mut material, &purged, spans, &wanted).await?;
        self.add_waiting(&mut material, &wanted);
        Ok(material)
    }

    /// Which level of a lane answers for which span, and what its tail has.
    fn plan(
        &self,
        lane: &Lane,
        wanted: &[Wanted],
        level: Level,
        range: Range<i64>,
        blocks: bool,
        spans: &mut Vec<Span>,
    ) -> LanePieces {
        let (from_ms, to_ms) = (range.start, range.end);
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
                let blocks = blocks && level == Level::H1;
                spans.extend(Span::of(level, lane.id, from..end, blocks));
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

    /// Reads all chunks and ends the transaction.
    async fn read_pieces(
        &mut self,
        material: &mut Material,
        purged: &[i64; 5],
        spans: Vec<Span>,
        wanted: &[Wanted],
    ) -> Result<(), ReadError> {
        if spans.is_empty() || wanted.is_empty() {
            return self.end().await;
        }
        let mut ids: Vec<u32> = wanted.iter().map(|w| w.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let groups = share(spans, &ids, self.helpers.len() + 1);
        let Some((_, connection)) = self.link.as_mut() else { return Err(ReadError::Closed) };
        if let [own] = &groups[..] {
            material.data.push(read_chunks(connection, LAST, &own.words(), &own.ids).await?.1);
        } else if let [own, beside @ ..] = &groups[..] {
            let helped = self.helpers.iter_mut().zip(beside).map(|(helper, group)| {
                let shared = &self.shared;
                async move { helper.chunks(shared, purged, &group.words(), &group.ids).await }
            });
            let words = own.words();
            let (data, helped) =
                futures::join!(read_chunks(connection, MORE, &words, &own.ids), join_all(helped));
            material.data.push(data?.1);
            for (group, data) in beside.iter().zip(helped) {
                material.data.push(match data {
                    Some(data) => data,
                    None => read_chunks(connection, MORE, &group.words(), &group.ids).await?.1,
                });
            }
            self.end().await?;
        }
        for (source, group) in groups.iter().enumerate() {
            material.sort_out(source, &group.spans);
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
                let more = crate::tail::one(at_ms, sample);
                match read.tail.entry(want.id) {
                    std::collections::hash_map::Entry::Occupied(mut e) => e.get_mut().append(more),
                    std::collections::hash_map::Entry::Vacant(e) => drop(e.insert(more)),
                }
            }
        }
    }
}

// === impl Material ===

impl Material {
    /// Finds the chunks in what one connection answered with.
    fn sort_out(&mut self, source: usize, spans: &[Span]) {
        let data = &self.data[source];
        let mut at = 0;
        while at < data.len() {
            let Some((head, span, found)) = Head::take(data, &mut at).and_then(|head| {
                let span = spans.get(head.span)?;
                let found = self.lanes.iter().position(|lane| lane.id == span.lane)?;
                Some((head, span, found))
            }) else {
                tracing::warn!("chunks came in another order than was asked for");
                break;
            };
            let Some(read) = self.read.get_mut(found) else { break };
            let (from_ms, range) = (head.from_ms, head.data);
            if head.series == 0 {
                if let Some(times) = raw::decode_times(&data[range], from_ms) {
                    read.times.insert(from_ms, times);
                }
            } else {
                let Span { level, blocks, .. } = *span;
                let series = head.series;
                read.pieces.push(Piece { level, from_ms, blocks, series, source, data: range });
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
