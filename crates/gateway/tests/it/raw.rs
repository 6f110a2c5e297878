//! What reaches a backend, byte for byte.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plimsoll_core::config::{Environment, Loaded as Read};
use plimsoll_gateway::route::Table;
use plimsoll_services::{
    client::Bounds,
    fleet::{FleetView, Wanted, Watched},
    kind::ServiceKind,
    service::{Loaded, Model, Origin, Service, ServiceState},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::house::{CHAT, House, backend, chat, options, patiently, room};

/// A server that keeps whatever it is sent, and answers each request with `{}`.
struct Keeps {
    url: String,
    connections: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Keeps {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(Mutex::new(Vec::new()));
        let kept = connections.clone();
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut came = Vec::new();
                while !came.ends_with(b"}") && stream.read_buf(&mut came).await.unwrap() > 0 {}
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                // Whatever comes beyond it, too.
                let _ = stream.read_to_end(&mut came).await;
                kept.lock().unwrap().push(String::from_utf8(came).unwrap());
            }
        });
        Self { url, connections, server }
    }

    /// What came on its only connection.
    async fn only(&self) -> String {
        crate::house::until(|| !self.connections.lock().unwrap().is_empty()).await;
        let mut connections = std::mem::take(&mut *self.connections.lock().unwrap());
        assert_eq!(connections.len(), 1, "{connections:?}");
        connections.remove(0)
    }
}

impl Drop for Keeps {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A length and chunks: whoever goes by the one reads another request than who goes by the other.
#[tokio::test]
async fn of_a_request_with_a_length_and_chunks_one_reading_goes_on_and_nothing_follows_it() {
    let server = Keeps::open().await;
    let house = House::open(vec![backend("one", &server.url)], room(1), options()).await;
    let body = chat(false, 2);
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let hidden = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for length in [0, 6, body.len(), chunks.len(), chunks.len() + hidden.len()] {
        let (chunked, length) =
            ("transfer-encoding: chunked".to_owned(), format!("content-length: {length}"));
        for two in [[&chunked, &length], [&length, &chunked]] {
            let [first, second] = two;
            let sent = format!(
                "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{first}\r\n{second}\r\n\r\n\
                 {chunks}{hidden}"
            );
            let mut stream = TcpStream::connect(house.address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut said = Vec::new();
            // Closed with bytes unread it may be reset once all was said.
            let _ = patiently(stream.read_to_end(&mut said)).await;
            let said = String::from_utf8(said).unwrap();
            assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{two:?}: {said}");
            assert!(said.starts_with("HTTP/1.1 200 "), "{two:?}: {said}");
            assert!(said.contains("connection: close\r\n"), "{two:?}: {said}");

            let came = server.only().await;
            let (head, rest) = came.split_once("\r\n\r\n").unwrap();
            let head = head.to_ascii_lowercase();
            let promised = format!("\r\ncontent-length: {}", body.len());
            assert!(head.contains(&promised), "{two:?}: {head}");
            assert_eq!(head.matches("content-length:").count(), 1, "{two:?}: {head}");
            assert!(!head.contains("transfer-encoding"), "{two:?}: {head}");
            assert_eq!(rest, body, "{two:?}");
        }
    }
}

/// One Ollama, whose model goes by another name here.
fn with_alias(url: &str) -> Table {
    let text = "[gateway.routes.fast]\nmodels = [\"fast\"]\nsend_as = \"qwen3:4b\"\n";
    let read = Read::of(text.into(), &Environment::default());
    assert_eq!(read.problems, []);
    let kind = Some(ServiceKind::Ollama);
    let mut service = Service::new("one", "one", kind, url, Origin::Configured);
    service.state = ServiceState::Healthy;
    service.checked_ms = Some(1);
    service.models = vec![Model::named("qwen3:4b", Loaded::Unknown)];
    let watched = Watched {
        id: service.id.clone(),
        name: service.name.clone(),
        kind,
        url: service.url.clone(),
        origin: service.origin,
        container: None,
        key: None,
        trust: None,
        cadence: None,
        pace: Duration::from_secs(1),
        bounds: Bounds::default(),
        enabled: true,
    };
    let wanted = Wanted { watched: vec![watched], proposed: Vec::new() };
    let view = FleetView { at_ms: 1, services: vec![Arc::new(service)] };
    Table::make(&read.config, &wanted, &view, None)
}

#[tokio::test]
async fn ollama_is_asked_for_its_own_name_of_a_model_however_the_client_wrote_it() {
    let server = Keeps::open().await;
    let house = House::open(Vec::new(), room(1), options()).await;
    house.table.send_replace(Arc::new(with_alias(&server.url)));
    let mut client = house.client().await;
    for (asked, sent) in [
        (r#"{"model":"fast"}"#, r#"{"model":"qwen3:4b"}"#),
        (r#"{"name":"fast"}"#, r#"{"name":"qwen3:4b"}"#),
        (
            r#"{ "verbose":true, "name" : "f\u0061st" }"#,
            r#"{ "verbose":true, "name" : "qwen3:4b" }"#,
        ),
        (r#"{"name":"qwen3:4b","x":"fast"}"#, r#"{"name":"qwen3:4b","x":"fast"}"#),
    ] {
        let reply = client.post("/api/show", asked).await;
        assert_eq!(reply.status, 200, "{asked}: {}", reply.text());
        let came = server.only().await;
        assert_eq!(came.split_once("\r\n\r\n").unwrap().1, sent, "{asked}");
    }
}
