//! Which chunks a question needs, and reading them.

use std::{cmp::Reverse, ops::Range};

use futures::future::join_all;
use plimsoll_core::{metric::Kind, series::Level};

use crate::{
    chunks::{LAST, MORE, read_chunks},
    codec::{Sample, points::BLOCK_MS, quantise, raw},
    desk::Desk,
    error::ReadError,
    lane::{Lane, slot_of},
    moment::Moment,
    query::{LanePieces, Material, Piece, Wanted, level_for, step_for},
    rollup::GAP_TENTHS,
};

/// What a chunk costs to read, in what a row of blocks does: several of these lie
/// in a page, while a chunk is a page or two.
const CHUNK_COST: i64 = 4;
/// Cost that is worth a helper.
const WORTH: i64 = 64 * CHUNK_COST;

/// Slots of one level of a lane that begin after one moment and before another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    level: Level,
    lane: i64,
    after_ms: i64,
    end_ms: i64,
    /// Of hours no more than their blocks are read.
    blocks: bool,
}

/// What one connection reads.
#[derive(Debug)]
struct Group {
    spans: Vec<Span>,
    ids: Vec<u32>,
}

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

// === impl Span ===

impl Span {
    /// The slots in which a range lies. Blocks count whole: slots that the range
    /// cuts are read as they are.
    fn of(level: Level, lane: i64, range: Range<i64>, blocks: bool) -> Vec<Self> {
        let chunk = level.chunk_ms();
        let span = |after_ms, end_ms, blocks| Self { level, lane, after_ms, end_ms, blocks };
        let (first, end) = (range.start.saturating_sub(chunk), range.end);
        let (from, to) = (slot_of(level, range.start + chunk - 1), slot_of(level, end));
        if !blocks || from >= to {
            return vec![span(first, end, false)];
        }
        vec![span(first, from, false), span(from - 1, to, true), span(to - 1, end, false)]
    }

    /// The first slot that may lie in it, and how many.
    fn slots(&self) -> (i64, i64) {
        let chunk = self.level.chunk_ms();
        let first = slot_of(self.level, self.after_ms).saturating_add(chunk);
        let span = self.end_ms.saturating_sub(first).max(0);
        (first, span / chunk + i64::from(span % chunk > 0))
    }

    /// For one series.
    fn cost(&self) -> i64 {
        self.slots().1 * if self.blocks { 1 } else { CHUNK_COST }
    }

    /// In the table of blocks, of hours, or of other chunks.
    fn table(&self) -> u8 {
        match (self.level, self.blocks) {
            (Level::H1, true) => 2,
            (Level::H1, false) => 1,
            _ => 0,
        }
    }
}

// === impl Group ===

impl Group {
    fn new(spans: Vec<Span>, ids: &[u32]) -> Self {
        let mut ids = ids.to_vec();
        if spans.iter().any(|span| span.level == Level::Raw) {
            // With the times of raw slots.
            ids.insert(0, 0);
        }
        Self { spans, ids }
    }

    /// As JSON.
    fn words(&self) -> String {
        let words: Vec<String> = self
            .spans
            .iter()
            .map(|s| {
                let table = s.table();
                format!("[{},{},{},{},{table}]", s.level as u8, s.lane, s.after_ms, s.end_ms)
            })
            .collect();
        format!("[{}]", words.join(","))
    }
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

/// What several connections read, where it is worth them, each its own pages: hours
/// lie by series in the file, all finer chunks by time.
fn share(spans: Vec<Span>, ids: &[u32], most: usize) -> Vec<Group> {
    let cost =
        |spans: &[Span]| spans.iter().map(Span::cost).sum::<i64>().saturating_mul(ids.len() as i64);
    let all = cost(&spans);
    let groups = usize::try_from(all / WORTH).unwrap_or(most).clamp(1, most);
    if groups == 1 {
        return vec![Group::new(spans, ids)];
    }
    let (hours, finer): (Vec<Span>, Vec<Span>) =
        spans.into_iter().partition(|span| span.level == Level::H1);
    let part = usize::try_from(cost(&hours).saturating_mul(groups as i64) / all.max(1));
    let most_for_hours = ids.len().min(if finer.is_empty() { groups } else { groups - 1 });
    let for_hours = part.unwrap_or(groups).clamp(1, most_for_hours.max(1));
    let mut out = Vec::with_capacity(groups);
    if !finer.is_empty() {
        let left = if hours.is_empty() { groups } else { groups - for_hours };
        out.extend(by_time(finer, left).into_iter().map(|spans| Group::new(spans, ids)));
    }
    if !hours.is_empty() {
        let each = ids.len().div_ceil(for_hours).max(1);
        out.extend(ids.chunks(each).map(|ids| Group::new(hours.clone(), ids)));
    }
    out
}

/// The same spans in at most so many parts of as many slots each.
fn by_time(spans: Vec<Span>, parts: usize) -> Vec<Vec<Span>> {
    let all: i64 = spans.iter().map(|span| span.slots().1).sum();
    let each = all.div_euclid(parts.max(1) as i64) + 1;
    let mut out: Vec<Vec<Span>> = vec![Vec::new()];
    let mut room = each;
    for mut span in spans {
        loop {
            let (first, slots) = span.slots();
            if slots > room {
                let border = first + room * span.level.chunk_ms();
                let before = Span { end_ms: border, ..span.clone() };
                span.after_ms = border - 1;
                if let Some(last) = out.last_mut().filter(|_| room > 0) {
                    last.push(before);
                }
                out.push(Vec::new());
                room = each;
                continue;
            }
            room -= slots;
            if let Some(last) = out.last_mut() {
                last.push(span);
            }
            break;
        }
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slots_that_lie_whole_in_the_range_are_read_in_blocks() {
        let chunk = Level::H1.chunk_ms();
        let slots = |from: i64, to: i64| {
            let spans = Span::of(Level::H1, 1, from..to, true);
            let starts = (-1..6).map(|i| i * chunk);
            starts
                .filter_map(|start| {
                    let mut of = spans.iter().filter(|s| start > s.after_ms && start < s.end_ms);
                    let span = of.next()?;
                    assert!(of.next().is_none(), "slot {start} is read twice");
                    Some((start / chunk, span.blocks))
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(slots(0, 3 * chunk), [(0, true), (1, true), (2, true)]);
        assert_eq!(slots(1, 3 * chunk + 1), [(0, false), (1, true), (2, true), (3, false)]);
        assert_eq!(slots(1, 2), [(0, false)]);
        assert_eq!(slots(1, chunk + 1), [(0, false), (1, false)]);
    }

    #[test]
    fn every_slot_is_read_by_one_connection_once_for_each_series() {
        let span = |level: Level, days: Range<i64>, blocks| {
            let range = days.start * 86_400_000 + 5..days.end * 86_400_000 + 7;
            Span::of(level, 1, range, blocks)
        };
        let mut spans = span(Level::H1, 0..1800, true);
        spans.extend(span(Level::M15, 1800..1826, false));
        spans.extend(span(Level::M1, 1826..1831, false));
        spans.extend(span(Level::Raw, 1831..1832, false));
        // Once for each series what is read, and by how many.
        let read = |groups: &[Group]| {
            let mut read: Vec<(u8, u8, i64, u32)> = Vec::new();
            for group in groups {
                for span in &group.spans {
                    let (first, slots) = span.slots();
                    for slot in 0..slots {
                        let at = first + slot * span.level.chunk_ms();
                        assert!(at > span.after_ms && at < span.end_ms);
                        let ids = group.ids.iter().filter(|id| **id > 0);
                        read.extend(ids.map(|id| (span.level as u8, span.table(), at, *id)));
                    }
                }
                let raw = group.spans.iter().any(|span| span.level == Level::Raw);
                assert_eq!(group.ids.contains(&0), raw);
            }
            read.sort_unstable();
            read
        };
        for ids in [&[1u32][..], &[1, 2], &[1, 4, 5, 9, 11, 12, 30, 31]] {
            let one = share(spans.clone(), ids, 1);
            assert_eq!(one.len(), 1);
            for most in 2..6 {
                for only in [None, Some(true), Some(false)] {
                    let hours = |span: &Span| only.is_none_or(|o| o == (span.level == Level::H1));
                    let spans: Vec<Span> = spans.iter().filter(|s| hours(s)).cloned().collect();
                    let groups = share(spans.clone(), ids, most);
                    assert!(groups.len() <= most, "{} of {most}", groups.len());
                    assert_eq!(read(&groups), read(&share(spans, ids, 1)));
                }
            }
        }
    }
}
