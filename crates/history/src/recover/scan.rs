//! Reading a table in the order of its row numbers, past whatever is damaged.

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use crate::error::{Fault, fault_of};

/// Rows skipped at once behind a damaged one grow up to that.
const MAX_LEAP: i64 = 1 << 20;
/// Damaged places after which a table is given up.
const MAX_DAMAGE: u32 = 100_000;

/// Copies rows column by column: `i` a whole number, `r` a number, `t` text, each or nothing.
pub(crate) async fn copy_rows(
    source: &mut SqliteConnection,
    target: &mut SqliteConnection,
    select: &str,
    insert: &str,
    types: &str,
    lost: &mut u64,
) -> Result<u64, sqlx::Error> {
    enum Cell {
        Int(Option<i64>),
        Real(Option<f64>),
        Text(Option<String>),
    }
    let mut copied = 0;
    let mut at = i64::MIN;
    loop {
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        let missed = scan_from(source, select, &mut at, |row| {
            let cells = types.chars().enumerate().take(row.len() - 1).map(|(i, kind)| {
                Ok(match kind {
                    'i' => Cell::Int(row.try_get(i + 1)?),
                    'r' => Cell::Real(row.try_get(i + 1)?),
                    _ => Cell::Text(row.try_get(i + 1)?),
                })
            });
            rows.push(cells.collect::<Result<_, sqlx::Error>>()?);
            Ok(())
        })
        .await?;
        let Some(missed) = missed else { return Ok(copied) };
        *lost += missed;
        for cells in rows {
            let mut query = sqlx::query(sqlx::AssertSqlSafe(insert.to_owned()));
            for cell in cells {
                query = match cell {
                    Cell::Int(v) => query.bind(v),
                    Cell::Real(v) => query.bind(v),
                    Cell::Text(v) => query.bind(v),
                };
            }
            copied += query.execute(&mut *target).await?.rows_affected();
        }
    }
}

/// Every row of a table that can be read; how many places could not.
pub(super) async fn scan(
    source: &mut SqliteConnection,
    sql: &str,
    mut each: impl FnMut(&SqliteRow) -> Result<(), sqlx::Error>,
) -> Result<u64, sqlx::Error> {
    let (mut at, mut lost) = (i64::MIN, 0);
    while let Some(missed) = scan_from(source, sql, &mut at, &mut each).await? {
        lost += missed;
    }
    Ok(lost)
}

/// The next rows from number `at` (the first column); `None` at the end. A
/// damaged place is leapt over, ever further while it lasts.
pub(super) async fn scan_from(
    source: &mut SqliteConnection,
    sql: &str,
    at: &mut i64,
    mut each: impl FnMut(&SqliteRow) -> Result<(), sqlx::Error>,
) -> Result<Option<u64>, sqlx::Error> {
    use futures::TryStreamExt as _;
    if *at == i64::MAX {
        return Ok(None);
    }
    let (mut lost, mut leap) = (0u64, 1i64);
    for _ in 0..MAX_DAMAGE {
        let mut n = 0;
        let mut rows =
            sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).bind(*at).fetch(&mut *source);
        let outcome = loop {
            match rows.try_next().await {
                Ok(Some(row)) => {
                    n += 1;
                    let number: i64 = row.try_get(0)?;
                    // A row whose columns make no sense is lost, the next one may not be.
                    lost += u64::from(each(&row).is_err());
                    *at = number.saturating_add(1);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        drop(rows);
        match outcome {
            Ok(()) if n == 0 => {
                *at = i64::MAX;
                return Ok((lost > 0).then_some(lost));
            }
            Ok(()) => return Ok(Some(lost)),
            Err(error) if fault_of(&error) == Fault::Damaged => {
                lost += 1;
                if n > 0 {
                    leap = 1;
                } else if *at == i64::MIN {
                    *at = 1;
                }
                *at = at.saturating_add(leap);
                if leap >= MAX_LEAP {
                    // Nothing readable for a million rows: the rest is gone.
                    *at = i64::MAX;
                    return Ok(Some(lost));
                }
                leap *= 2;
            }
            Err(error) => return Err(error),
        }
    }
    *at = i64::MAX;
    Ok(Some(lost))
}
