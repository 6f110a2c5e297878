//! Plimsoll runs the real server itself: starts it with its launch settings, takes it
//! over after a `kill -9` of its own, and stops it.

use anyhow::{Context as _, Result, ensure};
use plimsoll_tests::{
    program::{Home, built},
    wait::until,
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use serde_json::Value;

use crate::servers::{free_port, model};

/// What a killed Plimsoll leaves, ended with the test whatever happened.
struct Left(Pid);

impl Drop for Left {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

fn pid(number: &Value) -> Result<Pid> {
    let number = number.as_i64().context("a process id")?;
    Pid::from_raw(i32::try_from(number)?).context("a process id is never 0")
}

async fn serving(home: &Home) -> Result<Value> {
    until("the server serves", async || {
        let llama = home.plimsoll(&["services", "show", "llama"])?;
        Ok((llama["run"]["state"] == "running" && llama["state"] == "healthy").then_some(llama))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real servers: ./test.sh real runs it"]
async fn a_real_server_is_started_taken_over_after_a_kill_and_stopped() -> Result<()> {
    let home = Home::new()?;
    let (program, model, port) = (built("PLIMSOLL_LLAMA_SERVER")?, model("tide")?, free_port()?);
    let text = format!(
        "[services]\ndiscover = false\n[services.llama]\nurl = \"http://127.0.0.1:{port}\"\n\
         kind = \"llama-cpp\"\ncontext_tokens = 1024\nparallel = 2\ngpu_layers = 0\n\
         command = [{program:?}, \"-m\", {model:?}, \"--port\", \"{port}\", \"--metrics\"]\n"
    );
    std::fs::write(home.config_file(), text)?;
    let up = home.up(&[])?;
    let first = serving(&home).await?;
    let group = pid(&first["run"]["pid"])?;
    let _left = Left(group);
    // Its launch settings are what the server itself tells.
    ensure!(first["slots"]["total"] == 2, "{first}");
    ensure!(first["models"][0]["context_tokens"] == 512, "{first}");
    let output = home.plimsoll(&["services", "output", "llama"])?;
    let lines = output["lines"].as_array().context("lines")?;
    ensure!(lines.iter().any(|line| line["text"].to_string().contains("listening")), "{output}");

    let own = Pid::from_raw(i32::try_from(up.group.pid())?).context("its own id")?;
    kill_process(own, Signal::KILL)?;
    drop(up);
    ensure!(test_kill_process_group(group).is_ok(), "the server goes on");
    let _up = home.up(&[])?;
    let second = serving(&home).await?;
    ensure!(second["run"]["pid"] == first["run"]["pid"], "{second}");

    let stopped = home.plimsoll(&["services", "stop", "llama"])?;
    ensure!(stopped["run"]["state"] == "stopped", "{stopped}");
    let started = home.plimsoll(&["services", "start", "llama"])?;
    ensure!(started["run"]["state"] == "running", "{started}");
    ensure!(started["run"]["pid"] != first["run"]["pid"], "{started}");
    Ok(())
}
