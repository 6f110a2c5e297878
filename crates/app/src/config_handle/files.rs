//! Files that a change names and that have to be there already.
//!
//! A path alone is sound configuration: the text may be written before the file is, and a file can
//! go away later. Who sets this one setting has the file, though, and is told at once where it is
//! no file of certificates, instead of by a service that believes nobody any more.

use plimsoll_core::config::wire::{Change, Problem, SettingValue};

use crate::{api::Fault, dispatch::blocking, services::read_trust};

/// What is wrong with the files that these changes name, each at its setting.
pub(super) async fn judge(changes: &[Change]) -> Result<Vec<Problem>, Fault> {
    let named: Vec<(String, String)> = changes.iter().filter_map(certificates).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let problem = |(key, file): (String, String)| {
        let why = read_trust(&file).err()?;
        Some(Problem {
            line: None,
            column: None,
            message: format!("{key}: {why}"),
            key: Some(key),
            hint: Some(
                "Name a PEM file with the certificate of who signed the server's, or the \
                 server's own."
                    .into(),
            ),
            mend: None,
        })
    };
    blocking(move || named.into_iter().filter_map(problem).collect()).await
}

fn certificates(change: &Change) -> Option<(String, String)> {
    let (_, field) = change.key.strip_prefix("services.")?.split_once('.')?;
    match &change.value {
        Some(SettingValue::Text(file)) if field == "ca_file" && !file.is_empty() => {
            Some((change.key.clone(), file.clone()))
        }
        _ => None,
    }
}
