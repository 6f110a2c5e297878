//! The lock on a data folder, and who holds it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::cannot;
use crate::api::{Fault, FaultCode};

pub(super) const LOCK: &str = "plimsoll.lock";

/// Who owns a data folder: the text of `plimsoll.lock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub pid: u32,
    pub version: String,
    pub protocol: u32,
    pub socket: PathBuf,
}

/// Why the folder is not ours.
#[derive(Debug)]
pub enum OwnError {
    /// Somebody else's: attach to it. `None` where its text cannot be read (it is just starting).
    Held(Option<Owner>),
    Fault(Fault),
}

// === impl OwnError ===

impl From<Fault> for OwnError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<OwnError> for Fault {
    fn from(error: OwnError) -> Self {
        match error {
            OwnError::Fault(fault) => fault,
            OwnError::Held(Some(owner)) => Fault::new(
                FaultCode::Conflict,
                format!(
                    "Another Plimsoll ({}, process {}) owns this data folder.",
                    owner.version, owner.pid
                ),
            )
            .hint(format!("Use it as it is, or end it first: kill {}.", owner.pid)),
            OwnError::Held(None) => Fault::new(
                FaultCode::Conflict,
                "Another Plimsoll owns this data folder and is just starting or stopping.",
            )
            .hint("Try again in a second."),
        }
    }
}

/// Who owns that folder now, without taking it. `Ok(None)`: nobody.
pub(super) fn owner(data: &Path) -> Result<Option<Owner>, OwnError> {
    let lock = match File::open(data.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot("open", &data.join(LOCK), &error).into()),
    };
    // A shared lock for a moment; an owner that starts just now tries again.
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => match read_owner(&lock) {
            Some(owner) => Ok(Some(owner)),
            None => Err(OwnError::Held(None)),
        },
        Err(error) => Err(cannot("lock", &data.join(LOCK), &error.into()).into()),
    }
}

pub(super) fn open_lock(folder: &Path) -> Result<File, Fault> {
    let path = folder.join(LOCK);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| cannot("open", &path, &error))
}

pub(super) fn take(lock: &File) -> Result<(), OwnError> {
    // Someone who only looks holds the lock for microseconds: a few tries tell the two apart.
    for attempt in 0..5 {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) if attempt < 4 => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => break,
            Err(error) => {
                let fault = Fault::new(
                    FaultCode::Unavailable,
                    format!("The data folder cannot be locked: {error}."),
                )
                .hint("Its file system does not support locks; choose one on a local disk.");
                return Err(fault.into());
            }
        }
    }
    Err(OwnError::Held(read_owner(lock)))
}

fn read_owner(mut lock: &File) -> Option<Owner> {
    let mut text = String::new();
    lock.seek(io::SeekFrom::Start(0)).ok()?;
    lock.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

pub(super) fn write_owner(lock: &mut File, owner: &Owner) -> io::Result<()> {
    let mut text = serde_json::to_vec(owner)?;
    text.push(b'\n');
    lock.set_len(0)?;
    lock.seek(io::SeekFrom::Start(0))?;
    lock.write_all(&text)?;
    lock.sync_data()
}
