//! The history as its owner holds it.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use plimsoll_core::{clock::Clock, mark::Mark};
use tokio::{
    sync::{Notify, broadcast, mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    checkpoint,
    db::HISTORY,
    error::{OpenError, ReadError},
    options::Options,
    reader::Reader,
    recorder::{Queue, Recorder},
    status::RecordingStatus,
    writer::{Request, Writer},
};

/// Marks of the history's own that a listener may be behind; older ones it asks for.
const HEARD: usize = 64;

/// What writer, readers and the checkpoint share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub path: PathBuf,
    /// Grows when the file is replaced: connections from before are to be reopened.
    generation: AtomicU64,
    /// Something was committed since the last checkpoint.
    pub dirty: AtomicBool,
    /// The log grew long: no reason to wait for the next checkpoint.
    pub checkpoint_now: Notify,
    /// A reader met damage in the file of that generation; 0 for none. Generations begin at 1.
    damaged: AtomicU64,
    /// Marks that the history itself made.
    marks: broadcast::Sender<Mark>,
}

/// The history, held by the one process that owns the data folder.
pub struct History {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    reader: Reader,
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<RecordingStatus>,
    /// Of the time before anybody could listen; the first listener's.
    first_marks: Mutex<Option<broadcast::Receiver<Mark>>>,
    stop_checkpoints: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: HISTORY.path(folder),
            generation: AtomicU64::new(1),
            dirty: AtomicBool::new(false),
            checkpoint_now: Notify::new(),
            damaged: AtomicU64::new(0),
            marks: broadcast::channel(HEARD).0,
        }
    }

    /// Tells whoever listens; that nobody does is no fault.
    pub(crate) fn tell(&self, mark: Mark) {
        let _ = self.marks.send(mark);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Damage was met in the file of that generation: the writer sets it aside.
    pub(crate) fn report_damage(&self, generation: u64) {
        self.damaged.store(generation, Ordering::Release);
    }

    /// Damage was reported, and of the file that is in use now.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.swap(0, Ordering::AcqRel) == self.generation()
    }

    pub(crate) fn replaced(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

// === impl History ===

impl History {
    /// Opens or creates the history in `folder` and begins to record. A damaged
    /// database is set aside; a newer one is refused and left untouched. A disk
    /// that takes nothing is no error: recording starts paused.
    pub async fn open(
        folder: &Path,
        options: watch::Receiver<Options>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::new(folder));
        let first_marks = Mutex::new(Some(shared.marks.subscribe()));
        let queue = Arc::new(Queue::default());
        let (requests, inbox) = mpsc::channel(16);
        let (status_tx, status) = watch::channel(RecordingStatus::default());
        let (stop_checkpoints, stopped) = watch::channel(false);
        let writer =
            Writer::open(folder, shared.clone(), queue.clone(), options.clone(), clock, status_tx)
                .await?;
        let tasks = vec![
            tokio::spawn(writer.run(inbox)),
            checkpoint::start(shared.clone(), options, stopped),
        ];
        let reader = Reader::beside(shared.clone(), Some(queue.clone()));
        Ok(Self { shared, queue, reader, requests, status, first_marks, stop_checkpoints, tasks })
    }

    /// Where producers put things.
    pub fn recorder(&self) -> Recorder {
        Recorder { queue: self.queue.clone() }
    }

    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// How recording is doing; changes as it does.
    pub fn watch(&self) -> watch::Receiver<RecordingStatus> {
        self.status.clone()
    }

    /// Marks that the history makes itself, as they are made: a clock that was
    /// set, a sleep, a damaged database set aside, recording that was paused,
    /// data deleted. Their `id` may still be 0. The first caller hears also
    /// those made while the history was opened.
    pub fn marks(&self) -> broadcast::Receiver<Mark> {
        let first = self.first_marks.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.shared.marks.subscribe())
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Waits until everything that was recorded before the call is written and
    /// every complete span is sealed; `false` while recording is paused.
    pub async fn settle(&self) -> bool {
        self.ask(Request::Settle).await.unwrap_or(false)
    }

    /// Deletes everything before `before_ms`, or the whole history.
    pub async fn delete_before(&self, before_ms: Option<i64>) -> Result<(), ReadError> {
        self.ask(|reply| Request::Delete { before_ms, reply }).await.ok_or(ReadError::Closed)?
    }

    /// See [`Reader::backup`].
    pub async fn backup(
        &self,
        folder: &Path,
        progress: impl Fn(f64) + Send + Sync,
        cancel: &AtomicBool,
    ) -> Result<PathBuf, ReadError> {
        self.reader.backup(folder, progress, cancel).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Writes what waits, folds the write-ahead log into the database and closes it.
    pub async fn stop(mut self) {
        let _ = self.stop_checkpoints.send(true);
        self.reader.close().await;
        let _ = self.ask(Request::Stop).await;
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the history ended badly");
            }
        }
    }
}
