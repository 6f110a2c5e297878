//! Raw chunks: the times of a slot's ticks once, and what each series measured at them.

use super::{
    Hist,
    chunk::{
        KIND_RAW_COUNTER, KIND_RAW_GAUGE, KIND_RAW_HISTOGRAM, KIND_TIMES, VERSION, close, open,
        take_len,
    },
    column::{put_column, take_column},
    hists::{put_histograms, take_histograms},
    places::{put_places, take_places},
    varint::{put, take, verified},
};
use crate::rollup::{At, Values};

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

fn zip<T>(values: Vec<T>, at: impl Fn(usize) -> Option<i64>) -> Option<Vec<At<T>>> {
    values.into_iter().enumerate().map(|(i, v)| Some((at(i)?, v))).collect()
}

fn signed(values: &[u64]) -> Vec<i64> {
    values.iter().map(|v| v.cast_signed()).collect()
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
