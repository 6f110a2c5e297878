//! Values of settings as they may be told in marks, logs and messages, which are
//! kept for years and shown to whoever looks: without keys and passwords.

use std::ops::RangeInclusive;

use plimsoll_core::config::{
    Loaded,
    environment::plain,
    spans::lines_of,
    wire::{DiffLine, SettingValue},
};
use plimsoll_services::managed::Launch;

use crate::logging::redact::secrets;

/// Of variables their names, of a command what is no key, of the rest the value.
pub(super) fn said(key: &str, value: &SettingValue) -> String {
    match (field(key), value) {
        (Some("env"), SettingValue::List(variables)) => {
            let name = |text: &String| text.split('=').next().unwrap_or_default().to_owned();
            plain(&SettingValue::List(variables.iter().map(name).collect()))
        }
        (Some("command"), SettingValue::List(words)) => plain(&SettingValue::List(shown(words))),
        _ => secrets(&plain(value)).into_owned(),
    }
}

/// A diff without the lines on which a secret stands or may stand.
pub(super) fn without_secrets(lines: &[DiffLine], old: &Loaded, new: &Loaded) -> Vec<DiffLine> {
    let (old, new) = (secret_lines(old), secret_lines(new));
    let place = |places: &[RangeInclusive<u32>], line: Option<u32>| {
        let within = |line| places.iter().find(|place| place.contains(&line));
        line.and_then(|line| within(line).map(|place| *place.start() == line))
    };
    let shown = |line: &DiffLine| {
        let hides = place(&new, line.new_line).or(place(&old, line.old_line));
        let text = match hides {
            None => secrets(&line.text).into_owned(),
            Some(first) => {
                let begin = line.text.split_once('=').map(|(key, _)| format!("{key}= …"));
                begin.filter(|_| first).unwrap_or_else(|| "…".into())
            }
        };
        DiffLine { text, ..line.clone() }
    };
    lines.iter().map(shown).collect()
}

/// The lines of variables, and of commands in which a key stands.
fn secret_lines(loaded: &Loaded) -> Vec<RangeInclusive<u32>> {
    let entries = &loaded.config.services.entries;
    let secret =
        |id: &str| entries.get(id).is_none_or(|entry| shown(&entry.command) != entry.command);
    let commands = lines_of(&loaded.text, "command").into_iter().filter(|(id, _)| secret(id));
    let variables = lines_of(&loaded.text, "env");
    variables.into_iter().chain(commands).map(|(_, lines)| lines).collect()
}

/// A command as it may be shown.
fn shown(words: &[String]) -> Vec<String> {
    let Some((program, arguments)) = words.split_first() else { return Vec::new() };
    let (program, arguments) = (program.clone(), arguments.to_vec());
    let shown = Launch { program, arguments, cwd: "/".into(), env: Vec::new() }.shown();
    shown.iter().map(|word| secrets(word).into_owned()).collect()
}

/// The field of a service that the key names.
fn field(key: &str) -> Option<&str> {
    key.strip_prefix("services.")?.split_once('.').map(|(_, field)| field)
}
