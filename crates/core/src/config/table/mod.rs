//! Every setting, declared once. The defaults file, the schema, the forms, the
//! names of environment variables and `docs/settings.md` are made from here.

mod admission;
mod alerts;
mod gateway;
mod history;
mod launch;
mod sampling;
mod services;
mod window;

use super::setting::{Named, Setting};
use super::wire::SettingSpec;

pub use self::{
    gateway::{POLICIES, QUESTIONS},
    launch::KV_TYPES,
    services::SERVICE_KINDS,
};

const SECTIONS: [&[Setting]; 9] = [
    sampling::ENTRIES,
    history::ENTRIES,
    alerts::ENTRIES,
    services::ENTRIES,
    launch::ENTRIES,
    gateway::SURFACE,
    admission::ENTRIES,
    gateway::MEMBERS,
    window::ENTRIES,
];

/// All settings, in the order in which people read them.
pub static SETTINGS: &[Setting] = &joined::<{ count() }>();

const fn named(
    section: &'static str,
    key: &'static str,
    label: &'static str,
    meaning: &'static str,
) -> Named {
    Named { section, key, label, meaning }
}

const fn count() -> usize {
    let (mut at, mut count) = (0, 0);
    while at < SECTIONS.len() {
        count += SECTIONS[at].len();
        at += 1;
    }
    count
}

const fn joined<const N: usize>() -> [Setting; N] {
    let mut all = [SECTIONS[0][0]; N];
    let (mut section, mut to) = (0, 0);
    while section < SECTIONS.len() {
        let mut at = 0;
        while at < SECTIONS[section].len() {
            all[to] = SECTIONS[section][at];
            at += 1;
            to += 1;
        }
        section += 1;
    }
    all
}

/// The setting with that key or pattern, e.g. `alerts.rules.*.for_s`.
pub fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.key == key)
}

/// The setting a concrete key belongs to, e.g. `alerts.rules.gpu-hot.for_s`.
/// The id itself is not judged here.
pub fn setting_of(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| {
        let (mut pattern, mut parts) = (s.key.split('.'), key.split('.'));
        loop {
            match (pattern.next(), parts.next()) {
                (None, None) => return true,
                (Some("*"), Some(id)) if !id.is_empty() => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    })
}

/// Every setting as it travels to the window and the terminal.
pub fn schema() -> Vec<SettingSpec> {
    SETTINGS.iter().map(Setting::spec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::check;

    #[test]
    fn keys_are_declared_once_and_labels_are_unique_within_a_section() {
        let mut seen = std::collections::HashSet::new();
        for s in SETTINGS {
            assert!(seen.insert(s.key.to_string()), "{} twice", s.key);
            assert!(seen.insert(format!("{} / {}", s.section, s.label)), "{} label", s.key);
            assert!(s.meaning.ends_with('.'), "{}: a meaning is a sentence", s.key);
        }
    }

    #[test]
    fn default_and_both_alternatives_are_within_the_range() {
        for s in SETTINGS {
            for v in [Some(s.default), s.conservative, s.aggressive].into_iter().flatten() {
                check(s, v.value()).unwrap_or_else(|e| panic!("{}: {}", s.key, e.message));
            }
        }
    }

    #[test]
    fn a_concrete_key_finds_its_pattern() {
        let found = |key| setting_of(key).map(|s| s.key);
        assert_eq!(found("alerts.rules.gpu-hot.for_s"), Some("alerts.rules.*.for_s"));
        assert_eq!(found("history.keep.raw_hours"), Some("history.keep.raw_hours"));
        assert_eq!(found("services.llama.scrape_ms"), Some("services.*.scrape_ms"));
        assert_eq!(found("services.scrape_ms"), Some("services.scrape_ms"));
        assert_eq!(found("gateway.routes.fast.models"), Some("gateway.routes.*.models"));
        assert_eq!(found("gateway.clients.max_in_flight"), Some("gateway.clients.max_in_flight"));
        assert_eq!(found("services.llama"), None);
        assert_eq!(found("alerts.rules..for_s"), None);
        assert_eq!(found("alerts.rules.gpu-hot"), None);
        assert_eq!(found(""), None);
    }
}
