//! The simulated machine as sources: read at the sampler's cadence like real ones.
//!
//! Each source has a world of its own, stepped by itself, so that the order in
//! which their threads run changes nothing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    clock::Instant3,
    device::GpuInfo,
    process::ProcessTable,
    reading::Reading,
    source::{Source, SourceError},
};
use plimsoll_sense::Options;
use tokio::sync::watch;

use crate::{
    readings::{self, Subjects},
    simulation::Timeline,
    table::Board,
    world::World,
};

/// What every simulated source needs.
#[derive(Clone)]
pub struct Seat {
    pub world: World,
    pub timeline: Timeline,
    pub subjects: Arc<Subjects>,
    pub options: watch::Receiver<Options>,
}

pub struct SystemSource(pub Seat);
pub struct SpaceSource(pub Seat);
pub struct GpuSource {
    pub seat: Seat,
    pub info: watch::Sender<Option<Arc<GpuInfo>>>,
}
pub struct ProcessSource {
    pub seat: Seat,
    pub board: Arc<Mutex<Board>>,
    pub table: watch::Sender<Arc<ProcessTable>>,
}

// === impl Seat ===

impl Seat {
    fn advance(&mut self, now: Instant3) {
        self.world.advance(self.timeline.second_at(now));
    }

    fn lost(&self) -> Result<(), SourceError> {
        match self.world.plan.gpu_lost(self.world.second) {
            Some(reason) => Err(SourceError::Lost(reason.to_owned())),
            None => Ok(()),
        }
    }

    fn cadence(&self, ms: impl Fn(&Options) -> u32) -> Duration {
        Duration::from_millis(u64::from(ms(&self.options.borrow())))
    }
}

impl Source for SystemSource {
    fn name(&self) -> &'static str {
        "system"
    }

    fn cadence(&self) -> Duration {
        self.0.cadence(|o| o.interval_ms)
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        self.0.advance(now);
        readings::system(&self.0.world, &self.0.subjects, out);
        Ok(())
    }
}

impl Source for SpaceSource {
    fn name(&self) -> &'static str {
        "space"
    }

    fn cadence(&self) -> Duration {
        self.0.cadence(|o| o.disk_space_ms)
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        self.0.advance(now);
        readings::space(&self.0.world, &self.0.subjects, out);
        Ok(())
    }
}

impl Source for GpuSource {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn cadence(&self) -> Duration {
        self.seat.cadence(|o| o.interval_ms)
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        if !self.seat.options.borrow().gpu_enabled {
            self.info.send_if_modified(|info| info.take().is_some());
            return Err(SourceError::Absent("Switched off by gpu.enabled.".into()));
        }
        self.seat.advance(now);
        self.seat.lost()?;
        readings::gpu(&self.seat.world, &self.seat.subjects, out);
        let fresh = gpu_info(&self.seat.world);
        self.info.send_if_modified(|info| {
            let changed = info.as_deref() != Some(&fresh);
            if changed {
                *info = Some(Arc::new(fresh));
            }
            changed
        });
        Ok(())
    }
}

impl ProcessSource {
    /// Fills the traces with the ten minutes before the start.
    pub fn look_back(&mut self, seconds: i64, step: i64) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let until = self.seat.world.second + seconds;
        while self.seat.world.second < until {
            self.seat.world.advance(self.seat.world.second + step.max(1));
            board.scan(&self.seat.world, 0);
        }
    }
}

impl Source for ProcessSource {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn cadence(&self) -> Duration {
        self.seat.cadence(|o| o.processes_ms)
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        self.seat.advance(now);
        let interval_ms = self.seat.options.borrow().processes_ms;
        let vram = self.seat.lost().is_ok() && self.seat.options.borrow().gpu_enabled;
        readings::processes(&self.seat.world, &self.seat.subjects, vram, out);
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let table = board.scan(&self.seat.world, interval_ms);
        self.table.send_replace(table);
        Ok(())
    }
}

/// What the driver would say of the card now.
pub fn gpu_info(world: &World) -> GpuInfo {
    let gpu = &world.plan.machine.gpu;
    GpuInfo {
        uuid: gpu.uuid.clone(),
        name: gpu.name.clone(),
        driver_version: Some(gpu.driver_version.clone()),
        cuda_version: Some(gpu.cuda_version.clone()),
        nvml_version: Some(gpu.nvml_version.clone()),
        vram_total_bytes: Some(gpu.vram_mib << 20),
        slowdown_celsius: Some(gpu.slowdown_celsius),
        shutdown_celsius: Some(gpu.shutdown_celsius),
        power_limit_watts: Some(gpu.power_limit_watts),
        graphics_clock_max_mhz: Some(gpu.graphics_clock_max_mhz),
        memory_clock_max_mhz: Some(gpu.memory_clock_max_mhz),
        sm_clock_max_mhz: Some(gpu.graphics_clock_max_mhz),
        pcie_generation_max: Some(4),
        pcie_width_max: Some(16),
        throttle_reasons: if world.gpu_power_capped {
            vec!["SW power cap".into()]
        } else {
            Vec::new()
        },
        missing: Vec::new(),
        others: Vec::new(),
    }
}
