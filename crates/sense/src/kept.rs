//! A file of the kernel that is read again and again.
//!
//! Opening a file in `/proc` costs about as much as reading it, so it is kept
//! open and read from its beginning each time; the kernel makes it anew.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// No file that we read is larger; one that is gets cut here.
const MAX_BYTES: usize = 1 << 20;

pub struct Kept {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

// === impl Kept ===

impl Kept {
    /// Names a file; it is opened by the first read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, buffer: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content now. A file that went away is opened again by the next read.
    pub fn read(&mut self) -> io::Result<&[u8]> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        let length = fill(&file, &mut self.buffer)?;
        self.file = Some(file);
        Ok(&self.buffer[..length])
    }
}

/// Reads a file from its beginning into `buffer`, which grows as needed.
pub fn fill(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    if buffer.is_empty() {
        buffer.resize(1024, 0);
    }
    let mut length = 0;
    loop {
        if length == buffer.len() {
            if length >= MAX_BYTES {
                return Ok(length);
            }
            buffer.resize(buffer.len() * 2, 0);
        }
        match file.read_at(&mut buffer[length..], length as u64) {
            Ok(0) => return Ok(length),
            Ok(n) => length += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_since_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        let mut kept = Kept::new(&path);
        assert_eq!(kept.read().unwrap().len(), 5000);
        std::fs::write(&path, "short").unwrap();
        assert_eq!(kept.read().unwrap(), b"short");
    }

    #[test]
    fn a_file_that_comes_later_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut kept = Kept::new(&path);
        assert!(kept.read().is_err());
        std::fs::write(&path, "here").unwrap();
        assert_eq!(kept.read().unwrap(), b"here");
    }
}
