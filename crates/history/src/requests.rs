//! The request log: one row each, written in batches, bounded by age and by size.

mod row;

use std::sync::Arc;

use plimsoll_core::request::{Finish, RequestRow};
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use self::row::{COLUMNS, TYPES, of_row, rest};
use crate::{
    events::{all, word},
    recover::scan::copy_rows,
    writer::Writer,
};

/// Rows of one statement: one trip to the database's thread for all of them.
const TOGETHER: usize = 250;
/// Rows of one commit; further ones wait for the next, so that a tick is not held up.
pub(crate) const BATCH: usize = 1000;
/// Rows deleted at once. They are small and lie side by side: a thousand take two milliseconds.
const DELETED: i64 = 1000;
/// Of a row without its texts, as SQLite stores it.
const ROW_BYTES: u64 = 40;
/// Rows looked through at once for a page; a reader that holds on longer pins the write-ahead log.
const LOOK: u32 = 50_000;
/// Most rows of a page.
pub const MAX_REQUESTS: u32 = 500;

/// Numbers of requests grow with time by that much a millisecond.
pub(crate) const IDS_PER_MS: i64 = 4096;

/// Which requests are wanted; what is absent or empty lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only older ones than this number.
    pub before: Option<i64>,
    /// Only newer ones than this number.
    pub after: Option<i64>,
    pub client: Option<String>,
    /// As it was asked for, or as it was asked of the backend.
    pub model: Option<String>,
    pub backend: Option<String>,
    pub finish: Vec<Finish>,
    pub min_total_us: Option<u64>,
}

/// The newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestsFound {
    pub rows: Vec<RequestRow>,
    /// There are older ones.
    pub more: bool,
}

// === impl RequestFilter ===

impl RequestFilter {
    /// Whether a row is wanted, told without a database.
    pub fn wants(&self, row: &RequestRow) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == text)
        };
        self.before.is_none_or(|before| row.id < before)
            && self.after.is_none_or(|after| row.id > after)
            && is(&self.client, Some(&row.client))
            && (is(&self.model, Some(&row.model))
                || row.sent_model.is_some() && is(&self.model, row.sent_model.as_deref()))
            && is(&self.backend, row.backend.as_deref())
            && (self.finish.is_empty() || self.finish.contains(&row.finish))
            && self.min_total_us.is_none_or(|least| row.total_us >= least)
    }

    fn condition(&self, query: &mut QueryBuilder<Sqlite>) {
        if let Some(client) = &self.client {
            query.push(" AND client = ").push_bind(client.clone());
        }
        if let Some(model) = &self.model {
            query.push(" AND (model = ").push_bind(model.clone());
            query.push(" OR data ->> '$.sent' = ").push_bind(model.clone()).push(")");
        }
        if let Some(backend) = &self.backend {
            query.push(" AND backend = ").push_bind(backend.clone());
        }
        if !self.finish.is_empty() {
            query.push(" AND finish IN (");
            let mut words = query.separated(", ");
            for &finish in &self.finish {
                words.push_bind(word(finish));
            }
            query.push(")");
        }
        if let Some(least) = self.min_total_us {
            query.push(" AND total_us >= ").push_bind(signed(least));
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Writes what waits of the request log; never more than its share of the disk.
    pub(crate) async fn insert_requests(
        connection: &mut SqliteConnection,
        rows: &[Arc<RequestRow>],
        max_bytes: u64,
    ) -> Result<(), sqlx::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut bytes = 0;
        for some in rows.chunks(TOGETHER) {
            // A number that is there already is this same request: the batch before was written
            // and its end was not heard.
            let mut query =
                QueryBuilder::<Sqlite>::new(format!("INSERT OR IGNORE INTO request ({COLUMNS}) "));
            query.push_values(some, |mut values, row| {
                let data = rest(row);
                let texts = [row.client.len(), row.model.len(), data.len()];
                bytes += ROW_BYTES + texts.iter().sum::<usize>() as u64;
                values
                    .push_bind(row.id)
                    .push_bind(row.client.as_str())
                    .push_bind(row.model.as_str())
                    .push_bind(row.backend.as_deref())
                    .push_bind(word(row.finish))
                    .push_bind(signed(row.total_us))
                    .push_bind(data);
            });
            // Only the full statement comes again.
            let query = query.build().persistent(some.len() == TOGETHER);
            query.execute(&mut *connection).await?;
        }
        sqlx::query("UPDATE request_total SET rows = rows + ?1, bytes = bytes + ?2")
            .bind(signed(rows.len() as u64))
            .bind(signed(bytes))
            .execute(&mut *connection)
            .await?;
        // As many go as there are too many; after a limit was lowered, in steps.
        let (rows, bytes) = total(connection).await?;
        if bytes > max_bytes {
            let over = u128::from(bytes - max_bytes) * u128::from(rows) / u128::from(bytes);
            let over = i64::try_from(over).unwrap_or(DELETED).min(DELETED + BATCH as i64);
            delete_before(connection, i64::MAX, over + 1).await?;
        }
        Ok(())
    }
}

/// Deletes the oldest before a number, at most `most`; how many went.
pub(crate) async fn delete_before(
    connection: &mut SqliteConnection,
    before: i64,
    most: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM request WHERE id IN
            (SELECT id FROM request WHERE id < ?1 ORDER BY id LIMIT ?2)",
    )
    .bind(before)
    .bind(most)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if done > 0 {
        // Those that went weighed as much as the others do.
        sqlx::query(
            "UPDATE request_total SET rows = max(rows - ?1, 0),
                    bytes = CASE WHEN rows > ?1 THEN bytes - bytes * ?1 / rows ELSE 0 END",
        )
        .bind(signed(done))
        .execute(connection)
        .await?;
    }
    Ok(done)
}

/// Deletes what is older than a moment, a step of it; whether there may be more.
pub(crate) async fn delete_older(
    connection: &mut SqliteConnection,
    before_ms: i64,
) -> Result<bool, sqlx::Error> {
    let before = before_ms.saturating_mul(IDS_PER_MS);
    Ok(delete_before(connection, before, DELETED).await? == DELETED.unsigned_abs())
}

pub(crate) async fn total_bytes(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    Ok(total(connection).await?.1)
}

/// Rows and bytes.
async fn total(connection: &mut SqliteConnection) -> Result<(u64, u64), sqlx::Error> {
    let row =
        sqlx::query("SELECT rows, bytes FROM request_total").fetch_optional(connection).await?;
    let Some(row) = row else { return Ok((0, 0)) };
    let (rows, bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok((rows.max(0).unsigned_abs(), bytes.max(0).unsigned_abs()))
}

/// When the oldest came.
pub(crate) async fn oldest_ms(
    connection: &mut SqliteConnection,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT data ->> '$.at' FROM request ORDER BY id LIMIT 1")
        .fetch_optional(connection)
        .await
}

/// Bytes of those before a moment, were all of one weight.
pub(crate) async fn bytes_before(
    connection: &mut SqliteConnection,
    before_ms: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM request WHERE id < ?1) * bytes / max(rows, 1)
         FROM request_total",
    )
    .bind(before_ms.saturating_mul(IDS_PER_MS))
    .fetch_one(connection)
    .await
}

/// Brings back what can be read of a damaged database; how many.
pub(crate) async fn recover(
    source: &mut SqliteConnection,
    target: &mut SqliteConnection,
    lost: &mut u64,
) -> Result<u64, sqlx::Error> {
    let there: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'request'")
            .fetch_one(&mut *source)
            .await?;
    if there == 0 {
        // Of a version that had none.
        return Ok(0);
    }
    let select = format!(
        "SELECT id, {COLUMNS} FROM request NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT 256"
    );
    let marks = vec!["?"; TYPES.len()].join(", ");
    let insert = format!("INSERT OR IGNORE INTO request ({COLUMNS}) VALUES ({marks})");
    let copied = copy_rows(source, target, &select, &insert, TYPES, lost).await?;
    sqlx::query(
        "UPDATE request_total SET rows = (SELECT count(*) FROM request),
                bytes = (SELECT coalesce(sum(?1 + length(client) + length(model) + length(data)), 0)
                         FROM request)",
    )
    .bind(signed(ROW_BYTES))
    .execute(target)
    .await?;
    Ok(copied)
}

/// The number of the newest; `None` where there is none.
pub(crate) async fn newest(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT max(id) FROM request").fetch_one(connection).await
}

/// A page of those that are wanted, read in short looks.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    filter: &RequestFilter,
    limit: u32,
) -> Result<RequestsFound, sqlx::Error> {
    let limit = limit.clamp(1, MAX_REQUESTS) as usize;
    let after = filter.after.unwrap_or(i64::MIN);
    let mut before = filter.before.unwrap_or(i64::MAX);
    let mut found = RequestsFound::default();
    loop {
        // Where this look ends: at the number that is so many rows further back.
        let until: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM request WHERE id < ?1 AND id > ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3",
        )
        .bind(before)
        .bind(after)
        .bind(LOOK)
        .fetch_optional(&mut *connection)
        .await?;
        let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM request WHERE"));
        query.push(" id < ").push_bind(before);
        query.push(" AND id > ").push_bind(until.map_or(after, |until| until - 1));
        filter.condition(&mut query);
        let missing = limit + 1 - found.rows.len();
        query.push(" ORDER BY id DESC LIMIT ").push_bind(signed(missing as u64));
        found.rows.extend(all(connection, query.build().persistent(false), of_row).await?);
        if found.rows.len() > limit {
            found.rows.truncate(limit);
            found.more = true;
            return Ok(found);
        }
        match until {
            Some(until) => before = until,
            None => return Ok(found),
        }
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
