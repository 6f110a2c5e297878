//! Plimsoll itself: folder, configuration, recording.

use std::{fs, os::unix::fs::MetadataExt};

use rustix::process::geteuid;

use super::{Patient, check};
use crate::{
    api::{Check, RecordingState, Verdict},
    folder::DataFolder,
    words::quoted,
};

pub fn checks(patient: &Patient) -> Vec<Check> {
    vec![running(patient), permissions(patient), configuration(patient), recording(patient)]
}

fn running(patient: &Patient) -> Check {
    let lock = patient.data.join("plimsoll.lock");
    let by_hand = format!("cat {}; plimsoll status", quoted(&lock));
    match DataFolder::owner(&patient.data) {
        Ok(Some(owner)) => check(
            "Running",
            Verdict::Good,
            format!("Process {} (version {}) owns the data folder.", owner.pid, owner.version),
            "",
            by_hand,
        ),
        Ok(None) => check(
            "Running",
            Verdict::Limited,
            "No Plimsoll runs on this data folder, so nothing is recorded now.",
            "Start `plimsoll up`, or open the window.",
            by_hand,
        ),
        Err(_) => check(
            "Running",
            Verdict::Unknown,
            "Somebody holds the data folder and does not say who.",
            "Try again in a second.",
            by_hand,
        ),
    }
}

fn permissions(patient: &Patient) -> Check {
    let by_hand = format!("ls -ld {}", quoted(&patient.data));
    let meta = match fs::metadata(&patient.data) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let finding = format!("{} is made at the first start.", patient.data.display());
            return check("Permissions", Verdict::Good, finding, "", by_hand);
        }
        Err(error) => {
            return check(
                "Permissions",
                Verdict::Bad,
                format!("{} cannot be looked at: {error}.", patient.data.display()),
                "Choose another folder with --data-dir.",
                by_hand,
            );
        }
    };
    let mode = meta.mode() & 0o777;
    let path = patient.data.display();
    if meta.uid() != geteuid().as_raw() {
        check(
            "Permissions",
            Verdict::Bad,
            format!("{path} belongs to user {}.", meta.uid()),
            "Choose another folder with --data-dir, or start as that user.",
            by_hand,
        )
    } else if mode & 0o077 != 0 {
        check(
            "Permissions",
            Verdict::Limited,
            format!("{path} is open to others (mode {mode:03o})."),
            format!("Close it: chmod 700 {}.", quoted(&patient.data)),
            by_hand,
        )
    } else if rustix::fs::access(&patient.data, rustix::fs::Access::WRITE_OK).is_err() {
        check(
            "Permissions",
            Verdict::Bad,
            format!("{path} cannot be written to."),
            format!("Allow it: chmod u+rwx {}; or the disk is read-only.", quoted(&patient.data)),
            by_hand,
        )
    } else {
        check(
            "Permissions",
            Verdict::Good,
            format!("{path} is yours alone (mode {mode:03o})."),
            "",
            by_hand,
        )
    }
}

fn configuration(patient: &Patient) -> Check {
    let path = quoted(&patient.config_path);
    let by_hand = format!("plimsoll config validate {path}");
    match patient.problems.first() {
        Some(problem) => check(
            "Configuration",
            Verdict::Bad,
            match problem.line {
                Some(line) => format!("{path}, line {line}: {}", problem.message),
                None => problem.message.clone(),
            },
            problem.hint.clone().unwrap_or_else(|| {
                "The last good configuration stays in force until it is mended.".into()
            }),
            by_hand,
        ),
        None if patient.config_path.exists() => {
            check("Configuration", Verdict::Good, format!("{path} is in order."), "", by_hand)
        }
        None => check(
            "Configuration",
            Verdict::Good,
            format!("There is no {path}: every setting has its default."),
            "",
            by_hand,
        ),
    }
}

fn recording(patient: &Patient) -> Check {
    let by_hand = "plimsoll history stats";
    let Some(status) = &patient.status else {
        let finding = "Not known: no Plimsoll is running.";
        return check("Recording", Verdict::Unknown, finding, "", by_hand);
    };
    match status.recording {
        RecordingState::Recording => check(
            "Recording",
            Verdict::Good,
            format!("{} series are recorded.", status.series),
            "",
            by_hand,
        ),
        RecordingState::Off => check(
            "Recording",
            Verdict::Limited,
            "Recording is switched off in the configuration.",
            "Switch it on with history.enabled = true.",
            by_hand,
        ),
        RecordingState::Paused => check(
            "Recording",
            Verdict::Bad,
            status.recording_reason.clone().unwrap_or_else(|| "Recording is paused.".into()),
            "The newest ten minutes are kept in memory; it goes on by itself when the cause is gone.",
            by_hand,
        ),
    }
}
