mod words;

use std::{path::PathBuf, time::Duration};

use plimsoll_core::config::Restart;

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
                            fingerprint: spec.launch.fingerprint(),
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
        let at_ms = self.now.monotonic_ms;
        self.sight.vram = Some(Vram { at_ms, free_bytes: gib * GIB });
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

    fn wake_ms(&self) -> Option<i64> {
        self.plan.wake_ms(self.now.monotonic_ms)
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
    assert_eq!(bench.wake_ms(), Some(LOADING_MS));
    bench.pass(LOADING_MS);
    assert_eq!(bench.started, ["a", "b"]);
    assert_eq!(bench.state("a"), RunState::Starting);
    // A time that is over wakes nobody: the rounds would follow each other without a pause.
    assert_eq!(bench.wake_ms(), Some(2 * LOADING_MS));
    bench.pass(LOADING_MS);
    assert_eq!(bench.wake_ms(), None);
}

#[test]
fn nothing_starts_into_room_that_is_not_free() {
    let mut bench = Bench::new(vec![gpu("big", 9), gpu("small", 2)]);
    bench.go();
    assert_eq!(bench.run("big").reason, "Waits for a reading of the VRAM.");
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
fn without_a_gpu_that_is_read_nobody_waits_for_long() {
    // Nothing is read: after a while that is how it is.
    let mut bench = Bench::new(vec![gpu("a", 9)]);
    bench.pass(9_999);
    assert!(bench.started.is_empty() && bench.plan.waiting().count() == 1);
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
    assert_eq!(bench.wake_ms(), Some(1000));
    bench.pass(999);
    assert_eq!(bench.started, ["a"]);
    bench.pass(1);
    assert_eq!((bench.started.len(), bench.run("a").restarts), (2, 1));
    assert!(
        bench.said.iter().any(|said| said.starts_with("A ended by signal 11; its last")),
        "{:?}",
        bench.said
    );
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
        "It ended 5 times within 5 min, the last time so: ended with code 1; its last line: no luck"
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
