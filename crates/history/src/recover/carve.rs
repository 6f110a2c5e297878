//! Rows from the leaf pages of a damaged database, without its tree: for a
//! table whose inner pages are lost, so that no walk from its root finds them.
//!
//! Page and record format: <https://www.sqlite.org/fileformat2.html>. A row
//! counts only if its blob carries our checksum, so that what lies in free or
//! foreign pages is not taken for data. Blobs that go on in other pages are
//! followed through them.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use crate::codec::varint::verified;

const PAGE: usize = 4096;
/// No blob of ours goes on over more pages.
const MAX_OVERFLOW: usize = 256;

/// A row as it was found: its whole numbers (`None` for NULL) and its blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carved {
    pub rowid: i64,
    pub numbers: Vec<Option<i64>>,
    pub blob: Vec<u8>,
}

/// Hands over every row of the file that is some whole numbers and, last, a
/// blob with our checksum. Holds one page at a time.
pub(crate) fn rows(path: &Path, mut each: impl FnMut(Carved)) -> std::io::Result<()> {
    let file = File::open(path)?;
    let pages = file.metadata()?.len() / PAGE as u64;
    let mut page = vec![0; PAGE];
    for number in 1..pages {
        file.read_exact_at(&mut page, number * PAGE as u64)?;
        // 13: a leaf of a table.
        if page[0] != 13 {
            continue;
        }
        let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
        for cell in 0..cells {
            let Some(&[a, b]) = page.get(8 + cell * 2..10 + cell * 2) else { break };
            let at = usize::from(u16::from_be_bytes([a, b]));
            if let Some(row) = page.get(at..).and_then(|cell| row_of(&file, cell)) {
                each(row);
            }
        }
    }
    Ok(())
}

fn row_of(file: &File, mut cell: &[u8]) -> Option<Carved> {
    let length = usize::try_from(number(&mut cell)?).ok()?;
    let rowid = number(&mut cell)?;
    let payload = payload(file, cell, length)?;
    let mut head = &payload[..];
    let head_length = usize::try_from(number(&mut head)?).ok()?;
    let taken = payload.len() - head.len();
    let mut types = payload.get(taken..head_length)?;
    let mut body = payload.get(head_length..)?;
    let mut numbers = Vec::new();
    while !types.is_empty() {
        let kind = number(&mut types)?;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 => 8,
            // An even number from 12 on is a blob; ours stands last.
            12.. if kind % 2 == 0 && types.is_empty() => {
                let size = usize::try_from((kind - 12) / 2).ok()?;
                let blob = body.get(..size)?.to_vec();
                return verified(&blob).is_some().then_some(Carved { rowid, numbers, blob });
            }
            _ => return None,
        };
        let (value, rest) = body.split_at_checked(size)?;
        body = rest;
        numbers.push(match kind {
            0 => None,
            8 | 9 => Some(kind - 8),
            _ => {
                // Big-endian two's complement of that many bytes.
                let sign = if value[0] & 0x80 == 0 { 0 } else { -1i64 };
                Some(value.iter().fold(sign, |n, &b| n << 8 | i64::from(b)))
            }
        });
    }
    None
}

/// The payload of a cell, with what goes on in overflow pages.
fn payload(file: &File, cell: &[u8], length: usize) -> Option<Vec<u8>> {
    // "U" is the usable size of a page; the rest is named as in the file format.
    let (max, min) = (PAGE - 35, (PAGE - 12) * 32 / 255 - 23);
    if length <= max {
        return cell.get(..length).map(<[u8]>::to_vec);
    }
    let k = min + (length - min) % (PAGE - 4);
    let local = if k <= max { k } else { min };
    let mut all = cell.get(..local)?.to_vec();
    let mut next = u32::from_be_bytes(*cell.get(local..local + 4)?.first_chunk()?);
    let mut page = vec![0; PAGE];
    for _ in 0..MAX_OVERFLOW {
        if all.len() >= length || next < 2 {
            break;
        }
        file.read_exact_at(&mut page, (u64::from(next) - 1) * PAGE as u64).ok()?;
        next = u32::from_be_bytes(*page.first_chunk()?);
        let more = (length - all.len()).min(PAGE - 4);
        all.extend_from_slice(&page[4..4 + more]);
    }
    (all.len() == length).then_some(all)
}

/// SQLite's variable-length number: big-endian, up to nine bytes.
fn number(data: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for i in 0..9 {
        let (&byte, rest) = data.split_first()?;
        *data = rest;
        if i == 8 {
            return Some((value << 8 | u64::from(byte)).cast_signed());
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some(value.cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::varint::checksum, db::HISTORY};

    #[tokio::test]
    async fn rows_are_found_without_the_tree_whatever_their_length() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = HISTORY.open(folder.path()).await.unwrap();
        let blob = |n: usize| {
            let mut blob: Vec<u8> = (0..n).map(|i| (i * 7) as u8).collect();
            let sum = checksum(&blob);
            blob.extend(sum);
            blob
        };
        let lengths = [1usize, 100, 700, 4056, 4057, 4060, 4061, 4070, 9000, 60_000];
        for (i, &n) in lengths.iter().enumerate() {
            sqlx::query("INSERT INTO chunk (slot, series, data) VALUES (?, ?, ?)")
                .bind(i as i64 * 1_000_000 - 5)
                .bind(i as i64)
                .bind(blob(n))
                .execute(&mut connection)
                .await
                .unwrap();
        }
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
        crate::db::close(connection).await;
        let mut found = Vec::new();
        rows(&HISTORY.path(folder.path()), |row| found.push(row)).unwrap();
        found.sort_by_key(|row| row.rowid);
        assert_eq!(found.len(), lengths.len());
        for (i, (row, n)) in found.iter().zip(lengths).enumerate() {
            assert_eq!(row.numbers, [Some(i as i64 * 1_000_000 - 5), Some(i as i64)]);
            assert_eq!(row.blob, blob(n));
        }
    }
}
