//! Which ports of this machine are worth asking, from what is known without
//! asking anybody: the sockets that listen, the process table, the containers.
//!
//! A port is looked at by what stands behind it, so that no port is asked twice
//! for one listener (IPv4 and IPv6, a container and the proxy before it), and none
//! that belongs to a program's inside: the servers that a model server starts for
//! its own use listen too, on ports that nobody else should talk to.

mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use plimsoll_core::process::{Process, ProcessTable};
use reqwest::Url;

use self::people::People;
pub(crate) use self::people::belongs;
use super::docker::{Container, Published};
use crate::{client::port_of, fleet::likely_kind, kind::ServiceKind};

/// Most ports that are asked or remembered at a time.
pub const MAX_CANDIDATES: usize = 128;

/// The system's own ports: mail, printing, names, remote shells. No model server
/// listens there, and each of them logs a stranger.
const SYSTEM_PORTS: std::ops::Range<u16> = 1..1024;
/// The one of them on which a person may well put a server.
const WEB: u16 = 80;

/// Programs that are surely no service of ours, and that count or log whoever
/// speaks to them in a language they do not know.
const LEFT_ALONE: &[&str] = &[
    "adb",
    "avahi-daemon",
    "containerd",
    "cups-browsed",
    "cupsd",
    "dbus-daemon",
    "dnsmasq",
    "dockerd",
    "mariadbd",
    "master",
    "mongod",
    "mysqld",
    "nginx-prometheus",
    "ntpd",
    // Another Plimsoll: its page, and the servers that a demo only plays. The system cuts a name at 15.
    "plimsoll",
    "plimsoll-deskto",
    "plimsoll-desktop",
    "postgres",
    "postmaster",
    "rpcbind",
    "smbd",
    "sshd",
    "systemd",
    "systemd-resolve",
    "systemd-resolved",
    "tailscaled",
    "Xorg",
    "Xvfb",
    "Xvnc",
];

/// A socket of our own network namespace that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket {
    pub address: SocketAddr,
    /// The socket's number: another one after a restart.
    pub inode: u64,
}

/// All that candidates are made of.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// `None` where the system does not tell them: then the ports of processes
    /// that are in no container stand for them.
    pub sockets: Option<&'a [Socket]>,
    pub table: &'a ProcessTable,
    pub containers: &'a [Container],
}

/// By what a port is known to be the one that was asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// 0 where the process is not known for certain.
    pub pid: i32,
    /// When the process started; without a process the number of the socket.
    pub started: i64,
    pub port: u16,
}

/// The process behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    pub pid: i32,
    pub started_ms: i64,
    pub name: String,
    pub command: String,
    pub user: String,
    pub unit: Option<String>,
    /// Another user's process: who listens is not told, and this one fits by its
    /// name and its command line.
    pub guessed: bool,
}

/// The container behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// Short id; empty where only the proxy before it is seen.
    pub id: String,
    /// `None` where Docker cannot be asked.
    pub name: Option<String>,
    pub image: Option<String>,
    /// The port inside the container.
    pub inner_port: u16,
}

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// `None` for this machine's own loopback, of either family.
    pub ip: Option<IpAddr>,
    pub port: u16,
}

/// A port that may be a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub key: Key,
    /// Number of the socket; 0 where it is not known.
    pub inode: u64,
    /// Where to ask, in this order: one or two.
    pub addresses: Vec<SocketAddr>,
    pub runner: Option<Runner>,
    pub container: Option<Within>,
    /// What it probably speaks: only the order of asking follows from it.
    pub likely: Option<ServiceKind>,
}

/// What listens on a port, before it is judged.
#[derive(Default)]
struct Port {
    addresses: BTreeSet<IpAddr>,
    inode: u64,
    within: Option<Within>,
}

/// The candidates, likely ones first, then by port; at most `most`. `left_out` are
/// places that need no asking: Plimsoll's own, and those that the configuration names.
pub fn candidates(
    around: Surroundings<'_>,
    left_out: &BTreeSet<Place>,
    most: usize,
) -> Vec<Candidate> {
    let people = People::of(around.table, around.containers);
    let mut ports = listening(around);
    publish_by_proxy(around.table, &mut ports);
    publish(around.containers, &mut ports);
    let ports = ports.into_iter().map(|(port, seen)| (Place { ip: None, port }, seen));
    let mut found: Vec<Candidate> = ports
        .chain(unpublished(around.containers, &people))
        .filter(|(place, _)| !left_out.contains(place) && !is_system(place.port))
        .filter_map(|(place, seen)| candidate(place.port, seen, &people))
        .collect();
    found.sort_by_key(|c| (c.likely.is_none(), c.key.port));
    found.truncate(most);
    found
}

/// The port of an address on this machine; `None` for another machine's, and for a
/// container's own.
pub fn local_port(url: &str) -> Option<u16> {
    place(url).filter(|place| place.ip.is_none()).map(|place| place.port)
}

/// The place of an address; `None` where it has a name that is not this machine's.
pub fn place(url: &str) -> Option<Place> {
    let url = Url::parse(url.trim()).ok()?;
    let port = port_of(&url)?;
    match url.host_str()? {
        "localhost" => Some(Place { ip: None, port }),
        host => Some(Place::of(SocketAddr::new(host.trim_matches(['[', ']']).parse().ok()?, port))),
    }
}

// === impl Place ===

impl Place {
    pub fn of(address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        let here = ip.is_loopback() || ip.is_unspecified();
        Self { ip: (!here).then_some(ip), port: address.port() }
    }
}

// === impl Candidate ===

impl Candidate {
    pub fn place(&self) -> Place {
        let here = Place { ip: None, port: self.key.port };
        self.addresses.first().map_or(here, |&address| Place::of(address))
    }
}

fn is_system(port: u16) -> bool {
    port == 0 || SYSTEM_PORTS.contains(&port) && port != WEB
}

/// What a container that publishes nothing serves, at its own addresses: what its
/// processes listen on; where the system does not tell that, what its image says; else
/// the usual port of what it seems to be. One of which no process is seen runs in a
/// machine of its own, where its address leads nowhere.
fn unpublished<'a>(
    containers: &'a [Container],
    people: &'a People<'_>,
) -> impl Iterator<Item = (Place, Port)> + 'a {
    let silent = |c: &&Container| c.published.is_empty() && !c.host_network;
    containers.iter().filter(silent).flat_map(|container| {
        let Some(ports) = people.serves(container) else { return Vec::new() };
        // At each of its addresses it is the same.
        let Some(&ip) = container.addresses.first() else { return Vec::new() };
        let port = |inner_port| {
            let within = Within {
                id: container.id.clone(),
                name: Some(container.name.clone()),
                image: Some(container.image.clone()),
                inner_port,
            };
            let seen = Port { addresses: BTreeSet::from([ip]), inode: 0, within: Some(within) };
            (Place { ip: Some(ip), port: inner_port }, seen)
        };
        ports.into_iter().map(port).collect()
    })
}

/// The ports on which somebody on this machine can be reached from this machine alone.
fn listening(around: Surroundings<'_>) -> BTreeMap<u16, Port> {
    let mut ports: BTreeMap<u16, Port> = BTreeMap::new();
    if let Some(sockets) = around.sockets {
        for socket in sockets {
            let ip = socket.address.ip().to_canonical();
            if !(ip.is_loopback() || ip.is_unspecified()) {
                continue;
            }
            let port = ports.entry(socket.address.port()).or_default();
            port.addresses.insert(ip);
            // Of several sockets the oldest counts: which one that is does not change.
            port.inode = if port.inode == 0 { socket.inode } else { port.inode.min(socket.inode) };
        }
        return ports;
    }
    // A container's ports are its own: only what it publishes can be reached.
    for process in around.table.processes.iter().filter(|p| p.container.is_none()) {
        for &port in &process.ports {
            ports.entry(port).or_default().addresses.insert(Ipv4Addr::UNSPECIFIED.into());
        }
    }
    ports
}

/// What Docker says that containers publish.
fn publish(containers: &[Container], ports: &mut BTreeMap<u16, Port>) {
    for container in containers {
        for published in &container.published {
            let port = ports.entry(published.port).or_default();
            port.addresses.insert(published.host);
            port.within = Some(Within {
                id: container.id.clone(),
                name: Some(container.name.clone()),
                image: Some(container.image.clone()),
                inner_port: published.inner_port,
            });
        }
    }
}

/// What containers publish as far as the proxies before them tell it, which
/// everybody may see: `docker-proxy -proto tcp -host-ip 127.0.0.1 -host-port 6380
/// -container-ip 172.17.0.2 -container-port 6379`.
fn publish_by_proxy(table: &ProcessTable, ports: &mut BTreeMap<u16, Port>) {
    for Published { port, inner_port, host } in table.processes.iter().filter_map(proxied) {
        let port = ports.entry(port).or_default();
        port.addresses.insert(host);
        port.within = Some(Within { id: String::new(), name: None, image: None, inner_port });
    }
}

/// What a process passes on to a container, if it is such a proxy.
pub(crate) fn proxied(process: &Process) -> Option<Published> {
    if process.name != "docker-proxy" {
        return None;
    }
    let mut words = process.command.split_whitespace();
    let (mut host, mut outer, mut inner, mut tcp) = (None, None, None, true);
    while let Some(word) = words.next() {
        match word {
            "-host-ip" => host = words.next().and_then(|ip| ip.parse::<IpAddr>().ok()),
            "-host-port" => outer = words.next().and_then(|port| port.parse::<u16>().ok()),
            "-container-port" => inner = words.next().and_then(|p| p.parse::<u16>().ok()),
            "-proto" => tcp = words.next() == Some("tcp"),
            _ => {}
        }
    }
    let host = host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    Some(Published { port: outer?, inner_port: inner?, host }).filter(|_| tcp)
}

fn candidate(port: u16, seen: Port, people: &People<'_>) -> Option<Candidate> {
    let addresses = ways(&seen.addresses, port);
    if addresses.is_empty() {
        return None;
    }
    let mut container = seen.within;
    let mut guessed = false;
    let holder = match &container {
        Some(within) => people.inside(within),
        None => people.holder(port).or_else(|| {
            guessed = true;
            people.guess(port)
        }),
    };
    if let Some(process) = holder {
        if process.own || LEFT_ALONE.contains(&process.name.as_str()) || people.is_inner(process) {
            return None;
        }
        if let (None, Some(id)) = (&container, &process.container) {
            // It shares this machine's network.
            let known = people.containers.get(id.as_str());
            container = Some(Within {
                id: id.clone(),
                name: known.map(|container| container.name.clone()),
                image: known.map(|container| container.image.clone()),
                inner_port: port,
            });
        }
    }
    let runner = holder.map(|process| Runner {
        pid: process.pid,
        started_ms: process.started_ms,
        name: process.name.clone(),
        command: process.command.clone(),
        user: process.user.clone(),
        unit: process.unit.clone(),
        guessed,
    });
    let key = match &runner {
        Some(runner) if !runner.guessed => {
            Key { pid: runner.pid, started: runner.started_ms, port }
        }
        _ => Key { pid: 0, started: i64::try_from(seen.inode).unwrap_or(i64::MAX), port },
    };
    let image = container.as_ref().and_then(|within| within.image.as_deref());
    let likely = runner
        .as_ref()
        .and_then(|runner| likely_kind(&runner.name))
        .or_else(|| likely_kind(image?.rsplit('/').next()?));
    Some(Candidate { key, inode: seen.inode, addresses, runner, container, likely })
}

/// From what it listens on to where it is reached, the surest way first.
fn ways(listens: &BTreeSet<IpAddr>, port: u16) -> Vec<SocketAddr> {
    let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let mut ways: Vec<IpAddr> = Vec::new();
    for ip in listens {
        match ip {
            IpAddr::V4(ip) if ip.is_unspecified() => ways.push(v4),
            // Most servers take IPv4 on such a socket, too; one that does not has the other way.
            IpAddr::V6(ip) if ip.is_unspecified() => ways.extend([v4, v6]),
            ip => ways.push(*ip),
        }
    }
    // A published port of a container may be bound to one address of this machine.
    ways.sort_by_key(|ip| (*ip != v4, *ip != v6, *ip));
    ways.dedup();
    ways.truncate(2);
    ways.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

#[cfg(test)]
pub(super) mod tests;
