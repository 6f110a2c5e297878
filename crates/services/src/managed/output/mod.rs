//! What a managed service writes. It writes into a file and not into a pipe: a pipe
//! breaks when Plimsoll is killed, and a server that cannot write hangs or ends.
//! The file is read from behind, its newest lines are kept in memory, and it is
//! copied aside and emptied where it grows too long. The service appends to it, and
//! so goes on at its beginning.

mod lines;

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use self::lines::Splitter;

/// Most lines that are kept in memory, and most bytes of them.
pub const MAX_LINES: usize = 1000;
const MAX_BYTES: usize = 1 << 20;
/// A file that is longer is copied aside and emptied.
const MAX_FILE: u64 = 8 << 20;
/// Read of the file of an earlier Plimsoll.
const EARLIER: u64 = 256 << 10;
/// Read at once; what was written beyond it since the last look is passed over.
const AT_ONCE: u64 = 2 << 20;
/// Begins the lines that Plimsoll itself writes into the file.
const OURS: &str = "[plimsoll] ";

/// A line that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1 since Plimsoll began to read the output.
    pub number: u64,
    /// When it was read; `None` for one of an earlier Plimsoll's time.
    pub at_ms: Option<i64>,
    pub text: String,
}

/// The output of one service. All of it blocks, for it reads a file.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    max_file: u64,
    read: Mutex<ReadSoFar>,
}

#[derive(Debug, Default)]
struct ReadSoFar {
    /// What an earlier Plimsoll left has been read.
    opened: bool,
    offset: u64,
    splitter: Splitter,
    lines: VecDeque<Line>,
    number: u64,
    bytes: usize,
}

// === impl Output ===

impl Output {
    /// The output that goes into that file. What stands there already is read with the rest.
    pub fn open(path: PathBuf) -> Self {
        Self::bounded(path, MAX_FILE)
    }

    fn bounded(path: PathBuf, max_file: u64) -> Self {
        Self { path, max_file, read: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file for a service to write to, with a line of ours in it. Appends.
    pub fn file(&self, title: &str) -> io::Result<File> {
        self.read_earlier();
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        // What ended in the middle of a line is no part of this one.
        let cut = fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() > 0)
            && !self.ends_with_a_line();
        writeln!(file, "{}{OURS}{title}", if cut { "\n" } else { "" })?;
        Ok(file)
    }

    /// Reads what was written since, and keeps the file short.
    pub fn follow(&self, now_ms: i64) {
        self.follow_locked(&mut self.lock(), now_ms);
    }

    /// All of it by one at a time: who empties the file while another reads it makes that one
    /// read lines twice, and who copies what another has just emptied keeps nothing.
    fn follow_locked(&self, read: &mut ReadSoFar, now_ms: i64) {
        self.read_earlier_locked(read);
        self.take(read, Some(now_ms));
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() > self.max_file)
            && let Err(error) = self.set_aside(read, now_ms)
        {
            tracing::warn!(file = %self.path.display(), %error, "an output cannot be kept short");
        }
    }

    /// The same once nobody writes any more: what has no line end is a line, too.
    pub fn finish(&self, now_ms: i64) {
        let mut read = self.lock();
        self.follow_locked(&mut read, now_ms);
        if let Some(text) = read.splitter.finish() {
            read.push(Some(now_ms), text);
        }
    }

    /// The newest lines, oldest first.
    pub fn newest(&self, count: usize) -> Vec<Line> {
        let read = self.lock();
        let skip = read.lines.len().saturating_sub(count);
        read.lines.iter().skip(skip).cloned().collect()
    }

    /// The last line with something in it since the last start; cut to a sentence.
    pub fn last_words(&self) -> Option<String> {
        const LONGEST: usize = 200;
        let newest = self.newest(64);
        let since =
            newest.iter().rposition(|line| line.text.starts_with(OURS)).map_or(0, |i| i + 1);
        let line = newest[since..].iter().rfind(|line| !line.text.trim().is_empty())?;
        let text = line.text.trim();
        Some(match text.char_indices().nth(LONGEST) {
            None => text.into(),
            Some((at, _)) => format!("{}…", &text[..at]),
        })
    }

    /// Takes the files away.
    pub fn remove(&self) {
        for path in [self.path.clone(), self.aside()] {
            let _ = fs::remove_file(path);
        }
    }

    /// The first time, the end of what stands there already.
    pub fn read_earlier(&self) {
        self.read_earlier_locked(&mut self.lock());
    }

    fn read_earlier_locked(&self, read: &mut ReadSoFar) {
        if std::mem::replace(&mut read.opened, true) {
            return;
        }
        let length = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        read.offset = length.saturating_sub(EARLIER);
        // It begins within a line.
        read.splitter.begins_within(length > EARLIER);
        self.take(read, None);
    }

    fn take(&self, read: &mut ReadSoFar, at_ms: Option<i64>) {
        // No file is no output; anything else comes back or is told by the start.
        let Ok(mut file) = File::open(&self.path) else { return };
        let Ok(length) = file.metadata().map(|metadata| metadata.len()) else { return };
        if length < read.offset {
            read.offset = 0;
        }
        let behind = length - read.offset;
        if behind > AT_ONCE {
            let passed = behind - AT_ONCE;
            read.offset += passed;
            read.splitter.begins_within(true);
            let kib = passed >> 10;
            read.push(at_ms, format!("{OURS}{kib} KiB were passed over here"));
        }
        let mut bytes = Vec::new();
        let from = read.offset;
        if file.seek(SeekFrom::Start(from)).is_err()
            || file.take(AT_ONCE).read_to_end(&mut bytes).is_err()
        {
            return;
        }
        read.offset += bytes.len() as u64;
        let mut lines = Vec::new();
        read.splitter.split(&bytes, &mut |text| lines.push(text));
        for text in lines {
            read.push(at_ms, text);
        }
    }

    /// Copies the end of the file aside and empties it. What is written in the moment
    /// between is lost; that is the price of a file that its writer never reopens.
    fn set_aside(&self, read: &mut ReadSoFar, now_ms: i64) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(self.max_file)))?;
        let copied = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.aside())
            .and_then(|mut aside| io::copy(&mut (&file).take(self.max_file), &mut aside));
        self.take(read, Some(now_ms));
        // Also where there was no room for the copy: that is when it matters most.
        file.set_len(0)?;
        read.offset = 0;
        copied.map(|_| ())
    }

    fn aside(&self) -> PathBuf {
        self.path.with_extension("log.1")
    }

    fn ends_with_a_line(&self) -> bool {
        let last = || -> io::Result<u8> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::End(-1))?;
            let mut byte = [0];
            file.read_exact(&mut byte)?;
            Ok(byte[0])
        };
        last().is_ok_and(|byte| byte == b'\n')
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ReadSoFar> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl ReadSoFar ===

impl ReadSoFar {
    fn push(&mut self, at_ms: Option<i64>, text: String) {
        self.number += 1;
        self.bytes += text.len();
        self.lines.push_back(Line { number: self.number, at_ms, text });
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            match self.lines.pop_front() {
                Some(old) => self.bytes -= old.text.len(),
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(output: &Output) -> Vec<String> {
        output.newest(MAX_LINES).into_iter().map(|line| line.text).collect()
    }

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_is_written_is_read_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        append(&path, "early\n");
        let output = Output::open(path.clone());
        output.follow(1);
        append(&path, "one\ntw");
        output.follow(7);
        assert_eq!(texts(&output), ["early", "one"]);
        append(&path, "o\n");
        output.follow(8);
        let lines = output.newest(2);
        assert_eq!(lines[0], Line { number: 2, at_ms: Some(7), text: "one".into() });
        assert_eq!(lines[1], Line { number: 3, at_ms: Some(8), text: "two".into() });
        assert_eq!(output.newest(3)[0], Line { number: 1, at_ms: None, text: "early".into() });
        append(&path, "fatal: n");
        output.finish(9);
        assert_eq!(
            output.newest(1)[0],
            Line { number: 4, at_ms: Some(9), text: "fatal: n".into() }
        );
        assert_eq!(output.last_words().as_deref(), Some("fatal: n"));
    }

    #[test]
    fn a_start_stands_on_a_line_of_its_own_and_is_no_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        append(&path, "cut in the midd");
        let output = Output::open(path.clone());
        let mut file = output.file("started").unwrap();
        output.follow(1);
        assert_eq!(texts(&output), ["cut in the midd", "[plimsoll] started"]);
        assert_eq!(output.last_words(), None);
        writeln!(file, "no such model\n \n").unwrap();
        output.follow(2);
        assert_eq!(output.last_words().as_deref(), Some("no such model"));
    }

    #[test]
    fn memory_and_file_are_bounded_while_the_writer_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let output = Output::bounded(path.clone(), 10_000);
        let mut writer = output.file("started").unwrap();
        for n in 0..5000 {
            writeln!(writer, "line {n}").unwrap();
            if n % 500 == 0 {
                output.follow(n);
            }
        }
        output.follow(5000);
        let lines = texts(&output);
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines.last().unwrap(), "line 4999");
        assert_eq!(lines[0], "line 4000");
        let size = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(size(&path) <= 10_000, "{}", size(&path));
        assert!(size(&output.aside()) <= 10_000);
        writeln!(writer, "after").unwrap();
        output.follow(5001);
        assert_eq!(texts(&output).last().unwrap(), "after");
        output.remove();
        assert!(!path.exists() && !output.aside().exists());
    }

    #[test]
    fn two_who_look_at_once_set_aside_once_and_read_each_line_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let output = Output::bounded(path.clone(), 1000);
        for round in 0..300 {
            let text: String = (0..200).map(|n| format!("{round}-{n}\n")).collect();
            append(&path, &text);
            let both = std::sync::Barrier::new(2);
            let look = || {
                both.wait();
                output.follow(1);
            };
            std::thread::scope(|scope| {
                scope.spawn(look);
                scope.spawn(look);
            });
            let aside = fs::read_to_string(output.aside()).unwrap();
            assert!(text.ends_with(&aside) && aside.len() == 1000, "round {round}: {aside:?}");
        }
        let expected: Vec<String> =
            (295..300).flat_map(|round| (0..200).map(move |n| format!("{round}-{n}"))).collect();
        assert_eq!(texts(&output), expected);
        assert_eq!(output.newest(1)[0].number, 300 * 200);
    }

    #[test]
    fn a_flood_between_two_looks_is_passed_over_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let output = Output::open(path.clone());
        append(&path, &"x".repeat(99).replace("xxxxxxxxx", "yyyyyyyy\n").repeat(60_000));
        output.follow(1);
        let first = &output.lock().lines.front().unwrap().text.clone();
        assert!(texts(&output).len() <= MAX_LINES, "{first}");
        assert!(output.lock().bytes <= MAX_BYTES);
        append(&path, "end\n");
        output.follow(2);
        assert_eq!(texts(&output).last().unwrap(), "end");
    }
}
