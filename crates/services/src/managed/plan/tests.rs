use std::path::PathBuf;

use super::{super::flags::Launch, *};

const GIB: u64 = 1 << 30;

/// A plan with a clock; starts are made at once, with the number as the process's.
struct Bench {
    plan: Plan,
    now: Instant3,
    sight: Sight,
    /// Starts in their order.
    started: Vec<String>,
    /// `id end` and `id kill`.
    signals: Vec<String>,
    said: Vec<String>,
    forgotten: Vec<String>,
    specs: Vec<Spec>,
}

fn spec(id: &str) -> Spec {
    Spec {
        id: id.into(),
        name: id.to_uppercase(),
        url: "http://127.0.0.1:1".into(),
        launch: Launch {
            program: "x".into(),
            arguments: Vec::new(),
            cwd: PathBuf::from("/"),
            env: Vec::new(),
        },
        autostart: true,
        order: 0,
        restart: Restart::OnFailure,
        grace: Duration::from_secs(20),
        planned: None,
        on_gpu: false,
        watched: true,
    }
}

fn gpu(id: &str, planned_gib: u64) -> Spec {
    let planned = (planned_gib > 0).then_some(planned_gib * GIB);
    Spec { on_gpu: true, planned, ..spec(id) }
}

impl Bench {
    fn new(specs: Vec<Spec>) -> Self {
        let mut bench = Self {
            plan: Plan::default(),
            now: Instant3 { wall_ms: 1_000_000, monotonic_ms: 0, boottime_ms: 0 },
            sight: Sight::default(),
            started: Vec::new(),
            signals: Vec::new(),
            said: Vec::new(),
            forgotten: Vec::new(),
            specs: specs.clone(),
        };
        bench.plan.configure(specs, true, bench.now);
        bench
    }

    fn go(&mut self) -> &mut Self {
        // A start that is made changes what may be done next.
        for _ in 0..10 {
            let deeds = self.plan.advance(&self.sight, self.now);
            if deeds.is_empty() {
                break;
            }
            for deed in deeds {
                match deed {
                    Deed::Start { spec, number } => {
                        self.started.push(spec.id.clone());
                        let running = Running {
                            pid: i32::try_from(number).unwrap() + 1000,
                            print: spec.launch.print(),
                            command: spec.launch.shown(),
                        };
                        self.plan.started(&spec.id, number, Ok(running), self.now);
                    }
                    Deed::Signal { id, kill, .. } => {
                        self.signals.push(format!("{id} {}", if kill { "kill" } else { "end" }));
                    }
                    Deed::Forget { id } => self.forgotten.push(id),
                    Deed::Say { title, .. } => self.said.push(title),
                }
            }
        }
        self
    }

    fn pass(&mut self, ms: i64) -> &mut Self {
        self.now.wall_ms += ms;
        self.now.monotonic_ms += ms;
        self.now.boottime_ms += ms;
        self.go()
    }

    /// Free VRAM, read now.
    fn free(&mut self, gib: u64) -> &mut Self {
        let at_ms = Some(self.now.monotonic_ms);
        self.sight.vram = Vram { at_ms, free_bytes: Some(gib * GIB) };
        self.go()
    }

    fn serves(&mut self, id: &str) -> &mut Self {
        let number = self.number(id);
        self.plan.answered(id, number, self.now);
        self.go()
    }

    fn ends(&mut self, id: &str, how: Ended) -> &mut Self {
        let number = self.number(id);
        self.plan.ended(id, number, how, Some("no luck".into()), self.now);
        self.go()
    }

    fn number(&self, id: &str) -> u64 {
        self.plan.units[id].live.as_ref().unwrap().number
    }

    fn run(&self, id: &str) -> crate::service::Run {
        self.plan.states().find(|(of, _)| of == id).unwrap().1.run
    }

    fn state(&self, id: &str) -> RunState {
        self.run(id).state
    }
}

#[test]
fn those_that_share_the_gpu_start_one_after_another_in_their_order() {
    let mut bench =
        Bench::new(vec![gpu("a", 0), Spec { order: 1, ..gpu("b", 0) }, gpu("c", 0), spec("redis")]);
    bench.go();
    assert_eq!(bench.started, ["a", "redis"]);
    assert_eq!(bench.run("c").reason, "Waits for A, which is loading.");
    assert_eq!(bench.state("b"), RunState::Waiting);
    bench.serves("a");
    assert_eq!(bench.started, ["a", "redis", "c"]);
    assert_eq!(bench.run("b").reason, "Waits for C, which is loading.");
    // One that ended is no longer in the way.
    bench.ends("c", Ended::Code(1));
    assert_eq!(bench.started, ["a", "redis", "c", "b"]);
}

#[test]
fn one_that_loads_for_ever_keeps_nobody_waiting_for_ever() {
    let mut bench = Bench::new(vec![gpu("a", 0), gpu("b", 0)]);
    bench.go();
    assert_eq!(bench.plan.wake_ms(), Some(LOADING_MS));
    bench.pass(LOADING_MS);
    assert_eq!(bench.started, ["a", "b"]);
    assert_eq!(bench.state("a"), RunState::Starting);
}

#[test]
fn nothing_starts_into_room_that_is_not_free() {
    let mut bench = Bench::new(vec![gpu("big", 9), gpu("small", 2)]);
    bench.go();
    assert_eq!(bench.run("big").reason, "Waits for a first reading of the VRAM.");
    bench.free(4);
    // Not the first in the row, but there is room for it.
    assert_eq!(bench.started, ["small"]);
    assert_eq!(bench.run("big").reason, "Waits for SMALL, which is loading.");
    bench.serves("small");
    assert_eq!(bench.run("big").reason, "Waits for a new reading of the VRAM.");
    bench.pass(1000).free(8);
    assert_eq!(
        bench.run("big").reason,
        "Waits for room in VRAM: 9.0 GiB are planned for it, 8.0 GiB are free."
    );
    assert_eq!(bench.run("big").planned_vram_bytes, Some(9 * GIB));
    bench.pass(1000).free(9);
    assert_eq!(bench.started, ["small", "big"]);
}

#[test]
fn room_that_is_planned_for_another_is_not_free() {
    let mut bench = Bench::new(vec![gpu("lazy", 6), Spec { order: 1, ..gpu("next", 5) }]);
    bench.free(10).serves("lazy");
    // It answers, and loads its model with the first request.
    bench.sight.held.insert("lazy".into(), GIB / 2);
    bench.pass(1000).free(10);
    let reason = bench.run("next").reason;
    assert!(
        reason.ends_with("10.0 GiB are free, of which 5.5 GiB are planned for others."),
        "{reason}"
    );
    bench.sight.held.insert("lazy".into(), 6 * GIB);
    bench.pass(1000).free(5);
    assert_eq!(bench.started, ["lazy", "next"]);
}

#[test]
fn without_a_gpu_that_is_read_nobody_waits_for_room() {
    let mut bench = Bench::new(vec![gpu("a", 9)]);
    bench.sight.vram = Vram { at_ms: Some(5), free_bytes: None };
    bench.go();
    assert_eq!(bench.started, ["a"]);
    // Nothing is read at all: after a while that is how it is.
    let mut bench = Bench::new(vec![gpu("a", 9)]);
    bench.pass(9_999);
    assert!(bench.started.is_empty() && bench.plan.watches_vram());
    bench.pass(1);
    assert_eq!(bench.started, ["a"]);
}

#[test]
fn one_that_ends_by_itself_is_started_again_after_a_pause() {
    let mut bench = Bench::new(vec![spec("a")]);
    bench.go().serves("a");
    assert_eq!(bench.state("a"), RunState::Running);
    bench.ends("a", Ended::Signal(11));
    let run = bench.run("a");
    assert_eq!((run.state, run.pid), (RunState::Restarting, None));
    assert_eq!(run.reason, "It ended by signal 11; its last line: no luck");
    assert_eq!(run.next_ms, Some(1_001_000));
    assert_eq!(bench.plan.wake_ms(), Some(1000));
    bench.pass(999);
    assert_eq!(bench.started, ["a"]);
    bench.pass(1);
    assert_eq!((bench.started.len(), bench.run("a").restarts), (2, 1));
    assert!(bench.said.iter().any(|said| said.contains("A ended by itself")), "{:?}", bench.said);
}

#[test]
fn one_that_ends_five_times_is_left_alone_until_a_person_starts_it() {
    let mut bench = Bench::new(vec![spec("a")]);
    bench.go();
    for _ in 0..5 {
        bench.ends("a", Ended::Code(1)).pass(60_000);
    }
    let run = bench.run("a");
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(
        run.reason,
        "It ended 5 times within 5 min; It ended with code 1; its last line: no luck"
    );
    assert_eq!((run.restarts, run.next_ms), (4, None));
    bench.pass(3_600_000);
    assert_eq!(bench.started.len(), 5);
    bench.plan.start("a", bench.now).unwrap();
    bench.go();
    assert_eq!((bench.state("a"), bench.run("a").restarts), (RunState::Starting, 0));
}

#[test]
fn whether_it_is_started_again_is_for_its_setting_to_say() {
    let after = |restart, how| {
        let mut bench = Bench::new(vec![Spec { restart, ..spec("a") }]);
        bench.go().ends("a", how);
        bench.state("a")
    };
    assert_eq!(after(Restart::OnFailure, Ended::Code(0)), RunState::Stopped);
    assert_eq!(after(Restart::OnFailure, Ended::Unknown), RunState::Restarting);
    assert_eq!(after(Restart::Always, Ended::Code(0)), RunState::Restarting);
    assert_eq!(after(Restart::Never, Ended::Code(1)), RunState::Failed);
    assert_eq!(after(Restart::Never, Ended::Code(0)), RunState::Stopped);
}

#[test]
fn a_persons_stop_stays_until_a_persons_start() {
    let mut bench = Bench::new(vec![spec("a")]);
    bench.go().serves("a");
    bench.plan.stop("a", bench.now).unwrap();
    bench.go();
    assert_eq!(
        (bench.state("a"), bench.signals.as_slice()),
        (RunState::Stopping, &["a end".into()][..])
    );
    assert_eq!(bench.plan.stop("a", bench.now), Err(Refused::Already(RunState::Stopping)));
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
    bench.plan.stop("a", bench.now).unwrap();
    assert_eq!(bench.plan.advance(&bench.sight, bench.now), []);
    let running = Running { pid: 7, print: 0, command: Vec::new() };
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
    bench.plan.started("a", number, Err("there is no program x".into()), bench.now);
    bench.pass(600_000);
    let run = bench.run("a");
    assert_eq!((run.state, run.reason.as_str()), (RunState::Failed, "there is no program x"));
    assert!(bench.started.is_empty());
}

#[test]
fn at_the_end_all_are_stopped_one_by_one_the_last_one_first() {
    let mut bench = Bench::new(vec![spec("a"), spec("b"), gpu("c", 50)]);
    bench.sight.vram = Vram { at_ms: Some(0), free_bytes: Some(GIB) };
    bench.go().serves("a").serves("b");
    bench.plan.close();
    bench.go();
    assert_eq!(bench.signals, ["b end"]);
    assert_eq!((bench.state("c"), bench.plan.is_still()), (RunState::Stopped, false));
    assert_eq!(bench.plan.start("c", bench.now), Err(Refused::Closing));
    bench.pass(20_000);
    assert_eq!(bench.signals, ["b end", "b kill"]);
    bench.ends("b", Ended::Signal(9));
    assert_eq!(bench.signals, ["b end", "b kill", "a end"]);
    bench.ends("a", Ended::Code(0));
    assert!(bench.plan.is_still() && bench.plan.wake_ms().is_none());
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
    bench.plan.stop("a", bench.now).unwrap();
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
    let running = |pid| Running { pid, print: spec("a").launch.print(), command: vec!["x".into()] };
    bench.plan.adopt(spec("b"), running(1), bench.now);
    bench.plan.adopt(spec("a"), running(2), bench.now);
    bench.plan.adopt(spec("old"), running(3), bench.now);
    bench.plan.configure(vec![spec("a"), spec("b"), spec("c")], true, bench.now);
    bench.go();
    assert_eq!(bench.started, ["c"]);
    assert_eq!(bench.run("a").pid, Some(2));
    // What nobody wants any more does not stay.
    assert_eq!(bench.signals, ["old end"]);
    bench.ends("old", Ended::Unknown);
    bench.plan.close();
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
