//! What may not be changed from a browser.
//!
//! Its cookie goes to every server on this machine's loopback address, whatever the
//! port, so a program that is no friend could come to hold it. It may then read what
//! the page shows; it may not make Plimsoll start a program, load a library, send a
//! key somewhere or let others in at the gateway.

use plimsoll_core::config::{
    Environment, Loaded, changed_between,
    wire::{Problem, SettingState, SettingValue},
};

use crate::api::{Fault, FaultCode};

/// As whom the page's door lets a browser ask, whatever it says of itself.
pub const BROWSER: &str = "browser";

/// The settings of a service that decide what is started, how, which file is sent, and to whom.
const OF_A_SERVICE: [&str; 5] = ["command", "env", "cwd", "key_file", "ca_file"];
/// Where they are changed.
const INSTEAD: &str = "What is started, loaded or sent as a key, and who may come to the gateway, \
                       is set in Plimsoll's own window, with `plimsoll config set` in a terminal, \
                       or in the file.";
/// A library that is loaded into Plimsoll, and who may come to the gateway.
const WHOLE: [&str; 6] = [
    "gpu.nvml_path",
    "gateway.address",
    "gateway.also",
    "gateway.hosts",
    "gateway.origins",
    "gateway.keys",
];

/// Refuses a text that would change one of them, however the change was made.
///
/// # Errors
/// `Denied`, naming the settings and where they can be changed.
pub(super) fn judge(good: &Loaded, text: &str, environment: &Environment) -> Result<(), Fault> {
    let keys = refused(good, text, environment);
    if keys.is_empty() {
        return Ok(());
    }
    let more = keys.len().saturating_sub(3);
    let mut named = keys[..keys.len() - more].join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    Err(Fault::new(
        FaultCode::Denied,
        format!("This would change {named}, which a browser may not: nothing was changed."),
    )
    .hint(INSTEAD))
}

/// The same, told before anybody applies it: one problem for each of the settings.
pub(super) fn foresee(good: &Loaded, text: &str, environment: &Environment) -> Vec<Problem> {
    let problem = |key: String| Problem {
        line: None,
        column: None,
        message: format!("{key} may not be changed from a browser."),
        key: Some(key),
        hint: Some(INSTEAD.into()),
        mend: None,
    };
    refused(good, text, environment).into_iter().map(problem).collect()
}

fn refused(good: &Loaded, text: &str, environment: &Environment) -> Vec<String> {
    let next = Loaded::of(text.to_owned(), environment);
    let mut keys = guarded(&good.settings, &next.settings);
    // What a variable hides now holds as soon as it is unset.
    let plain = |text: &str| Loaded::of(text.to_owned(), &Environment::default()).settings;
    keys.extend(guarded(&plain(&good.text), &plain(text)));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The settings among the changed ones. A service that goes away takes its own with it.
fn guarded(old: &[SettingState], new: &[SettingState]) -> Vec<String> {
    let value = |key: &str| new.iter().find(|state| state.key == key).map(|state| &state.value);
    let is_set = |key: &str| value(key).is_some_and(|v| *v != SettingValue::Text(String::new()));
    let is_guarded = |key: &str| {
        let Some((id, field)) = key.strip_prefix("services.").and_then(|k| k.split_once('.'))
        else {
            return WHOLE.contains(&key);
        };
        if OF_A_SERVICE.contains(&field) {
            return is_set(&format!("services.{id}.url"));
        }
        // The key would go to the new address.
        field == "url" && is_set(&format!("services.{id}.key_file"))
    };
    let changed = changed_between(old, new).into_iter().map(|change| change.key);
    changed.filter(|key| is_guarded(key)).collect()
}
