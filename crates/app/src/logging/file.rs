//! The log file, and the ones before it: `plimsoll.log`, `plimsoll.log.1` …

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use plimsoll_core::log::LogEntry;

use super::redact;

/// Name of the newest file.
pub const NAME: &str = "plimsoll.log";

/// The file that is written, with its limits.
#[derive(Debug)]
pub struct Rotating {
    folder: PathBuf,
    /// A file that has reached this size is closed.
    pub file_bytes: u64,
    /// Files that are kept, the one being written included.
    pub files: u32,
    open: Option<(File, u64)>,
}

/// Path of the `n`th file; 0 is the newest.
pub fn nth(folder: &Path, n: u32) -> PathBuf {
    folder.join(if n == 0 { NAME.to_string() } else { format!("{NAME}.{n}") })
}

// === impl Rotating ===

impl Rotating {
    pub fn new(folder: PathBuf, file_bytes: u64, files: u32) -> Self {
        Self { folder, file_bytes, files: files.max(1), open: None }
    }

    /// Writes the batch, each entry one line of JSON.
    ///
    /// # Errors
    /// When the folder or the file cannot be made or written; the next batch tries anew.
    pub fn write(&mut self, batch: &[LogEntry]) -> io::Result<()> {
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
        let done = self.write_bytes(&lines);
        if done.is_err() {
            self.open = None;
        }
        done
    }

    fn write_bytes(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(_, size)| *size >= self.file_bytes) {
            self.rotate()?;
        }
        let (file, size) = match &mut self.open {
            Some(open) => open,
            None => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
                let path = nth(&self.folder, 0);
                let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
                let size = file.metadata()?.len();
                self.open.insert((file, size))
            }
        };
        file.write_all(lines)?;
        *size += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        // From the oldest on; those beyond the limit go, also where it was lowered.
        let mut oldest = self.files;
        while nth(&self.folder, oldest).exists() {
            oldest += 1;
        }
        for n in (0..oldest).rev() {
            let path = nth(&self.folder, n);
            if n + 1 >= self.files {
                remove(&path)?;
            } else if path.exists() {
                fs::rename(&path, nth(&self.folder, n + 1))?;
            }
        }
        Ok(())
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

    fn first_line(folder: &Path, n: u32) -> String {
        let text = fs::read_to_string(nth(folder, n)).unwrap();
        let entry: LogEntry = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        entry.message
    }

    #[test]
    fn a_full_file_makes_room_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logs");
        let mut log = Rotating::new(folder.clone(), 10, 3);
        for n in 0..6 {
            log.write(&[entry(&format!("line {n}"))]).unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
        assert_eq!(first_line(&folder, 0), "line 5");
        assert_eq!(first_line(&folder, 2), "line 3");
        log.files = 1;
        log.write(&[entry("line 6")]).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a lowered limit is kept to");
    }

    #[test]
    fn a_file_of_before_is_gone_on_with_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..2 {
            let mut log = Rotating::new(dir.path().into(), 1 << 20, 3);
            log.write(&[entry(&format!("line {n}"))]).unwrap();
        }
        let path = nth(dir.path(), 0);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_secret_in_a_line_does_not_reach_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Rotating::new(dir.path().into(), 1 << 20, 3);
        log.write(&[entry("upstream said: Authorization: Bearer abcdef0123456789")]).unwrap();
        let text = fs::read_to_string(nth(dir.path(), 0)).unwrap();
        assert!(!text.contains("abcdef0123456789") && text.contains("[secret]"), "{text}");
    }
}
