//! Where the kernel's files are, so that a test can put its own in their place.

use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Roots {
    /// `/`: where the driver's library may lie.
    pub root: PathBuf,
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys`
    pub sys: PathBuf,
    /// `/etc`: users, the name of the system.
    pub etc: PathBuf,
}

// === impl Roots ===

impl Default for Roots {
    fn default() -> Self {
        Self { root: "/".into(), proc: "/proc".into(), sys: "/sys".into(), etc: "/etc".into() }
    }
}

impl Roots {
    /// All below one folder: `DIR/proc`, `DIR/sys`, `DIR/etc`.
    pub fn below(folder: &Path) -> Self {
        Self {
            root: folder.to_owned(),
            proc: folder.join("proc"),
            sys: folder.join("sys"),
            etc: folder.join("etc"),
        }
    }
}
