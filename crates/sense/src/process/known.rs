//! One process, from one scan to the next.

use super::{facts::Facts, listening::Listening, stat::Stat, trace::Trace};

/// One process.
pub struct Known {
    pub facts: Facts,
    pub comm: Vec<u8>,
    pub started_ticks: u64,
    /// The facts were read when it was old enough to have settled.
    pub settled: bool,
    pub scan: u64,
    pub kernel: bool,
    pub parent: i32,
    pub group: i32,
    pub cpu_ticks: u64,
    pub cpu_percent: Option<f64>,
    pub rss_bytes: u64,
    pub vram_bytes: Option<u64>,
    /// It is on the GPU, and the driver does not say what it holds.
    pub holds_unknown: bool,
    pub threads: u32,
    pub own: bool,
    pub listening: Listening,
    /// In hundredths of a percent.
    pub cpu: Trace,
    /// In KiB.
    pub rss: Trace,
    /// In KiB; only of a process that held some.
    pub vram: Option<Trace>,
}

// === impl Known ===

impl Known {
    /// At first sight; the first scan fills the rest.
    pub fn new(stat: &Stat<'_>) -> Self {
        Self {
            facts: Facts::default(),
            comm: Vec::new(),
            started_ticks: stat.started_ticks,
            settled: false,
            scan: 0,
            kernel: stat.kernel,
            parent: stat.parent,
            group: stat.group,
            cpu_ticks: stat.cpu_ticks,
            cpu_percent: None,
            rss_bytes: 0,
            vram_bytes: None,
            holds_unknown: false,
            threads: stat.threads,
            own: false,
            listening: Listening::default(),
            cpu: Trace::default(),
            rss: Trace::default(),
            vram: None,
        }
    }

    pub fn rss_trace(&self) -> Vec<Option<u64>> {
        self.rss.points().map(bytes).collect()
    }

    pub fn vram_trace(&self) -> Vec<Option<u64>> {
        self.vram.iter().flat_map(Trace::points).map(bytes).collect()
    }
}

fn bytes(kib: Option<u32>) -> Option<u64> {
    kib.map(|kib| u64::from(kib) * 1024)
}
