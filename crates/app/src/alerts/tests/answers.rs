//! Notifications, and how a person answers.

use plimsoll_core::{alert::Severity, metric::Metric};

use super::{
    super::{Restored, engine::NoSuchAlert},
    bench::{Bench, START_MS, celsius, only_warm},
};

const MINUTE: usize = 60;

#[test]
fn one_notification_of_a_rule_and_subject_in_the_gap_and_a_later_one_waits() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    bench.tick(&celsius(60.0));
    assert_eq!(bench.notices().len(), 1);
    bench.ticks(5, &celsius(85.0));
    assert_eq!(bench.active(), ["warm cpu"]);
    assert_eq!(bench.notices().len(), 1, "it began again within ten minutes");
    // The first was given after 3 s; ten minutes later the second is due.
    bench.ticks(10 * MINUTE - 9, &celsius(85.0));
    assert_eq!(bench.notices().len(), 1);
    bench.ticks(2, &celsius(85.0));
    assert_eq!(bench.notices().len(), 2, "still active: it is told late, not never");
    bench.ticks(30 * MINUTE, &celsius(85.0));
    assert_eq!(bench.notices().len(), 2, "and only once");
}

#[test]
fn home_does_not_silence_the_root() {
    let gib = super::bench::GIB;
    let mut bench = Bench::new(|_| {});
    let mounts = |root, home| {
        [
            (Metric::MountAvailable, "/home", home * gib),
            (Metric::MountTotal, "/home", 50.0 * gib),
            (Metric::MountAvailable, "/", root * gib),
            (Metric::MountTotal, "/", 200.0 * gib),
        ]
    };
    bench.ticks(32, &mounts(80.0, 3.2));
    bench.ticks(32, &mounts(4.0, 3.2));
    let titles: Vec<_> = bench.notices().iter().map(|n| n.title.as_str()).collect();
    assert_eq!(
        titles,
        ["/home has 3.20 GiB left of 50.0 GiB (6 %).", "/ has 4.00 GiB left of 200 GiB (2 %)."]
    );
    assert_eq!(
        bench.notices()[0].advice,
        "Delete or move files; `du -xh --max-depth=1 /home` shows where they are."
    );
}

#[test]
fn information_stands_in_the_list_and_does_not_notify() {
    let mut bench = Bench::new(|config| {
        only_warm(config);
        config.alerts.rules.get_mut("warm").unwrap().severity = Severity::Info;
    });
    bench.ticks(700, &celsius(85.0));
    assert_eq!((bench.active().len(), bench.notices().len()), (1, 0));
}

#[test]
fn notifications_can_be_switched_off_and_are_not_made_up_for_later() {
    let mut bench = Bench::new(|config| {
        only_warm(config);
        config.alerts.notify = false;
    });
    bench.ticks(10, &celsius(85.0));
    bench.reconfigure(|c| c.alerts.notify = true);
    bench.ticks(700, &celsius(85.0));
    assert_eq!((bench.active().len(), bench.notices().len()), (1, 0));
}

#[test]
fn an_acknowledged_alert_stays_in_the_list_and_is_quiet() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    bench.tick(&celsius(60.0));
    bench.ticks(5, &celsius(85.0)); // waits for its notification
    let id = bench.only();
    let events = bench.engine.acknowledge(bench.now(), &id).unwrap();
    bench.events.extend(events);
    bench.ticks(12 * MINUTE, &celsius(85.0));
    assert_eq!(bench.notices().len(), 1);
    let seen = bench.engine.list(bench.now())[0].acknowledged_ms.unwrap();
    assert_eq!(bench.seconds(seen), 11);
    assert_eq!(bench.answers()[0].acknowledged_ms, Some(seen));
    assert_eq!(bench.engine.acknowledge(bench.now(), "warm:gpu:1"), Err(NoSuchAlert));
    // Once it is over, nothing is kept of the answer.
    bench.tick(&celsius(60.0));
    assert_eq!(bench.answers().last().unwrap().acknowledged_ms, None);
}

#[test]
fn a_snoozed_rule_is_quiet_for_its_subject_also_when_it_begins_again() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    let id = bench.only();
    let events = bench.engine.snooze(bench.now(), &id, 30).unwrap();
    bench.events.extend(events);
    bench.tick(&celsius(60.0));
    bench.ticks(25 * MINUTE, &celsius(85.0));
    assert_eq!(bench.notices().len(), 1);
    let alert = &bench.engine.list(bench.now())[0];
    assert_eq!(alert.snoozed_until_ms.map(|ms| bench.seconds(ms)), Some(5 + 1800));
    bench.ticks(6 * MINUTE, &celsius(85.0));
    assert_eq!(bench.notices().len(), 2, "it still holds when the snooze is over");
    assert_eq!(bench.engine.list(bench.now())[0].snoozed_until_ms, None);
    assert_eq!(bench.answers().last().unwrap().snoozed_until_ms, None, "and is forgotten");
}

#[test]
fn a_snooze_can_be_ended() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    let id = bench.only();
    bench.engine.snooze(bench.now(), &id, 600).unwrap();
    let events = bench.engine.snooze(bench.now(), &id, 0).unwrap();
    bench.events.extend(events);
    assert_eq!(bench.answers().last().unwrap().snoozed_until_ms, None);
    assert_eq!(bench.engine.list(bench.now())[0].snoozed_until_ms, None);
}

#[test]
fn a_restart_keeps_the_alert_its_answers_and_its_silence() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    let id = bench.only();
    let mut events = bench.engine.acknowledge(bench.now(), &id).unwrap();
    events.extend(bench.engine.snooze(bench.now(), &id, 60).unwrap());
    bench.events.extend(events);
    let restored = Restored {
        answers: vec![(*bench.answers().last().unwrap()).clone()],
        rows: vec![bench.rows()[0].clone()],
    };
    bench.restart(20_000, restored);
    let alert = bench.engine.list(bench.now()).remove(0);
    assert_eq!(alert.row.id, id);
    assert_eq!(alert.acknowledged_ms, Some(START_MS + 5000));
    assert_eq!(alert.snoozed_until_ms, Some(START_MS + 5000 + 3_600_000));
    bench.ticks(20, &celsius(85.0));
    assert_eq!(bench.only(), id, "the same alert goes on");
    assert!(bench.notices().is_empty() && bench.marks().is_empty(), "a restart is no news");
}

#[test]
fn an_alert_without_an_answer_does_not_notify_again_after_a_restart() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    let rows = vec![bench.rows()[0].clone()];
    bench.restart(60_000, Restored { rows, ..Restored::default() });
    bench.ticks(20 * MINUTE, &celsius(85.0));
    assert!(bench.notices().is_empty());
    // One that begins anew shortly after the restart still keeps the gap.
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    let rows = vec![bench.rows()[0].clone()];
    bench.restart(60_000, Restored { rows, ..Restored::default() });
    bench.tick(&celsius(60.0));
    bench.ticks(5, &celsius(85.0));
    assert_eq!((bench.active().len(), bench.notices().len()), (1, 0));
}

#[test]
fn an_alert_that_ended_while_plimsoll_was_away_is_closed_and_says_so() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    let rows = vec![bench.rows()[0].clone()];
    bench.restart(3_600_000, Restored { rows, ..Restored::default() });
    bench.tick(&celsius(50.0));
    let row = bench.rows()[0];
    assert!(row.end_ms.is_some() && row.title.contains("while Plimsoll was not running"));
    assert!(bench.active().is_empty());
}

#[test]
fn an_open_alert_of_something_that_is_gone_is_closed_as_not_measured() {
    let mut bench = Bench::new(only_warm);
    bench.ticks(5, &celsius(85.0));
    let first = bench.rows()[0].clone();
    let mut second = first.clone();
    (second.id, second.start_ms) = ("warm:cpu:later".into(), first.start_ms + 60_000);
    let mut foreign = first.clone();
    (foreign.id, foreign.rule) = ("old:cpu:1".into(), "old".into());
    bench.restart(120_000, Restored { rows: vec![second, foreign, first], ..Restored::default() });
    assert_eq!(bench.rows()[0].id, format!("warm:cpu:{}", START_MS + 3000));
    assert!(bench.rows()[0].end_ms.is_some(), "two are never open for one subject");
    bench.ticks(302, &[]);
    let closed: Vec<_> =
        bench.rows().iter().map(|r| (r.rule.as_str(), r.end_ms.is_some())).collect();
    assert_eq!(closed, [("warm", true), ("old", true), ("warm", true)]);
    assert!(bench.active().is_empty());
}
