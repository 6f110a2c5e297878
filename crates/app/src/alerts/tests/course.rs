//! How any alert begins, goes on and ends.

use plimsoll_core::{mark::MarkKind, metric::Metric};

use super::{
    super::engine::{HOLD_MS, LIST_MS, MAX_ENDED},
    bench::{Bench, START_MS, celsius, only_warm, warm},
};

#[test]
fn an_alert_begins_once_the_value_has_held_for_its_time() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(3, &celsius(81.0));
    assert!(bench.events.is_empty(), "0, 1 and 2 s are not 3 s");
    bench.tick(&celsius(82.0));
    let row = bench.rows()[0];
    assert_eq!((row.rule.as_str(), row.subject.as_str()), ("warm", "cpu"));
    assert_eq!((bench.seconds(row.start_ms), row.end_ms, row.peak), (3, None, Some(82.0)));
    assert_eq!(row.id, format!("warm:cpu:{}", START_MS + 3000));
    assert_eq!(row.title, "Warm of cpu: 82 °C, above 80 °C.");
}

#[test]
fn a_dip_starts_the_time_anew() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(3, &celsius(81.0));
    bench.tick(&celsius(80.0)); // at the threshold is not past it
    bench.ticks(3, &celsius(81.0));
    assert!(bench.rows().is_empty());
    bench.tick(&celsius(81.0));
    assert_eq!(bench.seconds(bench.rows()[0].start_ms), 7);
}

#[test]
fn a_value_between_threshold_and_clear_keeps_an_alert_and_begins_none() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(10, &celsius(75.0));
    assert!(bench.events.is_empty());
    bench.ticks(4, &celsius(81.0));
    bench.ticks(60, &celsius(70.1));
    assert_eq!(bench.active(), ["warm cpu"]);
    bench.tick(&celsius(70.0));
    assert!(bench.active().is_empty());
    assert_eq!(bench.seconds(bench.rows().last().unwrap().end_ms.unwrap()), 74);
}

#[test]
fn a_gap_neither_ends_an_alert_nor_counts_as_zero() {
    let mut bench = Bench::new(|config| {
        only_warm(config);
        let rule = config.alerts.rules.get_mut("warm").unwrap();
        (rule.below, rule.threshold, rule.clear) = (true, Some(10.0), Some(20.0));
    });
    // Were a gap a zero, it would be far below 10.
    bench.ticks(5, &celsius(50.0));
    bench.ticks(60, &[]);
    assert!(bench.events.is_empty());

    bench.ticks(5, &celsius(5.0));
    bench.ticks(280, &[]);
    assert_eq!(bench.active(), ["warm cpu"], "held");
    let list = bench.engine.list(bench.now());
    assert_eq!(list[0].value, None, "no value is shown that is not known");
    bench.tick(&celsius(5.0));
    assert_eq!(bench.rows().len(), 1, "and it goes on as the same alert");
}

#[test]
fn an_alert_that_is_not_measured_any_more_ends_where_it_last_was() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(10, &celsius(90.0));
    // A reading counts as known for 2.5 s; from then on the alert is held.
    bench.ticks(usize::try_from(HOLD_MS / 1000).unwrap() + 2, &[]);
    assert_eq!(bench.active(), ["warm cpu"]);
    bench.ticks(2, &[]);
    assert!(bench.active().is_empty());
    let row = (*bench.rows().last().unwrap()).clone();
    assert_eq!(bench.seconds(row.end_ms.unwrap()), 11);
    assert!(row.title.ends_with("Then it was no longer measured."), "{}", row.title);
    // What comes back is a new alert with a time of its own.
    bench.ticks(4, &celsius(90.0));
    assert_ne!(bench.only(), row.id);
}

#[test]
fn time_that_is_not_measured_does_not_count_towards_the_beginning() {
    let mut bench = Bench::new(|config| {
        only_warm(config);
        config.alerts.rules.get_mut("warm").unwrap().for_s = 10;
    });
    bench.ticks(5, &celsius(90.0));
    bench.ticks(30, &[]);
    bench.ticks(10, &celsius(90.0));
    assert!(bench.rows().is_empty());
}

#[test]
fn each_subject_has_an_alert_of_its_own() {
    let mut bench = Bench::new(only_warm);
    let two = |a, b| [(Metric::Temperature, "cpu", a), (Metric::Temperature, "nvme", b)];
    bench.ticks(4, &two(90.0, 60.0));
    bench.ticks(4, &two(90.0, 85.0));
    assert_eq!(bench.active(), ["warm nvme", "warm cpu"], "the newest first");
    bench.tick(&two(60.0, 85.0));
    assert_eq!(bench.active(), ["warm nvme"]);
    assert_eq!(bench.notices().len(), 2);
}

#[test]
fn peaks_are_written_at_most_every_ten_seconds_and_at_the_end() {
    let mut bench = Bench::new(only_warm);
    for n in 0..=25u32 {
        bench.tick(&celsius(81.0 + f64::from(n)));
    }
    bench.tick(&celsius(100.0));
    bench.tick(&celsius(60.0));
    let written: Vec<_> =
        bench.rows().iter().map(|r| (r.peak.unwrap(), r.end_ms.is_some())).collect();
    assert_eq!(written, [(84.0, false), (94.0, false), (104.0, false), (106.0, true)]);
    // The row keeps the sentence of its peak.
    assert_eq!(bench.rows()[3].title, "Warm of cpu: 106 °C, above 80 °C.");
}

#[test]
fn an_alert_marks_its_beginning_and_its_end() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(64, &celsius(90.0));
    bench.tick(&celsius(60.0));
    let marks = bench.marks();
    assert_eq!(marks.len(), 2);
    assert!(marks.iter().all(|m| m.kind == MarkKind::Alert && m.subject.as_deref() == Some("cpu")));
    assert_eq!(marks[0].reference.as_deref(), Some("alert:warm:cpu"));
    // The second takes the place of the first: same start, same reference, and an end.
    assert_eq!((bench.seconds(marks[0].at_ms), marks[0].end_ms), (3, None));
    assert_eq!(
        (bench.seconds(marks[1].at_ms), marks[1].end_ms.map(|ms| bench.seconds(ms))),
        (3, Some(64))
    );
    assert_eq!(marks[0].reference, marks[1].reference);
    assert_eq!(marks[1].title, "Warm of cpu: 90 °C, above 80 °C.");
}

#[test]
fn a_changed_threshold_is_looked_at_at_once() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    assert_eq!(bench.active(), ["warm cpu"]);
    bench.reconfigure(|c| {
        let rule = c.alerts.rules.get_mut("warm").unwrap();
        (rule.threshold, rule.clear) = (Some(90.0), Some(88.0));
    });
    assert!(bench.active().is_empty());
    bench.reconfigure(|c| {
        let rule = c.alerts.rules.get_mut("warm").unwrap();
        (rule.threshold, rule.clear, rule.for_s) = (Some(50.0), Some(45.0), 0);
    });
    assert_eq!(bench.active(), ["warm cpu"], "without waiting for a tick");
    assert_eq!(bench.rows().last().unwrap().threshold, Some(50.0));
}

#[test]
fn a_rule_that_goes_or_watches_something_else_ends_its_alerts() {
    let ended = |change: fn(&mut plimsoll_core::config::Config)| {
        let mut bench = Bench::new(only_warm);
        bench.ticks(5, &celsius(85.0));
        bench.reconfigure(change);
        assert!(bench.active().is_empty());
        bench.rows().last().unwrap().title.clone()
    };
    let off = "Then its rule was changed or switched off.";
    assert!(ended(|c| c.alerts.enabled = false).ends_with(off));
    assert!(ended(|c| drop(c.alerts.rules.remove("warm"))).ends_with(off));
    assert!(ended(|c| c.alerts.rules.get_mut("warm").unwrap().enabled = false).ends_with(off));
    assert!(
        ended(|c| c.alerts.rules.get_mut("warm").unwrap().subject = "nvme".into()).ends_with(off)
    );
    assert!(
        ended(|c| c.alerts.rules.get_mut("warm").unwrap().metric = "gpu.temperature".into())
            .ends_with(off)
    );
}

#[test]
fn a_clock_set_back_ends_no_alert_before_it_began() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    bench.clock.step_wall_ms(-3_600_000);
    bench.tick(&celsius(60.0));
    let row = (*bench.rows().last().unwrap()).clone();
    assert_eq!(row.end_ms, Some(row.start_ms));
    assert_eq!(bench.engine.list(bench.now()).len(), 1);
}

#[test]
fn ended_alerts_stay_in_the_list_for_a_day_and_are_bounded() {
    let mut bench = Bench::new(only_warm);
    for _ in 0..=MAX_ENDED {
        bench.ticks(4, &celsius(85.0));
        bench.tick(&celsius(60.0));
    }
    let list = bench.engine.list(bench.now());
    assert_eq!(list.len(), MAX_ENDED);
    assert!(list.is_sorted_by(|a, b| a.row.end_ms >= b.row.end_ms));
    bench.clock.advance_ms(LIST_MS);
    assert!(bench.engine.list(bench.now()).is_empty());
}

#[test]
fn a_rule_on_a_counter_compares_its_rate() {
    use plimsoll_sense::Rate;
    let mut bench = Bench::new(|config| {
        only_warm(config);
        let rule = config.alerts.rules.get_mut("warm").unwrap();
        (rule.metric, rule.threshold, rule.clear) = ("net.received".into(), Some(1e6), Some(9e5));
        rule.title = String::new();
    });
    let rate = Rate { metric: Metric::NetReceived, subject: "eth0".into(), per_second: 2e6 };
    (0..4).for_each(|_| bench.look(Vec::new(), std::slice::from_ref(&rate)));
    assert_eq!(bench.rows()[0].title, "Received of eth0: 1.91 MiB/s, above 977 KiB/s.");
}

#[test]
fn a_rule_for_one_subject_leaves_the_others_alone() {
    let mut bench = Bench::new(|config| {
        only_warm(config);
        config.alerts.rules.get_mut("warm").unwrap().subject = "nvme".into();
        config.alerts.rules.insert(
            "bad".into(),
            plimsoll_core::config::Rule { metric: "no.such".into(), ..warm() },
        );
    });
    let both = [(Metric::Temperature, "cpu", 90.0), (Metric::Temperature, "nvme", 90.0)];
    bench.ticks(5, &both);
    assert_eq!(bench.active(), ["warm nvme"]);
    let rules = bench.engine.rules();
    assert_eq!(rules[0].sentence, "There is no metric \"no.such\": this rule watches nothing.");
    assert_eq!(rules[1].sentence, "Temperature of nvme is above 80 °C, for 3 s.");
    assert_eq!(rules[1].active, ["nvme"]);
}
