//! Keys: which are settings, which are groups, and what somebody who wrote
//! another one may have meant.

use super::{
    check::shortened,
    ids,
    nearest::nearest,
    renamed::new_name,
    rules::{BUILT_IN, built_in},
    table::{SETTINGS, setting_of},
    values::rule_key,
    wire::Problem,
};

/// Whether further settings stand below this path.
pub(super) fn is_group(path: &[String]) -> bool {
    SETTINGS.iter().any(|s| {
        let mut parts = s.key.split('.');
        path.iter().all(|p| matches!(parts.next(), Some(part) if part == "*" || part == p))
            && parts.next().is_some()
    })
}

/// Keys and groups that somebody who wrote this path may have meant.
pub(super) fn known_beside(path: &[String]) -> Vec<String> {
    let mut known = Vec::new();
    let id = match path {
        [a, r, id, ..] if a == "alerts" && r == "rules" => Some(id.as_str()),
        _ => None,
    };
    for s in SETTINGS {
        let key = id.map_or_else(|| s.key.to_string(), |id| s.key.replace('*', id));
        let mut group = key.as_str();
        while let Some((parent, _)) = group.rsplit_once('.') {
            if !known.iter().any(|k| k == parent) {
                known.push(parent.to_string());
            }
            group = parent;
        }
        known.push(key);
    }
    known
}

/// What is wrong with a key given by itself, e.g. on the command line; `None`
/// where it is a setting.
pub fn judge_key(key: &str) -> Option<Problem> {
    let problem = |message: String, hint: Option<String>| {
        Some(Problem {
            key: Some(key.chars().take(120).collect()),
            message,
            hint,
            ..Problem::default()
        })
    };
    if setting_of(key).is_some() {
        let (id, field) = rule_key(key)?;
        if !ids::is_id(id) {
            return problem(
                format!(
                    "The id of a rule is 1 to {} of a-z, 0-9 and -. Found {}.",
                    ids::LONGEST,
                    shortened(id)
                ),
                ids::mend(id).map(|good| format!("Write {good}.")),
            );
        }
        return match built_in(id) {
            Some(rule) if !rule.has(field) => {
                let (message, hint) = no_such_field(id, field);
                problem(message, Some(hint))
            }
            None if field == "floor_gib" => {
                let (message, hint) = no_such_field(id, field);
                problem(message, Some(hint))
            }
            _ => None,
        };
    }
    let path: Vec<String> = key.split('.').map(Into::into).collect();
    let shown: String = key.chars().take(80).collect();
    if let Some(new) = new_name(key) {
        return problem(format!("{shown} is called {new} now."), Some(format!("Use {new}.")));
    }
    let hint = if is_group(&path) {
        "It is a group of settings; name one of them.".into()
    } else {
        match nearest(key, known_beside(&path).iter().map(String::as_str)) {
            Some(near) => format!("Did you mean {near}?"),
            None => "`plimsoll config schema` lists all settings.".into(),
        }
    };
    problem(format!("There is no setting {shown}."), Some(hint))
}

/// Words for a field that means nothing for a rule.
pub(super) fn no_such_field(id: &str, field: &str) -> (String, String) {
    let Some(rule) = built_in(id) else {
        return (
            format!("{id} is a rule of your own, and only disk-space has {field}."),
            "Take this line out.".into(),
        );
    };
    let fields: Vec<&str> = ["enabled", "threshold", "clear", "floor_gib", "for_s", "severity"]
        .into_iter()
        .filter(|f| rule.has(f))
        .collect();
    (
        format!("{id} comes with Plimsoll and has no {field}; it has {}.", fields.join(", ")),
        if matches!(field, "metric" | "below" | "subject" | "title") {
            "For a rule of your own choose another id.".into()
        } else {
            "Take this line out.".into()
        },
    )
}

/// A built-in rule's id that is like this one.
pub(super) fn like_built_in(id: &str) -> Option<&'static str> {
    nearest(id, BUILT_IN.iter().map(|b| b.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_by_itself_is_judged_like_one_in_the_file() {
        assert_eq!(judge_key("history.max_mib"), None);
        assert_eq!(judge_key("alerts.rules.gpu-hot.threshold"), None);
        let hint = |key| judge_key(key).unwrap().hint.unwrap();
        assert_eq!(hint("history.max_mb"), "Did you mean history.max_mib?");
        assert_eq!(hint("history.max_size_mib"), "Use history.max_mib.");
        assert!(hint("history.keep").contains("group"));
        assert!(judge_key("alerts.rules.gpu-lost.threshold").is_some());
        assert!(judge_key("alerts.rules.mine.floor_gib").is_some());
    }
}
