use std::os::unix::fs::symlink;

use super::{super::stat::Stat, *};

struct Machine {
    dir: tempfile::TempDir,
    listeners: Listeners,
    processes: FxHashMap<i32, Known>,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listeners = Listeners::new(&Roots::below(dir.path()));
        Self { dir, listeners, processes: FxHashMap::default() }
    }

    fn folder(&self, pid: i32) -> std::path::PathBuf {
        self.dir.path().join("proc").join(pid.to_string())
    }

    /// A process in a namespace, with sockets of these inodes among its files.
    fn run(&mut self, pid: i32, namespace: u64, sockets: &[u64]) {
        let folder = self.folder(pid);
        fs::create_dir_all(folder.join("ns")).unwrap();
        fs::create_dir_all(folder.join("fd")).unwrap();
        fs::create_dir_all(folder.join("net")).unwrap();
        symlink(format!("net:[{namespace}]"), folder.join("ns/net")).unwrap();
        for &inode in sockets {
            self.hold(pid, inode);
        }
        let line = format!("{pid} (x) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0 1\n");
        let stat = Stat::parse(line.as_bytes()).unwrap();
        self.processes.insert(pid, Known::new(&stat));
    }

    fn hold(&self, pid: i32, inode: u64) {
        let file = self.folder(pid).join("fd").join(inode.to_string());
        symlink(format!("socket:[{inode}]"), file).unwrap();
    }

    /// What the namespace of these processes has listening: inode and port.
    fn listen(&self, pids: &[i32], sockets: &[(u64, u16)]) {
        let lines: String = sockets
            .iter()
            .map(|(inode, port)| {
                format!("0: 00000000:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 {inode}\n")
            })
            .collect();
        for &pid in pids {
            let net = self.folder(pid).join("net");
            fs::write(net.join("tcp"), &lines).unwrap();
            let count = format!("TCP: inuse {} orphan 0\n", sockets.len());
            fs::write(net.join("sockstat"), count).unwrap();
        }
    }

    fn scan(&mut self) {
        self.listeners.scan(&mut self.processes);
    }

    fn ports(&self, pid: i32) -> &[u16] {
        &self.processes[&pid].listening.ports
    }
}

#[test]
fn containers_with_the_same_port_are_told_apart() {
    let mut machine = Machine::new();
    machine.run(50, 1, &[900]);
    machine.run(60, 2, &[901]);
    machine.run(61, 2, &[]);
    machine.listen(&[50], &[(900, 8080)]);
    machine.listen(&[60, 61], &[(901, 8080), (902, 9090)]);
    machine.scan();
    assert_eq!(machine.ports(50), [8080]);
    assert_eq!(machine.ports(60), [8080]);
    assert!(machine.ports(61).is_empty());
}

#[test]
fn a_socket_that_is_opened_later_is_found_and_one_that_closes_is_forgotten() {
    let mut machine = Machine::new();
    machine.run(50, 1, &[900]);
    machine.listen(&[50], &[(900, 8080)]);
    machine.scan();
    machine.hold(50, 901);
    machine.listen(&[50], &[(900, 8080), (901, 11434)]);
    machine.scan();
    assert_eq!(machine.ports(50), [8080, 11434]);
    machine.listen(&[50], &[(901, 11434)]);
    machine.scan();
    assert_eq!(machine.ports(50), [11434]);
    // As many in use as before: found when the table is read again all the same.
    machine.hold(50, 902);
    machine.listen(&[50], &[(902, 6379)]);
    machine.scan();
    assert_eq!(machine.ports(50), [11434]);
    (0..READ_AGAIN_AFTER).for_each(|_| machine.scan());
    assert_eq!(machine.ports(50), [6379]);
}

#[test]
fn files_are_followed_again_only_where_a_socket_was_opened() {
    let mut machine = Machine::new();
    machine.run(50, 1, &[900]);
    machine.listen(&[50], &[(900, 8080), (901, 9090)]);
    machine.scan();
    // Nobody looks: the socket was there before, and the process is known.
    machine.hold(50, 901);
    machine.scan();
    assert_eq!(machine.ports(50), [8080]);
    machine.processes.get_mut(&50).unwrap().listening.look_again();
    machine.scan();
    assert_eq!(machine.ports(50), [8080, 9090]);
}

#[test]
fn few_tables_are_read_in_one_scan_and_all_of_them_in_time() {
    let mut machine = Machine::new();
    let pids: Vec<i32> = (100..110).collect();
    for &pid in &pids {
        let inode = u64::try_from(pid).unwrap();
        machine.run(pid, inode, &[inode]);
        machine.listen(&[pid], &[(inode, 80)]);
    }
    for scan in 1..=5 {
        machine.scan();
        let found = pids.iter().filter(|&&pid| machine.ports(pid) == [80]).count();
        assert_eq!(found, scan * MAX_TABLES);
    }
}

// MV13
#[test]
fn namespaces_and_files_and_ports_stay_within_their_bounds() {
    let mut machine = Machine::new();
    for pid in 0..200 {
        machine.run(1000 + pid, u64::from(pid.unsigned_abs()), &[]);
    }
    machine.run(1, 0, &(1..=100).collect::<Vec<_>>());
    let many: Vec<(u64, u16)> = (1..=100).map(|n| (n, u16::try_from(n).unwrap())).collect();
    machine.listen(&[1], &many);
    machine.scan();
    assert_eq!(machine.listeners.namespaces.len(), MAX_NAMESPACES);
    assert_eq!(machine.ports(1), (1..=32).collect::<Vec<u16>>());
}

#[test]
fn a_process_that_may_not_be_looked_at_has_no_ports() {
    let mut machine = Machine::new();
    machine.run(50, 1, &[900]);
    machine.listen(&[50], &[(900, 8080)]);
    machine.scan();
    assert_eq!(machine.ports(50), [8080]);
    fs::remove_file(machine.folder(50).join("ns/net")).unwrap();
    machine.processes.get_mut(&50).unwrap().listening.look_again();
    machine.scan();
    assert!(machine.ports(50).is_empty());
}

#[test]
fn who_listens_here_is_told_with_its_address_and_its_number() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    held_by(Path::new("/proc/self"), |inode| held.push(inode));
    let here = listening_here().unwrap();
    let (_, inode) = here.iter().find(|(at, _)| *at == address).unwrap();
    assert!(held.contains(inode));
    drop(listener);
    assert!(listening_here().unwrap().iter().all(|(at, _)| *at != address));
}
