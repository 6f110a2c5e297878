//! The log: leveled by module, adjustable while it runs, and never in the way.
//!
//! A line that is off costs a look at a cached flag. A line that is on is put
//! into a bounded queue; where that is full the line is dropped and counted. A
//! thread of its own takes batches to the file, and warnings and above to the
//! history, too.

pub mod bundle;
mod file;
mod layer;
mod levels;
pub mod redact;
mod tail;
mod writer;

use std::{
    path::PathBuf,
    sync::{
        Arc,
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
    /// Folder of `plimsoll.log` and its predecessors; `None`: no file.
    pub folder: Option<PathBuf>,
    /// Also to stderr, each line at once: for a program in a terminal or a unit.
    pub stderr: bool,
}

/// The running log. Dropping it writes what waits, for at most two seconds.
pub struct Logging {
    levels: reload::Handle<Targets, Registry>,
    counts: Arc<Counts>,
    writer: Writer,
}

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
        (Self { levels, counts, writer }, Dispatch::new(subscriber))
    }

    /// Starts the log of this process. A second one in the same process stays
    /// without lines: the first has them all.
    pub fn install(places: Places, settings: &config::Log, clock: Arc<dyn Clock>) -> Self {
        let (logging, dispatch) = Self::start(places, settings, clock);
        let _ = tracing::dispatcher::set_global_default(dispatch);
        log_panics();
        logging
    }

    /// Levels and the file's limits apply from now on.
    pub fn apply(&self, settings: &config::Log) {
        if let Err(error) = self.levels.reload(targets(settings)) {
            tracing::warn!(%error, "the log's levels could not be changed");
        }
        self.writer.limit(settings);
    }

    /// Warnings and above go there, too; those that wait go first.
    pub fn record_into(&self, record: Arc<dyn Record>) {
        self.writer.record_into(record);
    }

    pub fn counts(&self) -> LogCounts {
        LogCounts {
            waiting: self.counts.waiting.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
            unwritten: self.counts.unwritten.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits and returns when that is done, at most two seconds later.
    pub fn flush(&self) {
        self.writer.flush();
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
