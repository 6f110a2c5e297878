//! Which spans of time a question reads at which level, and what each of several
//! connections takes of them.

use std::ops::Range;

use plimsoll_core::series::Level;

use crate::lane::slot_of;

/// What a chunk costs to read, in what a row of blocks does: several of these lie
/// in a page, while a chunk is a page or two.
const CHUNK_COST: i64 = 4;
/// Cost that is worth a helper.
const WORTH: i64 = 64 * CHUNK_COST;

/// Slots of one level of a lane that begin after one moment and before another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub level: Level,
    pub lane: i64,
    pub after_ms: i64,
    pub end_ms: i64,
    /// Of hours no more than their blocks are read.
    pub blocks: bool,
}

/// What one connection reads.
#[derive(Debug)]
pub(crate) struct Group {
    pub spans: Vec<Span>,
    pub ids: Vec<u32>,
}

// === impl Span ===

impl Span {
    /// The slots in which a range lies. Blocks count whole: slots that the range
    /// cuts are read as they are.
    pub fn of(level: Level, lane: i64, range: Range<i64>, blocks: bool) -> Vec<Self> {
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
    pub fn words(&self) -> String {
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

/// What several connections read, where it is worth them, each its own pages: hours
/// lie by series in the file, all finer chunks by time.
pub(crate) fn share(spans: Vec<Span>, ids: &[u32], most: usize) -> Vec<Group> {
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
