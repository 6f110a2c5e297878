//! The settings as one flat map, from which the typed configuration is made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    families::{CLIENTS, Family, PLAIN, ROUTES, RULES, SERVICES},
    rules::{BUILT_IN, built_in},
    setting::Setting,
    table::{SETTINGS, setting_of},
    typed::Config,
    wire::SettingValue,
};

/// Values that were set, by concrete key; everything else is at its default.
/// Whoever fills it has checked key and value against the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    set: BTreeMap<String, SettingValue>,
}

/// What may be said of a service that was found, which has no url of its own here.
pub const OF_FOUND: [&str; 2] = ["max_in_flight", "max_tokens"];
/// Where the typed configuration keeps it.
const FOUND: &str = "services.found";

/// `alerts.rules.<id>.<field>` taken apart.
pub(super) fn rule_key(key: &str) -> Option<(&str, &str)> {
    RULES.split(key)
}

// === impl Values ===

impl Values {
    pub fn set(&mut self, key: impl Into<String>, value: SettingValue) {
        self.set.insert(key.into(), value);
    }

    /// The value that was set, or `None` where the default holds.
    pub fn own(&self, key: &str) -> Option<&SettingValue> {
        self.set.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &SettingValue)> {
        self.set.iter()
    }

    /// Ids of all rules: the built-in ones in their order, then a person's own.
    pub fn rule_ids(&self) -> Vec<String> {
        let own: BTreeSet<&str> = self
            .set
            .keys()
            .filter_map(|key| rule_key(key))
            .map(|(id, _)| id)
            .filter(|id| built_in(id).is_none())
            .collect();
        BUILT_IN.iter().map(|b| b.id).chain(own).map(Into::into).collect()
    }

    /// Ids of the services that something is said of.
    pub fn service_ids(&self) -> Vec<String> {
        self.ids_of(&SERVICES)
    }

    /// Ids of the gateway's routes.
    pub fn route_ids(&self) -> Vec<String> {
        self.ids_of(&ROUTES)
    }

    /// Ids of the gateway's clients.
    pub fn client_ids(&self) -> Vec<String> {
        self.ids_of(&CLIENTS)
    }

    /// Ids of a family's members that something is said of.
    pub(super) fn ids_of(&self, family: &Family) -> Vec<String> {
        let ids: BTreeSet<&str> =
            self.set.keys().filter_map(|key| family.split(key)).map(|(id, _)| id).collect();
        ids.into_iter().map(Into::into).collect()
    }

    /// Whether what is said of that id is said of a service that was found: it has no url.
    fn is_of_found(&self, family: &Family, id: &str) -> bool {
        let url = || self.own(&format!("{}.{id}.url", family.prefix));
        *family == SERVICES && !matches!(url(), Some(SettingValue::Text(url)) if !url.is_empty())
    }

    /// Every concrete key that has a meaning now, with its setting, in the table's order.
    pub fn keys(&self) -> Vec<(String, &'static Setting)> {
        let mut keys = Vec::new();
        for s in SETTINGS.iter().filter(|s| !s.is_pattern()) {
            keys.push((s.key.to_string(), s));
        }
        for id in self.rule_ids() {
            for s in rule_settings() {
                let key = s.key.replace('*', &id);
                if self.default_of(&key).is_some() {
                    keys.push((key, s));
                }
            }
        }
        for family in PLAIN {
            for id in self.ids_of(family) {
                keys.extend(family.settings().map(|s| (s.key.replace('*', &id), s)));
            }
        }
        keys
    }

    /// The value in force; `None` for a key that is no setting, or one that
    /// means nothing for that built-in rule.
    pub fn get(&self, key: &str) -> Option<SettingValue> {
        self.own(key).cloned().or_else(|| self.default_of(key))
    }

    /// The default of this very key. The end of an alert follows its threshold:
    /// one that was moved alone would otherwise never end, or at once.
    pub fn default_of(&self, key: &str) -> Option<SettingValue> {
        let declared = setting_of(key)?;
        let Some((id, field)) = rule_key(key) else { return Some(declared.default.value()) };
        let threshold = || match self.own(&format!("alerts.rules.{id}.threshold")) {
            Some(SettingValue::Number(n)) => Some(*n),
            _ => None,
        };
        let Some(built_in) = built_in(id) else {
            return match field {
                "floor_gib" => None,
                "clear" => Some(SettingValue::Number(threshold().unwrap_or(0.0))),
                _ => Some(declared.default.value()),
            };
        };
        if !built_in.has(field) {
            return None;
        }
        Some(match (field, built_in.limits) {
            ("for_s", _) => SettingValue::Integer(i64::from(built_in.for_s)),
            ("severity", _) => SettingValue::Text(severity_word(built_in.severity).into()),
            ("threshold", Some((at, _))) => SettingValue::Number(at),
            ("clear", Some((at, clear))) => {
                // A share of nothing, or of less than nothing, would stand on the wrong side.
                let follow = |own: f64| if own > 0.0 { own * (clear / at) } else { own };
                SettingValue::Number(threshold().map_or(clear, follow))
            }
            ("floor_gib", _) => SettingValue::Number(built_in.floor_gib?),
            _ => declared.default.value(),
        })
    }

    /// The typed configuration.
    pub fn config(&self) -> Config {
        let mut root = Map::new();
        for s in SETTINGS.iter().filter(|s| !s.is_pattern()) {
            let value = self.get(s.key).unwrap_or_else(|| s.default.value());
            insert(&mut root, s.key, to_json(value));
        }
        for id in self.rule_ids() {
            let mut rule = Map::new();
            for s in rule_settings() {
                let field = s.key.rsplit('.').next().unwrap_or_default();
                let value = self.get(&s.key.replace('*', &id)).map_or(Value::Null, to_json);
                rule.insert(field.into(), value);
            }
            if let Some(b) = built_in(&id) {
                // Fixed for a built-in rule, and so no settings of it.
                rule.insert("metric".into(), json!(b.metric));
                rule.insert("below".into(), json!(b.below));
                rule.insert("subject".into(), json!(""));
                rule.insert("title".into(), json!(""));
            }
            insert(&mut root, &format!("alerts.rules.{id}"), Value::Object(rule));
        }
        insert(&mut root, FOUND, Value::Object(Map::new()));
        for family in PLAIN {
            insert(&mut root, family.at, Value::Object(Map::new()));
            for id in self.ids_of(family) {
                let at = if self.is_of_found(family, &id) { FOUND } else { family.at };
                let mut entry = Map::new();
                for s in family.settings() {
                    let field = s.key.rsplit('.').next().unwrap_or_default();
                    if at == FOUND && !OF_FOUND.contains(&field) {
                        continue;
                    }
                    let value = self.get(&s.key.replace('*', &id)).map_or(Value::Null, to_json);
                    entry.insert(field.into(), value);
                }
                insert(&mut root, &format!("{at}.{id}"), Value::Object(entry));
            }
        }
        #[expect(
            clippy::expect_used,
            reason = "table and structs have the same keys and types, which tests hold true, and \
                      every value was checked against the table before it came in here"
        )]
        serde_json::from_value(Value::Object(root)).expect("table and structs agree")
    }
}

fn severity_word(severity: crate::alert::Severity) -> &'static str {
    use crate::alert::Severity;
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn to_json(value: SettingValue) -> Value {
    match value {
        SettingValue::Switch(v) => json!(v),
        SettingValue::Integer(v) => json!(v),
        SettingValue::Number(v) => json!(v),
        SettingValue::Text(v) => json!(v),
        SettingValue::List(v) => json!(v),
    }
}

fn insert(root: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            root.insert(key.into(), value);
        }
        Some((head, rest)) => {
            let child = root.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(child) = child {
                insert(child, rest, value);
            }
        }
    }
}

/// The settings of every rule.
pub(super) fn rule_settings() -> impl Iterator<Item = &'static Setting> {
    RULES.settings()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_alert_follows_a_threshold_that_was_moved_alone() {
        let mut values = Values::default();
        values.set("alerts.rules.self-memory.threshold", SettingValue::Number(1000.0));
        let rule = &values.config().alerts.rules["self-memory"];
        assert_eq!(rule.clear, Some(875.0));
        assert_eq!(rule.threshold, Some(1000.0));
    }

    #[test]
    fn a_service_of_which_one_thing_is_said_has_all_its_settings() {
        let mut values = Values::default();
        assert!(values.config().services.entries.is_empty());
        values.set("services.llama.url", SettingValue::Text("http://127.0.0.1:8080".into()));
        let config = values.config();
        let entry = &config.services.entries["llama"];
        assert_eq!((entry.url.as_str(), entry.kind.as_str()), ("http://127.0.0.1:8080", "auto"));
        assert!(entry.enabled);
        let keys: Vec<String> = values.keys().into_iter().map(|(key, _)| key).collect();
        assert!(keys.contains(&"services.llama.key_file".into()));
    }

    #[test]
    fn what_is_said_without_a_url_is_said_of_a_service_that_was_found() {
        let mut values = Values::default();
        values.set("services.tiny.max_in_flight", SettingValue::Integer(2));
        let services = values.config().services;
        assert!(services.entries.is_empty());
        let limits = services.limits("tiny").unwrap();
        assert_eq!((limits.max_in_flight.number(), limits.max_tokens), (Some(2), 0));
        assert_eq!(services.limits("other"), None);
        values.set("services.tiny.url", SettingValue::Text("http://127.0.0.1:1".into()));
        let services = values.config().services;
        assert!(services.found.is_empty());
        assert_eq!(services.limits("tiny"), Some(limits));
    }

    #[test]
    fn fields_that_mean_nothing_for_a_built_in_rule_are_no_settings_of_it() {
        let values = Values::default();
        assert_eq!(values.get("alerts.rules.gpu-lost.threshold"), None);
        assert_eq!(values.get("alerts.rules.gpu-hot.metric"), None);
        assert_eq!(values.get("alerts.rules.gpu-hot.floor_gib"), None);
        assert!(values.get("alerts.rules.disk-space.floor_gib").is_some());
        assert!(values.keys().iter().all(|(key, _)| values.get(key).is_some()));
    }
}
