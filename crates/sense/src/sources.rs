//! What a sampler needs to know, and what it is given to read.

use std::sync::Arc;

use plimsoll_core::{
    clock::{Clock, Instant3},
    device::{GpuInfo, MachineInfo},
    process::{EndProcess, ProcessDetail, ProcessTable},
    source::Source,
};
use tokio::sync::watch;

use crate::{
    gpu::Gpu,
    machine::machine_info,
    process::Processes,
    roots::Roots,
    system::{Sensors, Space, System},
};

/// The settings that concern the sources. They travel in a `watch` channel and
/// apply live, except the library's path, which is read when NVML is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `sampling.interval_ms`: one tick.
    pub interval_ms: u32,
    /// `sampling.processes_ms`: process list and VRAM per process.
    pub processes_ms: u32,
    /// `sampling.disk_space_ms`: space on mounts.
    pub disk_space_ms: u32,
    /// `gpu.enabled`
    pub gpu_enabled: bool,
    /// `gpu.nvml_path`; empty looks in the usual places.
    pub nvml_path: String,
}

/// Everything that can be read, and what is known beside the readings.
pub struct Sources {
    pub list: Vec<Box<dyn Source>>,
    pub machine: MachineInfo,
    /// `None` while there is no GPU.
    pub gpu: watch::Receiver<Option<Arc<GpuInfo>>>,
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    pub inspect: Arc<dyn Inspect>,
}

/// A closer look at one process, and its end. Both block: call them where
/// blocking is allowed, never on the runtime.
pub trait Inspect: Send + Sync {
    fn detail(&self, pid: i32) -> Result<ProcessDetail, InspectError>;

    /// Ends a process; the answer is a sentence that says what was done.
    fn end(&self, request: &EndProcess) -> Result<String, InspectError>;
}

/// Why a process cannot be looked at or ended. The text is shown to a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// It has ended, or its number now belongs to another process.
    #[error("{0}")]
    Gone(String),
    /// Plimsoll does not do this: itself, pid 1, a kernel thread.
    #[error("{0}")]
    Refused(String),
    /// The system does not allow it.
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Failed(String),
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            interval_ms: 1000,
            processes_ms: 5000,
            disk_space_ms: 10_000,
            gpu_enabled: true,
            nvml_path: String::new(),
        }
    }
}

/// What there is to read on this machine. The sampler adds what Plimsoll itself costs.
pub fn real_sources(options: watch::Receiver<Options>, clock: Arc<dyn Clock>) -> Sources {
    sources_at(&Roots::default(), options, clock.now())
}

/// The same, with the kernel's files found elsewhere, and `now` as the clocks stand.
pub fn sources_at(roots: &Roots, options: watch::Receiver<Options>, now: Instant3) -> Sources {
    let (gpu, gpu_info, link) = Gpu::new(roots, options.clone());
    let ask_vram = Box::new(move || link.vram());
    let (processes, table, inspector) = Processes::new(roots, options.clone(), ask_vram, now);
    Sources {
        list: vec![
            Box::new(System::new(roots, options.clone())),
            Box::new(Sensors::new(roots, options.clone())),
            Box::new(Space::new(roots, options)),
            Box::new(gpu),
            Box::new(processes),
        ],
        machine: machine_info(roots),
        gpu: gpu_info,
        processes: table,
        inspect: Arc::new(inspector),
    }
}
