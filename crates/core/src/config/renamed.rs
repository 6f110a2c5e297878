//! Keys that had another name once. Who still writes the old name is told the new one.

/// `(old key, new key)`; a `*` stands for an id and is carried over.
pub static RENAMED: &[(&str, &str)] = &[
    ("history.max_size_mib", "history.max_mib"),
    ("sampling.tick_ms", "sampling.interval_ms"),
    ("alerts.rules.*.duration_s", "alerts.rules.*.for_s"),
];

/// The name a key has today, where it had another one once.
pub fn new_name(key: &str) -> Option<String> {
    RENAMED.iter().find_map(|(old, new)| carried(old, new, key))
}

fn carried(old: &str, new: &str, key: &str) -> Option<String> {
    let mut id = None;
    let (mut pattern, mut parts) = (old.split('.'), key.split('.'));
    loop {
        match (pattern.next(), parts.next()) {
            (None, None) => break,
            (Some("*"), Some(part)) => id = Some(part),
            (Some(a), Some(b)) if a == b => {}
            _ => return None,
        }
    }
    Some(id.map_or_else(|| new.to_string(), |id| new.replace('*', id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::{setting, setting_of};

    #[test]
    fn old_names_lead_to_settings_and_are_none_themselves() {
        for (old, new) in RENAMED {
            assert!(setting(new).is_some(), "{new} is no setting");
            assert!(setting_of(old).is_none(), "{old} still is one");
        }
    }

    #[test]
    fn an_id_is_carried_over() {
        assert_eq!(
            new_name("alerts.rules.gpu-hot.duration_s").as_deref(),
            Some("alerts.rules.gpu-hot.for_s")
        );
        assert_eq!(new_name("history.max_mib"), None);
    }
}
