//! What no single value shows: services that are incomplete.

use super::{
    families::SERVICES,
    parse::Entry,
    values::{OF_FOUND, Values},
    wire::{Problem, SettingValue},
};

/// Most services of the configuration.
const MOST_SERVICES: usize = 100;
/// Shortest time between two looks at one service, in ms.
const SHORTEST_MS: i64 = 250;
const SCHEMES: [&str; 4] = ["http://", "https://", "redis://", "rediss://"];

/// All problems of the services; `entries` says where each value stands in the file.
pub(super) fn judge_services(values: &Values, entries: &[Entry]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |place: Option<&Entry>, key: String, message: String, hint: Option<&str>| {
        problems.push(Problem {
            line: place.map(|e| e.line),
            column: place.map(|e| e.column),
            key: Some(key),
            message,
            hint: hint.map(Into::into),
            mend: None,
        });
    };
    let ids = values.service_ids();
    if ids.len() > MOST_SERVICES {
        let message =
            format!("There are {} services; at most {MOST_SERVICES} are kept.", ids.len());
        problem(None, "services".into(), message, None);
        return problems;
    }
    for id in &ids {
        let key = |field: &str| format!("services.{id}.{field}");
        let at = |key: &str| entries.iter().find(|e| e.key == key);
        // Where a service as a whole is meant, its first line is shown.
        let first = entries
            .iter()
            .filter(|e| SERVICES.split(&e.key).is_some_and(|(of, _)| of == id))
            .min_by_key(|e| e.line);
        match values.own(&key("url")) {
            Some(SettingValue::Text(url)) if !url.is_empty() => {
                let scheme = SCHEMES.iter().find(|scheme| url.starts_with(**scheme));
                let rest = scheme.and_then(|scheme| url.strip_prefix(scheme));
                // The part before the path, in which a password could stand.
                let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
                match host {
                    None => problem(
                        at(&key("url")),
                        key("url"),
                        format!("{} begins with {}.", key("url"), SCHEMES.join(", ")),
                        Some("For example \"http://127.0.0.1:8080\"."),
                    ),
                    Some("") => problem(
                        at(&key("url")),
                        key("url"),
                        format!("{} names no host.", key("url")),
                        Some("For example \"http://127.0.0.1:8080\"."),
                    ),
                    Some(host) if host.contains('@') => problem(
                        at(&key("url")),
                        key("url"),
                        format!(
                            "{} holds a password, which this file is no place for.",
                            key("url")
                        ),
                        Some("Put it into a file of its own and name that in key_file."),
                    ),
                    Some(_) => {}
                }
            }
            // A service that was found has its address from there.
            _ if only_of_found(values, id) => {}
            _ => problem(
                at(&key("url")).or(first),
                key("url"),
                format!("The service {id} needs a url."),
                Some(
                    "For example url = \"http://127.0.0.1:8080\". Without one only max_in_flight \
                     and max_tokens can be said, of a service that was found.",
                ),
            ),
        }
        if let Some(SettingValue::Integer(ms)) = values.own(&key("scrape_ms"))
            && (1..SHORTEST_MS).contains(ms)
        {
            problem(
                at(&key("scrape_ms")),
                key("scrape_ms"),
                format!("{} is 0 or at least {SHORTEST_MS} ms. Found {ms}.", key("scrape_ms")),
                Some("0 means what fits its kind."),
            );
        }
    }
    problems
}

/// Whether nothing else is said of it than what can be said of one that was found.
fn only_of_found(values: &Values, id: &str) -> bool {
    let mut said =
        values.iter().filter_map(|(key, _)| SERVICES.split(key)).filter(|(of, _)| *of == id);
    said.all(|(_, field)| OF_FOUND.contains(&field))
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, Loaded};

    fn read(text: &str) -> Loaded {
        Loaded::of(text.into(), &Environment::default())
    }

    fn problem(text: &str) -> (u32, String) {
        let loaded = read(text);
        assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
        (loaded.problems[0].line.unwrap(), loaded.problems[0].message.clone())
    }

    #[test]
    fn a_service_stands_beside_the_settings_of_all_services() {
        let loaded = read(
            "[services]\ndiscover = false\n[services.llama]\nurl = \"http://127.0.0.1:8080\"\n\
             kind = \"llama-cpp\"\nkey_file = \"/etc/llama.key\"\n[services.r]\nurl = \"redis://r\"\n",
        );
        assert_eq!(loaded.problems, []);
        let services = &loaded.config.services;
        assert!(!services.discover);
        assert_eq!(services.entries.keys().collect::<Vec<_>>(), ["llama", "r"]);
        assert_eq!(services.entries["llama"].key_file, "/etc/llama.key");
        assert_eq!(services.entries["r"].kind, "auto");
    }

    #[test]
    fn an_incomplete_or_careless_service_is_refused_with_its_line() {
        let (line, message) = problem("[services.a]\nname = \"A\"\n");
        assert_eq!((line, message.as_str()), (2, "The service a needs a url."));
        assert_eq!(problem("services.a.url = \"localhost:80\"").0, 1);
        assert!(problem("services.a.url = \"http:///x\"").1.contains("no host"));
        let (_, message) = problem("services.a.url = \"http://me:secret@x/\"");
        assert!(message.contains("password") && !message.contains("secret"), "{message}");
        let text = "[services.a]\nurl = \"http://x\"\nscrape_ms = 10\n";
        assert!(problem(text).1.contains("at least 250 ms"));
    }

    #[test]
    fn of_a_service_that_was_found_its_limits_are_said_by_its_id_alone() {
        let loaded = read("[services.tiny]\nmax_in_flight = 2\nmax_tokens = 4096\n");
        assert_eq!(loaded.problems, []);
        let limits = loaded.config.services.limits("tiny").unwrap();
        assert_eq!((limits.max_in_flight.number(), limits.max_tokens), (Some(2), 4096));
        assert!(loaded.config.services.entries.is_empty());
        let (_, message) = problem("[services.tiny]\nmax_in_flight = 2\nkey_file = \"/k\"\n");
        assert_eq!(message, "The service tiny needs a url.");
        let variables = [("PLIMSOLL_SERVICES__TINY__MAX_IN_FLIGHT".to_owned(), "3".to_owned())];
        let loaded = Loaded::of(String::new(), &Environment::from_variables(variables));
        assert_eq!(loaded.problems, []);
        let limits = loaded.config.services.limits("tiny").unwrap();
        assert_eq!(limits.max_in_flight.number(), Some(3));
    }

    #[test]
    fn a_word_that_is_nearly_a_setting_is_no_service() {
        let loaded = read("[services]\ndiscovr = true\n");
        assert_eq!(loaded.problems[0].hint.as_deref(), Some("Did you mean services.discover?"));
        let loaded = read("[services.discover]\nurl = \"http://x\"\n");
        assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
        let loaded = read("[services.My_llama]\nurl = \"http://x\"\n");
        assert_eq!(loaded.problems[0].hint.as_deref(), Some("Write my-llama."));
        let loaded = read("[services.llama]\nurll = \"http://x\"\n");
        let hints: Vec<_> = loaded.problems.iter().filter_map(|p| p.hint.as_deref()).collect();
        assert_eq!(hints, ["Did you mean services.llama.url?"]);
    }
}
