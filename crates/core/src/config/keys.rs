//! Keys: which are settings, which are groups, and what somebody who wrote
//! another one may have meant.

use super::{
    check::shortened,
    families::{Family, PLAIN, family_of},
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

/// The setting that somebody who wrote this path most likely meant: a whole key
/// that exists, never a group of settings.
pub(super) fn nearest_setting(path: &[String]) -> Option<String> {
    let known = settings_beside(path);
    nearest(&path.join("."), known.iter().map(String::as_str)).map(Into::into)
}

/// All keys that may stand where this path does. A rule of one's own has any id:
/// the one in the path is taken as it is.
fn settings_beside(path: &[String]) -> Vec<String> {
    let id = match path {
        [a, r, id, ..] if a == "alerts" && r == "rules" && ids::is_id(id) => Some(id.as_str()),
        _ => None,
    };
    let own = PLAIN.into_iter().find_map(|family| {
        let (id, rest) = family.id_in(path)?;
        (!rest.is_empty() && family.is_id(id)).then_some((family, id))
    });
    let mut known = Vec::new();
    for setting in SETTINGS {
        if let Some((family, ..)) = family_of(setting.key)
            && PLAIN.contains(&family)
        {
            let id = own.filter(|(of, _)| *of == family).map(|(_, id)| id);
            known.extend(id.map(|id| setting.key.replace('*', id)));
            continue;
        }
        let Some((_, field)) = rule_key(setting.key) else {
            known.push(setting.key.to_string());
            continue;
        };
        let has = |id: &str| built_in(id).map_or(field != "floor_gib", |rule| rule.has(field));
        let ids = id.into_iter().chain(BUILT_IN.iter().map(|rule| rule.id));
        known.extend(ids.filter(|id| has(id)).map(|id| setting.key.replace('*', id)));
    }
    known
}

/// Words for an id that none of a family may have, and the nearest that one may.
pub(super) fn bad_id(family: &Family, id: &str) -> (String, Option<String>) {
    let good = ids::mend(id).filter(|good| family.is_id(good));
    if ids::is_id(id) {
        let message = format!("{id} is a setting of all {}, and no id of one.", family.all);
        return (message, good);
    }
    (
        format!(
            "The id of a {} is 1 to {} of a-z, 0-9 and -. Found {}.",
            family.one,
            ids::LONGEST,
            shortened(id)
        ),
        good,
    )
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
        let (family, id, field) = family_of(key)?;
        if !family.is_id(id) {
            let (message, good) = bad_id(family, id);
            return problem(message, good.map(|good| format!("Write {good}.")));
        }
        if PLAIN.contains(&family) {
            return None;
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
    // Any word may be an id; one that is nearly a setting was most likely meant as it.
    let named = |family: &&Family| family.id_in(&path).is_some_and(|(_, rest)| rest.is_empty());
    let meant = PLAIN.iter().any(named).then(|| nearest_setting(&path)).flatten();
    let hint = if let Some(near) = meant {
        format!("Did you mean {near}?")
    } else if is_group(&path) {
        "It is a group of settings; name one of them.".into()
    } else {
        match nearest_setting(&path) {
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
    fn what_is_offered_is_a_setting_that_exists() {
        for path in [
            "alerts.rules.mine.x",
            "alerts.rules.gpu-lost.x",
            "alerts.x",
            "history.x",
            "services.llama.x",
            "services.x",
            "gateway.routes.fast.x",
            "gateway.clients.ide.x",
            "gateway.clients.x",
            "",
        ] {
            let path: Vec<String> = path.split('.').map(Into::into).collect();
            for key in settings_beside(&path) {
                assert_eq!(judge_key(&key), None, "{key}");
            }
        }
    }

    #[test]
    fn a_key_of_a_service_is_judged_by_its_id_and_its_field() {
        let hint = |key| judge_key(key).unwrap().hint.unwrap();
        assert_eq!(judge_key("services.llama.url"), None);
        assert_eq!(hint("services.llama.urll"), "Did you mean services.llama.url?");
        assert_eq!(hint("services.discovr"), "Did you mean services.discover?");
        assert!(hint("services.my-llama").contains("group"));
        assert_eq!(hint("services.My_llama.url"), "Write my-llama.");
        let taken = judge_key("services.discover.url").unwrap();
        assert!(taken.message.contains("no id of one"), "{}", taken.message);
    }

    #[test]
    fn a_key_of_a_route_or_a_client_is_judged_by_its_id_and_its_field() {
        let hint = |key| judge_key(key).unwrap().hint.unwrap();
        assert_eq!(judge_key("gateway.routes.fast.send_as"), None);
        assert_eq!(judge_key("gateway.clients.ide.program"), None);
        assert_eq!(hint("gateway.routes.fast.model"), "Did you mean gateway.routes.fast.models?");
        assert_eq!(
            hint("gateway.clients.max_in_fligt"),
            "Did you mean gateway.clients.max_in_flight?"
        );
        assert_eq!(hint("gateway.routes.My fast.models"), "Write my-fast.");
        assert!(hint("gateway.routes.fast").contains("group"));
    }

    #[test]
    fn a_key_by_itself_is_judged_like_one_in_the_file() {
        assert_eq!(judge_key("history.max_mib"), None);
        assert_eq!(judge_key("alerts.rules.gpu-hot.threshold"), None);
        let hint = |key| judge_key(key).unwrap().hint.unwrap();
        assert_eq!(hint("history.max_mb"), "Did you mean history.max_mib?");
        assert_eq!(hint("history.max_size_mib"), "Use history.max_mib.");
        assert!(hint("history.keep").contains("group"));
        // A group is not offered in place of a setting, however near it is.
        assert!(hint("history.speed").contains("lists all settings"));
        assert!(hint("history.kepe").contains("lists all settings"));
        assert_eq!(hint("history.raw_hours"), "Did you mean history.keep.raw_hours?");
        assert_eq!(
            hint("alerts.rule.gpu-hot.threshold"),
            "Did you mean alerts.rules.gpu-hot.threshold?"
        );
        assert_eq!(hint("alerts.rules.mine.for"), "`plimsoll config schema` lists all settings.");
        assert!(judge_key("alerts.rules.gpu-lost.threshold").is_some());
        assert!(judge_key("alerts.rules.mine.floor_gib").is_some());
    }
}
