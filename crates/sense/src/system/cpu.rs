//! CPU time, in all and per core, from `/proc/stat`.

use std::sync::Arc;

use plimsoll_core::{metric::Metric, reading::Reading, source::SourceError};

use crate::{kept::Kept, roots::Roots, text};

/// Shares of less time are too coarse: a tenth of a second, mostly.
const LEAST_TICKS: u64 = 10;

pub struct Cpu {
    stat: Kept,
    all: Option<Times>,
    cores: Vec<Core>,
}

struct Core {
    number: usize,
    subject: Arc<str>,
    times: Times,
}

/// Time since the start of the machine, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Everything but idle and waiting for I/O.
    pub busy: u64,
    pub total: u64,
}

// === impl Cpu ===

impl Cpu {
    /// Takes the first measure at once, so that the first tick has something to compare with.
    pub fn new(roots: &Roots) -> Self {
        let mut cpu =
            Self { stat: Kept::new(roots.proc.join("stat")), all: None, cores: Vec::new() };
        let _ = cpu.read(&"".into(), &mut Vec::new());
        cpu
    }

    pub fn read(&mut self, machine: &Arc<str>, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        let path = self.stat.path().display().to_string();
        let bytes = self
            .stat
            .read()
            .map_err(|e| SourceError::Failed(format!("{path} cannot be read: {e}")))?;
        for line in text::lines(bytes) {
            // The lines about the cores come first; those about interrupts are long.
            let Some((core, times)) = Times::parse(line) else { break };
            let Some(number) = core else {
                let before = *self.all.get_or_insert(times);
                if let Some(percent) = times.busy_since(before) {
                    out.push(Reading::gauge(Metric::CpuBusy, machine, percent));
                    self.all = Some(times);
                } else if times.total < before.total {
                    self.all = Some(times);
                }
                continue;
            };
            match self.cores.iter_mut().find(|core| core.number == number) {
                Some(core) => {
                    if let Some(percent) = times.busy_since(core.times) {
                        out.push(Reading::gauge(Metric::CoreBusy, &core.subject, percent));
                        core.times = times;
                    } else if times.total < core.times.total {
                        core.times = times;
                    }
                }
                None => {
                    let subject = number.to_string().into();
                    self.cores.push(Core { number, subject, times });
                }
            }
        }
        Ok(())
    }
}

// === impl Times ===

impl Times {
    /// A line of `/proc/stat` about all cores (`None`) or one of them; nothing for other lines.
    ///
    /// Columns: user, nice, system, idle, iowait, irq, softirq, steal, guest,
    /// guest_nice; the last two are contained in user and nice.
    pub fn parse(line: &[u8]) -> Option<(Option<usize>, Times)> {
        let mut words = text::words(line);
        let name = words.next()?.strip_prefix(b"cpu")?;
        let core = match name {
            b"" => None,
            digits => Some(usize::try_from(text::number(digits)?).ok()?),
        };
        let mut times = Times::default();
        for (column, word) in words.take(8).enumerate() {
            let ticks = text::number(word)?;
            times.total = times.total.checked_add(ticks)?;
            if column != 3 && column != 4 {
                times.busy = times.busy.checked_add(ticks)?;
            }
        }
        Some((core, times))
    }

    /// Share of the time since `before` that was busy, in percent. Nothing while
    /// too few ticks have passed, or when a core came back and counts from elsewhere.
    pub fn busy_since(self, before: Times) -> Option<f64> {
        let total = self.total.checked_sub(before.total).filter(|&ticks| ticks >= LEAST_TICKS)?;
        // The kernel's idle columns can fall by a tick.
        let busy = self.busy.saturating_sub(before.busy).min(total);
        #[expect(clippy::cast_precision_loss, reason = "a share to a tenth of a percent")]
        Some(100.0 * busy as f64 / total as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waiting_for_io_is_not_busy_and_guests_are_not_counted_twice() {
        let line = b"cpu  100 20 30 800 40 5 3 2 50 7";
        let (core, times) = Times::parse(line).unwrap();
        assert_eq!(core, None);
        assert_eq!(times, Times { busy: 160, total: 1000 });
        assert_eq!(Times::parse(b"cpu12 1 1 1 1").unwrap().0, Some(12));
        assert_eq!(Times::parse(b"intr 5 6 7"), None);
    }

    #[test]
    fn a_share_needs_some_ticks_and_a_core_that_came_back_has_none() {
        let times = |busy, total| Times { busy, total };
        assert_eq!(times(30, 150).busy_since(times(10, 50)), Some(20.0));
        assert_eq!(times(11, 55).busy_since(times(10, 50)), None);
        assert_eq!(times(0, 10).busy_since(times(10, 50)), None);
        // Idle time that fell by a tick makes more than everything busy.
        assert_eq!(times(112, 150).busy_since(times(10, 50)), Some(100.0));
    }

    #[test]
    fn a_core_that_comes_back_is_measured_again() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::below(dir.path());
        std::fs::create_dir_all(&roots.proc).unwrap();
        let mut read = {
            let stat = roots.proc.join("stat");
            std::fs::write(&stat, "cpu 0 0 0 5000\ncpu1 0 0 0 5000\n").unwrap();
            let mut cpu = Cpu::new(&roots);
            move |text: &str| {
                std::fs::write(&stat, text).unwrap();
                let mut out = Vec::new();
                cpu.read(&"".into(), &mut out).unwrap();
                out.iter().map(|r| (r.metric, r.number())).collect::<Vec<_>>()
            }
        };
        assert_eq!(read("cpu 0 0 0 100\ncpu1 0 0 0 100\n"), []);
        let shares = [(Metric::CpuBusy, 50.0), (Metric::CoreBusy, 50.0)];
        assert_eq!(read("cpu 50 0 0 150\ncpu1 50 0 0 150\n"), shares);
    }

    proptest! {
        #[test]
        fn garbage_is_no_time_and_no_panic(bytes: Vec<u8>) {
            text::lines(&bytes).for_each(|line| { Times::parse(line); });
        }
    }
}
