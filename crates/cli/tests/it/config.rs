//! `config`, with and without a running Plimsoll.

use std::fs;

use serde_json::Value;

use crate::program::Place;

fn in_force(place: &Place) -> Value {
    place.json(&["config", "get", "sampling.interval_ms", "--json"])
}

#[test]
fn set_beside_a_running_up_is_in_force_there_and_in_the_file() {
    let place = Place::new();
    let _up = place.up(&[]);
    let revision = place.json(&["config", "set", "sampling.interval_ms=2500", "--json"]);
    assert_eq!(revision["by"], "terminal");
    assert_eq!(revision["changed"][0]["new"], 2500);
    assert_eq!(place.json(&["status", "--json"])["interval_ms"], 2500);
    let text = fs::read_to_string(place.data().join("plimsoll.toml")).unwrap();
    assert!(text.contains("interval_ms = 2500"), "{text}");
    assert_eq!(in_force(&place)["origin"]["from"], "file");

    let back = place.json(&["config", "rollback", "1", "--json"]);
    assert_eq!(back["rolled_back_to"], 1);
    assert_eq!(place.json(&["status", "--json"])["interval_ms"], 1000);
    let revisions = place.json(&["config", "revisions", "--json"]);
    assert_eq!(revisions.as_array().unwrap().len(), 3);
}

#[test]
fn a_file_that_is_changed_by_hand_applies_by_itself() {
    let place = Place::new();
    let _up = place.up(&[]);
    fs::write(place.data().join("plimsoll.toml"), "[sampling]\ninterval_ms = 3000\n").unwrap();
    place.eventually("the change", || place.json(&["status", "--json"])["interval_ms"] == 3000);
}

#[test]
fn set_without_a_running_up_edits_the_file_and_keeps_a_revision() {
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("plimsoll.toml"), "# mine\n[log]\nlevel = \"warn\" # quiet\n")
        .unwrap();
    place.out(&["config", "set", "sampling.interval_ms=1500", "log.level=error"]);
    let text = fs::read_to_string(place.data().join("plimsoll.toml")).unwrap();
    assert!(text.starts_with("# mine") && text.contains("# quiet"), "{text}");
    assert!(text.contains("interval_ms = 1500") && text.contains("\"error\""), "{text}");
    let revisions = place.json(&["config", "revisions", "--json"]);
    assert_eq!(revisions[0]["by"], "terminal");
    // The next owner has it in force.
    let _up = place.up(&[]);
    assert_eq!(place.json(&["status", "--json"])["interval_ms"], 1500);
    place.out(&["config", "set", "sampling.interval_ms="]);
    assert_eq!(in_force(&place)["origin"]["from"], "default");
}

#[test]
fn wrong_settings_are_refused_with_what_is_allowed() {
    let place = Place::new();
    for (change, found) in [
        ("sampling.interval_ms=1", "500 to 10000"),
        ("sampling.interval_ms=soon", "500 to 10000"),
        ("sampling.intervall_ms=1000", "sampling.interval_ms"),
        ("log.level=loud", "error"),
    ] {
        let (code, err) = place.fails(&["config", "set", change]);
        assert_eq!(code, 1, "{change}");
        assert!(err.contains(found), "{change}: {err}");
    }
    let (code, err) = place.fails(&["config", "set", "sampling.interval_ms"]);
    assert!(code == 2 && err.contains("KEY=VALUE"), "{err}");
    let (code, err) = place.fails(&["config", "get", "histroy.max_mib"]);
    assert!(code == 1 && err.contains("history.max_mib"), "{err}");
    assert!(!place.data().join("plimsoll.toml").exists(), "nothing was written");
}

#[test]
fn validate_names_line_key_and_allowed_range() {
    let place = Place::new();
    let file = place.path("mine.toml");
    fs::write(&file, "[history]\nmax_mib = 4096\nmax_mb = 3\n").unwrap();
    let file = file.to_str().unwrap();
    let (code, err) = place.fails(&["config", "validate", file]);
    assert_eq!(code, 1);
    assert!(err.contains("line 3") && err.contains("max_mib"), "{err}");
    let output = place.run(&["config", "validate", file, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["valid"], &answer["problems"][0]["line"]), (&false.into(), &3.into()));
    fs::write(file, "[history]\nmax_mib = 4096\n").unwrap();
    assert!(place.out(&["config", "validate", file]).contains("in order"));
    assert_eq!(place.fails(&["config", "validate", "/no/such.toml"]).0, 1);
}

#[test]
fn the_environment_overrides_the_file_and_show_says_so() {
    let place = Place::new();
    let output = place
        .command(&["config", "get", "history.keep.raw_hours", "--json"])
        .env("PLIMSOLL_HISTORY__KEEP__RAW_HOURS", "24")
        .output()
        .unwrap();
    let state: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(state["value"], 24);
    assert_eq!(state["origin"]["variable"], "PLIMSOLL_HISTORY__KEEP__RAW_HOURS");
    let show = place.out(&["config", "show", "history.keep"]);
    assert!(show.lines().count() >= 7 && show.contains("history.keep.raw_hours"), "{show}");
}

#[test]
fn the_schema_lists_every_setting_in_three_forms() {
    let place = Place::new();
    let specs = place.json(&["config", "schema", "--json"]);
    assert!(specs.as_array().unwrap().iter().any(|spec| spec["key"] == "sampling.interval_ms"));
    assert!(place.json(&["config", "schema", "--json-schema"]).is_object());
    assert!(place.out(&["config", "schema", "--defaults"]).contains("[sampling]"));
}
