//! The machine's pressure for admission, and the card's energy for who used it: with
//! every tick.

use std::sync::Arc;

use plimsoll_core::{device::GpuInfo, metric::Metric, reading::Tick};
use plimsoll_gateway::{
    admission::{Desk, Pressure},
    record::Records,
};
use plimsoll_sense::Pulse;
use tokio::sync::watch;

/// A card that was silent for longer says nothing of the time between.
const SILENCE_MS: i64 = 5000;

pub(super) async fn follow(
    mut pulse: watch::Receiver<Arc<Pulse>>,
    gpu: watch::Receiver<Option<Arc<GpuInfo>>>,
    desk: Desk,
    records: Records,
) {
    let mut before: Option<i64> = None;
    while pulse.changed().await.is_ok() {
        let pulse = pulse.borrow_and_update().clone();
        let card = gpu.borrow().clone();
        desk.pressure(pressure(&pulse.tick, card.as_deref()));
        let Some(card) = card else { continue };
        let now = pulse.tick.at.monotonic_ms;
        let passed_ms = before.map(|before| now - before).filter(|ms| *ms > 0);
        match (watts(&pulse, &card.uuid), passed_ms) {
            (Some(watts), Some(ms)) if ms <= SILENCE_MS => {
                #[expect(clippy::cast_precision_loss, reason = "at most five seconds")]
                let seconds = ms as f64 / 1000.0;
                records.energy(&card.uuid, Some(watts * seconds));
                before = Some(now);
            }
            (Some(_), None) => {
                records.energy(&card.uuid, Some(0.0));
                before = Some(now);
            }
            (Some(_), Some(_)) => {
                records.energy(&card.uuid, None);
                before = None;
            }
            // One reading that is missing is made up for by the next.
            (None, passed) => {
                if passed.is_some_and(|ms| ms > SILENCE_MS) {
                    records.energy(&card.uuid, None);
                    before = None;
                }
            }
        }
    }
}

/// From the energy counter, or without one from the power.
fn watts(pulse: &Pulse, card: &str) -> Option<f64> {
    pulse
        .rate(Metric::GpuEnergy, card)
        .or_else(|| pulse.tick.get(Metric::GpuPower, card))
        .filter(|watts| watts.is_finite() && *watts >= 0.0)
}

fn pressure(tick: &Tick, card: Option<&GpuInfo>) -> Pressure {
    let of = |metric| tick.get(metric, "");
    let memory_available = of(Metric::MemoryAvailable)
        .zip(of(Metric::MemoryTotal))
        .filter(|(_, total)| *total > 0.0)
        .map(|(available, total)| available / total * 100.0);
    let heat_margin = card.and_then(|card| {
        let slowdown = f64::from(card.slowdown_celsius?);
        Some(slowdown - tick.get(Metric::GpuTemperature, &card.uuid)?)
    });
    Pressure {
        memory_available,
        memory_stall: of(Metric::PressureMemoryFull),
        cpu: of(Metric::CpuBusy),
        heat_margin,
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::{clock::Instant3, reading::Reading};

    use super::*;

    #[test]
    fn what_is_not_measured_presses_nobody() {
        let at = Instant3 { wall_ms: 0, monotonic_ms: 0, boottime_ms: 0 };
        let tick = |readings| Tick { at, readings };
        assert_eq!(pressure(&tick(Vec::new()), None), Pressure::default());
        let none: Arc<str> = "".into();
        let (gib, card) = (1_073_741_824.0, GpuInfo { uuid: "GPU-1".into(), ..GpuInfo::default() });
        let readings = vec![
            Reading::gauge(Metric::MemoryAvailable, &none, 16.0 * gib),
            Reading::gauge(Metric::MemoryTotal, &none, 64.0 * gib),
            Reading::gauge(Metric::GpuTemperature, &"GPU-1".into(), 71.0),
        ];
        let known = pressure(&tick(readings.clone()), Some(&card));
        assert_eq!((known.memory_available, known.heat_margin), (Some(25.0), None));
        let card = GpuInfo { slowdown_celsius: Some(90), ..card };
        assert_eq!(pressure(&tick(readings), Some(&card)).heat_margin, Some(19.0));
    }
}
