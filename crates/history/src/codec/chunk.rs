//! A chunk: what one series has in one slot, in compressed columns.
//!
//! Layout: version, kind, cadence, presence, columns, checksum. *Presence* says
//! at which places of the slot the series has something: for raw chunks the
//! numbers of the slot's ticks (whose times stand once for all series), for the
//! coarse levels the numbers of its points. Regular runs take three bytes, so a
//! series of every fifth tick costs no more than one of each. A column of equal
//! numbers is that number; a short one is written out; the rest is left to pco.
//!
//! Years of hours are hundreds of chunks, and unpacking them would take longer
//! than all the rest of an answer. So a chunk of hours has its points also
//! joined to [`BLOCK_MS`], written out plainly before its columns.

use pco::{ChunkConfig, standalone};

use super::{
    Hist,
    varint::{checksum, put, put_signed, take, take_signed, verified},
};
use crate::rollup::{At, Counter, Gauge, Points, Roll, Values, roll};
use plimsoll_core::histogram::Histogram;

const VERSION: u8 = 1;
const KIND_TIMES: u8 = 0;
const KIND_RAW_GAUGE: u8 = 1;
const KIND_RAW_COUNTER: u8 = 2;
const KIND_RAW_HISTOGRAM: u8 = 3;
const KIND_GAUGE: u8 = 4;
const KIND_COUNTER: u8 = 5;
const KIND_HISTOGRAM: u8 = 6;
/// Gauges and counters of hours, with their blocks.
const KIND_GAUGE_BLOCKS: u8 = 7;
const KIND_COUNTER_BLOCKS: u8 = 8;

const EQUAL: u8 = 0;
const PLAIN: u8 = 1;
const PCO: u8 = 2;
/// Below so many numbers pco's own head outweighs what it saves.
const SHORT: usize = 24;
/// No chunk holds more places than that: the bound of what decoding allocates.
const MAX_PLACES: usize = 1 << 20;

const HOUR_MS: i64 = 3_600_000;
/// To so long spans hours are joined beforehand: a chart whose points are a
/// multiple of it reads these.
pub(crate) const BLOCK_MS: i64 = 4 * HOUR_MS;

/// Which columns of a rollup are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// What a further rollup needs.
    All,
    /// What a chart needs: the last value is left out (0).
    Chart,
}

/// The times of a slot's ticks.
pub(crate) fn encode_times(from_ms: i64, times: &[i64]) -> Vec<u8> {
    let mut out = vec![VERSION, KIND_TIMES];
    put(&mut out, times.len() as u64);
    let offsets: Vec<i64> = times.iter().map(|at| at - from_ms).collect();
    put_column(&mut out, &offsets);
    close(out)
}

pub(crate) fn decode_times(data: &[u8], from_ms: i64) -> Option<Vec<i64>> {
    let mut data = open(data, KIND_TIMES)?;
    let n = take_len(&mut data)?;
    let mut times = take_column(&mut data, n)?;
    for at in &mut times {
        *at = at.checked_add(from_ms)?;
    }
    Some(times)
}

/// Values at the numbers `places` of the slot's ticks.
pub(crate) fn encode_raw(places: &[u32], values: &RawColumn, cadence_ms: u32) -> Vec<u8> {
    let kind = match values {
        RawColumn::Gauge(_) => KIND_RAW_GAUGE,
        RawColumn::Counter(_) => KIND_RAW_COUNTER,
        RawColumn::Histogram(_) => KIND_RAW_HISTOGRAM,
    };
    let mut out = vec![VERSION, kind];
    put(&mut out, u64::from(cadence_ms));
    put_places(&mut out, places);
    match values {
        RawColumn::Gauge(v) => put_column(&mut out, v),
        RawColumn::Counter(v) => put_column(&mut out, &signed(v)),
        RawColumn::Histogram(v) => put_histograms(&mut out, v.iter()),
    }
    close(out)
}

/// The values of a raw chunk before they are laid beside their times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawColumn {
    Gauge(Vec<i64>),
    Counter(Vec<u64>),
    Histogram(Vec<Hist>),
}

/// Values with their times, and the cadence at which they were taken.
pub(crate) fn decode_raw(data: &[u8], times: &[i64]) -> Option<(Values, u32)> {
    let body = verified(data)?;
    let (&[version, kind], mut data) = body.split_first_chunk::<2>()?;
    if version != VERSION {
        return None;
    }
    let cadence_ms = u32::try_from(take(&mut data)?).ok()?;
    let places = take_places(&mut data)?;
    let at = |i: usize| times.get(places[i] as usize).copied();
    let n = places.len();
    let values = match kind {
        KIND_RAW_GAUGE => {
            let column = take_column(&mut data, n)?;
            Values::Gauge(zip(column, at)?)
        }
        KIND_RAW_COUNTER => {
            let column = take_column(&mut data, n)?;
            Values::Counter(zip(column.into_iter().map(i64::cast_unsigned).collect(), at)?)
        }
        KIND_RAW_HISTOGRAM => Values::Histogram(zip(take_histograms(&mut data, n)?, at)?),
        _ => return None,
    };
    Some((values, cadence_ms))
}

/// Points of `step_ms` within the slot that begins at `from_ms`.
pub(crate) fn encode_points(
    points: &Points,
    from_ms: i64,
    step_ms: i64,
    cadence_ms: u32,
) -> Vec<u8> {
    let blocks = step_ms == HOUR_MS && from_ms % BLOCK_MS == 0;
    let kind = match points {
        Points::Gauge(_) if blocks => KIND_GAUGE_BLOCKS,
        Points::Counter(_) if blocks => KIND_COUNTER_BLOCKS,
        Points::Gauge(_) => KIND_GAUGE,
        Points::Counter(_) => KIND_COUNTER,
        Points::Histogram(_) => KIND_HISTOGRAM,
    };
    let mut out = vec![VERSION, kind];
    put(&mut out, u64::from(cadence_ms));
    if blocks && kind != KIND_HISTOGRAM {
        let mut joined = Vec::new();
        let blocks = points.clone().coarser(BLOCK_MS);
        put_places(&mut joined, &places_of(&blocks, from_ms, BLOCK_MS));
        put_columns(&mut joined, &blocks, Columns::Chart, put_plain);
        put(&mut out, joined.len() as u64);
        out.extend(joined);
    }
    put_places(&mut out, &places_of(points, from_ms, step_ms));
    match points {
        Points::Histogram(v) => put_histograms(&mut out, v.iter().map(|(_, hist)| hist)),
        _ => put_columns(&mut out, points, Columns::All, put_column),
    }
    close(out)
}

fn places_of(points: &Points, from_ms: i64, step_ms: i64) -> Vec<u32> {
    points.times().iter().map(|at| ((at - from_ms) / step_ms) as u32).collect()
}

/// The columns of gauges and counters; differences from a minimum are small and
/// never negative.
fn put_columns(
    out: &mut Vec<u8>,
    points: &Points,
    columns: Columns,
    put: fn(&mut Vec<u8>, &[i64]),
) {
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
        put(out, column);
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
    let body = verified(data)?;
    let (&[version, kind], mut data) = body.split_first_chunk::<2>()?;
    if version != VERSION {
        return None;
    }
    let cadence_ms = u32::try_from(take(&mut data)?).ok()?;
    let Scratch { places, columns: room } = scratch;
    let (mut step_ms, mut kind) = (step_ms, kind);
    if matches!(kind, KIND_GAUGE_BLOCKS | KIND_COUNTER_BLOCKS) {
        let length = take_len(&mut data)?;
        let (mut blocks, fine) = data.split_at_checked(length)?;
        let joins = columns == Columns::Chart && part.join_ms % BLOCK_MS == 0;
        // A block counts whole: where the part ends within one, the hours are read.
        let within = |places: &[u32]| {
            let time = |place: &u32| from_ms + i64::from(*place) * BLOCK_MS;
            places.first().is_none_or(|first| time(first) >= part.from_ms)
                && places.last().is_none_or(|last| time(last) + BLOCK_MS <= part.to_ms)
        };
        if joins && take_places_into(&mut blocks, places).is_some() && within(places) {
            (data, step_ms) = (blocks, BLOCK_MS);
        } else {
            data = fine;
            take_places_into(&mut data, places)?;
        }
        kind = if kind == KIND_GAUGE_BLOCKS { KIND_GAUGE } else { KIND_COUNTER };
    } else {
        take_places_into(&mut data, places)?;
    }
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
            let all_last = columns == Columns::All;
            let Points::Gauge(out) = out.get_or_insert_with(|| Points::Gauge(Vec::new())) else {
                return Some(cadence_ms);
            };
            join_each(out, places, from_ms, step_ms, part, |i| {
                let (min, count) = (a[i], c[i]);
                Gauge {
                    count,
                    sum: d[i].wrapping_add(min.wrapping_mul(count)),
                    min,
                    max: b[i].wrapping_add(min),
                    last: if all_last { e[i].wrapping_add(min) } else { 0 },
                }
            });
        }
        KIND_COUNTER => {
            let Points::Counter(out) = out.get_or_insert_with(|| Points::Counter(Vec::new()))
            else {
                return Some(cadence_ms);
            };
            join_each(out, places, from_ms, step_ms, part, |i| Counter {
                increase: a[i].cast_unsigned(),
                covered_ms: b[i],
                min_rate: c[i].cast_unsigned(),
                max_rate: d[i].wrapping_add(c[i]).cast_unsigned(),
                last: e[i].cast_unsigned(),
            });
        }
        _ => return None,
    }
    Some(cadence_ms)
}

fn join_each<T: Roll>(
    out: &mut Vec<At<T>>,
    places: &[u32],
    from_ms: i64,
    step_ms: i64,
    part: Part,
    point: impl Fn(usize) -> T,
) {
    let time = |place: u32| from_ms + i64::from(place) * step_ms;
    let first = places.partition_point(|&p| time(p) < part.from_ms);
    let mut end = i64::MIN;
    for (i, &place) in places.iter().enumerate().skip(first) {
        let at = time(place);
        if at >= part.to_ms {
            break;
        }
        // A span is found by a division: once for all of its points.
        if at >= end {
            let start = at - at.rem_euclid(part.join_ms);
            end = start + part.join_ms;
            if out.last().is_none_or(|last| last.0 != start) {
                out.push((start, point(i)));
                continue;
            }
        }
        if let Some((_, open)) = out.last_mut() {
            open.join(&point(i));
        }
    }
}

/// How many values or points a chunk holds.
pub(crate) fn count(data: &[u8]) -> Option<usize> {
    let (&[version, kind], mut data) = verified(data)?.split_first_chunk::<2>()?;
    take(&mut data)?;
    if matches!(kind, KIND_GAUGE_BLOCKS | KIND_COUNTER_BLOCKS) {
        let blocks = take_len(&mut data)?;
        data = data.get(blocks..)?;
    }
    (version == VERSION).then_some(take_places(&mut data)?.len())
}

fn zip<T>(values: Vec<T>, at: impl Fn(usize) -> Option<i64>) -> Option<Vec<At<T>>> {
    values.into_iter().enumerate().map(|(i, v)| Some((at(i)?, v))).collect()
}

fn signed(values: &[u64]) -> Vec<i64> {
    values.iter().map(|v| v.cast_signed()).collect()
}

// --- frame ---

fn close(mut out: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&out);
    out.extend(sum);
    out
}

fn open(data: &[u8], kind: u8) -> Option<&[u8]> {
    let (head, rest) = verified(data)?.split_first_chunk::<2>()?;
    (*head == [VERSION, kind]).then_some(rest)
}

fn take_len(data: &mut &[u8]) -> Option<usize> {
    let n = usize::try_from(take(data)?).ok()?;
    (n <= MAX_PLACES).then_some(n)
}

// --- presence ---

/// Ascending numbers as runs of first, stride and count.
fn put_places(out: &mut Vec<u8>, places: &[u32]) {
    let mut runs: Vec<(u32, u32, u32)> = Vec::new();
    let mut i = 0;
    while i < places.len() {
        let first = places[i];
        let stride = places.get(i + 1).map_or(1, |next| next - first);
        let mut n = 1;
        while places.get(i + n).is_some_and(|&p| p == first + stride * n as u32) {
            n += 1;
        }
        runs.push((first, stride, n as u32));
        i += n;
    }
    put(out, runs.len() as u64);
    let mut before = 0;
    for (first, stride, n) in runs {
        put(out, u64::from(first - before));
        put(out, u64::from(stride));
        put(out, u64::from(n));
        before = first + stride * (n - 1);
    }
}

fn take_places(data: &mut &[u8]) -> Option<Vec<u32>> {
    let mut places = Vec::new();
    take_places_into(data, &mut places)?;
    Some(places)
}

fn take_places_into(data: &mut &[u8], places: &mut Vec<u32>) -> Option<()> {
    places.clear();
    let runs = take_len(data)?;
    let mut before = 0u64;
    for _ in 0..runs {
        let first = before.checked_add(take(data)?)?;
        let stride = take(data)?;
        let n = take_len(data)?;
        if n == 0 || places.len() + n > MAX_PLACES {
            return None;
        }
        let last = first.checked_add(stride.checked_mul(n as u64 - 1)?)?;
        u32::try_from(last).ok()?;
        places.extend((0..n as u64).map(|i| (first + stride * i) as u32));
        before = last;
    }
    Some(())
}

// --- columns ---

fn put_column(out: &mut Vec<u8>, values: &[i64]) {
    if values.len() < SHORT || values.iter().all(|v| *v == values[0]) {
        return put_plain(out, values);
    }
    match standalone::simple_compress(values, &ChunkConfig::default()) {
        Ok(packed) => {
            out.push(PCO);
            put(out, packed.len() as u64);
            out.extend(packed);
        }
        // It refuses no numbers under its default configuration; should it
        // ever, they are still kept.
        Err(_) => put_plain(out, values),
    }
}

fn put_plain(out: &mut Vec<u8>, values: &[i64]) {
    let Some(first) = values.first() else { return };
    if values.iter().all(|v| v == first) {
        out.push(EQUAL);
        put_signed(out, *first);
        return;
    }
    out.push(PLAIN);
    let mut before = 0i64;
    for &v in values {
        put_signed(out, v.wrapping_sub(before));
        before = v;
    }
}

fn take_column(data: &mut &[u8], n: usize) -> Option<Vec<i64>> {
    let mut values = Vec::new();
    take_column_into(data, n, &mut values)?;
    Some(values)
}

fn take_column_into(data: &mut &[u8], n: usize, values: &mut Vec<i64>) -> Option<()> {
    values.clear();
    if n == 0 {
        return Some(());
    }
    let (&how, rest) = data.split_first()?;
    *data = rest;
    match how {
        EQUAL => values.resize(n, take_signed(data)?),
        PLAIN => {
            let mut before = 0i64;
            for _ in 0..n {
                before = before.wrapping_add(take_signed(data)?);
                values.push(before);
            }
        }
        PCO => {
            let packed = take_len(data)?;
            let (packed, rest) = data.split_at_checked(packed)?;
            *data = rest;
            values.resize(n, 0);
            let progress = standalone::simple_decompress_into(packed, values).ok()?;
            if progress.n_processed != n {
                return None;
            }
        }
        _ => return None,
    }
    Some(())
}

fn column<T>(points: &[At<T>], of: impl Fn(&T) -> i64) -> Vec<i64> {
    points.iter().map(|(_, p)| of(p)).collect()
}

fn put_histograms<'a>(out: &mut Vec<u8>, hists: impl Iterator<Item = &'a Hist>) {
    let (mut layouts, mut lengths, mut buckets, mut counts) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for hist in hists {
        layouts.push(i64::from(hist.layout));
        lengths.push(hist.histogram.buckets().len() as i64);
        for &(bucket, count) in hist.histogram.buckets() {
            buckets.push(i64::from(bucket));
            counts.push(count.cast_signed());
        }
    }
    put(out, buckets.len() as u64);
    for column in [layouts, lengths, buckets, counts] {
        put_column(out, &column);
    }
}

fn take_histograms(data: &mut &[u8], n: usize) -> Option<Vec<Hist>> {
    let total = take_len(data)?;
    let layouts = take_column(data, n)?;
    let lengths = take_column(data, n)?;
    let buckets = take_column(data, total)?;
    let counts = take_column(data, total)?;
    let mut at = 0usize;
    layouts
        .into_iter()
        .zip(lengths)
        .map(|(layout, length)| {
            let end = at.checked_add(usize::try_from(length).ok()?)?;
            let pairs = buckets.get(at..end)?.iter().zip(counts.get(at..end)?);
            at = end;
            let pairs: Option<Vec<(u16, u64)>> =
                pairs.map(|(&b, &c)| Some((u16::try_from(b).ok()?, c.cast_unsigned()))).collect();
            Some(Hist {
                layout: u16::try_from(layout).ok()?,
                histogram: Histogram::from_buckets(pairs?),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn raw_values_come_back(places in places(), seed in any::<i64>(), wild in any::<bool>()) {
            let times: Vec<i64> = (0..6000).map(|i| 1_000_000 + i * 1000 + i % 3).collect();
            let value = |p: u32| if wild { seed.wrapping_mul(i64::from(p) + 7) } else { i64::from(p / 9) };
            let column = RawColumn::Gauge(places.iter().map(|&p| value(p)).collect());
            let (back, cadence) = decode_raw(&encode_raw(&places, &column, 1000), &times).unwrap();
            let expected = places.iter().map(|&p| (times[p as usize], value(p))).collect();
            prop_assert_eq!((back, cadence), (Values::Gauge(expected), 1000));
            let column = RawColumn::Counter(places.iter().map(|&p| value(p).cast_unsigned()).collect());
            let (back, _) = decode_raw(&encode_raw(&places, &column, 5000), &times).unwrap();
            let expected = places.iter().map(|&p| (times[p as usize], value(p).cast_unsigned())).collect();
            prop_assert_eq!(back, Values::Counter(expected));
        }

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
                prop_assert_eq!(out.unwrap(), single.coarser(part.join_ms));
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

        #[test]
        fn damage_is_noticed_and_never_a_panic(
            mut data in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..10,
        ) {
            if data.len() > 1 {
                data[0] = VERSION;
                data[1] = kind;
            }
            let data = close(data);
            let _ = decode_raw(&data, &[1, 2, 3]);
            let _ = decode_points(&data, 0, 1000, Columns::All);
            let _ = decode_times(&data, 0);
        }
    }

    #[test]
    fn a_value_that_never_changes_takes_a_few_bytes() {
        let places: Vec<u32> = (0..600).collect();
        let data = encode_raw(&places, &RawColumn::Gauge(vec![123_456; 600]), 1000);
        assert!(data.len() <= 20, "{} bytes", data.len());
        let every_fifth: Vec<u32> = (0..120).map(|i| i * 5).collect();
        let data = encode_raw(&every_fifth, &RawColumn::Gauge(vec![7; 120]), 5000);
        assert!(data.len() <= 20, "{} bytes", data.len());
    }
}
