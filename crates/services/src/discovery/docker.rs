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
        let mut published: Vec<Published> =
            listed.ports.unwrap_or_default().iter().filter_map(Published::of).collect();
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

// === impl Published ===

impl Published {
    fn of(listed: &ListedPort) -> Option<Self> {
        if listed.protocol.as_deref().is_some_and(|protocol| protocol != "tcp") {
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
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    use super::*;

    /// As a daemon of version 27 answers, shortened to what matters.
    const LIST: &str = r#"[
      {"Id":"8dfafdbc3a40f1f8d3c5e2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0987654",
       "Names":["/web/cache","/cache"],"Image":"redis:7-alpine","ImageID":"sha256:5dd",
       "Command":"docker-entrypoint.sh redis-server","Created":1763700000,
       "Ports":[{"IP":"0.0.0.0","PrivatePort":6379,"PublicPort":6380,"Type":"tcp"},
                {"IP":"::","PrivatePort":6379,"PublicPort":6380,"Type":"tcp"},
                {"PrivatePort":9000,"Type":"tcp"},
                {"IP":"127.0.0.1","PrivatePort":53,"PublicPort":5353,"Type":"udp"}],
       "Labels":{"com.docker.compose.project":"lab","com.docker.compose.service":"cache","traefik.auth":"ada:$apr1$secret"},
       "State":"running","Status":"Up 2 hours","HostConfig":{"NetworkMode":"lab_default"},
       "NetworkSettings":{"Networks":{"lab_default":{"IPAddress":"172.18.0.2"}}},"Mounts":[]},
      {"Id":"9cd87474be90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f607182930",
       "Names":["/vllm"],"Image":"vllm/vllm-openai:v0.11.0","Ports":[],"Labels":{},
       "HostConfig":{"NetworkMode":"host"}}]"#;

    struct Daemon {
        dir: tempfile::TempDir,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Daemon {
        /// Answers every request with these bytes.
        fn start(answer: Vec<u8>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
            let asked: Arc<Mutex<Vec<String>>> = Arc::default();
            let told = asked.clone();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let (told, answer) = (told.clone(), answer.clone());
                    tokio::spawn(async move {
                        let mut head = Vec::new();
                        while !head.ends_with(b"\r\n\r\n") {
                            match stream.read_u8().await {
                                Ok(byte) => head.push(byte),
                                Err(_) => return,
                            }
                        }
                        let line = String::from_utf8_lossy(&head);
                        told.lock().unwrap().push(line.lines().next().unwrap().into());
                        let _ = stream.write_all(&answer).await;
                        // Held open: the end of the connection must not be needed.
                        let _ = stream.read_u8().await;
                    });
                }
            });
            Self { dir, asked }
        }

        fn json(body: &str) -> Self {
            let length = body.len();
            Self::start(
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
                    .into_bytes(),
            )
        }

        fn docker(&self) -> Docker {
            Docker::at(self.dir.path().join("docker.sock")).unwrap()
        }
    }

    #[tokio::test]
    async fn containers_are_told_with_what_they_publish() {
        let daemon = Daemon::json(LIST);
        let found = daemon.docker().containers().await.unwrap();
        assert_eq!(*daemon.asked.lock().unwrap(), ["GET /containers/json HTTP/1.1"]);
        let [cache, vllm] = &found[..] else { panic!("{found:?}") };
        assert_eq!((cache.id.as_str(), cache.name.as_str()), ("8dfafdbc3a40", "cache"));
        assert_eq!(cache.image, "redis:7-alpine");
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let published = Published { port: 6380, inner_port: 6379, host: everywhere };
        assert_eq!(cache.published, [published], "both families once, and no UDP");
        let labels: Vec<&str> = cache.labels.values().map(String::as_str).collect();
        assert_eq!(labels, ["lab", "cache"], "and none that may hold a password");
        assert!(vllm.host_network && !cache.host_network && vllm.published.is_empty());
    }

    #[test]
    fn the_processes_of_a_container_are_told_by_their_cgroup() {
        let run = |pid, container: Option<&str>| {
            let mut process = super::super::candidates::tests::process(pid, 1, "redis-server", &[]);
            process.container = container.map(Into::into);
            process
        };
        let table = super::super::candidates::tests::table(vec![
            run(1, None),
            run(2, Some("8dfafdbc3a40")),
            run(3, Some("9cd87474be90")),
            run(4, Some("8dfafdbc3a40")),
        ]);
        let container = Container { id: "8dfafdbc3a40".into(), ..Container::default() };
        let pids: Vec<i32> = container.processes(&table).map(|p| p.pid).collect();
        assert_eq!(pids, [2, 4]);
    }

    #[tokio::test]
    async fn no_docker_is_nothing_wrong_and_a_stopped_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let docker = Docker::at(socket.clone()).unwrap();
        assert_eq!(docker.containers().await, Err(DockerError::Absent));
        drop(UnixListener::bind(&socket).unwrap());
        let error = docker.containers().await.unwrap_err();
        assert_eq!(error, DockerError::Stopped { socket });
        assert!(error.to_string().ends_with("Docker is not running"), "{error}");
    }

    #[tokio::test]
    async fn broken_and_hostile_answers_are_errors_with_words() {
        let endless = {
            let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n[".to_vec();
            answer.extend([b' '; 1000]);
            answer
        };
        for (answer, words) in [
            (endless, "it sent more than 4 MiB"),
            (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec(), "with 500"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec(), "not understood"),
            (b"SSH-2.0-x\r\n".to_vec(), "does not speak HTTP"),
        ] {
            let error = Daemon::start(answer).docker().containers().await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn odd_entries_are_left_out_and_the_number_has_a_bound() {
        let id = |n: usize| format!("{n:012x}");
        let many: Vec<String> = (0..500)
            .map(|n| format!(r#"{{"Id":"{}","Names":null,"Ports":null,"Labels":null}}"#, id(n)))
            .collect();
        let list = format!(r#"[{{"Id":"../../x"}},{{"Id":"é"}},{}]"#, many.join(","));
        let found = Daemon::json(&list).docker().containers().await.unwrap();
        assert_eq!(found.len(), MAX_CONTAINERS);
        assert_eq!(found[0].name, id(0), "what has no name is called by its id");
    }

    #[test]
    fn sockets_of_the_user_are_looked_for_too() {
        assert_eq!(usual_sockets(None).len(), 2);
        let with = usual_sockets(Some(Path::new("/run/user/1000")));
        assert!(with.contains(&PathBuf::from("/run/user/1000/docker.sock")));
        assert_eq!(with[0], PathBuf::from("/var/run/docker.sock"));
    }
}
