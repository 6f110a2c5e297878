//! Time, passed in. Nothing in Plimsoll asks the system for the time except
//! through a [`Clock`], so that a test can move it.

use std::sync::atomic::{AtomicI64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// One moment on three clocks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant3 {
    /// UTC since 1970; a person or NTP may move it either way.
    pub wall_ms: i64,
    /// Since some start, never backwards, stands still while the machine sleeps.
    pub monotonic_ms: i64,
    /// Like `monotonic_ms`, but runs on while the machine sleeps: the difference
    /// between the two grows by the time that was slept.
    pub boottime_ms: i64,
}

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Instant3;

    /// Of all three the one that dates what happened.
    fn wall_ms(&self) -> i64 {
        self.now().wall_ms
    }
}

/// The kernel's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicI64,
    boottime_ms: AtomicI64,
}

// === impl SystemClock ===

impl Clock for SystemClock {
    fn now(&self) -> Instant3 {
        Instant3 {
            wall_ms: self.wall_ms(),
            monotonic_ms: ms(ClockId::Monotonic),
            boottime_ms: ms(ClockId::Boottime),
        }
    }

    // Asked with every request: the two others would be read for nothing.
    fn wall_ms(&self) -> i64 {
        ms(ClockId::Realtime)
    }
}

fn ms(id: ClockId) -> i64 {
    let t = clock_gettime(id);
    t.tv_sec * 1000 + t.tv_nsec / 1_000_000
}

// === impl ManualClock ===

impl ManualClock {
    pub fn at(wall_ms: i64) -> Self {
        let clock = Self::default();
        clock.wall_ms.store(wall_ms, Ordering::SeqCst);
        clock
    }

    /// Time passes, on all three clocks.
    pub fn advance_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
        self.boottime_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the clock by `ms`, forward or back.
    pub fn step_wall_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// The machine sleeps for `ms`.
    pub fn suspend_ms(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.boottime_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant3 {
        Instant3 {
            wall_ms: self.wall_ms.load(Ordering::SeqCst),
            monotonic_ms: self.monotonic_ms.load(Ordering::SeqCst),
            boottime_ms: self.boottime_ms.load(Ordering::SeqCst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_moves_boot_time_away_from_monotonic_time() {
        let clock = ManualClock::at(1_000_000);
        clock.advance_ms(1000);
        clock.suspend_ms(3_600_000);
        let now = clock.now();
        assert_eq!(now.boottime_ms - now.monotonic_ms, 3_600_000);
        assert_eq!(now.wall_ms, 1_000_000 + 1000 + 3_600_000);
    }

    #[test]
    fn system_clock_runs_forward() {
        let (a, b) = (SystemClock.now(), SystemClock.now());
        assert!(b.monotonic_ms >= a.monotonic_ms);
        assert!(a.boottime_ms >= a.monotonic_ms - 1);
    }
}
