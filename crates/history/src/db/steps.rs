//! The schemas, and the steps that bring a database up to date.

use std::path::Path;

use futures::future::BoxFuture;
use sqlx::{
    SqlSafeStr as _, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::SqliteSynchronous,
};

use super::{Schema, available_bytes};
use crate::{
    error::{Fault, OpenError, fault_of},
    hours,
};

/// Work of a step on the tables that its SQL has made.
pub(crate) type Work =
    for<'a> fn(&'a mut SqliteConnection) -> BoxFuture<'a, Result<(), sqlx::Error>>;

/// One step of a schema, numbered and never changed once it was released.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub version: u32,
    pub name: &'static str,
    pub sql: &'static str,
    /// It throws data away: the file is copied first where the disk has room.
    pub destructive: bool,
    /// What SQL alone cannot do, after it; made again where it was interrupted.
    pub then: Option<Work>,
}

pub(crate) static HISTORY: Schema = Schema {
    file: "history.db",
    application_id: 0x504c_4831, // PLH1
    steps: &[
        Step {
            version: 1,
            name: "first",
            sql: include_str!("../../../../migrations/history/0001_first.sql"),
            destructive: false,
            then: None,
        },
        Step {
            version: 2,
            name: "newest",
            sql: include_str!("../../../../migrations/history/0002_newest.sql"),
            destructive: false,
            then: None,
        },
        Step {
            version: 3,
            name: "hours",
            sql: include_str!("../../../../migrations/history/0003_hours.sql"),
            destructive: false,
            then: Some(hours::move_in),
        },
        Step {
            version: 4,
            name: "requests",
            sql: include_str!("../../../../migrations/history/0004_requests.sql"),
            destructive: false,
            then: None,
        },
    ],
    synchronous: SqliteSynchronous::Normal,
    always_copy: false,
};

pub(crate) static STATE: Schema = Schema {
    file: "state.db",
    application_id: 0x504c_5331, // PLS1
    steps: &[
        Step {
            version: 1,
            name: "first",
            sql: include_str!("../../../../migrations/state/0001_first.sql"),
            destructive: false,
            then: None,
        },
        Step {
            version: 2,
            name: "kept",
            sql: include_str!("../../../../migrations/state/0002_kept.sql"),
            destructive: false,
            then: None,
        },
    ],
    synchronous: SqliteSynchronous::Full,
    always_copy: true,
};

// === impl Schema ===

impl Schema {
    pub(super) async fn migrate(
        &self,
        connection: &mut SqliteConnection,
        path: &Path,
        found: u32,
    ) -> Result<(), OpenError> {
        let steps = self.steps.iter().map(|step| {
            Migration::new(
                step.version.into(),
                step.name.into(),
                MigrationType::Simple,
                step.sql.into_sql_str(),
                false,
            )
        });
        let migrator = Migrator::with_migrations(steps.collect());
        let failed = |reason: String| OpenError::Migration { path: path.to_owned(), reason };
        // Not `run`: its future is not seen to be `Send` (sqlx knows, and offers this way).
        migrator.run_direct(None, &mut *connection, false).await.map_err(|e| match e {
            MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _)
                if fault_of(&e) == Fault::Damaged =>
            {
                OpenError::Damaged { path: path.to_owned(), reason: e.to_string() }
            }
            e => failed(e.to_string()),
        })?;
        for step in self.steps.iter().filter(|step| step.version > found) {
            let Some(work) = step.then else { continue };
            work(&mut *connection).await.map_err(|e| match fault_of(&e) {
                Fault::Damaged => {
                    OpenError::Damaged { path: path.to_owned(), reason: e.to_string() }
                }
                Fault::Pause => failed(e.to_string()),
            })?;
        }
        // The header says what the file is, for programs that must not open it.
        let head = format!(
            "PRAGMA application_id = {}; PRAGMA user_version = {}; PRAGMA wal_checkpoint(TRUNCATE);",
            self.application_id,
            self.version()
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(head))
            .execute(&mut *connection)
            .await
            .map_err(|e| failed(e.to_string()))?;
        Ok(())
    }
}

/// Copies the database beside itself. Where the disk has no room for that, a
/// destructive step would leave no way back: it is refused.
pub(super) async fn copy_before_migration(
    connection: &mut SqliteConnection,
    path: &Path,
    version: u32,
) -> Result<(), OpenError> {
    let failed = |reason: String| OpenError::Migration { path: path.to_owned(), reason };
    let copy = path.with_extension(format!("before-v{}.db", version + 1));
    let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
    let room = path.parent().and_then(available_bytes);
    if room.is_some_and(|room| room < bytes + bytes / 10) {
        return Err(failed(format!(
            "the disk has no room for the copy that is made first ({} MiB). Free some space and start again",
            bytes >> 20
        )));
    }
    let _ = std::fs::remove_file(&copy);
    sqlx::query("VACUUM INTO ?1")
        .bind(copy.to_string_lossy().into_owned())
        .execute(&mut *connection)
        .await
        .map_err(|e| failed(format!("copying it first failed: {e}")))?;
    Ok(())
}
