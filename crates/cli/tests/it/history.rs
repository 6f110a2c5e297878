//! `history`: formats of query, stats and export.

use std::fs;

use serde_json::Value;

use crate::program::Place;

/// A place where a few ticks were recorded, and their owner has ended.
fn recorded() -> Place {
    let place = Place::new();
    let up = place.up(&[]);
    place.eventually("three ticks", || {
        let output = place.run(&["history", "query", "memory.used", "--last", "5m", "--json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        answer["points"].as_array().is_some_and(|points| points.len() >= 3)
    });
    assert!(up.end("-TERM").success());
    place
}

#[test]
fn query_stats_and_export_have_their_formats() {
    let place = recorded();

    let answer = place.json(&["history", "query", "memory.used", "--last", "5m", "--json"]);
    assert_eq!((&answer["metric"], &answer["unit"]), (&"memory.used".into(), &"bytes".into()));
    let points = answer["points"].as_array().unwrap();
    let real = |point: &&Value| point[1].is_number();
    assert!(points.iter().filter(real).count() >= 3, "{answer}");
    for point in points.iter().filter(real) {
        let [at, min, mean, max] = [0, 1, 2, 3].map(|i| point[i].as_f64().unwrap());
        assert!(at > 1.6e12 && min <= mean && mean <= max, "{point}");
    }
    for point in points.iter().filter(|point| !real(point)) {
        assert!(point[2].is_null() && point[3].is_null(), "{point}");
    }
    let both = place.out(&["history", "query", "memory.used", "memory.total", "--json"]);
    assert_eq!(both.lines().count(), 2, "a line a series");

    let stats = place.json(&["history", "stats", "--json"]);
    for name in ["bytes", "samples", "series", "oldest_ms", "newest_ms"] {
        assert!(stats[name].as_i64().unwrap() > 0, "{name}: {stats}");
    }
    assert!(stats.as_object().unwrap().contains_key("bytes_per_sample"), "{stats}");

    let csv = place.out(&["history", "export", "memory.used", "--last", "5m"]);
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("at_ms,time,metric,subject,unit,value"));
    assert!(lines.clone().count() >= 3);
    let row: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!((row[2], row[3], row[4]), ("memory.used", "", "bytes"));

    let file = place.path("out.jsonl");
    let path = file.to_str().unwrap();
    let told = place.json(&[
        "history", "export", "--last", "5m", "--format", "jsonl", "--output", path, "--json",
    ]);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(told["rows"].as_u64().unwrap(), text.lines().count() as u64);
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(line["at_ms"].is_i64() && line["value"].is_number(), "{line}");
    assert_eq!(
        fs::read_dir(file.parent().unwrap())
            .unwrap()
            .flatten()
            .filter(|e| { e.file_name().to_string_lossy().contains(".part-") })
            .count(),
        0
    );
}

#[test]
fn wrong_words_are_usage_and_a_missing_history_is_a_failure() {
    let place = Place::new();
    for (args, found) in [
        (vec!["history", "query", "memory.usd"], "memory.used"),
        (vec!["history", "query", "memory.used", "--last", "soon"], "90s"),
        (vec!["history", "query", "memory.used", "--from", "never"], "Allowed are"),
        (vec!["history", "query", "memory.used", "--from", "2000", "--to", "1000"], "before"),
        (vec!["history", "query"], "required"),
        (vec!["history", "query", "memory.used", "--width", "0"], "0"),
    ] {
        let (code, err) = place.fails(&args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(err.contains(found), "{args:?}: {err}");
    }
    let (code, err) = place.fails(&["history", "stats"]);
    assert!(code == 1 && err.contains("no history"), "{err}");
}

#[test]
fn recover_wants_the_folder_for_itself_and_something_to_read() {
    let place = recorded();
    let (code, err) = place.fails(&["history", "recover"]);
    assert!(code == 1 && err.contains("No damaged database"), "{err}");
    // A whole database under a damaged one's name: all of it comes back.
    let aside = place.data().join("history-damaged-20261121-120000.db");
    fs::rename(place.data().join("history.db"), &aside).unwrap();
    let up = place.up(&[]);
    let (code, err) = place.fails(&["history", "recover"]);
    assert!(code == 1 && err.contains(&up.pid().to_string()), "{err}");
    assert!(up.end("-TERM").success());
    let report = place.json(&["history", "recover", "--json"]);
    assert!(
        report[0]["ticks"].as_i64().unwrap() + report[0]["chunks"].as_i64().unwrap() > 0,
        "{report}"
    );
    assert!(aside.exists(), "the damaged file stays");
}
