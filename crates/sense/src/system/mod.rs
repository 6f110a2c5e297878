//! The machine itself, from `/proc` and `/sys`.

mod cpu;
mod memory;

use std::{sync::Arc, time::Duration};

use plimsoll_core::{
    clock::Instant3,
    reading::Reading,
    source::{Source, SourceError},
};
use tokio::sync::watch;

pub(crate) use self::{cpu::Times, memory::Meminfo};
use crate::{roots::Roots, sources::Options};

/// What is read with every tick and never blocks for long.
pub struct System {
    options: watch::Receiver<Options>,
    machine: Arc<str>,
    cpu: cpu::Cpu,
    memory: memory::Memory,
}

// === impl System ===

impl System {
    pub fn new(roots: &Roots, options: watch::Receiver<Options>) -> Self {
        Self {
            options,
            machine: "".into(),
            cpu: cpu::Cpu::new(roots),
            memory: memory::Memory::new(roots),
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

    fn read(&mut self, _now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        self.cpu.read(&self.machine, out)?;
        self.memory.read(&self.machine, out)?;
        Ok(())
    }
}
