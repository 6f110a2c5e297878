//! What the writing thread does: lines into the file, warnings and above into the history too.

use std::{
    io::{self, Write as _},
    sync::{
        Arc, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use plimsoll_core::{
    clock::Clock,
    log::{LogEntry, LogLevel},
    record::Record,
};

use super::{
    Counts, Places,
    batch::Batcher,
    file::{Rotating, Written},
    redact,
    writer::{Message, Shared},
};

/// Warnings that wait for the history to open.
const WAITING: usize = 100;

pub(super) struct Work {
    batcher: Batcher,
    file: Option<Rotating>,
    stderr: bool,
    /// Warnings from before there was a record.
    waiting: Vec<LogEntry>,
    told_dropped: u64,
    told: Told,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    shared: Arc<Shared>,
}

/// Troubles that were told, and are not told again until they were over meanwhile.
#[derive(Default)]
struct Told {
    unwritten: bool,
    unrotated: bool,
}

// === impl Work ===

impl Work {
    pub fn new(
        places: Places,
        clock: Arc<dyn Clock>,
        counts: Arc<Counts>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            batcher: Batcher::default(),
            stderr: places.stderr,
            file: file_of(places),
            waiting: Vec::new(),
            told_dropped: 0,
            told: Told::default(),
            clock,
            counts,
            shared,
        }
    }

    pub fn run(&mut self, queue: &Receiver<Message>) {
        loop {
            let wait = self.batcher.wait_ms(self.now_ms());
            let message = match wait {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(ms) => {
                    queue.recv_timeout(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
                }
            };
            match message {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let rest = self.batcher.take();
                    return self.write(rest);
                }
            }
            if let Some(batch) = self.batcher.due(self.now_ms()) {
                self.write(batch);
            }
        }
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().monotonic_ms
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Entry(entry) => {
                self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
                if self.stderr {
                    say(&entry);
                }
                if let Some(batch) = self.batcher.push(*entry, self.now_ms()) {
                    self.write(batch);
                }
            }
            Message::Look => {
                self.record();
            }
            Message::GoTo(places) => {
                // What was said before belongs to the place before.
                let rest = self.batcher.take();
                self.write(rest);
                self.go_to(places);
            }
            Message::Flush(done) => {
                let rest = self.batcher.take();
                self.write(rest);
                let _ = done.try_send(());
            }
        }
    }

    /// The record, where there is one; it has then been given what waited for it.
    fn record(&mut self) -> Option<Arc<dyn Record>> {
        let record = self.shared.record.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        if !self.waiting.is_empty() {
            record.log(std::mem::take(&mut self.waiting));
        }
        Some(record)
    }

    fn write(&mut self, mut batch: Vec<LogEntry>) {
        let dropped = self.counts.dropped.load(Ordering::Relaxed);
        if dropped > self.told_dropped {
            batch.push(self.warning(
                "lines were dropped because the log's queue was full",
                format!("lines={} since_start={dropped}", dropped - self.told_dropped),
            ));
            self.told_dropped = dropped;
        }
        if !batch.is_empty() {
            let trouble = self.write_file(&batch);
            batch.extend(trouble);
            self.pass_on(batch);
        }
        let moved = self.shared.moved.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(places) = moved {
            self.go_to(places);
        }
    }

    fn go_to(&mut self, places: Places) {
        self.stderr = places.stderr;
        self.file = file_of(places);
        self.told = Told::default();
    }

    /// Answers what is to be told of it, which is in the file by then if that is possible.
    fn write_file(&mut self, batch: &[LogEntry]) -> Vec<LogEntry> {
        let Some(file) = &mut self.file else { return Vec::new() };
        file.file_bytes = self.shared.file_bytes.load(Ordering::Relaxed);
        file.files = self.shared.files.load(Ordering::Relaxed);
        let Written { lines, rotated } = file.write(batch);
        let mut trouble = Vec::new();
        match rotated {
            Some(Err(error)) if !std::mem::replace(&mut self.told.unrotated, true) => {
                trouble.push(self.warning(
                    "an older log file could not be put aside; the newest lines take its place",
                    format!("error={error:?}"),
                ));
            }
            Some(Ok(())) => self.told.unrotated = false,
            Some(Err(_)) | None => {}
        }
        match lines {
            Ok(()) => self.told.unwritten = false,
            Err(error) => {
                // The counter tells how many: a full disk is not made fuller by saying so.
                self.counts.unwritten.fetch_add(batch.len() as u64, Ordering::Relaxed);
                if !std::mem::replace(&mut self.told.unwritten, true) {
                    trouble.push(self.cannot_write(&error));
                }
                return trouble;
            }
        }
        if let (false, Some(file)) = (trouble.is_empty(), &mut self.file) {
            let _ = file.write(&trouble);
        }
        trouble
    }

    fn cannot_write(&self, error: &io::Error) -> LogEntry {
        let warning = self.warning(
            "the log file cannot be written; lines are not kept in it until it can",
            format!("error={error:?}"),
        );
        // The file does not have it: whoever looks at the terminal should.
        say(&warning);
        warning
    }

    fn warning(&self, message: &str, fields: String) -> LogEntry {
        LogEntry {
            at_ms: self.clock.now().wall_ms,
            level: LogLevel::Warn,
            module: module_path!().into(),
            message: message.into(),
            fields,
        }
    }

    /// Warnings and above, to the history.
    fn pass_on(&mut self, mut entries: Vec<LogEntry>) {
        entries.retain(|entry| entry.level <= LogLevel::Warn);
        for entry in &mut entries {
            entry.message = redact::secrets(&entry.message).into_owned();
            entry.fields = redact::secrets(&entry.fields).into_owned();
        }
        if entries.is_empty() {
            return;
        }
        match self.record() {
            Some(record) => record.log(entries),
            None => {
                entries.truncate(WAITING.saturating_sub(self.waiting.len()));
                self.waiting.append(&mut entries);
            }
        }
    }
}

fn file_of(places: Places) -> Option<Rotating> {
    Some(Rotating::new(places.folder?, places.name, 0, 1))
}

/// A line for a person in a terminal. Where stderr is gone, so is the line.
fn say(entry: &LogEntry) {
    let level = match entry.level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARN",
        LogLevel::Info => "INFO",
        LogLevel::Debug => "DEBUG",
        LogLevel::Trace => "TRACE",
    };
    let space = if entry.fields.is_empty() { "" } else { " " };
    let line = format!("{level:5} {}: {}{space}{}", entry.module, entry.message, entry.fields);
    let _ = writeln!(io::stderr(), "{}", redact::secrets(&line));
}
