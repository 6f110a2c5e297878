//! Which groups a process is in, and where they are mounted.

use std::path::{Path, PathBuf};

use crate::text;

/// Depth of groups that is looked at.
const MAX_DEPTH: usize = 32;

/// How many cores a list such as `0-3,8` names; nothing for an empty one.
pub(super) fn cores_of(list: &[u8]) -> Option<u64> {
    let list = list.trim_ascii();
    if list.is_empty() {
        return None;
    }
    list.split(|&b| b == b',').try_fold(0u64, |sum, part| {
        let mut ends = part.splitn(2, |&b| b == b'-');
        let first = text::number(ends.next()?)?;
        let last = ends.next().map_or(Some(first), text::number)?;
        sum.checked_add(last.checked_sub(first)?)?.checked_add(1)
    })
}

/// The path of our group under one controller of version 1: `4:memory:/docker/abc`.
pub(super) fn v1_group(membership: &[u8], controller: &str) -> Option<String> {
    text::lines(membership).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|c| c == controller).then(|| path.to_owned())
    })
}

/// Our group and its ancestors. Inside a container the mount shows only our part of
/// the tree while the path is the host's: then the mount itself is our group.
pub(super) fn v1_folder(mount: &Path, names: &[&str], path: &str) -> Option<Vec<PathBuf>> {
    let root = names.iter().map(|name| mount.join(name)).find(|folder| folder.is_dir())?;
    Some(upwards(&root, path))
}

pub(super) fn upwards(root: &Path, path: &str) -> Vec<PathBuf> {
    let mut groups = Vec::new();
    let path = path.trim_start_matches('/');
    // Seen from inside a namespace, a group outside of it begins with `..`: not ours to read.
    let mut here = if path.contains("..") { Path::new("") } else { Path::new(path) };
    while !here.as_os_str().is_empty() && groups.len() < MAX_DEPTH {
        let group = root.join(here);
        if group.is_dir() {
            groups.push(group);
        }
        here = here.parent().unwrap_or(Path::new(""));
    }
    groups.push(root.to_owned());
    groups
}
