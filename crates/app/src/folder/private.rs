//! Folders and files that nobody but their owner may enter or read.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::process::geteuid;

use crate::api::{Fault, FaultCode};

/// Makes a folder that only its owner may enter, or tightens one of ours.
/// Refuses one that belongs to somebody else: in /tmp anybody could have made it.
pub fn private_folder(path: &Path) -> Result<(), Fault> {
    if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(path) {
        return Err(cannot("make", path, &error));
    }
    let meta = fs::symlink_metadata(path).map_err(|error| cannot("look at", path, &error))?;
    let meta = if meta.is_symlink() && !path.starts_with("/tmp") {
        // A person may keep the folder on another disk; in /tmp a link is a trap.
        fs::metadata(path).map_err(|error| cannot("look at", path, &error))?
    } else {
        meta
    };
    if !meta.is_dir() {
        return Err(Fault::new(FaultCode::Denied, format!("{} is not a folder.", path.display()))
            .hint("Move it away, or choose another folder with --data-dir."));
    }
    let uid = geteuid().as_raw();
    if meta.uid() != uid {
        return Err(Fault::new(
            FaultCode::Denied,
            format!("{} belongs to user {}, not to you ({uid}).", path.display(), meta.uid()),
        )
        .hint("Choose another folder with --data-dir, or start as that user."));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(|error| cannot("close to others", path, &error))?;
    }
    Ok(())
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    match written.and_then(|()| fs::rename(&beside, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            let _ = fs::remove_file(&beside);
            Err(error)
        }
    }
}

/// "Cannot DO PATH: why", for a person.
pub fn cannot(what: &str, path: &Path, error: &io::Error) -> Fault {
    let code = match error.kind() {
        io::ErrorKind::NotFound => FaultCode::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FaultCode::Denied,
        _ => FaultCode::Unavailable,
    };
    Fault::new(code, format!("Cannot {what} {}: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_replaced_whole_and_read_by_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pending.json");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
