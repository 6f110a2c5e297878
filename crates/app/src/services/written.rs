//! Services in the configuration file: writing one in, taking one out. Each is a
//! revision, which can be taken back.

use std::collections::BTreeSet;

use plimsoll_core::config::{
    Config,
    ids::{free, mend},
    keys::judge_key,
    wire::{Change, Origin, Revision, SettingValue},
};
use plimsoll_services::discovery::{Verdict, local_port};

use super::found::{Found, same_place};
use crate::{
    api::{ConfigEdit, Fault, FaultCode, ServiceAdd, ServiceAdded, ServiceRemove, ServiceRemoved},
    config_handle::ConfigHandle,
};

/// How often a change is made again on a file that somebody else changed meanwhile.
const TRIES: usize = 3;

/// Writes a service into the file. With the id or the address of one that was found it
/// takes that one's place.
pub async fn add(
    handle: &ConfigHandle,
    found: &Found,
    add: &ServiceAdd,
) -> Result<ServiceAdded, Fault> {
    let config = handle.config();
    let id = id_of(&config, found, add)?;
    let changes = changes(&id, add)?;
    let revision = change(handle, &changes, &add.by).await?;
    found.give_way(&handle.config()).await;
    Ok(ServiceAdded { id, revision: revision.number })
}

/// Takes a service out of the file, or lets one go that was found.
pub async fn remove(
    handle: &ConfigHandle,
    found: &Found,
    remove: &ServiceRemove,
) -> Result<ServiceRemoved, Fault> {
    let id = &remove.id;
    let config = handle.config();
    let Some(entry) = config.services.entries.get(id) else {
        if found.entry(id).is_none() {
            // Nobody has that id, but the settings speak of it.
            if config.services.found.contains_key(id) {
                return take_out(handle, remove).await;
            }
            let configured = config.services.entries.keys().cloned();
            let known: BTreeSet<String> = configured.chain(found.ids()).collect();
            return Err(super::no_such(id, known.iter().map(String::as_str)));
        }
        return Ok(ServiceRemoved { message: found.let_go(id).await?, revision: None });
    };
    not_by_environment(handle, &format!("services.{id}"))?;
    // Before it is out: the search may be quick.
    found.expect(&entry.url);
    found.forget_aside(id, &entry.url).await;
    take_out(handle, remove).await
}

async fn take_out(handle: &ConfigHandle, remove: &ServiceRemove) -> Result<ServiceRemoved, Fault> {
    let id = &remove.id;
    let table = format!("services.{id}");
    not_by_environment(handle, &table)?;
    let out = [Change { key: table, value: None }];
    let revision = change(handle, &out, &remove.by).await?;
    Ok(ServiceRemoved {
        message: format!("The service {id} is no longer in the configuration."),
        revision: Some(revision.number),
    })
}

/// A small change means the same on a newer text: it is made on what is there.
async fn change(handle: &ConfigHandle, changes: &[Change], by: &str) -> Result<Revision, Fault> {
    let mut tries = 0;
    loop {
        tries += 1;
        handle.reload().await;
        let edit = ConfigEdit {
            base: Some(handle.view().digest.clone()),
            changes: changes.to_vec(),
            by: by.to_owned(),
            ..ConfigEdit::default()
        };
        match handle.apply(&edit).await {
            Err(fault) if fault.code == FaultCode::Conflict && tries < TRIES => {}
            outcome => return outcome,
        }
    }
}

fn not_by_environment(handle: &ConfigHandle, table: &str) -> Result<(), Fault> {
    let view = handle.view();
    let within = |key: &str| key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
    let variables: Vec<&str> = view
        .settings
        .iter()
        .filter(|state| within(&state.key))
        .filter_map(|state| match &state.origin {
            Origin::Environment { variable } => Some(variable.as_str()),
            Origin::Default | Origin::File { .. } => None,
        })
        .collect();
    if variables.is_empty() {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::Conflict,
        format!("{table} is set by environment variables; the file has no say in it."),
    )
    .hint(format!("Unset {} and start Plimsoll again.", variables.join(", "))))
}

/// The keys of a service. What is empty stays at its default.
fn changes(id: &str, add: &ServiceAdd) -> Result<Vec<Change>, Fault> {
    let (key_file, ca_file) = (add.key_file.trim(), add.ca_file.trim());
    for (field, file) in [("key_file", key_file), ("ca_file", ca_file)] {
        if !file.is_empty() && !file.starts_with('/') {
            return Err(Fault::new(
                FaultCode::Invalid,
                format!("services.{id}.{field} is a whole path, from / on. Found {file:?}."),
            ));
        }
    }
    let kind = add.kind.trim();
    let kind = if kind == "auto" { "" } else { kind };
    let values = [
        ("url", add.url.trim()),
        ("name", add.name.trim()),
        ("kind", kind),
        ("key_file", key_file),
        ("ca_file", ca_file),
    ];
    Ok(values
        .into_iter()
        .filter(|(field, value)| *field == "url" || !value.is_empty())
        .map(|(field, value)| Change {
            key: format!("services.{id}.{field}"),
            value: Some(SettingValue::Text(value.to_owned())),
        })
        .collect())
}

/// The id that was asked for, or one that fits.
fn id_of(config: &Config, found: &Found, add: &ServiceAdd) -> Result<String, Fault> {
    let entries = &config.services.entries;
    let url = add.url.trim();
    if let Some((id, of)) = entries.iter().find(|(_, of)| same_place(&of.url, url)) {
        return Err(Fault::new(
            FaultCode::Conflict,
            format!("The service {id} has the address {} already.", of.url),
        )
        .hint(format!("`plimsoll config set services.{id}.name=NAME` changes it.")));
    }
    if let Some(id) = &add.id {
        let id = id.trim();
        if let Some(problem) = judge_key(&format!("services.{id}.url")) {
            let mut fault = Fault::new(FaultCode::Invalid, problem.message);
            fault.hint = problem.hint;
            return Err(fault);
        }
        if entries.contains_key(id) {
            return Err(Fault::new(
                FaultCode::Conflict,
                format!("There is a service {id} in the configuration already."),
            )
            .hint("Choose another id, or remove that one first."));
        }
        return Ok(id.to_owned());
    }
    let there = found.at(url);
    if let Some(entry) = there.as_ref().filter(|entry| entry.verdict == Verdict::Accepted) {
        // Its history goes on.
        return Ok(entry.id.clone());
    }
    // With nothing else to go by the id is made from the name, else from the address.
    let named = mend(add.name.trim()).or_else(|| there.as_ref().map(|entry| entry.id.clone()));
    let base = named.or_else(|| mend(&address_name(add))).unwrap_or_else(|| "service".into());
    let mut taken = found.ids();
    if let Some(entry) = there {
        taken.remove(&entry.id);
    }
    Ok(free(&base, |id| taken.contains(id) || entries.contains_key(id) || is_reserved(id)))
}

/// What the address says: the kind and the port on this machine, the host on another.
fn address_name(add: &ServiceAdd) -> String {
    let url = add.url.trim();
    if let Some(port) = local_port(url) {
        let kind = add.kind.trim();
        let kind = if matches!(kind, "" | "auto") { "local" } else { kind };
        return format!("{kind}-{port}");
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // What stands before the host is no name, and may be a password.
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit('@').next().unwrap_or_default().to_owned()
}

/// `discover` and its like are settings of all services.
fn is_reserved(id: &str) -> bool {
    judge_key(&format!("services.{id}.url")).is_some()
}

#[cfg(test)]
mod tests;
