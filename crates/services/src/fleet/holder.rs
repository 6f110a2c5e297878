//! Who runs a service on this machine: from its port to the process that
//! listens on it, and on to all that this process started. vLLM's weights lie in a
//! child of the process that listens, Ollama's in a runner of its own, and those of
//! llama.cpp's router in one server for each model.
//!
//! A port that a container publishes leads into that container, by Docker's word or
//! by that of the proxy before it. There the service is whoever listens on the inner
//! port, with all that the container runs beside it; where the system does not say who
//! listens (another user's container), its first process.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use plimsoll_core::process::{Process, ProcessTable};

use super::likely_kind;
use crate::{
    discovery::{
        Container, Place,
        candidates::{belongs, proxied},
        docker::Published,
    },
    kind::ServiceKind,
    service::Holder,
};

/// Most processes that are told of one service.
const MOST_PIDS: usize = 64;
/// It listens in the place of services that are to be started when somebody comes.
const SYSTEMD: &str = "systemd";

/// The processes behind a place on this machine, of a service of that kind; `None` where
/// none is seen listening (another user's, or in a container that cannot be told).
/// `containers` are those that Docker tells, if it does.
pub fn holder_of(
    table: &ProcessTable,
    containers: &[Container],
    Place { ip, port }: Place,
    kind: Option<ServiceKind>,
) -> Option<Holder> {
    let here = |host: IpAddr| ip.is_none_or(|ip| host == ip || host.is_unspecified());
    let published = containers.iter().find_map(|container| {
        let is_it = |way: &&Published| way.port == port && here(way.host);
        let way = container.published.iter().find(is_it)?;
        Some((Some(container.id.as_str()), way.inner_port))
    });
    let own = || {
        let container = containers.iter().find(|c| ip.is_some_and(|ip| c.addresses.contains(&ip)));
        Some((Some(container?.id.as_str()), port))
    };
    let proxied = || {
        let mut ways = table.processes.iter().filter_map(proxied);
        Some((None, ways.find(|way| way.port == port && here(way.host))?.inner_port))
    };
    let way = own().or(published).or_else(proxied);
    let (root, port) = match way {
        Some((Some(id), inner)) => (within(table, id, inner)?, inner),
        Some((None, inner)) => (contained(table, inner)?, inner),
        // Who listens at another address than loopback is not told apart.
        None if ip.is_some() => return None,
        None => (listener(table, port)?, port),
    };
    let top = if way.is_some() { topmost(table, root) } else { root };
    let counts = |process: &Process| {
        process.ports.is_empty() || process.ports.contains(&port) || is_part(process, root, kind)
    };
    let family = family(table, root, top, counts);
    let id = root.container.as_deref();
    let container = containers.iter().find(|container| Some(container.id.as_str()) == id);
    let told = |text: &String| (!text.is_empty()).then(|| text.clone());
    let vram: Vec<u64> = family.iter().filter_map(|p| p.vram_bytes).collect();
    Some(Holder {
        pids: family.iter().map(|p| p.pid).collect(),
        name: root.name.clone(),
        container: container.and_then(|c| told(&c.name)).or_else(|| root.container.clone()),
        image: container.and_then(|c| told(&c.image)),
        container_bytes: id.and_then(|id| table.container_memory.get(id)).copied(),
        started_ms: root.started_ms,
        // The children of a moment ago are not known yet; the server itself is.
        cpu_percent: root
            .cpu_percent
            .map(|_| family.iter().filter_map(|process| process.cpu_percent).sum()),
        rss_bytes: family.iter().map(|p| p.rss_bytes).fold(0, u64::saturating_add),
        vram_bytes: (!vram.is_empty()).then(|| vram.iter().copied().fold(0, u64::saturating_add)),
    })
}

/// Who listens on a port of this machine. A server that forks its workers listens in
/// all of them: the oldest is the server. One in a container stands back, for its
/// port may be one of a network of its own.
fn listener(table: &ProcessTable, port: u16) -> Option<&Process> {
    let listens = |p: &&Process| !p.own && p.ports.contains(&port) && p.name != SYSTEMD;
    let age = |p: &&Process| (p.container.is_some(), p.started_ms, p.pid);
    let root = table.processes.iter().filter(listens).min_by_key(age)?;
    match &root.container {
        Some(_) => contained(table, port),
        None => Some(root),
    }
}

/// Who listens on a port within a container; `None` where it may be one of several.
fn contained(table: &ProcessTable, port: u16) -> Option<&Process> {
    let listens = |p: &&Process| !p.own && p.container.is_some() && p.ports.contains(&port);
    let mut all = table.processes.iter().filter(listens);
    let first = all.next()?;
    all.try_fold(first, |oldest, process| {
        let older = (process.started_ms, process.pid) < (oldest.started_ms, oldest.pid);
        let same = process.container == oldest.container;
        same.then_some(if older { process } else { oldest })
    })
}

/// Who listens on a port in that container, else the first that runs there.
fn within<'t>(table: &'t ProcessTable, id: &str, port: u16) -> Option<&'t Process> {
    let inside = || table.processes.iter().filter(|p| p.container.as_deref() == Some(id));
    let age = |p: &&Process| (p.started_ms, p.pid);
    let listens = inside().filter(|p| p.ports.contains(&port)).min_by_key(age);
    listens.or_else(|| inside().min_by_key(age))
}

/// The first process of the container in which this one is.
fn topmost<'t>(table: &'t ProcessTable, process: &'t Process) -> &'t Process {
    let mut top = process;
    // A pid that comes again further up would lead round for ever.
    for _ in 0..MOST_PIDS {
        let above = |p: &&Process| p.pid == top.parent && p.container == process.container;
        match table.processes.iter().find(above) {
            Some(parent) if parent.pid != process.pid => top = parent,
            _ => break,
        }
    }
    top
}

/// What listens on a port of its own is a service of its own, unless it is a part of
/// the server that started it.
fn is_part(process: &Process, root: &Process, kind: Option<ServiceKind>) -> bool {
    let engine = |name: &str| likely_kind(name).filter(|kind| kind.is_engine());
    if belongs(process, root) || engine(&root.name).is_some() && engine(&process.name).is_some() {
        return true;
    }
    match likely_kind(&process.name) {
        Some(likely) => kind == Some(likely),
        // Workers of engines meet each other on ports. What merely passes requests on to
        // other engines starts those as services.
        None => kind.is_some_and(|kind| kind.is_engine() && kind != ServiceKind::OpenAi),
    }
}

/// All below `top` that counts, `root` first.
fn family<'t>(
    table: &'t ProcessTable,
    root: &'t Process,
    top: &'t Process,
    counts: impl Fn(&Process) -> bool,
) -> Vec<&'t Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in &table.processes {
        children.entry(process.parent).or_default().push(process);
    }
    let mut family = vec![root];
    let mut seen = HashSet::from([root.pid]);
    if seen.insert(top.pid) {
        family.push(top);
    }
    let mut next = 0;
    while let Some(parent) = family.get(next).filter(|_| family.len() < MOST_PIDS) {
        let born = children.get(&parent.pid).into_iter().flatten().copied();
        let own: Vec<_> = born.filter(|p| counts(p)).filter(|p| seen.insert(p.pid)).collect();
        family.extend(own);
        next += 1;
    }
    family.truncate(MOST_PIDS);
    family
}

#[cfg(test)]
pub(super) fn process(pid: i32, parent: i32, name: &str, ports: &[u16]) -> Process {
    Process {
        pid,
        parent,
        name: name.into(),
        command: format!("/usr/bin/{name}"),
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
    use std::net::Ipv4Addr;

    use super::{holder_of as holder_at, *};

    fn holder_of(
        table: &ProcessTable,
        containers: &[Container],
        port: u16,
        kind: Option<ServiceKind>,
    ) -> Option<Holder> {
        holder_at(table, containers, Place { ip: None, port }, kind)
    }

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
        let holder = holder_of(&table, &[], 8000, None).unwrap();
        assert_eq!(holder.pids, [10, 11, 12]);
        assert_eq!((holder.rss_bytes, holder.vram_bytes), (300, Some(5000)));
        assert_eq!(holder.cpu_percent, Some(30.0));
        assert_eq!(holder.name, "vllm");
        // Who holds no VRAM that anybody knows of holds an unknown amount.
        assert_eq!(holder_of(&table, &[], 9000, None).unwrap().vram_bytes, None);
        assert_eq!(holder_of(&table, &[], 1234, None), None);
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
        assert_eq!(holder_of(&table, &[], 8000, None).unwrap().pids, [30, 31, 32]);
    }

    #[test]
    fn processes_that_are_their_own_parents_do_not_go_round_for_ever() {
        let table = ProcessTable {
            processes: vec![process(5, 6, "a", &[80]), process(6, 5, "b", &[])],
            ..ProcessTable::default()
        };
        assert_eq!(holder_of(&table, &[], 80, None).unwrap().pids, [5, 6]);
    }

    #[test]
    fn what_an_engine_starts_counts_to_it_though_it_listens_too() {
        let mut model = process(12, 10, "llama-server", &[41_001]);
        model.vram_bytes = Some(700);
        let mut engine = process(22, 20, "VLLM::EngineCore", &[41_002]);
        engine.vram_bytes = Some(5000);
        let mut worker = process(23, 22, "python3", &[41_003]);
        worker.vram_bytes = Some(300);
        let table = ProcessTable {
            processes: vec![
                process(10, 1, "llama-server", &[8080]),
                model,
                process(20, 1, "python3", &[8000]),
                engine,
                worker,
                process(24, 20, "redis-server", &[6379]),
                process(30, 1, "llama-swap", &[9292]),
                process(31, 30, "llama-server", &[5801]),
            ],
            ..ProcessTable::default()
        };
        let of = |port, kind| {
            let holder = holder_of(&table, &[], port, kind).unwrap();
            (holder.pids, holder.vram_bytes)
        };
        // llama.cpp's router, by its name and by its protocol.
        assert_eq!(of(8080, None), (vec![10, 12], Some(700)));
        assert_eq!(of(8080, Some(ServiceKind::LlamaCpp)), (vec![10, 12], Some(700)));
        assert_eq!(of(8000, Some(ServiceKind::Vllm)), (vec![20, 22, 23], Some(5300)));
        // A server that starts others as services holds nothing of theirs.
        assert_eq!(of(9292, Some(ServiceKind::OpenAi)), (vec![30], None));
        assert_eq!(of(5801, Some(ServiceKind::LlamaCpp)), (vec![31], None));
    }

    /// A container with a shell, a server with a worker, and another server.
    fn with_container(proxy: &str) -> ProcessTable {
        let within = |pid, parent, name, ports: &[u16]| Process {
            container: Some("3f4a9c1b2d5e".into()),
            ..process(pid, parent, name, ports)
        };
        let mut worker = within(52, 51, "VLLM::EngineCore", &[]);
        worker.vram_bytes = Some(900);
        let shim = process(40, 1, "containerd-shim", &[]);
        let proxy = Process { command: proxy.into(), ..process(41, 1, "docker-proxy", &[9000]) };
        let server = within(51, 50, "python3", &[8000]);
        let other = within(53, 50, "redis-server", &[6379]);
        let shell = within(50, 40, "sh", &[]);
        // Beside them a server of this machine on the same number.
        let here = process(60, 1, "llama-server", &[8000]);
        ProcessTable {
            processes: vec![shim, proxy, shell, server, worker, other, here],
            ..ProcessTable::default()
        }
    }

    #[test]
    fn a_published_port_leads_through_its_proxy_to_all_of_its_container() {
        let way = "/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 9000 \
                   -container-ip 172.17.0.2 -container-port 8000";
        let table = with_container(way);
        let holder = holder_of(&table, &[], 9000, Some(ServiceKind::Vllm)).unwrap();
        assert_eq!(holder.pids, [51, 50, 52]);
        assert_eq!((holder.name.as_str(), holder.vram_bytes), ("python3", Some(900)));
        assert_eq!(holder.container.as_deref(), Some("3f4a9c1b2d5e"));
        // Of this machine's own port it is not the holder.
        assert_eq!(holder_of(&table, &[], 8000, None).unwrap().pids, [60]);
        // Two containers that fit: it cannot be told, and the proxy is not the service.
        let mut two = table.clone();
        let twin =
            Process { pid: 71, container: Some("another".into()), ..two.processes[3].clone() };
        two.processes.push(twin);
        assert_eq!(holder_of(&two, &[], 9000, None), None);
    }

    #[test]
    fn dockers_word_finds_the_container_whose_ports_are_not_seen() {
        let mut table = with_container("");
        // Another user's: the system tells its processes and not what they listen on.
        for process in table.processes.iter_mut().filter(|p| p.container.is_some()) {
            process.ports.clear();
        }
        table.processes.retain(|process| process.name != "docker-proxy");
        let published =
            Published { port: 9000, inner_port: 8000, host: Ipv4Addr::LOCALHOST.into() };
        let container = |id: &str| Container {
            id: id.into(),
            published: vec![published],
            ..Container::default()
        };
        let of = |id| holder_of(&table, &[container(id)], 9000, Some(ServiceKind::Vllm));
        let holder = of("3f4a9c1b2d5e").unwrap();
        assert_eq!((holder.pids, holder.vram_bytes), (vec![50, 51, 53, 52], Some(900)));
        assert_eq!(of("of another host"), None);
        // With its ports it is told apart from what else is in its container.
        let table = with_container("");
        let holder = holder_of(&table, &[container("3f4a9c1b2d5e")], 9000, None).unwrap();
        assert_eq!(holder.pids, [51, 50, 52]);
    }

    #[test]
    fn a_containers_own_address_leads_to_it_and_to_nobody_else() {
        let mut table = with_container("");
        table.container_memory.insert("3f4a9c1b2d5e".into(), 5000);
        let ip: IpAddr = [172, 17, 0, 2].into();
        let container = Container {
            id: "3f4a9c1b2d5e".into(),
            name: "engine".into(),
            image: "vllm:1".into(),
            addresses: vec![ip],
            ..Container::default()
        };
        let at = |ip, port| {
            let place = Place { ip: Some(ip), port };
            holder_at(&table, std::slice::from_ref(&container), place, Some(ServiceKind::Vllm))
        };
        let holder = at(ip, 8000).unwrap();
        assert_eq!((holder.pids, holder.container.as_deref()), (vec![51, 50, 52], Some("engine")));
        assert_eq!((holder.image.as_deref(), holder.container_bytes), (Some("vllm:1"), Some(5000)));
        // Of this machine's own servers none is behind another's address.
        assert_eq!(at([172, 17, 0, 3].into(), 8000), None);
    }

    #[test]
    fn who_listens_for_services_to_come_is_not_the_service() {
        let mut table = ProcessTable {
            processes: vec![process(1, 0, "systemd", &[8000]), process(9, 1, "other", &[])],
            ..ProcessTable::default()
        };
        assert_eq!(holder_of(&table, &[], 8000, None), None);
        table.processes.push(process(10, 1, "server", &[8000]));
        assert_eq!(holder_of(&table, &[], 8000, None).unwrap().pids, [10]);
    }
}
