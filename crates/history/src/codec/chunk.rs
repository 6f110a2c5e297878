//! A chunk: what one series has in one slot, in compressed columns.
//!
//! Layout: version, kind, cadence, presence ([`super::places`]), columns
//! ([`super::column`]), checksum. For raw chunks ([`super::raw`]) presence is
//! the numbers of the slot's ticks, whose times stand once for all series; for
//! the coarse levels ([`super::points`]) the numbers of its points.

use super::{
    places::take_places,
    varint::{checksum, take, verified},
};

pub(crate) const VERSION: u8 = 1;
pub(crate) const KIND_TIMES: u8 = 0;
pub(crate) const KIND_RAW_GAUGE: u8 = 1;
pub(crate) const KIND_RAW_COUNTER: u8 = 2;
pub(crate) const KIND_RAW_HISTOGRAM: u8 = 3;
pub(crate) const KIND_GAUGE: u8 = 4;
pub(crate) const KIND_COUNTER: u8 = 5;
pub(crate) const KIND_HISTOGRAM: u8 = 6;
/// Of databases before version 3: gauges and counters of hours, behind their blocks.
pub(crate) const KIND_GAUGE_BLOCKS: u8 = 9;
pub(crate) const KIND_COUNTER_BLOCKS: u8 = 10;

/// No chunk holds more places than that: the bound of what decoding allocates.
pub(crate) const MAX_PLACES: usize = 1 << 20;

/// How many values or points a chunk holds.
pub(crate) fn count(data: &[u8]) -> Option<usize> {
    let (&[version, kind], mut data) = verified(data)?.split_first_chunk::<2>()?;
    take(&mut data)?;
    if matches!(kind, KIND_GAUGE_BLOCKS | KIND_COUNTER_BLOCKS) {
        let blocks = take_len(&mut data)?;
        data = data.get(blocks + 4..)?;
    }
    (version == VERSION).then_some(take_places(&mut data)?.len())
}

pub(crate) fn close(mut out: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&out);
    out.extend(sum);
    out
}

pub(crate) fn open(data: &[u8], kind: u8) -> Option<&[u8]> {
    let (head, rest) = verified(data)?.split_first_chunk::<2>()?;
    (*head == [VERSION, kind]).then_some(rest)
}

pub(crate) fn take_len(data: &mut &[u8]) -> Option<usize> {
    let n = usize::try_from(take(data)?).ok()?;
    (n <= MAX_PLACES).then_some(n)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{
        points::{Columns, decode_points},
        raw::{decode_raw, decode_times},
    };

    proptest! {
        #[test]
        fn damage_is_noticed_and_never_a_panic(
            mut data in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..12,
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
}
