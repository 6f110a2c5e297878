//! Waiting for a job, with a word about how far it is on standard error; Ctrl-C
//! cancels it.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use plimsoll_app::{
    api::{Command, Done, Fault, FaultCode, JobId, JobProgress, JobStarted, JobState, Nothing},
    session::Session,
};
use tokio::time::sleep;

use crate::{
    commands::interrupt::Interrupt,
    out::{self, Failure, Outcome},
};

/// Between two questions how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One line on standard error that takes the place of the one before; nothing where that is no
/// terminal.
pub struct Line {
    shown: usize,
    terminal: bool,
}

// === impl Line ===

impl Line {
    pub fn new() -> Self {
        Self { shown: 0, terminal: std::io::stderr().is_terminal() }
    }

    pub fn show(&mut self, words: &str) {
        if self.terminal {
            let mut err = std::io::stderr().lock();
            let width = self.shown;
            let _ = write!(err, "\r{words:<width$}");
            let _ = err.flush();
            self.shown = words.chars().count();
        }
    }

    pub fn clear(&mut self) {
        if self.shown > 0 {
            self.show("");
            let _ = write!(std::io::stderr().lock(), "\r");
            self.shown = 0;
        }
    }
}

/// Waits for the job, says how it ended, and fails where it did not do it.
pub async fn job(
    session: &Session,
    started: JobStarted,
    interrupt: Interrupt,
    json: bool,
) -> Outcome {
    let ended = done(session, started, interrupt).await?;
    if json { out::json(&ended) } else { out::line(&ended.message) }
}

/// Waits for the job, and fails where it did not do it.
pub async fn done(
    session: &Session,
    started: JobStarted,
    mut interrupt: Interrupt,
) -> Result<JobProgress, Failure> {
    let mut line = Line::new();
    let mut cancelled = false;
    let ended = loop {
        let progress = of(session, started.job).await?;
        if progress.state != JobState::Running {
            break progress;
        }
        line.show(&words(&progress));
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = interrupt.pressed(), if !cancelled => {
                cancelled = true;
                session.call::<Done>(Command::JobCancel(JobId { job: started.job })).await?;
            }
            () = session.owner_ended() => {
                let words = format!("Plimsoll ended before it was done: {}.", progress.title);
                return Err(Fault::new(FaultCode::Unavailable, words)
                    .hint("The server may go on with it all the same.")
                    .into());
            }
        }
    };
    line.clear();
    match ended.state {
        JobState::Done => Ok(ended),
        _ => Err(Fault::new(FaultCode::Unavailable, ended.message).into()),
    }
}

async fn of(session: &Session, job: u64) -> Result<JobProgress, Fault> {
    let jobs: Vec<JobProgress> = session.call(Command::Jobs(Nothing {})).await?;
    jobs.into_iter().find(|progress| progress.job == job).ok_or_else(|| {
        Fault::new(FaultCode::NotFound, format!("Plimsoll remembers no job {job} any more."))
    })
}

fn words(progress: &JobProgress) -> String {
    match (progress.share, progress.message.as_str()) {
        (Some(share), _) => format!("{}: {:.0} %", progress.title, share * 100.0),
        (None, "") => progress.title.clone(),
        (None, message) => format!("{}: {message}", progress.title),
    }
}
