//! What goes into a bundle for a bug report: the doctor's report, the
//! configuration, the log. All of it passes the redactor.

use std::{fs, io, path::Path};

use serde::Serialize;

use super::{Patient, examine};
use crate::{
    api::{Fault, FaultCode, Written},
    folder::cannot,
    logging::{bundle::Bundle, redact::Redactor},
};

/// Writes the bundle; `extra` are further files by name. Blocks.
pub fn write(
    patient: &Patient,
    extra: Vec<(String, String)>,
    path: &Path,
    at_ms: i64,
) -> Result<Written, Fault> {
    let mut bundle = Bundle::new(Redactor::of_this_machine());
    bundle.add("doctor.json", &json(&examine(patient)));
    if let Some(status) = &patient.status {
        bundle.add("status.json", &json(status));
    }
    for (name, text) in extra {
        bundle.add(&name, &text);
    }
    // A file that cannot be read is left out; the report says why.
    let _ = bundle.add_file("plimsoll.toml", &patient.config_path);
    let logs = patient.data.join("logs");
    let mut names: Vec<_> = fs::read_dir(&logs)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("plimsoll.log") || name.starts_with("plimsoll-window.log"))
        .collect();
    names.sort();
    for name in names {
        let _ = bundle.add_file(&format!("logs/{name}"), &logs.join(&name));
    }
    let bytes = bundle.write(path, at_ms).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Fault::new(FaultCode::Conflict, format!("{} exists already.", path.display()))
                .hint("Name a new file; nothing is overwritten.")
        }
        _ => cannot("write", path, &error),
    })?;
    Ok(Written { path: path.display().to_string(), bytes })
}

/// For reading by people, too.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_written_once_and_never_over_something() {
        let dir = tempfile::tempdir().unwrap();
        let patient = Patient { data: dir.path().to_path_buf(), ..Patient::default() };
        let path = dir.path().join("bundle.tar.gz");
        let written = write(&patient, Vec::new(), &path, 0).unwrap();
        assert_eq!(written.bytes, fs::metadata(&path).unwrap().len());
        let fault = write(&patient, Vec::new(), &path, 0).unwrap_err();
        assert_eq!(fault.code, FaultCode::Conflict);
    }
}
