//! The loopback page, over real connections.

use std::{net::SocketAddr, path::Path, time::Duration};

use plimsoll_app::{
    api::{FaultCode, Live},
    door::page::PageDoor,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::host::FakeHost;

struct Served {
    host: FakeHost,
    door: PageDoor,
    _ui: tempfile::TempDir,
}

async fn serve() -> Served {
    let ui = tempfile::tempdir().unwrap();
    std::fs::write(ui.path().join("index.html"), "<title>window</title>").unwrap();
    std::fs::create_dir(ui.path().join("assets")).unwrap();
    std::fs::write(ui.path().join("assets/a-1.js"), "1").unwrap();
    let host = FakeHost::new();
    let folder = ui.path().to_path_buf();
    let any = "127.0.0.1:0".parse().unwrap();
    let door = PageDoor::open(any, host.clone(), Some(folder)).await.unwrap();
    Served { host, door, _ui: ui }
}

/// Status and whole answer.
pub async fn ask(address: SocketAddr, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, text)
}

impl Served {
    async fn get(&self, path: &str, headers: &str) -> (u16, String) {
        let host = self.door.address();
        ask(host, &format!("GET {path} HTTP/1.1\r\nHost: {host}{headers}"), "").await
    }

    async fn call(&self, body: &str, headers: &str) -> (u16, String) {
        let host = self.door.address();
        let head = format!(
            "POST /api/call HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json{headers}"
        );
        ask(host, &head, body).await
    }

    /// A new link, as a browser asks for it.
    fn link(&self) -> String {
        let link = self.door.links().fresh().unwrap();
        link.split_once(&self.door.address().to_string()).unwrap().1.to_owned()
    }

    /// Opens a link; the cookie as a header.
    async fn enter(&self) -> String {
        self.open(&self.link()).await
    }

    async fn open(&self, link: &str) -> String {
        let (status, text) = self.get(link, "").await;
        assert_eq!(status, 303, "{text}");
        let set = text.lines().find_map(|l| l.strip_prefix("set-cookie: ")).unwrap();
        format!("\r\nCookie: {}", set.split(';').next().unwrap())
    }
}

// AR9
#[tokio::test]
async fn without_a_cookie_nothing_is_served_but_probes() {
    let served = serve().await;
    assert_eq!(served.get("/", "").await.0, 401);
    assert_eq!(served.get("/assets/a-1.js", "").await.0, 401);
    assert_eq!(served.get("/api/live", "").await.0, 401);
    assert_eq!(served.call(r#"{"command":"recall","args":{"key":"a"}}"#, "").await.0, 401);
    let (status, text) = served.get("/health", "").await;
    assert!(status == 200 && text.contains(r#""healthy":true"#), "{text}");
    assert_eq!(served.get("/ready", "").await.0, 503, "nothing was measured yet");
}

#[tokio::test]
async fn the_token_opens_the_window_once() {
    let served = serve().await;
    let link = served.link();
    let cookie = served.open(&link).await;
    let (status, text) = served.get("/", &cookie).await;
    assert!(status == 200 && text.contains("<title>window</title>"), "{text}");
    assert_eq!(served.get(&link, "").await.0, 401, "the same link in a second browser");
    let (status, text) = served.call(r#"{"command":"recall","args":{"key":"a"}}"#, &cookie).await;
    assert!(status == 200 && text.ends_with("\"a\""), "{text}");
}

#[tokio::test]
async fn who_is_in_gets_no_link_for_others() {
    let served = serve().await;
    let cookie = served.enter().await;
    let (status, text) = served.call(r#"{"command":"page.link","args":{}}"#, &cookie).await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("plimsoll link") && !text.contains("token"), "{text}");
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused() {
    let served = serve().await;
    let cookie = served.enter().await;
    let address = served.door.address();
    let head = format!("GET / HTTP/1.1\r\nHost: evil.example:{}{cookie}", address.port());
    assert_eq!(ask(address, &head, "").await.0, 403);
    let call = r#"{"command":"recall","args":{"key":"a"}}"#;
    let evil = format!("{cookie}\r\nOrigin: http://evil.example");
    assert_eq!(served.call(call, &evil).await.0, 403);
    let own = format!("{cookie}\r\nOrigin: http://{address}");
    assert_eq!(served.call(call, &own).await.0, 200);
    let local = format!("GET / HTTP/1.1\r\nHost: localhost:{}{cookie}", address.port());
    assert_eq!(ask(address, &local, "").await.0, 200);
}

#[tokio::test]
async fn every_answer_carries_a_strict_policy() {
    let served = serve().await;
    let cookie = served.enter().await;
    for headers in ["", cookie.as_str()] {
        let (_, text) = served.get("/", headers).await;
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "referrer-policy: no-referrer",
        ] {
            assert!(text.contains(header), "{header} is missing in {text}");
        }
        assert!(!text.to_lowercase().contains("access-control-allow"), "{text}");
    }
}

#[tokio::test]
async fn faults_have_their_status_and_large_bodies_are_refused() {
    let served = serve().await;
    let cookie = served.enter().await;
    let (status, text) = served.call(r#"{"command":"fly"}"#, &cookie).await;
    assert!(status == 404 && text.contains(r#""code":"not_found""#), "{text}");
    assert_eq!(served.call("no json", &cookie).await.0, 400);
    let large = format!(r#"{{"command":"recall","args":{{"key":"{}"}}}}"#, "x".repeat(3 << 20));
    let address = served.door.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/call HTTP/1.1\r\nHost: {address}{cookie}\r\nContent-Length: {}\r\n\r\n",
        large.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(large.as_bytes()).await;
    let mut answer = [0; 64];
    let read = timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).contains(" 413 "));
}

#[tokio::test]
async fn the_live_stream_arrives_as_events_and_ends_with_the_page() {
    let served = serve().await;
    let cookie = served.enter().await;
    let address = served.door.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head =
        format!("GET /api/live?metrics=gpu.,cpu. HTTP/1.1\r\nHost: {address}{cookie}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("\r\n\r\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(text.contains("text/event-stream"), "{text}");
    served.host.hub.tell(Live::Processes { at_ms: 5 });
    while !text.contains(r#"data: {"event":"processes","at_ms":5}"#) {
        let read = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
        let read = read.expect("an event comes").unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    let closing = tokio::spawn(served.door.close());
    loop {
        let read = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
        if read.expect("the stream ends").unwrap_or(0) == 0 {
            break;
        }
    }
    closing.await.unwrap();
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let opened = PageDoor::open(address.parse().unwrap(), FakeHost::new(), None).await;
        let fault = opened.unwrap_err();
        assert_eq!(fault.code, FaultCode::Invalid);
        assert!(fault.hint.unwrap().contains("ssh -L"));
    }
}

#[tokio::test]
async fn without_the_built_window_the_page_says_how_to_get_it() {
    let any = "127.0.0.1:0".parse().unwrap();
    let door = PageDoor::open(any, FakeHost::new(), None).await.unwrap();
    let ui = tempfile::tempdir().unwrap();
    let served = Served { host: FakeHost::new(), door, _ui: ui };
    let cookie = served.enter().await;
    let (status, text) = served.get("/", &cookie).await;
    assert!(status == 503 && text.contains("PLIMSOLL_UI_DIR"), "{text}");
    assert!(!Path::new("/").join("nothing").exists());
}
