//! What is staged of the limits, in whatever window: told beside the list, put in force, or
//! dropped.

use plimsoll_app::{
    api::{Command, DraftChange, Fault, FaultCode, LimitsDraft, LimitsStage, LimitsView},
    offline::Offline,
};
use plimsoll_core::config::{environment::plain, wire::Change};

use super::{config, view};
use crate::{
    args::Global,
    commands::{attach, options},
    out::{self, Failure, Outcome},
};

/// What is staged of that limit.
pub fn of<'d>(draft: &'d LimitsDraft, key: &str) -> Option<&'d DraftChange> {
    draft.changes.iter().find(|change| change.key == key)
}

/// `3 changes are staged in the window; …`; `None` where none is.
pub fn words(draft: &LimitsDraft) -> Option<String> {
    let are = match draft.changes.len() {
        0 => return None,
        1 => "1 change is".to_owned(),
        many => format!("{many} changes are"),
    };
    Some(format!("{are} staged in the window; `plimsoll limits apply|discard`"))
}

pub async fn apply(global: &Global, anyway: bool) -> Outcome {
    let LimitsView { draft, .. } = view(global).await?;
    if draft.changes.is_empty() {
        return nothing(global);
    }
    let against: Vec<&DraftChange> = draft.changes.iter().filter(|one| one.conflict).collect();
    if !against.is_empty() && !anyway {
        return Err(changed_elsewhere(&against));
    }
    let changes = draft.changes.iter();
    let changes = changes.map(|one| Change { key: one.key.clone(), value: one.to.clone() });
    let keys = draft.changes.iter().map(|one| one.key.clone()).collect();
    let made = config::apply_seen(global, changes.collect(), Some(keys)).await?;
    config::tell_made(global, made.as_ref())
}

pub async fn discard(global: &Global, name: Option<&str>) -> Outcome {
    let LimitsView { draft, .. } = view(global).await?;
    if let Some(name) = name
        && of(&draft, name).is_none()
    {
        return Err(Fault::new(FaultCode::NotFound, format!("Nothing is staged of {name}."))
            .hint("`plimsoll limits` shows what is.")
            .into());
    }
    if draft.changes.is_empty() {
        return nothing(global);
    }
    let wanted = |one: &&DraftChange| name.is_none_or(|name| one.key == name);
    let dropped: Vec<&DraftChange> = draft.changes.iter().filter(wanted).collect();
    let clear = dropped.iter().map(|one| one.key.clone()).collect();
    let stage = LimitsStage { clear, ..LimitsStage::default() };
    let left: LimitsDraft = match attach(global).await? {
        Some(session) => session.call(Command::LimitsStage(stage)).await?,
        None => Offline::open(&options(global)).await?.stage_limits(stage).await?,
    };
    if global.json {
        return out::json(&left);
    }
    for one in dropped {
        out::line(format_args!("{} stays {}; {} was staged.", one.key, plain(&one.now), to(one)))?;
    }
    Ok(())
}

fn nothing(global: &Global) -> Outcome {
    if global.json { out::json(&()) } else { out::line("Nothing is staged.") }
}

fn to(change: &DraftChange) -> String {
    change.to.as_ref().map_or_else(|| "its default".into(), plain)
}

fn changed_elsewhere(against: &[&DraftChange]) -> Failure {
    let each = against.iter().take(3).map(|one| {
        let (from, now) = (plain(&one.from), plain(&one.now));
        format!("{} was {from} then and is {now} now, {} is staged", one.key, to(one))
    });
    let mut words = each.collect::<Vec<_>>().join("; ");
    if against.len() > 3 {
        words.push_str(&format!("; and {} more", against.len() - 3));
    }
    Fault::new(
        FaultCode::Conflict,
        format!("What is staged was changed elsewhere since: {words}. Nothing was applied."),
    )
    .hint("`plimsoll limits apply --anyway` puts it in force all the same.")
    .into()
}

#[cfg(test)]
mod tests {
    use plimsoll_core::config::wire::SettingValue;

    use super::*;

    fn change(key: &str) -> DraftChange {
        let (from, now) = (SettingValue::Integer(1), SettingValue::Integer(1));
        DraftChange { key: key.into(), from, now, to: None, conflict: true }
    }

    #[test]
    fn what_is_staged_is_one_line_and_nothing_is_none() {
        let said = |many| {
            let changes = (0..many).map(|n| change(&n.to_string())).collect();
            words(&LimitsDraft { changes, ..LimitsDraft::default() })
        };
        assert_eq!(said(0), None);
        let way = "staged in the window; `plimsoll limits apply|discard`";
        assert_eq!(said(1).unwrap(), format!("1 change is {way}"));
        assert_eq!(said(3).unwrap(), format!("3 changes are {way}"));
    }

    #[test]
    fn of_many_conflicts_three_are_told() {
        let many = [change("a"), change("b"), change("c"), change("d")];
        let Failure::Fault(fault) = changed_elsewhere(&many.each_ref()) else { panic!() };
        assert!(fault.message.contains("a was 1 then and is 1 now, its default is staged; b"));
        assert!(fault.message.contains("; and 1 more. Nothing was applied."), "{}", fault.message);
    }
}
