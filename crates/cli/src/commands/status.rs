//! `status`: how the running Plimsoll is doing.

use plimsoll_app::{
    api::{About, Command, Nothing, RecordingState, Status},
    offline,
};
use plimsoll_core::source::SourceState;
use serde_json::json;

use crate::{
    args::Global,
    commands::{attach, options},
    out::{self, Failure, Outcome},
    words,
};

pub async fn run(global: &Global) -> Outcome {
    let Some(session) = attach(global).await? else { return not_running(global).await };
    let status: Status = session.call(Command::Status(Nothing {})).await?;
    if global.json {
        return out::json(&status);
    }
    let about: About = session.call(Command::About(Nothing {})).await?;
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("running", format!("process {}, version {}", about.pid, about.version));
    row("since", words::moment(about.started_ms));
    if about.simulated {
        row("simulated", "yes: nothing here is measured".into());
    }
    row("machine", format!("{}, {}", about.machine.hostname, about.machine.cpu_model));
    if let Some(gpu) = &about.gpu {
        row("GPU", gpu.name.clone());
    }
    row("data", about.data_dir);
    if let Some(trouble) = &status.config_trouble {
        row("configuration", trouble.clone());
    }
    row(
        "recording",
        match (status.recording, status.recording_reason) {
            (RecordingState::Recording, _) => "yes".into(),
            (RecordingState::Off, _) => "switched off".into(),
            (RecordingState::Paused, reason) => format!("paused: {}", reason.unwrap_or_default()),
        },
    );
    row("series", format!("{} of at most {}", status.series, status.series_limit));
    row(
        "history",
        format!(
            "{} of at most {}{}",
            words::whole_bytes(status.history_bytes),
            words::whole_bytes(status.history_limit_bytes),
            status
                .oldest_ms
                .map_or_else(String::new, |at| format!(", since {}", words::moment(at)))
        ),
    );
    let unknown = || "not known yet".to_owned();
    let cost = match (status.self_cpu_percent, status.self_rss_bytes) {
        (None, None) => unknown(),
        (cpu, rss) => format!(
            "{} of one core, {}",
            cpu.map_or_else(unknown, |cpu| format!("{cpu:.1} %")),
            rss.map_or_else(unknown, words::whole_bytes)
        ),
    };
    row("costs", cost);
    if let Some(gateway) = &status.gateway {
        let own = status.gateway_overhead_us.map(|us| format!(", adds {:.2} ms p99", us / 1000.0));
        row("gateway", format!("{gateway}{}", own.unwrap_or_default()));
    }
    if let Some(trouble) = &status.gateway_trouble {
        row("not listening", trouble.clone());
    }
    row("alerts", format!("{} active", status.active_alerts));
    if let Some(ui) = about.ui {
        row("window", ui);
    }
    for source in status.sources {
        let state = match source.state {
            SourceState::Starting => "not read yet",
            SourceState::Healthy => "is read",
            SourceState::Absent => "absent",
            SourceState::Lost => "lost",
            SourceState::Failed => "fails",
            SourceState::Late => "late",
        };
        let reason =
            if source.reason.is_empty() { String::new() } else { format!(": {}", source.reason) };
        row(&format!("source {}", source.name), format!("{state}{reason}"));
    }
    out::table(&rows)
}

/// An answer like any other; only the exit code says more than the words.
async fn not_running(global: &Global) -> Outcome {
    let data = options(global).places()?.data;
    let last = offline::last_known(&options(global)).await?;
    if global.json {
        let data = data.display().to_string();
        let newest_ms = last.newest_ms;
        out::json(&json!({ "running": false, "data_dir": data, "newest_ms": newest_ms }))?;
    } else {
        out::table(&[
            vec!["running".into(), "no: start it with `plimsoll up`, or open the window".into()],
            vec!["data".into(), data.display().to_string()],
            vec![
                "recorded".into(),
                match last.newest_ms {
                    Some(at) => format!("until {}", words::moment(at)),
                    None => "nothing yet".into(),
                },
            ],
        ])?;
    }
    Err(Failure::NotRunning)
}
