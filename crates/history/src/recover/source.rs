//! Opening a damaged database, also one whose first page is lost.
//!
//! The first page holds the schema: without it no table is found. Another one is made for a
//! copy. It holds only the tables that are read here, by their columns alone, at the pages at
//! which the migrations put them: so it is one page however large the schema grows, and
//! whatever lay on further pages of the schema is not needed.

use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    db::{self, Found, Schema},
    error::{OpenError, ReadError},
};

const PAGE: usize = 4096;
/// Of the first page: what is said of the file, before the tree of the schema.
const HEAD: usize = 100;
/// What recovering reads; a table that an older version did not have is not missed.
const READ: [&str; 11] = [
    "lane", "epoch", "series", "tick", "slot", "chunk", "hours", "mark", "alert", "log", "request",
];

pub(super) struct Source {
    pub connection: SqliteConnection,
    /// The copy with another first page.
    pub copy: Option<PathBuf>,
}

pub(super) async fn open_damaged(
    schema: &Schema,
    file: &Path,
    folder: &Path,
) -> Result<Source, ReadError> {
    let unusable = |reason: String| OpenError::Unusable { path: file.to_owned(), reason };
    match schema.look_at(file).map_err(|e| unusable(e.to_string()))? {
        Found::Nothing => return Err(OpenError::Missing { path: file.to_owned() }.into()),
        Found::Foreign => return Err(OpenError::Foreign { path: file.to_owned() }.into()),
        Found::Ours(found) if found > schema.version() => {
            return Err(
                OpenError::Newer { path: file.to_owned(), found, known: schema.version() }.into()
            );
        }
        Found::Ours(_) => {
            if let Ok(mut connection) = schema.reader(file).await {
                let readable =
                    sqlx::query("SELECT count(*) FROM sqlite_schema WHERE name = 'chunk'")
                        .fetch_one(&mut connection)
                        .await
                        .is_ok_and(|row| row.try_get::<i64, _>(0).is_ok_and(|n| n == 1));
                if readable {
                    return Ok(Source { connection, copy: None });
                }
                db::close(connection).await;
            }
        }
        Found::Damaged => {}
    }
    let copy = transplant(schema, file, folder).await?;
    let connection = schema.reader(&copy).await.map_err(|e| unusable(e.to_string()))?;
    Ok(Source { connection, copy: Some(copy) })
}

/// Copies the file with another first page, as this version would have it.
async fn transplant(schema: &Schema, file: &Path, folder: &Path) -> Result<PathBuf, ReadError> {
    let bytes = std::fs::metadata(file)?.len();
    if db::available_bytes(folder).is_some_and(|room| room < bytes) {
        return Err(ReadError::Invalid(format!(
            "There is no room in {} for the copy that recovering needs ({} MiB).",
            folder.display(),
            bytes.div_ceil(1 << 20)
        )));
    }
    let part = folder.join(".recover-part");
    let _ = std::fs::remove_dir_all(&part);
    let page = first_page(schema, &part).await;
    let _ = std::fs::remove_dir_all(&part);
    let mut page = page?;
    let pages = u32::try_from(bytes / PAGE as u64).unwrap_or(u32::MAX);
    // Offsets of the file format: 18 and 19 journal mode (1: no log beside it),
    // 28 size in pages, 32 first free page, 36 number of free pages.
    page[18..20].copy_from_slice(&[1, 1]);
    page[28..32].copy_from_slice(&pages.to_be_bytes());
    page[32..40].fill(0);
    let copy = folder.join(".recover-copy.db");
    std::fs::copy(file, &copy)?;
    {
        use std::os::unix::fs::FileExt as _;
        std::fs::OpenOptions::new().write(true).open(&copy)?.write_all_at(&page, 0)?;
    }
    Ok(copy)
}

/// The first page of a new database of this version, with a schema of [`READ`] alone. Works in
/// a folder of its own.
async fn first_page(schema: &Schema, part: &Path) -> Result<Vec<u8>, ReadError> {
    let mut fresh = schema.open(part).await?;
    let tables = tables(&mut fresh).await;
    db::close(fresh).await;
    let tables = tables?;
    let lean = part.join("lean.db");
    let mut connection = SqliteConnectOptions::new()
        .filename(&lean)
        .create_if_missing(true)
        .disable_statement_logging()
        .connect()
        .await?;
    let written = write_schema(&mut connection, &tables).await;
    db::close(connection).await;
    written?;
    let mut page = std::fs::read(schema.path(part))?;
    let lean = std::fs::read(&lean)?;
    // 13: a leaf, which is the whole tree.
    match (page.get_mut(HEAD..PAGE), lean.get(HEAD..PAGE)) {
        (Some(page), Some(lean)) if lean[0] == 13 => page.copy_from_slice(lean),
        _ => return Err(ReadError::Invalid("The tables have no room in one page.".into())),
    }
    page.truncate(PAGE);
    Ok(page)
}

/// Name, root page and the shortest words that make each of [`READ`] readable: what a column
/// may hold and which indexes there are says nothing of how rows are stored.
async fn tables(fresh: &mut SqliteConnection) -> Result<Vec<(String, i64, String)>, sqlx::Error> {
    let mut tables = Vec::new();
    for name in READ {
        let root = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?";
        let root = sqlx::query_scalar(root).bind(name).fetch_optional(&mut *fresh).await?;
        let Some(root) = root else { continue };
        let columns = sqlx::query("SELECT name, type, pk, dflt_value FROM pragma_table_info(?)")
            .bind(name)
            .fetch_all(&mut *fresh)
            .await?;
        let columns = columns.iter().map(|column| {
            let mut words: String = column.try_get(0)?;
            // It stands for the row's number, and in the row itself for nothing.
            if column.try_get::<i64, _>(2)? > 0 && column.try_get::<&str, _>(1)? == "INTEGER" {
                words.push_str(" INTEGER PRIMARY KEY");
            }
            // Rows that are older than the column end before it.
            if let Some(default) = column.try_get::<Option<&str>, _>(3)? {
                words.push_str(" DEFAULT ");
                words.push_str(default);
            }
            Ok(words)
        });
        let columns = columns.collect::<Result<Vec<_>, sqlx::Error>>()?.join(",");
        tables.push((name.to_owned(), root, format!("CREATE TABLE \"{name}\"({columns})")));
    }
    Ok(tables)
}

/// Says where tables lie that are not in this database.
async fn write_schema(
    connection: &mut SqliteConnection,
    tables: &[(String, i64, String)],
) -> Result<(), sqlx::Error> {
    let head = format!("PRAGMA page_size = {PAGE}; PRAGMA writable_schema = ON;");
    sqlx::raw_sql(sqlx::AssertSqlSafe(head)).execute(&mut *connection).await?;
    for (name, root, sql) in tables {
        sqlx::query("INSERT INTO sqlite_schema VALUES ('table', ?1, ?1, ?2, ?3)")
            .bind(name)
            .bind(root)
            .bind(sql)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::{
        db::{HISTORY, Step},
        recover::recover_as,
    };

    /// A later version, whose schema takes several pages.
    fn grown() -> Schema {
        let more: String = (0..60)
            .map(|n| format!("CREATE TABLE later_{n} (id INTEGER PRIMARY KEY, a TEXT, b TEXT);\n"))
            .collect();
        let step = Step {
            version: HISTORY.version() + 1,
            name: "later",
            sql: Box::leak(more.into_boxed_str()),
            destructive: false,
            then: None,
        };
        let steps: Vec<Step> = HISTORY.steps.iter().copied().chain([step]).collect();
        let Schema { file, application_id, synchronous, always_copy, .. } = HISTORY;
        Schema { file, application_id, steps: Box::leak(steps.into()), synchronous, always_copy }
    }

    /// Rows enough that tables have many pages.
    async fn fill(connection: &mut SqliteConnection) {
        sqlx::raw_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO mark (at_ms, kind, title, detail)
             SELECT i * 1000, 'change', 'mark ' || i, hex(zeroblob(100)) FROM n;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO request SELECT i * 4096000, 'c', 'm', NULL, 'answered', i, hex(zeroblob(100))
             FROM n;
             INSERT INTO log (at_ms, level, module, message, fields) VALUES (1, 1, 'm', 'x', '');
             INSERT INTO alert VALUES ('a', 'r', '', 'info', 't', 1, NULL, NULL, 0.5);",
        )
        .execute(connection)
        .await
        .unwrap();
    }

    /// Destroys the first page, and every other one that holds the schema.
    fn destroy_schema(path: &Path) -> usize {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut page = vec![0; PAGE];
        file.read_exact_at(&mut page, 0).unwrap();
        // 5: an inner page. Its children: one for each cell, and the last one.
        assert_eq!(page[HEAD], 5, "the schema lies in one page");
        let word = |at: usize| u32::from_be_bytes(*page[at..at + 4].first_chunk().unwrap());
        let cells = usize::from(u16::from_be_bytes([page[HEAD + 3], page[HEAD + 4]]));
        let mut pages = vec![1, word(HEAD + 8)];
        for cell in 0..cells {
            let at = HEAD + 12 + 2 * cell;
            pages.push(word(usize::from(u16::from_be_bytes([page[at], page[at + 1]]))));
        }
        for number in &pages {
            file.write_all_at(&[0xa5; PAGE], u64::from(number - 1) * PAGE as u64).unwrap();
        }
        pages.len()
    }

    #[tokio::test]
    async fn what_recovering_reads_has_room_in_one_page_and_much_more() {
        let folder = tempfile::tempdir().unwrap();
        let page = first_page(&HISTORY, &folder.path().join("part")).await.unwrap();
        let mut fresh = HISTORY.open(folder.path()).await.unwrap();
        assert_eq!(tables(&mut fresh).await.unwrap().len(), READ.len());
        db::close(fresh).await;
        // The same head, and a leaf; 5: where its cells begin. Twice as many would do.
        let of_fresh = std::fs::read(HISTORY.path(folder.path())).unwrap();
        assert_eq!(page[40..92], of_fresh[40..92]);
        assert_eq!(page[HEAD], 13);
        let cells_from = usize::from(u16::from_be_bytes([page[HEAD + 5], page[HEAD + 6]]));
        assert!(cells_from > PAGE / 2, "{cells_from}");
    }

    #[tokio::test]
    async fn a_schema_of_many_pages_that_are_all_lost_hinders_no_recovery() {
        // Made so, and grown so while there was data.
        for grows in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let grown = grown();
            let damaged = folder.path().join("damaged");
            let first = if grows { &HISTORY } else { &grown };
            let mut connection = first.open(&damaged).await.unwrap();
            fill(&mut connection).await;
            db::close(connection).await;
            db::close(grown.open(&damaged).await.unwrap()).await;
            assert!(destroy_schema(&grown.path(&damaged)) > 2);

            let into = folder.path().join("into");
            std::fs::create_dir(&into).unwrap();
            let report = recover_as(&grown, &grown.path(&damaged), &into).await.unwrap();
            assert_eq!((report.marks, report.requests), (400, 400), "{grows} {report:?}");
            assert_eq!((report.log, report.alerts, report.lost), (1, 1, 0), "{grows} {report:?}");
            let mut connection = grown.reader(&grown.path(&into)).await.unwrap();
            let title: String = sqlx::query_scalar("SELECT title FROM mark WHERE at_ms = 77000")
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(title, "mark 77");
        }
    }
}
