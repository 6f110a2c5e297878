//! What a person or the configuration wants, and what was there before.

use super::{closing::*, *};

#[test]
fn a_persons_stop_stays_until_a_persons_start() {
    let mut bench = Bench::new(vec![spec("a")]);
    bench.go().serves("a");
    bench.plan.stop("a", "Stopped by a person.", bench.now).unwrap();
    bench.go();
    assert_eq!(
        (bench.state("a"), bench.signals.as_slice()),
        (RunState::Stopping, &["a end".into()][..])
    );
    assert_eq!(
        bench.plan.stop("a", "Stopped by a person.", bench.now),
        Err(Refused::Already(RunState::Stopping))
    );
    bench.pass(19_999);
    assert_eq!(bench.signals, ["a end"]);
    bench.pass(1);
    assert_eq!(bench.signals, ["a end", "a kill"]);
    bench.ends("a", Ended::Signal(9)).pass(600_000);
    let run = bench.run("a");
    assert_eq!((run.state, run.reason.as_str()), (RunState::Stopped, "Stopped by a person."));
    assert_eq!(bench.started, ["a"]);
    assert!(bench.said.last().unwrap().starts_with("A was killed: it had not ended 20 s"));
    // Not even a changed configuration starts it.
    let specs = bench.specs.clone();
    bench.plan.configure(specs, false, bench.now);
    bench.go();
    assert_eq!(bench.started, ["a"]);
    bench.plan.start("a", bench.now).unwrap();
    bench.go();
    assert_eq!(bench.started, ["a", "a"]);
    assert_eq!(bench.plan.start("a", bench.now), Err(Refused::Already(RunState::Starting)));
    assert_eq!(bench.plan.start("b", bench.now), Err(Refused::NoSuchService));
}

#[test]
fn a_stop_during_the_start_and_a_start_during_the_stop_both_hold() {
    let mut bench = Bench::new(vec![spec("a")]);
    let deeds = bench.plan.advance(&bench.sight, bench.now);
    let [Deed::Start { number, .. }] = deeds[..] else { panic!("{deeds:?}") };
    bench.plan.stop("a", "Stopped by a person.", bench.now).unwrap();
    assert_eq!(bench.plan.advance(&bench.sight, bench.now), []);
    let running = Running { pid: 7, fingerprint: 0, command: Vec::new() };
    bench.plan.started("a", number, Ok(running), bench.now);
    bench.go();
    assert_eq!(bench.signals, ["a end"]);
    bench.plan.start("a", bench.now).unwrap();
    assert!(bench.run("a").reason.contains("starts again"));
    bench.ends("a", Ended::Signal(15));
    assert_eq!((bench.state("a"), bench.started.len()), (RunState::Starting, 1));
}

#[test]
fn what_cannot_be_started_says_why_and_is_not_tried_again() {
    let mut bench = Bench::new(vec![spec("a")]);
    let deeds = bench.plan.advance(&bench.sight, bench.now);
    let [Deed::Start { number, .. }] = deeds[..] else { panic!("{deeds:?}") };
    bench.plan.started(
        "a",
        number,
        Err(Unmade { why: "there is no program x".into(), lasting: true }),
        bench.now,
    );
    bench.pass(600_000);
    let run = bench.run("a");
    assert_eq!((run.state, run.reason.as_str()), (RunState::Failed, "there is no program x"));
    assert!(bench.started.is_empty());
}

#[test]
fn at_the_end_all_are_stopped_one_by_one_the_last_one_first() {
    let mut bench = Bench::new(vec![spec("a"), spec("b"), gpu("c", 50)]);
    bench.sight.vram = Some(Vram { at_ms: 0, free_bytes: GIB });
    bench.go().serves("a").serves("b");
    bench.plan.close(bench.now);
    bench.go();
    assert_eq!(bench.signals, ["b end"]);
    assert_eq!((bench.state("c"), bench.plan.is_still()), (RunState::Stopped, false));
    assert_eq!(bench.plan.start("c", bench.now), Err(Refused::Closing));
    bench.pass(20_000);
    assert_eq!(bench.signals, ["b end", "b kill"]);
    bench.ends("b", Ended::Signal(9));
    assert_eq!(bench.signals, ["b end", "b kill", "a end"]);
    bench.ends("a", Ended::Code(0));
    assert!(bench.plan.is_still() && bench.wake_ms().is_none());
    assert_eq!(bench.started, ["a", "b"]);
}

#[test]
fn a_changed_command_restarts_nothing_and_is_told() {
    let mut bench = Bench::new(vec![spec("a")]);
    bench.go().serves("a");
    let mut other = spec("a");
    other.launch.arguments.push("-v".into());
    other.grace = Duration::from_secs(3);
    bench.plan.configure(vec![other.clone()], false, bench.now);
    bench.go();
    let (_, state) = bench.plan.states().next().unwrap();
    assert!(state.changed && state.run.state == RunState::Running);
    assert_eq!(state.run.command, ["x"]);
    // How long it may take to end holds at once.
    bench.plan.stop("a", "Stopped by a person.", bench.now).unwrap();
    bench.go().pass(3000);
    assert_eq!(bench.signals, ["a end", "a kill"]);
    bench.ends("a", Ended::Signal(9));
    let (_, state) = bench.plan.states().next().unwrap();
    assert!(!state.changed);
    assert_eq!(state.run.command, ["x", "-v"]);
}

#[test]
fn one_that_leaves_the_configuration_is_stopped_and_then_forgotten() {
    let mut bench = Bench::new(vec![spec("a"), Spec { autostart: false, ..spec("b") }]);
    bench.go().serves("a");
    assert_eq!(bench.state("b"), RunState::Stopped);
    bench.plan.configure(Vec::new(), false, bench.now);
    bench.go();
    assert_eq!(bench.wake_ms(), Some(GONE_MS));
    bench.pass(GONE_MS);
    assert_eq!(
        (bench.signals.as_slice(), bench.forgotten.as_slice()),
        (&["a end".into()][..], &["b".into()][..])
    );
    assert_eq!(bench.plan.start("a", bench.now), Err(Refused::NoSuchService));
    bench.ends("a", Ended::Code(0));
    assert_eq!(bench.forgotten, ["b", "a"]);
    assert_eq!(bench.plan.states().count(), 0);
}

#[test]
fn a_new_command_waits_for_a_person() {
    let mut bench = Bench::new(Vec::new());
    bench.plan.configure(vec![spec("a")], false, bench.now);
    bench.go();
    assert_eq!(bench.state("a"), RunState::Stopped);
    assert!(bench.run("a").reason.contains("new"));
    assert!(bench.started.is_empty());
}

#[test]
fn what_was_found_again_is_not_started_twice_and_stopped_in_its_order() {
    let mut bench = Bench::new(Vec::new());
    let running = |pid| Running {
        pid,
        fingerprint: spec("a").launch.fingerprint(),
        command: vec!["x".into()],
    };
    bench.plan.adopt(spec("b"), running(1), bench.now);
    bench.plan.adopt(spec("a"), running(2), bench.now);
    bench.plan.adopt(spec("old"), running(3), bench.now);
    bench.plan.configure(vec![spec("a"), spec("b"), spec("c")], true, bench.now);
    bench.go();
    assert_eq!(bench.started, ["c"]);
    assert_eq!(bench.run("a").pid, Some(2));
    bench.pass(GONE_MS);
    // What nobody wants any more does not stay.
    assert_eq!(bench.signals, ["old end"]);
    bench.ends("old", Ended::Unknown);
    bench.plan.close(bench.now);
    bench.go().ends("c", Ended::Code(0)).ends("a", Ended::Unknown);
    assert_eq!(bench.signals, ["old end", "c end", "a end", "b end"]);
}

#[test]
fn what_is_told_of_an_earlier_start_changes_nothing() {
    let mut bench = Bench::new(vec![spec("a")]);
    bench.go();
    let number = bench.number("a");
    bench.ends("a", Ended::Code(1)).pass(1000);
    bench.plan.answered("a", number, bench.now);
    bench.plan.ended("a", number, Ended::Code(1), None, bench.now);
    bench.go();
    assert_eq!(bench.state("a"), RunState::Starting);
}

#[test]
fn while_the_gpu_is_kept_free_only_a_persons_word_starts_one() {
    let mut bench = Bench::new(vec![gpu("a", 0), gpu("b", 0), spec("redis")]);
    bench.sight.kept_off = ["a".into(), "b".into(), "redis".into()].into();
    bench.go();
    assert_eq!(bench.started, ["redis"]);
    assert_eq!(bench.run("a").reason, "Waits for the end of the hold: the GPU is kept free.");
    bench.plan.start("a", bench.now).unwrap();
    bench.go().serves("a");
    assert_eq!(bench.started, ["redis", "a"]);
    // Ended by itself, it is kept off as the others are.
    bench.ends("a", Ended::Code(1)).pass(1000);
    assert_eq!(bench.state("a"), RunState::Waiting);
    bench.sight.kept_off.clear();
    bench.go();
    assert_eq!(bench.started, ["redis", "a", "a"]);
}

#[test]
fn a_persons_word_holds_for_one_start() {
    let mut bench = Bench::new(vec![Spec { autostart: false, ..gpu("a", 0) }]);
    bench.sight.kept_off = ["a".into()].into();
    bench.plan.start("a", bench.now).unwrap();
    bench.go();
    // It crashes before it serves, and is kept off as if nobody had asked.
    bench.ends("a", Ended::Code(1)).pass(1000);
    assert_eq!((bench.state("a"), bench.started.len()), (RunState::Waiting, 1));
    assert_eq!(bench.run("a").reason, "Waits for the end of the hold: the GPU is kept free.");
}

#[test]
fn what_was_killed_and_does_not_go_is_left() {
    let mut bench = Bench::new(vec![spec("a")]);
    bench.go().serves("a");
    let number = bench.number("a");
    bench.plan.stop("a", "Stopped by a person.", bench.now).unwrap();
    bench.go().pass(20_000);
    assert_eq!((bench.signals.len(), bench.wake_ms()), (2, Some(30_000)));
    bench.pass(9_999);
    assert_eq!(bench.state("a"), RunState::Stopping);
    bench.pass(1);
    let run = bench.run("a");
    assert_eq!((run.state, run.pid), (RunState::Stopped, None));
    assert_eq!(run.reason, "It was killed and does not go: its process 1001 hangs in the kernel.");
    assert!(bench.said.last().unwrap().starts_with("A was killed and does not go"));
    // It can be tried again, and the end of the old one is none of the new one.
    bench.plan.start("a", bench.now).unwrap();
    bench.go();
    bench.plan.ended("a", number, Ended::Signal(9), None, bench.now);
    assert_eq!((bench.go().state("a"), bench.started.len()), (RunState::Starting, 2));
}

#[test]
fn the_end_of_plimsoll_has_an_end() {
    let patient = |id| Spec { grace: Duration::from_secs(600), ..spec(id) };
    let mut bench = Bench::new(vec![patient("a"), patient("b"), spec("c")]);
    bench.go();
    bench.plan.close(bench.now);
    bench.go().pass(CLOSE_IN_ORDER_MS - 1);
    assert_eq!(bench.signals[..2], ["c end", "c kill"]);
    bench.pass(1);
    assert_eq!(bench.signals[2..], ["a end", "b end"]);
    assert_eq!(bench.wake_ms(), Some(CLOSE_IN_ORDER_MS - 1 + GOES_MS));
    bench.pass(CLOSE_KILL_MS - CLOSE_IN_ORDER_MS);
    assert_eq!(bench.signals[4..], ["a kill", "b kill"]);
    assert!(!bench.plan.is_still());
    bench.pass(GOES_MS);
    assert!(bench.plan.is_still() && bench.wake_ms().is_none());

    // Not even a start that hangs keeps it.
    let mut bench = Bench::new(vec![spec("a")]);
    assert_eq!(bench.plan.advance(&bench.sight, bench.now).len(), 1);
    bench.plan.close(bench.now);
    bench.pass(CLOSE_MS - 1);
    assert!(!bench.plan.is_still());
    bench.pass(1);
    assert!(bench.plan.is_still());
    assert_eq!(bench.run("a").reason, "It is left: its start hangs.");
}

#[test]
fn a_passing_edit_stops_nothing() {
    let mut bench = Bench::new(vec![spec("a"), spec("b")]);
    bench.go().serves("a").ends("b", Ended::Code(1));
    let specs = bench.specs.clone();
    bench.plan.configure(Vec::new(), false, bench.now);
    bench.go().pass(GONE_MS - 1);
    // Neither stopped nor started meanwhile.
    assert_eq!((bench.signals.len(), bench.started.len()), (0, 2));
    bench.plan.configure(specs, false, bench.now);
    bench.go().pass(GONE_MS);
    assert_eq!((bench.state("a"), bench.signals.len()), (RunState::Running, 0));
    assert_eq!(bench.started, ["a", "b", "b"]);
    assert!(bench.forgotten.is_empty());
}

#[test]
fn one_that_is_in_the_configuration_again_while_it_stops_runs_again() {
    let mut bench = Bench::new(vec![spec("a"), spec("b")]);
    bench.go().serves("a").serves("b");
    bench.plan.stop("b", "Stopped by a person.", bench.now).unwrap();
    let specs = bench.specs.clone();
    bench.plan.configure(Vec::new(), false, bench.now);
    bench.go().pass(GONE_MS);
    assert_eq!(bench.signals, ["b end", "a end"]);
    bench.plan.configure(specs, false, bench.now);
    bench.go().ends("a", Ended::Code(0)).ends("b", Ended::Code(0));
    // Not the one that a person had stopped before.
    assert_eq!((bench.state("a"), bench.state("b")), (RunState::Starting, RunState::Stopped));
}

#[test]
fn a_start_that_could_not_be_made_for_now_is_tried_again() {
    let after = |restart| {
        let mut bench = Bench::new(vec![Spec { restart, ..spec("a") }]);
        let deeds = bench.plan.advance(&bench.sight, bench.now);
        let [Deed::Start { number, .. }] = deeds[..] else { panic!("{deeds:?}") };
        let busy = "text file busy".to_owned();
        bench.plan.started("a", number, Err(busy.into()), bench.now);
        bench.go();
        assert_eq!(bench.said, ["A could not be started: text file busy"]);
        assert_eq!(bench.run("a").reason, "text file busy");
        let state = bench.state("a");
        bench.pass(1000);
        (state, bench.started.len())
    };
    assert_eq!(after(Restart::OnFailure), (RunState::Restarting, 1));
    assert_eq!(after(Restart::Always), (RunState::Restarting, 1));
    assert_eq!(after(Restart::Never), (RunState::Failed, 0));
}
