//! What is read from and written to disks, from `/proc/diskstats`.

use std::{path::PathBuf, sync::Arc};

use plimsoll_core::{clock::Instant3, metric::Metric, reading::Reading};
use rustc_hash::FxHashMap;

use crate::{kept::Kept, roots::Roots, text};

/// The kernel counts in sectors of this size, whatever the device's own.
const SECTOR_BYTES: u64 = 512;
/// Bound of the names that are remembered.
const MAX_NAMES: usize = 1024;

pub struct Disks {
    diskstats: Kept,
    block: PathBuf,
    /// Every name that was seen; `None` for what is no disk.
    known: FxHashMap<Vec<u8>, Option<Disk>>,
}

struct Disk {
    subject: Arc<str>,
    /// Time with a request under way, and when that was read, in milliseconds.
    busy: Option<(u64, i64)>,
}

/// One line of `/proc/diskstats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts<'a> {
    pub name: &'a [u8],
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub busy_ms: u64,
}

// === impl Disks ===

impl Disks {
    pub fn new(roots: &Roots) -> Self {
        Self {
            diskstats: Kept::new(roots.proc.join("diskstats")),
            block: roots.sys.join("block"),
            known: FxHashMap::default(),
        }
    }

    pub fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) {
        let Ok(bytes) = self.diskstats.read() else { return };
        for counts in text::lines(bytes).filter_map(Counts::parse) {
            if !self.known.contains_key(counts.name) {
                if self.known.len() >= MAX_NAMES {
                    self.known.clear();
                }
                let disk = is_disk(&self.block, counts.name)
                    .then(|| Disk { subject: text::string(counts.name).into(), busy: None });
                self.known.insert(counts.name.to_vec(), disk);
            }
            let Some(Some(disk)) = self.known.get_mut(counts.name) else { continue };
            out.push(Reading::counter(Metric::DiskRead, &disk.subject, counts.read_bytes));
            out.push(Reading::counter(Metric::DiskWritten, &disk.subject, counts.written_bytes));
            if let Some((busy_ms, at_ms)) = disk.busy {
                let elapsed = now.monotonic_ms - at_ms;
                // The counter has 32 bits on older kernels: when it begins again, a gap.
                if let Some(busy) = counts.busy_ms.checked_sub(busy_ms).filter(|_| elapsed > 0) {
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds within a tick")]
                    let percent = (100.0 * busy as f64 / elapsed as f64).min(100.0);
                    out.push(Reading::gauge(Metric::DiskBusy, &disk.subject, percent));
                }
            }
            disk.busy = Some((counts.busy_ms, now.monotonic_ms));
        }
    }
}

/// A disk has hardware behind it. Partitions are no folders of `/sys/block`; loop,
/// RAM, RAID and mapped devices have no `device` and would count the same bytes again.
fn is_disk(block: &std::path::Path, name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    // Optical and floppy drives wake up when asked.
    if name.starts_with("sr") || name.starts_with("fd") {
        return false;
    }
    // `cciss/c0d0` stands as `cciss!c0d0` there.
    block.join(name.replace('/', "!")).join("device").exists()
}

// === impl Counts ===

impl<'a> Counts<'a> {
    /// Columns: major, minor, name, reads, merged, sectors read, ms, writes, merged,
    /// sectors written, ms, in flight, busy ms, …
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = text::words(line).skip(2);
        let name = words.next()?;
        let sectors = |word: &[u8]| text::number(word)?.checked_mul(SECTOR_BYTES);
        let read_bytes = sectors(words.nth(2)?)?;
        let written_bytes = sectors(words.nth(3)?)?;
        let busy_ms = text::number(words.nth(2)?)?;
        Some(Self { name, read_bytes, written_bytes, busy_ms })
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::clock::{Clock, ManualClock};
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "259 0 nvme0n1 100 5 2000 33 50 6 800 44 0 1500 77 0 0 0 0\n";

    #[test]
    fn a_line_says_bytes_and_busy_time() {
        let counts = Counts::parse(LINE.trim().as_bytes()).unwrap();
        assert_eq!(counts.name, b"nvme0n1");
        assert_eq!(
            (counts.read_bytes, counts.written_bytes, counts.busy_ms),
            (1_024_000, 409_600, 1500)
        );
    }

    #[test]
    fn partitions_loops_and_mapped_devices_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        for path in ["nvme0n1/device", "loop0", "dm-0", "sr0/device"] {
            std::fs::create_dir_all(roots.sys.join("block").join(path)).unwrap();
        }
        std::fs::create_dir_all(&roots.proc).unwrap();
        let all: String = ["nvme0n1", "nvme0n1p1", "loop0", "dm-0", "sr0"]
            .map(|name| LINE.replace("nvme0n1", name))
            .concat();
        std::fs::write(roots.proc.join("diskstats"), &all).unwrap();

        let clock = ManualClock::at(0);
        let mut disks = Disks::new(&roots);
        let mut out = Vec::new();
        disks.read(clock.now(), &mut out);
        assert_eq!(out.len(), 2, "no busy share before the second reading");

        clock.advance_ms(1000);
        std::fs::write(roots.proc.join("diskstats"), all.replace(" 1500 ", " 1750 ")).unwrap();
        out.clear();
        disks.read(clock.now(), &mut out);
        assert!(out.iter().all(|r| &*r.subject == "nvme0n1"));
        let busy = out.iter().find(|r| r.metric == Metric::DiskBusy).unwrap();
        assert!((busy.number() - 25.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn garbage_is_no_disk_and_no_panic(bytes: Vec<u8>) {
            text::lines(&bytes).for_each(|line| { Counts::parse(line); });
        }
    }
}
