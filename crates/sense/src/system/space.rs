//! Space on the file systems of disks.
//!
//! A source of its own, because asking a file system can hang. Network file
//! systems hang most and are not ours to fill: they are left out.

use std::{path::Path, sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Instant3,
    metric::Metric,
    reading::Reading,
    source::{Source, SourceError},
};
use tokio::sync::watch;

use crate::{kept::Kept, roots::Roots, sources::Options, text};

/// Bound of the mounts that are watched.
const MAX_MOUNTS: usize = 64;

pub struct Space {
    options: watch::Receiver<Options>,
    mountinfo: Kept,
}

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub point: String,
    pub kind: String,
    /// What is mounted, e.g. `/dev/nvme0n1p2`.
    pub device: String,
}

// === impl Space ===

impl Space {
    pub fn new(roots: &Roots, options: watch::Receiver<Options>) -> Self {
        Self { options, mountinfo: Kept::new(roots.proc.join("self/mountinfo")) }
    }
}

impl Source for Space {
    fn name(&self) -> &'static str {
        "space"
    }

    fn cadence(&self) -> Duration {
        Duration::from_millis(u64::from(self.options.borrow().disk_space_ms))
    }

    fn read(&mut self, _now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let path = self.mountinfo.path().display().to_string();
        let bytes = self
            .mountinfo
            .read()
            .map_err(|e| SourceError::Failed(format!("{path} cannot be read: {e}")))?;
        for mount in watched(text::lines(bytes).filter_map(Mount::parse)) {
            let Ok(space) = rustix::fs::statvfs(&*mount.point) else { continue };
            // Some file systems do not say how large they are.
            if space.f_blocks == 0 {
                continue;
            }
            let subject: Arc<str> = mount.point.into();
            #[expect(clippy::cast_precision_loss, reason = "bytes of a disk, to 64 KiB")]
            let mut gauge = |metric, blocks: u64| {
                let bytes = blocks as f64 * space.f_frsize as f64;
                out.push(Reading::gauge(metric, &subject, bytes));
            };
            gauge(Metric::MountTotal, space.f_blocks);
            gauge(Metric::MountAvailable, space.f_bavail);
            gauge(Metric::MountUsed, space.f_blocks.saturating_sub(space.f_bfree));
        }
        Ok(())
    }
}

/// The mounts worth watching: real file systems, each device once, at its shortest path.
pub fn watched(mounts: impl Iterator<Item = Mount>) -> Vec<Mount> {
    let mut kept: Vec<Mount> = Vec::new();
    for mount in mounts.filter(Mount::is_real) {
        match kept.iter_mut().find(|other| other.device == mount.device) {
            // Binds, subvolumes and containers show one device in many places.
            Some(other) if mount.point.len() < other.point.len() => *other = mount,
            Some(_) => {}
            None => kept.push(mount),
        }
    }
    // Of two mounts at one place the later hides the earlier, and one path has one answer.
    let mut seen = std::collections::HashSet::new();
    kept.reverse();
    kept.retain(|mount| seen.insert(mount.point.clone()));
    kept.reverse();
    // A container binds single files, such as `/etc/hosts`.
    kept.retain(|mount| Path::new(&mount.point).is_dir());
    kept.truncate(MAX_MOUNTS);
    kept
}

// === impl Mount ===

impl Mount {
    /// `36 35 98:0 /root /point options optional… - kind device options`
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut words = text::words(line);
        let point = unescape(words.nth(4)?);
        let mut words = words.skip_while(|&word| word != b"-").skip(1);
        Some(Self { point, kind: unescape(words.next()?), device: unescape(words.next()?) })
    }

    fn is_real(&self) -> bool {
        match self.kind.as_str() {
            // Images that are always full.
            "squashfs" | "iso9660" | "udf" | "erofs" | "cramfs" => false,
            "zfs" | "bcachefs" => true,
            // Layers of containers are filtered out, but inside one this is all there is.
            "overlay" => self.point == "/",
            _ => self.device.starts_with("/dev/") && !self.point.starts_with("/snap/"),
        }
    }
}

/// The kernel writes blanks as `\040`.
fn unescape(word: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'\\').then(|| after.get(..3)).flatten().and_then(|digits| {
            digits.iter().try_fold(0u16, |sum, &d| {
                (b'0'..=b'7').contains(&d).then(|| sum * 8 + u16::from(d - b'0'))
            })
        });
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(text: &str) -> Vec<String> {
        watched(text::lines(text.as_bytes()).filter_map(Mount::parse))
            .into_iter()
            .map(|mount| mount.point)
            .collect()
    }

    #[test]
    fn pseudo_network_and_image_file_systems_are_left_out() {
        let text = "\
22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
23 22 0:5 / /proc rw - proc proc rw
24 22 0:6 / /dev/shm rw shared:3 - tmpfs tmpfs rw
25 22 7:1 / /usr ro - squashfs /dev/loop1 ro
26 22 0:40 / /tmp rw - nfs4 server:/export rw
27 22 0:41 / /usr/lib rw - overlay overlay rw,lowerdir=/a
28 22 8:2 /var/x /etc rw - ext4 /dev/sda2 rw
29 22 0:42 / /home rw - fuse.sshfs me@host: rw
";
        assert_eq!(points(text), ["/"]);
    }

    #[test]
    fn the_root_of_a_container_is_watched_and_bound_files_are_not() {
        let text = "\
22 1 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a
23 22 8:2 /hosts /etc/passwd rw - ext4 /dev/sda2 rw
";
        assert_eq!(points(text), ["/"]);
    }

    #[test]
    fn a_mount_over_another_is_one_series() {
        let text = "\
22 1 8:2 / / rw - ext4 /dev/sda2 rw
23 22 8:17 / /tmp rw - ext4 /dev/sdb1 rw
24 22 8:33 / /tmp rw - ext4 /dev/sdc1 rw
";
        assert_eq!(points(text), ["/", "/tmp"]);
    }

    #[test]
    fn a_blank_in_a_name_is_read_as_one() {
        let line = br"36 35 8:17 / /media/My\040Disk\134x rw - ext4 /dev/sdb1 rw";
        assert_eq!(Mount::parse(line).unwrap().point, r"/media/My Disk\x");
    }

    proptest! {
        #[test]
        fn garbage_is_no_mount_and_no_panic(bytes: Vec<u8>) {
            text::lines(&bytes).for_each(|line| { Mount::parse(line); });
            unescape(&bytes);
        }
    }
}
