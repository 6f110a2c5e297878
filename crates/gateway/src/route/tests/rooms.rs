use std::collections::BTreeMap;

use plimsoll_core::{
    config::Config,
    process::{Process, ProcessTable},
    traffic::RoomBasis,
};
use plimsoll_services::{
    kind::ServiceKind,
    service::{Basis, Holder, Service, Slots},
};

use super::{config, service, view};
use crate::route::{Room, Rooms};

/// One service, looked at again and again.
struct Bench {
    rooms: Rooms,
    config: Config,
    service: Service,
    processes: ProcessTable,
}

impl Bench {
    fn new(kind: ServiceKind, text: &'static str) -> Self {
        let service = service("it", kind, &["m"]);
        Self {
            rooms: Rooms::default(),
            config: config(text),
            service,
            processes: ProcessTable::default(),
        }
    }

    /// A look that finds so many running and waiting, while we have `ours` there.
    fn look(&mut self, running: f64, waiting: Option<f64>, ours: u32) -> Room {
        self.service.checked_ms = self.service.checked_ms.map(|ms| ms + 1000);
        self.service.figures.running = Some(running);
        self.service.figures.waiting = waiting;
        self.again(ours)
    }

    /// The same look once more.
    fn again(&mut self, ours: u32) -> Room {
        let view = view(std::slice::from_ref(&self.service));
        self.rooms.look(&self.config, &view, &self.processes, |_| ours)["it"]
    }

    fn run(&mut self, command: &str) {
        self.service.holder = Some(Holder { pids: vec![7], ..Holder::default() });
        self.processes.processes = vec![Process {
            pid: 7,
            parent: 1,
            name: "python3".into(),
            command: command.into(),
            uid: 0,
            user: "root".into(),
            container: None,
            unit: None,
            cpu_percent: None,
            rss_bytes: 0,
            vram_bytes: None,
            threads: 1,
            ports: Vec::new(),
            started_ms: 0,
            cpu_trace: Vec::new(),
            own: false,
        }];
    }
}

fn known(room: Room) -> (u32, RoomBasis) {
    (room.requests, room.basis)
}

#[test]
fn a_number_in_the_configuration_is_the_room_whatever_the_server_says() {
    let text = "[services.it]\nurl = \"http://x\"\nmax_in_flight = 3\nmax_tokens = 9000\n";
    let mut bench = Bench::new(ServiceKind::LlamaCpp, text);
    bench.service.slots =
        Some(Slots { total: Some(8), busy: None, waiting: None, basis: Basis::Told });
    let room = bench.again(0);
    assert_eq!((known(room), room.tokens), ((3, RoomBasis::Configured), Some(9000)));
}

#[test]
fn auto_is_what_the_server_tells() {
    let mut bench = Bench::new(ServiceKind::LlamaCpp, "");
    bench.service.slots =
        Some(Slots { total: Some(4), busy: Some(0), waiting: None, basis: Basis::Told });
    assert_eq!(known(bench.again(0)), (4, RoomBasis::Told));
    bench.service.slots.as_mut().unwrap().basis = Basis::Assumed;
    assert_eq!(known(bench.again(0)), (4, RoomBasis::Assumed));
}

#[test]
fn auto_is_what_the_server_was_started_with() {
    let mut bench = Bench::new(ServiceKind::Vllm, "");
    bench.run("python3 -m vllm serve x --max-num-seqs 12 --port 8000");
    assert_eq!(known(bench.again(0)), (12, RoomBasis::Told));
    bench.run("vllm serve x --max-num-seqs=3 --max-num-seqs 0");
    assert_eq!(known(bench.again(0)), (3, RoomBasis::Told));
    bench.run("vllm serve --max-num-seqs");
    assert_eq!(bench.again(0).basis, RoomBasis::Assumed);
    let set = "[services.it]\nurl = \"http://x\"\nkind = \"ollama\"\n\
               env = [\"OLLAMA_NUM_PARALLEL=2\"]\ncommand = [\"ollama\", \"serve\"]\n";
    assert_eq!(known(Bench::new(ServiceKind::Ollama, set).again(0)), (2, RoomBasis::Told));
}

#[test]
fn one_at_a_time_is_assumed_of_an_ollama_that_says_nothing() {
    assert_eq!(known(Bench::new(ServiceKind::Ollama, "").again(0)), (1, RoomBasis::Assumed));
    assert_eq!(known(Bench::new(ServiceKind::OpenAi, "").again(0)), (4, RoomBasis::Assumed));
}

#[test]
fn the_room_of_a_server_that_says_what_waits_is_felt_out() {
    let mut bench = Bench::new(ServiceKind::Vllm, "");
    let mut felt = |running: f64, waiting: f64, ours| {
        let room = bench.look(running, Some(waiting), ours);
        assert_eq!(room.basis, RoomBasis::Adaptive);
        room.requests
    };
    assert_eq!(felt(0.0, 0.0, 0), 8, "what is not used says nothing");
    assert_eq!(felt(8.0, 0.0, 8), 16);
    assert_eq!(felt(16.0, 0.0, 16), 32);
    assert_eq!(felt(20.0, 12.0, 32), 20, "what it ran is what it had room for");
    assert_eq!(felt(20.0, 0.0, 19), 20);
    assert_eq!(felt(20.0, 0.0, 20), 21, "one more at a time from then on");
    assert_eq!(felt(0.0, 3.0, 21), 1, "and never below one");
    for _ in 0..1000 {
        felt(300.0, 0.0, 300);
    }
    assert_eq!(felt(300.0, 0.0, 300), 256, "nor without bound");
}

#[test]
fn requests_that_did_not_come_through_plimsoll_are_seen_in_three_looks() {
    let mut bench = Bench::new(ServiceKind::LlamaCpp, "");
    assert_eq!(bench.again(0).outside, None, "it does not tell what it runs");
    assert_eq!(bench.look(3.0, Some(1.0), 1).outside, Some(0));
    assert_eq!(bench.look(3.0, Some(1.0), 1).outside, Some(0));
    assert_eq!(bench.look(3.0, Some(1.0), 1).outside, Some(3));
    assert_eq!(bench.again(1).outside, Some(3), "the same look says nothing new");
    assert_eq!(bench.look(2.0, Some(0.0), 1).outside, Some(1));
    assert_eq!(bench.look(1.0, Some(0.0), 1).outside, Some(0));
}

#[test]
fn our_own_requests_that_ended_since_the_look_are_nobody_elses() {
    let mut bench = Bench::new(ServiceKind::LlamaCpp, "");
    for _ in 0..10 {
        // We had four there between the looks; the server saw them, and they are over.
        bench.again(4);
        assert_eq!(bench.look(4.0, Some(0.0), 0).outside, Some(0));
    }
}

#[test]
fn a_service_that_is_gone_is_forgotten() {
    let mut bench = Bench::new(ServiceKind::Vllm, "");
    bench.look(0.0, Some(0.0), 0);
    let none = bench.rooms.look(&config(""), &view(&[]), &ProcessTable::default(), |_| 0);
    assert_eq!(none, BTreeMap::new());
    assert_eq!(bench.again(0).requests, 8);
}
