//! What Plimsoll itself costs (AR7), and the line that says so every minute (MA12).
//!
//! The sampler brings this source along: it runs on the runtime whose lag it
//! measures, and it knows the queue into the history.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plimsoll_core::{
    clock::Instant3,
    metric::Metric,
    reading::Reading,
    record::Record,
    source::{Source, SourceError},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::Instant};

use crate::{kept::Kept, roots::Roots, sources::Options, system::Meminfo, text};

/// How often the lateness of a timer is measured.
const LAG_EVERY: Duration = Duration::from_millis(250);
/// How often a line goes to the log.
const SUMMARY_EVERY_MS: i64 = 60_000;

/// Figures that only the runtime knows, handed to the thread that reads.
#[derive(Debug, Default)]
pub struct OwnMeasures {
    /// Longest lateness of a timer since the last reading, in microseconds.
    lag_us: AtomicU64,
    /// Times that it was measured since then.
    lag_measured: AtomicU64,
    tasks: AtomicU64,
    queue: AtomicU64,
    dropped: AtomicU64,
}

/// What was measured since the last call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// `None` when no timer was due since: the runtime is stuck, or idle in a test.
    pub lag_ms: Option<f64>,
    pub tasks: u64,
    pub queue: u64,
    pub dropped: u64,
}

// === impl OwnMeasures ===

impl OwnMeasures {
    /// Measures on the current runtime until the task is aborted.
    pub fn follow(self: Arc<Self>, record: Arc<dyn Record>) -> JoinHandle<()> {
        let runtime = Handle::current();
        let look = move |measures: &Self| {
            let tasks = runtime.metrics().num_alive_tasks() as u64;
            measures.note(tasks, record.queue_len() as u64, record.dropped());
        };
        // The first reading comes before the first timer, and nothing is not zero.
        look(&self);
        tokio::spawn(async move {
            let mut due = Instant::now();
            loop {
                due += LAG_EVERY;
                tokio::time::sleep_until(due).await;
                let late = Instant::now().saturating_duration_since(due);
                self.note_lag(late);
                look(&self);
                if late > LAG_EVERY {
                    // What was slept through is not measured a second time.
                    due = Instant::now();
                }
            }
        })
    }

    pub fn note_lag(&self, late: Duration) {
        let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.lag_us.fetch_max(us, Ordering::Relaxed);
        self.lag_measured.fetch_add(1, Ordering::Relaxed);
    }

    pub fn note(&self, tasks: u64, queue: u64, dropped: u64) {
        self.tasks.store(tasks, Ordering::Relaxed);
        self.queue.store(queue, Ordering::Relaxed);
        self.dropped.store(dropped, Ordering::Relaxed);
    }

    pub fn take(&self) -> Measured {
        let measured = self.lag_measured.swap(0, Ordering::Relaxed);
        let lag_us = self.lag_us.swap(0, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a tenth of a millisecond")]
        let lag_ms = (measured > 0).then_some(lag_us as f64 / 1000.0);
        Measured {
            lag_ms,
            tasks: self.tasks.load(Ordering::Relaxed),
            queue: self.queue.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

/// The source `self`.
pub struct Own {
    roots: Roots,
    options: watch::Receiver<Options>,
    measures: Arc<OwnMeasures>,
    itself: Arc<str>,
    statm: Kept,
    memory_bytes: Option<u64>,
    /// CPU time in nanoseconds, and when it was read.
    before: Option<(u64, i64)>,
    summary: Summary,
}

/// The sums of a minute.
#[derive(Debug, Default)]
struct Summary {
    since_ms: Option<i64>,
    cpu_since_ns: u64,
    rss_peak: Option<u64>,
    lag_peak_ms: Option<f64>,
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
            roots: roots.clone(),
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

    /// Open files, and how many of them are connections.
    fn files(&self) -> Option<(u64, u64)> {
        let (mut files, mut sockets) = (0u64, 0u64);
        for entry in fs::read_dir(self.roots.proc.join("self/fd")).ok()?.flatten() {
            files += 1;
            let target = fs::read_link(entry.path());
            sockets += u64::from(
                target.is_ok_and(|t| t.as_os_str().as_encoded_bytes().starts_with(b"socket:")),
            );
        }
        // Reading the list takes one itself.
        Some((files.saturating_sub(1), sockets))
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
        let files = self.files();
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
        gauge(Metric::SelfFiles, files.map(|(files, _)| files as f64));
        gauge(Metric::SelfConnections, files.map(|(_, sockets)| sockets as f64));
        gauge(Metric::SelfLag, measured.lag_ms);
        gauge(Metric::SelfTasks, Some(measured.tasks as f64));
        gauge(Metric::SelfQueue, Some(measured.queue as f64));
        out.push(Reading::counter(Metric::SelfDropped, &self.itself, measured.dropped));
        self.before = Some((cpu_ns, now.monotonic_ms));
        self.summary.add(now, cpu_ns, rss, files, &measured);
        Ok(())
    }
}

// === impl Summary ===

impl Summary {
    #[expect(clippy::cast_precision_loss, reason = "shown in a line of the log")]
    fn add(
        &mut self,
        now: Instant3,
        cpu_ns: u64,
        rss: Option<u64>,
        files: Option<(u64, u64)>,
        measured: &Measured,
    ) {
        let since_ms = *self.since_ms.get_or_insert(now.monotonic_ms);
        if since_ms == now.monotonic_ms {
            self.cpu_since_ns = cpu_ns;
        }
        self.rss_peak = self.rss_peak.max(rss);
        if let Some(lag_ms) = measured.lag_ms {
            self.lag_peak_ms = Some(self.lag_peak_ms.map_or(lag_ms, |peak| peak.max(lag_ms)));
        }
        let elapsed_ms = now.monotonic_ms - since_ms;
        if elapsed_ms < SUMMARY_EVERY_MS {
            return;
        }
        let cpu = cpu_ns.saturating_sub(self.cpu_since_ns) as f64 / (elapsed_ms as f64 * 1e6);
        let mib = |bytes: Option<u64>| known(bytes.map(|b| b as f64 / 1_048_576.0));
        tracing::info!(
            cpu_percent = %format_args!("{:.2}", cpu * 100.0),
            rss_mib = %mib(rss),
            rss_peak_mib = %mib(self.rss_peak),
            lag_peak_ms = %known(self.lag_peak_ms),
            tasks = measured.tasks,
            files = files.map(|(files, _)| files),
            connections = files.map(|(_, connections)| connections),
            queue = measured.queue,
            dropped = measured.dropped,
            "the last minute of Plimsoll itself"
        );
        *self = Self { since_ms: Some(now.monotonic_ms), cpu_since_ns: cpu_ns, ..Self::default() };
    }
}

/// A figure of the summary; what could not be read is no zero.
fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".into(), |value| format!("{value:.1}"))
}

/// CPU time of all our threads since the start.
fn cpu_time_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, ns) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds.saturating_mul(1_000_000_000).saturating_add(ns)
}

/// Lifts the soft limit of open files to the hard one, as far as that makes sense:
/// each connection takes a file, and 1024 of them are soon used up.
pub fn raise_open_files_limit() {
    const ENOUGH: u64 = 65_536;
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let Some(current) = limit.current.filter(|&current| current < wanted) else { return };
    limit.current = Some(wanted);
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => tracing::debug!(from = current, to = wanted, "limit of open files raised"),
        Err(error) => tracing::warn!(%error, limit = current, "the limit of open files stays"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn at(ms: i64) -> Instant3 {
        Instant3 { wall_ms: ms, monotonic_ms: ms, boottime_ms: ms }
    }

    fn own() -> (Own, Arc<OwnMeasures>) {
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
        drop(listener);
    }

    // MA12
    #[test]
    fn a_summary_is_written_every_minute() {
        #[derive(Clone, Default)]
        struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let (mut own, measures) = own();
        tracing::subscriber::with_default(subscriber, || {
            for second in 0..=120 {
                measures.note_lag(Duration::from_millis(if second == 30 { 42 } else { 1 }));
                measures.note(5, 0, 0);
                own.read(at(second * 1000), &mut Vec::new()).unwrap();
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let summaries: Vec<&str> = text.lines().collect();
        assert_eq!(summaries.len(), 2, "{text}");
        assert!(summaries[0].contains("lag_peak_ms=42.0"), "{text}");
        assert!(summaries[1].contains("lag_peak_ms=1.0"), "{text}");
        assert!(summaries.iter().all(|line| line.contains("tasks=5")), "{text}");
        assert!(!text.contains("unknown"), "{text}");
        assert_eq!(known(None), "unknown");
    }

    #[test]
    fn the_limit_of_open_files_is_raised_to_what_is_allowed() {
        raise_open_files_limit();
        let limit = getrlimit(Resource::Nofile);
        let allowed = limit.maximum.unwrap_or(u64::MAX).min(65_536);
        assert!(limit.current.is_none_or(|current| current >= allowed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_is_held_up_shows_as_lag() {
        struct Nowhere;
        impl Record for Nowhere {
            fn tick(&self, _: Arc<plimsoll_core::reading::Tick>) {}
            fn mark(&self, _: plimsoll_core::mark::Mark) {}
            fn alert(&self, _: plimsoll_core::alert::AlertRow) {}
            fn log(&self, _: Vec<plimsoll_core::log::LogEntry>) {}
            fn queue_len(&self) -> usize {
                11
            }
            fn dropped(&self) -> u64 {
                4
            }
        }
        let measures = Arc::new(OwnMeasures::default());
        let task = measures.clone().follow(Arc::new(Nowhere));
        let first = measures.take();
        assert_eq!((first.lag_ms, first.queue, first.dropped), (None, 11, 4), "known at once");
        tokio::task::yield_now().await;
        // The clock of the runtime moves on while the timer has no chance to fire.
        tokio::time::advance(LAG_EVERY + Duration::from_millis(180)).await;
        tokio::task::yield_now().await;
        let measured = measures.take();
        assert_eq!(measured.lag_ms, Some(180.0));
        assert_eq!((measured.queue, measured.dropped), (11, 4));
        assert!(measured.tasks >= 1);
        task.abort();
    }
}
