//! Load and pressure: how much waits for the CPU, memory and disks.

use std::sync::Arc;

use plimsoll_core::{metric::Metric, reading::Reading};

use crate::{kept::Kept, roots::Roots, text};

/// `/proc/loadavg`, and the pressure files of kernels that have them.
pub struct Load {
    loadavg: Kept,
    pressures: Vec<Pressure>,
}

struct Pressure {
    file: Kept,
    /// The share of time in which at least one task waited.
    some: Metric,
    /// The share in which every task did; of no use for the CPU.
    full: Option<Metric>,
}

// === impl Load ===

impl Load {
    pub fn new(roots: &Roots) -> Self {
        let pressure = |name: &str, some, full| {
            let path = roots.proc.join("pressure").join(name);
            // Built without PSI or started with `psi=0`: then reading fails, now and later.
            let mut file = Kept::new(path);
            file.read().is_ok().then_some(Pressure { file, some, full })
        };
        Self {
            loadavg: Kept::new(roots.proc.join("loadavg")),
            pressures: [
                pressure("cpu", Metric::PressureCpu, None),
                pressure("memory", Metric::PressureMemorySome, Some(Metric::PressureMemoryFull)),
                pressure("io", Metric::PressureIoSome, Some(Metric::PressureIoFull)),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }

    pub fn read(&mut self, machine: &Arc<str>, out: &mut Vec<Reading>) {
        if let Ok(bytes) = self.loadavg.read() {
            let metrics = [Metric::Load1, Metric::Load5, Metric::Load15];
            for (metric, word) in metrics.into_iter().zip(text::words(bytes)) {
                if let Some(load) = text::decimal(word) {
                    out.push(Reading::gauge(metric, machine, load));
                }
            }
        }
        for pressure in &mut self.pressures {
            let Ok(bytes) = pressure.file.read() else { continue };
            let (some, full) = averages(bytes);
            let pairs = [(Some(pressure.some), some), (pressure.full, full)];
            for (metric, percent) in pairs {
                if let (Some(metric), Some(percent)) = (metric, percent) {
                    out.push(Reading::gauge(metric, machine, percent));
                }
            }
        }
    }
}

/// The averages over 10 s of a pressure file, in percent: `some` and `full`.
pub fn averages(bytes: &[u8]) -> (Option<f64>, Option<f64>) {
    let mut found = (None, None);
    for line in text::lines(bytes) {
        let mut words = text::words(line);
        let place = match words.next() {
            Some(b"some") => &mut found.0,
            Some(b"full") => &mut found.1,
            _ => continue,
        };
        *place = words.find_map(|word| text::decimal(word.strip_prefix(b"avg10=")?));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ten_second_averages_are_read() {
        let text = b"some avg10=1.53 avg60=0.20 avg300=0.05 total=123\n\
                     full avg10=0.25 avg60=0.00 avg300=0.00 total=45\n";
        assert_eq!(averages(text), (Some(1.53), Some(0.25)));
        assert_eq!(averages(b"some avg60=0.20\n"), (None, None));
    }

    proptest! {
        #[test]
        fn garbage_is_no_pressure_and_no_panic(bytes: Vec<u8>) {
            averages(&bytes);
        }
    }
}
