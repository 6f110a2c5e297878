//! Reading chunks by one statement, and by several connections where they are many.
//!
//! A chunk of the finer levels is a page or two somewhere in the file. While the file is in the
//! kernel's cache that is nothing; after a start each is a wait for the disk, and
//! a disk answers several as quickly as one.

use sqlx::{Row as _, SqliteConnection};

use crate::{
    db::{self, HISTORY},
    history::Shared,
    moment::purged_of,
};

/// Connections that help a chart's.
pub(crate) const HELPERS: usize = 3;
/// A further connection, opened when it is first of use.
#[derive(Default)]
pub(crate) struct Helper {
    link: Option<(u64, SqliteConnection)>,
}

// === impl Helper ===

impl Helper {
    pub(crate) async fn close(&mut self) {
        if let Some((_, connection)) = self.link.take() {
            db::close(connection).await;
        }
    }

    /// The connection, made anew where the database was replaced.
    pub(crate) async fn open(
        &mut self,
        shared: &Shared,
    ) -> Result<&mut SqliteConnection, sqlx::Error> {
        let generation = shared.generation();
        let link = match self.link.take() {
            Some(link) if link.0 == generation => link,
            old => {
                if let Some((_, connection)) = old {
                    db::close(connection).await;
                }
                (generation, HISTORY.helper_reader(&shared.path).await?)
            }
        };
        Ok(&mut self.link.insert(link).1)
    }

    /// Chunks as [`Desk::begin`]'s connection would read them; `None` where this
    /// one may see another state. What is sealed never changes until it is purged.
    pub(crate) async fn chunks(
        &mut self,
        shared: &Shared,
        purged: &[i64; 5],
        spans: &str,
        ids: &[u32],
    ) -> Option<Vec<u8>> {
        let connection = self.open(shared).await.ok()?;
        match read_chunks(connection, BESIDE, spans, ids).await {
            Ok((seen, data)) => (seen == *purged).then_some(data),
            Err(error) => {
                // The question is answered without it; damage is met again there.
                tracing::debug!(%error, "a helping connection failed");
                self.close().await;
                None
            }
        }
    }
}

/// All chunks in one row: a row costs two switches of threads, and years of a
/// few series are hundreds of chunks. Each stands in it as span, series, start
/// and length in digits, then its bytes. Rows of hours and blocks are found by
/// their number alone ([`crate::hours`]), others by an index; what a series does
/// not have is NULL, and left out. Series 0, the times, is only in raw slots.
macro_rules! chunks {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "SELECT 2, CAST(group_concat(
                 r.key || ' ' || j.value || ' ' || s.from_ms || ' ' || CASE r.value ->> 4
                 WHEN 2 THEN (SELECT length(b.data) || ' ' || b.data FROM blocks b
                              WHERE b.id = j.value << 32 | s.id)
                 WHEN 1 THEN (SELECT length(h.data) || ' ' || h.data FROM hours h
                              WHERE h.id = j.value << 32 | s.id)
                 ELSE (SELECT length(c.data) || ' ' || c.data FROM chunk c
                       WHERE c.slot = s.id AND c.series = j.value) END,
                 '') AS BLOB)
             FROM json_each(?1) r CROSS JOIN slot s
             ON s.level = r.value ->> 0 AND s.from_ms > r.value ->> 2 AND s.from_ms < r.value ->> 3
             CROSS JOIN json_each(?2) j ON j.value > 0 OR s.level = 0
             WHERE s.lane = r.value ->> 1 AND s.state = 1",
            $after
        )
    };
}
/// The last of a question.
pub(crate) const LAST: &str = chunks!("", "; COMMIT");
/// With more to come.
pub(crate) const MORE: &str = chunks!("", "");
/// In a transaction of its own, with what was purged in its view.
const BESIDE: &str = chunks!("BEGIN; SELECT 1, level, until_ms FROM purged; ", "; COMMIT");

pub(crate) async fn read_chunks(
    connection: &mut SqliteConnection,
    text: &'static str,
    spans: &str,
    ids: &[u32],
) -> Result<([i64; 5], Vec<u8>), sqlx::Error> {
    let rows = sqlx::query(text).bind(spans).bind(list(ids)).fetch_all(connection).await?;
    let (mut purged, mut data) = ([i64::MIN; 5], Vec::new());
    for row in &rows {
        match row.try_get::<i64, _>(0)? {
            1 => purged_of(row, &mut purged)?,
            _ => data = row.try_get::<Option<Vec<u8>>, _>(1)?.unwrap_or_default(),
        }
    }
    Ok((purged, data))
}

/// As JSON.
fn list(ids: &[u32]) -> String {
    let words: Vec<String> = ids.iter().map(u32::to_string).collect();
    format!("[{}]", words.join(","))
}
