//! What is said of edits and revisions, to people.

use plimsoll_core::config::{
    Loaded,
    wire::{Changed, Problem, Revision},
};

use std::path::Path;

use super::hidden::said;
use crate::api::{ConfigEdit, Fault, FaultCode};

pub(super) fn something(edit: &ConfigEdit) -> Result<(), Fault> {
    if edit.changes.is_empty() && edit.text.is_none() {
        return Err(Fault::new(
            FaultCode::Invalid,
            "An edit is changes, a whole text, or both: at least one of the two.",
        ));
    }
    Ok(())
}

pub(super) fn who(by: &str) -> Result<&str, Fault> {
    match by {
        "" => Ok("terminal"),
        "window" | "browser" | "terminal" => Ok(by),
        _ => Err(Fault::new(FaultCode::Invalid, "`by` is window, browser or terminal.")),
    }
}

pub(super) fn refused(problems: &[Problem]) -> Fault {
    let line = |p: &Problem| match p.line {
        Some(line) => format!("line {line}: {}", p.message),
        None => p.message.clone(),
    };
    let mut message = problems.iter().take(5).map(line).collect::<Vec<_>>().join("\n");
    if problems.len() > 5 {
        message.push_str(&format!("\n… and {} more.", problems.len() - 5));
    }
    let hint = problems.iter().find_map(|p| p.hint.clone());
    Fault { code: FaultCode::Invalid, message, hint }
}

/// Problems that are told of one by one.
const TOLD: usize = 3;

/// What of the file, or of the variables, is not in force: where, what to do, and what is in
/// force instead. `None` where all of it is.
pub(super) fn trouble_of(path: &Path, disk: &Loaded, revision: i64) -> Option<String> {
    if disk.problems.is_empty() {
        return None;
    }
    let mut text = match disk.sound {
        // The file is; a variable is left out.
        true => "A part of the configuration is not in force.".to_owned(),
        false => {
            let instead = match revision {
                0 => "the defaults are".to_owned(),
                number => format!("revision {number} is, the last that was sound"),
            };
            format!("{} is not in force, {instead}.", path.display())
        }
    };
    for problem in disk.problems.iter().take(TOLD) {
        text.push(' ');
        if let Some(line) = problem.line {
            text.push_str(&format!("Line {line}: "));
        }
        text.push_str(problem.message.trim());
        if let Some(hint) = &problem.hint {
            text.push(' ');
            text.push_str(hint);
        }
    }
    let more = disk.problems.len().saturating_sub(TOLD);
    if more > 0 {
        text.push_str(&format!(" And {more} more."));
    }
    Some(text)
}

/// Most characters of a title.
const LONGEST: usize = 200;

/// `history.keep.raw_hours 48 → 24`, with at most three settings named. No secret stands in it.
pub(super) fn title(revision: &Revision) -> String {
    let one = |c: &Changed| match (said(&c.key, &c.old), said(&c.key, &c.new)) {
        // Only what is not shown differs.
        (old, new) if old == new => format!("{} changed", c.key),
        (old, new) => format!("{} {old} → {new}", c.key),
    };
    let mut text = revision.changed.iter().take(3).map(one).collect::<Vec<_>>().join(", ");
    if revision.changed.len() > 3 {
        text.push_str(&format!(" and {} more", revision.changed.len() - 3));
    }
    let title = match revision.rolled_back_to {
        Some(to) => format!("Back to revision {to}: {text}"),
        None => text,
    };
    match title.char_indices().nth(LONGEST) {
        Some(_) => title.chars().take(LONGEST - 1).chain(['…']).collect(),
        None => title,
    }
}
