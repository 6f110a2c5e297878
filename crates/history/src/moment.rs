//! The beginning of every question: a read transaction, and what stands in it.

use plimsoll_core::{metric::Metric, series::SeriesKey};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{desk::Desk, error::ReadError, lane::Lane, query::Wanted};

/// The history at one moment: everything until [`Desk::end`] is of the same.
pub(crate) struct Moment {
    /// As they are now, unsealed ticks counted.
    pub lanes: Vec<Lane>,
    /// Up to when each level was purged, in the order of `Level::ALL`.
    pub purged: [i64; 5],
    /// In the order of the keys; `None` for a series that is not known.
    pub found: Vec<Option<Wanted>>,
}

/// One text of five statements: each sent alone costs two switches of threads.
/// Rows begin with the number of their statement. Ticks come from the first that
/// any lane has not sealed.
const BEGIN: &str = "BEGIN;
    SELECT 0, id, first_ms, last_ms, sealed_seq,
           raw_until, s10_until, m1_until, m15_until, h1_until, closed FROM lane ORDER BY id;
    SELECT 1, level, until_ms FROM purged;
    SELECT 2, t.seq, e.lane, t.at_ms, t.payload FROM tick t JOIN epoch e ON e.id = t.epoch
    WHERE t.seq > max(?1, min(
        coalesce((SELECT sealed_seq FROM lane WHERE closed = 0 ORDER BY id LIMIT 1), 0),
        coalesce((SELECT sealed_seq FROM lane WHERE closed = 1 AND raw_until <= last_ms ORDER BY id LIMIT 1),
                 9223372036854775807)))
    ORDER BY t.seq;
    SELECT 3, j.key, s.id, s.cadence_ms FROM json_each(?2) j CROSS JOIN series s
    ON s.metric = j.value ->> 0 AND s.subject = j.value ->> 1";

// === impl Desk ===

impl Desk {
    /// Begins a read transaction, looks the series up and reads the ticks that
    /// came since the last question.
    pub(crate) async fn begin(&mut self, keys: &[SeriesKey]) -> Result<Moment, ReadError> {
        self.ready().await?;
        let names: Vec<[&str; 2]> = keys.iter().map(|k| [&*k.metric, &*k.subject]).collect();
        let seq = self.tail.seq();
        let rows = sqlx::query(BEGIN)
            .bind(seq)
            .bind(serde_json::to_string(&names).unwrap_or_default())
            .fetch_all(self.connection()?)
            .await?;
        let mut moment =
            Moment { lanes: Vec::new(), purged: [i64::MIN; 5], found: vec![None; keys.len()] };
        for row in &rows {
            match row.try_get::<i64, _>(0)? {
                0 => moment.lanes.push(Lane::of_row(row, 1)?),
                1 => purged_of(row, &mut moment.purged)?,
                2 => {
                    let (seq, lane, at_ms) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
                    self.tail.take(seq, lane, at_ms, row.try_get(4)?);
                }
                _ => {
                    let at: i64 = row.try_get(1)?;
                    let at = usize::try_from(at).unwrap_or(usize::MAX);
                    let Some((found, key)) = moment.found.get_mut(at).zip(keys.get(at)) else {
                        continue;
                    };
                    let Some(metric) = Metric::named(&key.metric) else { continue };
                    *found = Some(Wanted {
                        id: row.try_get(2)?,
                        metric,
                        subject: key.subject.clone(),
                        cadence_ms: row.try_get(3)?,
                    });
                }
            }
        }
        self.tail.settle(&mut moment.lanes);
        Ok(moment)
    }
}

/// From level and end, which follow the number of the statement.
pub(crate) fn purged_of(row: &SqliteRow, purged: &mut [i64; 5]) -> Result<(), sqlx::Error> {
    let level: i64 = row.try_get(1)?;
    if let Some(until) = usize::try_from(level).ok().and_then(|level| purged.get_mut(level)) {
        *until = row.try_get(2)?;
    }
    Ok(())
}
