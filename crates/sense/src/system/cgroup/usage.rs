//! What a group holds of memory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::groups::{upwards, v1_folder, v1_group};
use crate::{kept::Kept, roots::Roots, text};

/// What a group holds.
pub struct Usage {
    pub(super) group: PathBuf,
    current: Kept,
    stat: Kept,
    inactive: &'static [u8],
}

// === impl Usage ===

impl Usage {
    /// Of the container in which a process is, by the short id that its groups bear in
    /// their names. `None` where memory is not counted by it, or we may not look.
    pub fn of_container(roots: &Roots, pid: i32, id: &str) -> Option<Self> {
        let membership = fs::read(roots.proc.join(pid.to_string()).join("cgroup")).ok()?;
        let mount = roots.sys.join("fs/cgroup");
        let v1 =
            v1_group(&membership, "memory").and_then(|path| v1_folder(&mount, &["memory"], &path));
        let is_v1 = v1.is_some();
        let groups = v1.or_else(|| {
            let path = text::lines(&membership).find_map(|line| line.strip_prefix(b"0::"))?;
            Some(upwards(&mount, &text::string(path)))
        })?;
        // What runs within may have made groups of its own: the outermost is the container.
        let is_its = |group: &&PathBuf| {
            group.file_name().is_some_and(|name| name.to_string_lossy().contains(id))
        };
        groups.iter().rev().find(is_its).map(|group| Self::of_group(group, is_v1))
    }

    pub(super) fn of_group(group: &Path, v1: bool) -> Self {
        let (current, inactive): (_, &[u8]) = if v1 {
            ("memory.usage_in_bytes", b"total_inactive_file ")
        } else {
            ("memory.current", b"inactive_file ")
        };
        Self {
            group: group.to_owned(),
            current: Kept::new(group.join(current)),
            stat: Kept::new(group.join("memory.stat")),
            inactive,
        }
    }

    /// What the group holds without the cache that the kernel would give back first.
    pub fn read(&mut self) -> Option<u64> {
        let current = text::only_number(self.current.read().ok()?)?;
        // Without it the cache would be told as held, and a full cache is no full memory.
        let inactive = text::lines(self.stat.read().ok()?)
            .find_map(|line| text::number(line.strip_prefix(self.inactive)?.trim_ascii()))?;
        Some(current.saturating_sub(inactive))
    }
}
