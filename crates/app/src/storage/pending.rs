//! What is to happen to the data folder at the next start, before anything in
//! it is opened: a backup takes its place, or it moves elsewhere. Until then
//! recording goes on and nothing of it is lost.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{DATABASES, backup::MANIFEST};
use crate::{
    api::{Fault, FaultCode},
    folder::{cannot, private_folder, write_private},
    services::managed::FOLDER as RUNS,
};

const PENDING: &str = "pending.json";
/// Left in a folder that moved: where to.
const MOVED: &str = "moved.json";
/// Longest chain of moves that is followed.
const MOVES: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    Restore { from: PathBuf },
    Move { to: PathBuf },
}

#[derive(Serialize, Deserialize)]
struct Moved {
    to: PathBuf,
}

/// What was done at this start, in words for a mark and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    Nothing,
    Restored(String),
    /// The data is there now.
    Moved(PathBuf),
    /// It failed, and the data is as it was.
    Failed(String),
}

// === impl Pending ===

impl Pending {
    pub fn write(&self, data: &Path) -> Result<(), Fault> {
        let path = data.join(PENDING);
        let text = serde_json::to_vec(self).map_err(|error| {
            Fault::new(FaultCode::Internal, format!("A plan has no JSON: {error}."))
        })?;
        write_private(&path, &text).map_err(|error| cannot("write", &path, &error))
    }

    pub fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(data.join(PENDING)).ok()?).ok()
    }
}

/// Where the data of that folder is now.
pub fn follow(data: &Path) -> PathBuf {
    let mut path = data.to_path_buf();
    for _ in 0..MOVES {
        let moved = fs::read(path.join(MOVED)).ok();
        let Some(moved) = moved.and_then(|text| serde_json::from_slice::<Moved>(&text).ok()) else {
            break;
        };
        path = moved.to;
    }
    path
}

/// Does what is pending. The caller owns the folder and has nothing in it open.
pub fn apply(data: &Path, now_ms: i64) -> Applied {
    let applied = match Pending::read(data) {
        None => return Applied::Nothing,
        Some(Pending::Restore { from }) => restore(data, &from, now_ms),
        Some(Pending::Move { to }) => relocate(data, &to),
    };
    // Done or failed, it is not tried again at every start.
    let _ = fs::remove_file(data.join(PENDING));
    applied.unwrap_or_else(|error| Applied::Failed(error.message))
}

fn restore(data: &Path, from: &Path, now_ms: i64) -> Result<Applied, Fault> {
    // Whole copies first; what is in use changes its name only when they are all there.
    for name in DATABASES {
        copy_whole(&from.join(name), &data.join(format!("{name}.new")))?;
    }
    let stamp = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let aside = data.join(format!("before-restore-{}", stamp.strftime("%Y%m%d-%H%M%S")));
    private_folder(&aside)?;
    for name in DATABASES {
        for suffix in ["", "-wal", "-shm"] {
            let file = format!("{name}{suffix}");
            match fs::rename(data.join(&file), aside.join(&file)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(cannot("set aside", &data.join(&file), &error)),
            }
        }
    }
    for name in DATABASES {
        let new = data.join(format!("{name}.new"));
        fs::rename(&new, data.join(name)).map_err(|error| cannot("put in place", &new, &error))?;
    }
    Ok(Applied::Restored(format!(
        "The backup from {} was restored; what was there before is in {}.",
        from.display(),
        aside.display()
    )))
}

fn relocate(data: &Path, to: &Path) -> Result<Applied, Fault> {
    private_folder(to)?;
    for name in DATABASES {
        // Closed in good order there is no log beside it; after a crash it belongs to the data.
        for suffix in ["", "-wal"] {
            let from = data.join(format!("{name}{suffix}"));
            let into = to.join(format!("{name}{suffix}"));
            if from.exists() {
                copy_whole(&from, &into)?;
            } else {
                let _ = fs::remove_file(&into);
            }
        }
    }
    for name in ["SIMULATED"] {
        if data.join(name).exists() {
            copy_whole(&data.join(name), &to.join(name))?;
        }
    }
    let _ = fs::remove_file(to.join(MANIFEST));
    let path = data.join(MOVED);
    let text = serde_json::to_vec(&Moved { to: to.to_path_buf() }).unwrap_or_default();
    write_private(&path, &text).map_err(|error| cannot("write", &path, &error))?;
    // From here on the new folder counts; what is left of the old one is only space.
    if let Err(fault) = move_runs(data, to) {
        tracing::warn!("what services wrote stays where it was: {fault}");
    }
    for name in DATABASES {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(data.join(format!("{name}{suffix}")));
        }
    }
    Ok(Applied::Moved(to.to_path_buf()))
}

/// Notes of services that run, and what they wrote. After a crash some may still write: a
/// folder that is renamed stays the one they write to.
fn move_runs(data: &Path, to: &Path) -> Result<(), Fault> {
    let (from, into) = (data.join(RUNS), to.join(RUNS));
    if !from.exists() || fs::rename(&from, &into).is_ok() {
        return Ok(());
    }
    // Another disk, or a folder that is there already.
    private_folder(&into)?;
    let entries = fs::read_dir(&from).map_err(|error| cannot("read", &from, &error))?;
    for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
        copy_whole(&entry.path(), &into.join(entry.file_name()))?;
    }
    Ok(())
}

/// A copy that is there whole or not at all, and on the disk.
fn copy_whole(from: &Path, to: &Path) -> Result<(), Fault> {
    let beside = to.with_extension("part");
    let copy = fs::copy(from, &beside)
        .and_then(|_| fs::File::open(&beside)?.sync_all())
        .and_then(|()| fs::rename(&beside, to));
    copy.map_err(|error| {
        let _ = fs::remove_file(&beside);
        cannot("copy", from, &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(folder: &Path, text: &str) {
        fs::create_dir_all(folder).unwrap();
        for name in DATABASES {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    fn text(folder: &Path) -> String {
        fs::read_to_string(folder.join("history.db")).unwrap()
    }

    #[test]
    fn a_restore_keeps_what_was_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let (data, backup) = (dir.path().join("data"), dir.path().join("backup"));
        fill(&data, "now");
        fs::write(data.join("history.db-wal"), "log").unwrap();
        fill(&backup, "then");
        Pending::Restore { from: backup }.write(&data).unwrap();
        let Applied::Restored(words) = apply(&data, 1_763_650_000_000) else { panic!() };
        assert_eq!(text(&data), "then");
        assert!(!data.join("history.db-wal").exists(), "another database's log");
        let aside = data.join("before-restore-20251120-144640");
        assert!(words.contains("before-restore-20251120-144640"), "{words}");
        assert_eq!((text(&aside).as_str(), aside.join("history.db-wal").exists()), ("now", true));
        assert_eq!(apply(&data, 0), Applied::Nothing, "once");
    }

    #[test]
    fn a_restore_that_fails_leaves_the_data_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fill(&data, "now");
        Pending::Restore { from: dir.path().join("gone") }.write(&data).unwrap();
        let Applied::Failed(why) = apply(&data, 0) else { panic!() };
        assert!(why.contains("gone"), "{why}");
        assert_eq!(text(&data), "now");
        assert_eq!(apply(&data, 0), Applied::Nothing);
    }

    #[test]
    fn a_move_takes_what_was_recorded_since_the_copy_and_leaves_a_pointer() {
        let dir = tempfile::tempdir().unwrap();
        let (data, to) = (dir.path().join("data"), dir.path().join("there"));
        fill(&data, "newer");
        fill(&to, "as it was when the job copied it");
        fs::write(to.join("history.db-wal"), "old log").unwrap();
        fs::write(to.join(MANIFEST), "{}").unwrap();
        fs::create_dir(data.join(RUNS)).unwrap();
        fs::write(data.join(RUNS).join("llama.json"), "a note").unwrap();
        Pending::Move { to: to.clone() }.write(&data).unwrap();
        assert_eq!(apply(&data, 0), Applied::Moved(to.clone()));
        assert_eq!(text(&to), "newer");
        assert_eq!(fs::read_to_string(to.join(RUNS).join("llama.json")).unwrap(), "a note");
        assert!(!to.join("history.db-wal").exists());
        assert!(!data.join("history.db").exists());
        assert_eq!(follow(&data), to);
        assert_eq!(follow(&to), to);
    }

    #[test]
    fn notes_of_services_join_a_folder_that_is_there_already() {
        let dir = tempfile::tempdir().unwrap();
        let (data, to) = (dir.path().join("data"), dir.path().join("to"));
        for folder in [&data, &to] {
            fs::create_dir_all(folder.join(RUNS)).unwrap();
        }
        fs::write(to.join(RUNS).join("old.log"), "x").unwrap();
        fs::write(data.join(RUNS).join("llama.json"), "a note").unwrap();
        move_runs(&data, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join(RUNS).join("llama.json")).unwrap(), "a note");
        assert!(to.join(RUNS).join("old.log").exists());
    }

    #[test]
    fn folders_that_point_at_each_other_do_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for (from, to) in [(&a, &b), (&b, &a)] {
            fs::create_dir(from).unwrap();
            let moved = serde_json::to_vec(&Moved { to: to.clone() }).unwrap();
            fs::write(from.join(MOVED), moved).unwrap();
        }
        follow(&a);
    }
}
