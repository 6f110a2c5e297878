//! Settings from environment variables: `PLIMSOLL_` and the key in upper case,
//! `.` as `__` and `-` as `_`, e.g. `PLIMSOLL_ALERTS__RULES__GPU_HOT__FOR_S`.

use super::{
    check::{allowed, check, shortened},
    families,
    keys::{judge_key, nearest_setting},
    setting::{Accepts, Setting},
    table::setting_of,
    wire::{Problem, SettingValue},
};

const PREFIX: &str = "PLIMSOLL_";

/// Longest value that is read from a variable.
const LONGEST: usize = 64 * 1024;

/// The variables that may hold settings, as they were at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(String, String)>,
    /// What was said at the start, e.g. `--gateway`, with the key and the value.
    flags: Vec<(String, String, String)>,
}

/// A checked value of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    pub variable: String,
    pub key: String,
    pub value: SettingValue,
}

/// The variable that overrides a key.
pub fn variable_of(key: &str) -> String {
    let mut name = String::from(PREFIX);
    for c in key.chars() {
        match c {
            '.' => name.push_str("__"),
            '-' => name.push('_'),
            c => name.push(c.to_ascii_uppercase()),
        }
    }
    name
}

/// The key a variable stands for, whether or not there is such a setting.
/// `None` for a variable that is no setting at all, like `PLIMSOLL_DATA_DIR`.
fn key_of(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?;
    if !rest.contains("__") {
        return None;
    }
    let mut parts: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
    // Ids hold no underscore and keys no hyphen, so the way back is certain.
    for family in families::every() {
        let named = family.id_in(&parts).is_some_and(|(_, rest)| rest.len() == 1);
        if let (true, Some(id)) = (named, parts.iter_mut().rev().nth(1)) {
            *id = id.replace('_', "-");
        }
    }
    Some(parts.join("."))
}

// === impl Environment ===

impl Environment {
    /// This process's variables.
    pub fn of_process() -> Self {
        Self::from_variables(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        }))
    }

    pub fn from_variables(
        variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let mut variables: Vec<(String, String)> = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        variables.sort();
        Self { variables, flags: Vec::new() }
    }

    /// With a setting that a flag of the command line names: it goes before a variable, and
    /// is locked as one is.
    #[must_use]
    pub fn with_flag(mut self, flag: &str, key: &str, value: &str) -> Self {
        self.flags.push((flag.into(), key.into(), value.into()));
        self
    }

    /// Checked values, and what is wrong with the others. A variable that is
    /// wrong is left out; it never takes the file down with it.
    pub fn read(&self) -> (Vec<Override>, Vec<Problem>) {
        let (mut overrides, mut problems) = (Vec::new(), Vec::new());
        let is_flagged = |key: &str| self.flags.iter().any(|(_, flagged, _)| flagged == key);
        let variables = self.variables.iter().filter_map(|(variable, text)| {
            let key = key_of(variable).filter(|key| !is_flagged(key))?;
            Some((variable, key, text))
        });
        let flags = self.flags.iter().map(|(flag, key, text)| (flag, key.clone(), text));
        for (variable, key, text) in variables.chain(flags) {
            match read_one(variable, &key, text) {
                Ok(value) => overrides.push(Override { variable: variable.clone(), key, value }),
                Err(problem) => problems.push(problem),
            }
        }
        (overrides, problems)
    }
}

fn read_one(variable: &str, key: &str, text: &str) -> Result<SettingValue, Problem> {
    let problem = |message: String, hint: Option<String>| Problem {
        key: Some(key.to_string()),
        message,
        hint,
        ..Problem::default()
    };
    if let Some(judged) = judge_key(key) {
        let path: Vec<String> = key.split('.').map(Into::into).collect();
        let hint = match nearest_setting(&path).filter(|_| setting_of(key).is_none()) {
            Some(near) => Some(format!("Did you mean {}?", variable_of(&near))),
            None => judged.hint,
        };
        return Err(problem(format!("{variable}: {}", judged.message), hint));
    }
    let Some(setting) = setting_of(key) else {
        return Err(problem(format!("{variable}: there is no setting {key}."), None));
    };
    if text.len() > LONGEST {
        return Err(problem(
            format!("{variable} holds {} bytes; at most {LONGEST} are read.", text.len()),
            None,
        ));
    }
    let Some(value) = value_of(setting, text) else {
        return Err(problem(
            format!("{variable} ({key}) is {}. Found {}.", allowed(setting), shortened(text)),
            Some(format!("Unset it, or: export {variable}={}", plain(&setting.default.value()))),
        ));
    };
    check(setting, value).map_err(|refusal| {
        problem(
            format!("{variable} ({key}) {}", refusal.message),
            Some(format!("Unset it, or: export {variable}={}", plain(&setting.default.value()))),
        )
    })
}

/// What a person types, as a value of that setting: from a variable or the
/// command line. `None` where it is not of that type at all.
pub fn value_of(setting: &Setting, text: &str) -> Option<SettingValue> {
    let text = text.trim();
    Some(match setting.accepts {
        Accepts::Switch => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => SettingValue::Switch(true),
            "false" | "0" | "off" | "no" => SettingValue::Switch(false),
            _ => return None,
        },
        Accepts::Whole { .. } => SettingValue::Integer(text.replace('_', "").parse().ok()?),
        Accepts::WholeOr { .. } => match text.replace('_', "").parse() {
            Ok(number) => SettingValue::Integer(number),
            Err(_) => SettingValue::Text(text.into()),
        },
        Accepts::Number { .. } => SettingValue::Number(text.replace('_', "").parse().ok()?),
        Accepts::Text { .. } | Accepts::Path | Accepts::Choice(_) => {
            SettingValue::Text(text.into())
        }
        Accepts::List { .. } => SettingValue::List(array_of(text).unwrap_or_else(|| {
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(Into::into).collect()
        })),
    })
}

/// A list written as in the file: its texts may hold commas.
fn array_of(text: &str) -> Option<Vec<String>> {
    let value: toml_edit::Value = text.starts_with('[').then(|| text.parse().ok())??;
    value.as_array()?.iter().map(|text| text.as_str().map(Into::into)).collect()
}

/// A text that stands between commas as it is.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(',') && !text.starts_with('[')
}

/// A value as it is typed, without quotes.
pub fn plain(value: &SettingValue) -> String {
    match value {
        SettingValue::Text(v) => v.clone(),
        SettingValue::List(v) if v.iter().all(|text| is_plain(text)) => v.join(","),
        other => super::toml_value(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BUILT_IN, Config, Loaded, Values};
    use proptest::prelude::*;

    #[test]
    fn a_command_with_a_comma_in_a_word_is_typed_as_in_the_file_and_read_back() {
        let setting = setting_of("services.x.command").unwrap();
        let words = SettingValue::List(vec!["llama-server".into(), "-ts".into(), "3,1".into()]);
        let typed = plain(&words);
        assert_eq!(typed, "[\"llama-server\", \"-ts\", \"3,1\"]");
        assert_eq!(value_of(setting, &typed), Some(words));
        let simple = SettingValue::List(vec!["redis-server".into(), "--port".into(), "0".into()]);
        assert_eq!(value_of(setting, "redis-server, --port,0"), Some(simple));
    }

    #[test]
    fn a_variable_for_a_command_never_stands_in_a_message_with_its_value() {
        for text in ["hush", "[\"hush", "1=hush", "[\"OK=1\", \"hush\"]"] {
            let environment = Environment::from_variables([("PLIMSOLL_SERVICES__X__ENV", text)]);
            let (overrides, problems) = environment.read();
            assert!(overrides.is_empty() && problems.len() == 1, "{text}");
            assert!(!format!("{problems:?}").contains("hush"), "{problems:?}");
        }
    }

    #[test]
    fn a_flag_goes_before_the_file_and_a_variable_and_says_its_own_name() {
        let variable = ("PLIMSOLL_GATEWAY__ADDRESS", "127.0.0.1:2");
        let environment = Environment::from_variables([variable]).with_flag(
            "--gateway",
            "gateway.address",
            "127.0.0.1:3",
        );
        let text = "gateway.address = \"127.0.0.1:1\"\ngateway.also = [\"127.0.0.9:1\"]\n";
        let loaded = Loaded::of(text.into(), &environment);
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.config.gateway.address, "127.0.0.1:3");
        assert_eq!(loaded.config.gateway.also, ["127.0.0.9:1"], "it names no other setting");
        let origin = |key: &str| {
            let found = loaded.settings.iter().find(|state| state.key == key);
            found.unwrap().origin.clone()
        };
        let flag = crate::config::wire::Origin::Environment { variable: "--gateway".into() };
        assert_eq!(origin("gateway.address"), flag);
        assert_ne!(origin("gateway.also"), flag);
    }

    // AR9: every limit can be set by environment
    #[test]
    fn every_setting_has_a_variable_that_sets_it() {
        for (key, setting) in Values::default().keys() {
            let value = Values::default().get(&key).unwrap();
            let environment = Environment::from_variables([(variable_of(&key), plain(&value))]);
            let (overrides, problems) = environment.read();
            assert_eq!(problems, [], "{key}");
            assert_eq!(overrides[0].key, key);
            assert_eq!(overrides[0].value, check(setting, value).unwrap());
        }
        assert!(!BUILT_IN.is_empty());
    }

    #[test]
    fn ids_lose_and_regain_their_hyphens() {
        let key = "alerts.rules.gpu-throttle-thermal.for_s";
        assert_eq!(variable_of(key), "PLIMSOLL_ALERTS__RULES__GPU_THROTTLE_THERMAL__FOR_S");
        assert_eq!(key_of(&variable_of(key)).as_deref(), Some(key));
        assert_eq!(key_of("PLIMSOLL_DATA_DIR"), None);
        assert_eq!(key_of("HOME"), None);
    }

    #[test]
    fn a_wrong_variable_is_named_with_its_key_value_and_range() {
        let (overrides, problems) = Environment::from_variables([
            ("PLIMSOLL_HISTORY__KEEP__RAW_HOURS", "two"),
            ("PLIMSOLL_HISTORY__MAX_MB", "100"),
            ("PLIMSOLL_LOG__FILES", "3"),
        ])
        .read();
        assert_eq!(overrides.len(), 1);
        assert_eq!(
            problems[0].message,
            "PLIMSOLL_HISTORY__KEEP__RAW_HOURS (history.keep.raw_hours) is a whole number, \
             1 to 720 h. Found \"two\"."
        );
        assert_eq!(problems[1].hint.as_deref(), Some("Did you mean PLIMSOLL_HISTORY__MAX_MIB?"));
    }

    proptest! {
        #[test]
        fn no_variable_panics_or_leaves_the_range(
            index in 0..Values::default().keys().len(), text in "\\PC{0,20}|-?[0-9._e]{0,20}",
        ) {
            let (key, _) = Values::default().keys()[index].clone();
            let environment = Environment::from_variables([(variable_of(&key), text)]);
            let loaded = Loaded::of(String::new(), &environment);
            prop_assert!(loaded.sound);
            if !loaded.problems.is_empty() {
                prop_assert_eq!(&*loaded.config, &Config::default());
            }
        }
    }
}
