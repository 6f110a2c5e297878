//! Starting and stopping the services that Plimsoll runs itself, and what they write.

use std::time::Duration;

use plimsoll_app::{
    api::{
        Command, Done, Fault, FaultCode, JobStarted, Nothing, OutputLine, ServiceId, ServiceOutput,
        ServiceOutputRequest,
    },
    offline,
    session::Session,
};
use plimsoll_services::service::{Run, RunState, Service};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    args::{Global, OutputOf, RunOf},
    commands::{
        attach,
        follow::{self, Line},
        interrupt::Interrupt,
        options, running,
    },
    out::{self, Outcome},
};

/// Between two looks at how far it is, and at what it wrote.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// All that is kept of an output.
const ALL: u32 = 1000;

pub async fn start(global: &Global, of: RunOf) -> Outcome {
    let session = running(global).await?;
    let interrupt = Interrupt::take()?;
    let done: Done = session.call(Command::ServiceStart(ServiceId { id: of.id.clone() })).await?;
    if of.no_wait {
        return tell(global, &done.message, &of.id, None);
    }
    let run = wait(&session, &of.id, interrupt, |run| match run.state {
        RunState::Running | RunState::Failed | RunState::Stopped => None,
        RunState::Waiting => Some(run.reason.clone()),
        RunState::Restarting => Some(format!("It is tried again. {}", run.reason)),
        _ => Some(format!("{} starts …", of.id)),
    })
    .await?;
    match run.state {
        RunState::Running => tell(global, &format!("{} runs.", of.id), &of.id, Some(&run)),
        _ => Err(Fault::new(
            FaultCode::Unavailable,
            format!("{} does not run. {}", of.id, run.reason),
        )
        .hint(format!("What it wrote: plimsoll services output {}", of.id))
        .into()),
    }
}

pub async fn stop(global: &Global, of: RunOf) -> Outcome {
    let ask = |id| Command::ServiceStop(ServiceId { id });
    end(global, of, ask, "is being stopped").await
}

pub async fn restart(global: &Global, of: RunOf) -> Outcome {
    let ask = |id| Command::ServiceRestart(ServiceId { id });
    end(global, of, ask, "is being started again").await
}

/// Both let what runs there end first, which a job tells of.
async fn end(global: &Global, of: RunOf, ask: fn(String) -> Command, doing: &str) -> Outcome {
    let session = running(global).await?;
    let interrupt = Interrupt::take()?;
    let runs = run_of(&session, &of.id).await?.is_some_and(|run| run.state != RunState::Stopped);
    let started: JobStarted = session.call(ask(of.id.clone())).await?;
    if of.no_wait {
        let stops = matches!(ask(String::new()), Command::ServiceStop(_));
        let doing = if stops && !runs { "does not run" } else { doing };
        return tell(global, &format!("{} {doing}.", of.id), &of.id, None);
    }
    let done = follow::done(&session, started, interrupt).await?;
    let run = run_of(&session, &of.id).await?;
    tell(global, &done.message, &of.id, run.as_ref())
}

async fn run_of(session: &Session, id: &str) -> Result<Option<Run>, Fault> {
    let services: Vec<Service> = session.call(Command::Services(Nothing {})).await?;
    Ok(services.into_iter().find(|service| service.id == id).and_then(|service| service.run))
}

/// How it runs once there is nothing more to wait for: `still` says what is waited for.
async fn wait(
    session: &Session,
    id: &str,
    mut interrupt: Interrupt,
    still: impl Fn(&Run) -> Option<String>,
) -> Result<Run, Fault> {
    let mut line = Line::new();
    let run = loop {
        let Some(run) = run_of(session, id).await? else {
            let words = format!("{id} is not run by Plimsoll any more.");
            return Err(Fault::new(FaultCode::NotFound, words));
        };
        let Some(words) = still(&run) else { break run };
        line.show(&words);
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = interrupt.pressed() => {
                line.clear();
                let words = format!("Nobody waits any more; it goes on. {words}");
                return Err(Fault::new(FaultCode::Unavailable, words));
            }
            () = session.owner_ended() => {
                line.clear();
                let words = "Plimsoll ended before it was done.";
                return Err(Fault::new(FaultCode::Unavailable, words));
            }
        }
    };
    line.clear();
    Ok(run)
}

fn tell(global: &Global, message: &str, id: &str, run: Option<&Run>) -> Outcome {
    if global.json {
        return out::json(&json!({ "id": id, "message": message, "run": run }));
    }
    out::line(message)
}

pub async fn output(global: &Global, of: OutputOf) -> Outcome {
    let ask = ServiceOutputRequest { id: of.id.clone(), lines: of.lines };
    let session = attach(global).await?;
    let output: ServiceOutput = match &session {
        Some(session) => session.call(Command::ServiceOutput(ask)).await?,
        None => offline::service_output(&options(global), &ask).await?,
    };
    if global.json {
        return out::json(&output);
    }
    if session.is_none() {
        out::aside("not running; what it wrote last");
    }
    for line in &output.lines {
        out::line(&line.text)?;
    }
    match session {
        Some(session) if of.follow => follow(&session, of.id, &output.lines).await,
        None if of.follow => {
            Err(Fault::new(FaultCode::Unavailable, "No Plimsoll runs: nothing is written.").into())
        }
        _ => Ok(()),
    }
}

/// Goes on with what is written, until Ctrl-C or the end of Plimsoll.
async fn follow(session: &Session, id: String, printed: &[OutputLine]) -> Outcome {
    let mut last = printed.last().map_or(0, |line| line.number);
    loop {
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
            () = session.owner_ended() => return Ok(()),
        }
        let ask = ServiceOutputRequest { id: id.clone(), lines: ALL };
        let output: ServiceOutput = session.call(Command::ServiceOutput(ask)).await?;
        // Numbered from 1 again: it was taken out and came back.
        if output.lines.last().is_some_and(|line| line.number < last) {
            last = 0;
        }
        for line in &output.lines {
            if line.number > last {
                out::line(&line.text)?;
                last = line.number;
            }
        }
    }
}
