//! Families of settings: what there may be several of, each with an id of its own.

use super::{
    ids,
    setting::Setting,
    table::{SETTINGS, setting_of},
};

/// Settings `PREFIX.ID.FIELD`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub prefix: &'static str,
    /// Where the typed configuration keeps them: settings of all of them stand beside it.
    pub at: &'static str,
    /// What one of them is called.
    pub one: &'static str,
    pub all: &'static str,
}

pub(super) static RULES: Family =
    Family { prefix: "alerts.rules", at: "alerts.rules", one: "rule", all: "rules" };
pub(super) static SERVICES: Family =
    Family { prefix: "services", at: "services.entries", one: "service", all: "services" };
pub(super) static ROUTES: Family =
    Family { prefix: "gateway.routes", at: "gateway.routes", one: "route", all: "routes" };
pub(super) static CLIENTS: Family = Family {
    prefix: "gateway.clients",
    at: "gateway.clients.entries",
    one: "client",
    all: "clients",
};

/// Those whose members are all alike: alert rules come with ids and fields of their own.
pub(super) static PLAIN: [&Family; 3] = [&SERVICES, &ROUTES, &CLIENTS];

pub(super) fn every() -> impl Iterator<Item = &'static Family> {
    std::iter::once(&RULES).chain(PLAIN)
}

/// The family that a key belongs to, with its id and field.
pub(super) fn family_of(key: &str) -> Option<(&'static Family, &str, &str)> {
    every().find_map(|family| family.split(key).map(|(id, field)| (family, id, field)))
}

// === impl Family ===

impl Family {
    /// `PREFIX.<id>.<field>` taken apart.
    pub fn split<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        key.strip_prefix(self.prefix)?.strip_prefix('.')?.split_once('.')
    }

    /// Settings of each of them.
    pub fn settings(&'static self) -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().filter(|s| s.is_pattern() && self.split(s.key).is_some())
    }

    /// The id in a path that leads to one of them or below, with what follows it.
    pub fn id_in<'p>(&self, path: &'p [String]) -> Option<(&'p str, &'p [String])> {
        let mut parts = path.iter();
        self.prefix.split('.').all(|part| parts.next().is_some_and(|p| p == part)).then_some(())?;
        let rest = parts.as_slice();
        let (id, rest) = rest.split_first()?;
        Some((id, rest))
    }

    /// Whether one of them may have this id. A setting of all of them keeps its name for
    /// itself: `services.accept` cannot be a table, too.
    pub fn is_id(&self, id: &str) -> bool {
        ids::is_id(id) && setting_of(&format!("{}.{id}", self.prefix)).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_apart_by_its_family() {
        let of = |key| family_of(key).map(|(family, id, field)| (family.one, id, field));
        assert_eq!(of("services.llama.url"), Some(("service", "llama", "url")));
        assert_eq!(of("gateway.routes.fast.models"), Some(("route", "fast", "models")));
        assert_eq!(of("gateway.clients.ide.program"), Some(("client", "ide", "program")));
        assert_eq!(of("alerts.rules.gpu-hot.for_s"), Some(("rule", "gpu-hot", "for_s")));
        for none in ["services.discover", "gateway.clients.max_in_flight", "gateway.queue.max", ""]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn settings_of_all_of_a_family_are_no_ids() {
        assert!(SERVICES.is_id("llama") && !SERVICES.is_id("discover") && !SERVICES.is_id("A"));
        assert!(ROUTES.is_id("fast") && CLIENTS.is_id("ide"));
    }

    #[test]
    fn an_id_is_found_in_a_path() {
        let path = |text: &str| text.split('.').map(Into::into).collect::<Vec<String>>();
        assert_eq!(
            ROUTES.id_in(&path("gateway.routes.a.models")),
            Some(("a", &path("models")[..]))
        );
        assert_eq!(ROUTES.id_in(&path("gateway.routes.a")), Some(("a", &[][..])));
        assert_eq!(ROUTES.id_in(&path("gateway.routes")), None);
        assert_eq!(ROUTES.id_in(&path("gateway.clients.a")), None);
    }
}
