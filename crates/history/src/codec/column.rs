//! A column of whole numbers: one number where all are equal, written out where
//! they are few, else packed in the way that suits their use.

use pco::{ChunkConfig, standalone};

use super::{
    chunk::take_len,
    packed::{put_packed, take_packed},
    varint::{put, put_signed, take_signed},
};

const EQUAL: u8 = 0;
const PLAIN: u8 = 1;
const PCO: u8 = 2;
const PACKED: u8 = 3;
/// Below so many numbers the head of a packed column outweighs what it saves.
const SHORT: usize = 24;

/// As tight as it gets: for raw values.
pub(crate) fn put_column(out: &mut Vec<u8>, values: &[i64]) {
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

/// Quick to read: for points, of which a chart takes tens of thousands.
pub(crate) fn put_quick(out: &mut Vec<u8>, values: &[i64]) {
    if values.len() < SHORT || values.iter().all(|v| *v == values[0]) {
        return put_plain(out, values);
    }
    out.push(PACKED);
    put_packed(out, values);
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

pub(crate) fn take_column(data: &mut &[u8], n: usize) -> Option<Vec<i64>> {
    let mut values = Vec::new();
    take_column_into(data, n, &mut values)?;
    Some(values)
}

pub(crate) fn take_column_into(data: &mut &[u8], n: usize, values: &mut Vec<i64>) -> Option<()> {
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
        PACKED => {
            values.resize(n, 0);
            take_packed(data, values)?;
        }
        _ => return None,
    }
    Some(())
}
