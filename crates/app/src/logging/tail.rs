//! The newest lines of the log file, read backwards and no further than needed.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use plimsoll_core::log::{LogEntry, LogLevel};

use super::file::{OWNER, nth};

/// Bytes that are read at once.
const BLOCK: usize = 64 * 1024;
/// Most bytes that are read for one answer: a search that finds nothing ends, too.
const MOST: u64 = 32 << 20;
/// Most lines of one answer.
const LINES: usize = 1000;

/// Which lines are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// This level and more severe ones.
    pub level: LogLevel,
    /// Contained in module, message or fields, whatever the case; empty: each.
    pub contains: String,
    /// Only older ones.
    pub before_ms: Option<i64>,
    pub limit: usize,
}

/// The newest lines that are wanted, newest first. Blocks: not for the runtime's threads.
///
/// # Errors
/// When a file is there and cannot be read. What is no file ends the row of them.
pub fn tail(folder: &Path, wanted: &Wanted) -> io::Result<Vec<LogEntry>> {
    let limit = wanted.limit.min(LINES);
    let needle = wanted.contains.to_lowercase();
    let mut found = Vec::new();
    let mut room = MOST;
    for n in 0.. {
        let mut file = match File::open(nth(folder, OWNER, n)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            break;
        }
        let mut at = file.seek(SeekFrom::End(0))?;
        // The end of the line whose beginning is in an earlier block.
        let mut rest: Vec<u8> = Vec::new();
        while at > 0 && found.len() < limit && room > 0 {
            let size = at.min(BLOCK as u64);
            at -= size;
            room = room.saturating_sub(size);
            file.seek(SeekFrom::Start(at))?;
            let mut block = vec![0; usize::try_from(size).unwrap_or(BLOCK)];
            file.read_exact(&mut block)?;
            block.append(&mut rest);
            let mut lines = block.split(|&b| b == b'\n');
            if at > 0 {
                rest = lines.next().unwrap_or_default().to_vec();
            }
            let lines: Vec<&[u8]> = lines.filter(|l| !l.is_empty()).collect();
            for line in lines.into_iter().rev() {
                // A line that was cut by a crash is passed over.
                let Ok(entry) = serde_json::from_slice::<LogEntry>(line) else { continue };
                if found.len() < limit && fits(&entry, wanted, &needle) {
                    found.push(entry);
                }
            }
        }
        if found.len() >= limit || room == 0 {
            break;
        }
    }
    Ok(found)
}

fn fits(entry: &LogEntry, wanted: &Wanted, needle: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(needle);
    entry.level <= wanted.level
        && wanted.before_ms.is_none_or(|before| entry.at_ms < before)
        && (needle.is_empty() || has(&entry.message) || has(&entry.module) || has(&entry.fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::file::Rotating;

    fn entry(n: i64, level: LogLevel) -> LogEntry {
        LogEntry {
            at_ms: n,
            level,
            module: "plimsoll_app".into(),
            message: format!("line {n} {}", "x".repeat(100)),
            fields: String::new(),
        }
    }

    fn wanted(limit: usize) -> Wanted {
        Wanted { level: LogLevel::Trace, contains: String::new(), before_ms: None, limit }
    }

    #[test]
    fn lines_come_newest_first_across_blocks_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Rotating::new(dir.path().into(), OWNER, 100_000, 5);
        for n in 0..2000 {
            let level = if n % 10 == 0 { LogLevel::Warn } else { LogLevel::Info };
            log.write(&[entry(n, level)]).lines.unwrap();
        }
        let at = |w: &Wanted| -> Vec<i64> {
            tail(dir.path(), w).unwrap().iter().map(|e| e.at_ms).collect()
        };
        assert_eq!(at(&wanted(1000)), (1000..2000).rev().collect::<Vec<_>>());
        assert_eq!(
            at(&Wanted { level: LogLevel::Warn, before_ms: Some(1990), ..wanted(3) }),
            [1980, 1970, 1960]
        );
        assert_eq!(at(&Wanted { contains: "LINE 1234 ".into(), ..wanted(3) }), [1234]);
    }

    #[test]
    fn no_file_is_no_lines_and_a_cut_line_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(tail(dir.path(), &wanted(5)).unwrap(), []);
        let mut log = Rotating::new(dir.path().into(), OWNER, 1 << 20, 2);
        log.write(&[entry(1, LogLevel::Info)]).lines.unwrap();
        let path = nth(dir.path(), OWNER, 0);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"at_ms\":2,\"lev");
        std::fs::write(&path, text).unwrap();
        assert_eq!(tail(dir.path(), &wanted(5)).unwrap().len(), 1);
    }
}
