//! From text and environment to a configuration in force.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    environment::{Environment, Override},
    families::family_of,
    file,
    gateway_checks::judge_gateway,
    launch_checks::judge_launch,
    parse::{Entry, parse},
    rule_checks::judge_rules,
    service_checks::judge_services,
    typed::Config,
    values::Values,
    wire::{Origin, Problem, SettingState},
};

/// A text, read.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub text: String,
    pub digest: String,
    /// Always complete: what the text says if it is sound, the defaults if not,
    /// with the environment over it in both cases.
    pub config: Arc<Config>,
    pub settings: Vec<SettingState>,
    /// What is wrong with the text, then with the environment.
    pub problems: Vec<Problem>,
    /// The text is without fault. Where it is not, the caller keeps the last
    /// good one in force. A wrong variable is left out and does not count here.
    pub sound: bool,
}

/// Reads the file; one that is not there is an empty one.
pub fn load(path: &Path, environment: &Environment) -> Loaded {
    match file::read(path) {
        Ok(text) => Loaded::of(text, environment),
        Err(error) => {
            let mut loaded = Loaded::of(String::new(), environment);
            loaded.sound = false;
            loaded.problems.insert(
                0,
                Problem {
                    message: format!("{} cannot be read: {error}.", path.display()),
                    hint: Some("The last good configuration stays in force.".into()),
                    ..Problem::default()
                },
            );
            loaded
        }
    }
}

// === impl Loaded ===

impl Loaded {
    pub fn of(text: String, environment: &Environment) -> Self {
        let parsed = parse(&text);
        let mut problems = parsed.problems;
        let mut values = Values::default();
        let mut origins: BTreeMap<String, Origin> = BTreeMap::new();
        for entry in &parsed.entries {
            values.set(entry.key.clone(), entry.value.clone());
        }
        problems.extend(judge(&values, &parsed.entries));
        problems.sort_by_key(|p| (p.line, p.column));
        let sound = problems.is_empty();
        if sound {
            for entry in &parsed.entries {
                origins.insert(entry.key.clone(), Origin::File { line: entry.line });
            }
        } else {
            values = Values::default();
        }
        let (overrides, wrong) = environment.read();
        problems.extend(wrong);
        for group in by_table(overrides) {
            let mut with = values.clone();
            for o in &group {
                with.set(o.key.clone(), o.value.clone());
            }
            let refused = judge(&with, &[]);
            if refused.is_empty() {
                values = with;
                for o in group {
                    origins.insert(o.key, Origin::Environment { variable: o.variable });
                }
            } else {
                let names: Vec<_> = group.iter().map(|o| o.variable.as_str()).collect();
                problems.extend(refused.into_iter().map(|p| Problem {
                    message: format!("{}: {}", names.join(", "), p.message),
                    ..p
                }));
            }
        }
        let settings = values
            .keys()
            .into_iter()
            .filter_map(|(key, setting)| {
                Some(SettingState {
                    value: values.get(&key)?,
                    default: values.default_of(&key)?,
                    origin: origins.get(&key).cloned().unwrap_or(Origin::Default),
                    spec: setting.key.into(),
                    key,
                })
            })
            .collect();
        Self {
            digest: file::digest(&text),
            config: Arc::new(values.config()),
            settings,
            problems,
            sound,
            text,
        }
    }
}

/// What no single value shows.
fn judge(values: &Values, entries: &[Entry]) -> Vec<Problem> {
    let mut problems = judge_rules(values, entries);
    problems.extend(judge_services(values, entries));
    problems.extend(judge_launch(values, entries));
    problems.extend(judge_gateway(values, entries));
    problems
}

/// Variables of one rule, service, route or client belong together: each alone would be half of it.
fn by_table(overrides: Vec<Override>) -> Vec<Vec<Override>> {
    let mut groups: BTreeMap<String, Vec<Override>> = BTreeMap::new();
    for o in overrides {
        let name = match family_of(&o.key) {
            Some((family, id, _)) => format!("{} {id}", family.one),
            None => o.key.clone(),
        };
        groups.entry(name).or_default().push(o);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::wire::{Change, SettingValue};

    fn none() -> Environment {
        Environment::default()
    }

    fn read(text: &str) -> Loaded {
        Loaded::of(text.into(), &none())
    }

    fn change(key: &str, value: SettingValue) -> Change {
        Change { key: key.into(), value: Some(value) }
    }

    #[test]
    fn the_environment_overrides_the_file_and_the_file_the_defaults() {
        let environment = Environment::from_variables([("PLIMSOLL_HISTORY__KEEP__RAW_HOURS", "6")]);
        let loaded =
            Loaded::of("[history]\nmax_mib = 512\nkeep.raw_hours = 24\n".into(), &environment);
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.config.history.keep.raw_hours, 6);
        assert_eq!(loaded.config.history.max_mib, 512);
        assert_eq!(loaded.config.history.checkpoint_s, 10);
        let origin = |key| loaded.settings.iter().find(|s| s.key == key).unwrap().origin.clone();
        assert_eq!(origin("history.max_mib"), Origin::File { line: 2 });
        assert_eq!(origin("history.checkpoint_s"), Origin::Default);
        assert_eq!(
            origin("history.keep.raw_hours"),
            Origin::Environment { variable: "PLIMSOLL_HISTORY__KEEP__RAW_HOURS".into() }
        );
    }

    #[test]
    fn a_broken_text_leaves_a_complete_configuration() {
        let loaded = read("[history]\nmax_mib = 5\ncheckpoint_s = 3\n");
        assert!(!loaded.sound);
        assert_eq!(*loaded.config, Config::default(), "half a file is never in force");
    }

    #[test]
    fn a_wrong_variable_is_told_and_left_out() {
        let environment = Environment::from_variables([("PLIMSOLL_LOG__FILES", "lots")]);
        let loaded = Loaded::of("log.files = 3".into(), &environment);
        assert!(loaded.sound);
        assert_eq!(loaded.problems.len(), 1);
        assert_eq!(loaded.config.log.files, 3);
    }

    #[test]
    fn a_rule_of_ones_own_may_come_from_variables_alone() {
        let pair = [
            ("PLIMSOLL_ALERTS__RULES__MINE__METRIC", "cpu.busy"),
            ("PLIMSOLL_ALERTS__RULES__MINE__THRESHOLD", "95"),
        ];
        let loaded = Loaded::of(String::new(), &Environment::from_variables(pair));
        assert_eq!(loaded.config.alerts.rules["mine"].threshold, Some(95.0));
        let half = Loaded::of(String::new(), &Environment::from_variables(pair[1..].to_vec()));
        assert!(half.sound && half.problems.len() == 1);
        assert!(!half.config.alerts.rules.contains_key("mine"));
    }

    #[test]
    fn a_service_may_come_from_variables_alone_and_its_id_may_hold_a_hyphen() {
        let pair = [
            ("PLIMSOLL_SERVICES__MY_LLAMA__URL", "http://127.0.0.1:8080"),
            ("PLIMSOLL_SERVICES__MY_LLAMA__KIND", "llama-cpp"),
            ("PLIMSOLL_SERVICES__SCRAPE_MS", "2000"),
        ];
        let loaded = Loaded::of(String::new(), &Environment::from_variables(pair));
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.config.services.entries["my-llama"].kind, "llama-cpp");
        assert_eq!(loaded.config.services.scrape_ms, 2000);
        let half = Loaded::of(String::new(), &Environment::from_variables(pair[1..2].to_vec()));
        assert!(half.sound && half.problems.len() == 1);
        assert!(half.config.services.entries.is_empty());
    }

    /// Lines that look like a configuration, some of them wrong.
    fn lines() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("history".to_string()),
            Just("alerts.rules".into()),
            Just("max_mib".into()),
            Just("log".into()),
            Just("modules".into()),
            Just("\"a.b\"".into()),
            "[a-z0-9._\"'é-]{0,12}",
        ];
        let value = prop_oneof![
            Just("3".to_string()),
            Just("true".into()),
            Just("[\"a=debug\"]".into()),
            Just("{ x = 1 }".into()),
            Just("1e999".into()),
            Just("nan".into()),
            Just("1979-05-27T07:32:00Z".into()),
            "[\\PC]{0,12}",
        ];
        let line = (0..5u8, word.clone(), word, value).prop_map(|(kind, a, b, v)| match kind {
            0 => format!("[{a}.{b}]"),
            1 => format!("[[{a}]]"),
            2 => format!("{a}.{b} = {v}"),
            3 => v,
            _ => format!("{a} = {v} # {b}"),
        });
        proptest::collection::vec(line, 0..12).prop_map(|l| l.join("\n"))
    }

    proptest! {
        #[test]
        fn no_text_panics(text in prop_oneof![lines(), "\\PC*", "[\\[\\]{}=.\"'#\\n\\r\\t a-z0-9\\\\]{0,200}"]) {
            let loaded = read(&text);
            prop_assert_eq!(loaded.sound, loaded.problems.is_empty());
            let total = u32::try_from(text.lines().count() + 1).unwrap();
            for p in &loaded.problems {
                prop_assert!(p.line.is_none_or(|line| (1..=total).contains(&line)));
            }
            let _ = loaded.preview_changes(&[
                change("history.keep.raw_hours", SettingValue::Integer(3)),
                Change { key: "log.level".into(), value: None },
            ], &none());
        }

        #[test]
        fn a_change_to_a_sound_text_is_in_force_and_unset_takes_it_back(
            text in lines(), hours in 1i64..720,
        ) {
            let loaded = read(&text);
            if loaded.sound {
                let set = loaded.preview_changes(
                    &[change("history.keep.raw_hours", SettingValue::Integer(hours))], &none());
                prop_assert_eq!(&set.problems, &vec![]);
                let after = read(&set.text);
                prop_assert_eq!(i64::from(after.config.history.keep.raw_hours), hours);
                let unset = after.preview_changes(
                    &[Change { key: "history.keep.raw_hours".into(), value: None }], &none());
                prop_assert_eq!(read(&unset.text).config.history.keep.raw_hours, 48);
            }
        }
    }
}
