//! Scenarios, read from embedded TOML files.

use std::{collections::BTreeMap, fmt};

use plimsoll_core::mark::MarkKind;
use serde::{Deserialize, Deserializer, de};

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
