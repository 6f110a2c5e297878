//! What the history holds, in figures: its series, its extent, and what each
//! kind of data takes.

use plimsoll_core::{
    metric::Metric,
    series::{Level, SeriesInfo, SeriesKey},
};
use sqlx::Row as _;

use crate::{
    answers::{Stats, Stored, StoredKind},
    db,
    desk::Desk,
    error::ReadError,
    requests,
    retention::table_bytes,
    shown::number,
};

pub(crate) async fn list(desk: &mut Desk) -> Result<Vec<SeriesInfo>, ReadError> {
    let moment = desk.begin(&[]).await?;
    let rows = sqlx::query(
        "SELECT id, metric, subject, cadence_ms, last_ms, last FROM series ORDER BY id",
    )
    .fetch_all(desk.connection()?)
    .await?;
    desk.end().await?;
    let mut infos = Vec::with_capacity(rows.len());
    for row in &rows {
        let id: u32 = row.try_get(0)?;
        let Some(metric) = Metric::named(row.try_get(1)?) else { continue };
        let spec = metric.spec();
        let unsealed = desk.tail.latest(&moment.lanes, id);
        let (last_ms, last) = match unsealed {
            Some((at, sample)) => (Some(at), Some(number(&sample, metric))),
            None => (row.try_get(4)?, row.try_get(5)?),
        };
        infos.push((
            metric,
            SeriesInfo {
                key: SeriesKey::new(spec.name, row.try_get::<String, _>(2)?),
                label: spec.label.into(),
                subject_kind: spec.subject,
                kind: spec.kind,
                unit: spec.unit,
                cadence_ms: row.try_get(3)?,
                last_ms,
                last,
            },
        ));
    }
    infos.sort_by(|a, b| (a.0, &a.1.key.subject).cmp(&(b.0, &b.1.key.subject)));
    Ok(infos.into_iter().map(|(_, info)| info).collect())
}

pub(crate) async fn extent(desk: &mut Desk) -> Result<Option<(i64, i64)>, ReadError> {
    let row = sqlx::query(
        "SELECT (SELECT min(a) FROM (SELECT min(first_ms) AS a FROM slot WHERE state = 1
                                     UNION ALL SELECT min(at_ms) FROM tick)),
                (SELECT max(a) FROM (SELECT max(last_ms) AS a FROM slot WHERE state = 1 AND level = 0
                                     UNION ALL SELECT max(last_ms) FROM lane
                                     UNION ALL SELECT max(at_ms) FROM tick))",
    )
    .fetch_one(desk.connection()?)
    .await?;
    let (oldest, newest): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(oldest.zip(newest))
}

pub(crate) async fn stats(desk: &mut Desk) -> Result<Stats, ReadError> {
    desk.begin(&[]).await?;
    let extent = extent(desk).await?;
    let unsealed = desk.tail.samples();
    let row = sqlx::query(
        "SELECT coalesce(sum(samples), 0), coalesce(sum(bytes), 0),
                (SELECT count(*) FROM series), (SELECT count(*) FROM epoch)
         FROM slot WHERE level = 0 AND state = 1",
    )
    .fetch_one(desk.connection()?)
    .await?;
    let (samples, bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    desk.end().await?;
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let bytes_per_sample = (samples > 0).then(|| bytes as f64 / samples as f64);
    Ok(Stats {
        bytes: db::bytes_on_disk(&desk.shared.path),
        samples: samples.max(0).unsigned_abs() + unsealed,
        bytes_per_sample,
        series: row.try_get(2)?,
        oldest_ms: extent.map(|e| e.0),
        newest_ms: extent.map(|e| e.1),
        epochs: row.try_get(3)?,
    })
}

pub(crate) async fn storage(desk: &mut Desk) -> Result<Vec<Stored>, ReadError> {
    let connection = desk.open().await?;
    let mut kinds = Vec::with_capacity(8);
    for kind in [StoredKind::Raw, StoredKind::S10, StoredKind::M1, StoredKind::M15, StoredKind::H1]
    {
        let level = kind.level().unwrap_or(Level::Raw);
        // 16 bytes: what a row of the table and one of its index, or of hours the rows of
        // two tables, take beside the data.
        let row = sqlx::query(
            "SELECT coalesce(sum(bytes + chunks * 16), 0), min(first_ms) FROM slot
             WHERE level = ?1 AND state = 1",
        )
        .bind(level as u8)
        .fetch_one(&mut *connection)
        .await?;
        let mut bytes = row.try_get::<i64, _>(0)?.max(0).unsigned_abs();
        let mut oldest: Option<i64> = row.try_get(1)?;
        if kind == StoredKind::Raw {
            bytes += table_bytes(connection, "tick").await?;
            let first: Option<i64> = sqlx::query_scalar("SELECT min(at_ms) FROM tick")
                .fetch_one(&mut *connection)
                .await?;
            oldest = oldest.into_iter().chain(first).min();
        }
        kinds.push(Stored { kind, bytes, oldest_ms: oldest });
    }
    let marks = table_bytes(connection, "mark").await? + table_bytes(connection, "alert").await?;
    let oldest_ms: Option<i64> = sqlx::query_scalar(
        "SELECT min(a) FROM (SELECT min(at_ms) AS a FROM mark UNION ALL SELECT min(start_ms) FROM alert)",
    )
    .fetch_one(&mut *connection)
    .await?;
    kinds.push(Stored { kind: StoredKind::Marks, bytes: marks, oldest_ms });
    let log = table_bytes(connection, "log").await?;
    let oldest_ms: Option<i64> =
        sqlx::query_scalar("SELECT min(at_ms) FROM log").fetch_one(&mut *connection).await?;
    kinds.push(Stored { kind: StoredKind::Log, bytes: log, oldest_ms });
    let bytes = requests::total_bytes(connection).await?;
    let oldest_ms = requests::oldest_ms(connection).await?;
    kinds.push(Stored { kind: StoredKind::Requests, bytes, oldest_ms });
    Ok(kinds)
}

/// Bytes that deleting everything of a kind before a moment would free.
pub(crate) async fn freed(
    desk: &mut Desk,
    kind: StoredKind,
    before: i64,
) -> Result<u64, ReadError> {
    let connection = desk.open().await?;
    let bytes: i64 = match kind.level() {
        Some(level) => {
            sqlx::query_scalar(
                "SELECT coalesce(sum(bytes + chunks * 16), 0) FROM slot
                 WHERE level = ?1 AND state = 1 AND from_ms + ?2 <= ?3",
            )
            .bind(level as u8)
            .bind(level.chunk_ms())
            .bind(before)
            .fetch_one(connection)
            .await?
        }
        None if kind == StoredKind::Requests => requests::bytes_before(connection, before).await?,
        None if kind == StoredKind::Log => {
            sqlx::query_scalar(
                "SELECT coalesce(sum(length(module) + length(message) + length(fields) + 24), 0)
                 FROM log WHERE at_ms < ?1",
            )
            .bind(before)
            .fetch_one(connection)
            .await?
        }
        None => {
            sqlx::query_scalar(
                "SELECT coalesce((SELECT sum(length(title) + length(detail) + 48) FROM mark WHERE at_ms < ?1), 0)
                      + coalesce((SELECT sum(length(id) * 2 + length(title) + 64) FROM alert
                                  WHERE start_ms < ?1 AND end_ms IS NOT NULL), 0)",
            )
            .bind(before)
            .fetch_one(connection)
            .await?
        }
    };
    Ok(bytes.max(0).unsigned_abs())
}
