//! The servers: each on a free port of loopback, with what it keeps in a folder of its
//! own, and ended with its test, whatever happened.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use plimsoll_services::{
    adapter::{Adapter, Memory, Probe, Scrape},
    adapters::LlamaCpp,
    client::{Bounds, Client, Limits, Secret, Target},
};
use plimsoll_tests::{child::Group, program::built, wait::until};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

/// A server that runs.
pub struct Server {
    pub group: Group,
    pub port: u16,
    scheme: &'static str,
    folder: TempDir,
}

/// What a server answered.
pub struct Said {
    pub status: u16,
    pub body: String,
}

/// A request whose answer streams; it is broken off when this is dropped.
pub struct Stream(JoinHandle<()>);

/// A port that nobody listens on at the moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// One of the tiny models that `./test.sh real` made.
pub fn model(name: &str) -> Result<PathBuf> {
    Ok(built("PLIMSOLL_TINY_MODELS")?.join(format!("{name}.gguf")))
}

// === impl Server ===

impl Server {
    /// A llama.cpp server with these arguments besides its port; not waited for.
    pub fn llama(args: &[&str]) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(built("PLIMSOLL_LLAMA_SERVER")?);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--threads", "1"]);
        Self::start(command.args(args), port, "http")
    }

    /// One with a model: so many slots, each with so long a context.
    pub async fn with_model(slots: u32, context: u32, args: &[&str]) -> Result<Self> {
        let model = model("tide")?;
        let (slots, context) = (slots.to_string(), (slots * context).to_string());
        let all = [&["-m", path(&model)?, "-np", &slots, "-c", &context], args].concat();
        let server = Self::llama(&all)?;
        server.ready().await?;
        Ok(server)
    }

    /// A router before all tiny models.
    pub async fn router(args: &[&str]) -> Result<Self> {
        let models = built("PLIMSOLL_TINY_MODELS")?;
        let server =
            Self::llama(&[&["--models-dir", path(&models)?, "-c", "4096"], args].concat())?;
        server.ready().await?;
        Ok(server)
    }

    /// A Redis that listens and answers.
    pub async fn redis() -> Result<Self> {
        let port = free_port()?;
        let mut command = redis()?;
        let server = Self::start(command.args(["--port", &port.to_string()]), port, "redis")?;
        until("Redis answers", async || {
            Ok(server.tell(&["PING"]).await.ok().filter(|pong| pong == "+PONG"))
        })
        .await?;
        Ok(server)
    }

    /// A Redis that speaks TLS alone, with a certificate that only [`Self::certificate`]
    /// vouches for; not waited for.
    pub fn redis_over_tls() -> Result<Self> {
        let (port, folder) = (free_port()?, folder()?);
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=plimsoll-test"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "key.pem", "-out", "certificate.pem"])
            .current_dir(folder.path())
            .output()?;
        ensure!(made.status.success(), "openssl: {}", lossy(&made.stderr));
        let mut command = redis()?;
        command.args(["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
        command.arg("--tls-cert-file").arg(folder.path().join("certificate.pem"));
        command.arg("--tls-key-file").arg(folder.path().join("key.pem"));
        Self::start_in(folder, &mut command, port, "rediss")
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder().join("certificate.pem")
    }

    fn start(command: &mut Command, port: u16, scheme: &'static str) -> Result<Self> {
        Self::start_in(folder()?, command, port, scheme)
    }

    fn start_in(
        folder: TempDir,
        command: &mut Command,
        port: u16,
        scheme: &'static str,
    ) -> Result<Self> {
        let output = std::fs::File::create(folder.path().join("output"))?;
        command.current_dir(folder.path()).stdout(output.try_clone()?).stderr(Stdio::from(output));
        Ok(Self { group: Group::start(command)?, port, scheme, folder })
    }

    /// Waits until a llama.cpp server has loaded what it was started with.
    pub async fn ready(&self) -> Result<()> {
        until("the server is ready", async || {
            Ok(self.get("/health").await.ok().filter(|said| said.status == 200).map(drop))
        })
        .await
        .with_context(|| self.output())
    }

    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote so far, its log where it has one.
    pub fn output(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join(name));
        read("log").or_else(|_| read("output")).unwrap_or_default()
    }

    pub fn target(&self) -> Target {
        self.target_as(&self.url(), None)
    }

    pub fn target_with(&self, key: &str) -> Target {
        self.target_as(&self.url(), Some(key))
    }

    /// As an unknown port is met.
    pub fn probe(&self) -> Probe {
        Probe::new(self.target_as(&format!("http://127.0.0.1:{}", self.port), None))
    }

    fn target_as(&self, url: &str, key: Option<&str>) -> Target {
        let client = Client::new(Limits::here()).unwrap();
        let bounds = Bounds { budget: Duration::from_secs(10), ..Bounds::default() };
        Target::new(&client, url, key.map(Secret::new), bounds).unwrap()
    }

    /// One look at a llama.cpp server.
    pub async fn look(&self, memory: &mut Memory) -> Result<Scrape> {
        Ok(LlamaCpp.scrape(&self.target(), memory).await?)
    }

    pub async fn get(&self, path: &str) -> Result<Said> {
        self.ask(&format!("GET {path} HTTP/1.0\r\n\r\n")).await
    }

    /// Answers with so many tokens, all at once.
    pub async fn complete(&self, tokens: u32, model: &str) -> Result<Said> {
        self.ask(&request(tokens, model, false)).await
    }

    /// Begins to stream, and returns when the first token is there.
    pub async fn stream(&self, tokens: u32) -> Result<Stream> {
        let mut stream = self.begin(tokens).await?;
        let mut seen = Vec::new();
        while !seen.windows(6).any(|six| six == b"data: ") {
            ensure!(stream.read_buf(&mut seen).await? > 0, "it ended: {}", lossy(&seen));
        }
        Ok(Stream::read(stream))
    }

    /// Asks for a stream, and does not wait for it.
    pub async fn stream_later(&self, tokens: u32) -> Result<Stream> {
        Ok(Stream::read(self.begin(tokens).await?))
    }

    async fn begin(&self, tokens: u32) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request(tokens, "", true).as_bytes()).await?;
        Ok(stream)
    }

    async fn ask(&self, request: &str) -> Result<Said> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
        let status = head.split(' ').nth(1).context("and a status")?.parse()?;
        Ok(Said { status, body: body.to_owned() })
    }

    /// Says a command to a Redis; its first line of answer.
    pub async fn tell(&self, words: &[&str]) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        stream.write_all(format!("{}\r\n", words.join(" ")).as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") {
            ensure!(stream.read_buf(&mut answer).await? > 0, "it hung up");
        }
        let answer = lossy(&answer);
        let line = answer.lines().next().unwrap_or_default().to_owned();
        ensure!(!line.starts_with('-'), "{words:?}: {line}");
        Ok(line)
    }

    /// The processes that it started, by the system's word.
    pub fn children(&self) -> Result<Vec<i32>> {
        let pid = self.group.pid();
        let mut children = Vec::new();
        // Any thread may have started them.
        for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let told = std::fs::read_to_string(thread?.path().join("children"))?;
            children.extend(told.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
        Ok(children)
    }
}

// === impl Stream ===

impl Stream {
    /// Reads on, so that the server never waits for a full connection.
    fn read(mut stream: TcpStream) -> Self {
        Self(tokio::spawn(async move {
            let mut seen = vec![0; 64 << 10];
            while stream.read(&mut seen).await.is_ok_and(|length| length > 0) {}
        }))
    }

    /// Breaks it off now. A server that is asked to end waits for its streams.
    pub async fn end(mut self) {
        self.0.abort();
        // It was aborted: that is no error.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("plimsoll-peer-").tempdir()?;
    std::fs::create_dir(folder.path().join("data"))?;
    Ok(folder)
}

fn redis() -> Result<Command> {
    let mut command = Command::new(built("PLIMSOLL_REDIS_SERVER")?);
    command.args(["--bind", "127.0.0.1", "--save", "", "--dir", "data", "--logfile", "../log"]);
    Ok(command)
}

pub fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path of letters")
}

fn request(tokens: u32, model: &str, stream: bool) -> String {
    let body = serde_json::json!({
        "model": model,
        "messages": [{ "role": "user", "content": "the tide and the harbour" }],
        "max_tokens": tokens,
        "stream": stream,
    })
    .to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
