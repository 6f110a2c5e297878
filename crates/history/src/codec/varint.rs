//! Whole numbers in as few bytes as they need: LEB128, signed ones zigzagged.

pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Reads from the front of `data`; `None` where it ends early or is too long.
pub(crate) fn take(data: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = data.split_first()?;
        *data = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

pub(crate) fn take_signed(data: &mut &[u8]) -> Option<i64> {
    let value = take(data)?;
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// A check against damage that the database itself does not see: it has no
/// checksums of its own for what lies within a page.
pub(crate) fn checksum(data: &[u8]) -> [u8; 4] {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = data.len() as u64 ^ K;
    let mut words = data.chunks_exact(8);
    for word in &mut words {
        let word = word.iter().rev().fold(0u64, |w, &b| w << 8 | u64::from(b));
        hash = (hash ^ word).wrapping_mul(K).rotate_left(29);
    }
    let rest = words.remainder().iter().fold(1u64, |w, &b| w << 8 | u64::from(b));
    hash = (hash ^ rest).wrapping_mul(K);
    ((hash ^ (hash >> 32)) as u32).to_le_bytes()
}

/// Splits a checksum off the end and compares it.
pub(crate) fn verified(data: &[u8]) -> Option<&[u8]> {
    let (body, sum) = data.split_last_chunk::<4>()?;
    (checksum(body) == *sum).then_some(body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in prop::collection::vec(any::<i64>(), 0..20)) {
            let mut out = Vec::new();
            for &v in &values {
                put_signed(&mut out, v);
                put(&mut out, v.cast_unsigned());
            }
            let mut data = &out[..];
            for &v in &values {
                prop_assert_eq!(take_signed(&mut data), Some(v));
                prop_assert_eq!(take(&mut data), Some(v.cast_unsigned()));
            }
            prop_assert_eq!(take(&mut data), None);
        }

        #[test]
        fn a_changed_bit_is_noticed(
            mut data in prop::collection::vec(any::<u8>(), 1..80), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let sum = checksum(&data);
            data.extend(sum);
            prop_assert!(verified(&data).is_some());
            let at = at.index(data.len());
            data[at] ^= 1 << bit;
            prop_assert!(verified(&data).is_none());
        }
    }
}
