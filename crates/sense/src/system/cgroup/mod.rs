//! The limits of the container that Plimsoll runs in: control groups, version 2 and 1.
//!
//! A limit of any ancestor holds too, so the tightest one on the way up counts.
//! Where nothing limits us, nothing is said: then the machine's own figures hold.

mod groups;
mod limits;
#[cfg(test)]
mod tests;
mod usage;

use std::sync::Arc;

use plimsoll_core::{clock::Instant3, metric::Metric, reading::Reading};

pub use self::{limits::Limits, usage::Usage};
use crate::roots::Roots;

/// Limits change when a person changes them; which group we are in, almost never.
const LOOK_AGAIN_MS: i64 = 10_000;

pub struct Cgroup {
    roots: Roots,
    looked_ms: Option<i64>,
    limits: Limits,
    usage: Option<Usage>,
}

// === impl Cgroup ===

impl Cgroup {
    pub fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone(), looked_ms: None, limits: Limits::default(), usage: None }
    }

    pub fn read(&mut self, now: Instant3, machine: &Arc<str>, out: &mut Vec<Reading>) {
        if self.looked_ms.is_none_or(|at| now.monotonic_ms - at >= LOOK_AGAIN_MS) {
            self.looked_ms = Some(now.monotonic_ms);
            self.limits = Limits::find(&self.roots, "self");
            if self.usage.as_ref().map(|u| &u.group) != self.limits.memory_group.as_ref() {
                self.usage = self.limits.usage();
            }
        }
        if let Some(cores) = self.limits.cpu_cores {
            out.push(Reading::gauge(Metric::CgroupCpuLimit, machine, cores));
        }
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^53")]
        let mut gauge = |metric, bytes: u64| {
            out.push(Reading::gauge(metric, machine, bytes as f64));
        };
        if let Some(bytes) = self.limits.memory_bytes {
            gauge(Metric::CgroupMemoryLimit, bytes);
        }
        if let Some(bytes) = self.usage.as_mut().and_then(Usage::read) {
            gauge(Metric::CgroupMemoryUsed, bytes);
        }
    }
}
