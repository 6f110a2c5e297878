//! Containers, as the Docker daemon tells them through its socket where we may
//! read it. Only questions are asked, never anything else: whoever may write to
//! that socket owns the machine.
//!
//! - `GET /containers/json` lists what runs: id, names, image, ports, labels, network.
//! - Podman answers the same question in the same form on a socket of its own.
//! - Which processes a container has is not asked: their cgroups tell it already,
//!   in the process table (`Process::container` is the short id).
//!
//! The HTTP client that asks services speaks through a socket, too, with its budget
//! and its bound; a Docker library would bring fifty crates for one question.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use plimsoll_core::process::{Process, ProcessTable};
use serde::Deserialize;

use crate::client::{Bounds, CallError, Client, Target};

/// Most containers that are told.
pub const MAX_CONTAINERS: usize = 200;
/// Most published ports of one container.
const MAX_PORTS: usize = 64;
/// Most networks of one container.
const MAX_NETWORKS: usize = 8;
/// Longest name, image or label that is kept, in characters.
const LONGEST: usize = 200;
/// Digits of the short id, which is the one that people and cgroups show here.
const SHORT_ID: usize = 12;
/// Labels worth knowing. Others may hold anything, passwords among it.
const LABELS: &[&str] = &[
    "com.docker.compose.project",
    "com.docker.compose.service",
    "org.opencontainers.image.title",
    "org.opencontainers.image.version",
];
/// A daemon under load takes its time; a list of 200 containers has 400 KB.
const BOUNDS: Bounds =
    Bounds { budget: Duration::from_secs(3), max_body: 4 << 20, connections: Some(1) };

/// A container that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Twelve hex digits.
    pub id: String,
    pub name: String,
    /// E.g. `vllm/vllm-openai:v0.11.0`.
    pub image: String,
    /// TCP only, by port.
    pub published: Vec<Published>,
    /// What it can be reached at from this machine though it publishes nothing: its own
    /// addresses on Docker's networks, which Docker deals anew at each start.
    pub addresses: Vec<IpAddr>,
    /// TCP ports that its image says it serves and that it does not publish.
    pub exposed: Vec<u16>,
    /// It shares the network of this machine and publishes nothing.
    pub host_network: bool,
    /// Those of [`LABELS`] that it has.
    pub labels: BTreeMap<String, String>,
}

/// A port of a container that is open on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    pub port: u16,
    pub inner_port: u16,
    /// Unspecified for every address of this machine.
    pub host: IpAddr,
}

/// Why there are no containers to see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// No Docker here: nothing is wrong.
    #[error("no Docker socket")]
    Absent,
    #[error("{} may not be read by this user; a member of the group docker may", socket.display())]
    Forbidden { socket: PathBuf },
    #[error("nothing answers on {}: Docker is not running", socket.display())]
    Stopped { socket: PathBuf },
    #[error("Docker gave no list of containers: {0}")]
    Failed(String),
}

/// A Docker daemon's socket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Docker {
    socket: PathBuf,
    target: Target,
}

/// A container of Docker's list, as far as it is used. Unknown fields pass.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
    image: String,
    ports: Option<Vec<ListedPort>>,
    labels: Option<BTreeMap<String, serde_json::Value>>,
    host_config: Option<HostConfig>,
    network_settings: Option<NetworkSettings>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListedPort {
    #[serde(rename = "IP")]
    ip: Option<String>,
    #[serde(rename = "PrivatePort")]
    inner: u16,
    #[serde(rename = "PublicPort")]
    outer: Option<u16>,
    #[serde(rename = "Type")]
    protocol: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    network_mode: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Option<Network>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Network {
    #[serde(rename = "IPAddress")]
    address: Option<String>,
}

/// Where a daemon usually listens: Docker's, the user's own Docker, then Podman's.
pub fn usual_sockets(runtime_dir: Option<&Path>) -> Vec<PathBuf> {
    let of_user = |name: &str| runtime_dir.map(|dir| dir.join(name));
    [
        Some("/var/run/docker.sock".into()),
        of_user("docker.sock"),
        of_user("podman/podman.sock"),
        Some("/run/podman/podman.sock".into()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

// === impl Docker ===

impl Docker {
    pub fn at(socket: PathBuf) -> Result<Self, CallError> {
        let client = Client::over_socket(&socket)?;
        // The name matters to nobody: every call goes through the socket.
        let target = Target::new(&client, "http://localhost", None, BOUNDS)?;
        Ok(Self { socket, target })
    }

    /// The containers that run now, by name.
    pub async fn containers(&self) -> Result<Vec<Container>, DockerError> {
        self.knock().await?;
        let failed = |error: CallError| {
            DockerError::Failed(error.to_string().replace(self.target.place(), "it"))
        };
        let listed: Vec<Listed> = self.target.get_json("/containers/json").await.map_err(failed)?;
        let mut found: Vec<Container> =
            listed.into_iter().filter_map(Container::of).take(MAX_CONTAINERS).collect();
        found.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(found)
    }

    /// Whether somebody is there, which the HTTP client would not tell apart.
    async fn knock(&self) -> Result<(), DockerError> {
        let socket = || self.socket.clone();
        let knock = tokio::net::UnixStream::connect(&self.socket);
        match tokio::time::timeout(BOUNDS.budget, knock).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DockerError::Absent,
                io::ErrorKind::PermissionDenied => DockerError::Forbidden { socket: socket() },
                io::ErrorKind::ConnectionRefused => DockerError::Stopped { socket: socket() },
                _ => DockerError::Failed(error.to_string()),
            }),
            Err(_) => Err(DockerError::Stopped { socket: socket() }),
        }
    }
}

// === impl Container ===

impl Container {
    fn of(listed: Listed) -> Option<Self> {
        let id: String = listed.id.chars().take(SHORT_ID).collect();
        if id.len() < SHORT_ID || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        // Links give a container further names, with the other container's before them.
        let names = listed.names.unwrap_or_default();
        let plain = names.iter().map(|name| name.trim_start_matches('/'));
        let name = plain.clone().find(|name| !name.contains('/')).or_else(|| plain.clone().next());
        let name = name.map(clean).filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
        let ports = listed.ports.unwrap_or_default();
        let mut published: Vec<Published> = ports.iter().filter_map(Published::of).collect();
        let mut exposed: Vec<u16> = ports.iter().filter_map(ListedPort::exposed).collect();
        exposed.sort_unstable();
        exposed.dedup();
        exposed.retain(|port| published.iter().all(|published| published.inner_port != *port));
        exposed.truncate(MAX_PORTS);
        published.sort_unstable();
        // The same port of IPv4 and IPv6 is one.
        published.dedup_by_key(|published| published.port);
        published.truncate(MAX_PORTS);
        let labels = listed.labels.unwrap_or_default();
        let label = |name: &&str| {
            let value = clean(labels.get(*name)?.as_str()?);
            Some(((*name).to_string(), value))
        };
        Some(Self {
            name,
            image: clean(&listed.image),
            published,
            addresses: listed.network_settings.map(NetworkSettings::addresses).unwrap_or_default(),
            exposed,
            host_network: listed.host_config.and_then(|host| host.network_mode).as_deref()
                == Some("host"),
            labels: LABELS.iter().filter_map(label).collect(),
            id,
        })
    }

    /// Its processes, as their cgroups tell them.
    pub fn processes<'t>(&'t self, table: &'t ProcessTable) -> impl Iterator<Item = &'t Process> {
        let inside = |p: &&Process| p.container.as_deref() == Some(self.id.as_str());
        table.processes.iter().filter(inside)
    }
}

// === impl NetworkSettings ===

impl NetworkSettings {
    /// Those that can only be a container's: whatever Docker says, no other machine of
    /// the internet is asked.
    fn addresses(self) -> Vec<IpAddr> {
        let networks = self.networks.unwrap_or_default().into_values().flatten();
        let told = networks.filter_map(|network| network.address?.parse::<Ipv4Addr>().ok());
        let mut addresses: Vec<IpAddr> =
            told.filter(Ipv4Addr::is_private).map(IpAddr::V4).take(MAX_NETWORKS).collect();
        addresses.dedup();
        addresses
    }
}

// === impl ListedPort ===

impl ListedPort {
    fn is_tcp(&self) -> bool {
        self.protocol.as_deref().is_none_or(|protocol| protocol == "tcp")
    }

    fn exposed(&self) -> Option<u16> {
        (self.is_tcp() && self.inner != 0).then_some(self.inner)
    }
}

// === impl Published ===

impl Published {
    fn of(listed: &ListedPort) -> Option<Self> {
        if !listed.is_tcp() {
            return None;
        }
        let port = listed.outer.filter(|&port| port != 0)?;
        let told = listed.ip.as_deref().filter(|ip| !ip.is_empty());
        let host = told.map_or(Ok(Ipv4Addr::UNSPECIFIED.into()), str::parse).ok()?;
        Some(Self { port, inner_port: listed.inner, host })
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
pub(super) mod tests;
