//! Who runs a service on this machine: from its port to the process that
//! listens on it, and on to all that this process started. vLLM's weights lie in a
//! child of the process that listens, and Ollama's in a runner of its own.

use std::collections::{HashMap, HashSet};

use plimsoll_core::process::{Process, ProcessTable};

use crate::service::Holder;

/// Most processes that are told of one service.
const MOST_PIDS: usize = 64;

/// The processes behind a port of this machine; `None` where none is seen listening
/// (another user's, or a container's whose ports are forwarded).
pub fn holder_of(table: &ProcessTable, port: u16) -> Option<Holder> {
    let listens = |p: &&Process| !p.own && p.ports.contains(&port);
    // A server that forks its workers listens in all of them: the oldest is the server.
    let root = table.processes.iter().filter(listens).min_by_key(|p| (p.started_ms, p.pid))?;
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in &table.processes {
        children.entry(process.parent).or_default().push(process);
    }
    let mut family = vec![root];
    let mut seen = HashSet::from([root.pid]);
    let mut next = 0;
    while let Some(parent) = family.get(next).filter(|_| family.len() < MOST_PIDS) {
        let born = children.get(&parent.pid).into_iter().flatten();
        // What listens on a port of its own is a service of its own.
        let own: Vec<&Process> = born
            .copied()
            .filter(|p| p.ports.is_empty() || p.ports.contains(&port))
            .filter(|p| seen.insert(p.pid))
            .collect();
        family.extend(own);
        next += 1;
    }
    family.truncate(MOST_PIDS);
    let vram: Vec<u64> = family.iter().filter_map(|p| p.vram_bytes).collect();
    Some(Holder {
        pids: family.iter().map(|p| p.pid).collect(),
        name: root.name.clone(),
        container: root.container.clone(),
        started_ms: root.started_ms,
        // The children of a moment ago are not known yet; the server itself is.
        cpu_percent: root
            .cpu_percent
            .map(|_| family.iter().filter_map(|process| process.cpu_percent).sum()),
        rss_bytes: family.iter().map(|p| p.rss_bytes).fold(0, u64::saturating_add),
        vram_bytes: (!vram.is_empty()).then(|| vram.iter().copied().fold(0, u64::saturating_add)),
    })
}

#[cfg(test)]
pub(super) fn process(pid: i32, parent: i32, name: &str, ports: &[u16]) -> Process {
    Process {
        pid,
        parent,
        name: name.into(),
        command: String::new(),
        uid: 1000,
        user: "u".into(),
        container: None,
        unit: None,
        cpu_percent: Some(10.0),
        rss_bytes: 100,
        vram_bytes: None,
        threads: 1,
        ports: ports.to_vec(),
        started_ms: i64::from(pid),
        cpu_trace: Vec::new(),
        own: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_its_process_with_all_that_it_started() {
        let mut engine = process(12, 11, "VLLM::EngineCore", &[]);
        engine.vram_bytes = Some(5000);
        let table = ProcessTable {
            processes: vec![
                process(1, 0, "init", &[]),
                process(10, 1, "vllm", &[8000]),
                process(11, 10, "python", &[]),
                engine,
                process(20, 1, "other", &[9000]),
                process(13, 10, "redis-server", &[6379]),
            ],
            ..ProcessTable::default()
        };
        let holder = holder_of(&table, 8000).unwrap();
        assert_eq!(holder.pids, [10, 11, 12]);
        assert_eq!((holder.rss_bytes, holder.vram_bytes), (300, Some(5000)));
        assert_eq!(holder.cpu_percent, Some(30.0));
        assert_eq!(holder.name, "vllm");
        // Who holds no VRAM that anybody knows of holds an unknown amount.
        assert_eq!(holder_of(&table, 9000).unwrap().vram_bytes, None);
        assert_eq!(holder_of(&table, 1234), None);
    }

    #[test]
    fn of_workers_that_share_a_port_the_oldest_is_the_server() {
        let table = ProcessTable {
            processes: vec![
                process(31, 30, "gunicorn", &[8000]),
                process(30, 1, "gunicorn", &[8000]),
                process(32, 30, "gunicorn", &[8000]),
            ],
            ..ProcessTable::default()
        };
        assert_eq!(holder_of(&table, 8000).unwrap().pids, [30, 31, 32]);
    }

    #[test]
    fn processes_that_are_their_own_parents_do_not_go_round_for_ever() {
        let table = ProcessTable {
            processes: vec![process(5, 6, "a", &[80]), process(6, 5, "b", &[])],
            ..ProcessTable::default()
        };
        assert_eq!(holder_of(&table, 80).unwrap().pids, [5, 6]);
    }
}
