//! `limits`, with and without a running Plimsoll.

use std::fs;

use plimsoll_app::{api::LimitsStage, offline::Offline, session::Options};
use plimsoll_core::config::wire::{Change, SettingValue};
use serde_json::Value;

use crate::program::Place;

fn limit(place: &Place, name: &str) -> Value {
    let all = place.json(&["limits", "list", name, "--json"]);
    let all = all.as_array().unwrap();
    all.iter().find(|limit| limit["key"] == name).unwrap_or_else(|| panic!("{name}")).clone()
}

// AR9
#[test]
fn a_limit_is_set_beside_a_running_up_at_once_and_without_one_in_the_file() {
    let place = Place::new();
    place.out(&["limits", "set", "gateway.queue.max", "64"]);
    let file = place.data().join("plimsoll.toml");
    assert!(fs::read_to_string(&file).unwrap().contains("max = 64"));
    assert_eq!(limit(&place, "gateway.queue.max")["value"], 64);

    let up = place.up(&["--gateway", "127.0.0.1:0"]);
    let revision = place.json(&["limits", "set", "gateway.queue.max", "32", "--json"]);
    assert_eq!((&revision["by"], &revision["changed"][0]["new"]), (&"terminal".into(), &32.into()));
    assert_eq!(limit(&place, "gateway.queue.max")["value"], 32);
    assert!(fs::read_to_string(&file).unwrap().contains("max = 32"));
    let list = place.out(&["limits", "list", "waiting requests"]);
    assert!(list.starts_with("Queue and waiting\n"), "{list}");
    assert!(list.contains("gateway.queue.max") && list.contains("0–100000"), "{list}");
    place.out(&["limits", "reset", "gateway.queue.max"]);
    let back = limit(&place, "gateway.queue.max");
    assert_eq!((&back["value"], &back["origin"]["from"]), (&1000.into(), &"default".into()));
    assert_eq!(up.end("-TERM").code(), Some(0));
}

#[test]
fn what_is_so_already_is_told_and_no_other_change_in_its_place() {
    let place = Place::new();
    let nothing_new = || {
        let set = ["limits", "set", "gateway.queue.max", "5"];
        place.out(&set);
        assert_eq!(place.out(&set), "It is so already.\n");
        assert_eq!(
            place.out(&["limits", "reset", "gateway.gates.memory.mode"]),
            "It is so already.\n"
        );
        assert!(place.json(&[&set[..], &["--json"]].concat()).is_null());
    };
    nothing_new();
    let up = place.up(&["--gateway", "127.0.0.1:0"]);
    place.out(&["limits", "reset", "gateway.queue.max"]);
    nothing_new();
    assert_eq!(up.end("-TERM").code(), Some(0));
}

// AA3
#[test]
fn a_preset_says_what_it_changes_before_and_does_that_and_no_more() {
    let place = Place::new();
    let told = place.out(&["limits", "preset", "conservative", "--dry-run"]);
    assert!(told.contains("gateway.queue.max") && told.contains("1000 → 100"), "{told}");
    assert!(!place.data().join("plimsoll.toml").exists(), "nothing was written");
    let planned = place.json(&["limits", "preset", "conservative", "--dry-run", "--json"]);
    let done = place.json(&["limits", "preset", "conservative", "--json"]);
    let keys = |told: &Value| told.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&planned), keys(&done), "one shape, whatever came of it");
    assert!(planned["revision"].is_null() && planned["changes"] == done["changes"]);
    let done = &done["revision"]["changed"];
    let count = planned["changes"].as_array().unwrap().len();
    assert!(count > 40 && done.as_array().unwrap().len() == count, "{count}");
    let again = place.json(&["limits", "preset", "conservative", "--json"]);
    assert!(keys(&again) == keys(&planned) && again["revision"].is_null());
    assert!(place.out(&["limits", "preset", "conservative"]).contains("so already"));
    place.out(&["limits", "preset", "balanced"]);
    assert_eq!(limit(&place, "gateway.queue.max")["value"], 1000);
}

/// Stages as a window does, where no Plimsoll runs.
fn stage(place: &Place, changes: &[(&str, i64)]) {
    let set = changes
        .iter()
        .map(|&(key, value)| Change { key: key.into(), value: Some(SettingValue::Integer(value)) });
    let stage = LimitsStage { set: set.collect(), ..LimitsStage::default() };
    let options = Options { data_dir: Some(place.data()), ..Options::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        Offline::open(&options).await.unwrap().stage_limits(stage).await.unwrap();
    });
}

const QUEUE: &str = "gateway.queue.max";
const WAIT: &str = "gateway.queue.wait_s";

#[test]
fn what_is_staged_in_the_window_stands_beside_todays_value_and_is_applied_or_dropped_from_here() {
    let place = Place::new();
    assert_eq!(place.out(&["limits", "apply"]), "Nothing is staged.\n");
    assert!(limit(&place, QUEUE)["staged"].is_null());
    stage(&place, &[(QUEUE, 64), (WAIT, 9)]);
    let said = |args: &[&str]| {
        let ran = place.run(args);
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(ran.stdout), text(ran.stderr))
    };
    let (list, aside) = said(&["limits"]);
    let line = list.lines().find(|line| line.contains(QUEUE)).unwrap();
    assert!(line.contains("1000") && line.contains("→ 64 staged"), "{line}");
    assert!(
        aside.contains("2 changes are staged in the window; `plimsoll limits apply|discard`"),
        "{aside}"
    );
    let dropped = place.out(&["limits", "discard", WAIT]);
    assert!(dropped.starts_with(&format!("{WAIT} stays ")), "{dropped}");
    let (code, err) = place.fails(&["limits", "discard", WAIT]);
    assert!(code == 1 && err.contains("Nothing is staged of"), "{err}");

    // The same beside one that runs.
    let up = place.up(&["--gateway", "127.0.0.1:0"]);
    let staged = &limit(&place, QUEUE)["staged"];
    assert_eq!((&staged["now"], &staged["to"]), (&1000.into(), &64.into()));
    let (_, aside) = said(&["limits", "list", "queue"]);
    assert!(aside.contains("1 change is staged"), "{aside}");
    let revision = place.json(&["limits", "apply", "--json"]);
    assert_eq!((&revision["by"], &revision["changed"][0]["new"]), (&"terminal".into(), &64.into()));
    assert_eq!(limit(&place, QUEUE)["value"], 64);
    let (_, aside) = said(&["limits"]);
    assert!(!aside.contains("staged"), "{aside}");
    assert!(place.json(&["limits", "discard", "--json"]).is_null(), "nothing is staged");
    assert_eq!(up.end("-TERM").code(), Some(0));

    // What was changed elsewhere since is not written over without a word.
    stage(&place, &[(QUEUE, 7), (WAIT, 9)]);
    place.out(&["limits", "set", QUEUE, "9"]);
    let (code, err) = place.fails(&["limits", "apply"]);
    let told = format!("{QUEUE} was 64 then and is 9 now, 7 is staged. Nothing was applied.");
    assert!(code == 1 && err.contains(&told) && err.contains("--anyway"), "{err}");
    assert_eq!(limit(&place, QUEUE)["value"], 9);
    place.out(&["limits", "apply", "--anyway"]);
    assert_eq!(
        (&limit(&place, QUEUE)["value"], &limit(&place, WAIT)["value"]),
        (&7.into(), &9.into())
    );
    assert_eq!(place.out(&["limits", "apply"]), "Nothing is staged.\n");
    stage(&place, &[(QUEUE, 8)]);
    assert_eq!(place.out(&["limits", "discard"]), format!("{QUEUE} stays 7; 8 was staged.\n"));
}

#[test]
fn an_effect_is_a_sentence_and_without_records_it_says_so() {
    let place = Place::new();
    let none = place.out(&["limits", "effect", "gateway.queue.max", "5"]);
    assert_eq!(none, "Cannot tell: nothing was recorded yet.\n");
    let up = place.up(&["--gateway", "127.0.0.1:0"]);
    let effect = place.json(&["limits", "effect", "gateway.queue.max", "5", "--json"]);
    assert_eq!(effect["known"], false);
    assert_eq!(effect["text"], "Cannot tell: no request was recorded.");
    assert_eq!(
        place.out(&["limits", "effect", "gateway.queue.max", "1000"]),
        "It is so already.\n"
    );
    assert_eq!(up.end("-TERM").code(), Some(0));
}

#[test]
fn wrong_names_and_values_are_told_and_change_nothing() {
    let place = Place::new();
    for (args, found) in [
        (["set", "gateway.queue.max", "lots"], "0 to 100000"),
        (["set", "gateway.queue.most", "5"], "no setting gateway.queue.most"),
        (["effect", "gateway.queue.max", "-1"], "0 to 100000"),
        (["set", "log.level", "warn"], "plimsoll config set"),
        (["set", "services.nobody.max_in_flight", "2"], "is no limit"),
    ] {
        let (code, err) = place.fails(&["limits", args[0], args[1], args[2]]);
        assert!(code == 1 && err.contains(found), "{args:?}: {code} {err}");
    }
    let (code, _) = place.fails(&["limits", "set", "gateway.queue.max"]);
    assert_eq!(code, 2);
    for action in ["set", "effect"] {
        let (code, err) = place.fails(&["limits", action, "gateway.queue.max", ""]);
        assert!(code == 2 && err.contains("limits reset gateway.queue.max"), "{code} {err}");
    }
    let help = place.out(&["limits", "--help"]);
    assert!(help.contains("Examples:") && help.contains("preset conservative"), "{help}");
    assert!(!place.data().join("plimsoll.toml").exists(), "nothing was written");
}
