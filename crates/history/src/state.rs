//! `state.db`: what must not be lost together with a damaged history. Every
//! write is on the disk before it returns.

use std::path::Path;

use sqlx::{Row as _, SqliteConnection};
use tokio::sync::Mutex;

use crate::{
    db::{self, Found, STATE},
    error::{OpenError, ReadError},
};

/// Version of the schema that first had the table `kept`.
const FIRST_KEPT: u32 = 2;

/// A revision of the configuration, as it was put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRevision {
    pub id: i64,
    pub at_ms: i64,
    /// Who made it: `window`, `browser`, `terminal` or `file`.
    pub by: String,
    pub summary: String,
    /// Digest of `text`.
    pub digest: String,
    /// The whole file.
    pub text: String,
    /// The diff to the revision before, as JSON.
    pub diff: String,
}

/// How a person answered an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertState {
    /// Rule and subject.
    pub id: String,
    pub acknowledged_ms: Option<i64>,
    pub snoozed_until_ms: Option<i64>,
}

/// The small database beside the history.
#[derive(Debug)]
pub struct State {
    connection: Mutex<SqliteConnection>,
}

// === impl State ===

impl State {
    /// Opens or creates `state.db` in `folder`; it is copied before it is migrated.
    pub async fn open(folder: &Path) -> Result<Self, OpenError> {
        Ok(Self { connection: Mutex::new(STATE.open(folder).await?) })
    }

    /// Keeps a revision (its `id` is given here) and returns the id.
    pub async fn add_revision(&self, revision: &StoredRevision) -> Result<i64, ReadError> {
        let done = sqlx::query(
            "INSERT INTO revision (at_ms, by, summary, digest, text, diff) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(revision.at_ms)
        .bind(&revision.by)
        .bind(&revision.summary)
        .bind(&revision.digest)
        .bind(&revision.text)
        .bind(&revision.diff)
        .execute(&mut *self.connection.lock().await)
        .await?;
        Ok(done.last_insert_rowid())
    }

    /// Forgets all but the newest `keep` revisions and returns how many went. The
    /// newest one is in force: it stays whatever `keep` is.
    pub async fn forget_revisions(&self, keep: u32) -> Result<u64, ReadError> {
        let done = sqlx::query(
            "DELETE FROM revision
             WHERE id <= (SELECT id FROM revision ORDER BY id DESC LIMIT 1 OFFSET ?)",
        )
        .bind(keep.max(1))
        .execute(&mut *self.connection.lock().await)
        .await?;
        Ok(done.rows_affected())
    }

    /// The newest revisions first, at most `limit`.
    pub async fn revisions(&self, limit: u32) -> Result<Vec<StoredRevision>, ReadError> {
        let rows = sqlx::query(
            "SELECT id, at_ms, by, summary, digest, text, diff FROM revision ORDER BY id DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&mut *self.connection.lock().await)
        .await?;
        rows.iter().map(revision_of).collect()
    }

    pub async fn revision(&self, id: i64) -> Result<Option<StoredRevision>, ReadError> {
        let row = sqlx::query(
            "SELECT id, at_ms, by, summary, digest, text, diff FROM revision WHERE id = ?",
        )
        .bind(id)
        .fetch_optional(&mut *self.connection.lock().await)
        .await?;
        row.as_ref().map(revision_of).transpose()
    }

    /// Remembers JSON text under a key; `None` forgets it.
    pub async fn remember(&self, key: &str, value: Option<&str>) -> Result<(), ReadError> {
        let mut connection = self.connection.lock().await;
        match value {
            Some(value) => sqlx::query(
                "INSERT INTO remembered (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = ?2",
            )
            .bind(key)
            .bind(value),
            None => sqlx::query("DELETE FROM remembered WHERE key = ?1").bind(key),
        }
        .execute(&mut *connection)
        .await?;
        Ok(())
    }

    pub async fn recall(&self, key: &str) -> Result<Option<String>, ReadError> {
        let row = sqlx::query("SELECT value FROM remembered WHERE key = ?")
            .bind(key)
            .fetch_optional(&mut *self.connection.lock().await)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Keeps how an alert was answered; one with neither answer is forgotten.
    pub async fn set_alert(&self, state: &AlertState) -> Result<(), ReadError> {
        let mut connection = self.connection.lock().await;
        if state.acknowledged_ms.is_none() && state.snoozed_until_ms.is_none() {
            sqlx::query("DELETE FROM alert_state WHERE id = ?").bind(&state.id)
        } else {
            sqlx::query(
                "INSERT INTO alert_state (id, acknowledged_ms, snoozed_until_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET acknowledged_ms = ?2, snoozed_until_ms = ?3",
            )
            .bind(&state.id)
            .bind(state.acknowledged_ms)
            .bind(state.snoozed_until_ms)
        }
        .execute(&mut *connection)
        .await?;
        Ok(())
    }

    pub async fn alerts(&self) -> Result<Vec<AlertState>, ReadError> {
        let rows = sqlx::query("SELECT id, acknowledged_ms, snoozed_until_ms FROM alert_state")
            .fetch_all(&mut *self.connection.lock().await)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(AlertState {
                    id: row.try_get(0)?,
                    acknowledged_ms: row.try_get(1)?,
                    snoozed_until_ms: row.try_get(2)?,
                })
            })
            .collect()
    }

    /// Keeps JSON text of Plimsoll's own under a key; the window cannot reach it.
    pub async fn keep(&self, key: &str, value: &str) -> Result<(), ReadError> {
        sqlx::query(
            "INSERT INTO kept (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = ?2",
        )
        .bind(key)
        .bind(value)
        .execute(&mut *self.connection.lock().await)
        .await?;
        Ok(())
    }

    pub async fn kept(&self, key: &str) -> Result<Option<String>, ReadError> {
        kept(&mut *self.connection.lock().await, key).await
    }

    /// What is kept in a folder that nobody uses now. Makes and changes nothing; `None`
    /// where there is nothing, or only an older Plimsoll's.
    pub async fn peek(folder: &Path, key: &str) -> Result<Option<String>, ReadError> {
        let path = STATE.path(folder);
        if !matches!(STATE.look_at(&path)?, Found::Ours(version) if version >= FIRST_KEPT) {
            return Ok(None);
        }
        let mut connection = STATE.reader(&path).await?;
        let value = kept(&mut connection, key).await;
        db::close(connection).await;
        value
    }

    /// Leaves one complete file behind.
    pub async fn close(self) {
        db::close(self.connection.into_inner()).await;
    }
}

async fn kept(connection: &mut SqliteConnection, key: &str) -> Result<Option<String>, ReadError> {
    let row = sqlx::query("SELECT value FROM kept WHERE key = ?");
    let row = row.bind(key).fetch_optional(connection).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

fn revision_of(row: &sqlx::sqlite::SqliteRow) -> Result<StoredRevision, ReadError> {
    Ok(StoredRevision {
        id: row.try_get(0)?,
        at_ms: row.try_get(1)?,
        by: row.try_get(2)?,
        summary: row.try_get(3)?,
        digest: row.try_get(4)?,
        text: row.try_get(5)?,
        diff: row.try_get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_there_after_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::peek(folder.path(), "gone").await.unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "who looks makes nothing");
        let state = State::open(folder.path()).await.unwrap();
        state.remember("explore.metrics", Some("[1,2]")).await.unwrap();
        state.remember("gone", Some("1")).await.unwrap();
        state.remember("gone", None).await.unwrap();
        for value in ["[]", "[3]"] {
            state.keep("gone", value).await.unwrap();
        }
        let revision = StoredRevision {
            id: 0,
            at_ms: 5,
            by: "terminal".into(),
            summary: "one change".into(),
            digest: "d".into(),
            text: "[log]\n".into(),
            diff: "[]".into(),
        };
        let id = state.add_revision(&revision).await.unwrap();
        let alert = AlertState {
            id: "disk-space:/".into(),
            acknowledged_ms: Some(7),
            snoozed_until_ms: None,
        };
        state.set_alert(&alert).await.unwrap();
        drop(state); // no orderly close: the disk already has it
        let peeked = State::peek(folder.path(), "gone").await.unwrap();
        assert_eq!(peeked.as_deref(), Some("[3]"));

        let state = State::open(folder.path()).await.unwrap();
        assert_eq!(state.recall("explore.metrics").await.unwrap().as_deref(), Some("[1,2]"));
        assert_eq!(state.recall("gone").await.unwrap(), None);
        assert_eq!(state.kept("gone").await.unwrap().as_deref(), Some("[3]"));
        assert_eq!(state.kept("other").await.unwrap(), None);
        assert_eq!(state.revision(id).await.unwrap().unwrap(), StoredRevision { id, ..revision });
        assert_eq!(state.alerts().await.unwrap(), [alert]);
    }

    #[tokio::test]
    async fn old_revisions_are_forgotten_and_the_one_in_force_never() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).await.unwrap();
        assert_eq!(state.forget_revisions(3).await.unwrap(), 0);
        for at_ms in 0..5 {
            let revision = StoredRevision {
                id: 0,
                at_ms,
                by: "window".into(),
                summary: String::new(),
                digest: String::new(),
                text: String::new(),
                diff: "[]".into(),
            };
            state.add_revision(&revision).await.unwrap();
        }
        assert_eq!(state.forget_revisions(3).await.unwrap(), 2);
        let left = async || -> Vec<i64> {
            state.revisions(9).await.unwrap().iter().map(|r| r.at_ms).collect()
        };
        assert_eq!(left().await, [4, 3, 2]);
        assert_eq!(state.forget_revisions(3).await.unwrap(), 0);
        assert_eq!(state.forget_revisions(0).await.unwrap(), 2);
        assert_eq!(left().await, [4]);
        // A number is never given twice.
        let revision = state.revisions(1).await.unwrap().remove(0);
        assert_eq!(state.add_revision(&revision).await.unwrap(), 6);
    }
}
