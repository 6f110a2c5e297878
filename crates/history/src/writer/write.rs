//! What the writer commits: a tick, or what waits of marks, alerts, log entries and requests.

use plimsoll_core::{
    mark::{Mark, MarkKind},
    reading::Tick,
};
use sqlx::SqliteConnection;

use super::{LOG_BATCH, Writer};
use crate::{
    codec::tick,
    db, events,
    faults::may_be_killed,
    lane::Lane,
    requests,
    timeline::{Cause, Place},
};

/// A clock that leaps further than this is not trusted to make data old...
const LEAP_MS: i64 = 86_400_000;
/// ...until it has stood for so long.
const HOLD_MS: i64 = 86_400_000;

// === impl Writer ===

impl Writer {
    pub(super) async fn write_events(&mut self, flush: bool) -> Result<(), sqlx::Error> {
        let (marks, alerts, log, requests) = {
            let waiting = self.queue.lock();
            let log = if flush || waiting.log.len() >= LOG_BATCH {
                waiting.log.iter().cloned().collect()
            } else {
                Vec::new()
            };
            let requests: Vec<_> = waiting.requests.iter().take(requests::BATCH).cloned().collect();
            if waiting.marks.is_empty()
                && waiting.alerts.is_empty()
                && log.is_empty()
                && requests.is_empty()
            {
                return Ok(());
            }
            let marks: Vec<_> = waiting.marks.iter().cloned().collect();
            let alerts: Vec<_> = waiting.alerts.iter().cloned().collect();
            (marks, alerts, log, requests)
        };
        let share = self.options.requests_bytes();
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
            Self::insert_requests(connection, &requests, share).await?;
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
        waiting.requests.drain(..requests.len());
        if !waiting.requests.is_empty() {
            // A tick may come between.
            self.queue.wake.notify_one();
        }
        drop(waiting);
        self.committed();
        Ok(())
    }

    pub(super) async fn write_tick(&mut self, tick: &Tick) -> Result<(), sqlx::Error> {
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
