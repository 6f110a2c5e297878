//! The log: leveled by module, adjustable while it runs, and never in the way.
//!
//! A line that is off costs a look at a cached flag. A line that is on is put
//! into a bounded queue; where that is full the line is dropped and counted. A
//! thread of its own takes batches to the file, and warnings and above to the
//! history, too.

mod batch;
pub mod bundle;
mod file;
mod layer;
mod levels;
pub mod redact;
mod tail;
mod work;
mod writer;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use plimsoll_core::{
    clock::Clock,
    config::{self, Config},
    record::Record,
};
use tokio::{sync::watch, task::JoinHandle};
use tracing::Dispatch;
use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt as _, reload};

pub use tail::{Wanted, tail};

use self::{layer::QueueLayer, levels::targets, writer::Writer};

/// Lines that wait to be written; further ones are dropped and counted.
pub const QUEUE: usize = 10_000;
/// Lines that are written together.
pub const BATCH: usize = 100;
/// Longest wait of a line that is not in a full batch.
pub const BATCH_MS: i64 = 5000;

/// Where the log goes.
#[derive(Clone, Debug)]
pub struct Places {
    /// Folder of the file and its predecessors; `None`: no file.
    pub folder: Option<PathBuf>,
    /// Of the newest file. No two processes write the same.
    pub name: &'static str,
    /// Also to stderr, each line at once: for a program in a terminal or a unit.
    pub stderr: bool,
}

/// The running log. Dropping it writes what waits, for at most two seconds.
pub struct Logging {
    running: Arc<Running>,
}

struct Running {
    levels: reload::Handle<Targets, Registry>,
    counts: Arc<Counts>,
    writer: Writer,
}

/// The log of this process: there is one, and it lasts as long as the process.
static PROCESS: Mutex<Option<Arc<Running>>> = Mutex::new(None);

#[derive(Debug, Default)]
struct Counts {
    dropped: AtomicU64,
    waiting: AtomicU64,
    unwritten: AtomicU64,
}

/// What became of the lines since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// In the queue now.
    pub waiting: u64,
    /// Not kept because the queue was full.
    pub dropped: u64,
    /// Not kept because the file could not be written.
    pub unwritten: u64,
}

// === impl Places ===

impl Places {
    /// The log of whoever owns the data folder.
    pub fn of_owner(folder: PathBuf, stderr: bool) -> Self {
        Self { folder: Some(folder), name: file::OWNER, stderr }
    }

    /// The log of a window that is attached to an owner, beside the owner's.
    pub fn of_window(folder: PathBuf) -> Self {
        Self { folder: Some(folder), name: file::WINDOW, stderr: false }
    }
}

// === impl Logging ===

impl Logging {
    /// Starts the writer and answers the subscriber that feeds it.
    pub fn start(
        places: Places,
        settings: &config::Log,
        clock: Arc<dyn Clock>,
    ) -> (Self, Dispatch) {
        let counts = Arc::new(Counts::default());
        let (filter, levels) = reload::Layer::new(targets(settings));
        let (writer, queue) = Writer::start(places, settings, clock.clone(), counts.clone());
        let layer = QueueLayer::new(queue, counts.clone(), clock);
        let subscriber = Registry::default().with(filter).with(layer);
        let running = Arc::new(Running { levels, counts, writer });
        (Self { running }, Dispatch::new(subscriber))
    }

    /// Starts the log of this process, or lets the one that runs go on at another place: a window
    /// that was attached may own the folder later.
    pub fn install(places: Places, settings: &config::Log, clock: Arc<dyn Clock>) -> Self {
        let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*process {
            let logging = Self { running: running.clone() };
            logging.apply(settings);
            logging.go_to(places);
            return logging;
        }
        let (logging, dispatch) = Self::start(places, settings, clock);
        *process = Some(logging.running.clone());
        let _ = tracing::dispatcher::set_global_default(dispatch);
        log_panics();
        logging
    }

    /// What is said from now on is written there.
    fn go_to(&self, places: Places) {
        self.running.writer.go_to(places);
    }

    /// Levels and the file's limits apply from now on.
    pub fn apply(&self, settings: &config::Log) {
        if let Err(error) = self.running.levels.reload(targets(settings)) {
            tracing::warn!(%error, "the log's levels could not be changed");
        }
        self.running.writer.limit(settings);
    }

    /// Warnings and above go there, too; those that wait go first.
    pub fn record_into(&self, record: Arc<dyn Record>) {
        self.running.writer.record_into(Some(record));
    }

    /// The history is about to close: warnings wait for another one.
    pub fn record_no_more(&self) {
        self.running.writer.record_into(None);
    }

    pub fn counts(&self) -> LogCounts {
        LogCounts {
            waiting: self.running.counts.waiting.load(Ordering::Relaxed),
            dropped: self.running.counts.dropped.load(Ordering::Relaxed),
            unwritten: self.running.counts.unwritten.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits and returns when that is done, at most two seconds later.
    pub fn flush(&self) {
        self.running.writer.flush();
    }

    /// Follows the configuration until its sender is gone or the task is aborted.
    pub fn follow(self: &Arc<Self>, mut config: watch::Receiver<Arc<Config>>) -> JoinHandle<()> {
        let logging = Arc::downgrade(self);
        let mut now = config.borrow_and_update().log.clone();
        self.apply(&now);
        tokio::spawn(async move {
            while config.changed().await.is_ok() {
                let next = config.borrow_and_update().log.clone();
                let Some(logging) = logging.upgrade() else { return };
                if next != now {
                    logging.apply(&next);
                    now = next;
                }
            }
        })
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        // The thread itself ends when the last sender, the subscriber's, is gone.
        self.flush();
    }
}

/// A panic is a mistake of ours: it goes into the log as well as to stderr.
fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let words = info.payload_as_str().unwrap_or("no words");
        tracing::error!(%place, "panicked: {words}");
        before(info);
    }));
}

#[cfg(test)]
mod tests;
