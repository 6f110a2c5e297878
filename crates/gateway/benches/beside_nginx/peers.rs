//! The double, nginx and Plimsoll, each a process that ends with us.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use plimsoll_sim::server::Spec;
use serde_json::Value;
use tempfile::TempDir;

use crate::{STREAMS, TOKENS_PER_S};

/// A process that ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's worker ends with its master, and Plimsoll closes its history.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Ok(Some(_)) = self.0.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Double {
    pub address: SocketAddr,
    _process: Running,
}

impl Double {
    pub fn start(model: &str) -> Self {
        let this = std::env::current_exe().expect("a path of its own");
        let mut child = Command::new(this)
            .args(["--double", model])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a double");
        let address = first_line(&mut child).parse().expect("its address");
        Self { address, _process: Running(child) }
    }
}

/// The process of a double: `instant` takes no time, `paced` gives tokens at a pace.
pub fn double() {
    let model = std::env::args().next_back().expect("a model");
    let mut spec = Spec::named("instant").expect("a spec that is built in");
    let one = &mut spec.models[0];
    one.name.clone_from(&model);
    one.slots = 2 * STREAMS;
    if model == "paced" {
        one.token_ms = 1000.0 / TOKENS_PER_S;
        one.answer_tokens = 500;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let double = plimsoll_sim::server::Double::start(spec).await.expect("a port");
        println!("{}", double.url().trim_start_matches("http://"));
        std::future::pending::<()>().await;
    });
}

pub struct Nginx {
    pub instant: SocketAddr,
    pub paced: SocketAddr,
    process: Running,
    _folder: TempDir,
}

impl Nginx {
    pub fn start(instant: SocketAddr, paced: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        let (first, second) = (free(), free());
        let server = |name: &str, port: SocketAddr, to: SocketAddr| {
            format!(
                "upstream {name} {{ server {to}; keepalive 512; }}
                 server {{ listen {port}; location / {{ proxy_pass http://{name};
                   proxy_http_version 1.1; proxy_set_header Connection \"\";
                   proxy_buffering off; }} }}"
            )
        };
        let text = format!(
            "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error;
             events {{ worker_connections 16384; }}
             http {{ access_log off; keepalive_requests 100000000;
               client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
               uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
               {} {} }}",
            server("instant", first, instant),
            server("paced", second, paced),
        );
        let path = folder.path().join("nginx.conf");
        fs::write(&path, text).expect("its configuration");
        let child = Command::new("nginx").arg("-c").arg(&path).spawn().expect("nginx");
        let process = Running(child);
        listens(first);
        Self { instant: first, paced: second, process, _folder: folder }
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

pub struct Gateway {
    pub address: SocketAddr,
    process: Running,
    _folder: TempDir,
}

impl Gateway {
    /// The built program with its history on, as a person runs it.
    pub fn start(instant: SocketAddr, paced: SocketAddr) -> Self {
        let program = std::env::var("PLIMSOLL_BIN").expect("PLIMSOLL_BIN; run ./bench.sh gateway");
        let folder = tempfile::tempdir().expect("a folder");
        let most = 2 * STREAMS;
        let service = |id: &str, at: SocketAddr| {
            format!("[services.{id}]\nurl = \"http://{at}\"\nmax_in_flight = {most}\n")
        };
        let text = format!(
            "[services]\ndiscover = false\n{}{}",
            service("instant", instant),
            service("paced", paced)
        );
        fs::write(folder.path().join("plimsoll.toml"), text).expect("its configuration");
        let mut child = Command::new(program)
            .arg("up")
            .args(["--json", "--gateway", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("plimsoll");
        let ready: Value = serde_json::from_str(&first_line(&mut child)).expect("its ready line");
        let address = gateway_of(&ready).expect("the gateway's address in the ready line");
        let process = Running(child);
        for model in ["instant", "paced"] {
            knows(address, model);
        }
        Self { address, process, _folder: folder }
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

fn gateway_of(ready: &Value) -> Option<SocketAddr> {
    let gateway = &ready["gateway"];
    let text = gateway.as_str().or_else(|| gateway[0].as_str())?;
    text.parse().ok()
}

/// Until the model is listed: the services were looked at.
fn knows(at: SocketAddr, model: &str) {
    use std::io::{Read, Write};
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(at) {
            let get = format!("GET /v1/models HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(get.as_bytes());
            let _ = stream.read_to_string(&mut answer);
        }
        if answer.contains(&format!("\"{model}\"")) {
            return;
        }
        assert!(Instant::now() < until, "the gateway never knew {model}: {answer}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let out = child.stdout.take().expect("its output");
    BufReader::new(out).read_line(&mut line).expect("a line");
    line.trim().to_string()
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

fn listens(at: SocketAddr) {
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(at).is_err() {
        assert!(Instant::now() < until, "nothing listens at {at}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
