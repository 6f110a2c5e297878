//! RAM and swap, from `/proc/meminfo`.

use std::sync::Arc;

use plimsoll_core::{metric::Metric, reading::Reading, source::SourceError};

use crate::{kept::Kept, roots::Roots, text};

pub struct Memory {
    meminfo: Kept,
}

/// In bytes; `None` for a line that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meminfo {
    pub total: Option<u64>,
    pub free: Option<u64>,
    pub available: Option<u64>,
    pub cached: Option<u64>,
    pub swap_total: Option<u64>,
    pub swap_free: Option<u64>,
}

// === impl Memory ===

impl Memory {
    pub fn new(roots: &Roots) -> Self {
        Self { meminfo: Kept::new(roots.proc.join("meminfo")) }
    }

    pub fn read(&mut self, machine: &Arc<str>, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let path = self.meminfo.path().display().to_string();
        let bytes = self
            .meminfo
            .read()
            .map_err(|e| SourceError::Failed(format!("{path} cannot be read: {e}")))?;
        let info = Meminfo::parse(bytes);
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^53")]
        let mut gauge = |metric, bytes: Option<u64>| {
            if let Some(bytes) = bytes {
                out.push(Reading::gauge(metric, machine, bytes as f64));
            }
        };
        let used = |total: Option<u64>, rest: Option<u64>| total?.checked_sub(rest?);
        gauge(Metric::MemoryTotal, info.total);
        gauge(Metric::MemoryAvailable, info.available);
        gauge(Metric::MemoryUsed, used(info.total, info.available));
        gauge(Metric::MemoryCached, info.cached);
        gauge(Metric::SwapTotal, info.swap_total);
        gauge(Metric::SwapUsed, used(info.swap_total, info.swap_free));
        Ok(())
    }
}

// === impl Meminfo ===

impl Meminfo {
    pub fn parse(bytes: &[u8]) -> Self {
        let mut info = Self::default();
        for line in text::lines(bytes) {
            let mut words = text::words(line);
            let field = match words.next() {
                Some(b"MemTotal:") => &mut info.total,
                Some(b"MemFree:") => &mut info.free,
                Some(b"MemAvailable:") => &mut info.available,
                Some(b"Cached:") => &mut info.cached,
                Some(b"SwapTotal:") => &mut info.swap_total,
                Some(b"SwapFree:") => {
                    info.swap_free = kib(words.next());
                    // Nothing that we want comes after it.
                    break;
                }
                _ => continue,
            };
            *field = kib(words.next());
        }
        info
    }
}

fn kib(word: Option<&[u8]>) -> Option<u64> {
    text::number(word?)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn used_is_what_a_new_program_could_not_have() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        std::fs::create_dir_all(&roots.proc).unwrap();
        let text = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nCached: 450 kB\n\
                    SwapCached: 7 kB\nSwapTotal: 200 kB\nSwapFree: 150 kB\nDirty: 1 kB\n";
        std::fs::write(roots.proc.join("meminfo"), text).unwrap();
        let mut out = Vec::new();
        Memory::new(&roots).read(&"".into(), &mut out).unwrap();
        let found: Vec<_> = out.iter().map(|r| (r.metric, r.number() / 1024.0)).collect();
        assert_eq!(
            found,
            [
                (Metric::MemoryTotal, 1000.0),
                (Metric::MemoryAvailable, 600.0),
                (Metric::MemoryUsed, 400.0),
                (Metric::MemoryCached, 450.0),
                (Metric::SwapTotal, 200.0),
                (Metric::SwapUsed, 50.0),
            ]
        );
    }

    #[test]
    fn a_line_that_is_missing_is_unknown_and_not_zero() {
        let info = Meminfo::parse(b"MemTotal: 1000 kB\nMemFree: x kB\n");
        assert_eq!((info.total, info.free, info.available), (Some(1_024_000), None, None));
    }

    proptest! {
        #[test]
        fn garbage_is_no_memory_and_no_panic(bytes: Vec<u8>) {
            Meminfo::parse(&bytes);
        }
    }
}
