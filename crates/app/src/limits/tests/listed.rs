//! What is listed, what is locked, and what the presets would change.

use std::collections::BTreeMap;

use plimsoll_core::config::{Environment, Loaded, ONE_OF_ALL, wire::Change};
use plimsoll_core::traffic::RoomBasis;
use plimsoll_services::{
    kind::ServiceKind,
    service::{Origin, Service},
};

use super::{
    super::list::{Facts, view},
    read, rooms, view_of,
};
use crate::api::{LimitInfo, LimitLock, LimitSide, LimitStop, LimitTakesHold, LimitsView, Preset};

const MANAGED: &str = "[services.local]\nurl = \"http://127.0.0.1:1\"\nkind = \"llama-cpp\"\n\
                       command = [\"llama-server\", \"-np\", \"4\"]\n";

fn services() -> Vec<Service> {
    let kind = Some(ServiceKind::LlamaCpp);
    vec![
        Service::new("chat", "Chat, fast", kind, "http://127.0.0.1:2", Origin::Accepted),
        Service::new("local", "Local", kind, "http://127.0.0.1:1", Origin::Configured),
        Service::new("new", "New", kind, "http://127.0.0.1:3", Origin::Proposed),
        Service::new("r", "Redis", Some(ServiceKind::Redis), "redis://r", Origin::Accepted),
    ]
}

fn listed(loaded: &Loaded, unwritable: Option<&str>) -> LimitsView {
    view(&Facts {
        view: &view_of(loaded),
        config: &loaded.config,
        services: &services(),
        rooms: &rooms(4, RoomBasis::Told),
        starts: &BTreeMap::from([("local".to_owned(), 9200)]),
        unwritable,
        memory_bytes: Some(64 << 30),
    })
}

fn limit<'a>(view: &'a LimitsView, key: &str) -> &'a LimitInfo {
    view.limits.iter().find(|limit| limit.key == key).unwrap_or_else(|| panic!("{key}"))
}

fn has(view: &LimitsView, key: &str) -> bool {
    view.limits.iter().any(|limit| limit.key == key)
}

#[test]
fn a_client_with_the_name_of_a_service_hides_none_of_its_limits() {
    let view =
        listed(&read("[gateway.clients.chat]\nprogram = \"ide\"\nmax_in_flight = 2\n"), None);
    for key in ["services.chat.max_in_flight", "services.chat.max_tokens"] {
        assert_eq!(limit(&view, key).of.as_deref(), Some("chat"));
    }
    assert!(has(&view, "gateway.clients.chat.max_in_flight"));
    let keys: std::collections::BTreeSet<_> = view.limits.iter().map(|limit| &limit.key).collect();
    assert_eq!(keys.len(), view.limits.len(), "and each once");
}

#[test]
fn a_service_that_was_found_has_a_limit_with_the_number_that_auto_stands_for() {
    let view = listed(&read(""), None);
    let chat = limit(&view, "services.chat.max_in_flight");
    assert_eq!(chat.title, "Requests at once, Chat, fast");
    assert_eq!((chat.in_force, chat.in_force_why.as_str()), (Some(4.0), "told by the server"));
    assert_eq!((&chat.lock, &chat.takes_hold), (&None, &LimitTakesHold::Live));
    let chart = chat.chart.as_ref().unwrap();
    assert_eq!(chart.series[0].to_string(), "gateway.service.in_flight[chat]");
    assert_eq!(
        (chart.series[1].to_string(), chart.stacked),
        ("gateway.service.queued[chat]".into(), true)
    );
    assert_eq!((chart.scale, chart.filled), (Some(1.0), true));
    let slider = chat.slider.unwrap();
    assert!(slider.min == 1.0 && slider.max == 16.0 && !slider.log, "{slider:?}");
    for none in ["new.max_in_flight", "r.max_in_flight", "chat.scrape_ms", "chat.parallel"] {
        assert!(!has(&view, &format!("services.{none}")), "{none}");
    }
}

#[test]
fn launch_settings_are_those_its_server_knows_and_say_how_long_it_is_away() {
    let view = listed(&read(MANAGED), None);
    let context = limit(&view, "services.local.context_tokens");
    let LimitTakesHold::ServiceRestarts { about_ms, text, .. } = &context.takes_hold else {
        panic!("{context:?}");
    };
    assert_eq!((*about_ms, text.as_str()), (Some(9200), "restarts local, about 9 s"));
    assert_eq!(context.lock, None);
    let Some(LimitLock::Command { flag, reason }) = &limit(&view, "services.local.parallel").lock
    else {
        panic!("its command says -np itself");
    };
    assert!(flag == "-np" && reason.contains("services.local.command"), "{reason}");
    assert!(!has(&view, "services.local.gpu_memory_utilization"), "llama.cpp has no such flag");
    let words = serde_json::to_value(&limit(&view, "services.local.kv_type").accepts).unwrap();
    assert!(words["options"].as_array().unwrap().iter().all(|word| word != "fp8"), "{words}");
}

#[test]
fn a_limit_stops_at_the_one_that_would_refuse_it() {
    let view = listed(&read(""), None);
    for (one, all) in ONE_OF_ALL {
        let at = |side, key: &str| Some(LimitStop { side, key: key.into() });
        assert_eq!(limit(&view, one).stop, at(LimitSide::AtMost, all));
        assert_eq!(limit(&view, all).stop, at(LimitSide::AtLeast, one));
    }
    assert_eq!(limit(&view, "gateway.queue.max").stop, None);
}

// AR9
#[test]
fn what_a_variable_or_the_file_locks_says_so_and_no_preset_touches_it() {
    let variable = [("PLIMSOLL_GATEWAY__QUEUE__MAX", "50")];
    let loaded = Loaded::of(String::new(), &Environment::from_variables(variable));
    let view = listed(&loaded, None);
    let Some(LimitLock::Environment { variable, reason }) = &limit(&view, "gateway.queue.max").lock
    else {
        panic!("it is locked");
    };
    assert!(variable == "PLIMSOLL_GATEWAY__QUEUE__MAX" && reason.contains("Unset it"));
    for preset in &view.presets {
        assert_eq!(preset.locked, ["gateway.queue.max"]);
        assert!(preset.changes.iter().all(|change| change.key != "gateway.queue.max"));
    }
    let view = listed(&read(""), Some("It is read-only."));
    let file = LimitLock::File { reason: "It is read-only.".into() };
    assert!(view.limits.iter().all(|limit| limit.lock.as_ref() == Some(&file)));
    // Nothing can be changed, which does not put any of them in force but the one that is.
    assert_eq!(view.preset, Some(Preset::Balanced));
}

// AA3
#[test]
fn each_preset_is_a_sound_configuration_and_is_known_again() {
    let loaded = read(MANAGED);
    assert_eq!(listed(&loaded, None).preset, Some(Preset::Balanced));
    for which in [0, 2, 1] {
        let before = listed(&loaded, None);
        let preset = &before.presets[which];
        let changes: Vec<Change> = preset
            .changes
            .iter()
            .map(|c| Change { key: c.key.clone(), value: Some(c.new.clone()) })
            .collect();
        assert!(changes.len() > 40 || which == 1, "{:?} {}", preset.id, changes.len());
        let preview = loaded.preview_changes(&changes, &Environment::default());
        assert_eq!(preview.problems, [], "{:?}", preset.id);
        let after = listed(&read(&preview.text), None);
        assert_eq!(after.preset, Some(preset.id));
    }
    let conservative = &listed(&loaded, None).presets[0];
    let change = |key: &str| conservative.changes.iter().find(|c| c.key == key).unwrap();
    assert_eq!(serde_json::to_value(&change("services.chat.max_in_flight").new).unwrap(), 2);
    assert_eq!(serde_json::to_value(&change("gateway.queue.max").new).unwrap(), 100);
}

#[test]
fn sliders_hold_every_value_that_is_said_of_them_and_charts_name_metrics_that_are() {
    let view = listed(&read(MANAGED), None);
    for limit in &view.limits {
        let Some(slider) = limit.slider else { continue };
        assert!(slider.min < slider.max && slider.step > 0.0, "{} {slider:?}", limit.key);
        assert!(!slider.log || slider.min > 0.0, "{}", limit.key);
        if limit.unit.as_deref() == Some("tokens") {
            assert!(slider.max >= 32_768.0, "a conversation fits: {} {slider:?}", limit.key);
        }
        let marks = [&limit.conservative, &limit.balanced, &limit.aggressive];
        for mark in marks.into_iter().flatten().filter_map(super::super::slider::number) {
            assert!(mark <= slider.max, "{} {mark}", limit.key);
        }
        for series in limit.chart.iter().flat_map(|chart| &chart.series) {
            assert!(plimsoll_core::metric::Metric::named(&series.metric).is_some());
        }
    }
    let available = limit(&view, "gateway.gates.memory.available_percent");
    let chart = available.chart.as_ref().unwrap();
    assert!(chart.floor && chart.scale == Some((64_u64 << 30) as f64 / 100.0));
}

#[test]
fn routes_and_clients_have_limits_by_their_ids_and_what_is_not_there_has_none() {
    let text = "[gateway.routes.fast]\nmodels = [\"gpt-4o-mini\"]\n\
                [gateway.clients.nightly]\nprogram = \"python3\"\n";
    let view = listed(&read(text), None);
    assert_eq!(limit(&view, "gateway.routes.fast.max_in_flight").of.as_deref(), Some("fast"));
    let nightly = limit(&view, "gateway.clients.nightly.requests_per_min");
    assert_eq!(nightly.title, "Requests of it a minute, nightly");
    let chart = nightly.chart.as_ref().unwrap();
    assert_eq!(chart.series[0].to_string(), "gateway.client.requests[nightly]");
    assert_eq!(chart.scale, Some(1.0 / 60.0));
    let none = listed(&read(""), None);
    assert!(none.limits.iter().all(|limit| !limit.key.starts_with("gateway.routes.")));
    assert!(none.limits.iter().all(|limit| !limit.key.contains('*')));
}
