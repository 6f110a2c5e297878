//! How fast each core runs now.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use plimsoll_core::{clock::Instant3, metric::Metric, reading::Reading};

use crate::{kept::Kept, roots::Roots, text};

/// Cores are switched on and off, and drivers come late.
const LOOK_AGAIN_MS: i64 = 60_000;

/// From cpufreq, or from `/proc/cpuinfo` where there is no such driver (in virtual
/// machines; ARM says nothing there, and so neither do we).
pub struct Frequency {
    folder: PathBuf,
    looked_ms: Option<i64>,
    cores: Vec<(Arc<str>, Kept)>,
    cpuinfo: Kept,
}

// === impl Frequency ===

impl Frequency {
    pub fn new(roots: &Roots) -> Self {
        Self {
            folder: roots.sys.join("devices/system/cpu"),
            looked_ms: None,
            cores: Vec::new(),
            cpuinfo: Kept::new(roots.proc.join("cpuinfo")),
        }
    }

    pub fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) {
        if self.looked_ms.is_none_or(|at| now.monotonic_ms - at >= LOOK_AGAIN_MS) {
            self.looked_ms = Some(now.monotonic_ms);
            let found = cores(&self.folder);
            let same = found.iter().map(|(core, _)| core).eq(self.cores.iter().map(|(c, _)| c));
            if !same {
                self.cores = found;
            }
        }
        for (subject, file) in &mut self.cores {
            // A core that is offline has no frequency.
            let khz = file.read().ok().and_then(text::only_number);
            if let Some(khz) = khz.filter(|&khz| khz > 0) {
                #[expect(clippy::cast_precision_loss, reason = "a frequency")]
                out.push(Reading::gauge(Metric::CoreFrequency, subject, khz as f64 / 1000.0));
            }
        }
        if !self.cores.is_empty() {
            return;
        }
        if let Ok(bytes) = self.cpuinfo.read() {
            for (core, mhz) in from_cpuinfo(bytes) {
                out.push(Reading::gauge(Metric::CoreFrequency, &core.into(), mhz));
            }
        }
    }
}

fn cores(folder: &Path) -> Vec<(Arc<str>, Kept)> {
    let mut cores: Vec<(u32, Kept)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix("cpu")?.parse().ok()?;
            let path = entry.path().join("cpufreq/scaling_cur_freq");
            path.exists().then(|| (number, Kept::new(path)))
        })
        .collect();
    cores.sort_by_key(|&(number, _)| number);
    cores.into_iter().map(|(number, file)| (number.to_string().into(), file)).collect()
}

/// Number of the core, and its frequency in MHz.
fn from_cpuinfo(bytes: &[u8]) -> impl Iterator<Item = (String, f64)> {
    let mut core = None;
    text::lines(bytes).filter_map(move |line| {
        let colon = line.iter().position(|&b| b == b':')?;
        let value = line[colon + 1..].trim_ascii();
        match line[..colon].trim_ascii() {
            b"processor" => core = text::number(value),
            b"cpu MHz" => {
                let mhz = text::decimal(value).filter(|&mhz| mhz > 0.0)?;
                return Some((core?.to_string(), mhz));
            }
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cpufreq_is_asked_first_also_when_it_comes_late_and_cpuinfo_where_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        std::fs::create_dir_all(&roots.proc).unwrap();
        let cpuinfo = "processor\t: 0\ncpu MHz\t\t: 2800.5\n\nprocessor\t: 1\ncpu MHz\t\t: 0\n";
        std::fs::write(roots.proc.join("cpuinfo"), cpuinfo).unwrap();
        let at = |ms| Instant3 { wall_ms: ms, monotonic_ms: ms, boottime_ms: ms };
        let mut out = Vec::new();
        let mut frequency = Frequency::new(&roots);
        frequency.read(at(0), &mut out);
        assert_eq!(out, [Reading::gauge(Metric::CoreFrequency, &"0".into(), 2800.5)]);

        let cpu = roots.sys.join("devices/system/cpu");
        for (core, khz) in [("cpu10", "800000\n"), ("cpu2", "4500123\n")] {
            std::fs::create_dir_all(cpu.join(core).join("cpufreq")).unwrap();
            std::fs::write(cpu.join(core).join("cpufreq/scaling_cur_freq"), khz).unwrap();
        }
        out.clear();
        // A core that was switched on meanwhile is found, and so is a driver.
        frequency.read(at(LOOK_AGAIN_MS), &mut out);
        assert_eq!(
            out,
            [
                Reading::gauge(Metric::CoreFrequency, &"2".into(), 4500.123),
                Reading::gauge(Metric::CoreFrequency, &"10".into(), 800.0),
            ]
        );
    }

    proptest! {
        #[test]
        fn garbage_is_no_frequency_and_no_panic(bytes: Vec<u8>) {
            from_cpuinfo(&bytes).for_each(drop);
        }
    }
}
