//! `alerts`: what is wrong now, and how a person answers.

use plimsoll_app::{
    api::{AlertId, AlertSnooze, Command, Done, Nothing},
    offline,
};
use plimsoll_core::alert::{Alert, Severity};

use crate::{
    args::{AlertAction, Alerts, Global},
    commands::{attach, options, running},
    out::{self, Outcome},
    words,
};

pub async fn run(global: &Global, args: Alerts) -> Outcome {
    let command = match args.action {
        None => return show(global).await,
        Some(AlertAction::Ack { id }) => Command::AlertAcknowledge(AlertId { id }),
        Some(AlertAction::Snooze { id, minutes }) => {
            Command::AlertSnooze(AlertSnooze { id, minutes })
        }
    };
    let done: Done = running(global).await?.call(command).await?;
    if global.json {
        return out::json(&done);
    }
    out::line(if done.message.is_empty() { "Done.".into() } else { done.message })
}

async fn show(global: &Global) -> Outcome {
    if let Some(session) = attach(global).await? {
        let alerts: Vec<Alert> = session.call(Command::Alerts(Nothing {})).await?;
        return list(global, &alerts, "active");
    }
    let last = offline::last_known(&options(global)).await?;
    // On standard error: the list has the same shape either way.
    out::aside(match last.newest_ms {
        Some(at) => format!("not running; as of {}", words::moment(at)),
        None => "not running; nothing was recorded yet".into(),
    });
    list(global, &last.alerts, "not ended then")
}

fn list(global: &Global, alerts: &[Alert], open: &str) -> Outcome {
    if global.json {
        return out::json(&alerts);
    }
    if alerts.is_empty() {
        return out::line("No alerts within the last day.");
    }
    let mut rows = Vec::new();
    for alert in alerts {
        let severity = match alert.row.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let mut when = words::moment(alert.row.start_ms);
        match alert.row.end_ms {
            Some(end) => when.push_str(&format!(" to {}", words::moment(end))),
            None => when.push_str(&format!(", {open}")),
        }
        if alert.acknowledged_ms.is_some() {
            when.push_str(", seen");
        }
        if let Some(until) = alert.snoozed_until_ms {
            when.push_str(&format!(", silent until {}", words::moment(until)));
        }
        rows.push(vec![severity.into(), alert.row.title.clone(), when, alert.row.id.clone()]);
    }
    out::table(&rows)
}
