//! What no single value shows: a gateway that would listen nowhere, routes that
//! lead nowhere or contradict each other, clients that nobody is.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    families::{CLIENTS, Family, ROUTES},
    parse::Entry,
    values::Values,
    wire::{Problem, SettingValue},
};

/// Most routes, and most clients, of the configuration.
const MOST: usize = 200;

/// Keys of what one request may take, each with the key of what all of them may: the first is at
/// most the second.
pub const ONE_OF_ALL: [(&str, &str); 2] = [
    ("gateway.retry.payload_mib", "gateway.retry.held_mib"),
    ("gateway.max_body_mib", "gateway.held_mib"),
];

/// All problems of the gateway; `entries` says where each value stands in the file.
pub(super) fn judge_gateway(values: &Values, entries: &[Entry]) -> Vec<Problem> {
    let mut judge = Judge { values, entries, problems: Vec::new() };
    judge.address();
    judge.bodies();
    for family in [&ROUTES, &CLIENTS] {
        let many = values.ids_of(family).len();
        if many > MOST {
            let message = format!("There are {many} {}; at most {MOST} are kept.", family.all);
            judge.problem(None, family.prefix.into(), message, "");
            return judge.problems;
        }
    }
    judge.routes();
    judge.clients();
    judge.problems
}

struct Judge<'a> {
    values: &'a Values,
    entries: &'a [Entry],
    problems: Vec<Problem>,
}

// === impl Judge ===

impl<'a> Judge<'a> {
    fn address(&mut self) {
        let key = "gateway.address";
        let text = self.text(key);
        if text.parse::<SocketAddr>().is_ok() {
            return;
        }
        let hint = match text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok()) {
            Some(port) => format!("Write \"127.0.0.1:{port}\"; [::1] is served with it."),
            None => "For example \"127.0.0.1:1876\".".into(),
        };
        let message = format!("{key} is an address with a port. Found {text:?}.");
        self.problem(self.at(key), key.into(), message, &hint);
    }

    /// One body cannot take more than all of them together.
    fn bodies(&mut self) {
        let whole = |key| match self.values.get(key) {
            Some(SettingValue::Integer(n)) => n,
            _ => 0,
        };
        for (one, all) in ONE_OF_ALL {
            let (found, most) = (whole(one), whole(all));
            if found > most {
                let key = if self.at(one).is_some() { one } else { all };
                self.problem(
                    self.at(key),
                    key.into(),
                    format!("{one} is at most {all}, {most} MiB. Found {found}."),
                    "One body cannot take more than all of them together.",
                );
            }
        }
    }

    fn routes(&mut self) {
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for id in self.values.route_ids() {
            let key = |field: &str| format!("gateway.routes.{id}.{field}");
            let models = self.list(&key("models"));
            if models.is_empty() {
                self.problem(
                    self.at(&key("models")).or(self.first(&ROUTES, &id)),
                    key("models"),
                    format!("The route {id} needs models, for which it is."),
                    "For example models = [\"fast\"], or [\"*\"] for all that nobody has.",
                );
            }
            let enabled = self.values.own(&key("enabled")) != Some(&SettingValue::Switch(false));
            for model in models.iter().filter(|_| enabled) {
                if let Some(other) = taken.insert(model.clone(), id.clone())
                    && other != id
                {
                    self.problem(
                        self.at(&key("models")),
                        key("models"),
                        format!("The routes {other} and {id} are both for the model {model}."),
                        "Take it out of one of them, or switch one off.",
                    );
                }
            }
            // These are sent to a server, which knows no patterns.
            let send_as = self.text(&key("send_as"));
            let named = self.list(&key("fallback")).into_iter().map(|model| ("fallback", model));
            for (field, model) in named.chain([("send_as", send_as)]) {
                if model.contains('*') {
                    self.problem(
                        self.at(&key(field)),
                        key(field),
                        format!("{} names a model. Found the pattern {model}.", key(field)),
                        "A pattern can stand in models only.",
                    );
                }
            }
        }
    }

    fn clients(&mut self) {
        for id in self.values.client_ids() {
            let key = |field: &str| format!("gateway.clients.{id}.{field}");
            if ["program", "agent", "key"].iter().all(|field| self.text(&key(field)).is_empty()) {
                self.problem(
                    self.first(&CLIENTS, &id),
                    key("program"),
                    format!("The client {id} needs a program, an agent or a key to be told by."),
                    "For example program = \"nightly_job\", for what runs as python3 nightly_job.py.",
                );
            }
        }
    }

    fn text(&self, key: &str) -> String {
        match self.values.get(key) {
            Some(SettingValue::Text(text)) => text,
            _ => String::new(),
        }
    }

    fn list(&self, key: &str) -> Vec<String> {
        match self.values.own(key) {
            Some(SettingValue::List(list)) => list.clone(),
            _ => Vec::new(),
        }
    }

    fn at(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    /// Where a member as a whole is meant, its first line is shown.
    fn first(&self, family: &Family, id: &str) -> Option<&'a Entry> {
        self.entries
            .iter()
            .filter(|e| family.split(&e.key).is_some_and(|(of, _)| of == id))
            .min_by_key(|e| e.line)
    }

    fn problem(&mut self, place: Option<&Entry>, key: String, message: String, hint: &str) {
        self.problems.push(Problem {
            line: place.map(|e| e.line),
            column: place.map(|e| e.column),
            key: Some(key),
            message,
            hint: (!hint.is_empty()).then(|| hint.into()),
            mend: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{
        Environment, Loaded,
        gateway::{AsPriority, Balance, MaxInFlight, Question, RoutePolicy},
    };

    fn read(text: &str) -> Loaded {
        Loaded::of(text.into(), &Environment::default())
    }

    fn problem(text: &str) -> (u32, String, String) {
        let loaded = read(text);
        assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
        let p = &loaded.problems[0];
        (p.line.unwrap(), p.message.clone(), p.hint.clone().unwrap_or_default())
    }

    #[test]
    fn routes_and_clients_are_read_with_what_was_not_said_at_its_default() {
        let loaded = read(
            "[services.chat]\nurl = \"http://x\"\nmax_in_flight = 4\n\
             [services.other]\nurl = \"http://y\"\nmax_in_flight = \"auto\"\n\
             [gateway.routes.fast]\nmodels = [\"gpt-4*\"]\nsend_as = \"qwen3:4b\"\n\
             policy = \"weighted\"\nbackends = [\"chat=3\", \"other\"]\n\
             [gateway.clients]\nmax_in_flight = 8\n\
             [gateway.clients.nightly]\nprogram = \"python*\"\npriority = \"batch\"\n",
        );
        assert_eq!(loaded.problems, []);
        let services = &loaded.config.services.entries;
        assert_eq!(services["chat"].max_in_flight, MaxInFlight::Number(4));
        assert_eq!(services["other"].max_in_flight, MaxInFlight::AUTO);
        let gateway = &loaded.config.gateway;
        let fast = &gateway.routes["fast"];
        assert_eq!(fast.policy, RoutePolicy::Of(Balance::Weighted));
        assert_eq!((fast.send_as.as_str(), fast.enabled, fast.cache), ("qwen3:4b", true, false));
        assert_eq!(gateway.clients.max_in_flight, 8);
        assert_eq!(gateway.clients.entries["nightly"].priority, AsPriority::Batch);
        assert_eq!(gateway.coalesce, [Question::Embeddings]);
    }

    #[test]
    fn an_address_is_an_ip_and_a_port() {
        let (line, message, hint) = problem("[gateway]\naddress = \"localhost:1876\"\n");
        assert_eq!(line, 2);
        assert!(message.contains("address with a port"), "{message}");
        assert!(hint.contains("127.0.0.1:1876"), "{hint}");
        assert_eq!(read("gateway.address = \"[::1]:0\"").problems, []);
        assert!(problem("gateway.also = [\"docker0:80\"]").1.contains("addresses"));
    }

    #[test]
    fn a_route_that_leads_nowhere_or_contradicts_another_is_refused() {
        let (line, message, _) = problem("[gateway.routes.a]\nsend_as = \"x\"\n");
        assert_eq!((line, message.as_str()), (2, "The route a needs models, for which it is."));
        let two = "[gateway.routes.a]\nmodels = [\"x\"]\n[gateway.routes.b]\nmodels = [\"x\"]\n";
        assert_eq!(problem(two).1, "The routes a and b are both for the model x.");
        assert_eq!(read(&format!("{two}enabled = false\n")).problems, []);
        let pattern = "[gateway.routes.a]\nmodels = [\"x\"]\nsend_as = \"y*\"\n";
        assert!(problem(pattern).1.contains("Found the pattern y*."));
    }

    #[test]
    fn a_client_that_nobody_is_is_refused() {
        let (line, message, _) = problem("[gateway.clients.a]\nmax_in_flight = 2\n");
        assert_eq!(line, 2);
        assert!(message.contains("needs a program, an agent or a key"), "{message}");
    }

    // DE2
    #[test]
    fn a_body_that_is_held_for_a_retry_fits_what_is_held_in_all() {
        let (line, message, _) = problem("[gateway.retry]\nheld_mib = 20\n");
        assert_eq!(line, 2);
        assert!(message.contains("at most gateway.retry.held_mib, 20 MiB. Found 50"), "{message}");
        assert!(problem("gateway.max_body_mib = 1000").1.contains("gateway.held_mib, 512 MiB"));
        assert_eq!(read("gateway.retry = { held_mib = 20, payload_mib = 20 }").problems, []);
    }

    // AR2 (the cache's bounds), DE2, DE4
    #[test]
    fn the_asked_for_bounds_are_the_defaults() {
        let gateway = &read("").config.gateway;
        assert_eq!((gateway.retry.held_mib, gateway.retry.payload_mib), (100, 50));
        assert_eq!((gateway.consult.max_models, gateway.consult.held_mib), (5, 512));
        let cache = &gateway.cache;
        assert_eq!((cache.max_mib, cache.max_entries, cache.ttl_s), (500, 10_000, 12 * 3600));
        assert_eq!(gateway.timeout.first_byte_s, 300);
        assert_eq!((gateway.breaker.failures, gateway.breaker.rejecting_s), (5, 60));
    }

    // AR9: every limit can be set by environment
    #[test]
    fn a_route_can_be_made_by_variables_alone() {
        let environment = Environment::from_variables([
            ("PLIMSOLL_GATEWAY__ROUTES__MY_FAST__MODELS", "fast,gpt-4*"),
            ("PLIMSOLL_GATEWAY__ROUTES__MY_FAST__SEND_AS", "qwen3:4b"),
            ("PLIMSOLL_GATEWAY__CLIENTS__IDE__MAX_IN_FLIGHT", "2"),
            ("PLIMSOLL_SERVICES__CHAT__URL", "http://127.0.0.1:8080"),
            ("PLIMSOLL_SERVICES__CHAT__MAX_IN_FLIGHT", "3"),
        ]);
        let loaded = Loaded::of(String::new(), &environment);
        assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
        assert!(loaded.problems[0].message.contains("The client ide needs"));
        assert_eq!(loaded.config.gateway.routes["my-fast"].models, ["fast", "gpt-4*"]);
        assert_eq!(loaded.config.services.entries["chat"].max_in_flight, MaxInFlight::Number(3));
    }
}
