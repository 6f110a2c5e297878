//! Opening a database: what it is, how old it is, bringing it up to date.

mod aside;
mod steps;

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use self::steps::copy_before_migration;
pub(crate) use self::{
    aside::{set_aside, set_aside_in},
    steps::{HISTORY, STATE, Step},
};
use crate::error::{Fault, OpenError, fault_of, reason_of};

/// A database by its file name and its steps.
pub(crate) struct Schema {
    pub file: &'static str,
    /// Of the file header (`PRAGMA application_id`): whose file this is.
    pub application_id: i32,
    pub steps: &'static [Step],
    pub synchronous: SqliteSynchronous,
    /// Copied before every migration, destructive or not.
    pub always_copy: bool,
}

/// What the first hundred bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// Ours, at that version; 0 while its first migration has not ended.
    Ours(u32),
    /// A SQLite database of something else.
    Foreign,
    /// Not a SQLite database, though it stands where ours should.
    Damaged,
}

// === impl Schema ===

impl Schema {
    pub(crate) fn version(&self) -> u32 {
        self.steps.last().map_or(0, |step| step.version)
    }

    pub(crate) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(self.file)
    }

    /// Reads the header without opening the database, so that a file which must
    /// stay untouched does.
    pub(crate) fn look_at(&self, path: &Path) -> std::io::Result<Found> {
        let mut head = Vec::with_capacity(100);
        match File::open(path) {
            Ok(file) => file.take(100).read_to_end(&mut head)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(e),
        };
        if head.is_empty() {
            return Ok(Found::Nothing);
        }
        if head.len() < 100 || !head.starts_with(b"SQLite format 3\0") {
            return Ok(Found::Damaged);
        }
        // Offsets of the file format: 60 user version, 68 application id.
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (version, id) = (word(60), word(68));
        Ok(match id {
            0 if version == 0 => Found::Ours(0),
            id if id == self.application_id.cast_unsigned() => Found::Ours(version),
            _ => Found::Foreign,
        })
    }

    fn options(&self, path: &Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(2))
            .statement_cache_capacity(64)
            .disable_statement_logging()
    }

    /// A connection that writes. Checkpoints are never made inside a commit.
    pub(crate) async fn writer(&self, path: &Path) -> Result<SqliteConnection, sqlx::Error> {
        self.options(path)
            .create_if_missing(true)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(self.synchronous)
            .pragma("wal_autocheckpoint", "0")
            .pragma("journal_size_limit", "16777216")
            .connect()
            .await
    }

    /// A further connection to a database that is up to date: it checkpoints.
    pub(crate) async fn helper(&self, path: &Path) -> Result<SqliteConnection, sqlx::Error> {
        self.options(path)
            .synchronous(self.synchronous)
            .pragma("wal_autocheckpoint", "0")
            .connect()
            .await
    }

    pub(crate) async fn reader(&self, path: &Path) -> Result<SqliteConnection, sqlx::Error> {
        // Ticks of ten minutes come at once after a start: they are not handed over one by one.
        let options = self.options(path).row_buffer_size(1024);
        options.read_only(true).pragma("cache_size", "-4096").connect().await
    }

    /// One that only helps now and then: it remembers little.
    pub(crate) async fn helper_reader(&self, path: &Path) -> Result<SqliteConnection, sqlx::Error> {
        self.options(path).read_only(true).pragma("cache_size", "-1024").connect().await
    }

    /// Opens for writing and brings the schema up to date. A newer or foreign
    /// file is refused and not touched; [`OpenError::Damaged`] says that the
    /// file should be set aside.
    pub(crate) async fn open(&self, folder: &Path) -> Result<SqliteConnection, OpenError> {
        let path = self.path(folder);
        let unusable = |reason: String| OpenError::Unusable { path: path.clone(), reason };
        std::fs::create_dir_all(folder).map_err(|e| unusable(e.to_string()))?;
        let version = match self.look_at(&path).map_err(|e| unusable(e.to_string()))? {
            Found::Nothing => 0,
            Found::Ours(version) if version > self.version() => {
                return Err(OpenError::Newer { path, found: version, known: self.version() });
            }
            Found::Ours(0) if self.holds_other_tables(&path).await => {
                return Err(OpenError::Foreign { path });
            }
            Found::Ours(version) => version,
            Found::Foreign => return Err(OpenError::Foreign { path }),
            Found::Damaged => {
                return Err(OpenError::Damaged {
                    path,
                    reason: "it does not begin like a database".into(),
                });
            }
        };
        let open_error = |e: sqlx::Error| match fault_of(&e) {
            Fault::Damaged => OpenError::Damaged { path: path.clone(), reason: e.to_string() },
            Fault::Pause => OpenError::Unusable { path: path.clone(), reason: reason_of(&e) },
        };
        let mut connection = self.writer(&path).await.map_err(open_error)?;
        if version < self.version() {
            let due = self.steps.iter().filter(|step| step.version > version);
            if version > 0 && (self.always_copy || due.clone().any(|step| step.destructive)) {
                copy_before_migration(&mut connection, &path, version).await?;
            }
            self.migrate(&mut connection, &path, version).await?;
        }
        // Damage to the schema shows here and not at the first tick.
        sqlx::query("SELECT count(*) FROM sqlite_schema")
            .execute(&mut connection)
            .await
            .map_err(open_error)?;
        Ok(connection)
    }

    /// A database without a mark of its program, and with tables that we did not make.
    async fn holds_other_tables(&self, path: &Path) -> bool {
        let Ok(mut connection) = self.reader(path).await else { return false };
        let others = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'
               AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')",
        )
        .fetch_one(&mut connection)
        .await;
        close(connection).await;
        others.is_ok_and(|n| n > 0)
    }
}

/// What an ordinary user may still write on the file system of `folder`.
pub(crate) fn available_bytes(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

/// Size of a database with its write-ahead log.
pub(crate) fn bytes_on_disk(path: &Path) -> u64 {
    [path.to_owned(), sidecar(path, "-wal")]
        .iter()
        .filter_map(|p| std::fs::metadata(p).ok())
        .map(|m| m.len())
        .sum()
}

pub(crate) fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) async fn begin(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await.map(drop)
}

pub(crate) async fn commit(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("COMMIT").execute(connection).await.map(drop)
}

/// Ends a transaction that failed; the first error is the one that counts.
pub(crate) async fn or_rollback<T>(
    outcome: Result<T, sqlx::Error>,
    connection: &mut SqliteConnection,
) -> Result<T, sqlx::Error> {
    if outcome.is_err() {
        // SQLite may have rolled back by itself: then this says so, and is done.
        let _ = sqlx::query("ROLLBACK").execute(connection).await;
    }
    outcome
}

/// Closes in an orderly way; an error here changes nothing any more.
pub(crate) async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "closing a database failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Step = Step {
        version: 1,
        name: "first",
        sql: "CREATE TABLE a (x)",
        destructive: false,
        then: None,
    };
    const NEW: Step = Step {
        version: 2,
        name: "second",
        sql: "ALTER TABLE a ADD COLUMN y; DELETE FROM a WHERE x = 2",
        destructive: true,
        then: None,
    };

    fn schema(steps: &'static [Step]) -> Schema {
        Schema {
            file: "test.db",
            application_id: 5,
            steps,
            synchronous: SqliteSynchronous::Normal,
            always_copy: false,
        }
    }

    async fn numbers(connection: &mut SqliteConnection) -> Vec<i64> {
        sqlx::query_scalar("SELECT x FROM a ORDER BY x").fetch_all(connection).await.unwrap()
    }

    #[tokio::test]
    async fn an_older_database_is_migrated_and_copied_first_where_that_destroys() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = schema(&[OLD]).open(folder.path()).await.unwrap();
        sqlx::query("INSERT INTO a VALUES (1), (2)").execute(&mut connection).await.unwrap();
        close(connection).await;

        let mut connection = schema(&[OLD, NEW]).open(folder.path()).await.unwrap();
        assert_eq!(numbers(&mut connection).await, [1]);
        close(connection).await;
        let copy = folder.path().join("test.before-v2.db");
        let mut copy = SqliteConnectOptions::new().filename(copy).connect().await.unwrap();
        assert_eq!(numbers(&mut copy).await, [1, 2]);
        close(copy).await;

        let connection = schema(&[OLD, NEW]).open(folder.path()).await.unwrap();
        close(connection).await;
        let error = schema(&[OLD]).open(folder.path()).await.err().unwrap();
        assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_migration_that_was_interrupted_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        // Created, and then nothing: no table, no version.
        let path = folder.path().join("test.db");
        close(schema(&[OLD]).writer(&path).await.unwrap()).await;
        let mut connection = schema(&[OLD]).open(folder.path()).await.unwrap();
        assert_eq!(numbers(&mut connection).await, [0i64; 0]);
        let vacuum: i64 =
            sqlx::query_scalar("PRAGMA auto_vacuum").fetch_one(&mut connection).await.unwrap();
        assert_eq!(vacuum, 2, "not incremental");
    }
}
