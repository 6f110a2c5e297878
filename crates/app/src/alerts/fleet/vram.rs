//! What a service holds in VRAM, and whether it grew within the last minutes.

use std::collections::VecDeque;

use plimsoll_services::service::{Loaded, Service, ServiceState};

use crate::services::is_here;

/// Growth is looked for within this span.
pub const RECENT_MS: i64 = 300_000;
/// Values remembered of it, so far apart.
const EVERY_MS: i64 = 5_000;
const POINTS: usize = 64;

/// What one service held in the last minutes.
#[derive(Clone, Debug, Default)]
pub struct Holds {
    points: VecDeque<(i64, u64)>,
    /// Now; `None` where it is not known.
    pub bytes: Option<u64>,
    grown: Option<Grown>,
}

/// The last growth that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grown {
    pub by_bytes: u64,
    /// When it was last seen.
    pub at_ms: i64,
}

/// Less than this is no growth: buffers come and go.
const GROWTH: u64 = 256 << 20;

// === impl Holds ===

impl Holds {
    pub fn take(&mut self, now_ms: i64, service: &Service) {
        self.bytes = holds_of(service);
        let Some(bytes) = self.bytes else { return };
        while self.points.front().is_some_and(|(at, _)| now_ms - at > RECENT_MS) {
            self.points.pop_front();
        }
        let lowest = self.points.iter().map(|&(_, held)| held).min().unwrap_or(bytes);
        let highest = self.points.iter().map(|&(_, held)| held).max().unwrap_or(bytes);
        // What stays as high as it was does not grow.
        if bytes > highest && bytes - lowest >= GROWTH {
            self.grown = Some(Grown { by_bytes: bytes - lowest, at_ms: now_ms });
        }
        if self.points.back().is_none_or(|(at, _)| now_ms - at >= EVERY_MS) {
            if self.points.len() >= POINTS {
                self.points.pop_front();
            }
            self.points.push_back((now_ms, bytes));
        }
    }

    pub fn grown(&self) -> Option<Grown> {
        self.grown
    }
}

/// As the driver counts it; where that is not known, what the server says of its models.
/// `None` for a service of another machine: that VRAM is not ours.
pub fn holds_of(service: &Service) -> Option<u64> {
    if !is_here(service) {
        return None;
    }
    if service.state == ServiceState::Down && service.holder.is_none() {
        return Some(0);
    }
    let told = || {
        let loaded = service.models.iter().filter(|model| model.loaded == Loaded::Loaded);
        loaded.filter_map(|model| model.vram_bytes).reduce(u64::saturating_add)
    };
    let driver = service.vram.map(|split| split.total_bytes);
    driver.or(service.holder.as_ref().and_then(|holder| holder.vram_bytes)).or_else(told)
}
