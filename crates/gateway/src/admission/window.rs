//! How many ended lately, and how many of them failed.

use super::Ms;

const SLOTS: usize = 10;

/// What ended lately, in ten slots that together span the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    slots: [(u32, u32); SLOTS],
    /// Number of the slot that is written to, counted from the clock's start.
    at: u64,
    pub(super) failed: u32,
    pub(super) ended: u32,
}

// === impl Window ===

impl Window {
    /// One ended; `span` is the length of the window.
    pub(super) fn add(&mut self, failed: bool, now: Ms, span: Ms) {
        let at = now / (span / SLOTS as Ms).max(1);
        let passed = at.saturating_sub(self.at);
        if passed >= SLOTS as u64 {
            *self = Self { at, ..Self::default() };
        } else {
            for _ in 0..passed {
                self.at += 1;
                let (old_failed, old_ended) = std::mem::take(self.slot());
                self.failed -= old_failed;
                self.ended -= old_ended;
            }
        }
        let slot = self.slot();
        slot.0 += u32::from(failed);
        slot.1 += 1;
        self.failed += u32::from(failed);
        self.ended += 1;
    }

    fn slot(&mut self) -> &mut (u32, u32) {
        &mut self.slots[(self.at % SLOTS as u64) as usize]
    }
}
