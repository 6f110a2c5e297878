//! Processes of this machine, looked at and ended.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
};

use plimsoll_core::{
    clock::{Clock, SystemClock},
    process::{EndProcess, Process},
};
use plimsoll_sense::{InspectError, Options, Sources, real_sources};
use tokio::sync::watch;

use crate::source;

struct Machine {
    sources: Sources,
    processes: Box<dyn plimsoll_core::source::Source>,
}

impl Machine {
    fn new() -> Self {
        let (_, options) = watch::channel(Options { gpu_enabled: false, ..Options::default() });
        let mut sources = real_sources(options, std::sync::Arc::new(SystemClock));
        let processes = source(&mut sources, "processes");
        Self { sources, processes }
    }

    fn find(&mut self, pid: i32) -> Option<Process> {
        self.processes.read(SystemClock.now(), &mut Vec::new()).unwrap();
        let table = self.sources.processes.borrow();
        table.processes.iter().find(|process| process.pid == pid).cloned()
    }

    fn end(&self, pid: i32, started_ms: i64, kill: bool) -> Result<String, InspectError> {
        self.sources.inspect.end(&EndProcess { pid, started_ms, kill })
    }
}

/// A process that is no child of ours: its parent has left it. It is itself by now, and sleeps:
/// while one program becomes another, its memory is neither's.
fn stranger() -> i32 {
    let output = Command::new("sh")
        .args(["-c", "exec 2>&- ; sleep 300 >&- & echo $!"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let pid: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let mut looks = 0..2000;
    while !stat().contains("(sleep) S ") {
        assert!(looks.next().is_some(), "it does not come to sleep: {}", stat());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    pid
}

/// Whether it runs; one that ended and was not asked for does not.
fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.starts_with(" Z"))
}

/// Waits for its end, which the kernel brings about soon after the signal.
fn ended(pid: i32) -> bool {
    (0..2000).any(|_| {
        if runs(pid) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        !runs(pid)
    })
}

#[test]
fn a_process_is_ended_by_asking_and_by_killing() {
    let mut machine = Machine::new();
    for kill in [false, true] {
        let pid = stranger();
        let process = machine.find(pid).unwrap();
        assert_eq!((&*process.name, &*process.command), ("sleep", "sleep 300"));
        assert!(!process.own);
        let said = machine.end(pid, process.started_ms, kill).unwrap();
        assert!(said.contains("sleep") && said.contains(&pid.to_string()), "{said}");
        assert!(ended(pid));
        assert!(machine.find(pid).is_none());
        // Its number may be another's by now.
        let again = machine.end(pid, process.started_ms, kill);
        assert!(matches!(again, Err(InspectError::Gone(_))), "{again:?}");
    }
}

#[test]
fn a_pid_with_another_start_is_left_alone() {
    let mut machine = Machine::new();
    let pid = stranger();
    let process = machine.find(pid).unwrap();
    let answer = machine.end(pid, process.started_ms - 10, true);
    let Err(InspectError::Gone(words)) = answer else { panic!("{answer:?}") };
    assert!(words.contains("Nothing was done"), "{words}");
    assert!(runs(pid));
    machine.end(pid, process.started_ms, true).unwrap();
    assert!(ended(pid));
}

#[test]
fn plimsoll_itself_pid_1_and_its_children_are_not_ended() {
    let mut machine = Machine::new();
    let mut child = Command::new("sleep").arg("300").spawn().unwrap();
    let child_pid = i32::try_from(child.id()).unwrap();
    let started = machine.find(child_pid).unwrap().started_ms;
    let own = i32::try_from(std::process::id()).unwrap();
    let refused = |pid, started_ms, word: &str| match machine.end(pid, started_ms, true) {
        Err(InspectError::Refused(words)) => assert!(words.contains(word), "{words}"),
        other => panic!("{other:?}"),
    };
    refused(own, 0, "Plimsoll itself");
    refused(1, 0, "whole system");
    refused(0, 0, "not the number");
    refused(-1, 0, "not the number");
    refused(child_pid, started, "part of Plimsoll");
    assert!(runs(child_pid));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_closer_look_tells_what_the_kernel_knows() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut machine = Machine::new();
    let own = i32::try_from(std::process::id()).unwrap();
    let process = machine.find(own).unwrap();
    assert!(process.own);
    let detail = machine.sources.inspect.detail(own).unwrap();
    assert_eq!(detail.process.pid, own);
    assert_eq!(detail.process.started_ms, process.started_ms);
    let executable = std::env::current_exe().unwrap().display().to_string();
    assert_eq!(detail.executable.as_deref(), Some(&*executable));
    let address = listener.local_addr().unwrap().to_string();
    assert!(detail.listens.contains(&address), "{:?} lacks {address}", detail.listens);
    assert!(detail.open_files.unwrap() >= 4);
    assert!(detail.open_files_limit.unwrap() >= 64);
    assert_eq!(detail.rss_trace.len(), 1);
    assert!(detail.vram_trace.is_empty());
    let parent = std::fs::read_to_string(format!("/proc/{}/comm", process.parent)).unwrap();
    let parent_name = detail.parent_name.unwrap();
    assert!(parent_name.starts_with(parent.trim()), "{parent_name} is not {parent}");
    drop(listener);

    let missing = machine.sources.inspect.detail(i32::MAX);
    assert!(matches!(missing, Err(InspectError::Gone(_))), "{missing:?}");
}

#[test]
fn a_port_is_told_while_it_is_listened_on() {
    let mut machine = Machine::new();
    let own = i32::try_from(std::process::id()).unwrap();
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = TcpListener::bind("[::1]:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (first_port, second_port) = (port(&first), port(&second));
    let ports = machine.find(own).unwrap().ports;
    assert!(ports.is_sorted(), "{ports:?}");
    assert!(ports.contains(&first_port) && ports.contains(&second_port), "{ports:?}");
    drop(first);
    let ports = machine.find(own).unwrap().ports;
    assert!(!ports.contains(&first_port) && ports.contains(&second_port), "{ports:?}");
    // Connections are no ports.
    let third = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(third.local_addr().unwrap()).unwrap();
    let ports = machine.find(own).unwrap().ports;
    assert!(ports.contains(&port(&third)), "{ports:?}");
    assert!(!ports.contains(&client.local_addr().unwrap().port()), "{ports:?}");
}

#[test]
fn a_child_that_was_handed_a_socket_has_its_port() {
    let mut machine = Machine::new();
    let own = i32::try_from(std::process::id()).unwrap();
    machine.find(own).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let handed = Stdio::from(std::os::fd::OwnedFd::from(listener));
    let mut child = Command::new("sleep").arg("300").stdin(handed).spawn().unwrap();
    let process = machine.find(i32::try_from(child.id()).unwrap()).unwrap();
    assert_eq!(process.ports, [port]);
    let parent = machine.find(own).unwrap();
    assert!(!parent.ports.contains(&port), "{:?}", parent.ports);
    let detail = machine.sources.inspect.detail(process.pid).unwrap();
    assert_eq!(detail.listens, [format!("127.0.0.1:{port}")]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_table_agrees_with_an_independent_reading_of_proc() {
    let mut machine = Machine::new();
    let pid = stranger();
    let process = machine.find(pid).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(process.parent.to_string(), field("PPid:"));
    assert_eq!(process.uid.to_string(), field("Uid:"));
    assert_eq!(process.threads.to_string(), field("Threads:"));
    // A sleeping process holds still; the kernel keeps the two figures apart by some pages.
    let rss: u64 = field("VmRSS:").parse::<u64>().unwrap() * 1024;
    assert!(process.rss_bytes.abs_diff(rss) <= 1 << 20, "{} and {rss}", process.rss_bytes);
    // It started within the last minute, by the wall clock.
    let age_ms = SystemClock.now().wall_ms - process.started_ms;
    assert!((-1000..60_000).contains(&age_ms), "{age_ms}");
    machine.end(pid, process.started_ms, true).unwrap();
}
