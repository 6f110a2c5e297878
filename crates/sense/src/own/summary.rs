//! The line about the last minute that goes to the log (MA12).

use plimsoll_core::clock::Instant3;

use super::{files::Counts, measures::Measured};

/// How often a line goes to the log.
const EVERY_MS: i64 = 60_000;

/// The sums of a minute.
#[derive(Debug, Default)]
pub struct Summary {
    since_ms: Option<i64>,
    cpu_since_ns: u64,
    rss_peak: Option<u64>,
    lag_peak_ms: Option<f64>,
}

// === impl Summary ===

impl Summary {
    #[expect(clippy::cast_precision_loss, reason = "shown in a line of the log")]
    pub fn add(
        &mut self,
        now: Instant3,
        cpu_ns: u64,
        rss: Option<u64>,
        files: Option<Counts>,
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
        if elapsed_ms < EVERY_MS {
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
            files = files.map(|counts| counts.files),
            connections = files.and_then(|counts| counts.connections),
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

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc, time::Duration};

    use plimsoll_core::source::Source;

    use super::{
        super::tests::{at, own},
        *,
    };

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
}
