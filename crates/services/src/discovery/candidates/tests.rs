//! What stands behind a port, told by tables of the test.

use proptest::prelude::*;

use super::{super::docker::Published, *};

pub fn process(pid: i32, parent: i32, command: &str, ports: &[u16]) -> Process {
    let program = command.split(' ').next().unwrap_or_default();
    Process {
        pid,
        parent,
        name: program.rsplit('/').next().unwrap_or_default().into(),
        command: command.into(),
        uid: 1000,
        user: "ada".into(),
        container: None,
        unit: None,
        cpu_percent: None,
        rss_bytes: 1,
        vram_bytes: None,
        threads: 1,
        ports: ports.to_vec(),
        started_ms: 1000 + i64::from(pid),
        cpu_trace: Vec::new(),
        own: false,
    }
}

pub fn table(processes: Vec<Process>) -> ProcessTable {
    ProcessTable { at_ms: 1, processes, ..ProcessTable::default() }
}

fn sockets(addresses: &[&str]) -> Vec<Socket> {
    let socket = |(n, address): (usize, &&str)| Socket {
        address: address.parse().unwrap(),
        inode: 100 + n as u64,
    };
    addresses.iter().enumerate().map(socket).collect()
}

fn seen(addresses: &[&str], processes: Vec<Process>, containers: &[Container]) -> Vec<Candidate> {
    let sockets = sockets(addresses);
    let table = table(processes);
    let around = Surroundings { sockets: Some(&sockets), table: &table, containers };
    candidates(around, &BTreeSet::new(), MAX_CANDIDATES)
}

fn ports(candidates: &[Candidate]) -> Vec<u16> {
    candidates.iter().map(|c| c.key.port).collect()
}

fn at(candidate: &Candidate) -> Vec<String> {
    candidate.addresses.iter().map(ToString::to_string).collect()
}

fn container(id: &str, name: &str, published: &[(&str, u16, u16)]) -> Container {
    Container {
        id: id.into(),
        name: name.into(),
        image: "docker.io/library/redis:7".into(),
        published: published
            .iter()
            .map(|&(host, port, inner_port)| Published {
                host: host.parse().unwrap(),
                port,
                inner_port,
            })
            .collect(),
        ..Container::default()
    }
}

#[test]
fn a_listener_of_both_families_is_one_and_is_asked_on_loopback() {
    let found = seen(
        &["0.0.0.0:8080", "[::]:8080", "127.0.0.1:6379", "[::1]:6379", "[::1]:9000"],
        vec![
            process(10, 1, "llama-server", &[8080]),
            process(11, 1, "redis-server", &[6379]),
            process(12, 1, "other", &[9000]),
        ],
        &[],
    );
    assert_eq!(ports(&found), [6379, 8080, 9000]);
    assert_eq!(at(&found[0]), ["127.0.0.1:6379", "[::1]:6379"]);
    assert_eq!(at(&found[1]), ["127.0.0.1:8080", "[::1]:8080"]);
    assert_eq!(at(&found[2]), ["[::1]:9000"]);
    assert_eq!(found[1].key, Key { pid: 10, started: 1010, port: 8080 });
}

#[test]
fn what_listens_to_other_machines_only_is_not_asked() {
    assert!(seen(&["192.168.1.5:8080", "[fe80::1]:8081"], vec![], &[]).is_empty());
}

#[test]
fn plimsolls_own_ports_and_those_that_are_named_are_left_out() {
    let mut own = process(10, 1, "plimsoll", &[7000]);
    own.own = true;
    let other = process(11, 1, "ollama", &[11_434]);
    let sockets = sockets(&["127.0.0.1:7000", "127.0.0.1:11434", "127.0.0.1:8000"]);
    let table = table(vec![own, other]);
    let around = Surroundings { sockets: Some(&sockets), table: &table, containers: &[] };
    let named = BTreeSet::from([Place { ip: None, port: 8000 }]);
    assert_eq!(ports(&candidates(around, &named, 10)), [11_434]);
}

#[test]
fn the_systems_own_programs_are_left_alone() {
    let found = seen(
        &["127.0.0.1:22", "127.0.0.1:631", "0.0.0.0:5432", "0.0.0.0:80", "0.0.0.0:5000"],
        vec![process(5, 1, "/usr/lib/postgresql/bin/postgres", &[5432])],
        &[],
    );
    assert_eq!(ports(&found), [80, 5000]);
}

#[test]
fn likely_ones_come_first_and_the_number_has_a_bound() {
    let addresses: Vec<String> = (0..300).map(|n| format!("127.0.0.1:{}", 2000 + n)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let found = seen(&addresses, vec![process(9, 1, "ollama serve", &[2299])], &[]);
    assert_eq!(found.len(), MAX_CANDIDATES);
    assert_eq!((found[0].key.port, found[0].likely), (2299, Some(ServiceKind::Ollama)));
    assert_eq!(found[1].key.port, 2000);
}

#[test]
fn of_workers_that_share_a_port_the_oldest_is_the_server() {
    let worker = |pid| process(pid, 30, "gunicorn app", &[8000]);
    let found = seen(&["0.0.0.0:8000"], vec![worker(32), worker(30), worker(31)], &[]);
    assert_eq!(found[0].key.pid, 30);
}

#[test]
fn the_inside_of_a_model_server_is_not_asked() {
    let found = seen(
        &["[::]:11434", "127.0.0.1:40001", "127.0.0.1:8080", "127.0.0.1:40002"],
        vec![
            process(10, 1, "/usr/bin/ollama serve", &[11_434]),
            process(11, 10, "/usr/bin/ollama runner --port 40001", &[40_001]),
            process(20, 1, "llama-server --models-dir /m", &[8080]),
            process(21, 20, "llama-server -m /m/a.gguf --port 40002", &[40_002]),
        ],
        &[],
    );
    assert_eq!(ports(&found), [8080, 11_434]);
    // What merely was started by somebody that listens is a service of its own.
    let found = seen(
        &["127.0.0.1:9000", "127.0.0.1:6379", "127.0.0.1:8000"],
        vec![
            process(10, 1, "python3 supervisor.py", &[9000]),
            process(11, 10, "redis-server *:6379", &[6379]),
            process(12, 10, "python3 -m vllm", &[8000]),
        ],
        &[],
    );
    assert_eq!(ports(&found), [6379, 8000, 9000]);
}

#[test]
fn another_users_server_is_asked_and_its_program_guessed() {
    let found = seen(
        &["127.0.0.1:6379", "127.0.0.1:11434", "127.0.0.1:7777"],
        vec![
            process(10, 1, "redis-server 127.0.0.1:6379", &[]),
            process(11, 1, "ollama serve", &[]),
            process(12, 1, "editor notes-7777", &[]),
            process(13, 1, "viewer :7777", &[]),
        ],
        &[],
    );
    let guess = |n: usize| found[n].runner.as_ref().map(|r| (r.name.as_str(), r.guessed));
    assert_eq!(ports(&found), [6379, 11_434, 7777]);
    assert_eq!(guess(0), Some(("redis-server", true)));
    assert_eq!(guess(1), Some(("ollama", true)));
    assert_eq!(guess(2), None, "two programs fit");
    // Asked again when its socket is another one, whatever process that is.
    assert_eq!(found[0].key, Key { pid: 0, started: 100, port: 6379 });
}

#[test]
fn a_published_port_is_its_containers_and_not_its_proxys() {
    let mut redis = process(50, 1, "redis-server *:6379", &[6379]);
    redis.container = Some("3f4a9c1b2d5e".into());
    let proxy = "docker-proxy -proto tcp -host-ip 127.0.0.1 -host-port 6380 \
                 -container-ip 172.17.0.2 -container-port 6379";
    let processes = vec![process(40, 1, proxy, &[6380]), redis];
    let cache = container("3f4a9c1b2d5e", "cache", &[("127.0.0.1", 6380, 6379)]);
    let found = seen(&["127.0.0.1:6380"], processes.clone(), std::slice::from_ref(&cache));
    assert_eq!(ports(&found), [6380], "and not its inner port, which is in another network");
    let within = found[0].container.as_ref().unwrap();
    assert_eq!((within.name.as_deref(), within.inner_port), (Some("cache"), 6379));
    assert_eq!(found[0].runner.as_ref().unwrap().name, "redis-server");
    assert_eq!(found[0].key, Key { pid: 50, started: 1050, port: 6380 });
    // Without Docker's word the proxy tells what it stands before.
    let found = seen(&["127.0.0.1:6380"], processes, &[]);
    assert_eq!(found[0].runner.as_ref().unwrap().name, "redis-server");
    assert_eq!(found[0].container.as_ref().unwrap().name, None);
    // Without a proxy nothing listens here, and the port is there all the same.
    let found = seen(&[], vec![], &[cache]);
    assert_eq!(
        (at(&found[0]), found[0].likely),
        (vec!["127.0.0.1:6380".into()], Some(ServiceKind::Redis))
    );
}

#[test]
fn a_container_on_this_machines_network_is_told_by_docker_from_one_of_its_own() {
    let mut vllm = process(60, 1, "vllm serve m", &[8000]);
    vllm.container = Some("9cd87474be90".into());
    let mut shared = container("9cd87474be90", "engine", &[]);
    let found = seen(&["0.0.0.0:8000"], vec![vllm.clone()], &[shared.clone()]);
    assert!(found[0].runner.is_none(), "its port 8000 is in a network of its own");
    shared.host_network = true;
    let found = seen(&["0.0.0.0:8000"], vec![vllm], &[shared]);
    assert_eq!(found[0].runner.as_ref().unwrap().pid, 60);
    assert_eq!(found[0].container.as_ref().unwrap().name.as_deref(), Some("engine"));
}

#[test]
fn without_sockets_the_ports_of_processes_stand_for_them() {
    let mut contained = process(11, 1, "redis-server", &[6379]);
    contained.container = Some("3f4a9c1b2d5e".into());
    let table = table(vec![process(10, 1, "llama-server", &[8080]), contained]);
    let around = Surroundings { sockets: None, table: &table, containers: &[] };
    assert_eq!(ports(&candidates(around, &BTreeSet::new(), 10)), [8080]);
}

#[test]
fn the_port_of_an_address_is_told_of_this_machine_only() {
    assert_eq!(local_port("http://127.0.0.1:8080/v1"), Some(8080));
    assert_eq!(local_port("http://localhost"), Some(80));
    assert_eq!(local_port("redis://[::1]"), Some(6379));
    assert_eq!(local_port("http://192.168.1.20:8080"), None);
    assert_eq!(local_port("nonsense"), None);
}

proptest! {
    #[test]
    fn any_table_gives_each_port_once_and_an_end(
        rows in prop::collection::vec((0i32..12, 0i32..12, 0usize..5, 1024u16..1040), 0..40),
    ) {
        let names = ["ollama serve", "python3 a.py", "docker-proxy -host-port 1030 -container-port", "x", "redis-server"];
        let processes = rows.iter().map(|r| process(r.0, r.1, names[r.2], &[r.3])).collect();
        let addresses: Vec<String> = rows.iter().map(|r| format!("0.0.0.0:{}", r.3)).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let found = seen(&addresses, processes, &[]);
        let mut ports = ports(&found);
        ports.sort_unstable();
        ports.dedup();
        prop_assert_eq!(ports.len(), found.len());
    }
}

#[test]
fn what_another_plimsoll_listens_on_is_not_asked() {
    let demo = process(7, 1, "/usr/bin/plimsoll up --demo", &[18080]);
    let chat = process(8, 1, "/usr/bin/llama-server -m a.gguf", &[8080]);
    let found = seen(&["127.0.0.1:18080", "127.0.0.1:8080"], vec![demo, chat], &[]);
    assert_eq!(ports(&found), [8080]);
}

#[test]
fn a_container_that_publishes_nothing_is_asked_at_its_own_address() {
    let inside = |pid, command: &str, ports: &[u16], id: &str| Process {
        container: Some(id.into()),
        ..process(pid, 1, command, ports)
    };
    let at_own = |id: &str, name: &str, last: u8, exposed: &[u16]| Container {
        image: "peer".into(),
        addresses: vec![[172, 17, 0, last].into()],
        exposed: exposed.to_vec(),
        ..container(id, name, &[])
    };
    let processes = vec![
        inside(50, "redis-server *:6379", &[6379], "3f4a9c1b2d5e"),
        // Another user's: the system does not say what they listen on.
        inside(51, "python3 serve.py", &[], "9cd87474be90"),
        inside(52, "llama-server -m a.gguf", &[], "8dfafdbc3a40"),
        inside(53, "python3 job.py", &[], "7dfafdbc3a40"),
        inside(54, "postgres", &[5432], "6dfafdbc3a40"),
        process(60, 1, "redis-server 127.0.0.1:6379", &[6379]),
    ];
    let containers = [
        at_own("3f4a9c1b2d5e", "cache", 2, &[]),
        at_own("9cd87474be90", "engine", 3, &[8000]),
        at_own("8dfafdbc3a40", "chat", 4, &[]),
        at_own("7dfafdbc3a40", "job", 5, &[]),
        at_own("6dfafdbc3a40", "base", 6, &[]),
        // No process of it is seen: it runs in a machine of its own.
        at_own("5dfafdbc3a40", "elsewhere", 7, &[6379]),
    ];
    let found = seen(&["127.0.0.1:6379"], processes, &containers);
    let told: Vec<_> = found.iter().map(|c| (at(c).join(" "), c.key.pid)).collect();
    let told: Vec<(&str, i32)> = told.iter().map(|(at, pid)| (at.as_str(), *pid)).collect();
    assert_eq!(
        told,
        [
            ("127.0.0.1:6379", 60),
            ("172.17.0.2:6379", 50),
            ("172.17.0.4:8080", 52),
            ("172.17.0.3:8000", 51),
        ]
    );
    assert_eq!(found[1].place(), Place { ip: Some([172, 17, 0, 2].into()), port: 6379 });
    assert_eq!(found[1].container.as_ref().unwrap().name.as_deref(), Some("cache"));
    // The one of this machine that the configuration names is not the one in a container.
    let named = BTreeSet::from([place("redis://127.0.0.1").unwrap()]);
    let table = table(vec![inside(50, "redis-server *:6379", &[6379], "3f4a9c1b2d5e")]);
    let around = Surroundings { sockets: Some(&[]), table: &table, containers: &containers };
    assert_eq!(candidates(around, &named, 10).len(), 1);
    let named = BTreeSet::from([place("redis://172.17.0.2").unwrap()]);
    assert!(candidates(around, &named, 10).is_empty());
}
