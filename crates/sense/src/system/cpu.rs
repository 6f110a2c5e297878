//! CPU time, in all and per core, from `/proc/stat`.

use std::sync::Arc;

use plimsoll_core::{metric::Metric, reading::Reading, source::SourceError};

use crate::{kept::Kept, roots::Roots, text};

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
                let share = self.all.and_then(|before| times.busy_since(before));
                if let Some(percent) = share {
                    out.push(Reading::gauge(Metric::CpuBusy, machine, percent));
                }
                if share.is_some() || self.all.is_none() {
                    self.all = Some(times);
                }
                continue;
            };
            match self.cores.iter_mut().find(|core| core.number == number) {
                Some(core) => {
                    if let Some(percent) = times.busy_since(core.times) {
                        out.push(Reading::gauge(Metric::CoreBusy, &core.subject, percent));
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
    /// no tick has passed, or when a core came back and counts from elsewhere.
    pub fn busy_since(self, before: Times) -> Option<f64> {
        let total = self.total.checked_sub(before.total).filter(|&ticks| ticks > 0)?;
        // The kernel's idle columns can fall by a tick.
        let busy = self.busy.saturating_sub(before.busy).min(total);
        #[expect(clippy::cast_precision_loss, reason = "a share to a tenth of a percent")]
        Some(100.0 * busy as f64 / total as f64)
    }
}
