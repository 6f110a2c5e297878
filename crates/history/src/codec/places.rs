//! Presence: at which places of its slot a series has something. Regular runs
//! take three bytes, so a series of every fifth tick costs no more than one of each.

use super::{
    chunk::{MAX_PLACES, take_len},
    varint::{put, take},
};

/// Ascending numbers as runs of first, stride and count.
pub(crate) fn put_places(out: &mut Vec<u8>, places: &[u32]) {
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

pub(crate) fn take_places(data: &mut &[u8]) -> Option<Vec<u32>> {
    let mut places = Vec::new();
    take_places_into(data, &mut places)?;
    Some(places)
}

pub(crate) fn take_places_into(data: &mut &[u8], places: &mut Vec<u32>) -> Option<()> {
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
