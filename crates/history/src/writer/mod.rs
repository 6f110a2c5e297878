//! The one writer. A tick is one row and one commit; sealing and purging happen
//! between ticks, in small steps, driven by the time of the ticks: an idle
//! history has no timer of its own.

mod attach;
mod faults;
mod write;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use plimsoll_core::clock::Clock;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    catalog::Catalog,
    codec::Sample,
    db,
    error::{ReadError, reason_of},
    history::Shared,
    lane::Lane,
    options::Options,
    recorder::Queue,
    retention::Round,
    seal::Job,
    status::{Recording, RecordingStatus},
    timeline::Timeline,
};

/// Log entries wait this long for company.
const LOG_MS: u64 = 5000;
const LOG_BATCH: usize = 100;
/// A write-ahead log longer than that is checkpointed before its time: it only
/// grows so fast while much is written at once.
const LONG_LOG: u64 = 16 << 20;
/// Commits between two looks at the size of the database.
const SIZE_EVERY: u32 = 16;

pub(crate) enum Request {
    Settle(oneshot::Sender<bool>),
    Delete { before_ms: Option<i64>, reply: oneshot::Sender<Result<(), ReadError>> },
    Stop(oneshot::Sender<()>),
}

pub(crate) struct Writer {
    folder: PathBuf,
    pub(crate) shared: Arc<Shared>,
    queue: Arc<Queue>,
    options_rx: watch::Receiver<Options>,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    status: watch::Sender<RecordingStatus>,
    set_aside: Vec<PathBuf>,
    commits: u32,
    bytes: u64,

    /// `None` while the database cannot be opened.
    pub(crate) connection: Option<SqliteConnection>,
    pub(crate) catalog: Catalog,
    pub(crate) lanes: Vec<Lane>,
    timeline: Timeline,
    epoch: i64,
    seq: i64,
    /// Reused for every tick.
    samples: Vec<(u32, Sample)>,

    paused: Option<(String, i64)>,
    retry_at_ms: i64,

    /// The slot that is being sealed.
    pub(crate) job: Option<Job>,
    /// Ticks up to this number are sealed and can go.
    pub(crate) spent_ticks: Option<i64>,
    /// What is left of a round of purging.
    pub(crate) round: Option<Round>,
    pub(crate) rounds: u32,
    /// Monotonic times at which sealing and purging are looked at again.
    seal_at_ms: i64,
    purge_at_ms: i64,
    /// Something is old enough to go, and its coarser level is not sealed yet.
    pub(crate) purge_waits: bool,
    /// After a clock that leapt forward, age is not believed for a while.
    pub(crate) hold_purge_until_ms: i64,
}

// === impl Writer ===

impl Writer {
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let queue = self.queue.clone();
        let mut log_since: Option<tokio::time::Instant> = None;
        loop {
            let log_due = async {
                match log_since {
                    Some(since) => {
                        tokio::time::sleep_until(since + Duration::from_millis(LOG_MS)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            let mut flush = false;
            tokio::select! {
                biased;
                request = inbox.recv() => match request {
                    Some(Request::Stop(reply)) => {
                        self.drain(true).await;
                        self.close().await;
                        let _ = reply.send(());
                        return;
                    }
                    Some(Request::Settle(reply)) => {
                        self.drain(true).await;
                        if self.paused.is_none()
                            && let Err(error) = self.catch_up().await
                        {
                            self.fail(error).await;
                        }
                        let _ = reply.send(self.paused.is_none());
                    }
                    Some(Request::Delete { before_ms, reply }) => {
                        self.drain(true).await;
                        let outcome = self.delete(before_ms).await;
                        if let Err(ReadError::Database(error)) = &outcome {
                            self.pause(reason_of(error));
                        }
                        let _ = reply.send(outcome);
                    }
                    // The owner is gone without a word: what waits is still written.
                    None => {
                        self.drain(true).await;
                        self.close().await;
                        return;
                    }
                },
                () = queue.wake.notified() => {}
                () = log_due => flush = true,
                changed = self.options_rx.changed() => {
                    if changed.is_ok() {
                        self.apply_options();
                    } else {
                        // Nobody can change them any more; this branch must not spin.
                        let (_, frozen) = watch::channel(self.options);
                        self.options_rx = frozen;
                        tokio::task::yield_now().await;
                    }
                }
            }
            self.drain(flush).await;
            let waiting = !self.queue.lock().log.is_empty();
            log_since = match (waiting, log_since) {
                (false, _) => None,
                (true, Some(since)) if !flush => Some(since),
                (true, _) => Some(tokio::time::Instant::now()),
            };
            self.publish();
        }
    }

    fn apply_options(&mut self) {
        let before = std::mem::replace(&mut self.options, *self.options_rx.borrow_and_update());
        if (before.keep, before.max_bytes) != (self.options.keep, self.options.max_bytes) {
            // Who keeps less is told what it frees: it is freed now, not with the next round.
            self.purge_at_ms = i64::MIN;
        }
        self.queue.lock().off = !self.options.enabled;
    }

    /// Writes everything that waits; log entries only when there are enough or
    /// `flush` says so.
    async fn drain(&mut self, flush: bool) {
        if self.shared.is_damaged() {
            self.replace("a query met damage").await;
        }
        if self.paused.is_some() && !self.try_again().await {
            return;
        }
        // A damaged database is replaced once, and what waits goes into the new one.
        for _ in 0..2 {
            match self.write_all(flush).await {
                Ok(()) => return,
                Err(error) => self.fail(error).await,
            }
            if self.paused.is_some() {
                return;
            }
        }
    }

    async fn write_all(&mut self, flush: bool) -> Result<(), sqlx::Error> {
        loop {
            // Here and not before: while a demo's past is written the queue is never empty.
            if self.options_rx.has_changed().unwrap_or(false) {
                self.apply_options();
            }
            self.write_events(flush).await?;
            let (tick, more) = {
                let waiting = self.queue.lock();
                (
                    waiting.ticks.front().cloned(),
                    flush && self.connection.is_some() && !waiting.requests.is_empty(),
                )
            };
            let Some(tick) = tick else {
                if more {
                    continue;
                }
                return Ok(());
            };
            self.write_tick(&tick).await?;
            {
                let mut waiting = self.queue.lock();
                if waiting.ticks.front().is_some_and(|front| Arc::ptr_eq(front, &tick)) {
                    waiting.ticks.pop_front();
                }
            }
            self.committed();
            self.upkeep(tick.at.monotonic_ms).await?;
        }
    }

    /// What a round of purging had to leave may go now: the coarser level is sealed.
    pub(crate) fn purge_what_waited(&mut self) {
        if std::mem::take(&mut self.purge_waits) {
            self.purge_at_ms = i64::MIN;
        }
    }

    /// A little sealing and purging between two ticks: at most one step of each.
    async fn upkeep(&mut self, now_ms: i64) -> Result<(), sqlx::Error> {
        if (self.job.is_some() || now_ms >= self.seal_at_ms) && !self.seal_step().await? {
            self.seal_at_ms = now_ms.saturating_add(self.options.seal_ms);
        }
        self.delete_spent_ticks().await?;
        if self.round.is_none() && now_ms >= self.purge_at_ms {
            self.purge_at_ms = now_ms.saturating_add(self.options.purge_ms);
            self.round = Some(Round::Age);
        }
        self.purge_step().await?;
        Ok(())
    }

    /// All that is due, at once: before an answer that must not depend on it.
    async fn catch_up(&mut self) -> Result<(), sqlx::Error> {
        while self.seal_step().await? {}
        while self.delete_spent_ticks().await? {}
        if self.round.is_none() {
            self.round = Some(Round::Age);
        }
        while self.purge_step().await? {}
        Ok(())
    }

    pub(crate) fn committed(&mut self) {
        self.shared.dirty.store(true, Ordering::Relaxed);
        self.commits += 1;
        if self.commits.is_multiple_of(SIZE_EVERY) || self.bytes == 0 {
            self.bytes = db::bytes_on_disk(&self.shared.path);
            let log = std::fs::metadata(db::sidecar(&self.shared.path, "-wal"));
            if log.is_ok_and(|log| log.len() > LONG_LOG) {
                self.shared.checkpoint_now.notify_one();
            }
        }
    }

    fn publish(&mut self) {
        let state = match &self.paused {
            _ if !self.options.enabled => Recording::Off,
            Some((reason, since_ms)) => {
                Recording::Paused { reason: reason.clone(), since_ms: *since_ms }
            }
            None => Recording::Recording,
        };
        let status = RecordingStatus {
            state,
            set_aside: self.set_aside.clone(),
            series: self.catalog.active(),
            series_turned_away: self.catalog.turned_away(),
            bytes: self.bytes,
            dropped_ticks: self.queue.dropped_ticks(),
        };
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
    }

    async fn close(&mut self) {
        self.queue.lock().off = true;
        let Some(mut connection) = self.connection.take() else { return };
        for lane in &self.lanes {
            if let Err(error) = lane.save(&mut connection).await {
                tracing::warn!(%error, "the last state of the history was not written");
            }
        }
        if let Err(error) =
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await
        {
            tracing::warn!(%error, "the closing checkpoint failed");
        }
        db::close(connection).await;
    }
}
