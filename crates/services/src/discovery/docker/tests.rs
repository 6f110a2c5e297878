//! The socket of Docker, played by one of the test.

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

pub struct Daemon {
    dir: tempfile::TempDir,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Answers every request with these bytes.
    pub fn start(answer: Vec<u8>) -> Self {
        let answer = Arc::new(Mutex::new(answer));
        let given = answer.clone();
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
                    let answer = answer.lock().unwrap().clone();
                    let _ = stream.write_all(&answer).await;
                    // Held open: the end of the connection must not be needed.
                    let _ = stream.read_u8().await;
                });
            }
        });
        Self { dir, answer: given, asked }
    }

    pub fn json(body: &str) -> Self {
        Self::start(json(body))
    }

    pub fn says(&self, body: &str) {
        *self.answer.lock().unwrap() = json(body);
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    fn docker(&self) -> Docker {
        Docker::at(self.socket()).unwrap()
    }
}

fn json(body: &str) -> Vec<u8> {
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
    format!("{head} {length}\r\n\r\n{body}").into_bytes()
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
    assert_eq!(cache.addresses, [IpAddr::from([172, 18, 0, 2])]);
    assert_eq!(cache.exposed, [9000], "what is published is reached there");
    assert!(vllm.addresses.is_empty() && vllm.exposed.is_empty());
    assert!(vllm.host_network && !cache.host_network && vllm.published.is_empty());
}

#[tokio::test]
async fn an_address_that_no_container_can_have_is_not_taken() {
    let list = r#"[{"Id":"3f4a9c1b2d5e","Names":["/odd"],"NetworkSettings":{"Networks":
      {"a":{"IPAddress":"93.184.216.34"},"b":{"IPAddress":"127.0.0.1"},"c":{"IPAddress":""},
       "d":null,"e":{},"f":{"IPAddress":"x"},"g":{"IPAddress":"10.1.2.3"}}}},
      {"Id":"4f4a9c1b2d5e","NetworkSettings":null},
      {"Id":"5f4a9c1b2d5e","NetworkSettings":{"Networks":null}}]"#;
    let found = Daemon::json(list).docker().containers().await.unwrap();
    let addresses: Vec<_> = found.iter().flat_map(|c| &c.addresses).collect();
    assert_eq!(addresses, [&IpAddr::from([10, 1, 2, 3])]);
    assert_eq!(found.len(), 3);
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
