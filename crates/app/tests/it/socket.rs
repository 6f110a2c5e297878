//! The socket, with the real client and with callers that misbehave.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, sync::atomic::Ordering, time::Duration};

use plimsoll_app::{
    api::{Command, FaultCode, Live, Nothing, RememberKey, Remembered, Subscription},
    door::{client::Client, socket::SocketDoor},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::timeout,
};

use crate::host::FakeHost;

struct Owner {
    host: FakeHost,
    path: PathBuf,
    door: SocketDoor,
    _dir: tempfile::TempDir,
}

fn owner() -> Owner {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let host = FakeHost::new();
    let door = SocketDoor::open(&path, host.clone()).unwrap();
    Owner { host, path, door, _dir: dir }
}

fn recall(key: &str) -> Command {
    Command::Recall(RememberKey { key: key.into() })
}

/// A caller that writes lines as it likes.
struct Raw(BufReader<UnixStream>);

impl Raw {
    async fn open(path: &PathBuf) -> Self {
        let mut raw = Self(BufReader::new(UnixStream::connect(path).await.unwrap()));
        let hello = raw.line().await;
        assert!(hello.contains(r#""protocol":"#), "{hello}");
        raw
    }

    async fn say(&mut self, line: &str) {
        self.0.write_all(line.as_bytes()).await.unwrap();
        self.0.write_all(b"\n").await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(Duration::from_secs(10), self.0.read_line(&mut line)).await.unwrap().unwrap();
        line
    }
}

#[tokio::test]
async fn only_the_owner_of_the_folder_may_open_the_socket() {
    let owner = owner();
    let mode = std::fs::metadata(&owner.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn answers_find_their_request_also_when_an_earlier_one_waits() {
    let owner = owner();
    let client = Client::connect(&owner.path, "terminal").await.unwrap();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Command::Doctor(Nothing {})).await }
    });
    for n in 0..100 {
        let key = format!("k{n}");
        let answer = client.call(&recall(&key)).await.unwrap();
        assert_eq!(answer.get(), format!("{key:?}"));
    }
    assert!(!slow.is_finished());
    owner.host.gate.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().get(), "\"well\"");
}

#[tokio::test]
async fn a_fault_arrives_with_its_code_and_hint() {
    let owner = owner();
    let client = Client::connect(&owner.path, "terminal").await.unwrap();
    let fault = client.call(&Command::Status(Nothing {})).await.unwrap_err();
    assert_eq!((fault.code, fault.message.as_str()), (FaultCode::NotFound, "status"));
    assert_eq!(fault.hint.as_deref(), Some("try recall"));
}

#[tokio::test]
async fn the_live_stream_comes_after_subscribing_and_a_new_one_replaces_it() {
    let owner = owner();
    let client = Client::connect(&owner.path, "window").await.unwrap();
    let mut first = client.subscribe(&Subscription::default()).await.unwrap();
    owner.host.hub.tell(Live::Processes { at_ms: 1 });
    assert_eq!(first.recv().await, Some(Live::Processes { at_ms: 1 }));
    let mut second = client.subscribe(&Subscription::default()).await.unwrap();
    owner.host.hub.tell(Live::Processes { at_ms: 2 });
    assert_eq!(second.recv().await, Some(Live::Processes { at_ms: 2 }));
    assert_eq!(first.recv().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_that_comes_late_does_not_silence_the_one_who_came_after() {
    let owner = owner();
    let client = Client::connect(&owner.path, "window").await.unwrap();
    for n in 0..200 {
        drop(client.subscribe(&Subscription::default()).await.unwrap());
        let late = client.clone();
        let goodbye = tokio::spawn(async move { late.unsubscribe_if_unheard().await });
        let mut heard = client.subscribe(&Subscription::default()).await.unwrap();
        goodbye.await.unwrap();
        // Whatever the goodbye wrote has been read once this is answered.
        client.call(&recall("x")).await.unwrap();
        owner.host.hub.tell(Live::Processes { at_ms: n });
        let live = timeout(Duration::from_secs(10), heard.recv()).await;
        assert_eq!(live.expect("it is heard"), Some(Live::Processes { at_ms: n }));
    }
}

#[tokio::test]
async fn a_listener_that_takes_nothing_never_holds_up_the_owner_or_its_neighbours() {
    let owner = owner();
    let mut stuck = Raw::open(&owner.path).await;
    stuck.say(&hello(plimsoll_core::PROTOCOL)).await;
    stuck.say(r#"{"id":1,"subscribe":{"metrics":[]}}"#).await;
    assert!(stuck.line().await.contains(r#""id":1"#));
    let other = Client::connect(&owner.path, "terminal").await.unwrap();
    let mut heard = other.subscribe(&Subscription::default()).await.unwrap();
    // Far more than a socket's buffer and the ring hold together.
    let reason = "x".repeat(1000);
    for n in 0..20_000i64 {
        let source = plimsoll_core::source::SourceStatus {
            name: "gpu".into(),
            state: plimsoll_core::source::SourceState::Lost,
            reason: reason.clone(),
            since_ms: n,
            last_ms: None,
        };
        owner.host.hub.tell(Live::Sources { sources: vec![source] });
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    owner.host.hub.tell(Live::Stopping);
    let last = timeout(Duration::from_secs(20), async {
        let mut missed = 0;
        while let Some(live) = heard.recv().await {
            match live {
                Live::Stopping => return missed,
                Live::Missed { messages } => missed += messages,
                _ => {}
            }
        }
        0
    });
    last.await.expect("the neighbour hears the end");
    assert_eq!(other.call(&recall("still")).await.unwrap().get(), "\"still\"");
    drop(stuck);
}

#[tokio::test]
async fn requests_under_way_are_bounded_per_connection() {
    let owner = owner();
    let mut raw = Raw::open(&owner.path).await;
    raw.say(&hello(plimsoll_core::PROTOCOL)).await;
    for id in 0..200 {
        raw.say(&format!(r#"{{"id":{id},"command":"doctor"}}"#)).await;
    }
    // The owner's own neighbour is served while the flood waits in its socket.
    let other = Client::connect(&owner.path, "terminal").await.unwrap();
    for _ in 0..20 {
        other.call(&recall("x")).await.unwrap();
    }
    let entered = owner.host.entered.load(Ordering::SeqCst);
    assert!(entered <= 32, "{entered} at once");
    owner.host.gate.add_permits(200);
    for _ in 0..200 {
        assert!(raw.line().await.contains("well"));
    }
}

#[tokio::test]
async fn connections_are_bounded_and_the_one_too_many_is_told() {
    let owner = owner();
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(Client::connect(&owner.path, "terminal").await.unwrap());
    }
    let fault = Client::connect(&owner.path, "terminal").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert!(fault.message.contains("64"), "{fault}");
    open.clear();
    timeout(Duration::from_secs(10), async {
        while Client::connect(&owner.path, "terminal").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a place is free again");
}

#[tokio::test]
async fn another_protocol_version_is_told_which_side_to_restart() {
    let owner = owner();
    for (protocol, side) in
        [(plimsoll_core::PROTOCOL + 1, "Restart the running one"), (0, "Restart this terminal")]
    {
        let mut raw = Raw::open(&owner.path).await;
        raw.say(&hello(protocol)).await;
        let answer = raw.line().await;
        assert!(answer.contains(r#""code":"protocol""#) && answer.contains(side), "{answer}");
        assert_eq!(raw.line().await, "", "and hung up");
    }
    // The other way round: an owner of tomorrow.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"{\"hello\":{\"program\":\"owner\",\"version\":\"9.9.9\",\"protocol\":99,\"new\":1}}\n")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    let fault = Client::connect(&path, "window").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Protocol);
    assert!(fault.message.contains("9.9.9"), "{fault}");
    assert!(fault.hint.unwrap().contains("Restart this window"));
}

#[tokio::test]
async fn nonsense_is_answered_and_does_not_end_the_connection() {
    let owner = owner();
    let mut raw = Raw::open(&owner.path).await;
    raw.say(&hello(plimsoll_core::PROTOCOL)).await;
    for (line, found) in [
        ("not json", "invalid"),
        (r#"{"id":7,"command":"fly"}"#, r#""id":7"#),
        (r#"{"id":8,"command":"recall","args":{"kay":"x"}}"#, "kay"),
        (r#"{"id":9}"#, "either a command or a subscription"),
        (r#"{"command":"status"}"#, "needs an"),
    ] {
        raw.say(line).await;
        let answer = raw.line().await;
        assert!(answer.contains("fault") && answer.contains(found), "{line} → {answer}");
    }
    raw.say(r#"{"id":10,"command":"recall","args":{"key":"ok"}}"#).await;
    assert_eq!(raw.line().await, "{\"id\":10,\"answer\":\"ok\"}\n");
}

#[tokio::test]
async fn a_line_without_end_is_cut_off() {
    let owner = owner();
    let mut raw = Raw::open(&owner.path).await;
    raw.say(&hello(plimsoll_core::PROTOCOL)).await;
    let big = Remembered { key: "a".into(), value: "x".repeat(1 << 20) };
    let client = Client::connect(&owner.path, "window").await.unwrap();
    let answer = client.call(&Command::Remember(big)).await.unwrap();
    assert_eq!(answer.get(), (1 << 20).to_string(), "a large one passes");
    let endless = vec![b'x'; 3 << 20];
    let _ = raw.0.write_all(&endless).await;
    let answer = raw.line().await;
    assert!(answer.contains("bytes at most"), "{answer}");
    assert_eq!(client.call(&recall("ok")).await.unwrap().get(), "\"ok\"");
}

#[tokio::test]
async fn those_who_are_attached_learn_that_the_owner_has_ended() {
    let owner = owner();
    let client = Client::connect(&owner.path, "window").await.unwrap();
    let mut heard = client.subscribe(&Subscription::default()).await.unwrap();
    owner.host.hub.tell(Live::Stopping);
    owner.door.close().await;
    assert_eq!(heard.recv().await, Some(Live::Stopping));
    assert_eq!(heard.recv().await, None);
    client.ended().await;
    let fault = client.call(&recall("x")).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert!(!owner.path.exists(), "the socket is taken away");
}

fn hello(protocol: u32) -> String {
    format!(r#"{{"hello":{{"program":"terminal","version":"0.0.1","protocol":{protocol}}}}}"#)
}
