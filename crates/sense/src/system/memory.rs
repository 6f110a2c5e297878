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
