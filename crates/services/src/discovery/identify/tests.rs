//! Asking, against servers on this machine.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    adapter::{Memory, Scrape},
    adapters,
    client::Limits,
    discovery::candidates::Within,
    health,
    kind::ServiceKind,
};

pub fn candidate(pid: i32, started: i64, port: u16) -> Candidate {
    Candidate {
        key: Key { pid, started, port },
        inode: 0,
        addresses: vec![SocketAddr::new([127, 0, 0, 1].into(), port)],
        runner: None,
        container: None,
        likely: None,
    }
}

pub fn client() -> Client {
    Client::new(Limits::of(2, false)).unwrap()
}

fn found(kind: ServiceKind) -> Outcome {
    Outcome::Found(Identity::of(kind), "127.0.0.1:1".parse().unwrap())
}

/// A server that sends the same bytes after each request's head, and then, where
/// `open`, stays silent. Keeps what it was asked, one line a request.
pub struct Server {
    pub port: u16,
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start(answer: &str, open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (told, answer) = (asked.clone(), answer.to_string());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (told, answer) = (told.clone(), answer.clone());
                tokio::spawn(async move {
                    loop {
                        let mut head = Vec::new();
                        while !head.ends_with(b"\r\n") {
                            match stream.read_u8().await {
                                Ok(byte) => head.push(byte),
                                Err(_) => return,
                            }
                        }
                        if head == b"\r\n" || head.contains(&b':') && !head.starts_with(b"GET") {
                            continue;
                        }
                        let line = String::from_utf8_lossy(&head).trim().to_string();
                        told.lock().unwrap().push(line);
                        let _ = stream.write_all(answer.as_bytes()).await;
                        if !open {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, asked }
    }

    pub async fn http(status: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        Self::start(&head, true).await
    }

    fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Knows a server by the word that it says at `/health`.
pub struct Knows(pub ServiceKind, pub &'static str);

#[async_trait]
impl Adapter for Knows {
    fn kind(&self) -> ServiceKind {
        self.0
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let text = probe.text(health::HEALTH).await?;
        assert_ne!(text, "poison", "an adapter with a bug");
        (text == self.1).then(|| Identity::of(self.0))
    }

    async fn scrape(&self, _: &Target, _: &mut Memory) -> Result<Scrape, CallError> {
        Ok(Scrape::default())
    }
}

pub fn knowing() -> Vec<Arc<dyn Adapter>> {
    vec![Arc::new(Knows(ServiceKind::OpenAi, "open")), Arc::new(Knows(ServiceKind::Vllm, "vllm"))]
}

async fn asked(adapters: &[Arc<dyn Adapter>], port: u16) -> Outcome {
    let bounds = Bounds { budget: Duration::from_millis(500), ..QUESTION };
    ask(adapters, &client(), &candidate(1, 1, port), bounds, PATIENCE).await
}

#[tokio::test]
async fn a_server_is_known_by_what_it_says() {
    let server = Server::http("200 OK", "vllm").await;
    let address = SocketAddr::new([127, 0, 0, 1].into(), server.port);
    let outcome = asked(&knowing(), server.port).await;
    assert_eq!(outcome, Outcome::Found(Identity::of(ServiceKind::Vllm), address));
    assert_eq!(server.requests(), 1, "two adapters asked the same question");
}

#[tokio::test]
async fn a_stranger_is_told_from_one_that_is_not_ready_and_one_that_is_no_http() {
    for (answer, open, expected) in [
        ("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", true, Outcome::Stranger),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", true, Outcome::Stranger),
        ("HTTP/1.1 503 Wait\r\nContent-Length: 0\r\n\r\n", true, Outcome::NotYet),
        ("HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n", true, Outcome::Stranger),
        ("SSH-2.0-OpenSSH_9.2\r\n", true, Outcome::Foreign),
        ("", false, Outcome::Foreign),
        ("", true, Outcome::NotYet),
    ] {
        let server = Server::start(answer, open).await;
        assert_eq!(asked(&knowing(), server.port).await, expected, "{answer:?}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(asked(&knowing(), gone).await, Outcome::NotYet);
}

#[tokio::test]
async fn the_second_address_is_asked_where_nobody_is_at_the_first() {
    let server = Server::http("200 OK", "vllm").await;
    let mut two = candidate(1, 1, server.port);
    let nobody = SocketAddr::new([127, 0, 0, 1].into(), 1);
    two.addresses.insert(0, nobody);
    let outcome = ask(&knowing(), &client(), &two, QUESTION, PATIENCE).await;
    assert!(matches!(outcome, Outcome::Found(_, at) if at.port() == server.port));
}

/// Whatever adapters there are: finding out what a port speaks must not load,
/// wake or create anything in any server that may stand there. (SGLang generates a
/// token when it is asked for its health.)
#[tokio::test]
async fn no_question_to_an_unknown_port_can_load_wake_or_write() {
    let harmful =
        ["/health ", "slots", "completion", "generate", "load", "chat", "embed", "transcri"];
    for (status, body) in [
        ("404 Not Found", ""),
        ("200 OK", "{}"),
        ("200 OK", r#"{"object":"list","data":[{"id":"m","object":"model"}],"models":[]}"#),
        ("401 Unauthorized", "{}"),
        ("405 Method Not Allowed", ""),
    ] {
        let server = Server::http(status, body).await;
        asked(&adapters::all(), server.port).await;
        let asked = server.asked.lock().unwrap();
        assert!(asked.len() <= crate::adapter::MOST_QUESTIONS + 2, "{asked:?}");
        for line in asked.iter() {
            let question = line.to_ascii_lowercase();
            let harmless =
                !harmful.iter().any(|word| question.contains(word)) && !question.contains("model=");
            assert!(harmless, "{line} after {status} {body}: {asked:?}");
        }
    }
}

#[tokio::test]
async fn one_that_does_not_speak_http_hears_no_second_question_of_it() {
    let server = Server::start("SSH-2.0-OpenSSH_9.2\r\n", true).await;
    assert_eq!(asked(&adapters::all(), server.port).await, Outcome::Foreign);
    let asked = server.asked.lock().unwrap();
    let http = asked.iter().filter(|line| line.contains("HTTP/1.1")).count();
    assert_eq!(http, 1, "{asked:?}");
}

#[tokio::test]
async fn a_proxy_that_hangs_up_waits_for_what_is_in_its_container() {
    for (answer, open, expected) in
        [("", false, Outcome::NotYet), ("SSH-2.0-OpenSSH_9.2\r\n", true, Outcome::Foreign)]
    {
        let server = Server::start(answer, open).await;
        let mut behind = candidate(10, 1, server.port);
        let within = Within { id: String::new(), name: None, image: None, inner_port: 8000 };
        behind.container = Some(within);
        let outcome = ask(&knowing(), &client(), &behind, QUESTION, PATIENCE).await;
        assert_eq!(outcome, expected, "{answer}");
    }
}

#[test]
fn an_unknown_port_is_asked_once_and_a_restarted_program_again() {
    let mut asked = Asked::default();
    let first = candidate(10, 1000, 8080);
    assert_eq!(asked.due(std::slice::from_ref(&first), 0), std::slice::from_ref(&first));
    assert!(asked.due(std::slice::from_ref(&first), 5000).is_empty(), "it is being asked");
    asked.took(first.key, Outcome::Foreign, 6000);
    for minute in 0..600 {
        assert!(asked.due(std::slice::from_ref(&first), minute * 60_000).is_empty());
    }
    let again = candidate(11, 2000, 8080);
    assert_eq!(asked.due(std::slice::from_ref(&again), 36_000_000), std::slice::from_ref(&again));
    // The same pid, given to another program.
    let other = candidate(11, 3000, 8080);
    assert_eq!(asked.due(std::slice::from_ref(&other), 36_000_000), std::slice::from_ref(&other));
}

#[test]
fn a_port_whose_process_becomes_known_is_not_asked_again() {
    let mut asked = Asked::default();
    let mut unknown = candidate(0, 77, 8080);
    unknown.inode = 77;
    asked.due(std::slice::from_ref(&unknown), 0);
    asked.took(unknown.key, found(ServiceKind::Vllm), 0);
    let known = Candidate { inode: 77, ..candidate(10, 1000, 8080) };
    assert!(asked.due(std::slice::from_ref(&known), 5000).is_empty());
    assert_eq!(asked.found(&[known]).len(), 1);
    // The same process, and then a socket that another one opened.
    let other = Candidate { inode: 78, ..candidate(11, 2000, 8080) };
    assert_eq!(asked.due(&[other], 10_000).len(), 1);
}

#[test]
fn one_that_is_not_ready_is_asked_again_less_and_less_often_and_then_left_alone() {
    let mut asked = Asked::default();
    let loads = [candidate(10, 1000, 8000)];
    let mut times = Vec::new();
    asked.due(&loads, 0);
    asked.took(loads[0].key, Outcome::NotYet, 0);
    assert_eq!(asked.next_ms(&loads), Some(3000));
    assert_eq!(asked.next_ms(&[]), None, "what is gone is not waited for");
    let mut asked = Asked::default();
    for second in 0..7200 {
        if !asked.due(&loads, second * 1000).is_empty() {
            times.push(second);
            asked.took(loads[0].key, Outcome::NotYet, second * 1000);
        }
    }
    assert_eq!(times, [0, 3, 8, 18, 38, 78, 158, 318, 618, 1218, 1818]);
    assert!(asked.undecided(&loads).is_empty());
    assert_eq!(asked.next_ms(&loads), None);
}

#[test]
fn a_process_is_one_service_of_a_kind() {
    let mut asked = Asked::default();
    let all = [
        candidate(10, 1, 9091),
        candidate(10, 1, 19_530),
        candidate(20, 1, 8001),
        candidate(20, 1, 8002),
        // Whose these are is not known: they may be two.
        candidate(0, 7, 9001),
        candidate(0, 8, 9002),
        candidate(30, 1, 9500),
    ];
    asked.due(&all, 0);
    assert_eq!(asked.undecided(&all).len(), 7);
    for (n, c) in all.iter().enumerate().take(6) {
        let kind = if n < 2 { ServiceKind::Milvus } else { ServiceKind::OpenAi };
        asked.took(c.key, found(kind), 0);
    }
    asked.took(all[6].key, Outcome::Stranger, 0);
    let ports: Vec<u16> = asked.found(&all).iter().map(|s| s.candidate.key.port).collect();
    assert_eq!(ports, [8001, 9001, 9002, 19_530]);
    assert!(asked.found(&[]).is_empty(), "what is gone is not there");
}

#[test]
fn what_is_remembered_has_a_bound() {
    let mut asked = Asked::default();
    for n in 0..5000 {
        let one = [candidate(n, 1, 8080)];
        asked.due(&one, i64::from(n));
        asked.took(one[0].key, Outcome::Stranger, i64::from(n));
    }
    assert!(asked.ports.len() <= MAX_KEPT);
    asked.due(&[], KEPT_FOR_MS * 2);
    assert!(asked.ports.is_empty());
}
