//! Copies of the data: a complete one in another folder, made while recording goes on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use plimsoll_core::VERSION;
use serde::{Deserialize, Serialize};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{DATABASES, report::available_bytes};
use crate::{
    api::{Fault, FaultCode},
    dispatch::blocking,
    folder::{cannot, private_folder, write_private},
    jobs::{Job, Stopped},
};

/// The file that is written last: a folder with it is a complete backup.
pub const MANIFEST: &str = "backup.json";
/// Steps of the database's machine between two looks at whether to go on.
const LOOK_EVERY: i32 = 100_000;

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: String,
    pub at_ms: i64,
    /// The demo's data.
    pub simulated: bool,
}

/// What to copy.
#[derive(Clone, Debug)]
pub struct Source {
    pub data: PathBuf,
    pub config: PathBuf,
    pub simulated: bool,
    pub at_ms: i64,
}

/// Makes a complete copy in `to`, which is empty or not there yet.
pub async fn copy(job: Job, source: Source, to: PathBuf) -> Result<String, Stopped> {
    let (from, into) = (source.data.clone(), to.clone());
    let fresh = blocking(move || prepare(&from, &into)).await??;
    match copy_into(&job, &source, &to).await {
        Ok(()) => Ok(format!("A complete copy is in {}.", to.display())),
        Err(stopped) => {
            let clean = move || discard(&to, fresh);
            let _ = blocking(clean).await;
            Err(stopped)
        }
    }
}

async fn copy_into(job: &Job, source: &Source, to: &Path) -> Result<(), Stopped> {
    let size = |name: &str| fs::metadata(source.data.join(name)).map_or(0, |meta| meta.len());
    let total: u64 = DATABASES.iter().map(|name| size(name)).sum::<u64>().max(1);
    let mut before = 0;
    for name in DATABASES {
        if source.data.join(name).exists() {
            let part = (before, total);
            copy_database(job, &source.data.join(name), &to.join(name), part).await?;
        }
        before += size(name);
    }
    let (config, into) = (source.config.clone(), to.join("plimsoll.toml"));
    blocking(move || match fs::read(&config) {
        Ok(text) => write_private(&into, &text).map_err(|e| cannot("write", &into, &e)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot("read", &config, &error)),
    })
    .await??;
    let manifest =
        Manifest { version: VERSION.into(), at_ms: source.at_ms, simulated: source.simulated };
    let (text, into) = (serde_json::to_vec(&manifest).unwrap_or_default(), to.join(MANIFEST));
    blocking(move || write_private(&into, &text).map_err(|e| cannot("write", &into, &e))).await??;
    Ok(())
}

/// A consistent copy of a database that is being written, without what is free in it.
async fn copy_database(
    job: &Job,
    from: &Path,
    to: &Path,
    (before, total): (u64, u64),
) -> Result<(), Stopped> {
    let mut connection = open(from).await?;
    let goes_on = Arc::new(AtomicBool::new(true));
    let asked = goes_on.clone();
    connection
        .lock_handle()
        .await
        .map_err(|error| failed(from, &error))?
        .set_progress_handler(LOOK_EVERY, move || asked.load(Ordering::Relaxed));
    let path = to.to_string_lossy().into_owned();
    let outcome = {
        let copying =
            async { sqlx::query("VACUUM INTO ?1").bind(path).execute(&mut connection).await };
        tokio::pin!(copying);
        let mut look = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                outcome = &mut copying => break outcome,
                _ = look.tick() => {
                    let written = fs::metadata(to).map_or(0, |meta| meta.len());
                    #[expect(clippy::cast_precision_loss, reason = "a share")]
                    let share = (before + written) as f64 / total as f64;
                    if job.progress(share).is_err() {
                        goes_on.store(false, Ordering::Relaxed);
                    }
                }
            }
        }
    };
    job.check()?;
    outcome.map_err(|error| failed(from, &error))?;
    let _ = connection.close().await;
    let path = to.to_path_buf();
    blocking(move || fs::File::open(&path).and_then(|file| file.sync_all()))
        .await?
        .map_err(|error| Stopped::Failed(cannot("write", to, &error)))
}

/// Looks whether a folder holds a complete and sound backup for this data folder.
pub async fn check(folder: &Path, simulated: bool) -> Result<Manifest, Fault> {
    let path = folder.join(MANIFEST);
    let text = tokio::fs::read(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::new(
            FaultCode::NotFound,
            format!("{} holds no complete backup: there is no {MANIFEST}.", folder.display()),
        )
        .hint("Name the folder that a backup was written to."),
        _ => cannot("read", &path, &error),
    })?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| {
        Fault::new(FaultCode::Invalid, format!("{} is damaged: {error}.", path.display()))
    })?;
    if manifest.simulated != simulated {
        let (theirs, ours) =
            if simulated { ("measured", "simulated") } else { ("simulated", "measured") };
        return Err(Fault::new(
            FaultCode::Denied,
            format!("The backup holds {theirs} data, and this folder {ours} data."),
        ));
    }
    for name in DATABASES {
        let path = folder.join(name);
        let mut connection = open(&path).await?;
        let found: Result<String, _> =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await;
        let _ = connection.close().await;
        match found {
            Ok(found) if found == "ok" => {}
            Ok(found) => {
                return Err(Fault::new(
                    FaultCode::Invalid,
                    format!("{} is damaged: {found}.", path.display()),
                ));
            }
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Ok(manifest)
}

/// `Ok(true)` where the folder was made here.
fn prepare(from: &Path, to: &Path) -> Result<bool, Fault> {
    let fresh = !to.exists();
    if !fresh && fs::read_dir(to).map_err(|e| cannot("read", to, &e))?.next().is_some() {
        return Err(Fault::new(FaultCode::Conflict, format!("{} is not empty.", to.display()))
            .hint("Name a new or an empty folder."));
    }
    if to.starts_with(from) {
        return Err(Fault::new(
            FaultCode::Invalid,
            format!("{} lies in the data folder itself.", to.display()),
        )
        .hint("Name a folder elsewhere, best on another disk."));
    }
    private_folder(to)?;
    let needed: u64 = DATABASES
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("{name}-wal")])
        .map(|name| fs::metadata(from.join(name)).map_or(0, |meta| meta.len()))
        .sum();
    match available_bytes(to) {
        Some(available) if available < needed => {
            if fresh {
                let _ = fs::remove_dir(to);
            }
            Err(Fault::new(
                FaultCode::Unavailable,
                format!("{} takes {available} bytes more, and {needed} are needed.", to.display()),
            )
            .hint("Free some space, or name a folder on another disk."))
        }
        _ => Ok(fresh),
    }
}

/// Takes away what a copy that broke off has written, and nothing else.
fn discard(to: &Path, fresh: bool) {
    for name in DATABASES {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(to.join(format!("{name}{suffix}")));
        }
    }
    let _ = fs::remove_file(to.join("plimsoll.toml"));
    let _ = fs::remove_file(to.join(MANIFEST));
    if fresh {
        let _ = fs::remove_dir(to);
    }
}

async fn open(path: &Path) -> Result<SqliteConnection, Fault> {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &sqlx::Error) -> Fault {
    Fault::new(FaultCode::Unavailable, format!("{} cannot be copied: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    use plimsoll_history::State;

    use super::*;
    use crate::{api::JobState, hub::Hub, jobs::Jobs};

    async fn data(dir: &Path) -> Source {
        let data = dir.join("data");
        fs::create_dir(&data).unwrap();
        for name in DATABASES {
            // Any database will do for copying; both are written here as the state is.
            let beside = dir.join("make");
            fs::create_dir_all(&beside).unwrap();
            let state = State::open(&beside).await.unwrap();
            state.remember("who", Some("\"ada\"")).await.unwrap();
            state.close().await;
            fs::rename(beside.join("state.db"), data.join(name)).unwrap();
        }
        fs::write(dir.join("plimsoll.toml"), "[log]\nlevel = \"warn\"\n").unwrap();
        let config = dir.join("plimsoll.toml");
        Source { data, config, simulated: false, at_ms: 7 }
    }

    async fn run(source: Source, to: &Path) -> crate::api::JobProgress {
        let jobs = Jobs::new(Hub::default());
        let to = to.to_path_buf();
        jobs.start("Backup", |job| copy(job, source, to)).unwrap();
        while jobs.all()[0].state == JobState::Running {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        jobs.all().remove(0)
    }

    #[tokio::test]
    async fn a_backup_is_complete_and_is_recognised_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let source = data(dir.path()).await;
        let to = dir.path().join("backup");
        let job = run(source, &to).await;
        assert_eq!(job.state, JobState::Done, "{}", job.message);
        let manifest = check(&to, false).await.unwrap();
        assert_eq!((manifest.at_ms, manifest.simulated), (7, false));
        let state = State::open(&to).await.unwrap();
        assert_eq!(state.recall("who").await.unwrap().as_deref(), Some("\"ada\""));
        assert!(fs::read_to_string(to.join("plimsoll.toml")).unwrap().contains("warn"));
        let fault = check(&to, true).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::Denied);
    }

    #[tokio::test]
    async fn a_folder_with_something_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let source = data(dir.path()).await;
        let to = dir.path().join("mine");
        fs::create_dir(&to).unwrap();
        fs::write(to.join("letter.txt"), "dear").unwrap();
        let job = run(source, &to).await;
        assert_eq!(job.state, JobState::Failed);
        assert!(job.message.contains("not empty"), "{}", job.message);
        assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_copy_that_breaks_off_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let source = data(dir.path()).await;
        fs::write(source.data.join("history.db"), b"this is no database, not at all").unwrap();
        let to = dir.path().join("backup");
        let job = run(source, &to).await;
        assert_eq!(job.state, JobState::Failed);
        assert!(!to.exists());
    }

    #[tokio::test]
    async fn a_damaged_or_half_backup_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let source = data(dir.path()).await;
        let to = dir.path().join("backup");
        run(source, &to).await;
        let mut bytes = fs::read(to.join("history.db")).unwrap();
        let at = 4096 + 100;
        let end = bytes.len();
        bytes[at..end].fill(0xa5);
        fs::write(to.join("history.db"), bytes).unwrap();
        assert!(check(&to, false).await.is_err());
        fs::remove_file(to.join(MANIFEST)).unwrap();
        assert_eq!(check(&to, false).await.unwrap_err().code, FaultCode::NotFound);
    }
}
