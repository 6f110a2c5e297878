//! A database that is damaged, and a disk that takes nothing.

use plimsoll_core::mark::{Mark, MarkKind};

use super::Writer;
use crate::{
    db,
    error::{Fault, OpenError, fault_of, is_full, reason_of},
    events,
    retention::Round,
};

/// While paused, writing is tried again so often.
const RETRY_MS: i64 = 2000;

// === impl Writer ===

impl Writer {
    pub(super) fn put_aside(&mut self, reason: &str) -> Result<(), OpenError> {
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

    pub(super) async fn fail(&mut self, error: sqlx::Error) {
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
    pub(super) async fn replace(&mut self, reason: &str) {
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

    pub(super) fn pause(&mut self, reason: String) {
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

    pub(super) async fn try_again(&mut self) -> bool {
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
}
