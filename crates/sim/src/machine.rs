//! The machine that scenarios play on: its parts, and what each activity costs them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::scenario::{Activity, Hms, Levels, ScenarioError};

const ATLAS: &str = include_str!("../scenarios/atlas.toml");

/// What an activity costs, by its place in [`Activity`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost(pub Levels);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub hostname: String,
    pub os: String,
    pub kernel: String,
    pub cpu_model: String,
    pub threads: u32,
    pub memory_gib: f64,
    pub memory_base_gib: f64,
    pub memory_cached_gib: f64,
    pub swap_gib: f64,
    pub cpu_base: f64,
    pub processes_more: u32,
    pub gpu: Gpu,
    #[serde(rename = "disk")]
    pub disks: Vec<Disk>,
    #[serde(rename = "mount")]
    pub mounts: Vec<Mount>,
    #[serde(rename = "interface")]
    pub interfaces: Vec<Interface>,
    #[serde(rename = "process")]
    pub processes: Vec<ProcessSpec>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    pub uuid: String,
    pub name: String,
    pub driver_version: String,
    pub cuda_version: String,
    pub nvml_version: String,
    pub vram_mib: u64,
    pub vram_reserved_mib: u64,
    pub slowdown_celsius: u32,
    pub shutdown_celsius: u32,
    pub power_idle_watts: f64,
    pub power_limit_watts: f64,
    pub graphics_clock_max_mhz: u32,
    pub memory_clock_max_mhz: u32,
    pub ambient_celsius: f64,
    pub celsius_per_watt: f64,
    pub thermal_s: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    pub name: String,
    #[serde(default)]
    pub holds_models: bool,
    #[serde(default)]
    pub read_mbs_at: Cost,
    #[serde(default)]
    pub write_mbs_at: Cost,
    pub read_base_mbs: f64,
    pub write_base_mbs: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    pub path: String,
    pub size_gib: f64,
    pub used_gib: f64,
    pub grows_gib_per_day: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    pub name: String,
    #[serde(default)]
    pub received_kbs_at: Cost,
    #[serde(default)]
    pub sent_kbs_at: Cost,
    pub base_kbs: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    pub id: String,
    pub name: String,
    pub pid: i32,
    /// Id of the process that started it; pid 1 where there is none.
    #[serde(default)]
    pub parent: Option<String>,
    pub user: String,
    pub uid: u32,
    #[serde(default)]
    pub container: Option<String>,
    #[serde(default)]
    pub unit: Option<String>,
    pub command: String,
    #[serde(default)]
    pub executable: Option<String>,
    pub threads: u32,
    /// It lives from this time of day …
    #[serde(default)]
    pub from: Option<Hms>,
    /// … until this one; without both it is always there.
    #[serde(default)]
    pub to: Option<Hms>,
    /// Time its weights take to load.
    #[serde(default)]
    pub load_s: i64,
    #[serde(default)]
    pub cpu: f64,
    #[serde(default)]
    pub cpu_at: Cost,
    pub rss_gib: f64,
    #[serde(default)]
    pub rss_at: Cost,
    #[serde(default)]
    pub vram_gib: f64,
    #[serde(default)]
    pub vram_at: Cost,
    /// Grows by this much over `vram_grows_s` after loading.
    #[serde(default)]
    pub vram_grows_gib: f64,
    #[serde(default)]
    pub vram_grows_s: i64,
    #[serde(default)]
    pub gpu_at: Cost,
    #[serde(default)]
    pub files: u32,
    #[serde(default)]
    pub listens: Vec<String>,
    #[serde(default)]
    pub memory_limit_gib: Option<f64>,
}

// === impl Machine ===

impl Machine {
    pub fn atlas() -> Result<Self, ScenarioError> {
        toml_edit::de::from_str(ATLAS)
            .map_err(|e| ScenarioError(format!("The simulated machine: {e}")))
    }
}

// === impl Cost ===

impl Cost {
    /// What these levels cost together.
    pub fn of(&self, levels: &Levels) -> f64 {
        self.0.iter().zip(levels).map(|(cost, level)| cost * level).sum()
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<Activity, f64>::deserialize(deserializer)?;
        let mut cost = Self::default();
        for (activity, value) in named {
            cost.0[activity as usize] = value;
        }
        Ok(cost)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn processes_have_ids_and_pids_of_their_own() {
        let machine = Machine::atlas().unwrap();
        let mut ids = HashSet::new();
        let mut pids = HashSet::new();
        for process in &machine.processes {
            assert!(ids.insert(&*process.id), "{} twice", process.id);
            assert!(pids.insert(process.pid), "{} twice", process.pid);
            assert_eq!(process.from.is_some(), process.to.is_some(), "{}", process.id);
            // One that is up for days began that long ago, by its pid.
            assert!(
                process.from.is_some() || process.pid < 27_000,
                "{} is yet to begin",
                process.id
            );
        }
        for process in &machine.processes {
            assert!(process.parent.as_ref().is_none_or(|p| ids.contains(&**p)));
        }
        assert!(machine.processes.len() >= 36);
    }
}
