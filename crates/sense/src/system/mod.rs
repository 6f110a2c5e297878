//! The machine itself, from `/proc` and `/sys`.

mod cgroup;
mod cpu;
mod disks;
mod frequency;
mod load;
mod memory;
mod network;
mod sensors;
mod space;

use std::{sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Instant3,
    reading::Reading,
    source::{Source, SourceError},
};
use tokio::sync::watch;

pub(crate) use self::{
    cgroup::{Limits, Usage},
    cpu::Times,
    memory::Meminfo,
};
pub use self::{sensors::Sensors, space::Space};
use crate::{roots::Roots, sources::Options};

/// What is read with every tick and never blocks for long.
pub struct System {
    options: watch::Receiver<Options>,
    machine: Arc<str>,
    cpu: cpu::Cpu,
    memory: memory::Memory,
    load: load::Load,
    frequency: frequency::Frequency,
    disks: disks::Disks,
    network: network::Network,
    cgroup: cgroup::Cgroup,
}

// === impl System ===

impl System {
    pub fn new(roots: &Roots, options: watch::Receiver<Options>) -> Self {
        Self {
            options,
            machine: "".into(),
            cpu: cpu::Cpu::new(roots),
            memory: memory::Memory::new(roots),
            load: load::Load::new(roots),
            frequency: frequency::Frequency::new(roots),
            disks: disks::Disks::new(roots),
            network: network::Network::new(roots),
            cgroup: cgroup::Cgroup::new(roots),
        }
    }
}

impl Source for System {
    fn name(&self) -> &'static str {
        "system"
    }

    fn cadence(&self) -> Duration {
        Duration::from_millis(u64::from(self.options.borrow().interval_ms))
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        self.cpu.read(&self.machine, out)?;
        self.memory.read(&self.machine, out)?;
        self.load.read(&self.machine, out);
        self.frequency.read(now, out);
        self.disks.read(now, out);
        self.network.read(out);
        self.cgroup.read(now, &self.machine, out);
        Ok(())
    }
}
