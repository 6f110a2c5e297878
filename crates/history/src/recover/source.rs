//! Opening a damaged database, also one whose first page is lost.

use std::path::{Path, PathBuf};

use sqlx::{Row as _, SqliteConnection};

use crate::{
    db::{self, Found, HISTORY},
    error::{OpenError, ReadError},
};

const PAGE: usize = 4096;

pub(super) struct Source {
    pub connection: SqliteConnection,
    /// The copy with another first page.
    pub copy: Option<PathBuf>,
}

pub(super) async fn open_damaged(file: &Path, folder: &Path) -> Result<Source, ReadError> {
    let unusable = |reason: String| OpenError::Unusable { path: file.to_owned(), reason };
    match HISTORY.look_at(file).map_err(|e| unusable(e.to_string()))? {
        Found::Nothing => return Err(OpenError::Missing { path: file.to_owned() }.into()),
        Found::Foreign => return Err(OpenError::Foreign { path: file.to_owned() }.into()),
        Found::Ours(found) if found > HISTORY.version() => {
            return Err(OpenError::Newer {
                path: file.to_owned(),
                found,
                known: HISTORY.version(),
            }
            .into());
        }
        Found::Ours(_) => {
            if let Ok(mut connection) = HISTORY.reader(file).await {
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
    let copy = transplant(file, folder).await?;
    let connection = HISTORY.reader(&copy).await.map_err(|e| unusable(e.to_string()))?;
    Ok(Source { connection, copy: Some(copy) })
}

/// Copies the file with the first page of a new database of this version.
async fn transplant(file: &Path, folder: &Path) -> Result<PathBuf, ReadError> {
    let bytes = std::fs::metadata(file)?.len();
    if db::available_bytes(folder).is_some_and(|room| room < bytes) {
        return Err(ReadError::Invalid(format!(
            "There is no room in {} for the copy that recovering needs ({} MiB).",
            folder.display(),
            bytes.div_ceil(1 << 20)
        )));
    }
    let fresh_folder = folder.join(".recover-part");
    let _ = std::fs::remove_dir_all(&fresh_folder);
    db::close(HISTORY.open(&fresh_folder).await?).await;
    let mut page = std::fs::read(HISTORY.path(&fresh_folder))?;
    let _ = std::fs::remove_dir_all(&fresh_folder);
    page.truncate(PAGE);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_schema_lies_in_the_first_page_alone() {
        let folder = tempfile::tempdir().unwrap();
        db::close(HISTORY.open(folder.path()).await.unwrap()).await;
        let page = std::fs::read(HISTORY.path(folder.path())).unwrap();
        // 13: a leaf. Were it more, a transplanted page would not be the whole schema.
        assert_eq!(page[100], 13);
    }
}
