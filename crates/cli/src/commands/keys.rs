//! `keys`: who may ask the gateway from beyond this machine, and how much.

use plimsoll_app::{
    api::{Command, Done, KeyId, KeyInfo, KeyMade, KeySpec, Nothing},
    offline::Offline,
};
use plimsoll_core::{
    clock::{Clock, SystemClock},
    request::Priority,
    traffic::Scope,
};

use crate::{
    args::{Global, KeyAction, KeyPriority, KeyScope, Keys, NewKey},
    commands::{attach, options},
    out::{self, Outcome},
    words,
};

pub async fn run(global: &Global, args: Keys) -> Outcome {
    match args.action {
        None | Some(KeyAction::List) => list(global).await,
        Some(KeyAction::Add(new)) => add(global, new).await,
        Some(KeyAction::Revoke { id }) => revoke(global, id).await,
    }
}

async fn list(global: &Global) -> Outcome {
    let keys: Vec<KeyInfo> = match attach(global).await? {
        Some(session) => session.call(Command::Keys(Nothing {})).await?,
        None => Offline::open(&options(global)).await?.keys.list().await,
    };
    if global.json {
        return out::json(&keys);
    }
    if keys.is_empty() {
        return out::line("There are none. `plimsoll keys add NAME` makes one.");
    }
    out::table(&keys.iter().map(row).collect::<Vec<_>>())
}

async fn add(global: &Global, new: NewKey) -> Outcome {
    let spec = spec(new);
    let made: KeyMade = match attach(global).await? {
        Some(session) => session.call(Command::KeyAdd(spec)).await?,
        None => Offline::open(&options(global)).await?.keys.add(spec, now_ms()).await?,
    };
    if global.json {
        return out::json(&made);
    }
    // The key alone on standard output, so that a script can take it.
    out::aside(format!("The key of {}; it is not shown again:", made.info.spec.name));
    out::line(&made.key)
}

async fn revoke(global: &Global, id: String) -> Outcome {
    let done: Done = match attach(global).await? {
        Some(session) => session.call(Command::KeyRevoke(KeyId { id })).await?,
        None => Offline::open(&options(global)).await?.keys.revoke(&id, now_ms()).await?,
    };
    if global.json { out::json(&done) } else { out::line(done.message) }
}

fn spec(new: NewKey) -> KeySpec {
    KeySpec {
        name: new.name,
        priority: match new.priority {
            KeyPriority::Interactive => Priority::Interactive,
            KeyPriority::Batch => Priority::Batch,
        },
        models: new.models,
        scopes: new
            .scopes
            .into_iter()
            .map(|scope| match scope {
                KeyScope::Admin => Scope::Admin,
                KeyScope::Metrics => Scope::Metrics,
            })
            .collect(),
        max_in_flight: new.max_in_flight,
        requests_per_min: new.requests_per_min,
        tokens_per_min: new.tokens_per_min,
    }
}

/// Name, beginning, priority, when it was used, and what bounds it.
fn row(key: &KeyInfo) -> Vec<String> {
    let spec = &key.spec;
    let priority = match spec.priority {
        Priority::Interactive => "interactive",
        Priority::Batch => "batch",
    };
    let used = match key.used_ms {
        Some(at) => format!("used {}", words::moment(at)),
        None => "never used".into(),
    };
    vec![
        spec.name.clone(),
        format!("{}…", key.begins),
        priority.into(),
        used,
        bounds(spec).join(", "),
    ]
}

fn bounds(spec: &KeySpec) -> Vec<String> {
    let mut bounds = Vec::new();
    if !spec.models.is_empty() {
        bounds.push(format!("only {}", spec.models.join(" ")));
    }
    for (most, of) in [
        (spec.max_in_flight, "at once"),
        (spec.requests_per_min, "requests/min"),
        (spec.tokens_per_min, "tokens/min"),
    ] {
        if most > 0 {
            bounds.push(format!("{most} {of}"));
        }
    }
    for scope in &spec.scopes {
        bounds.push(
            match scope {
                Scope::Admin => "may administrate",
                Scope::Metrics => "may read figures",
            }
            .into(),
        );
    }
    bounds
}

fn now_ms() -> i64 {
    SystemClock.now().wall_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_it_is_and_what_bounds_it() {
        let key = KeyInfo {
            id: "plm-Vk3r".into(),
            begins: "plm-Vk3r".into(),
            spec: KeySpec {
                name: "nightly".into(),
                priority: Priority::Batch,
                models: vec!["qwen*".into()],
                scopes: vec![Scope::Metrics],
                max_in_flight: 1,
                ..KeySpec::default()
            },
            made_ms: 1,
            used_ms: None,
        };
        let cells = [
            "nightly",
            "plm-Vk3r…",
            "batch",
            "never used",
            "only qwen*, 1 at once, may read figures",
        ];
        assert_eq!(row(&key), cells);
    }
}
