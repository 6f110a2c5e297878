//! `config`: settings, through the running Plimsoll where there is one.

use std::path::Path;

use plimsoll_app::{
    api::{Command, ConfigEdit, Fault, FaultCode, Nothing, RollbackRequest, Status},
    offline::{self, Offline},
};
use plimsoll_core::config::{
    check::{allowed, check},
    environment::{plain, value_of},
    keys::judge_key,
    render,
    table::setting_of,
    wire::{Change, ConfigView, Origin, Problem, Revision, SettingSpec, SettingState},
};
use serde_json::json;

use crate::{
    args::{Config, Global},
    commands::{attach, options},
    out::{self, Failure, Outcome},
    words,
};

pub(super) const SO_ALREADY: &str = "It is so already.";

/// By these it is said where the gateway listens.
const LISTENS: [&str; 3] = ["gateway.enabled", "gateway.address", "gateway.also"];

pub async fn run(global: &Global, command: Config) -> Outcome {
    match command {
        Config::Show { key } => show(global, key.as_deref()).await,
        Config::Get { key } => get(global, &key).await,
        Config::Set { changes } => set(global, &changes).await,
        Config::Validate { file } => validate(global, file.as_deref()).await,
        Config::Schema { json_schema, defaults } => self::schema(global, json_schema, defaults),
        Config::Revisions { limit } => revisions(global, limit).await,
        Config::Rollback { revision } => rollback(global, revision).await,
    }
}

/// What is in force, or would be: settings and what is wrong.
async fn settings(global: &Global) -> Result<(Vec<SettingState>, Vec<Problem>), Failure> {
    if let Some(session) = attach(global).await? {
        let view: ConfigView = session.call(Command::Config(Nothing {})).await?;
        return Ok((view.settings, view.problems));
    }
    let places = options(global).places()?;
    let loaded = offline::configuration(&places.config).await?;
    Ok((loaded.settings, loaded.problems))
}

async fn show(global: &Global, key: Option<&str>) -> Outcome {
    let (settings, problems) = settings(global).await?;
    let wanted = |state: &&SettingState| {
        key.is_none_or(|key| {
            state.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let shown: Vec<&SettingState> = settings.iter().filter(wanted).collect();
    if let (Some(key), true) = (key, shown.is_empty()) {
        return Err(unknown(key));
    }
    if global.json {
        return out::json(&json!({ "settings": shown, "problems": problems }));
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|state| {
            let origin = match &state.origin {
                Origin::Default => "default".into(),
                Origin::File { line } => format!("line {line}"),
                Origin::Environment { variable } => variable.clone(),
            };
            vec![state.key.clone(), shown_value(&plain(&state.value)), origin]
        })
        .collect();
    out::table(&rows)?;
    complain(&problems);
    Ok(())
}

fn shown_value(text: &str) -> String {
    if text.is_empty() { "\"\"".into() } else { text.to_owned() }
}

async fn get(global: &Global, key: &str) -> Outcome {
    let (settings, problems) = settings(global).await?;
    let Some(state) = settings.iter().find(|state| state.key == key) else {
        return Err(unknown(key));
    };
    if global.json {
        return out::json(state);
    }
    out::line(plain(&state.value))?;
    complain(&problems);
    Ok(())
}

async fn set(global: &Global, changes: &[String]) -> Outcome {
    let changes = match changes {
        // Many write it so, and it can mean nothing else.
        [key, value] if !key.contains('=') && setting_of(key).is_some() => {
            vec![change(&format!("{key}={value}"))?]
        }
        changes => changes.iter().map(|text| change(text)).collect::<Result<Vec<_>, _>>()?,
    };
    let keys: Vec<String> = changes.iter().map(|change| change.key.clone()).collect();
    tell_made(global, apply(global, changes).await?.as_ref())?;
    tell_what_is_not(global, &keys).await
}

/// Beside what is in force: what of it cannot be done.
async fn tell_what_is_not(global: &Global, keys: &[String]) -> Outcome {
    if keys.iter().any(|key| LISTENS.contains(&key.as_str()))
        && let Some(session) = attach(global).await?
    {
        let status: Status = session.call(Command::Status(Nothing {})).await?;
        if let Some(trouble) = status.gateway_trouble {
            out::aside(format_args!("the gateway does not listen everywhere: {trouble}"));
        }
    }
    Ok(())
}

/// Puts changes in force as one revision: through the running Plimsoll, or in the file. `None`
/// where all of it was so already.
pub(super) async fn apply(
    global: &Global,
    changes: Vec<Change>,
) -> Result<Option<Revision>, Failure> {
    apply_seen(global, changes, None).await
}

/// The same of what is staged of the limits: `staged` are the keys of all that was seen of it.
pub(super) async fn apply_seen(
    global: &Global,
    changes: Vec<Change>,
    staged: Option<Vec<String>>,
) -> Result<Option<Revision>, Failure> {
    let edit = |base: &str| ConfigEdit {
        base: Some(base.to_owned()),
        changes: changes.clone(),
        by: "terminal".into(),
        staged: staged.clone(),
        ..ConfigEdit::default()
    };
    let (before, made): (i64, Revision) = match attach(global).await? {
        Some(session) => {
            let view: ConfigView = session.call(Command::Config(Nothing {})).await?;
            (view.revision, session.call(Command::ConfigApply(edit(&view.digest))).await?)
        }
        None => {
            let offline = Offline::open(&options(global)).await?;
            let view = offline.config.view().clone();
            (view.revision, offline.apply(&edit(&view.digest)).await?)
        }
    };
    // Where nothing is new, what is answered is the revision in force, and what another changed.
    Ok((made.number != before).then_some(made))
}

pub(super) fn tell_made(global: &Global, made: Option<&Revision>) -> Outcome {
    match made {
        Some(revision) => tell(global, revision),
        None if global.json => out::json(&made),
        None => out::line(SO_ALREADY),
    }
}

fn tell(global: &Global, revision: &Revision) -> Outcome {
    if global.json {
        return out::json(revision);
    }
    out::line(format_args!("Revision {} is in force.", revision.number))?;
    for changed in &revision.changed {
        let (old, new) = (plain(&changed.old), plain(&changed.new));
        let waits = setting_of(&changed.key).is_some_and(|setting| !setting.live);
        let when = if waits { "  (after a restart)" } else { "" };
        out::line(format_args!(
            "  {}: {} → {}{when}",
            changed.key,
            shown_value(&old),
            shown_value(&new)
        ))?;
    }
    Ok(())
}

/// `KEY=VALUE`, checked here already: wrong usage is told before anything is touched.
pub(super) fn change(text: &str) -> Result<Change, Failure> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Failure::Usage(format!(
            "{text:?} is no change. A change is KEY=VALUE, e.g. sampling.interval_ms=2000."
        )));
    };
    let (key, value) = (key.trim(), value.trim());
    if value.is_empty() {
        return Ok(Change { key: key.into(), value: None });
    }
    if judge_key(key).is_some() {
        return Err(unknown(key));
    }
    let Some(setting) = setting_of(key) else { return Err(unknown(key)) };
    let Some(typed) = value_of(setting, value) else {
        return Err(Fault::new(
            FaultCode::Invalid,
            format!("{key} is {}. Found {value:?}.", allowed(setting)),
        )
        .into());
    };
    match check(setting, typed) {
        Ok(value) => Ok(Change { key: key.into(), value: Some(value) }),
        Err(refusal) => {
            let mut fault = Fault::new(FaultCode::Invalid, format!("{key} {}", refusal.message));
            fault.hint = refusal.hint;
            Err(fault.into())
        }
    }
}

async fn validate(global: &Global, file: Option<&Path>) -> Outcome {
    let path = match file {
        Some(file) => std::path::absolute(file)?,
        None => options(global).places()?.config,
    };
    if file.is_some() && !path.exists() {
        return Err(Fault::new(
            FaultCode::NotFound,
            format!("There is no file {}.", path.display()),
        )
        .into());
    }
    let loaded = offline::configuration(&path).await?;
    let valid = loaded.problems.is_empty();
    if global.json {
        out::json(&json!({ "path": path, "valid": valid, "problems": loaded.problems }))?;
    } else if valid {
        out::line(format_args!("{} is in order.", path.display()))?;
    }
    if valid {
        return Ok(());
    }
    let count = loaded.problems.len();
    let things = if count == 1 { "One thing is" } else { "Some things are" };
    let mut message = format!("{things} wrong with {}.", path.display());
    if !global.json {
        for problem in &loaded.problems {
            message.push_str("\n  ");
            message.push_str(&sentence(problem));
        }
    }
    Err(Fault::new(FaultCode::Invalid, message).into())
}

fn sentence(problem: &Problem) -> String {
    let mut text = match (problem.line, problem.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    };
    text.push_str(&problem.message);
    if let Some(hint) = &problem.hint {
        text.push(' ');
        text.push_str(hint);
    }
    text
}

/// Said beside an answer that stands all the same.
fn complain(problems: &[Problem]) {
    use std::io::Write;
    let mut err = std::io::stderr().lock();
    for problem in problems {
        let _ = writeln!(err, "plimsoll: {}", sentence(problem));
    }
}

fn schema(global: &Global, json_schema: bool, defaults: bool) -> Outcome {
    if json_schema {
        return out::json(&render::json_schema());
    }
    if defaults {
        return out::line(render::defaults_toml().trim_end());
    }
    let specs: Vec<SettingSpec> = plimsoll_core::config::schema();
    if global.json {
        return out::json(&specs);
    }
    for spec in &specs {
        let range = setting_of(&spec.key).map(allowed).unwrap_or_default();
        out::line(format_args!("{} = {}", spec.key, shown_value(&plain(&spec.default))))?;
        out::line(format_args!("    {}: {}", spec.label, spec.meaning))?;
        let live = if spec.live { "" } else { " Needs a restart." };
        if !range.is_empty() {
            out::line(format_args!("    Allowed: {range}.{live}"))?;
        }
    }
    Ok(())
}

async fn revisions(global: &Global, limit: usize) -> Outcome {
    let mut revisions: Vec<Revision> = match attach(global).await? {
        Some(session) => session.call(Command::ConfigRevisions(Nothing {})).await?,
        None => Offline::open(&options(global)).await?.config.revisions().await?,
    };
    revisions.truncate(limit);
    if global.json {
        return out::json(&revisions);
    }
    if revisions.is_empty() {
        return out::line("No change was applied yet.");
    }
    let rows: Vec<Vec<String>> = revisions
        .iter()
        .map(|revision| {
            let changes: Vec<String> = revision
                .changed
                .iter()
                .map(|c| {
                    let (old, new) = (plain(&c.old), plain(&c.new));
                    format!("{}: {} → {}", c.key, shown_value(&old), shown_value(&new))
                })
                .collect();
            let mut what = changes.join(", ");
            if let Some(to) = revision.rolled_back_to {
                what = format!("back to {to}: {what}");
            }
            let number = revision.number.to_string();
            vec![number, words::moment(revision.at_ms), revision.by.clone(), what]
        })
        .collect();
    out::table(&rows)
}

async fn rollback(global: &Global, revision: i64) -> Outcome {
    let request = RollbackRequest { revision, by: "terminal".into() };
    let revision: Revision = match attach(global).await? {
        Some(session) => session.call(Command::ConfigRollback(request)).await?,
        None => Offline::open(&options(global)).await?.config.rollback(&request).await?,
    };
    tell(global, &revision)?;
    let keys: Vec<String> = revision.changed.into_iter().map(|changed| changed.key).collect();
    tell_what_is_not(global, &keys).await
}

pub(super) fn unknown(key: &str) -> Failure {
    match judge_key(key) {
        Some(problem) => {
            let mut fault = Fault::new(FaultCode::NotFound, problem.message);
            fault.hint = problem.hint;
            fault.into()
        }
        None => Fault::new(FaultCode::NotFound, format!("There is no setting {key}.")).into(),
    }
}
