//! `sample --json`: a line a tick.

use serde_json::Value;

use crate::program::Place;

#[test]
fn each_tick_is_a_line_with_metric_subject_unit_and_value() {
    let place = Place::new();
    let text = place.out(&["sample", "--ticks", "2", "--json"]);
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["at_ms"].as_i64().unwrap() < lines[1]["at_ms"].as_i64().unwrap());
    for line in &lines {
        let readings = line["readings"].as_array().unwrap();
        for reading in readings {
            let fields: Vec<&String> = reading.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["metric", "subject", "unit", "value"]);
            assert!(reading["value"].is_number(), "{reading}");
        }
        let value = |metric: &str| {
            let found = readings.iter().find(|r| r["metric"] == metric);
            found.unwrap_or_else(|| panic!("{metric} is missing"))["value"].as_u64().unwrap()
        };
        assert_eq!(value("memory.used") + value("memory.available"), value("memory.total"));
        assert!(readings.iter().any(|r| r["metric"] == "cpu.busy"), "shares have their base");
    }
    assert!(!place.data().exists(), "nothing is recorded");
}

#[test]
fn the_demo_has_a_card_and_says_in_words_what_it_reads() {
    let place = Place::new();
    let text = place.out(&["sample", "--demo"]);
    assert!(text.contains("gpu.vram.used[GPU-") && text.contains("GiB"), "{text}");
}
