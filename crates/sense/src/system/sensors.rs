//! Temperatures, from hwmon or, where there is none, from thermal zones.
//!
//! A source of its own: some chips answer only after tens of milliseconds.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use plimsoll_core::{
    clock::Instant3,
    metric::Metric,
    reading::Reading,
    source::{Source, SourceError},
};
use tokio::sync::watch;

use crate::{kept::Kept, roots::Roots, sources::Options, text};

/// Sensors come and go with drivers and drives.
const LOOK_AGAIN_MS: i64 = 60_000;
/// How often to look while there is none.
const LOOK_FOR_FIRST_MS: i64 = 10_000;
/// Bound of the sensors that are read.
const MAX_SENSORS: usize = 32;
/// What no part of a computer has, in °C: chips that are not wired up say such things.
const PLAUSIBLE: std::ops::Range<f64> = -40.0..150.0;

pub struct Sensors {
    roots: Roots,
    options: watch::Receiver<Options>,
    looked_ms: Option<i64>,
    sensors: Vec<Sensor>,
}

struct Sensor {
    subject: Arc<str>,
    file: Kept,
}

// === impl Sensors ===

impl Sensors {
    pub fn new(roots: &Roots, options: watch::Receiver<Options>) -> Self {
        Self { roots: roots.clone(), options, looked_ms: None, sensors: Vec::new() }
    }
}

impl Source for Sensors {
    fn name(&self) -> &'static str {
        "sensors"
    }

    fn cadence(&self) -> Duration {
        if self.sensors.is_empty() && self.looked_ms.is_some() {
            // Nothing to read: only look again whether one has come.
            return Duration::from_millis(LOOK_FOR_FIRST_MS.unsigned_abs());
        }
        Duration::from_millis(u64::from(self.options.borrow().interval_ms))
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let every_ms = if self.sensors.is_empty() { 0 } else { LOOK_AGAIN_MS };
        if self.looked_ms.is_none_or(|at| now.monotonic_ms - at >= every_ms) {
            self.looked_ms = Some(now.monotonic_ms);
            let found = find(&self.roots);
            let same = found.len() == self.sensors.len()
                && found.iter().zip(&self.sensors).all(|(new, old)| {
                    new.subject == old.subject && new.file.path() == old.file.path()
                });
            if !same {
                self.sensors = found;
            }
        }
        for sensor in &mut self.sensors {
            let milli = sensor.file.read().ok().and_then(|b| text::signed(b.trim_ascii()));
            #[expect(clippy::cast_precision_loss, reason = "a temperature")]
            let celsius = milli.map(|milli| milli as f64 / 1000.0);
            if let Some(celsius) = celsius.filter(|celsius| PLAUSIBLE.contains(celsius)) {
                out.push(Reading::gauge(Metric::Temperature, &sensor.subject, celsius));
            }
        }
        Ok(())
    }
}

fn find(roots: &Roots) -> Vec<Sensor> {
    let mut found = Vec::new();
    for chip in sorted(&roots.sys.join("class/hwmon")) {
        let name = line(&chip.join("name")).unwrap_or_else(|| "hwmon".into());
        for input in sorted(&chip) {
            let Some(number) = input
                .file_name()
                .and_then(|f| f.to_str()?.strip_prefix("temp")?.strip_suffix("_input"))
                .map(str::to_owned)
            else {
                continue;
            };
            let label = line(&chip.join(format!("temp{number}_label")));
            // The package says what a person wants to know; sixteen cores do not.
            if name == "coretemp" && label.as_deref().is_some_and(|l| l.starts_with("Core ")) {
                continue;
            }
            let subject = match label {
                Some(label) => format!("{name} {label}"),
                None if number == "1" => name.clone(),
                None => format!("{name} temp{number}"),
            };
            found.push((subject, input));
        }
    }
    if found.is_empty() {
        for zone in sorted(&roots.sys.join("class/thermal")) {
            if let Some(kind) = line(&zone.join("type")) {
                let input = zone.join("temp");
                if input.exists() {
                    found.push((kind, input));
                }
            }
        }
    }
    let mut sensors: Vec<Sensor> = Vec::new();
    for (subject, path) in found.into_iter().take(MAX_SENSORS) {
        // Two drives of one kind have one name: the second gets a number.
        let like = |name: &str| sensors.iter().any(|s| &*s.subject == name);
        let name = if like(&subject) {
            (2..).map(|n| format!("{subject} {n}")).find(|name| !like(name)).unwrap_or(subject)
        } else {
            subject
        };
        sensors.push(Sensor { subject: name.into(), file: Kept::new(path) });
    }
    sensors
}

/// Entries in the order of the numbers in their names: `hwmon2` before `hwmon10`.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort_by_cached_key(|path| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let digits: String = name.chars().filter(char::is_ascii_digit).collect();
        (digits.parse::<u64>().unwrap_or(0), name)
    });
    paths
}

fn line(path: &Path) -> Option<String> {
    let text = text::string(&fs::read(path).ok()?);
    let text = text.trim();
    (!text.is_empty()).then(|| text.chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Vec<(String, f64)> {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        for (path, text) in files {
            let path = roots.sys.join("class").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (_options, options) = watch::channel(Options::default());
        let mut out = Vec::new();
        let now = Instant3 { wall_ms: 0, monotonic_ms: 0, boottime_ms: 0 };
        Sensors::new(&roots, options).read(now, &mut out).unwrap();
        out.iter().map(|r| (r.subject.to_string(), r.number())).collect()
    }

    #[test]
    fn sensors_have_names_and_bogus_ones_are_left_out() {
        let found = read(&[
            ("hwmon/hwmon0/name", "coretemp\n"),
            ("hwmon/hwmon0/temp1_input", "61000\n"),
            ("hwmon/hwmon0/temp1_label", "Package id 0\n"),
            ("hwmon/hwmon0/temp2_input", "60000\n"),
            ("hwmon/hwmon0/temp2_label", "Core 0\n"),
            ("hwmon/hwmon1/name", "nvme\n"),
            ("hwmon/hwmon1/temp1_input", "38850\n"),
            ("hwmon/hwmon1/temp1_label", "Composite\n"),
            ("hwmon/hwmon10/name", "nvme\n"),
            ("hwmon/hwmon10/temp1_input", "41850\n"),
            ("hwmon/hwmon10/temp1_label", "Composite\n"),
            ("hwmon/hwmon3/name", "nct6798\n"),
            ("hwmon/hwmon3/temp2_input", "-128000\n"),
            ("hwmon/hwmon3/temp3_input", "-5000\n"),
            ("thermal/thermal_zone0/type", "acpitz\n"),
            ("thermal/thermal_zone0/temp", "27800\n"),
        ]);
        let found: Vec<_> = found.iter().map(|(name, c)| (name.as_str(), *c)).collect();
        assert_eq!(
            found,
            [
                ("coretemp Package id 0", 61.0),
                ("nvme Composite", 38.85),
                ("nct6798 temp3", -5.0),
                ("nvme Composite 2", 41.85),
            ]
        );
    }

    #[test]
    fn a_sensor_that_comes_later_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        let (_options, options) = watch::channel(Options::default());
        let mut sensors = Sensors::new(&roots, options);
        let mut read = |ms| {
            let mut out = Vec::new();
            let now = Instant3 { wall_ms: ms, monotonic_ms: ms, boottime_ms: ms };
            sensors.read(now, &mut out).unwrap();
            (out.len(), sensors.cadence().as_millis())
        };
        assert_eq!(read(0), (0, 10_000));
        let zone = roots.sys.join("class/thermal/thermal_zone0");
        fs::create_dir_all(&zone).unwrap();
        fs::write(zone.join("type"), "cpu-thermal\n").unwrap();
        fs::write(zone.join("temp"), "45000\n").unwrap();
        assert_eq!(read(10_000), (1, 1000));
        fs::remove_dir_all(&zone).unwrap();
        assert_eq!(read(69_999).0, 1, "its open file still answers in this test");
        assert_eq!(read(70_000), (0, 10_000));
    }

    #[test]
    fn thermal_zones_are_read_where_there_is_no_hwmon() {
        let found = read(&[
            ("thermal/thermal_zone0/type", "x86_pkg_temp\n"),
            ("thermal/thermal_zone0/temp", "52000\n"),
            ("thermal/cooling_device0/type", "Processor\n"),
        ]);
        assert_eq!(found, [("x86_pkg_temp".to_owned(), 52.0)]);
    }
}
