//! The handle of the thread that writes, and what both sides share.

use std::{
    io::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use plimsoll_core::{clock::Clock, config, log::LogEntry, record::Record};

use super::{Counts, Places, QUEUE, layer, work::Work};

/// Longest wait for the writer when the program ends.
const FLUSH: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);

pub(super) enum Message {
    Entry(Box<LogEntry>),
    /// There is a record now, or none any more: look at [`Shared`].
    Look,
    /// What comes after this goes there.
    GoTo(Places),
    /// Write what waits, then say so.
    Flush(SyncSender<()>),
}

pub(super) struct Writer {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

/// What is told to the thread beside its queue, so that it is not lost where that is full.
#[derive(Default)]
pub(super) struct Shared {
    /// The file's limits, changed while it is written.
    pub file_bytes: AtomicU64,
    pub files: AtomicU32,
    /// Where warnings go besides the file, once the history is open.
    pub record: Mutex<Option<Arc<dyn Record>>>,
    /// Where the log goes from now on, where the queue was too full to say so in its order.
    pub moved: Mutex<Option<Places>>,
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
        let shared = Arc::new(Shared::default());
        let writer = Self { queue: queue.clone(), shared: shared.clone() };
        writer.limit(settings);
        let mut work = Work::new(places, clock, counts, shared);
        let started = thread::Builder::new().name("log".into()).spawn(move || {
            layer::silence_this_thread();
            work.run(&entries);
        });
        if let Err(error) = started {
            // Without a thread the queue is closed: every line is counted as dropped.
            let _ = writeln!(std::io::stderr(), "plimsoll: no log is written: {error}");
        }
        (writer, queue)
    }

    pub fn limit(&self, settings: &config::Log) {
        let bytes = u64::from(settings.file_mib) << 20;
        self.shared.file_bytes.store(bytes, Ordering::Relaxed);
        self.shared.files.store(settings.files.max(1), Ordering::Relaxed);
    }

    pub fn record_into(&self, record: Option<Arc<dyn Record>>) {
        *self.shared.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
        // Where the queue is full, the next batch finds it.
        let _ = self.queue.try_send(Message::Look);
    }

    pub fn go_to(&self, places: Places) {
        if let Err(TrySendError::Full(Message::GoTo(places))) =
            self.queue.try_send(Message::GoTo(places))
        {
            *self.shared.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some(places);
        }
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
