//! Lanes: stretches in which wall time only grew, and how far each is sealed.

use plimsoll_core::series::Level;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

/// One row of the table, with the newest tick taken into account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub id: i64,
    pub first_ms: i64,
    pub last_ms: i64,
    pub sealed_seq: i64,
    /// Up to when each level is sealed (exclusive), in the order of [`Level::ALL`].
    pub until: [i64; 5],
    /// Nothing is added any more.
    pub closed: bool,
}

/// The start of the chunk of that level in which a moment lies.
pub(crate) fn slot_of(level: Level, at_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(level.chunk_ms())
}

// === impl Lane ===

impl Lane {
    pub(crate) fn begin(id: i64, first_ms: i64, sealed_seq: i64) -> Self {
        let until = Level::ALL.map(|level| slot_of(level, first_ms));
        Self { id, first_ms, last_ms: first_ms, sealed_seq, until, closed: false }
    }

    pub(crate) fn until(&self, level: Level) -> i64 {
        self.until[level as usize]
    }

    /// Nothing is left to seal at that level.
    pub(crate) fn exhausted(&self, level: Level) -> bool {
        self.closed && self.until(level) > self.last_ms
    }

    pub(crate) async fn load_all(
        connection: &mut SqliteConnection,
    ) -> Result<Vec<Self>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT id, first_ms, last_ms, sealed_seq,
                    raw_until, s10_until, m1_until, m15_until, h1_until, closed
             FROM lane ORDER BY id",
        )
        .fetch_all(connection)
        .await?;
        rows.iter().map(|row| Self::of_row(row, 0)).collect()
    }

    /// From the columns of the table, in their order, beginning at `at`.
    pub(crate) fn of_row(row: &SqliteRow, at: usize) -> Result<Self, sqlx::Error> {
        let mut until = [0; 5];
        for (i, until) in until.iter_mut().enumerate() {
            *until = row.try_get(at + 4 + i)?;
        }
        Ok(Self {
            id: row.try_get(at)?,
            first_ms: row.try_get(at + 1)?,
            last_ms: row.try_get(at + 2)?,
            sealed_seq: row.try_get(at + 3)?,
            until,
            closed: row.try_get(at + 9)?,
        })
    }

    pub(crate) async fn save(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT OR REPLACE INTO lane (id, first_ms, last_ms, sealed_seq,
                    raw_until, s10_until, m1_until, m15_until, h1_until, closed)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(self.id)
        .bind(self.first_ms)
        .bind(self.last_ms)
        .bind(self.sealed_seq)
        .bind(self.until[0])
        .bind(self.until[1])
        .bind(self.until[2])
        .bind(self.until[3])
        .bind(self.until[4])
        .bind(self.closed)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A later lane hides what an earlier one holds for the same time. `span` is
/// what the earlier lane covers of one point: clipped to its own extent.
pub(crate) fn hidden(lanes: &[Lane], index: usize, from_ms: i64, to_ms: i64) -> bool {
    let own = &lanes[index];
    let (from, to) = (from_ms.max(own.first_ms), to_ms.min(own.last_ms));
    lanes[index + 1..].iter().any(|later| later.first_ms <= to && from <= later.last_ms)
}
