//! Values as they were measured, a chunk at a time: for pages and exports.

use plimsoll_core::series::{Level, SeriesKey};

use crate::{
    answers::{RawPage, RawValue},
    error::ReadError,
    figures::extent,
    offload::off_the_runtime,
    reader::{Reader, ask_one},
    shown::numbers,
};

/// Values that an export reads at once: those of one raw chunk.
const EXPORT_MS: i64 = 600_000;

// === impl Reader ===

impl Reader {
    /// Measured values in order of time; give `next` back for the following page.
    pub async fn raw_page(
        &self,
        key: &SeriesKey,
        from_ms: i64,
        to_ms: i64,
        cursor: Option<i64>,
        limit: u32,
    ) -> Result<RawPage, ReadError> {
        let limit = limit.clamp(1, 10_000) as usize;
        let mut page = RawPage::default();
        let mut from = cursor.unwrap_or(from_ms);
        let Some((first, last)) = self.extent().await? else { return Ok(page) };
        from = from.max(first);
        let end = to_ms.min(last.saturating_add(1));
        while from < end {
            // Not past the end of a raw slot: no more than one chunk is held.
            let slot_end = from - from.rem_euclid(EXPORT_MS) + EXPORT_MS;
            let values = self.values(key, from, end.min(slot_end)).await?;
            for value in values {
                if page.values.len() == limit {
                    page.next = Some(value.at_ms);
                    return Ok(page);
                }
                page.values.push(value);
            }
            from = self.next_value_after(slot_end).await?;
        }
        Ok(page)
    }

    /// Oldest and newest time of anything measured.
    pub(crate) async fn extent(&self) -> Result<Option<(i64, i64)>, ReadError> {
        self.aside(async |desk| {
            desk.ready().await?;
            extent(desk).await
        })
        .await
    }

    pub(crate) async fn values(
        &self,
        key: &SeriesKey,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<RawValue>, ReadError> {
        let asked = self.aside(async |desk| {
            ask_one(desk, key, None, from_ms..to_ms, 1, Some(Level::Raw)).await
        });
        let Some((wanted, material)) = asked.await? else { return Ok(Vec::new()) };
        Ok(off_the_runtime(move || numbers(&material.collect_values(&wanted), wanted.metric)).await)
    }

    /// Where the next raw slot or tick at or after a moment begins: silence is skipped.
    pub(crate) async fn next_value_after(&self, at_ms: i64) -> Result<i64, ReadError> {
        self.aside(async |desk| {
            let next: Option<i64> = sqlx::query_scalar(
                "SELECT min(a) FROM (
                   SELECT min(from_ms) AS a FROM slot WHERE level = 0 AND state = 1 AND from_ms >= ?1
                   UNION ALL SELECT min(at_ms) FROM tick WHERE at_ms >= ?1)",
            )
            .bind(at_ms)
            .fetch_one(desk.open().await?)
            .await?;
            Ok(next.unwrap_or(i64::MAX))
        })
        .await
    }
}
