//! Chunks of the coarse levels: points of one step, column by column.
//!
//! Years of hours are hundreds of chunks, and reading and unpacking them would
//! take longer than all the rest of an answer. So beside the hours stand their
//! points joined to [`BLOCK_MS`], with the columns that a chart needs: one of
//! years reads no more than these.

use std::ops::Range;

use super::{
    Hist,
    chunk::{
        KIND_COUNTER, KIND_COUNTER_BLOCKS, KIND_GAUGE, KIND_GAUGE_BLOCKS, KIND_HISTOGRAM, VERSION,
        close, take_len,
    },
    column::{put_quick, take_column_into},
    hists::{put_histograms, take_histograms},
    places::{put_places, take_places_into},
    varint::{put, take, verified},
};
use crate::rollup::{At, Counter, Gauge, Points, Roll, roll};

/// To so long spans hours are joined beforehand: a chart whose points are a
/// multiple of it reads these.
pub(crate) const BLOCK_MS: i64 = 4 * 3_600_000;

/// Which columns of a rollup are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// What a further rollup needs.
    All,
    /// What a chart needs: the last value is left out (0).
    Chart,
}

/// Points of `step_ms` within the slot that begins at `from_ms`.
pub(crate) fn encode_points(
    points: &Points,
    from_ms: i64,
    step_ms: i64,
    cadence_ms: u32,
) -> Vec<u8> {
    encode(points, from_ms, step_ms, cadence_ms, Columns::All)
}

/// Points of [`BLOCK_MS`], for [`Columns::Chart`] alone.
pub(crate) fn encode_blocks(points: &Points, from_ms: i64, cadence_ms: u32) -> Vec<u8> {
    encode(points, from_ms, BLOCK_MS, cadence_ms, Columns::Chart)
}

fn encode(
    points: &Points,
    from_ms: i64,
    step_ms: i64,
    cadence_ms: u32,
    columns: Columns,
) -> Vec<u8> {
    let kind = match points {
        Points::Gauge(_) => KIND_GAUGE,
        Points::Counter(_) => KIND_COUNTER,
        Points::Histogram(_) => KIND_HISTOGRAM,
    };
    let mut out = vec![VERSION, kind];
    put(&mut out, u64::from(cadence_ms));
    put_places(&mut out, &places_of(points, from_ms, step_ms));
    match points {
        Points::Histogram(v) => put_histograms(&mut out, v.iter().map(|(_, hist)| hist)),
        _ => put_columns(&mut out, points, columns),
    }
    close(out)
}

fn places_of(points: &Points, from_ms: i64, step_ms: i64) -> Vec<u32> {
    points.times().iter().map(|at| ((at - from_ms) / step_ms) as u32).collect()
}

/// The columns of gauges and counters; differences from a minimum are small and
/// never negative.
fn put_columns(out: &mut Vec<u8>, points: &Points, columns: Columns) {
    let all = match points {
        Points::Gauge(v) => [
            column(v, |p| p.min),
            column(v, |p| p.max.wrapping_sub(p.min)),
            column(v, |p| p.count),
            column(v, |p| p.sum.wrapping_sub(p.min.wrapping_mul(p.count))),
            column(v, |p| p.last.wrapping_sub(p.min)),
        ],
        Points::Counter(v) => [
            column(v, |p| p.increase.cast_signed()),
            column(v, |p| p.covered_ms),
            column(v, |p| p.min_rate.cast_signed()),
            column(v, |p| p.max_rate.wrapping_sub(p.min_rate).cast_signed()),
            column(v, |p| p.last.cast_signed()),
        ],
        Points::Histogram(_) => return,
    };
    let wanted = if columns == Columns::All { 5 } else { 4 };
    for column in &all[..wanted] {
        put_quick(out, column);
    }
}

/// What of a chunk is wanted, and joined to spans of how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub from_ms: i64,
    /// Not included.
    pub to_ms: i64,
    /// A multiple of the points' own step.
    pub join_ms: i64,
}

/// Room for columns, used again from chunk to chunk.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    places: Vec<u32>,
    columns: [Vec<i64>; 5],
}

/// All points of a chunk, and the cadence at which their values were taken.
pub(crate) fn decode_points(
    data: &[u8],
    from_ms: i64,
    step_ms: i64,
    columns: Columns,
) -> Option<(Points, u32)> {
    let part = Part { from_ms: i64::MIN, to_ms: i64::MAX, join_ms: step_ms };
    let (mut out, mut scratch) = (None, Scratch::default());
    let cadence = join_points(data, from_ms, step_ms, columns, part, &mut out, &mut scratch)?;
    Some((out?, cadence))
}

/// Joins the points of a chunk to those of earlier ones, column by column: none
/// stands in memory singly. Of a damaged chunk nothing is taken.
pub(crate) fn join_points(
    data: &[u8],
    from_ms: i64,
    step_ms: i64,
    columns: Columns,
    part: Part,
    out: &mut Option<Points>,
    scratch: &mut Scratch,
) -> Option<u32> {
    let (&[version, mut kind], mut data) = verified(data)?.split_first_chunk::<2>()?;
    if version != VERSION {
        return None;
    }
    let Scratch { places, columns: room } = scratch;
    let cadence_ms = take(&mut data)?;
    if matches!(kind, KIND_GAUGE_BLOCKS | KIND_COUNTER_BLOCKS) {
        // Behind the blocks and their checksum.
        let blocks = take_len(&mut data)?;
        data = data.get(blocks + 4..)?;
        kind = if kind == KIND_GAUGE_BLOCKS { KIND_GAUGE } else { KIND_COUNTER };
    }
    take_places_into(&mut data, places)?;
    let cadence_ms = u32::try_from(cadence_ms).ok()?;
    let n = places.len();
    if kind == KIND_HISTOGRAM {
        let hists = take_histograms(&mut data, n)?;
        let points = out.get_or_insert_with(|| Points::Histogram(Vec::new()));
        let times = places.iter().map(|&p| from_ms + i64::from(p) * step_ms);
        let wanted = |(at, _): &At<Hist>| *at >= part.from_ms && *at < part.to_ms;
        points.append(Points::Histogram(roll(times.zip(hists).filter(wanted), part.join_ms)));
        return Some(cadence_ms);
    }
    for (i, column) in room.iter_mut().enumerate() {
        if i == 4 && columns == Columns::Chart {
            column.clear();
            column.resize(n, 0);
        } else {
            take_column_into(&mut data, n, column)?;
        }
    }
    // Slices of the same length: the loops below check no bounds.
    let [a, b, c, d, e] = room.each_ref().map(|column| &column[..n]);
    match kind {
        KIND_GAUGE => {
            let Points::Gauge(out) = out.get_or_insert_with(|| Points::Gauge(Vec::new())) else {
                return Some(cadence_ms);
            };
            join_each(out, places, from_ms, step_ms, part, |span| {
                let [a, b, c, d, e] = [a, b, c, d, e].map(|column| &column[span.clone()]);
                let mut all = Gauge { count: 0, sum: 0, min: i64::MAX, max: i64::MIN, last: 0 };
                for ((min, above), (count, rest)) in a.iter().zip(b).zip(c.iter().zip(d)) {
                    all.count = all.count.wrapping_add(*count);
                    let sum = rest.wrapping_add(min.wrapping_mul(*count));
                    all.sum = all.sum.saturating_add(sum);
                    all.min = all.min.min(*min);
                    all.max = all.max.max(min.wrapping_add(*above));
                }
                if columns == Columns::All {
                    all.last = a[a.len() - 1].wrapping_add(e[e.len() - 1]);
                }
                all
            });
        }
        KIND_COUNTER => {
            let Points::Counter(out) = out.get_or_insert_with(|| Points::Counter(Vec::new()))
            else {
                return Some(cadence_ms);
            };
            join_each(out, places, from_ms, step_ms, part, |span| {
                let [a, b, c, d, e] = [a, b, c, d, e].map(|column| &column[span.clone()]);
                let (mut increase, mut covered_ms) = (0u64, 0);
                let (mut min_rate, mut max_rate) = (u64::MAX, 0);
                for ((grown, ms), (low, above)) in a.iter().zip(b).zip(c.iter().zip(d)) {
                    increase = increase.saturating_add(grown.cast_unsigned());
                    covered_ms = ms.wrapping_add(covered_ms);
                    min_rate = min_rate.min(low.cast_unsigned());
                    max_rate = max_rate.max(low.wrapping_add(*above).cast_unsigned());
                }
                let last = e[e.len() - 1].cast_unsigned();
                Counter { increase, covered_ms, min_rate, max_rate, last }
            });
        }
        _ => return None,
    }
    Some(cadence_ms)
}

/// Hands `joined` the places of each span, none of them empty, and joins what
/// it makes of them to an earlier chunk's part of the same span.
fn join_each<T: Roll>(
    out: &mut Vec<At<T>>,
    places: &[u32],
    from_ms: i64,
    step_ms: i64,
    part: Part,
    joined: impl Fn(Range<usize>) -> T,
) {
    let time = |place: u32| from_ms + i64::from(place) * step_ms;
    let end = places.partition_point(|&p| time(p) < part.to_ms);
    let mut at = places.partition_point(|&p| time(p) < part.from_ms);
    while at < end {
        let first = time(places[at]);
        let start = first - first.rem_euclid(part.join_ms);
        // Steps up to the end of the span: no more places can lie in it.
        let steps = (start + part.join_ms - first + step_ms - 1) / step_ms;
        let most = end.min(at.saturating_add(usize::try_from(steps).unwrap_or(usize::MAX)));
        let next = at + places[at..most].partition_point(|&p| time(p) < start + part.join_ms);
        let point = joined(at..next);
        match out.last_mut() {
            Some((last, open)) if *last == start => open.join(&point),
            _ => out.push((start, point)),
        }
        at = next;
    }
}

fn column<T>(points: &[At<T>], of: impl Fn(&T) -> i64) -> Vec<i64> {
    points.iter().map(|(_, p)| of(p)).collect()
}

/// A chunk of hours as it was before version 3.
#[cfg(test)]
pub(crate) fn with_blocks(points: &Points, from_ms: i64) -> Vec<u8> {
    let kind = match points {
        Points::Counter(_) => KIND_COUNTER_BLOCKS,
        _ => KIND_GAUGE_BLOCKS,
    };
    let mut joined = Vec::new();
    let blocks = points.clone().coarser(BLOCK_MS);
    put_places(&mut joined, &places_of(&blocks, from_ms, BLOCK_MS));
    put_columns(&mut joined, &blocks, Columns::Chart);
    let mut out = vec![VERSION, kind];
    put(&mut out, 1000);
    put(&mut out, joined.len() as u64);
    out.extend(joined);
    let mut out = close(out);
    put_places(&mut out, &places_of(points, from_ms, BLOCK_MS / 4));
    put_columns(&mut out, points, Columns::All);
    close(out)
}

#[cfg(test)]
mod tests {
    use plimsoll_core::histogram::Histogram;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::chunk::count;

    const HOUR_MS: i64 = 3_600_000;

    fn places() -> impl Strategy<Value = Vec<u32>> {
        prop_oneof![
            (0u32..50, 1u32..8, 0usize..700)
                .prop_map(|(first, stride, n)| (0..n as u32).map(|i| first + i * stride).collect()),
            prop::collection::btree_set(0u32..2000, 0..120).prop_map(|s| s.into_iter().collect()),
        ]
    }

    fn hist() -> impl Strategy<Value = Hist> {
        prop::collection::vec((0u16..900, 1u64..100), 0..5)
            .prop_map(|b| Hist { layout: 1, histogram: Histogram::from_buckets(b) })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn points_come_back(
            places in places(), values in prop::collection::vec(any::<(i64, i64, i64, u64, u64)>(), 8),
        ) {
            let (from, step) = (7_200_000, 10_000);
            let pick = |p: u32| values[p as usize % values.len()];
            let gauges = Points::Gauge(places.iter().map(|&p| {
                let (a, b, c, d, _) = pick(p);
                (from + i64::from(p) * step, Gauge { count: (d % 9 + 1) as i64, sum: c, min: a, max: b, last: c })
            }).collect());
            let counters = Points::Counter(places.iter().map(|&p| {
                let (a, _, _, d, e) = pick(p);
                (from + i64::from(p) * step, Counter { increase: d, covered_ms: a, min_rate: e, max_rate: d, last: e })
            }).collect());
            for points in [gauges, counters] {
                let data = encode_points(&points, from, step, 1000);
                let (back, _) = decode_points(&data, from, step, Columns::All).unwrap();
                prop_assert_eq!(&back, &points);
                let (chart, _) = decode_points(&data, from, step, Columns::Chart).unwrap();
                prop_assert_eq!(chart.times(), points.times());
            }
        }

        #[test]
        fn hours_read_in_blocks_are_the_same_as_read_one_by_one(
            places in prop::collection::btree_set(0u32..720, 0..300),
            seed in 1i64..1_000_000, blocks in 1i64..9, from in 0i64..720, hours in 1i64..720,
        ) {
            let start = 30 * 24 * HOUR_MS * 600;
            let value = |p: u32, n: i64| (i64::from(p) * seed).rem_euclid(n);
            let at = |p: u32| start + i64::from(p) * HOUR_MS;
            let gauges = Points::Gauge(places.iter().map(|&p| {
                let (min, count) = (value(p, 1009) - 400, value(p, 7) + 1);
                let max = min + value(p, 31);
                (at(p), Gauge { count, sum: (min + max) / 2 * count, min, max, last: max })
            }).collect());
            let counters = Points::Counter(places.iter().map(|&p| {
                let low = value(p, 5003).cast_unsigned();
                (at(p), Counter {
                    increase: low * 3, covered_ms: value(p, 3600) + 1, min_rate: low, max_rate: low + 9, last: low,
                })
            }).collect());
            let part = Part {
                from_ms: start + from * HOUR_MS,
                to_ms: start + (from + hours) * HOUR_MS,
                join_ms: blocks * BLOCK_MS,
            };
            let whole = Part { from_ms: i64::MIN, to_ms: i64::MAX, ..part };
            for (points, part) in [(&gauges, part), (&gauges, whole), (&counters, part), (&counters, whole)] {
                let data = encode_points(points, start, HOUR_MS, 1000);
                prop_assert_eq!(count(&data), Some(places.len()));
                prop_assert_eq!(&decode_points(&data, start, HOUR_MS, Columns::All).unwrap().0, points);
                let (mut out, mut scratch) = (None, Scratch::default());
                join_points(&data, start, HOUR_MS, Columns::Chart, part, &mut out, &mut scratch).unwrap();
                let mut single = decode_points(&data, start, HOUR_MS, Columns::Chart).unwrap().0;
                single.retain(|at| at >= part.from_ms && at < part.to_ms);
                let single = single.coarser(part.join_ms);
                prop_assert_eq!(out.unwrap(), single);
            }
            for points in [&gauges, &counters] {
                let old = with_blocks(points, start);
                prop_assert_eq!(count(&old), Some(places.len()));
                prop_assert_eq!(&decode_points(&old, start, HOUR_MS, Columns::All).unwrap().0, points);
                let blocks = encode_blocks(&points.clone().coarser(BLOCK_MS), start, 1000);
                let (mut out, mut scratch) = (None, Scratch::default());
                join_points(&blocks, start, BLOCK_MS, Columns::Chart, whole, &mut out, &mut scratch).unwrap();
                let single = encode_points(points, start, HOUR_MS, 1000);
                let single = decode_points(&single, start, HOUR_MS, Columns::Chart).unwrap().0;
                prop_assert_eq!(out.unwrap(), single.coarser(whole.join_ms));
            }
        }

        #[test]
        fn histograms_come_back(hists in prop::collection::vec(hist(), 0..40)) {
            let points = Points::Histogram(
                hists.into_iter().enumerate().map(|(i, h)| (i as i64 * 60_000, h)).collect(),
            );
            let data = encode_points(&points, 0, 60_000, 1000);
            prop_assert_eq!(decode_points(&data, 0, 60_000, Columns::All).unwrap().0, points);
        }
    }
}
