//! The configuration as the program reads it: plain structs, one field per
//! setting, always complete and within range.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{alert::Severity, log::LogLevel};

use super::{
    gateway::{Gateway, MaxInFlight},
    values::Values,
};

/// The whole configuration in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub sampling: Sampling,
    pub gpu: Gpu,
    pub power: Power,
    pub history: History,
    pub log: Log,
    pub alerts: Alerts,
    pub services: Services,
    pub gateway: Gateway,
    pub window: Window,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    pub interval_ms: u32,
    pub processes_ms: u32,
    pub disk_space_ms: u32,
    pub max_series: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    pub enabled: bool,
    /// Empty: look in the usual places.
    pub nvml_path: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    pub price_per_kwh: f64,
    pub currency: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    pub enabled: bool,
    pub max_mib: u64,
    pub keep: Keep,
    pub checkpoint_s: u32,
}

/// How long each level of the history is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    pub raw_hours: u32,
    pub s10_days: u32,
    pub m1_days: u32,
    pub m15_days: u32,
    pub h1_days: u32,
    pub marks_days: u32,
    pub log_days: u32,
    pub requests_days: u32,
    pub requests_mib: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub level: LogLevel,
    /// Each `module=level`; see [`Log::module_levels`].
    pub modules: Vec<String>,
    pub file_mib: u32,
    pub files: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    pub enabled: bool,
    pub notify: bool,
    pub notify_gap_min: u32,
    /// By id; every built-in rule is there, with a person's changes to it.
    pub rules: BTreeMap<String, Rule>,
}

/// One alert rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub enabled: bool,
    pub severity: Severity,
    /// Metric whose value is compared; empty for a built-in rule that works
    /// something out first. A person's own rule always has one of the catalogue.
    pub metric: String,
    /// Only this subject; empty: each of them.
    pub subject: String,
    /// Being below the threshold is what alerts.
    pub below: bool,
    /// In the metric's unit, or in that of [`super::BuiltIn::unit`]; `None`: it
    /// holds or it does not. A person's own rule always has one.
    pub threshold: Option<f64>,
    /// Value at which it ends; there whenever there is a threshold.
    pub clear: Option<f64>,
    /// Only for `disk-space`.
    pub floor_gib: Option<f64>,
    pub for_s: u32,
    /// Words of a person's own rule; may be empty.
    pub title: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    pub discover: bool,
    pub accept: Accept,
    pub scrape_ms: u32,
    pub timeout_ms: u32,
    pub max_body_kib: u32,
    /// By id: the tables `[services.ID]` with a url.
    pub entries: BTreeMap<String, ServiceEntry>,
    /// By id: those without one. They are for services that were found, if such there are.
    pub found: BTreeMap<String, ServiceLimits>,
}

/// What may be said of a service that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLimits {
    pub max_in_flight: MaxInFlight,
    /// 0: any number.
    pub max_tokens: u32,
}

/// What is done with a service that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    Ask,
    Always,
}

/// One service that stands in the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// Never empty.
    pub url: String,
    /// One of [`super::table::SERVICE_KINDS`]; `auto`: found out.
    pub kind: String,
    /// Empty: the id.
    pub name: String,
    /// Empty: it wants none.
    pub key_file: String,
    /// Empty: the system's trust.
    pub ca_file: String,
    pub enabled: bool,
    /// 0: what fits its kind.
    pub scrape_ms: u32,
    /// 0: what fits this machine.
    pub max_connections: u32,
    pub max_in_flight: MaxInFlight,
    /// 0: any number.
    pub max_tokens: u32,
    /// Program and arguments; empty: somebody else starts it.
    pub command: Vec<String>,
    /// Empty: the home folder.
    pub cwd: String,
    /// Each `NAME=value`, no name twice. The values may be secrets.
    pub env: Vec<String>,
    pub autostart: bool,
    pub order: u32,
    pub restart: Restart,
    pub stop_s: u32,
    /// 0: not known.
    pub vram_mib: u64,
    /// 0: the server's own; as in the next ones.
    pub context_tokens: u32,
    pub parallel: u32,
    /// `default`, or one that the kind knows: see [`super::launch::kv_types`].
    pub kv_type: String,
    /// -1: the server's own.
    pub gpu_layers: i32,
    pub gpu_memory_utilization: f64,
}

/// When a command that ended by itself is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    OnFailure,
    Always,
    Never,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub theme: Theme,
    pub close: OnClose,
    pub start_at_login: bool,
    pub start_hidden: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    System,
    Dark,
    Light,
}

/// What closing the window does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnClose {
    Tray,
    Quit,
    Ask,
}

// === impl Config ===

/// Every default of the table.
impl Default for Config {
    fn default() -> Self {
        Values::default().config()
    }
}

// === impl Services ===

impl Services {
    /// What is said of how much a service takes at once, whether it is named here or was found;
    /// `None` where nothing is.
    pub fn limits(&self, id: &str) -> Option<ServiceLimits> {
        let named = self.entries.get(id).map(|entry| ServiceLimits {
            max_in_flight: entry.max_in_flight,
            max_tokens: entry.max_tokens,
        });
        named.or_else(|| self.found.get(id).copied())
    }
}

// === impl Log ===

impl Log {
    /// `(module, level)` of every entry of `modules` that has both.
    pub fn module_levels(&self) -> impl Iterator<Item = (&str, LogLevel)> {
        self.modules.iter().filter_map(|entry| split_module(entry))
    }
}

/// Takes `module=level` apart; `None` where it is not that.
pub(super) fn split_module(entry: &str) -> Option<(&str, LogLevel)> {
    let (module, level) = entry.split_once('=')?;
    let (module, level) = (module.trim(), level.trim());
    let level = match level {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => return None,
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '-';
    (!module.is_empty() && module.chars().all(word)).then_some((module, level))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{rules::BUILT_IN, table::SETTINGS};
    use std::collections::BTreeSet;

    fn leaves(at: &str, value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (name, child) in map {
                    if name == "entries" {
                        leaves(&format!("{at}.*"), &child["x"], found);
                        continue;
                    }
                    let many = at == "alerts.rules" || at == "gateway.routes";
                    let name = if many { "*" } else { name };
                    let key = if at.is_empty() { name.into() } else { format!("{at}.{name}") };
                    leaves(&key, child, found);
                }
            }
            _ => {
                found.insert(at.into());
            }
        }
    }

    #[test]
    fn the_table_and_the_structs_have_the_same_settings() {
        let mut fields = BTreeSet::new();
        let mut values = Values::default();
        values.set("services.x.url", crate::config::wire::SettingValue::Text("http://x".into()));
        let text = |text: &str| crate::config::wire::SettingValue::Text(text.into());
        values.set("gateway.routes.x.send_as", text("y"));
        values.set("gateway.clients.x.program", text("y"));
        leaves("", &serde_json::to_value(values.config()).unwrap(), &mut fields);
        let table: BTreeSet<String> = SETTINGS.iter().map(|s| s.key.to_string()).collect();
        assert_eq!(fields, table);
    }

    #[test]
    fn every_built_in_rule_is_there_by_default() {
        let config = Config::default();
        for rule in BUILT_IN {
            assert_eq!(config.alerts.rules[rule.id], rule.rule());
        }
        assert_eq!(config.alerts.rules.len(), BUILT_IN.len());
        assert_eq!(config.history.keep.raw_hours, 48);
        assert_eq!(config.power.price_per_kwh, 0.30);
    }

    #[test]
    fn module_levels_are_taken_apart() {
        assert_eq!(split_module("plimsoll_history=debug").unwrap().1, LogLevel::Debug);
        assert_eq!(split_module("a::b = warn"), Some(("a::b", LogLevel::Warn)));
        for bad in ["", "=", "a=", "=info", "a=loud", "a b=info"] {
            assert_eq!(split_module(bad), None, "{bad:?}");
        }
    }
}
