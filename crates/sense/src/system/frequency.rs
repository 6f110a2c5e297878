//! How fast each core runs now.

use std::{fs, path::PathBuf, sync::Arc};

use plimsoll_core::{metric::Metric, reading::Reading};

use crate::{kept::Kept, roots::Roots, text};

/// From cpufreq, or from `/proc/cpuinfo` where there is no such driver (in virtual
/// machines; ARM says nothing there, and so neither do we).
pub struct Frequency {
    cores: Vec<(Arc<str>, Kept)>,
    cpuinfo: Option<Kept>,
}

// === impl Frequency ===

impl Frequency {
    pub fn new(roots: &Roots) -> Self {
        let cores = cores(roots.sys.join("devices/system/cpu"));
        let cpuinfo = cores.is_empty().then(|| Kept::new(roots.proc.join("cpuinfo")));
        Self { cores, cpuinfo }
    }

    pub fn read(&mut self, out: &mut Vec<Reading>) {
        for (subject, file) in &mut self.cores {
            // A core that is offline has no frequency.
            let khz = file.read().ok().and_then(text::only_number);
            if let Some(khz) = khz.filter(|&khz| khz > 0) {
                #[expect(clippy::cast_precision_loss, reason = "a frequency")]
                out.push(Reading::gauge(Metric::CoreFrequency, subject, khz as f64 / 1000.0));
            }
        }
        let Some(cpuinfo) = &mut self.cpuinfo else { return };
        if let Ok(bytes) = cpuinfo.read() {
            for (core, mhz) in from_cpuinfo(bytes) {
                out.push(Reading::gauge(Metric::CoreFrequency, &core.into(), mhz));
            }
        }
    }
}

fn cores(folder: PathBuf) -> Vec<(Arc<str>, Kept)> {
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
    fn cpufreq_is_asked_first_and_cpuinfo_where_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        std::fs::create_dir_all(&roots.proc).unwrap();
        let cpuinfo = "processor\t: 0\ncpu MHz\t\t: 2800.5\n\nprocessor\t: 1\ncpu MHz\t\t: 0\n";
        std::fs::write(roots.proc.join("cpuinfo"), cpuinfo).unwrap();
        let mut out = Vec::new();
        Frequency::new(&roots).read(&mut out);
        assert_eq!(out, [Reading::gauge(Metric::CoreFrequency, &"0".into(), 2800.5)]);

        let cpu = roots.sys.join("devices/system/cpu");
        for (core, khz) in [("cpu10", "800000\n"), ("cpu2", "4500123\n")] {
            std::fs::create_dir_all(cpu.join(core).join("cpufreq")).unwrap();
            std::fs::write(cpu.join(core).join("cpufreq/scaling_cur_freq"), khz).unwrap();
        }
        out.clear();
        Frequency::new(&roots).read(&mut out);
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
