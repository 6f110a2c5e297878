//! A backup: a complete database in another folder, made while recording goes
//! on. Slots never change once they are sealed, so each is copied in a short
//! read of its own; what is not sealed comes last, in one moment's view.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use sqlx::{Row as _, SqliteConnection};

use crate::{
    db::{self, HISTORY},
    error::{OpenError, ReadError},
};

/// Copies the history at `source` into `folder` as `history.db`, and returns
/// its path. `progress` hears of a share from 0 to 1; `cancel` ends it with
/// [`ReadError::Invalid`], and nothing is left behind.
pub(crate) async fn backup(
    source: &Path,
    folder: &Path,
    progress: impl Fn(f64) + Send + Sync,
    cancel: &AtomicBool,
) -> Result<PathBuf, ReadError> {
    let target = HISTORY.path(folder);
    if target.exists() {
        return Err(ReadError::Invalid(format!(
            "{} exists already. Choose an empty folder.",
            target.display()
        )));
    }
    let part = folder.join(".history-part");
    let _ = std::fs::remove_dir_all(&part);
    let outcome = copy(source, &part, progress, cancel).await;
    let outcome = match outcome {
        Ok(()) => std::fs::rename(HISTORY.path(&part), &target).map_err(ReadError::from),
        Err(error) => Err(error),
    };
    let _ = std::fs::remove_dir_all(&part);
    outcome.map(|()| target)
}

async fn copy(
    source: &Path,
    part: &Path,
    progress: impl Fn(f64) + Send + Sync,
    cancel: &AtomicBool,
) -> Result<(), ReadError> {
    let unusable = |reason: String| OpenError::Unusable { path: source.to_owned(), reason };
    let room = part.parent().and_then(db::available_bytes);
    let bytes = db::bytes_on_disk(source);
    if room.is_some_and(|room| room < bytes) {
        return Err(ReadError::Invalid(format!(
            "There is no room for the backup: it takes up to {} MiB.",
            bytes.div_ceil(1 << 20)
        )));
    }
    let mut connection = HISTORY.open(part).await?;
    sqlx::query("ATTACH ?1 AS source")
        .bind(source.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await
        .map_err(|e| unusable(e.to_string()))?;
    let all: i64 =
        sqlx::query_scalar("SELECT coalesce(sum(bytes), 0) FROM source.slot WHERE state = 1")
            .fetch_one(&mut connection)
            .await?;
    let mut done = 0i64;
    while let Some(bytes) = copy_slot(&mut connection).await? {
        if cancel.load(Ordering::Relaxed) {
            db::close(connection).await;
            return Err(ReadError::Invalid("The backup was cancelled.".into()));
        }
        done += bytes;
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        progress((done as f64 / all.max(1) as f64).min(0.99));
    }
    // One view of everything that still changes, with the slots sealed since.
    sqlx::query("BEGIN").execute(&mut connection).await?;
    for sql in [
        "INSERT INTO hours SELECT h.* FROM source.slot l CROSS JOIN source.series s
         CROSS JOIN source.hours h ON h.id = s.id << 32 | l.id
         WHERE l.level = 4 AND l.state = 1 AND l.id NOT IN (SELECT id FROM main.slot)",
        "INSERT INTO blocks SELECT b.* FROM source.slot l CROSS JOIN source.series s
         CROSS JOIN source.blocks b ON b.id = s.id << 32 | l.id
         WHERE l.level = 4 AND l.state = 1 AND l.id NOT IN (SELECT id FROM main.slot)",
        "INSERT INTO slot SELECT * FROM source.slot WHERE state = 1 AND id NOT IN (SELECT id FROM main.slot)",
        "INSERT INTO chunk SELECT c.* FROM source.chunk c JOIN source.slot s ON s.id = c.slot AND s.state = 1
         WHERE c.slot > (SELECT coalesce(max(slot), 0) FROM main.chunk)",
        "INSERT INTO lane SELECT * FROM source.lane",
        "INSERT INTO epoch SELECT * FROM source.epoch",
        "INSERT INTO series SELECT * FROM source.series",
        "INSERT INTO tick SELECT * FROM source.tick",
        "INSERT INTO purged SELECT * FROM source.purged",
        "INSERT INTO mark SELECT * FROM source.mark",
        "INSERT INTO alert SELECT * FROM source.alert",
        "INSERT INTO log SELECT * FROM source.log",
        "COMMIT",
        "DETACH source",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA journal_mode = DELETE",
    ] {
        sqlx::query(sql).fetch_all(&mut connection).await?;
    }
    db::close(connection).await;
    progress(1.0);
    Ok(())
}

/// The next slot that the copy lacks; its bytes, or `None` where there is none.
async fn copy_slot(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id, bytes FROM source.slot
         WHERE state = 1 AND id > (SELECT coalesce(max(id), 0) FROM main.slot) ORDER BY id LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (id, bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    for sql in [
        "BEGIN",
        "INSERT INTO slot SELECT * FROM source.slot WHERE id = ?1 AND state = 1",
        "INSERT INTO chunk SELECT * FROM source.chunk WHERE slot = ?1",
        "INSERT INTO hours SELECT h.* FROM main.slot l CROSS JOIN source.series s
         CROSS JOIN source.hours h ON h.id = s.id << 32 | l.id WHERE l.id = ?1 AND l.level = 4",
        "INSERT INTO blocks SELECT b.* FROM main.slot l CROSS JOIN source.series s
         CROSS JOIN source.blocks b ON b.id = s.id << 32 | l.id WHERE l.id = ?1 AND l.level = 4",
        "COMMIT",
    ] {
        let query = sqlx::query(sql);
        let query = if sql.contains("?1") { query.bind(id) } else { query };
        query.execute(&mut *connection).await?;
    }
    Ok(Some(bytes))
}
