//! What a change to the text would do; nothing is written.

use std::collections::BTreeMap;

use super::{
    Loaded,
    diff::diff,
    edit::edit,
    environment::{Environment, Override, variable_of},
    keys::judge_key,
    table::setting_of,
    wire::{Change, Changed, Preview, Problem, SettingState, SettingValue},
};

// === impl Loaded ===

impl Loaded {
    /// What the changes would do to this text; nothing is written.
    pub fn preview_changes(&self, changes: &[Change], environment: &Environment) -> Preview {
        let mut problems = Vec::new();
        let (overrides, _) = environment.read();
        for change in changes {
            // An unknown key may be taken out: that is how it is mended.
            if let (Some(problem), Some(_)) = (judge_key(&change.key), &change.value) {
                problems.push(problem);
            } else if let Some(o) = overrides.iter().find(|o| o.key == change.key) {
                problems.push(overridden(o));
            }
        }
        if problems.is_empty() {
            match edit(&self.text, changes) {
                Ok(text) => return self.preview_text(text, environment),
                Err(error) => {
                    problems.push(Problem { message: error.to_string(), ..Problem::default() });
                    problems.extend(self.problems.iter().cloned());
                }
            }
        }
        Preview { text: self.text.clone(), diff: Vec::new(), problems, restart: Vec::new() }
    }

    /// What a new text would do in place of this one; nothing is written.
    pub fn preview_text(&self, text: String, environment: &Environment) -> Preview {
        let next = Loaded::of(text, environment);
        let restart = if next.sound {
            needs_restart(&changed_between(&self.settings, &next.settings))
        } else {
            Vec::new()
        };
        // A wrong variable is wrong with every text; it says nothing against this one.
        let problems = if next.sound { Vec::new() } else { next.problems };
        Preview { diff: diff(&self.text, &next.text), text: next.text, problems, restart }
    }
}

fn overridden(o: &Override) -> Problem {
    let (by, hint) = match o.variable.starts_with("--") {
        true => (
            o.variable.clone(),
            format!("Start Plimsoll without {}, and the file counts.", o.variable),
        ),
        false => (
            format!("the environment variable {}", o.variable),
            format!("Unset {} and start Plimsoll again.", variable_of(&o.key)),
        ),
    };
    Problem {
        key: Some(o.key.clone()),
        message: format!("{} is set by {by}; the file has no say in it.", o.key),
        hint: Some(hint),
        ..Problem::default()
    }
}

/// Settings whose value differs; one that is on one side only is compared with its default.
pub fn changed_between(old: &[SettingState], new: &[SettingState]) -> Vec<Changed> {
    let index = |states: &[SettingState]| -> BTreeMap<String, SettingValue> {
        states.iter().map(|s| (s.key.clone(), s.value.clone())).collect()
    };
    let (before, after) = (index(old), index(new));
    let order = new.iter().chain(old.iter().filter(|s| !after.contains_key(&s.key)));
    order
        .filter_map(|s| {
            let default = || setting_of(&s.key).map(|s| s.default.value());
            let old = before.get(&s.key).cloned().or_else(default)?;
            let new = after.get(&s.key).cloned().or_else(default)?;
            (old != new).then(|| Changed { key: s.key.clone(), old, new })
        })
        .collect()
}

/// The keys among them that apply only after a restart.
pub fn needs_restart(changed: &[Changed]) -> Vec<String> {
    let waits = |c: &&Changed| setting_of(&c.key).is_some_and(|s| !s.live);
    changed.iter().filter(waits).map(|c| c.key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_preview_shows_the_diff_and_what_needs_a_restart() {
        let loaded = read("# mine\n");
        let preview = loaded.preview_changes(
            &[
                change("gpu.nvml_path", SettingValue::Text("/opt/libnvidia-ml.so".into())),
                change("log.files", SettingValue::Integer(3)),
            ],
            &none(),
        );
        assert_eq!(preview.problems, []);
        assert_eq!(preview.restart, ["gpu.nvml_path"]);
        assert!(preview.text.contains("# mine") && preview.text.contains("files = 3"));
        assert!(!preview.diff.is_empty());
    }

    #[test]
    fn a_preview_refuses_wrong_keys_values_and_locked_settings() {
        let environment = Environment::from_variables([("PLIMSOLL_LOG__FILES", "4")]);
        let loaded = Loaded::of(String::new(), &environment);
        let problem = |key, value| {
            let preview = loaded.preview_changes(&[change(key, value)], &environment);
            assert_eq!(preview.problems.len(), 1, "{preview:?}");
            preview.problems[0].message.clone()
        };
        assert!(problem("log.files", SettingValue::Integer(3)).contains("PLIMSOLL_LOG__FILES"));
        assert!(problem("log.file", SettingValue::Integer(3)).contains("no setting"));
        assert!(problem("log.file_mib", SettingValue::Integer(0)).contains("1 to 1024"));
    }

    #[test]
    fn an_unknown_key_can_be_taken_out_by_a_change() {
        let loaded = read("[log]\nfilez = 3\n");
        let preview =
            loaded.preview_changes(&[Change { key: "log.filez".into(), value: None }], &none());
        assert_eq!((preview.problems, preview.text.as_str()), (vec![], "[log]\n"));
    }

    #[test]
    fn what_changed_is_found_on_both_sides() {
        let old = read("[alerts.rules.mine]\nmetric = \"cpu.busy\"\nthreshold = 90\n");
        let new = read("log.files = 3");
        let keys: Vec<_> =
            changed_between(&old.settings, &new.settings).into_iter().map(|c| c.key).collect();
        assert!(
            keys.contains(&"log.files".into()) && keys.contains(&"alerts.rules.mine.metric".into())
        );
        assert_eq!(changed_between(&new.settings, &new.settings), []);
    }
}
