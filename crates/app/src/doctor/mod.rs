//! What works on this machine and what does not, with the command that checks
//! the same by hand. Looks only; changes nothing.

pub mod bundle;
mod desktop;
mod gpu;
mod own;
mod system;

use std::path::PathBuf;

use plimsoll_core::{
    config::{Config, wire::Problem},
    source::SourceStatus,
};

pub(crate) use self::system::existing;
use crate::api::{Check, DoctorReport, Status, Verdict};

/// What the doctor is told. Everything else it finds out itself.
#[derive(Clone, Debug, Default)]
pub struct Patient {
    pub data: PathBuf,
    pub config_path: PathBuf,
    pub config: Config,
    pub problems: Vec<Problem>,
    /// How the running Plimsoll is doing; `None` where none runs.
    pub status: Option<Status>,
    /// States of its sources.
    pub sources: Vec<SourceStatus>,
}

/// Runs every check. Takes up to a few seconds and blocks: not for the runtime's threads.
pub fn examine(patient: &Patient) -> DoctorReport {
    let mut checks = Vec::new();
    checks.extend(own::checks(patient));
    checks.extend(gpu::checks(patient));
    checks.extend(system::checks(patient));
    checks.extend(desktop::checks());
    DoctorReport { checks }
}

pub(crate) fn check(
    name: &str,
    verdict: Verdict,
    finding: impl Into<String>,
    advice: impl Into<String>,
    by_hand: impl Into<String>,
) -> Check {
    Check {
        name: name.into(),
        verdict,
        finding: finding.into(),
        advice: advice.into(),
        by_hand: by_hand.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // AA10
    #[test]
    fn every_check_says_how_to_check_it_by_hand_and_what_to_do_when_it_is_bad() {
        let dir = tempfile::tempdir().unwrap();
        let patient = Patient {
            data: dir.path().join("data"),
            config_path: dir.path().join("plimsoll.toml"),
            ..Patient::default()
        };
        let report = examine(&patient);
        let names: Vec<&str> = report.checks.iter().map(|c| c.name.as_str()).collect();
        for name in [
            "NVIDIA driver",
            "NVML",
            "WebKit",
            "Tray",
            "Ports",
            "Permissions",
            "Open files",
            "Disk",
        ] {
            assert!(names.contains(&name), "{name} is missing in {names:?}");
        }
        for check in &report.checks {
            assert!(!check.by_hand.is_empty(), "{} has no command", check.name);
            assert!(!check.finding.is_empty(), "{} found nothing", check.name);
            if check.verdict == Verdict::Bad {
                assert!(!check.advice.is_empty(), "{} gives no advice", check.name);
            }
        }
    }
}
