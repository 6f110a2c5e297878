//! The data folder and its one owner.
//!
//! Two processes that both sample and write one history would spoil it, so the
//! owner holds `flock` on `plimsoll.lock` for as long as it lives. The kernel
//! gives the lock back when the process ends, however it ends: a lock left by
//! `kill -9` is free at once and only its text is stale. The file itself is
//! never removed, for a lock on a removed file guards nothing.

mod lock;
mod private;

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use plimsoll_core::{
    PROTOCOL, VERSION,
    clock::{Clock, SystemClock},
};
use rustix::process::geteuid;

use self::lock::{LOCK, open_lock, take, write_owner};
pub use self::{
    lock::{OwnError, Owner},
    private::{cannot, private_folder, write_private},
};
use crate::{
    api::{Fault, FaultCode},
    demo::Unfinished,
    places::{Places, Surroundings},
    storage::pending::{self, Applied},
};

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    simulated: bool,
    /// Nothing was recorded here before.
    first_start: bool,
    /// What was done to the data before it was opened.
    applied: Applied,
    _lock: File,
}

/// Says that everything in the folder is simulated, so that it is never mixed with measured data.
const SIMULATED: &str = "SIMULATED";

// === impl DataFolder ===

impl DataFolder {
    /// Makes the folder where there is none, and takes it, or says who holds it. What was to
    /// happen to the data at the next start happens here, before anything is opened.
    pub fn own(places: &Places, around: &Surroundings) -> Result<Self, OwnError> {
        let mut path = prepare(&places.data)?;
        let mut lock = open_lock(&path)?;
        take(&lock)?;
        check_kind(&path, places.simulated, !path.join("history.db").exists())?;
        if places.simulated {
            Unfinished::clear(&path)?;
        }
        let applied = pending::apply(&path, SystemClock.now().wall_ms);
        if let Applied::Moved(to) = &applied {
            path = prepare(to)?;
            lock = open_lock(&path)?;
            take(&lock)?;
        }
        let first_start = !path.join("history.db").exists();
        let uid = geteuid().as_raw();
        let (socket, socket_folder) = around.socket(&path, uid);
        if let Some(folder) = &socket_folder {
            private_folder(folder)?;
        }
        let owner = Owner {
            pid: std::process::id(),
            version: VERSION.to_owned(),
            protocol: PROTOCOL,
            socket: socket.clone(),
        };
        write_owner(&mut lock, &owner).map_err(|e| cannot("write", &path.join(LOCK), &e))?;
        Ok(Self {
            config: places.config.clone(),
            simulated: places.simulated,
            path,
            socket,
            first_start,
            applied,
            _lock: lock,
        })
    }

    /// Who owns that folder now, without taking it. `Ok(None)`: nobody.
    pub fn owner(data: &Path) -> Result<Option<Owner>, OwnError> {
        lock::owner(data)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn config(&self) -> &Path {
        &self.config
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub fn simulated(&self) -> bool {
        self.simulated
    }

    pub fn first_start(&self) -> bool {
        self.first_start
    }

    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    pub fn history_db(&self) -> PathBuf {
        self.path.join("history.db")
    }

    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }
}

fn prepare(path: &Path) -> Result<PathBuf, Fault> {
    if holds_other_things(path) {
        // Somebody's home, say: closing that to others is not ours to decide.
        return Err(Fault::new(
            FaultCode::Denied,
            format!("{} holds other files and is open to others.", path.display()),
        )
        .hint("Name a new or an empty folder with --data-dir, or close this one: chmod 700."));
    }
    private_folder(path)?;
    // One folder, one lock and one socket, by whatever path it was reached.
    fs::canonicalize(path).map_err(|error| cannot("find", path, &error))
}

/// The window opens before the folder is owned, and may have been first in it.
const OURS: [&str; 6] =
    ["plimsoll.lock", "plimsoll.toml", "history.db", "moved.json", "webview", "window.json"];

/// Open to others, not empty, and nothing of ours in it.
fn holds_other_things(path: &Path) -> bool {
    let open = fs::metadata(path).is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o077 != 0);
    open && fs::read_dir(path).is_ok_and(|entries| are_others(names(entries)))
}

fn names(entries: fs::ReadDir) -> impl Iterator<Item = OsString> {
    entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
}

/// One look tells both whether there is anything and whose it is: the window puts its first
/// file there at any moment.
fn are_others(names: impl Iterator<Item = OsString>) -> bool {
    let mut any = false;
    for name in names {
        if OURS.iter().any(|ours| name == *ours) {
            return false;
        }
        any = true;
    }
    any
}

fn check_kind(folder: &Path, simulated: bool, first_start: bool) -> Result<(), Fault> {
    let marker = folder.join(SIMULATED);
    match (simulated, marker.exists()) {
        (true, true) | (false, false) => Ok(()),
        (true, false) if first_start => {
            fs::write(&marker, "Everything in this folder is simulated.\n")
                .map_err(|error| cannot("write", &marker, &error))
        }
        (true, false) => Err(Fault::new(
            FaultCode::Denied,
            format!("{} holds measured data; the demo does not mix with it.", folder.display()),
        )
        .hint("Leave --data-dir away: the demo has a folder of its own.")),
        (false, true) => Err(Fault::new(
            FaultCode::Denied,
            format!("{} holds the demo's simulated data.", folder.display()),
        )
        .hint("Start with --demo, or choose another folder with --data-dir.")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn places(folder: &Path, simulated: bool) -> Places {
        Places { data: folder.to_path_buf(), config: folder.join("plimsoll.toml"), simulated }
    }

    fn own(folder: &Path, simulated: bool) -> Result<DataFolder, OwnError> {
        DataFolder::own(&places(folder, simulated), &Surroundings::default())
    }

    #[test]
    fn a_second_owner_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = own(dir.path(), false).unwrap();
        let OwnError::Held(Some(owner)) = own(dir.path(), false).unwrap_err() else {
            panic!("not held");
        };
        assert_eq!(owner.pid, std::process::id());
        assert_eq!(owner.protocol, PROTOCOL);
        assert_eq!(owner.socket, first.socket());
        let fault = Fault::from(OwnError::Held(Some(owner)));
        assert!(fault.message.contains(&std::process::id().to_string()), "{fault}");
    }

    #[test]
    fn a_lock_is_free_when_its_owner_is_gone_though_its_text_stays() {
        let dir = tempfile::tempdir().unwrap();
        drop(own(dir.path(), false).unwrap());
        assert!(dir.path().join(LOCK).exists());
        assert!(DataFolder::owner(dir.path()).unwrap().is_none());
        own(dir.path(), false).unwrap();
    }

    #[test]
    fn one_look_says_whose_a_folder_is() {
        let others = |names: &[&str]| are_others(names.iter().map(OsString::from));
        assert!(!others(&[]), "whoever comes a moment later has not been looked for");
        assert!(others(&["letters", ".profile"]));
        assert!(!others(&["webview"]) && !others(&["letters", "history.db"]));
    }

    #[test]
    fn the_folder_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let folder = own(&data, false).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(data.join(LOCK)).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
        drop(folder);
        own(&data, false).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_with_other_things_is_neither_used_nor_closed() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, Permissions::from_mode(0o755)).unwrap();
        fs::write(home.join("letter.txt"), "dear").unwrap();
        let OwnError::Fault(fault) = own(&home, false).unwrap_err() else { panic!() };
        assert_eq!(fault.code, FaultCode::Denied);
        assert_eq!(fs::metadata(&home).unwrap().mode() & 0o777, 0o755);
        fs::write(home.join("plimsoll.toml"), "").unwrap();
        own(&home, false).unwrap();
    }

    #[test]
    fn a_folder_in_which_the_window_was_first_is_taken_and_closed() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.path().join("webview")).unwrap();
        let _held = own(dir.path(), false).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn measured_and_simulated_data_never_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let real = own(dir.path(), false).unwrap();
        fs::write(real.history_db(), "x").unwrap();
        drop(real);
        let OwnError::Fault(fault) = own(dir.path(), true).unwrap_err() else { panic!() };
        assert_eq!(fault.code, FaultCode::Denied);

        let dir = tempfile::tempdir().unwrap();
        let demo = own(dir.path(), true).unwrap();
        fs::write(demo.history_db(), "x").unwrap();
        drop(demo);
        let OwnError::Fault(fault) = own(dir.path(), false).unwrap_err() else { panic!() };
        assert!(fault.message.contains("simulated"), "{fault}");
        own(dir.path(), true).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let OwnError::Fault(fault) = own(&file, false).unwrap_err() else { panic!() };
        assert!(fault.message.contains("file"), "{fault}");
    }
}
