//! `alerts`: what is wrong now, and how a person answers.

use plimsoll_app::api::{AlertId, AlertSnooze, Command, Done, Nothing};
use plimsoll_core::alert::{Alert, Severity};

use crate::{
    args::{AlertAction, Alerts, Global},
    commands::running,
    out::{self, Outcome},
    words,
};

pub async fn run(global: &Global, args: Alerts) -> Outcome {
    let session = running(global).await?;
    let command = match args.action {
        None => {
            return list(global, &session.call::<Vec<Alert>>(Command::Alerts(Nothing {})).await?);
        }
        Some(AlertAction::Ack { id }) => Command::AlertAcknowledge(AlertId { id }),
        Some(AlertAction::Snooze { id, minutes }) => {
            Command::AlertSnooze(AlertSnooze { id, minutes })
        }
    };
    let done: Done = session.call(command).await?;
    if global.json {
        return out::json(&done);
    }
    out::line(if done.message.is_empty() { "Done.".into() } else { done.message })
}

fn list(global: &Global, alerts: &[Alert]) -> Outcome {
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
            None => when.push_str(", active"),
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
