//! Which services are watched: accepting what was found, and the configuration's own.

use std::path::PathBuf;

use plimsoll_app::{
    api::{Command, Done, ServiceAdd, ServiceAdded, ServiceId, ServiceRemove, ServiceRemoved},
    offline::Offline,
};

use crate::{
    args::{Global, NewService},
    commands::{attach, options},
    out::{self, Outcome},
};

/// Who asks, for the revisions.
const BY: &str = "terminal";

pub async fn accept(global: &Global, id: String) -> Outcome {
    let done: Done = match attach(global).await? {
        Some(session) => session.call(Command::ServiceAccept(ServiceId { id })).await?,
        None => Offline::open(&options(global)).await?.accept_service(&id).await?,
    };
    tell(global, &done)
}

pub async fn ignore(global: &Global, id: String) -> Outcome {
    let done: Done = match attach(global).await? {
        Some(session) => session.call(Command::ServiceIgnore(ServiceId { id })).await?,
        None => Offline::open(&options(global)).await?.ignore_service(&id).await?,
    };
    tell(global, &done)
}

pub async fn restore(global: &Global, id: String) -> Outcome {
    let done: Done = match attach(global).await? {
        Some(session) => session.call(Command::ServiceRestore(ServiceId { id })).await?,
        None => Offline::open(&options(global)).await?.restore_service(&id).await?,
    };
    tell(global, &done)
}

fn tell(global: &Global, done: &Done) -> Outcome {
    if global.json { out::json(done) } else { out::line(&done.message) }
}

/// The path from / on: whoever reads the file stands in another folder. Empty where there is none.
pub fn whole(path: Option<PathBuf>) -> std::io::Result<String> {
    path.map_or_else(
        || Ok(String::new()),
        |path| Ok(std::path::absolute(path)?.display().to_string()),
    )
}

pub async fn add(global: &Global, service: NewService) -> Outcome {
    let NewService { url, name, id, kind, key_file, ca_file } = service;
    let (key_file, ca_file) = (whole(key_file)?, whole(ca_file)?);
    let (name, kind) = (name.unwrap_or_default(), kind.unwrap_or_default());
    let add = ServiceAdd { id, url, name, kind, key_file, ca_file, by: BY.into() };
    let added: ServiceAdded = match attach(global).await? {
        Some(session) => session.call(Command::ServiceAdd(add)).await?,
        None => Offline::open(&options(global)).await?.add_service(&add).await?,
    };
    if global.json {
        return out::json(&added);
    }
    let ServiceAdded { id, revision } = added;
    out::line(format_args!("The service {id} is in the configuration, with revision {revision}."))
}

pub async fn remove(global: &Global, id: String) -> Outcome {
    let remove = ServiceRemove { id, by: BY.into() };
    let removed: ServiceRemoved = match attach(global).await? {
        Some(session) => session.call(Command::ServiceRemove(remove)).await?,
        None => Offline::open(&options(global)).await?.remove_service(&remove).await?,
    };
    if global.json {
        return out::json(&removed);
    }
    out::line(&removed.message)?;
    match removed.revision {
        Some(revision) => {
            out::line(format_args!("`plimsoll config rollback {}` brings it back.", revision - 1))
        }
        None => Ok(()),
    }
}
