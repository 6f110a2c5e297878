//! Columns of the coarse levels: whole numbers in blocks of equal width.
//!
//! A chart unpacks hundreds of short columns. pco packs them a little tighter,
//! but its tables have to be built for each anew, and that alone took most of
//! the time of an answer. Here a number is one load, one shift and one addition.
//! (Frame of reference with patched exceptions, after Zukowski et al., "Super-Scalar
//! RAM-CPU Cache Compression", ICDE 2006.)
//!
//! Layout: whether the numbers or the steps between them are packed (then the
//! first number), and for each block of [`BLOCK`]: its lowest number, the width
//! in bits, how many are wider, the bits, and for each wider one its place and
//! its upper bits.

use super::varint::{put, put_signed, take, take_signed};

const BLOCK: usize = 128;
const VALUES: u8 = 0;
const STEPS: u8 = 1;

pub(crate) fn put_packed(out: &mut Vec<u8>, values: &[i64]) {
    let Some(&first) = values.first() else { return };
    let mut plain = vec![VALUES];
    put_blocks(&mut plain, values);
    let mut stepped = vec![STEPS];
    put_signed(&mut stepped, first);
    let steps: Vec<i64> = values.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    put_blocks(&mut stepped, &steps);
    out.extend(if stepped.len() < plain.len() { stepped } else { plain });
}

/// Fills `values`; `None` where the data end early or make no sense.
pub(crate) fn take_packed(data: &mut &[u8], values: &mut [i64]) -> Option<()> {
    let (&how, rest) = data.split_first()?;
    *data = rest;
    match how {
        VALUES => take_blocks(data, values),
        STEPS => {
            let (first, steps) = values.split_first_mut()?;
            *first = take_signed(data)?;
            take_blocks(data, steps)?;
            let mut before = *first;
            for step in steps {
                before = before.wrapping_add(*step);
                *step = before;
            }
            Some(())
        }
        _ => None,
    }
}

fn put_blocks(out: &mut Vec<u8>, values: &[i64]) {
    for block in values.chunks(BLOCK) {
        let low = block.iter().copied().min().unwrap_or(0);
        let above: Vec<u64> = block.iter().map(|v| v.wrapping_sub(low).cast_unsigned()).collect();
        let width = cheapest_width(&above);
        let wider = || above.iter().enumerate().filter(|(_, v)| bits(**v) > width);
        put_signed(out, low);
        out.push(width as u8);
        out.push(wider().count() as u8);
        let (mut word, mut held) = (0u128, 0);
        for v in &above {
            word |= u128::from(v & mask(width)) << held;
            held += width;
            while held >= 8 {
                out.push(word as u8);
                word >>= 8;
                held -= 8;
            }
        }
        if held > 0 {
            out.push(word as u8);
        }
        for (place, v) in wider() {
            out.push(place as u8);
            put(out, v >> width);
        }
    }
}

fn take_blocks(data: &mut &[u8], values: &mut [i64]) -> Option<()> {
    // Behind the bits there is always room for the widest load.
    let mut room = [0u8; BLOCK * 8 + 16];
    for block in values.chunks_mut(BLOCK) {
        let low = take_signed(data)?;
        let (&[width, wider], rest) = data.split_first_chunk::<2>()?;
        let width = u32::from(width);
        if width > 64 {
            return None;
        }
        let (packed, rest) = rest.split_at_checked((block.len() * width as usize).div_ceil(8))?;
        *data = rest;
        room[..packed.len()].copy_from_slice(packed);
        match width {
            0 => block.fill(low),
            // Up to seven bits of another number stand before it in its first byte.
            1..=57 => unpack(block, width, |at, shift| {
                let word = room.get(at..at + 8).and_then(|word| word.first_chunk());
                low.wrapping_add(
                    ((word.map_or(0, |word| u64::from_le_bytes(*word)) >> shift) & mask(width))
                        .cast_signed(),
                )
            }),
            _ => unpack(block, width, |at, shift| {
                let word = room.get(at..at + 16).and_then(|word| word.first_chunk());
                let word = word.map_or(0, |word| u128::from_le_bytes(*word)) >> shift;
                low.wrapping_add((word as u64 & mask(width)).cast_signed())
            }),
        }
        for _ in 0..wider {
            let (&place, rest) = data.split_first()?;
            *data = rest;
            let upper = take(data)?.checked_shl(width)?.cast_signed();
            let value = block.get_mut(usize::from(place))?;
            *value = value.wrapping_add(upper);
        }
    }
    Some(())
}

#[inline]
fn unpack(block: &mut [i64], width: u32, number: impl Fn(usize, usize) -> i64) {
    let mut bit = 0usize;
    for value in block {
        *value = number(bit >> 3, bit & 7);
        bit += width as usize;
    }
}

/// The width at which a block takes the fewest bytes, wider numbers counted.
fn cheapest_width(above: &[u64]) -> u32 {
    let mut of_width = [0usize; 65];
    for v in above {
        of_width[bits(*v) as usize] += 1;
    }
    let bytes = |width: u32| {
        let wider = (width + 1..=64)
            .map(|w| of_width[w as usize] * (1 + (w - width).div_ceil(7) as usize))
            .sum::<usize>();
        (above.len() * width as usize).div_ceil(8) + wider
    };
    // Of equal ones the widest: each exception costs time.
    (0..=64).rev().min_by_key(|width| bytes(*width)).unwrap_or(64)
}

fn bits(v: u64) -> u32 {
    64 - v.leading_zeros()
}

fn mask(width: u32) -> u64 {
    u64::MAX.checked_shr(64 - width).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column() -> impl Strategy<Value = Vec<i64>> {
        prop_oneof![
            prop::collection::vec(any::<i64>(), 1..400),
            prop::collection::vec(-3i64..60, 1..400),
            // Mostly small, now and then far out.
            prop::collection::vec(prop_oneof![9 => 0i64..4, 1 => any::<i64>()], 1..400),
            (any::<i64>(), prop::collection::vec(0i64..100, 1..400)).prop_map(|(from, steps)| {
                let mut at = from;
                steps
                    .into_iter()
                    .map(|s| {
                        at = at.wrapping_add(s);
                        at
                    })
                    .collect()
            }),
        ]
    }

    proptest! {
        #[test]
        fn packed_numbers_come_back(values in column()) {
            let mut out = Vec::new();
            put_packed(&mut out, &values);
            out.push(77);
            let mut back = vec![0; values.len()];
            let mut data = &out[..];
            prop_assert_eq!(take_packed(&mut data, &mut back), Some(()));
            prop_assert_eq!(data, &[77]);
            prop_assert_eq!(back, values);
        }

        #[test]
        fn bytes_of_any_kind_are_no_panic(data in prop::collection::vec(any::<u8>(), 0..300), n in 1usize..400) {
            let _ = take_packed(&mut &data[..], &mut vec![0; n]);
        }
    }

    #[test]
    fn a_busy_share_takes_less_than_a_byte_a_number() {
        let values: Vec<i64> = (0..720).map(|i| 300 + (i * 7919) % 50).collect();
        let mut out = Vec::new();
        put_packed(&mut out, &values);
        assert!(out.len() < 720 * 6 / 8 + 40, "{} bytes", out.len());
    }
}
