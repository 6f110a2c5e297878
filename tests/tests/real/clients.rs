//! Real clients before a real server: PyPI's and npm's `openai`, pointed at the gateway and
//! told nothing else.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use plimsoll_tests::{
    program::{Home, Up, built},
    wait::until,
};
use serde_json::Value;

use crate::servers::{Server, model, path};

/// The gateway before one real server that chats and one that embeds.
struct Place {
    home: Home,
    up: Up,
    tide: Server,
    _swell: Server,
}

const CHECKS: [&str; 9] = [
    "models",
    "chat",
    "stream",
    "usage",
    "embeddings",
    "responses",
    "cancel",
    "wrong_key",
    "context_overflow",
];

impl Place {
    async fn open() -> Result<Self> {
        let tide = Server::with_model(1, 65_536, &["--alias", "tide", "--metrics"]).await?;
        let swell = model("swell")?;
        let args = ["-m", path(&swell)?, "--alias", "swell", "--embeddings", "--pooling", "mean"];
        let swell = Server::llama(&args)?;
        swell.ready().await?;
        let home = Home::new()?;
        let service = |id: &str, server: &Server| {
            format!("[services.{id}]\nurl = \"{}\"\nkind = \"llama-cpp\"\n", server.url())
        };
        let text = format!(
            "[services]\ndiscover = false\n{}{}[gateway.queue]\nmax = 1\n",
            service("chat", &tide),
            service("embed", &swell)
        );
        std::fs::write(home.config_file(), text)?;
        let up = home.up(&["--gateway", "127.0.0.1:0"])?;
        until("both are healthy", async || {
            let services = home.plimsoll(&["services"])?;
            let healthy = |service: &Value| service["state"] == "healthy";
            Ok(services.as_array().is_some_and(|all| all.iter().all(healthy)).then_some(()))
        })
        .await?;
        Ok(Self { home, up, tide, _swell: swell })
    }

    /// Runs a client to its end; answers what it told.
    fn run(&self, program: &str, script: &str) -> Result<Vec<Value>> {
        let address = self.up.ready["gateway"].as_str().context("the gateway's address")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("real/clients").join(script);
        let output = Command::new(program)
            .arg(script)
            .env("BASE_URL", format!("http://{address}/v1"))
            .env("CLIENTS", built("PLIMSOLL_NODE_CLIENTS")?)
            .env("MODEL", "tide")
            .env("EMBEDDER", "swell")
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{text}{error}");
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The request log, one line of JSON each.
    fn logged(&self) -> Result<Vec<Value>> {
        let mut command = Command::new(built("PLIMSOLL_BIN")?);
        self.home.dress(&mut command);
        let args = ["requests", "--limit", "100", "--json", "--data-dir"];
        let output = command.args(args).arg(self.home.data()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Its one slot is free again, though a client asked for minutes of work.
    async fn slot_is_free(&self) -> Result<()> {
        until("the slot is free", async || {
            let slots: Value = serde_json::from_str(&self.tide.get("/slots").await?.body)?;
            Ok((slots[0]["is_processing"] == false).then_some(()))
        })
        .await
    }
}

fn passed(told: &[Value], wanted: &[&str]) -> Result<()> {
    for name in wanted {
        let check = told.iter().find(|told| told["check"] == *name);
        ensure!(check.is_some_and(|check| check["ok"] == true), "{name} was not told: {told:?}");
        println!("{}", check.context("told")?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real servers: ./test.sh real runs it"]
async fn the_python_client_works_with_nothing_set_but_the_address() -> Result<()> {
    let place = Place::open().await?;
    let python = built("PLIMSOLL_PYTHON_CLIENTS")?;
    let told = place.run(path(&python)?, "client.py")?;
    passed(&told, &CHECKS)?;
    passed(&told, &["unknown_model", "queue_full"])?;
    place.slot_is_free().await?;
    // All of it stands in the log, the one that left and those that were refused, too.
    let rows = until("the log has them", async || {
        let rows = place.logged()?;
        Ok((rows.len() >= 10).then_some(rows))
    })
    .await?;
    let ended = |finish: &str| rows.iter().filter(|row| row["finish"] == finish).count();
    ensure!(ended("left") >= 1 && ended("refused") >= 2 && ended("answered") >= 6, "{rows:?}");
    let chat = rows.iter().find(|row| row["endpoint"] == "chat" && row["tokens_out"] == 8);
    let chat = chat.context("the chat of eight tokens")?;
    ensure!(chat["backend"] == "chat" && chat["ttft_us"].as_u64().is_some(), "{chat}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real servers: ./test.sh real runs it"]
async fn the_node_client_works_with_nothing_set_but_the_address() -> Result<()> {
    let place = Place::open().await?;
    let told = place.run("node", "client.mjs")?;
    passed(&told, &CHECKS)?;
    place.slot_is_free().await?;
    Ok(())
}
