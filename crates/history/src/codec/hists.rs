//! Distributions as columns: layout and length of each, then all their buckets.

use plimsoll_core::histogram::Histogram;

use super::{
    Hist,
    chunk::take_len,
    column::{put_column, take_column},
    varint::put,
};

pub(crate) fn put_histograms<'a>(out: &mut Vec<u8>, hists: impl Iterator<Item = &'a Hist>) {
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

pub(crate) fn take_histograms(data: &mut &[u8], n: usize) -> Option<Vec<Hist>> {
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
