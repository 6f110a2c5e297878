//! `hold`: the GPU free for a while.

use std::time::Duration;

use plimsoll_app::{
    api::{
        Command, Fault, FaultCode, Hold, HoldRequest, HoldState, HoldStep, MAX_HOLD_MINUTES,
        Nothing,
    },
    offline,
    session::Session,
};
use plimsoll_core::clock::{Clock, SystemClock};
use tokio::time::sleep;

use crate::{
    args::{self, Global},
    commands::{attach, follow::Line, interrupt::Interrupt, options, running},
    out::{self, Failure, Outcome},
    words,
};

/// Between two questions how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const MINUTE_MS: i64 = 60_000;

pub async fn run(global: &Global, args: args::Hold) -> Outcome {
    match args.span {
        Some(span) => begin(global, &span, args.services).await,
        None if args.end => end(global).await,
        None => show(global).await,
    }
}

async fn begin(global: &Global, span: &str, services: Vec<String>) -> Outcome {
    let minutes = minutes(span).map_err(Failure::Usage)?;
    let session = needed(global).await?;
    let interrupt = Interrupt::take()?;
    let begun: Hold = session.call(Command::Hold(HoldRequest { minutes, services })).await?;
    let freed = |hold: &Hold| hold.state != HoldState::Freeing;
    let held = until(&session, begun, freed, interrupt, true).await?;
    tell(global, &held)
}

async fn end(global: &Global) -> Outcome {
    let session = needed(global).await?;
    let interrupt = Interrupt::take()?;
    let ending: Hold = session.call(Command::HoldEnd(Nothing {})).await?;
    let is_over = |hold: &Hold| hold.state == HoldState::Ended;
    let ended = until(&session, ending, is_over, interrupt, false).await?;
    tell(global, &ended)?;
    let lost = ended.steps.iter().filter(|step| step.freed && !step.restored).count();
    if lost == 0 {
        return Ok(());
    }
    let words = format!("Not everything was brought back: {lost} of {}.", ended.steps.len());
    Err(Fault::new(FaultCode::Unavailable, words).hint("`plimsoll hold --end` tries again.").into())
}

async fn show(global: &Global) -> Outcome {
    let hold: Option<Hold> = match attach(global).await? {
        Some(session) => session.call(Command::HoldShow(Nothing {})).await?,
        None => {
            let kept = offline::hold(&options(global)).await?;
            if kept.as_ref().is_some_and(|hold| hold.state != HoldState::Ended) {
                out::aside("no Plimsoll runs: what is held is brought back when one does");
            }
            kept
        }
    };
    match hold {
        hold if global.json => out::json(&hold),
        Some(hold) => tell(global, &hold),
        None => out::line("No hold is on, and none was."),
    }
}

/// Whoever begins a hold needs somebody who ends it.
async fn needed(global: &Global) -> Result<Session, Fault> {
    running(global).await.map_err(|fault| match fault.code {
        FaultCode::Unavailable => {
            Fault { message: format!("{} A hold needs one that ends it.", fault.message), ..fault }
        }
        _ => fault,
    })
}

/// Waits until it is so. Ctrl-C ends a hold that begins, and waits no longer for one that ends.
async fn until(
    session: &Session,
    mut hold: Hold,
    is: impl Fn(&Hold) -> bool,
    mut interrupt: Interrupt,
    begins: bool,
) -> Result<Hold, Failure> {
    let mut line = Line::new();
    while !is(&hold) {
        line.show(&progress(&hold));
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = interrupt.pressed() => {
                line.clear();
                if begins {
                    session.call::<Hold>(Command::HoldEnd(Nothing {})).await?;
                }
                let words = "Nobody waits any more: what was taken away is being brought back.";
                return Err(Fault::new(FaultCode::Unavailable, words)
                    .hint("`plimsoll hold` tells how far that is.")
                    .into());
            }
            () = session.owner_ended() => {
                line.clear();
                let words = "Plimsoll ended in the middle of it; its next start goes on.";
                return Err(Fault::new(FaultCode::Unavailable, words).into());
            }
        }
        hold = match session.call(Command::HoldShow(Nothing {})).await? {
            Some(hold) => hold,
            None => return Ok(hold),
        };
    }
    line.clear();
    Ok(hold)
}

fn progress(hold: &Hold) -> String {
    let all = hold.steps.len();
    let count = |is: fn(&HoldStep) -> bool| hold.steps.iter().filter(|step| is(step)).count();
    let settled = |step: &HoldStep| step.freed || !step.trouble.is_empty();
    match hold.state {
        HoldState::Freeing => {
            let waits = hold.steps.iter().find(|step| step.waits_for > 0);
            let waits = waits.map(|step| format!("; {} {}", step.service, waits_for(step)));
            format!("freeing the GPU: {} of {all}{}", count(settled), waits.unwrap_or_default())
        }
        _ => {
            let taken = count(|step| step.freed);
            format!("bringing back: {} of {taken}", count(|step| step.restored))
        }
    }
}

/// `waits for 2 requests`.
fn waits_for(step: &HoldStep) -> String {
    match step.waits_for {
        1 => "waits for 1 request".into(),
        many => format!("waits for {many} requests"),
    }
}

fn tell(global: &Global, hold: &Hold) -> Outcome {
    if global.json {
        return out::json(hold);
    }
    out::line(gist(hold, SystemClock.now().wall_ms))?;
    let rows: Vec<Vec<String>> = hold.steps.iter().map(|step| row(hold.state, step)).collect();
    out::table(&rows)
}

/// What is so, in one line.
fn gist(hold: &Hold, now_ms: i64) -> String {
    let until = words::moment(hold.until_ms);
    let vram = match (hold.vram_before_bytes, hold.vram_after_bytes) {
        (Some(before), Some(after)) => {
            format!("; VRAM {} → {}", words::whole_bytes(before), words::whole_bytes(after))
        }
        _ => String::new(),
    };
    match hold.state {
        HoldState::Freeing => format!("The GPU is being freed until {until}."),
        HoldState::Held => {
            // To the nearest minute: of an hour that has just begun an hour is left.
            let left = words::lasting(hold.until_ms - now_ms + MINUTE_MS / 2);
            format!("The GPU is held free until {until}, for {left} more{vram}.")
        }
        HoldState::Restoring => "What was taken away is being brought back.".into(),
        HoldState::Ended => {
            let from = words::moment(hold.from_ms);
            format!("No hold is on. The last one began {from}{vram}.")
        }
    }
}

fn row(state: HoldState, step: &HoldStep) -> Vec<String> {
    let what = match &step.model {
        Some(model) => model.clone(),
        None => "the whole service".into(),
    };
    let done = match (step.freed, step.restored) {
        (_, true) => "brought back",
        (true, false) if state == HoldState::Ended => "not brought back",
        (true, false) => "freed",
        (false, false) if step.waits_for > 0 => &*waits_for(step),
        (false, false) if state == HoldState::Freeing && step.trouble.is_empty() => "to be freed",
        (false, false) => "left",
    };
    vec![format!("  {}", step.service), what, done.into(), step.trouble.clone()]
}

/// Whole minutes, at least one.
fn minutes(span: &str) -> Result<u32, String> {
    let ms = words::span(span)?;
    u32::try_from((ms + MINUTE_MS - 1) / MINUTE_MS)
        .ok()
        .filter(|minutes| (1..=MAX_HOLD_MINUTES).contains(minutes))
        .ok_or_else(|| format!("A hold lasts at most {}h, not {span}.", MAX_HOLD_MINUTES / 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_lasts_whole_minutes_and_at_most_a_day() {
        let of = |text| minutes(text).ok();
        assert_eq!(
            [of("1s"), of("90s"), of("1h"), of("24h")].map(Option::unwrap),
            [1, 2, 60, 1440]
        );
        assert_eq!([of("25h"), of("7d"), of("0m"), of("")], [None; 4]);
    }

    #[test]
    fn a_step_says_what_became_of_it() {
        let step = |freed, restored, trouble: &str| HoldStep {
            service: "o".into(),
            model: Some("m".into()),
            freed,
            restored,
            trouble: trouble.into(),
            waits_for: 0,
        };
        let waits = HoldStep { waits_for: 2, ..step(false, false, "") };
        let said = |state, step: HoldStep| row(state, &step)[2].clone();
        assert_eq!(said(HoldState::Freeing, step(false, false, "")), "to be freed");
        assert_eq!(said(HoldState::Freeing, waits), "waits for 2 requests");
        assert_eq!(said(HoldState::Held, step(true, false, "")), "freed");
        assert_eq!(said(HoldState::Held, step(false, false, "No.")), "left");
        assert_eq!(said(HoldState::Ended, step(true, true, "")), "brought back");
        assert_eq!(said(HoldState::Ended, step(true, false, "Gone.")), "not brought back");
    }
}
