//! What no single value shows: alert rules that are incomplete or contradict
//! themselves.

use super::{
    check::check_metric,
    keys::{like_built_in, no_such_field},
    parse::Entry,
    rules::built_in,
    values::{Values, rule_key},
    wire::{Problem, SettingValue},
};

/// Most rules of a person's own.
const MOST_RULES: usize = 200;

/// All problems of the rules; `entries` says where each value stands in the file.
pub(super) fn judge_rules(values: &Values, entries: &[Entry]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let at = |key: &str| entries.iter().find(|e| e.key == key);
    // Where a rule as a whole is meant, its first line is shown.
    let first = |id: &str| {
        entries
            .iter()
            .filter(|e| rule_key(&e.key).is_some_and(|(of, _)| of == id))
            .min_by_key(|e| e.line)
    };
    let problem =
        |place: Option<&Entry>, key: String, message: String, hint: Option<String>| Problem {
            line: place.map(|e| e.line),
            column: place.map(|e| e.column),
            key: Some(key),
            message,
            hint,
            mend: None,
        };
    for (key, value) in values.iter() {
        let Some((id, field)) = rule_key(key) else { continue };
        let known = built_in(id).map_or(field != "floor_gib", |rule| rule.has(field));
        if !known {
            let (message, hint) = no_such_field(id, field);
            problems.push(problem(at(key), key.clone(), message, Some(hint)));
        } else if let ("metric", SettingValue::Text(name)) = (field, value)
            && !name.is_empty()
            && let Err(refusal) = check_metric(name)
        {
            let message = format!("{key} {}", refusal.message);
            problems.push(problem(at(key), key.clone(), message, refusal.hint));
        }
    }
    let ids = values.rule_ids();
    let own: Vec<&String> = ids.iter().filter(|id| built_in(id).is_none()).collect();
    if own.len() > MOST_RULES {
        problems.push(problem(
            None,
            "alerts.rules".into(),
            format!("There are {} rules of your own; at most {MOST_RULES} are kept.", own.len()),
            None,
        ));
        return problems;
    }
    for id in own {
        let key = |field: &str| format!("alerts.rules.{id}.{field}");
        let named =
            matches!(values.own(&key("metric")), Some(SettingValue::Text(m)) if !m.is_empty());
        if !named {
            let hint = match like_built_in(id) {
                Some(near) => format!("Did you mean the rule {near}?"),
                None => "For example metric = \"gpu.temperature\".".into(),
            };
            let message = format!("{id} is a rule of your own and needs a metric to watch.");
            problems.push(problem(first(id), key("metric"), message, Some(hint)));
        } else if values.own(&key("threshold")).is_none() {
            let message = format!("{id} is a rule of your own and needs a threshold.");
            problems.push(problem(first(id), key("threshold"), message, None));
        }
    }
    for id in &ids {
        let key = |field: &str| format!("alerts.rules.{id}.{field}");
        let below = match built_in(id) {
            Some(rule) => rule.below,
            None => values.own(&key("below")) == Some(&SettingValue::Switch(true)),
        };
        if let (Some(SettingValue::Number(threshold)), Some(SettingValue::Number(clear))) =
            (values.get(&key("threshold")), values.own(&key("clear")))
            && (if below { *clear < threshold } else { *clear > threshold })
        {
            let (word, side) = if below { ("below", "least") } else { ("above", "most") };
            problems.push(problem(
                at(&key("clear")),
                key("clear"),
                format!(
                    "{} is at {side} the threshold, {threshold}: {id} alerts {word} it. Found {clear}.",
                    key("clear")
                ),
                Some("Take the line out to let it follow the threshold.".into()),
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, Loaded};

    fn read(text: &str) -> Loaded {
        Loaded::of(text.into(), &Environment::default())
    }

    #[test]
    fn a_rule_of_ones_own_needs_metric_and_threshold() {
        let loaded = read("[alerts.rules.mine]\nthreshold = 80\n");
        assert_eq!(loaded.problems[0].line, Some(2));
        assert!(loaded.problems[0].message.contains("needs a metric"));
        let loaded = read("[alerts.rules.mine]\nmetric = \"gpu.temperature\"\n");
        assert!(loaded.problems[0].message.contains("needs a threshold"));
        let loaded = read("[alerts.rules.mine]\nmetric = \"gpu.temprature\"\nthreshold = 1\n");
        assert_eq!(loaded.problems[0].hint.as_deref(), Some("Did you mean gpu.temperature?"));
        let loaded = read("[alerts.rules.gpu-hto]\nthreshold = 1\n");
        assert_eq!(loaded.problems[0].hint.as_deref(), Some("Did you mean the rule gpu-hot?"));
        let loaded =
            read("[alerts.rules.mine]\nmetric = \"gpu.temperature\"\nthreshold = 80\nclear = 75\n");
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.config.alerts.rules["mine"].clear, Some(75.0));
    }

    #[test]
    fn an_alert_that_would_never_end_is_refused() {
        let loaded = read("[alerts.rules.memory-warn]\nclear = 90\n");
        assert!(loaded.problems[0].message.contains("at most the threshold, 70"));
        let loaded = read("[alerts.rules.disk-space]\nclear = 5\n");
        assert!(loaded.problems[0].message.contains("at least the threshold, 10"));
        assert_eq!(read("[alerts.rules.gpu-hot]\nthreshold = 80\n").problems, []);
    }

    #[test]
    fn a_field_that_means_nothing_for_a_built_in_rule_is_refused() {
        let loaded = read("[alerts.rules.gpu-lost]\nthreshold = 1\n");
        assert_eq!(
            loaded.problems[0].message,
            "gpu-lost comes with Plimsoll and has no threshold; it has enabled, for_s, severity."
        );
    }
}
