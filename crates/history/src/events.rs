//! Marks, alerts and log entries: one row each.

use plimsoll_core::{
    alert::{AlertRow, Severity},
    log::{LogEntry, LogLevel},
    mark::{Mark, MarkKind},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Decode, Row as _, Sqlite, SqliteConnection, Type,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

/// An enum of plain words as the text that stands for it.
pub(crate) fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

pub(crate) fn from_word<T: DeserializeOwned>(text: String) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

pub(crate) async fn insert_mark(
    connection: &mut SqliteConnection,
    mark: &Mark,
) -> Result<i64, sqlx::Error> {
    if let (Some(end_ms), Some(reference)) = (mark.end_ms, &mark.reference) {
        // The end of something that stands there already: one event is one mark.
        let row = sqlx::query(
            "UPDATE mark SET end_ms = ?, title = ?, detail = ?
             WHERE at_ms = ? AND kind = ? AND ref = ? RETURNING id",
        )
        .bind(end_ms)
        .bind(&mark.title)
        .bind(&mark.detail)
        .bind(mark.at_ms)
        .bind(word(mark.kind))
        .bind(reference)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            return row.try_get(0);
        }
    }
    let done = sqlx::query(
        "INSERT INTO mark (at_ms, end_ms, kind, subject, title, detail, ref) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(mark.at_ms)
    .bind(mark.end_ms)
    .bind(word(mark.kind))
    .bind(&mark.subject)
    .bind(&mark.title)
    .bind(&mark.detail)
    .bind(&mark.reference)
    .execute(connection)
    .await?;
    Ok(done.last_insert_rowid())
}

pub(crate) async fn put_alert(
    connection: &mut SqliteConnection,
    alert: &AlertRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO alert
            (id, rule, subject, severity, title, start_ms, end_ms, peak, threshold)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&alert.id)
    .bind(&alert.rule)
    .bind(&alert.subject)
    .bind(word(alert.severity))
    .bind(&alert.title)
    .bind(alert.start_ms)
    .bind(alert.end_ms)
    .bind(alert.peak)
    .bind(alert.threshold)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn insert_log(
    connection: &mut SqliteConnection,
    entry: &LogEntry,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO log (at_ms, level, module, message, fields) VALUES (?, ?, ?, ?, ?)")
        .bind(entry.at_ms)
        .bind(entry.level as u8)
        .bind(&entry.module)
        .bind(&entry.message)
        .bind(&entry.fields)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn marks(
    connection: &mut SqliteConnection,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Mark>, sqlx::Error> {
    let query = sqlx::query(
        "SELECT id, at_ms, end_ms, kind, subject, title, detail, ref FROM mark
         WHERE at_ms < ?2 AND (at_ms >= ?1 OR end_ms >= ?1) ORDER BY at_ms, id LIMIT 10000",
    );
    all(connection, query.bind(from_ms).bind(to_ms), |cells| {
        Ok(Mark {
            id: cells.next()?,
            at_ms: cells.next()?,
            end_ms: cells.next()?,
            kind: from_word(cells.next()?).unwrap_or(MarkKind::History),
            subject: cells.next()?,
            title: cells.next()?,
            detail: cells.next()?,
            reference: cells.next()?,
        })
    })
    .await
}

/// Alerts that held at some moment of the range.
pub(crate) async fn alerts(
    connection: &mut SqliteConnection,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<AlertRow>, sqlx::Error> {
    let query = sqlx::query(
        "SELECT id, rule, subject, severity, title, start_ms, end_ms, peak, threshold FROM alert
         WHERE start_ms < ?2 AND (end_ms IS NULL OR end_ms >= ?1)
         ORDER BY start_ms, id LIMIT 10000",
    );
    all(connection, query.bind(from_ms).bind(to_ms), |cells| {
        Ok(AlertRow {
            id: cells.next()?,
            rule: cells.next()?,
            subject: cells.next()?,
            severity: from_word(cells.next()?).unwrap_or(Severity::Info),
            title: cells.next()?,
            start_ms: cells.next()?,
            end_ms: cells.next()?,
            peak: cells.next()?,
            threshold: cells.next()?,
        })
    })
    .await
}

/// Newest first: entries of that level and more severe ones.
pub(crate) async fn log(
    connection: &mut SqliteConnection,
    level: LogLevel,
    contains: &str,
    before_ms: Option<i64>,
    limit: u32,
) -> Result<Vec<LogEntry>, sqlx::Error> {
    const LEVELS: [LogLevel; 5] =
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let query = sqlx::query(
        "SELECT at_ms, level, module, message, fields FROM log
         WHERE at_ms < ?1 AND level <= ?2
           AND (?3 = '' OR instr(lower(module || ' ' || message || ' ' || fields), lower(?3)) > 0)
         ORDER BY at_ms DESC, id DESC LIMIT ?4",
    );
    let query =
        query.bind(before_ms.unwrap_or(i64::MAX)).bind(level as u8).bind(contains).bind(limit);
    all(connection, query, |cells| {
        Ok(LogEntry {
            at_ms: cells.next()?,
            level: LEVELS.get(cells.next::<u8>()? as usize).copied().unwrap_or(LogLevel::Info),
            module: cells.next()?,
            message: cells.next()?,
            fields: cells.next()?,
        })
    })
    .await
}

/// The cells of a row, one after the other: in the order in which they were asked for.
pub(crate) struct Cells<'r> {
    row: &'r SqliteRow,
    at: usize,
}

// === impl Cells ===

impl<'r> Cells<'r> {
    pub(crate) fn next<T: Decode<'r, Sqlite> + Type<Sqlite>>(&mut self) -> Result<T, sqlx::Error> {
        self.at += 1;
        self.row.try_get(self.at - 1)
    }
}

/// Every row of an answer, read by `one`.
pub(crate) async fn all<T>(
    connection: &mut SqliteConnection,
    query: Query<'_, Sqlite, SqliteArguments>,
    one: impl Fn(&mut Cells<'_>) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, sqlx::Error> {
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| one(&mut Cells { row, at: 0 })).collect()
}
