//! What Plimsoll itself costs (AR7), and the line that says so every minute (MA12).
//!
//! The sampler brings this source along: it runs on the runtime whose lag it
//! measures, and it knows the queue into the history.

mod files;
mod limit;
mod measures;
mod summary;

use std::{fs, sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Instant3,
    metric::Metric,
    reading::Reading,
    source::{Source, SourceError},
};
use tokio::sync::watch;

use self::{files::OpenFiles, summary::Summary};
pub use self::{limit::raise_open_files_limit, measures::OwnMeasures};
use crate::{kept::Kept, roots::Roots, sources::Options, system::Meminfo, text};

/// The source `self`.
pub struct Own {
    files: OpenFiles,
    options: watch::Receiver<Options>,
    measures: Arc<OwnMeasures>,
    itself: Arc<str>,
    statm: Kept,
    memory_bytes: Option<u64>,
    /// CPU time in nanoseconds, and when it was read.
    before: Option<(u64, i64)>,
    summary: Summary,
}

// === impl Own ===

impl Own {
    pub fn new(
        roots: &Roots,
        options: watch::Receiver<Options>,
        measures: Arc<OwnMeasures>,
    ) -> Self {
        let meminfo = fs::read(roots.proc.join("meminfo")).unwrap_or_default();
        Self {
            files: OpenFiles::new(roots),
            options,
            measures,
            itself: "".into(),
            statm: Kept::new(roots.proc.join("self/statm")),
            memory_bytes: Meminfo::parse(&meminfo).total.filter(|&bytes| bytes > 0),
            before: None,
            summary: Summary::default(),
        }
    }

    /// Resident memory, in bytes.
    fn rss(&mut self) -> Option<u64> {
        let pages = text::number(text::words(self.statm.read().ok()?).nth(1)?)?;
        pages.checked_mul(rustix::param::page_size() as u64)
    }
}

impl Source for Own {
    fn name(&self) -> &'static str {
        "self"
    }

    fn cadence(&self) -> Duration {
        Duration::from_millis(u64::from(self.options.borrow().interval_ms))
    }

    #[expect(clippy::cast_precision_loss, reason = "figures to a tenth or to 64 KiB")]
    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let measured = self.measures.take();
        let cpu_ns = cpu_time_ns();
        let rss = self.rss();
        let files = self.files.count();
        let mut gauge = |metric, value: Option<f64>| {
            if let Some(value) = value {
                out.push(Reading::gauge(metric, &self.itself, value));
            }
        };
        let percent = self.before.and_then(|(before, at)| {
            let elapsed_ms = now.monotonic_ms - at;
            let used = cpu_ns.checked_sub(before)?;
            (elapsed_ms > 0).then(|| used as f64 / (elapsed_ms as f64 * 1e6) * 100.0)
        });
        gauge(Metric::SelfCpu, percent);
        gauge(Metric::SelfRss, rss.map(|bytes| bytes as f64));
        let share = rss.zip(self.memory_bytes).map(|(rss, all)| 100.0 * rss as f64 / all as f64);
        gauge(Metric::SelfMemoryShare, share);
        gauge(Metric::SelfFiles, files.map(|counts| counts.files as f64));
        let connections = files.and_then(|counts| counts.connections);
        gauge(Metric::SelfConnections, connections.map(|count| count as f64));
        gauge(Metric::SelfLag, measured.lag_ms);
        gauge(Metric::SelfTasks, Some(measured.tasks as f64));
        gauge(Metric::SelfQueue, Some(measured.queue as f64));
        out.push(Reading::counter(Metric::SelfDropped, &self.itself, measured.dropped));
        self.before = Some((cpu_ns, now.monotonic_ms));
        self.summary.add(now, cpu_ns, rss, files, &measured);
        Ok(())
    }
}

/// CPU time of all our threads since the start.
fn cpu_time_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, ns) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds.saturating_mul(1_000_000_000).saturating_add(ns)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn at(ms: i64) -> Instant3 {
        Instant3 { wall_ms: ms, monotonic_ms: ms, boottime_ms: ms }
    }

    pub fn own() -> (Own, Arc<OwnMeasures>) {
        let measures = Arc::new(OwnMeasures::default());
        let (_, options) = watch::channel(Options::default());
        (Own::new(&Roots::default(), options, measures.clone()), measures)
    }

    fn value(out: &[Reading], metric: Metric) -> Option<f64> {
        out.iter().find(|r| r.metric == metric).map(Reading::number)
    }

    // AR7
    #[test]
    fn plimsoll_measures_itself() {
        let (mut own, measures) = own();
        measures.note_lag(Duration::from_micros(1500));
        measures.note_lag(Duration::from_micros(700));
        measures.note(7, 3, 2);
        let mut out = Vec::new();
        own.read(at(1000), &mut out).unwrap();
        assert_eq!(value(&out, Metric::SelfCpu), None, "there is nothing to compare with yet");
        assert_eq!(value(&out, Metric::SelfLag), Some(1.5));
        assert_eq!(value(&out, Metric::SelfTasks), Some(7.0));
        assert_eq!(value(&out, Metric::SelfQueue), Some(3.0));
        assert_eq!(value(&out, Metric::SelfDropped), Some(2.0));
        let rss = value(&out, Metric::SelfRss).unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((rss - kib * 1024.0).abs() < 0.2 * rss, "{rss} B against {kib} KiB");
        assert!(value(&out, Metric::SelfMemoryShare).unwrap() > 0.0);

        let files = value(&out, Metric::SelfFiles).unwrap();
        let connections = value(&out, Metric::SelfConnections).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let started = std::time::Instant::now();
        while started.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        out.clear();
        own.read(at(2000), &mut out).unwrap();
        assert!(value(&out, Metric::SelfFiles).unwrap() > files - 8.0);
        assert!(value(&out, Metric::SelfConnections).unwrap() >= connections + 1.0);
        assert!(value(&out, Metric::SelfCpu).unwrap() > 0.0);
        assert_eq!(value(&out, Metric::SelfLag), None, "no timer was due since");
        drop((listener, client));
    }
}
