//! Containers by the `docker` program, and what Docker says of them.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use plimsoll_services::client::{Bounds, Client, Target};
use plimsoll_tests::program::built;
use serde_json::Value;

pub const REDIS: &[&str] = &["redis-server", "--protected-mode", "no", "--save", ""];

/// A container of this test; it goes with it.
pub struct Container {
    pub name: String,
}

// === impl Container ===

impl Container {
    /// Starts one. `how` are options of Docker, `program` what runs in it.
    pub fn run(what: &str, how: &[&str], program: &[&str]) -> Result<Self> {
        let container = Self { name: format!("plimsoll-{what}-{}", std::process::id()) };
        container.start(how, program)?;
        Ok(container)
    }

    pub fn redis(what: &str, how: &[&str]) -> Result<Self> {
        Self::run(what, how, REDIS)
    }

    fn start(&self, how: &[&str], program: &[&str]) -> Result<()> {
        let image = std::env::var("PLIMSOLL_DOCKER_IMAGE").context("PLIMSOLL_DOCKER_IMAGE")?;
        let begin = ["run", "--detach", "--name", &self.name];
        docker(&[&begin, how, &[&image], program].concat()).map(drop)
    }

    /// The same name, made anew.
    pub fn again(&self, how: &[&str], program: &[&str]) -> Result<()> {
        self.tell("rm", &["--force"])?;
        self.start(how, program)
    }

    pub fn tell(&self, word: &str, how: &[&str]) -> Result<String> {
        docker(&[&[word], how, &[&self.name]].concat())
    }

    fn inspect(&self, what: &str) -> Result<String> {
        self.tell("inspect", &["--format", what])
    }

    pub fn pid(&self) -> Result<i64> {
        Ok(self.inspect("{{.State.Pid}}")?.parse()?)
    }

    pub fn address(&self) -> Result<String> {
        self.inspect("{{.NetworkSettings.IPAddress}}")
    }

    /// What it holds, as Docker counts it (FACTS: usage without the inactive file cache).
    pub async fn memory(&self) -> Result<f64> {
        let client = Client::over_socket(&socket()?)?;
        let bounds = Bounds { budget: Duration::from_secs(10), ..Bounds::default() };
        let target = Target::new(&client, "http://localhost", None, bounds)?;
        let path = format!("/containers/{}/stats?stream=false&one-shot=true", self.name);
        let told: Value = target.get_json(&path).await?;
        let memory = &told["memory_stats"];
        let cache = ["total_inactive_file", "inactive_file"];
        let cache = cache.iter().find_map(|name| memory["stats"][name].as_f64());
        Ok(memory["usage"].as_f64().context("usage")? - cache.context("a cache")?)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = self.tell("rm", &["--force"]);
    }
}

pub fn socket() -> Result<PathBuf> {
    built("PLIMSOLL_DOCKER_SOCKET")
}

fn docker(words: &[&str]) -> Result<String> {
    let host = format!("unix://{}", socket()?.display());
    let done = Command::new("docker").args(["--host", &host]).args(words).output()?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    ensure!(done.status.success(), "docker {words:?}: {}", said(&done.stderr));
    Ok(said(&done.stdout))
}

/// The proxies that Docker put before a port.
pub fn proxies_of(port: u16) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i64>() else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains("docker-proxy") && line.contains(&format!("-host-port {port} ")) {
            found.push(pid);
        }
    }
    Ok(found)
}
