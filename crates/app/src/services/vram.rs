//! VRAM in use, over all GPUs: what it was before something was done, and what it
//! is once that has settled.

use std::{sync::Arc, time::Duration};

use plimsoll_core::{clock::Clock, metric::Metric};
use plimsoll_sense::Pulse;
use tokio::{sync::watch, time::timeout};

/// Two readings that differ by no more are the same: other programs take a little and give it
/// back all the time.
const SAME: u64 = 32 << 20;
/// Readings that are waited for: a driver frees what a process held within two or three.
const MOST_READINGS: usize = 6;
/// All of the waiting.
const PATIENCE: Duration = Duration::from_secs(25);

/// Reads VRAM from the ticks. Cheap to clone.
#[derive(Clone)]
pub struct VramMeter {
    pulse: watch::Receiver<Arc<Pulse>>,
    clock: Arc<dyn Clock>,
}

// === impl VramMeter ===

impl VramMeter {
    pub fn new(pulse: watch::Receiver<Arc<Pulse>>, clock: Arc<dyn Clock>) -> Self {
        Self { pulse, clock }
    }

    /// In bytes, as last read; `None` where none is measured.
    pub fn now(&self) -> Option<u64> {
        used(&self.pulse.borrow())
    }

    /// In bytes, after what was done just now: no reading from before counts, and one that the
    /// next agrees with ends the waiting, which is bounded. `None` where none is measured.
    pub async fn settled(&self) -> Option<u64> {
        let done_ms = self.clock.now().monotonic_ms;
        let mut pulse = self.pulse.clone();
        let mut last = None;
        let wait = async {
            for _ in 0..MOST_READINGS {
                loop {
                    if pulse.changed().await.is_err() {
                        return;
                    }
                    if pulse.borrow_and_update().tick.at.monotonic_ms > done_ms {
                        break;
                    }
                }
                let fresh = used(&pulse.borrow());
                let settled = match (last, fresh) {
                    (Some(last), Some(fresh)) => u64::abs_diff(last, fresh) <= SAME,
                    // None measured, in a tick that is new: that will not change.
                    (None, None) => true,
                    _ => false,
                };
                last = fresh.or(last);
                if settled {
                    return;
                }
            }
        };
        // What was read so far is the answer.
        let _ = timeout(PATIENCE, wait).await;
        last
    }
}

/// `VRAM 3.2 → 11.0 GiB`, as far as it is known; `None` where it is not.
pub fn change(before: Option<u64>, after: Option<u64>) -> Option<String> {
    match (before, after) {
        (Some(before), Some(after)) => Some(format!("VRAM {} → {} GiB", gib(before), gib(after))),
        (None, Some(after)) => Some(format!("VRAM {} GiB", gib(after))),
        (_, None) => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn gib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 30))
}

/// The sum over all GPUs.
fn used(pulse: &Pulse) -> Option<u64> {
    let readings = pulse.tick.readings.iter().filter(|r| r.metric == Metric::VramUsed);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size in bytes, cut at zero"
    )]
    readings.map(|reading| reading.number().max(0.0) as u64).reduce(u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use plimsoll_core::{
        clock::{Instant3, ManualClock},
        reading::{Reading, Tick},
    };

    use super::*;

    const GIB: u64 = 1 << 30;

    fn pulse(at_ms: i64, used: &[u64]) -> Arc<Pulse> {
        let at = Instant3 { wall_ms: at_ms, monotonic_ms: at_ms, boottime_ms: at_ms };
        let readings = used.iter().enumerate().map(|(gpu, &bytes)| {
            Reading::gauge(Metric::VramUsed, &format!("GPU-{gpu}").into(), bytes as f64)
        });
        let tick = Arc::new(Tick { at, readings: readings.collect() });
        Arc::new(Pulse { tick, sources: Arc::default(), rates: Vec::new() })
    }

    fn meter(first: Arc<Pulse>) -> (watch::Sender<Arc<Pulse>>, VramMeter) {
        let (tell, told) = watch::channel(first);
        (tell, VramMeter::new(told, Arc::new(ManualClock::at(1_000_000))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_from_before_does_not_count_and_two_that_agree_end_the_waiting() {
        // A manual clock begins at 0 on its monotonic side.
        let (tell, meter) = meter(pulse(0, &[GIB, 2 * GIB]));
        assert_eq!(meter.now(), Some(3 * GIB));
        let waiting = tokio::spawn(async move { meter.settled().await });
        for (at_ms, used) in [(0, 9), (1000, 3), (2000, 8), (3000, 8)] {
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished(), "at {at_ms}");
            tell.send(pulse(at_ms, &[used * GIB])).unwrap();
        }
        assert_eq!(waiting.await.unwrap(), Some(8 * GIB));
    }

    #[tokio::test(start_paused = true)]
    async fn the_waiting_is_bounded_and_unknown_stays_unknown() {
        let (_tell, silent) = meter(pulse(0, &[GIB]));
        assert_eq!(silent.settled().await, None, "nothing new was read");
        let (tell, none) = meter(pulse(0, &[]));
        let waiting = tokio::spawn(async move { none.settled().await });
        tokio::task::yield_now().await;
        tell.send(pulse(1000, &[])).unwrap();
        assert_eq!(waiting.await.unwrap(), None);
        let (tell, restless) = meter(pulse(0, &[]));
        let waiting = tokio::spawn(async move { restless.settled().await });
        for at in 1..=MOST_READINGS {
            tokio::task::yield_now().await;
            tell.send(pulse(at as i64 * 1000, &[at as u64 * GIB])).unwrap();
        }
        assert_eq!(waiting.await.unwrap(), Some(MOST_READINGS as u64 * GIB));
    }

    #[test]
    fn a_change_is_told_as_far_as_it_is_known() {
        assert_eq!(change(Some(3 * GIB), Some(11 * GIB)).unwrap(), "VRAM 3.0 → 11.0 GiB");
        assert_eq!(change(None, Some(GIB)).unwrap(), "VRAM 1.0 GiB");
        assert_eq!(change(Some(GIB), None), None);
    }
}
