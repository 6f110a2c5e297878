use std::sync::LazyLock;

use plimsoll_core::{
    config::gateway::Balance,
    request::{Endpoint, Priority},
};
use plimsoll_services::{
    fleet::FleetView,
    kind::ServiceKind,
    service::{Loaded, Model, ServiceState},
};
use proptest::prelude::*;

use super::{config, service, table, three, view, wanted};
use crate::{
    admission::Candidate,
    route::{NoWay, Table, Way},
};

/// `id model rank weight` of each candidate; `-` where the model is as it was named.
fn lead(table: &Table, name: &str) -> Vec<String> {
    shown(&table.way(Endpoint::Chat, name).unwrap_or_else(|no| panic!("{name}: {no}")))
}

fn shown(way: &Way) -> Vec<String> {
    let send_as = way.send_as.iter().map(|name| name.as_deref().unwrap_or("-"));
    way.candidates
        .iter()
        .zip(send_as)
        .map(|(c, model)| format!("{} {model} {} {}", c.backend, c.rank, c.weight))
        .collect()
}

fn no_way(table: &Table, name: &str) -> String {
    table.way(Endpoint::Chat, name).unwrap_err().to_string()
}

#[test]
fn a_models_own_name_leads_to_every_service_that_has_it() {
    let table = table("", &three());
    assert_eq!(lead(&table, "qwen3:4b"), ["chat - 0 1", "big - 0 1"]);
    assert_eq!(lead(&table, "Qwen/Qwen3-32B"), ["big - 0 1"]);
    let way = table.way(Endpoint::Chat, "qwen3:4b").unwrap();
    assert_eq!((way.route.as_deref(), &*way.counted), (None, "qwen3:4b"));
    assert_eq!((way.policy, way.priority, way.cache), (Balance::LeastInFlight, None, false));
}

#[test]
fn latest_goes_without_saying_where_it_does_so_for_ollama() {
    let table = table("", &three());
    assert_eq!(lead(&table, "nomic-embed-text"), ["notes - 0 1"]);
    assert_eq!(lead(&table, "nomic-embed-text:latest"), ["notes - 0 1"]);
}

#[test]
fn a_services_id_leads_to_it_with_the_model_that_it_has_loaded() {
    let mut services = three();
    let table_of = |services: &[_]| table("", services);
    assert_eq!(lead(&table_of(&services), "notes"), ["notes llama3.2:3b 0 1"]);
    services[2].models[1].loaded = Loaded::Loaded;
    assert_eq!(lead(&table_of(&services), "notes"), ["notes nomic-embed-text:latest 0 1"]);
    services[2].models.clear();
    assert_eq!(lead(&table_of(&services), "notes"), ["notes - 0 1"]);
    assert_eq!(lead(&table_of(&services), "big/qwen3:4b"), ["big qwen3:4b 0 1"]);
    assert!(no_way(&table_of(&services), "big/nothing").contains("No service has"));
}

#[test]
fn an_alias_asks_for_its_model_and_says_which_route_it_took() {
    let text = "[gateway.routes.fast]\nmodels = [\"fast\", \"gpt-4o-mini\"]\n\
                send_as = \"qwen3:4b\"\npriority = \"batch\"\npolicy = \"prefix-affinity\"\n\
                cache = true\ncoalesce = \"off\"\n";
    let table = table(text, &three());
    assert_eq!(lead(&table, "fast"), ["chat qwen3:4b 0 1", "big qwen3:4b 0 1"]);
    let way = table.way(Endpoint::Chat, "gpt-4o-mini").unwrap();
    assert_eq!((way.route.as_deref(), &*way.counted), (Some("fast"), "qwen3:4b"));
    assert_eq!((way.policy, way.priority), (Balance::PrefixAffinity, Some(Priority::Batch)));
    assert_eq!((way.cache, way.coalesce), (true, Some(false)));
    assert_eq!(way.send_as("big", 0).map(|name| &**name), Some("qwen3:4b"));
    assert_eq!(way.send_as("notes", 0), None);
}

#[test]
fn a_whole_name_goes_before_a_pattern_and_a_longer_pattern_before_a_shorter_one() {
    let text = "[gateway.routes.all]\nmodels = [\"*\"]\nsend_as = \"llama3.2:3b\"\n\
                [gateway.routes.gpt]\nmodels = [\"gpt-*\"]\nsend_as = \"qwen3:4b\"\n\
                [gateway.routes.four]\nmodels = [\"gpt-4*\"]\nbackends = [\"big\"]\n\
                [gateway.routes.whole]\nmodels = [\"gpt-4o\"]\nbackends = [\"chat\"]\n";
    let table = table(text, &three());
    let route = |name| table.way(Endpoint::Chat, name).unwrap().route.clone().unwrap().to_string();
    assert_eq!(route("gpt-4o"), "whole");
    assert_eq!(route("gpt-4o-mini"), "four");
    assert_eq!(route("gpt-5"), "gpt");
    assert_eq!(route("claude"), "all");
    assert_eq!(lead(&table, "claude"), ["notes llama3.2:3b 0 1"]);
    assert_eq!(lead(&table, "gpt-4o-mini"), ["big - 0 1"]);
}

#[test]
fn a_pattern_gives_no_other_model_to_a_name_that_some_service_has() {
    let text = "[gateway.routes.all]\nmodels = [\"*\"]\nsend_as = \"llama3.2:3b\"\n\
                [gateway.routes.calm]\nmodels = [\"Qwen*\"]\npriority = \"batch\"\n";
    let table = table(text, &three());
    for own in ["qwen3:4b", "nomic-embed-text", "chat", "big/qwen3:4b"] {
        assert_eq!(table.way(Endpoint::Chat, own).unwrap().route, None, "{own}");
    }
    // One that leaves the model as it is says how it is treated.
    let way = table.way(Endpoint::Chat, "Qwen/Qwen3-32B").unwrap();
    assert_eq!((way.route.as_deref(), way.priority), (Some("calm"), Some(Priority::Batch)));
    assert_eq!(shown(&way), ["big - 0 1"]);
}

// MA7
#[test]
fn services_that_a_route_names_are_its_own_with_their_weights() {
    let text = "gateway.policy = \"random\"\n[gateway.routes.both]\nmodels = [\"any\"]\n\
                backends = [\"big=3\", \"chat\", \"gone\"]\npolicy = \"weighted\"\n";
    let table = table(text, &three());
    assert_eq!(lead(&table, "any"), ["big - 0 3", "chat - 0 1"]);
    assert_eq!(table.way(Endpoint::Chat, "any").unwrap().policy, Balance::Weighted);
    assert_eq!(table.way(Endpoint::Chat, "qwen3:4b").unwrap().policy, Balance::Random);
}

#[test]
fn other_models_come_behind_in_their_order_and_each_service_once() {
    let text = "[gateway.routes.best]\nmodels = [\"best\"]\nsend_as = \"Qwen/Qwen3-32B\"\n\
                fallback = [\"small\", \"nomic-embed-text\"]\n\
                [gateway.routes.small]\nmodels = [\"small\"]\nsend_as = \"qwen3:4b\"\n\
                fallback = [\"llama3.2:3b\"]\n";
    let table = table(text, &three());
    let want = ["big Qwen/Qwen3-32B 0 1", "chat qwen3:4b 1 1", "notes nomic-embed-text 2 1"];
    assert_eq!(lead(&table, "best"), want);
    let way = table.way(Endpoint::Chat, "best").unwrap();
    let is_fallback = |id| way.is_fallback(id, 0);
    assert!(is_fallback("chat") && !is_fallback("big") && !is_fallback("gone"));
}

#[test]
fn another_model_of_the_same_service_follows_where_the_first_one_fails_there() {
    let text = "[gateway.routes.best]\nmodels = [\"best\"]\nsend_as = \"Qwen/Qwen3-32B\"\n\
                fallback = [\"qwen3:4b\", \"Qwen/Qwen3-32B\", \"qwen3:4b\", \"llama3.2:3b\"]\n";
    let table = table(text, &three());
    let want = ["big Qwen/Qwen3-32B 0 1", "chat qwen3:4b 1 1", "notes llama3.2:3b 4 1"];
    assert_eq!(lead(&table, "best"), want);
    let way = table.way(Endpoint::Chat, "best").unwrap();
    let asked =
        |failed| (way.send_as("big", failed).unwrap().to_string(), way.is_fallback("big", failed));
    assert_eq!(asked(0), ("Qwen/Qwen3-32B".into(), false));
    assert_eq!(asked(1), ("qwen3:4b".into(), true));
    assert_eq!(asked(2), asked(1), "the last one stays");
    assert_eq!(way.next("big", 0).map(|other| &*other.model), Some("qwen3:4b"));
    assert_eq!((way.next("big", 1), way.next("chat", 0)), (None, None));

    // A key that may not have the first model begins with the other one.
    let may = |_: &Candidate, model: Option<&str>| model == Some("qwen3:4b");
    let narrow = way.narrowed(may).unwrap();
    assert_eq!(shown(&narrow), ["chat qwen3:4b 1 1", "big qwen3:4b 1 1"]);
    assert_eq!(narrow.others, []);
    let may = |_: &Candidate, model: Option<&str>| model == Some("Qwen/Qwen3-32B");
    let narrow = way.narrowed(may).unwrap();
    assert_eq!((shown(&narrow), narrow.others.len()), (vec![want[0].to_owned()], 0));
}

#[test]
fn a_service_that_a_route_names_and_that_has_only_the_other_model_is_asked_for_that() {
    let text = "[gateway.routes.best]\nmodels = [\"best\"]\nsend_as = \"gone\"\n\
                backends = [\"big\", \"chat\"]\nfallback = [\"Qwen/Qwen3-32B\"]\n";
    let mut services = three();
    let table_of = |services: &[_]| table(text, services);
    // Of chat nothing better is known: it is asked as the route says.
    let want = ["chat gone 0 1", "big Qwen/Qwen3-32B 1 1"];
    assert_eq!(lead(&table_of(&services), "best"), want);
    services[1].models.push(Model::named("gone", Loaded::Unknown));
    let way = table_of(&services).way(Endpoint::Chat, "best").unwrap();
    assert_eq!(shown(&way), ["big gone 0 1", "chat gone 0 1"]);
    assert_eq!(way.next("big", 0).map(|other| &*other.model), Some("Qwen/Qwen3-32B"));
    // One that has told nothing may have it.
    services[1].models.clear();
    assert_eq!(lead(&table_of(&services), "best"), ["big gone 0 1", "chat gone 0 1"]);
}

#[test]
fn a_model_that_is_gone_is_answered_by_the_other_one() {
    let text = "[gateway.routes.best]\nmodels = [\"best\"]\nsend_as = \"gone\"\n\
                fallback = [\"qwen3:4b\"]\n";
    let table = table(text, &three());
    assert_eq!(lead(&table, "best"), ["chat qwen3:4b 1 1", "big qwen3:4b 1 1"]);
}

#[test]
fn a_route_with_a_limit_is_counted_for_itself() {
    let text = "[gateway.routes.calm]\nmodels = [\"calm\", \"qwen*\"]\nbackends = [\"chat\"]\n\
                max_in_flight = 2\n";
    let table = table(text, &three());
    for name in ["calm", "qwen3:4b"] {
        assert_eq!(&*table.way(Endpoint::Chat, name).unwrap().counted, "route:calm");
    }
}

#[test]
fn a_route_that_is_off_leads_nowhere() {
    let text = "[gateway.routes.fast]\nmodels = [\"fast\"]\nsend_as = \"qwen3:4b\"\n\
                enabled = false\n";
    assert!(no_way(&table(text, &three()), "fast").contains("No service has the model"));
}

#[test]
fn a_route_that_leads_to_nobody_says_what_it_asked_for() {
    let text = "[gateway.routes.a]\nmodels = [\"x\"]\nsend_as = \"gone\"\n\
                [gateway.routes.b]\nmodels = [\"y\"]\nbackends = [\"gone\"]\n";
    let some = table(text, &three());
    let words = no_way(&some, "x");
    assert_eq!(
        words,
        "The route a, which \"x\" takes, asks for \"gone\", and no service has that."
    );
    assert!(no_way(&some, "y").ends_with("names services, and none of them is there."));
    let mut services = three();
    services[0].models.clear();
    services[0].state = ServiceState::Starting;
    let no = table(text, &services).way(Endpoint::Chat, "x").unwrap_err();
    assert!(no.is_passing(), "it may have it: {no}");
}

#[test]
fn a_request_without_a_model_takes_the_default_one_or_is_told_what_to_do() {
    let named = "gateway.default_model = \"qwen3:4b\"\n";
    // The request itself names none, so that it is written into it.
    assert_eq!(lead(&table(named, &three()), ""), ["chat qwen3:4b 0 1", "big qwen3:4b 0 1"]);
    let words = no_way(&table("", &three()), "");
    assert!(words.contains("names no model") && words.contains("gateway.default_model"), "{words}");
}

#[test]
fn a_name_that_nobody_has_is_answered_with_the_nearest_ones() {
    let table = table("", &three());
    let words = no_way(&table, "qwen3-4b");
    assert!(words.starts_with("No service has the model \"qwen3-4b\". Did you mean \"qwen3:4b\""));
    let words = no_way(&table, "gpt-4o-mini");
    assert!(words.contains("There is \"Qwen/Qwen3-32B\", \"llama3.2:3b\""), "{words}");
    let words = no_way(&table, &format!("a\x1b[31m\n{}", "x".repeat(10_000)));
    assert!(words.len() < 600 && !words.contains(char::is_control), "{words}");
    let none = no_way(&super::table("", &[]), "x");
    assert_eq!(none, "No service has the model \"x\". None has told of any.");
}

#[test]
fn before_all_have_told_their_models_a_name_may_come_to_be_known() {
    let mut services = three();
    services[0].models.clear();
    services[0].state = ServiceState::Starting;
    let no = table("", &services).way(Endpoint::Chat, "mine").unwrap_err();
    assert!(no.is_passing() && no.to_string().contains("ask again"), "{no}");
    let unseen = FleetView::default();
    let first = Table::make(&config(""), &wanted(&services), &unseen, None);
    assert!(first.way(Endpoint::Chat, "mine").unwrap_err().is_passing(), "nothing was seen yet");
    services[0].state = ServiceState::Down;
    let no = table("", &services).way(Endpoint::Chat, "mine").unwrap_err();
    assert!(!no.is_passing() && no.to_string().contains("What chat would have is not known"));
}

#[test]
fn a_server_that_is_silent_keeps_the_models_that_it_told_last() {
    let mut services = three();
    let first = table("", &services);
    services[0].models.clear();
    services[0].state = ServiceState::Down;
    let again =
        |services: &[_]| Table::make(&config(""), &wanted(services), &view(services), Some(&first));
    assert_eq!(lead(&again(&services), "qwen3:4b"), ["chat - 0 1", "big - 0 1"]);
    assert!(!again(&services).backend("chat").unwrap().up);
    services[0].url = "http://127.0.0.1:81".into();
    assert_eq!(lead(&again(&services), "qwen3:4b"), ["big - 0 1"], "another server stands there");
}

#[test]
fn only_model_servers_that_are_watched_are_asked_each_with_its_key() {
    let mut services = three();
    services.push(service("cache", ServiceKind::Redis, &[]));
    services.push(service("store", ServiceKind::Qdrant, &["qwen3:4b"]));
    services.push(service("found", ServiceKind::Vllm, &["qwen3:4b"]));
    let watched = wanted(&services[..5]);
    let table = Table::make(&config(""), &watched, &view(&services), None);
    let ids: Vec<&str> = table.backends().map(|backend| &*backend.id).collect();
    assert_eq!(ids, ["big", "chat", "notes"]);
    let chat = table.backend("chat").unwrap();
    assert_eq!(chat.key.as_ref().unwrap().reveal(), "key of chat");
    assert_eq!(&*chat.url, "http://127.0.0.1:80/chat");
    services[0].url = "https://host/base/v1/".into();
    assert_eq!(&*super::table("", &services).backend("chat").unwrap().url, "https://host/base");
}

#[test]
fn only_ollama_is_asked_in_ollamas_own_words() {
    let text = "[gateway.routes.any]\nmodels = [\"any\"]\nbackends = [\"chat\", \"notes\"]\n";
    let table = table(text, &three());
    let native = |name| table.way(Endpoint::OllamaChat, name).map(|way| shown(&way));
    assert_eq!(native("llama3.2:3b").unwrap(), ["notes - 0 1"]);
    assert_eq!(native("any").unwrap(), ["notes - 0 1"]);
    assert!(matches!(native("qwen3:4b"), Err(NoWay::OtherSpeech { .. })));
    assert!(matches!(native("nothing"), Err(NoWay::Unknown { .. })));
}

#[test]
fn the_models_of_all_services_are_listed_once_with_their_other_names() {
    let text = "[gateway.routes.fast]\nmodels = [\"fast\", \"gpt-4*\"]\nsend_as = \"qwen3:4b\"\n\
                [gateway.routes.dead]\nmodels = [\"dead\"]\nsend_as = \"gone\"\n";
    let table = table(text, &three());
    let names: Vec<&str> = table.models().iter().map(|model| &*model.name).collect();
    let want = ["Qwen/Qwen3-32B", "fast", "llama3.2:3b", "nomic-embed-text:latest", "qwen3:4b"];
    assert_eq!(names, want);
    let list: serde_json::Value = serde_json::from_slice(&table.listing().openai).unwrap();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][1]["id"], "fast");
    assert_eq!(list["data"][1]["root"], "qwen3:4b");
    assert_eq!(list["data"][4]["owned_by"], "chat,big");
    let one: serde_json::Value =
        serde_json::from_slice(table.listing().one("fast").unwrap()).unwrap();
    assert_eq!(one, list["data"][1]);
    assert!(table.listing().one("gone").is_none());
    let tags: serde_json::Value = serde_json::from_slice(&table.listing().ollama).unwrap();
    let tags: Vec<_> = tags["models"].as_array().unwrap().iter().map(|m| &m["name"]).collect();
    assert_eq!(tags, ["llama3.2:3b", "nomic-embed-text:latest"]);
}

#[test]
fn models_without_a_name_are_known_only_by_the_service() {
    let mut services = three();
    services[0].models = vec![Model::named("qwen3:4b", Loaded::Loaded)];
    assert_eq!(table("", &services).backend("chat").unwrap().loaded.as_deref(), Some("qwen3:4b"));
}

/// Made once: a configuration is not read in a moment.
static SOME: LazyLock<Table> = LazyLock::new(|| {
    let text = "[gateway.routes.a]\nmodels = [\"a*b*\", \"fast\"]\nsend_as = \"qwen3:4b\"\n";
    table(text, &three())
});

proptest! {
    #[test]
    fn no_name_panics_and_every_way_leads_to_somebody(name in "\\PC{0,40}|[a-z0-9:/*-]{0,12}") {
        match SOME.way(Endpoint::Chat, &name) {
            Ok(way) => {
                prop_assert!(!way.candidates.is_empty());
                prop_assert_eq!(way.candidates.len(), way.send_as.len());
            }
            Err(no) => prop_assert!(!no.to_string().is_empty()),
        }
    }
}

#[test]
fn a_way_is_narrowed_to_those_that_may_be_asked_and_is_the_same_where_all_may() {
    let table = table("", &three());
    let way = table.way(Endpoint::Chat, "qwen3:4b").unwrap();
    let same = way.narrowed(|_, _| true).unwrap();
    assert!(std::sync::Arc::ptr_eq(&way, &same));
    let one = way.narrowed(|candidate, _| &*candidate.backend == "big").unwrap();
    assert_eq!(shown(&one), ["big - 0 1"]);
    assert!(way.narrowed(|_, _| false).is_none());
}

/// As they are wanted, those of `off` switched off.
fn without(text: &str, off: &[&str], before: Option<&Table>) -> Table {
    let services = three();
    let mut wanted = wanted(&services);
    for watched in &mut wanted.watched {
        watched.enabled = !off.contains(&watched.id.as_str());
    }
    Table::make(&config(text), &wanted, &view(&services), before)
}

#[test]
fn a_service_that_is_switched_off_gets_nothing_and_its_models_are_not_listed() {
    let table = without("", &["big"], None);
    assert_eq!(lead(&table, "qwen3:4b"), ["chat - 0 1"], "the other one has it, too");
    let listed: Vec<&str> = table.models().iter().map(|model| &*model.name).collect();
    assert_eq!(listed, ["llama3.2:3b", "nomic-embed-text:latest", "qwen3:4b"]);
    assert!(table.backend("big").is_none());
    for name in ["Qwen/Qwen3-32B", "big", "big/qwen3:4b"] {
        let why = no_way(&table, name);
        assert!(why.contains("which is switched off (`services.big.enabled`)"), "{name}: {why}");
    }
    // What is switched on again is there as before.
    assert_eq!(lead(&without("", &[], Some(&table)), "Qwen/Qwen3-32B"), ["big - 0 1"]);
    let both = without("", &["big", "chat"], None);
    let why = no_way(&both, "qwen3:4b");
    assert!(why.contains("at the services big, chat, which are switched off"), "{why}");
}

#[test]
fn a_route_to_a_service_that_is_switched_off_says_so_or_goes_elsewhere() {
    let text = "[gateway.routes.fast]\nmodels = [\"fast\"]\nsend_as = \"Qwen/Qwen3-32B\"\n\
                [gateway.routes.here]\nmodels = [\"here\"]\nbackends = [\"big\"]\n\
                [gateway.routes.both]\nmodels = [\"both\"]\nbackends = [\"big\", \"chat\"]\n";
    let table = without(text, &["big"], None);
    for name in ["fast", "here"] {
        let why = no_way(&table, name);
        assert!(why.contains("at the service big, which is switched off"), "{name}: {why}");
    }
    assert_eq!(lead(&table, "both"), ["chat - 0 1"]);
}

#[test]
fn ollamas_own_paths_say_where_a_model_is_that_only_others_have() {
    let table = table("", &three());
    for (endpoint, path) in [
        (Endpoint::OllamaChat, "/v1/chat/completions."),
        (Endpoint::OllamaGenerate, "/v1/completions."),
        (Endpoint::OllamaEmbed, "/v1/embeddings."),
    ] {
        let why = table.way(endpoint, "Qwen/Qwen3-32B").unwrap_err().to_string();
        assert!(why.contains("is there, at big, which does not speak Ollama's own API"), "{why}");
        assert!(why.ends_with(path), "{why}");
        let why = table.way(endpoint, "qwen3:4b").unwrap_err().to_string();
        assert!(why.contains("at chat, big, which do not speak"), "{why}");
        let why = table.way(endpoint, "nothing").unwrap_err().to_string();
        assert!(why.contains("No service has the model"), "{why}");
        assert!(table.way(endpoint, "llama3.2:3b").is_ok());
    }
}
