//! Scenarios and the machine they play on, read from embedded TOML files.

use std::{collections::BTreeMap, fmt};

use plimsoll_core::mark::MarkKind;
use serde::{Deserialize, Deserializer, de};

const MACHINE: &str = include_str!("../scenarios/atlas.toml");

/// Name and text of every scenario that is built in.
const BUILT_IN: &[(&str, &str)] = &[
    ("day", include_str!("../scenarios/day.toml")),
    ("idle-night", include_str!("../scenarios/idle-night.toml")),
    ("model-load", include_str!("../scenarios/model-load.toml")),
    ("chat", include_str!("../scenarios/chat.toml")),
    ("batch", include_str!("../scenarios/batch.toml")),
    ("hiccup", include_str!("../scenarios/hiccup.toml")),
];

pub const DAY_S: i64 = 86_400;

/// A scenario could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError(pub String);

/// A time of day or a span, written `HH:MM:SS`, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hms(pub i64);

/// What happens, and when.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub title: String,
    /// After this it begins again. A scenario of 24 hours runs by the time of
    /// day, a shorter one from the moment it was started.
    pub length: Hms,
    /// Time of day at which it starts; by the wall clock where there is none.
    #[serde(default)]
    pub starts: Option<Hms>,
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
    #[serde(default)]
    pub gpu_lost: Vec<GpuLost>,
    #[serde(default, rename = "mark")]
    pub marks: Vec<PlannedMark>,
}

/// From `at` on, each activity has its level; those not named are at rest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub at: Hms,
    pub name: String,
    pub levels: BTreeMap<Activity, f64>,
    #[serde(default)]
    pub ramp_s: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuLost {
    pub at: Hms,
    pub for_s: i64,
    pub reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedMark {
    pub at: Hms,
    pub kind: MarkKind,
    pub title: String,
}

/// What a person or a program does with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    Desktop,
    Chat,
    Embed,
    Whisper,
    Agent,
    Batch,
    Backup,
}

pub const ACTIVITIES: usize = 7;

/// How busy each activity is, by its place in [`Activity`].
pub type Levels = [f64; ACTIVITIES];

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

/// The names of the built-in scenarios; the first is the demo's.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

// === impl Scenario ===

impl Scenario {
    /// The built-in scenario of that name.
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        let Some((_, text)) = BUILT_IN.iter().find(|(n, _)| *n == name) else {
            let known: Vec<_> = names().collect();
            return Err(ScenarioError(format!(
                "There is no scenario {name:?}. Known are: {}.",
                known.join(", ")
            )));
        };
        Self::parse(text).map_err(|e| ScenarioError(format!("The scenario {name:?}: {e}")))
    }

    fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self =
            toml_edit::de::from_str(text).map_err(|e| ScenarioError(e.to_string()))?;
        let refuse = |what: &str| Err(ScenarioError(what.into()));
        if scenario.length.0 <= 0 {
            return refuse("`length` is longer than nothing.");
        }
        if scenario.phases.first().is_none_or(|p| p.at.0 != 0) {
            return refuse("the first phase begins at 00:00:00.");
        }
        if !scenario.phases.is_sorted_by(|a, b| a.at < b.at) {
            return refuse("phases stand in the order in which they begin.");
        }
        Ok(scenario)
    }

    /// The phase of a second of the scenario.
    pub fn phase(&self, second: i64) -> &Phase {
        &self.phases[self.place(second)]
    }

    fn place(&self, second: i64) -> usize {
        let second = second.rem_euclid(self.length.0);
        // The first phase begins at zero: there is always one.
        self.phases.partition_point(|p| p.at.0 <= second) - 1
    }

    /// The levels at a second of the scenario, before any noise.
    pub fn levels(&self, second: i64) -> Levels {
        let second = second.rem_euclid(self.length.0);
        let place = self.place(second);
        let phase = &self.phases[place];
        let before = &self.phases[place.checked_sub(1).unwrap_or(self.phases.len() - 1)];
        let since = second - phase.at.0;
        #[expect(clippy::cast_precision_loss, reason = "seconds of a ramp")]
        let share = if phase.ramp_s > since { since as f64 / phase.ramp_s as f64 } else { 1.0 };
        let mut levels = Levels::default();
        for (activity, level) in &phase.levels {
            levels[*activity as usize] += level * share;
        }
        if share < 1.0 {
            for (activity, level) in &before.levels {
                levels[*activity as usize] += level * (1.0 - share);
            }
        }
        levels
    }

    /// Why the GPU does not answer at that second, or `None` while it does.
    pub fn gpu_lost(&self, second: i64) -> Option<&str> {
        let second = second.rem_euclid(self.length.0);
        let lost = self.gpu_lost.iter().find(|l| (l.at.0..l.at.0 + l.for_s).contains(&second))?;
        Some(&lost.reason)
    }
}

// === impl Machine ===

impl Machine {
    pub fn atlas() -> Result<Self, ScenarioError> {
        toml_edit::de::from_str(MACHINE)
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

// === impl Hms ===

impl<'de> Deserialize<'de> for Hms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts: Option<Vec<i64>> =
            text.split(':').map(|p| p.parse().ok().filter(|n| (0..60).contains(n))).collect();
        match parts.as_deref() {
            Some([h, m, s]) if *h <= 24 => Ok(Self(h * 3600 + m * 60 + s)),
            _ => Err(de::Error::custom(format!("a time is written HH:MM:SS. Found {text:?}."))),
        }
    }
}

// === impl ScenarioError ===

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScenarioError {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_built_in_scenario_can_be_read() {
        for name in names() {
            let scenario = Scenario::named(name).unwrap();
            for second in (0..scenario.length.0).step_by(7) {
                assert!(scenario.levels(second).iter().all(|l| (0.0..=1.0).contains(l)));
            }
        }
    }

    #[test]
    fn an_unknown_scenario_is_answered_with_the_known_ones() {
        let error = Scenario::named("weekend").unwrap_err().to_string();
        assert!(error.contains("weekend") && error.contains("day, idle-night"), "{error}");
    }

    #[test]
    fn processes_have_ids_and_pids_of_their_own() {
        let machine = Machine::atlas().unwrap();
        let mut ids = HashSet::new();
        let mut pids = HashSet::new();
        for process in &machine.processes {
            assert!(ids.insert(&*process.id), "{} twice", process.id);
            assert!(pids.insert(process.pid), "{} twice", process.pid);
            assert_eq!(process.from.is_some(), process.to.is_some(), "{}", process.id);
        }
        for process in &machine.processes {
            assert!(process.parent.as_ref().is_none_or(|p| ids.contains(&**p)));
        }
        assert!(machine.processes.len() >= 36);
    }

    #[test]
    fn levels_move_along_the_ramp_from_the_phase_before() {
        let scenario = Scenario::parse(
            "title = \"\"\nlength = \"00:01:00\"\n\
             [[phase]]\nat = \"00:00:00\"\nname = \"a\"\nlevels = { chat = 0.2 }\n\
             [[phase]]\nat = \"00:00:20\"\nname = \"b\"\nramp_s = 10\nlevels = { chat = 0.8 }\n",
        )
        .unwrap();
        let chat = |s| (scenario.levels(s)[Activity::Chat as usize] * 100.0).round();
        assert_eq!(
            [chat(0), chat(19), chat(25), chat(30), chat(59), chat(60)],
            [20.0, 20.0, 50.0, 80.0, 80.0, 20.0]
        );
    }

    #[test]
    fn a_scenario_with_a_typing_error_is_refused() {
        let text = "title = \"\"\nlength = \"1 hour\"\nphase = []\n";
        assert!(Scenario::parse(text).unwrap_err().to_string().contains("HH:MM:SS"));
    }
}
