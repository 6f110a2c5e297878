//! A log file, and the ones before it: `plimsoll.log`, `plimsoll.log.1` …

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use plimsoll_core::log::LogEntry;

use super::redact;

/// The file of whoever owns the data folder.
pub const OWNER: &str = "plimsoll.log";
/// The file of a window that is attached to an owner.
pub const WINDOW: &str = "plimsoll-window.log";

/// The file that is written, with its limits.
#[derive(Debug)]
pub struct Rotating {
    folder: PathBuf,
    /// Of the newest file.
    name: &'static str,
    /// A file that has reached this size is closed.
    pub file_bytes: u64,
    /// Files that are kept, the one being written included.
    pub files: u32,
    open: Option<(File, u64)>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Written {
    pub lines: io::Result<()>,
    /// `None` where the file had room. An error says that not every older file is kept; the lines
    /// may be written all the same.
    pub rotated: Option<io::Result<()>>,
}

/// Path of the `n`th file of that name; 0 is the newest.
pub fn nth(folder: &Path, name: &str, n: u32) -> PathBuf {
    folder.join(if n == 0 { name.to_string() } else { format!("{name}.{n}") })
}

// === impl Rotating ===

impl Rotating {
    pub fn new(folder: PathBuf, name: &'static str, file_bytes: u64, files: u32) -> Self {
        Self { folder, name, file_bytes, files: files.max(1), open: None }
    }

    /// Writes the batch, each entry one line of JSON. Where it fails, the next batch tries anew.
    pub fn write(&mut self, batch: &[LogEntry]) -> Written {
        let mut lines = Vec::with_capacity(batch.len() * 160);
        for entry in batch {
            let start = lines.len();
            let entry = LogEntry {
                message: redact::secrets(&entry.message).into_owned(),
                fields: redact::secrets(&entry.fields).into_owned(),
                ..entry.clone()
            };
            if serde_json::to_writer(&mut lines, &entry).is_err() {
                lines.truncate(start);
                continue;
            }
            lines.push(b'\n');
        }
        let rotated = self.is_full().then(|| self.rotate());
        let lines = self.write_bytes(&lines);
        if lines.is_err() {
            self.open = None;
        }
        Written { lines, rotated }
    }

    /// A file of before is looked at, too: whoever wrote it may have had no time to put it aside.
    fn is_full(&self) -> bool {
        let size = match &self.open {
            Some((_, size)) => *size,
            None => fs::metadata(self.nth(0)).map_or(0, |meta| meta.len()),
        };
        size > 0 && size >= self.file_bytes
    }

    fn nth(&self, n: u32) -> PathBuf {
        nth(&self.folder, self.name, n)
    }

    fn write_bytes(&mut self, lines: &[u8]) -> io::Result<()> {
        let (file, size) = match &mut self.open {
            Some(open) => open,
            None => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
                let path = self.nth(0);
                let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
                let size = file.metadata()?.len();
                self.open.insert((file, size))
            }
        };
        file.write_all(lines)?;
        *size += lines.len() as u64;
        Ok(())
    }

    /// Makes room for a new file. What cannot be moved is overwritten by what comes after it, and
    /// in the end emptied: the bound holds, and the newest lines are worth the most.
    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        // From the oldest on; those beyond the limit go, also where it was lowered.
        let mut oldest = self.files;
        while self.nth(oldest).exists() {
            oldest += 1;
        }
        let mut done = Ok(());
        for n in (0..oldest).rev() {
            let path = self.nth(n);
            let moved = if n + 1 >= self.files {
                remove(&path)
            } else if path.exists() {
                fs::rename(&path, self.nth(n + 1))
            } else {
                Ok(())
            };
            done = done.and(moved);
        }
        if done.is_err() && self.is_full() {
            OpenOptions::new().write(true).truncate(true).open(self.nth(0))?;
        }
        done
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_core::log::LogLevel;
    use std::os::unix::fs::PermissionsExt;

    fn entry(message: &str) -> LogEntry {
        LogEntry {
            at_ms: 1,
            level: LogLevel::Info,
            module: "plimsoll_app".into(),
            message: message.into(),
            fields: String::new(),
        }
    }

    fn written(outcome: Written) {
        outcome.lines.unwrap();
        outcome.rotated.unwrap_or(Ok(())).unwrap();
    }

    fn first_line(folder: &Path, n: u32) -> String {
        let text = fs::read_to_string(nth(folder, OWNER, n)).unwrap();
        let entry: LogEntry = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        entry.message
    }

    #[test]
    fn a_full_file_makes_room_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logs");
        let mut log = Rotating::new(folder.clone(), OWNER, 10, 3);
        for n in 0..6 {
            written(log.write(&[entry(&format!("line {n}"))]));
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
        assert_eq!(first_line(&folder, 0), "line 5");
        assert_eq!(first_line(&folder, 2), "line 3");
        log.files = 1;
        written(log.write(&[entry("line 6")]));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a lowered limit is kept to");
    }

    #[test]
    fn a_file_of_before_is_gone_on_with_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..2 {
            let mut log = Rotating::new(dir.path().into(), OWNER, 1 << 20, 3);
            written(log.write(&[entry(&format!("line {n}"))]));
        }
        let path = nth(dir.path(), OWNER, 0);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_secret_in_a_line_does_not_reach_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Rotating::new(dir.path().into(), OWNER, 1 << 20, 3);
        written(log.write(&[entry("upstream said: Authorization: Bearer abcdef0123456789")]));
        let text = fs::read_to_string(nth(dir.path(), OWNER, 0)).unwrap();
        assert!(!text.contains("abcdef0123456789") && text.contains("[secret]"), "{text}");
    }

    #[test]
    fn what_cannot_be_put_aside_is_overwritten_and_the_bound_holds() {
        // Something stands in the way of the 1st, of the 2nd, and of the one that should go.
        for blocked in 1..=3 {
            let dir = tempfile::tempdir().unwrap();
            let mut log = Rotating::new(dir.path().into(), OWNER, 10, 3);
            fs::create_dir(nth(dir.path(), OWNER, blocked)).unwrap();
            let mut failed = 0;
            for n in 0..6 {
                let Written { lines, rotated } = log.write(&[entry(&format!("line {n}"))]);
                lines.unwrap();
                failed += u32::from(rotated.is_some_and(|done| done.is_err()));
            }
            assert!(failed > 0, "{blocked}");
            assert_eq!(first_line(dir.path(), 0), "line 5", "{blocked}");
            let files = (0..3).map(|n| nth(dir.path(), OWNER, n)).filter(|path| path.is_file());
            let kept: Vec<usize> =
                files.map(|path| fs::read_to_string(path).unwrap().lines().count()).collect();
            assert!(kept.iter().all(|&lines| lines == 1), "{blocked}: {kept:?}");
        }
    }

    #[test]
    fn a_file_of_before_that_is_full_is_put_aside_first() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..3 {
            let mut log = Rotating::new(dir.path().into(), OWNER, 10, 2);
            written(log.write(&[entry(&format!("line {n}"))]));
        }
        assert_eq!(first_line(dir.path(), 0), "line 2");
        assert_eq!(first_line(dir.path(), 1), "line 1");
    }
}
