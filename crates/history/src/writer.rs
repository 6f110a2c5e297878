//! The one writer. A tick is one row and one commit; sealing and purging happen
//! between ticks, in small steps, driven by the time of the ticks: an idle
//! history has no timer of its own.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use plimsoll_core::{
    clock::Clock,
    mark::{Mark, MarkKind},
    reading::Tick,
};
use sqlx::{Row as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    catalog::Catalog,
    codec::{Sample, tick},
    db::{self, HISTORY},
    error::{Fault, OpenError, ReadError, fault_of, is_full, reason_of},
    events,
    faults::may_be_killed,
    history::Shared,
    lane::Lane,
    options::Options,
    recorder::Queue,
    retention::Round,
    seal::Job,
    status::{Recording, RecordingStatus},
    timeline::{Cause, Place, Timeline},
};

/// While paused, writing is tried again so often.
const RETRY_MS: i64 = 2000;
/// Log entries wait this long for company.
const LOG_MS: u64 = 5000;
const LOG_BATCH: usize = 100;
/// A clock that leaps further than this is not trusted to make data old...
const LEAP_MS: i64 = 86_400_000;
/// ...until it has stood for so long.
const HOLD_MS: i64 = 86_400_000;
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
    /// After a clock that leapt forward, age is not believed for a while.
    pub(crate) hold_purge_until_ms: i64,
}

// === impl Writer ===

impl Writer {
    pub(crate) async fn open(
        folder: &Path,
        shared: Arc<Shared>,
        queue: Arc<Queue>,
        mut options_rx: watch::Receiver<Options>,
        clock: Arc<dyn Clock>,
        status: watch::Sender<RecordingStatus>,
    ) -> Result<Self, OpenError> {
        let options = *options_rx.borrow_and_update();
        let mut writer = Self {
            folder: folder.to_owned(),
            shared,
            queue,
            options_rx,
            options,
            clock,
            status,
            set_aside: db::set_aside_in(folder),
            commits: 0,
            bytes: 0,
            connection: None,
            catalog: Catalog::default(),
            lanes: Vec::new(),
            timeline: Timeline::default(),
            epoch: 0,
            seq: 0,
            samples: Vec::new(),
            paused: None,
            retry_at_ms: 0,
            job: None,
            spent_ticks: None,
            round: None,
            rounds: 0,
            seal_at_ms: i64::MIN,
            purge_at_ms: i64::MIN,
            hold_purge_until_ms: i64::MIN,
        };
        match writer.attach().await {
            Ok(()) => {}
            Err(OpenError::Unusable { reason, .. }) => {
                writer.pause(reason);
            }
            Err(error) => return Err(error),
        }
        writer.apply_options();
        writer.publish();
        Ok(writer)
    }

    /// Opens the database and takes up where it ended. A damaged one is set aside.
    pub(crate) async fn attach(&mut self) -> Result<(), OpenError> {
        for _ in 0..2 {
            let error = match HISTORY.open(&self.folder).await {
                Ok(mut connection) => match self.load(&mut connection).await {
                    Ok(()) => {
                        self.connection = Some(connection);
                        return Ok(());
                    }
                    Err(e) => {
                        db::close(connection).await;
                        let path = self.shared.path.clone();
                        match fault_of(&e) {
                            Fault::Damaged => OpenError::Damaged { path, reason: e.to_string() },
                            Fault::Pause => OpenError::Unusable { path, reason: reason_of(&e) },
                        }
                    }
                },
                Err(error) => error,
            };
            let OpenError::Damaged { reason, .. } = &error else { return Err(error) };
            self.put_aside(reason)?;
        }
        Err(OpenError::Unusable {
            path: self.shared.path.clone(),
            reason: "a new database is damaged at once".into(),
        })
    }

    async fn load(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.catalog = Catalog::load(connection).await?;
        self.job = None;
        // What was half sealed is made again.
        sqlx::query("UPDATE slot SET state = 2 WHERE state = 0").execute(&mut *connection).await?;
        self.lanes = Lane::load_all(connection).await?;
        let row = sqlx::query(
            "SELECT coalesce((SELECT max(seq) FROM tick), 0),
                    coalesce((SELECT max(id) FROM epoch), 0),
                    (SELECT at_ms FROM tick ORDER BY seq DESC LIMIT 1)",
        )
        .fetch_one(&mut *connection)
        .await?;
        let sealed = self.lanes.iter().map(|lane| lane.sealed_seq).max().unwrap_or(0);
        self.seq = row.try_get::<i64, _>(0)?.max(sealed);
        self.epoch = row.try_get(1)?;
        let newest: Option<i64> = row.try_get(2)?;
        if let Some(lane) = self.lanes.last_mut() {
            lane.last_ms = lane.last_ms.max(newest.unwrap_or(i64::MIN));
        }
        // Ticks of the last lane that is not sealed to its end mark where spent ones end.
        self.spent_ticks = self
            .lanes
            .iter()
            .find(|lane| !lane.exhausted(plimsoll_core::series::Level::Raw))
            .map(|lane| lane.sealed_seq);
        self.round = Some(Round::Rows);
        self.timeline.resume(self.lanes.last().map(|lane| lane.last_ms));
        Ok(())
    }

    fn put_aside(&mut self, reason: &str) -> Result<(), OpenError> {
        let now_ms = self.clock.now().wall_ms;
        let path = &self.shared.path;
        let aside = db::set_aside(path, now_ms).map_err(|e| OpenError::Unusable {
            path: path.clone(),
            reason: format!("it is damaged ({reason}) and could not be set aside: {e}"),
        })?;
        self.shared.replaced();
        tracing::error!(reason, aside = %aside.display(), "the history is damaged and was set aside");
        let mut mark =
            Mark::new(now_ms, MarkKind::History, "The history was damaged; a new one was begun");
        mark.detail = format!(
            "The damaged database is kept as {}. `plimsoll history recover` brings back what can be read.",
            aside.display()
        );
        self.shared.tell(mark.clone());
        self.queue.lock().marks.push_back(mark);
        self.set_aside.push(aside);
        Ok(())
    }

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
        self.options = *self.options_rx.borrow_and_update();
        self.queue.lock().off = !self.options.enabled;
    }

    /// Writes everything that waits; log entries only when there are enough or
    /// `flush` says so.
    async fn drain(&mut self, flush: bool) {
        if self.options_rx.has_changed().unwrap_or(false) {
            self.apply_options();
        }
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
            self.write_events(flush).await?;
            let Some(tick) = self.queue.lock().ticks.front().cloned() else { return Ok(()) };
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

    async fn write_events(&mut self, flush: bool) -> Result<(), sqlx::Error> {
        let (marks, alerts, log) = {
            let waiting = self.queue.lock();
            let log = if flush || waiting.log.len() >= LOG_BATCH {
                waiting.log.iter().cloned().collect()
            } else {
                Vec::new()
            };
            if waiting.marks.is_empty() && waiting.alerts.is_empty() && log.is_empty() {
                return Ok(());
            }
            let marks: Vec<_> = waiting.marks.iter().cloned().collect();
            let alerts: Vec<_> = waiting.alerts.iter().cloned().collect();
            (marks, alerts, log)
        };
        let Some(connection) = self.connection.as_mut() else { return Ok(()) };
        let outcome = async {
            db::begin(connection).await?;
            for mark in &marks {
                events::insert_mark(connection, mark).await?;
            }
            for alert in &alerts {
                events::put_alert(connection, alert).await?;
            }
            for entry in &log {
                events::insert_log(connection, entry).await?;
            }
            db::commit(connection).await
        };
        db::or_rollback(outcome.await, connection).await?;
        // Only now do they leave the queue: a fault above loses nothing.
        let mut waiting = self.queue.lock();
        for mark in &marks {
            if waiting.marks.front() == Some(mark) {
                waiting.marks.pop_front();
            }
        }
        waiting.alerts.retain(|a| !alerts.contains(a));
        waiting.log.drain(..log.len());
        drop(waiting);
        self.committed();
        Ok(())
    }

    async fn write_tick(&mut self, tick: &Tick) -> Result<(), sqlx::Error> {
        let place = self.timeline.place(tick.at);
        self.catalog.samples(&tick.readings, place.at_ms, &self.options, &mut self.samples);
        let payload = tick::encode(&self.samples);
        if place.epoch.is_none() && self.catalog.unsaved.is_empty() {
            let Some(connection) = self.connection.as_mut() else { return Ok(()) };
            may_be_killed!("commit");
            insert_tick(connection, self.seq + 1, self.epoch, place.at_ms, payload).await?;
            may_be_killed!("committed");
        } else {
            let outcome = self.write_first_of_its_kind(place, payload).await;
            let Some(connection) = self.connection.as_mut() else { return Ok(()) };
            db::or_rollback(outcome, connection).await?;
        }
        if let Some(Cause::Forward { ms }) = place.epoch
            && ms > LEAP_MS
        {
            self.hold_purge_until_ms = tick.at.monotonic_ms + HOLD_MS;
        }
        self.seq += 1;
        self.timeline.accept(tick.at, place);
        if let Some(lane) = self.lanes.last_mut() {
            lane.last_ms = place.at_ms;
        }
        Ok(())
    }

    /// A tick that brings new series, or begins an epoch: all in one transaction.
    async fn write_first_of_its_kind(
        &mut self,
        place: Place,
        payload: Vec<u8>,
    ) -> Result<(), sqlx::Error> {
        let Some(connection) = self.connection.as_mut() else { return Ok(()) };
        let mut lanes = self.lanes.clone();
        let mut epoch = self.epoch;
        let mut made = None;
        db::begin(connection).await?;
        if place.lane {
            if let Some(last) = lanes.last_mut() {
                last.closed = true;
                last.save(connection).await?;
            }
            let id = lanes.last().map_or(1, |lane| lane.id + 1);
            let lane = Lane::begin(id, place.at_ms, self.seq);
            lane.save(connection).await?;
            lanes.push(lane);
        }
        if let Some(cause) = place.epoch {
            epoch += 1;
            sqlx::query("INSERT INTO epoch (id, lane, started_ms, cause) VALUES (?, ?, ?, ?)")
                .bind(epoch)
                .bind(lanes.last().map_or(1, |lane| lane.id))
                .bind(place.at_ms)
                .bind(cause.name())
                .execute(&mut *connection)
                .await?;
            if let Some(title) = cause.title() {
                let mut mark = Mark::new(place.at_ms, MarkKind::Clock, title);
                mark.id = events::insert_mark(connection, &mark).await?;
                made = Some(mark);
            }
        }
        self.catalog.save(connection).await?;
        insert_tick(connection, self.seq + 1, epoch, place.at_ms, payload).await?;
        may_be_killed!("commit");
        db::commit(connection).await?;
        may_be_killed!("committed");
        if let Some(mark) = made {
            self.shared.tell(mark);
        }
        self.catalog.saved();
        self.lanes = lanes;
        self.epoch = epoch;
        Ok(())
    }

    // --- faults ---

    async fn fail(&mut self, error: sqlx::Error) {
        match fault_of(&error) {
            Fault::Damaged => self.replace(&error.to_string()).await,
            Fault::Pause => {
                self.pause(reason_of(&error));
                // A full disk passes; whatever else it is, a fresh connection tells.
                if !is_full(&error)
                    && let Some(connection) = self.connection.take()
                {
                    db::close(connection).await;
                }
            }
        }
    }

    /// Sets the damaged database aside and goes on in a new one.
    async fn replace(&mut self, reason: &str) {
        if let Some(connection) = self.connection.take() {
            db::close(connection).await;
        }
        let outcome = match self.put_aside(reason) {
            Ok(()) => self.attach().await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            self.pause(error.to_string());
        }
    }

    fn pause(&mut self, reason: String) {
        let now = self.clock.now();
        if self.paused.is_none() {
            tracing::error!(reason, "recording is paused");
        }
        let since = self.paused.take().map_or(now.wall_ms, |(_, since)| since);
        self.paused = Some((reason, since));
        self.retry_at_ms = now.monotonic_ms + RETRY_MS;
        self.queue.lock().paused = true;
        self.publish();
    }

    async fn try_again(&mut self) -> bool {
        let now = self.clock.now();
        if now.monotonic_ms < self.retry_at_ms {
            return false;
        }
        self.retry_at_ms = now.monotonic_ms + RETRY_MS;
        if self.connection.is_none()
            && let Err(error) = self.attach().await
        {
            self.pause(match error {
                OpenError::Unusable { reason, .. } => reason,
                error => error.to_string(),
            });
            return false;
        }
        // The proof is a write that succeeds: a mark over the span without recording.
        let Some((reason, since)) = self.paused.clone() else { return true };
        let Some(connection) = self.connection.as_mut() else { return false };
        let mut mark = Mark::new(since, MarkKind::History, "Recording was paused");
        mark.end_ms = Some(now.wall_ms);
        mark.detail = reason;
        match events::insert_mark(connection, &mark).await {
            Ok(id) => mark.id = id,
            Err(error) => {
                self.fail(error).await;
                return false;
            }
        }
        self.shared.tell(mark);
        // What was being sealed is made again.
        let unfinished = sqlx::query("UPDATE slot SET state = 2 WHERE state = 0");
        if let Err(error) = unfinished.execute(connection).await {
            self.fail(error).await;
            return false;
        }
        tracing::info!("recording goes on");
        self.job = None;
        self.round = Some(Round::Rows);
        self.paused = None;
        self.queue.lock().paused = false;
        true
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

async fn insert_tick(
    connection: &mut SqliteConnection,
    seq: i64,
    epoch: i64,
    at_ms: i64,
    payload: Vec<u8>,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO tick (seq, epoch, at_ms, payload) VALUES (?, ?, ?, ?)")
        .bind(seq)
        .bind(epoch)
        .bind(at_ms)
        .bind(payload)
        .execute(connection)
        .await?;
    Ok(())
}
