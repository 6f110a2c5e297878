//! Who may start now. Two engines that load at once take each other's room, and
//! both fail: those that share the GPU start one after another, each into room
//! that was read after the one before had taken its own.

use plimsoll_core::clock::Instant3;

use super::{LOADING_MS, Plan, Sight, Unit, Vram};
use crate::service::RunState;

/// How long a reading of the VRAM is waited for: then there is none, and no room that
/// could be judged.
const READING_MS: i64 = 10_000;

// === impl Plan ===

impl Plan {
    /// Why it does not start yet, in words with figures.
    pub(super) fn may_start(&self, id: &str, sight: &Sight, now: Instant3) -> Result<(), String> {
        let Some(unit) = self.units.get(id) else { return Ok(()) };
        if !unit.spec.on_gpu {
            return Ok(());
        }
        if sight.kept_off.contains(id) && !unit.asked_for {
            return Err("Waits for the end of the hold: the GPU is kept free.".into());
        }
        for other in self.others_on_gpu(id) {
            let name = &other.spec.name;
            match other.state {
                RunState::Starting if other.loads(now) => {
                    return Err(format!("Waits for {name}, which is loading."));
                }
                RunState::Stopping if other.live.is_some() => {
                    return Err(format!("Waits for {name}, which is stopping."));
                }
                _ => {}
            }
        }
        match unit.spec.planned {
            Some(planned) => self.has_room(unit, planned, sight, now),
            None => Ok(()),
        }
    }

    fn has_room(
        &self,
        unit: &Unit,
        planned: u64,
        sight: &Sight,
        now: Instant3,
    ) -> Result<(), String> {
        let Some(Vram { at_ms, free_bytes: free }) = sight.vram else {
            let waited = now.wall_ms - unit.since_ms;
            return if (0..READING_MS).contains(&waited) {
                Err("Waits for a reading of the VRAM.".into())
            } else {
                Ok(())
            };
        };
        if self.gpu_moved_ms.is_some_and(|moved| at_ms <= moved) {
            return Err("Waits for a new reading of the VRAM.".into());
        }
        // What others are planned to take and have not taken yet is theirs: a server that
        // loads its model with the first request, say.
        let promised: u64 = self
            .others_on_gpu(&unit.spec.id)
            .filter(|other| other.live.is_some())
            .filter_map(|other| {
                let held = *sight.held.get(&other.spec.id)?;
                Some(other.spec.planned?.saturating_sub(held))
            })
            .sum();
        if planned <= free.saturating_sub(promised) {
            return Ok(());
        }
        let also = match promised {
            0 => String::new(),
            promised => format!(", of which {} are planned for others", gib(promised)),
        };
        Err(format!(
            "Waits for room in VRAM: {} are planned for it, {} are free{also}.",
            gib(planned),
            gib(free)
        ))
    }

    fn others_on_gpu(&self, id: &str) -> impl Iterator<Item = &Unit> {
        self.units.values().filter(move |unit| unit.spec.on_gpu && unit.spec.id != id)
    }
}

// === impl Unit ===

impl Unit {
    /// It takes its VRAM just now.
    fn loads(&self, now: Instant3) -> bool {
        self.live.as_ref().is_some_and(|live| now.monotonic_ms - live.started_ms < LOADING_MS)
    }
}

fn gib(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let gib = bytes as f64 / f64::from(1 << 30);
    // Never more than there is: 7.99 GiB of room are not 8.0.
    format!("{:.1} GiB", (gib * 10.0).floor() / 10.0)
}
