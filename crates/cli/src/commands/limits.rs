//! `limits`: what may be at once and for how long, and what moving it would have done.

mod staged;

use plimsoll_app::{
    api::{
        Command, DraftChange, Fault, FaultCode, LimitEffect, LimitInfo, LimitLock, LimitPreset,
        LimitTakesHold, LimitsAsk, LimitsEffect, LimitsView, Nothing, Preset,
    },
    limits::{effects_alone, view_alone},
};
use plimsoll_core::config::{
    environment::plain,
    table::setting_of,
    wire::{Change, Origin, Revision, SettingType},
};
use serde::Serialize;

use super::config;
use crate::{
    args::{Global, LimitAction, Limits, PresetName},
    commands::{attach, options},
    out::{self, Failure, Outcome},
};

pub async fn run(global: &Global, args: Limits) -> Outcome {
    match args.action {
        None => list(global, None).await,
        Some(LimitAction::List { word }) => list(global, word.as_deref()).await,
        Some(LimitAction::Set { name, value }) => {
            nothing_is_no_value(&name, &value)?;
            set(global, &name, Some(&value)).await
        }
        Some(LimitAction::Reset { name }) => set(global, &name, None).await,
        Some(LimitAction::Preset { preset, dry_run }) => {
            self::preset(global, preset, dry_run).await
        }
        Some(LimitAction::Apply { anyway }) => staged::apply(global, anyway).await,
        Some(LimitAction::Discard { name }) => staged::discard(global, name.as_deref()).await,
        Some(LimitAction::Effect { name, value }) => {
            nothing_is_no_value(&name, &value)?;
            effect(global, &name, &value).await
        }
    }
}

/// An empty word would be the default: a variable of a script that holds nothing is to set
/// nothing.
fn nothing_is_no_value(name: &str, value: &str) -> Result<(), Failure> {
    if value.trim().is_empty() {
        return Err(Failure::Usage(format!(
            "{name} wants a value. Back to its default: plimsoll limits reset {name}."
        )));
    }
    Ok(())
}

/// What `limits preset --json` prints, whatever came of it.
#[derive(Serialize)]
struct Chosen<'a> {
    #[serde(flatten)]
    preset: &'a LimitPreset,
    /// `null` where nothing was written.
    revision: Option<&'a Revision>,
}

async fn view(global: &Global) -> Result<LimitsView, Failure> {
    Ok(match attach(global).await? {
        Some(session) => session.call(Command::Limits(Nothing {})).await?,
        None => view_alone(&options(global)).await?,
    })
}

async fn list(global: &Global, word: Option<&str>) -> Outcome {
    let view = view(global).await?;
    let word = word.map(str::to_lowercase);
    let wanted = |limit: &&LimitInfo| {
        let said = |text: &str, word: &str| text.to_lowercase().contains(word);
        word.as_deref().is_none_or(|word| {
            said(&limit.key, word) || said(&limit.title, word) || said(&limit.meaning, word)
        })
    };
    let limits: Vec<&LimitInfo> = view.limits.iter().filter(wanted).collect();
    if global.json {
        let listed = limits
            .iter()
            .map(|limit| Listed { limit, staged: staged::of(&view.draft, &limit.key) });
        return out::json(&listed.collect::<Vec<_>>());
    }
    if limits.is_empty() {
        return out::line("No limit has that in its name or meaning.");
    }
    for group in &view.groups {
        let of: Vec<_> = limits.iter().filter(|limit| limit.group == group.id).collect();
        if of.is_empty() {
            continue;
        }
        out::line(&group.title)?;
        let rows = of.iter().map(|limit| row(limit, staged::of(&view.draft, &limit.key)));
        out::table(&rows.collect::<Vec<_>>())?;
    }
    // On standard error: the list is a list.
    if let Some(words) = staged::words(&view.draft) {
        out::aside(words);
    }
    Ok(())
}

/// What `limits list --json` prints of each.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    limit: &'a LimitInfo,
    /// `null` where nothing is staged of it.
    staged: Option<&'a DraftChange>,
}

/// Name, what holds and what is staged, what may be set, and why it holds or is locked.
fn row(limit: &LimitInfo, staged: Option<&DraftChange>) -> Vec<String> {
    let unit = limit.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let mut value = format!("{}{unit}", plain(&limit.value));
    if let Some(number) = limit.in_force {
        value = format!("{} ({number} now)", plain(&limit.value));
    }
    if let Some(change) = staged {
        value = format!("{value} → {} staged", plain(change.to.as_ref().unwrap_or(&limit.default)));
    }
    let range = match &limit.accepts {
        SettingType::Integer { min, max } => format!("{min}–{max}"),
        SettingType::IntegerOr { min, max, words } => {
            format!("{min}–{max} or {}", words.join(", "))
        }
        SettingType::Number { min, max } => format!("{min}–{max}"),
        SettingType::Choice { options } => options.join(", "),
        _ => String::new(),
    };
    let mut from = match (&limit.lock, &limit.origin) {
        (Some(LimitLock::Environment { variable, .. }), _) => format!("locked by {variable}"),
        (Some(LimitLock::File { .. }), _) => "locked: the file cannot be written".into(),
        (Some(LimitLock::Command { flag, .. }), _) => format!("locked by {flag} in its command"),
        (None, Origin::File { line }) => format!("line {line}"),
        (None, _) => "default".into(),
    };
    match &limit.takes_hold {
        LimitTakesHold::Live => {}
        LimitTakesHold::ServiceRestarts { text, .. } => from = format!("{from}; {text}"),
        LimitTakesHold::PlimsollRestarts => from = format!("{from}; restarts Plimsoll"),
    }
    vec![format!("  {}", limit.key), value, range, from]
}

async fn set(global: &Global, name: &str, value: Option<&str>) -> Outcome {
    let (limit, change) = change(global, name, value).await?;
    let made = config::apply(global, vec![change]).await?;
    config::tell_made(global, made.as_ref())?;
    if let (LimitTakesHold::ServiceRestarts { service, .. }, true, false) =
        (&limit.takes_hold, made.is_some(), global.json)
    {
        out::aside(format!(
            "It takes hold when {service} starts again: plimsoll services restart {service}."
        ));
    }
    Ok(())
}

/// The limit of that name, and the change to a value of it.
async fn change(
    global: &Global,
    name: &str,
    value: Option<&str>,
) -> Result<(LimitInfo, Change), Failure> {
    // Wrong usage is told before anything is touched, in the words of `config set`.
    let change = config::change(&format!("{name}={}", value.unwrap_or_default()))?;
    let limits = view(global).await?.limits;
    match limits.into_iter().find(|limit| limit.key == name) {
        Some(limit) => Ok((limit, change)),
        None if setting_of(name).is_some() => Err(Fault::new(
            FaultCode::NotFound,
            format!("{name} is no limit of anything that is there now."),
        )
        .hint("`plimsoll limits` lists them; other settings are set with `plimsoll config set`.")
        .into()),
        None => Err(config::unknown(name)),
    }
}

async fn preset(global: &Global, name: PresetName, dry_run: bool) -> Outcome {
    let id = match name {
        PresetName::Conservative => Preset::Conservative,
        PresetName::Balanced => Preset::Balanced,
        PresetName::Aggressive => Preset::Aggressive,
    };
    let view = view(global).await?;
    let Some(preset) = view.presets.iter().find(|preset| preset.id == id) else {
        return Err(Fault::new(FaultCode::NotFound, "There is no such preset.").into());
    };
    if !preset.locked.is_empty() && !global.json {
        out::aside(format!("Locked, and left as they are: {}.", preset.locked.join(", ")));
    }
    if dry_run || preset.changes.is_empty() {
        let chosen = Chosen { preset, revision: None };
        return if global.json { out::json(&chosen) } else { tell(preset) };
    }
    let changes = preset.changes.iter();
    let changes =
        changes.map(|c| Change { key: c.key.clone(), value: Some(c.new.clone()) }).collect();
    let made = config::apply(global, changes).await?;
    if global.json {
        return out::json(&Chosen { preset, revision: made.as_ref() });
    }
    config::tell_made(global, made.as_ref())
}

fn tell(preset: &LimitPreset) -> Outcome {
    if preset.changes.is_empty() {
        return out::line(config::SO_ALREADY);
    }
    let row = |c: &plimsoll_core::config::wire::Changed| {
        vec![c.key.clone(), format!("{} → {}", plain(&c.old), plain(&c.new))]
    };
    out::table(&preset.changes.iter().map(row).collect::<Vec<_>>())
}

async fn effect(global: &Global, name: &str, value: &str) -> Outcome {
    let (_, change) = change(global, name, Some(value)).await?;
    let changes = vec![change];
    let effect: LimitsEffect = match attach(global).await? {
        Some(session) => session.call(Command::LimitsEffect(LimitsAsk { changes })).await?,
        None => effects_alone(&options(global), &changes).await?,
    };
    if global.json {
        return out::json(&effect.effects.first());
    }
    for LimitEffect { text, why, .. } in &effect.effects {
        out::line(text)?;
        if !why.is_empty() {
            out::line(why)?;
        }
    }
    Ok(())
}
