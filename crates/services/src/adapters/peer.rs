//! A server of the tests: it listens on this machine, answers what the test
//! says, and remembers what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    adapter::Probe,
    client::{Bounds, Client, Limits, Secret, Target},
};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    /// All headers, in lower case.
    pub head: String,
    pub body: String,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub status: u16,
    /// `Name: value` lines.
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

/// The server. It ends with the runtime of its test.
pub(super) struct Peer {
    place: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

// === impl Reply ===

impl Reply {
    pub fn json(status: u16, body: &str) -> Self {
        Self::of(status, "application/json", body)
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::of(status, "text/plain", body)
    }

    pub fn missing() -> Self {
        Self::json(404, r#"{"detail":"Not Found"}"#)
    }

    pub fn of(status: u16, content_type: &str, body: &str) -> Self {
        let headers = vec![format!("Content-Type: {content_type}")];
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    pub fn with(mut self, header: &str) -> Self {
        self.headers.push(header.into());
        self
    }
}

// === impl Asked ===

impl Asked {
    /// E.g. `GET /health`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

// === impl Peer ===

impl Peer {
    /// A server that speaks HTTP and answers each request so.
    pub async fn http(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (asked.clone(), Arc::new(answer));
        let place = listen(move |mut stream| {
            let (kept, answer) = (kept.clone(), answer.clone());
            async move {
                while let Some(request) = read(&mut stream).await {
                    kept.lock().unwrap().push(request.clone());
                    let reply = answer(&request);
                    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
                    for header in &reply.headers {
                        head += &format!("{header}\r\n");
                    }
                    head += &format!("Content-Length: {}\r\n\r\n", reply.body.len());
                    // In one piece: two would wait for each other's acknowledgement.
                    let whole = [head.as_bytes(), &reply.body].concat();
                    if stream.write_all(&whole).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        Self { place, asked }
    }

    /// A server that speaks something else.
    pub async fn raw<S, F>(serve: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self { place: listen(serve).await, asked: Arc::default() }
    }

    pub fn target(&self) -> Target {
        self.target_at("http", "", None)
    }

    pub fn target_with(&self, key: &str) -> Target {
        self.target_at("http", "", Some(Secret::new(key)))
    }

    pub fn target_at(&self, scheme: &str, path: &str, key: Option<Secret>) -> Target {
        let client = Client::new(Limits::of(2, false)).unwrap();
        let bounds = Bounds { budget: Duration::from_secs(10), ..Bounds::default() };
        Target::new(&client, &format!("{scheme}://{}{path}", self.place), key, bounds).unwrap()
    }

    pub fn probe(&self) -> Probe {
        Probe::new(self.target())
    }

    /// What it was asked so far, e.g. `GET /health`.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(Asked::line).collect()
    }

    pub fn requests(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn listen<S, F>(serve: S) -> String
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    place
}

/// One request with its body; `None` at the end of the connection.
async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.lines().next()?.split(' ').map(String::from);
    let (method, path) = (words.next()?, words.next()?);
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.and_then(|text| text.trim().parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { method, path, head, body: String::from_utf8_lossy(&body).into_owned() })
}
