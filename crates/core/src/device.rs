//! What the machine is made of: facts that do not change while it runs.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Texts are empty and figures `None` where the system does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct MachineInfo {
    pub hostname: String,
    pub os: String,
    pub kernel: String,
    pub cpu_model: String,
    /// Logical ones: what the system calls a CPU.
    pub cores: Option<u32>,
    pub memory_bytes: Option<u64>,
    /// The container or virtual machine this runs in, where that shows.
    pub container: Option<String>,
}

/// The one GPU, as NVML describes it. `None` is "the driver does not say".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct GpuInfo {
    pub uuid: String,
    pub name: String,
    pub driver_version: Option<String>,
    /// CUDA version that the driver supports, e.g. `12.8`.
    pub cuda_version: Option<String>,
    pub nvml_version: Option<String>,
    pub vram_total_bytes: Option<u64>,
    pub slowdown_celsius: Option<u32>,
    pub shutdown_celsius: Option<u32>,
    pub power_limit_watts: Option<f64>,
    pub graphics_clock_max_mhz: Option<u32>,
    pub memory_clock_max_mhz: Option<u32>,
    pub sm_clock_max_mhz: Option<u32>,
    pub pcie_generation_max: Option<u32>,
    pub pcie_width_max: Option<u32>,
    /// Names of the reasons that hold the clocks down now, e.g. `SW power cap`.
    pub throttle_reasons: Vec<String>,
    /// Metrics that this card or its driver does not give, e.g. `gpu.fan`; in the order
    /// of the catalogue.
    pub missing: Vec<String>,
    /// Cards beyond the first, which are not watched.
    pub others: Vec<String>,
}
