//! The thread that writes: batches of 100 lines or after 5 s, whichever is first.

use std::{
    io::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use plimsoll_core::{
    clock::Clock,
    config,
    log::{LogEntry, LogLevel},
    record::Record,
};

use super::{BATCH, BATCH_MS, Counts, Places, QUEUE, file::Rotating, layer, redact};

/// Warnings that wait for the history to open.
const WAITING: usize = 100;
/// Longest wait for the writer when the program ends.
const FLUSH: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);

pub(super) enum Message {
    Entry(Box<LogEntry>),
    /// There is a record now: hand it what waits.
    Recording,
    /// Write what waits, then say so.
    Flush(SyncSender<()>),
}

/// The handle of the writing thread.
pub(super) struct Writer {
    queue: SyncSender<Message>,
    limits: Arc<Limits>,
    record: Slot,
}

/// Where warnings go besides the file, once the history is open.
type Slot = Arc<Mutex<Option<Arc<dyn Record>>>>;

/// The file's limits, changed while it is written.
#[derive(Debug, Default)]
struct Limits {
    file_bytes: AtomicU64,
    files: AtomicU32,
}

/// Lines on their way into a batch.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    entries: Vec<LogEntry>,
    since_ms: i64,
}

// === impl Batcher ===

impl Batcher {
    /// Takes a line; answers the batch where it is full. An error is not kept
    /// waiting: it may be the last thing the program says.
    pub fn push(&mut self, entry: LogEntry, now_ms: i64) -> Option<Vec<LogEntry>> {
        if self.entries.is_empty() {
            self.since_ms = now_ms;
        }
        let urgent = entry.level == LogLevel::Error;
        self.entries.push(entry);
        (urgent || self.entries.len() >= BATCH).then(|| self.take())
    }

    /// The batch, where its oldest line has waited long enough.
    pub fn due(&mut self, now_ms: i64) -> Option<Vec<LogEntry>> {
        (self.wait_ms(now_ms)? == 0).then(|| self.take())
    }

    /// Milliseconds until the batch is due; `None` where nothing waits.
    pub fn wait_ms(&self, now_ms: i64) -> Option<i64> {
        let waited = now_ms.saturating_sub(self.since_ms);
        (!self.entries.is_empty()).then(|| (BATCH_MS - waited).clamp(0, BATCH_MS))
    }

    pub fn take(&mut self) -> Vec<LogEntry> {
        std::mem::take(&mut self.entries)
    }
}

// === impl Writer ===

impl Writer {
    pub fn start(
        places: Places,
        settings: &config::Log,
        clock: Arc<dyn Clock>,
        counts: Arc<Counts>,
    ) -> (Self, SyncSender<Message>) {
        let (queue, entries) = sync_channel(QUEUE);
        let limits = Arc::new(Limits::default());
        limits.set(settings);
        let record = Slot::default();
        let mut work = Work {
            batcher: Batcher::default(),
            file: places.folder.map(|folder| Rotating::new(folder, 0, 1)),
            stderr: places.stderr,
            record: record.clone(),
            waiting: Vec::new(),
            told_dropped: 0,
            clock,
            counts,
            limits: limits.clone(),
        };
        let started = thread::Builder::new().name("log".into()).spawn(move || {
            layer::silence_this_thread();
            work.run(&entries);
        });
        if let Err(error) = started {
            // Without a thread the queue is closed: every line is counted as dropped.
            let _ = writeln!(std::io::stderr(), "plimsoll: no log is written: {error}");
        }
        (Self { queue: queue.clone(), limits, record }, queue)
    }

    pub fn limit(&self, settings: &config::Log) {
        self.limits.set(settings);
    }

    pub fn record_into(&self, record: Arc<dyn Record>) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
        // Where the queue is full, the next batch finds it.
        let _ = self.queue.try_send(Message::Recording);
    }

    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let mut message = Message::Flush(done);
        // A disk that hangs must not hold up the end of the program.
        let mut left = FLUSH;
        while !left.is_zero() {
            match self.queue.try_send(message) {
                Ok(()) => {
                    let _ = wait.recv_timeout(left);
                    return;
                }
                Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => message = back,
            }
            thread::sleep(STEP);
            left = left.saturating_sub(STEP);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread itself ends when the last sender, the subscriber's, is gone.
        self.flush();
    }
}

// === impl Limits ===

impl Limits {
    fn set(&self, settings: &config::Log) {
        self.file_bytes.store(u64::from(settings.file_mib) << 20, Ordering::Relaxed);
        self.files.store(settings.files.max(1), Ordering::Relaxed);
    }
}

struct Work {
    batcher: Batcher,
    file: Option<Rotating>,
    stderr: bool,
    record: Slot,
    /// Warnings from before there was a record.
    waiting: Vec<LogEntry>,
    told_dropped: u64,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    limits: Arc<Limits>,
}

// === impl Work ===

impl Work {
    fn run(&mut self, queue: &Receiver<Message>) {
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
            Message::Recording => {
                self.record();
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
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        if !self.waiting.is_empty() {
            record.log(std::mem::take(&mut self.waiting));
        }
        Some(record)
    }

    fn write(&mut self, mut batch: Vec<LogEntry>) {
        let dropped = self.counts.dropped.load(Ordering::Relaxed);
        if dropped > self.told_dropped {
            batch.push(LogEntry {
                at_ms: self.clock.now().wall_ms,
                level: LogLevel::Warn,
                module: module_path!().into(),
                message: "lines were dropped because the log's queue was full".into(),
                fields: format!("lines={} since_start={dropped}", dropped - self.told_dropped),
            });
            self.told_dropped = dropped;
        }
        if batch.is_empty() {
            return;
        }
        if let Some(file) = &mut self.file {
            file.file_bytes = self.limits.file_bytes.load(Ordering::Relaxed);
            file.files = self.limits.files.load(Ordering::Relaxed);
            if file.write(&batch).is_err() {
                // Nobody to tell but the counter: a full disk fills no disk.
                self.counts.unwritten.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        }
        let mut severe = batch;
        severe.retain(|entry| entry.level <= LogLevel::Warn);
        for entry in &mut severe {
            entry.message = redact::secrets(&entry.message).into_owned();
            entry.fields = redact::secrets(&entry.fields).into_owned();
        }
        if severe.is_empty() {
            return;
        }
        match self.record() {
            Some(record) => record.log(severe),
            None => {
                severe.truncate(WAITING.saturating_sub(self.waiting.len()));
                self.waiting.append(&mut severe);
            }
        }
    }
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
    let _ = writeln!(std::io::stderr(), "{}", redact::secrets(&line));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(level: LogLevel) -> LogEntry {
        LogEntry {
            at_ms: 0,
            level,
            module: String::new(),
            message: String::new(),
            fields: String::new(),
        }
    }

    // MV6: batches of 100 or 5 s
    #[test]
    fn a_batch_is_a_hundred_lines_or_five_seconds() {
        let mut batcher = Batcher::default();
        assert_eq!(batcher.wait_ms(0), None);
        for n in 1..100 {
            assert!(batcher.push(entry(LogLevel::Info), 1000 + n).is_none());
        }
        assert_eq!(batcher.push(entry(LogLevel::Info), 2000).unwrap().len(), 100);
        assert!(batcher.push(entry(LogLevel::Warn), 10_000).is_none());
        assert_eq!(batcher.wait_ms(12_000), Some(3000));
        assert!(batcher.due(14_999).is_none());
        assert_eq!(batcher.due(15_000).unwrap().len(), 1);
        assert!(batcher.due(99_000).is_none());
    }

    #[test]
    fn an_error_takes_its_batch_along_at_once() {
        let mut batcher = Batcher::default();
        batcher.push(entry(LogLevel::Info), 0);
        assert_eq!(batcher.push(entry(LogLevel::Error), 1).unwrap().len(), 2);
    }
}
