//! The file on disk: read whole, replaced whole, and never written over a
//! change that somebody else made meanwhile.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::parse::LONGEST;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file is not as it was when the change began; nothing was written.
    #[error("{path} was changed meanwhile: nothing was written")]
    Conflict { path: PathBuf, digest: String },
    #[error("{path} could not be written: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// A digest by which two texts are told apart; no protection against forgery.
pub fn digest(text: &str) -> String {
    // FNV-1a, 128 bits: the same in every version of the program, unlike std's hasher.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        hash ^= u128::from(byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("{hash:032x}")
}

/// The file's text; empty where there is no file.
///
/// # Errors
/// When it cannot be read, is longer than a configuration can be, or is not UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    // Asked before it is opened: opening a pipe waits for whoever writes into it.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long.
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|&&b| b == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
    })
}

/// Replaces the file's text in one step, if it still is the one with `base`'s digest.
///
/// A symbolic link stays one: what it leads to is replaced. The mode is kept.
///
/// # Errors
/// [`WriteError::Conflict`] where the file changed since; `Io` for all else, with
/// the old file untouched.
pub fn write(path: &Path, base: &str, text: &str) -> Result<(), WriteError> {
    let failed = |source| WriteError::Io { path: path.into(), source };
    let target = followed(path).map_err(failed)?;
    let unchanged = || {
        let now = digest(&read(&target).map_err(failed)?);
        if now == base {
            Ok(())
        } else {
            Err(WriteError::Conflict { path: path.into(), digest: now })
        }
    };
    unchanged()?;
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mode = match OpenOptions::new().write(true).open(&target) {
        // Renaming would go past a file that was made read-only on purpose.
        Ok(file) => file.metadata().map_err(failed)?.permissions().mode() & 0o7777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0o644,
        Err(error) => return Err(failed(error)),
    };
    let beside = beside(&target);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    })();
    // Looked at once more, so that only an instant is left for somebody else.
    let done = written.map_err(failed).and_then(|()| unchanged()).and_then(|()| {
        fs::rename(&beside, &target).map_err(failed)?;
        File::open(folder).and_then(|f| f.sync_all()).map_err(failed)
    });
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

/// What a chain of symbolic links leads to, whether or not that exists.
pub fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_path_buf();
    for _ in 0..40 {
        match fs::read_link(&at) {
            Ok(to) if to.is_absolute() => at = to,
            Ok(to) => at = at.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(at),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "its symbolic links go round in a circle"))
}

fn beside(target: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    target.with_file_name(format!(".{name}.{}.{count}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_file_that_changed_since_is_not_written_over() {
        let dir = folder();
        let path = dir.path().join("plimsoll.toml");
        fs::write(&path, "theirs").unwrap();
        let error = write(&path, &digest("mine"), "new").unwrap_err();
        assert!(matches!(error, WriteError::Conflict { digest: d, .. } if d == digest("theirs")));
        assert_eq!(read(&path).unwrap(), "theirs");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_missing_file_reads_as_empty_and_is_made_with_its_folder() {
        let dir = folder();
        let path = dir.path().join("a/b/plimsoll.toml");
        assert_eq!(read(&path).unwrap(), "");
        write(&path, &digest(""), "x = 1\n").unwrap();
        assert_eq!(read(&path).unwrap(), "x = 1\n");
    }

    #[test]
    fn a_link_stays_a_link_and_the_mode_is_kept() {
        let dir = folder();
        let (real, link) = (dir.path().join("dotfiles.toml"), dir.path().join("plimsoll.toml"));
        fs::write(&real, "a").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("dotfiles.toml", &link).unwrap();
        write(&link, &digest("a"), "b").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "b");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let dir = folder();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        symlink(&a, &b).unwrap();
        symlink(&b, &a).unwrap();
        assert!(matches!(write(&a, &digest(""), ""), Err(WriteError::Io { .. })));
    }

    #[test]
    fn what_is_no_text_is_an_error_with_its_line() {
        let dir = folder();
        let path = dir.path().join("plimsoll.toml");
        fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 2"));
        assert!(read(dir.path()).is_err(), "a folder is no file");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert!(read(&pipe).is_err(), "a pipe is no file, and is not waited for");
    }

    #[test]
    fn digests_differ_and_stay_the_same() {
        assert_eq!(digest(""), "6c62272e07bb014262b821756295c58d");
        assert_ne!(digest("a"), digest("b"));
    }
}
