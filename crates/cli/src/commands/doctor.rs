//! `doctor`: what works on this machine, and the commands to check it by hand (AA10).

use plimsoll_app::{
    api::{Command, FilePath, Nothing, Status, Verdict, Written},
    offline,
};

use crate::{
    args::{Doctor, Global},
    commands::{attach, options},
    out::{self, Outcome},
    words,
};

pub async fn run(global: &Global, args: Doctor) -> Outcome {
    let session = attach(global).await;
    if let Some(path) = args.bundle {
        let path = std::path::absolute(path)?;
        let written: Written = match session? {
            Some(session) => {
                let path = path.display().to_string();
                session.call(Command::DoctorBundle(FilePath { path })).await?
            }
            None => offline::bundle(&options(global), &path).await?,
        };
        if global.json {
            return out::json(&written);
        }
        return out::line(format_args!(
            "{} ({}) holds the bundle. Secrets, names and addresses were taken out; look through \
             it before you send it.",
            written.path,
            words::whole_bytes(written.bytes)
        ));
    }
    // A doctor helps also where the patient does not answer.
    let status = match session {
        Ok(Some(session)) => session.call::<Status>(Command::Status(Nothing {})).await.ok(),
        Ok(None) | Err(_) => None,
    };
    let report = offline::doctor(&options(global), status).await?;
    if global.json {
        return out::json(&report);
    }
    for check in &report.checks {
        let verdict = match check.verdict {
            Verdict::Good => "good   ",
            Verdict::Limited => "limited",
            Verdict::Bad => "BAD    ",
            Verdict::Unknown => "unknown",
        };
        out::line(format_args!("{verdict}  {}: {}", check.name, check.finding))?;
        if !check.advice.is_empty() {
            out::line(format_args!("         {}", check.advice))?;
        }
        out::line(format_args!("         $ {}", check.by_hand))?;
    }
    Ok(())
}
