//! The payload of a tick: its readings as series and value, in order of series.

use plimsoll_core::histogram::Histogram;

use super::{
    Hist, Sample,
    varint::{checksum, put, put_signed, take, take_signed, verified},
};

const VERSION: u8 = 1;
const GAUGE: u64 = 0;
const COUNTER: u64 = 1;
const HISTOGRAM: u64 = 2;

/// `readings` in ascending order of series; each series once.
pub(crate) fn encode(readings: &[(u32, Sample)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + readings.len() * 6);
    out.push(VERSION);
    let mut before = 0u32;
    for (series, sample) in readings {
        let step = u64::from(series - before) << 2;
        before = *series;
        match sample {
            Sample::Gauge(value) => {
                put(&mut out, step | GAUGE);
                put_signed(&mut out, *value);
            }
            Sample::Counter(total) => {
                put(&mut out, step | COUNTER);
                put(&mut out, *total);
            }
            Sample::Histogram(hist) => {
                put(&mut out, step | HISTOGRAM);
                put(&mut out, u64::from(hist.layout));
                let buckets = hist.histogram.buckets();
                put(&mut out, buckets.len() as u64);
                for &(bucket, count) in buckets {
                    put(&mut out, u64::from(bucket));
                    put(&mut out, count);
                }
            }
        }
    }
    let sum = checksum(&out);
    out.extend(sum);
    out
}

/// Hands every reading to `each`; `None` where the payload is damaged or of a
/// version that is not known.
pub(crate) fn decode(payload: &[u8], mut each: impl FnMut(u32, Sample)) -> Option<()> {
    let (&version, mut data) = verified(payload)?.split_first()?;
    if version != VERSION {
        return None;
    }
    let mut series = 0u32;
    while !data.is_empty() {
        let head = take(&mut data)?;
        series = series.checked_add(u32::try_from(head >> 2).ok()?)?;
        let sample = match head & 3 {
            GAUGE => Sample::Gauge(take_signed(&mut data)?),
            COUNTER => Sample::Counter(take(&mut data)?),
            HISTOGRAM => {
                let layout = u16::try_from(take(&mut data)?).ok()?;
                let n = take(&mut data)?.min(data.len() as u64);
                let mut buckets = Vec::with_capacity(n as usize);
                for _ in 0..n {
                    let bucket = u16::try_from(take(&mut data)?).ok()?;
                    buckets.push((bucket, take(&mut data)?));
                }
                Sample::Histogram(Hist { layout, histogram: Histogram::from_buckets(buckets) })
            }
            _ => return None,
        };
        each(series, sample);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> impl Strategy<Value = Sample> {
        prop_oneof![
            any::<i64>().prop_map(Sample::Gauge),
            any::<u64>().prop_map(Sample::Counter),
            prop::collection::vec((0u16..900, 1u64..1000), 0..6).prop_map(|buckets| {
                Sample::Histogram(Hist { layout: 1, histogram: Histogram::from_buckets(buckets) })
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_tick_comes_back(readings in prop::collection::btree_map(any::<u32>(), sample(), 0..40)) {
            let readings: Vec<_> = readings.into_iter().collect();
            let payload = encode(&readings);
            let mut back = Vec::new();
            prop_assert!(decode(&payload, |series, sample| back.push((series, sample))).is_some());
            prop_assert_eq!(back, readings);
        }

        #[test]
        fn damaged_bytes_are_refused_without_a_panic(data in prop::collection::vec(any::<u8>(), 0..60)) {
            let sum = checksum(&data);
            let mut sealed = data.clone();
            sealed.extend(sum);
            let _ = decode(&data, |_, _| {});
            let _ = decode(&sealed, |_, _| {});
        }
    }
}
