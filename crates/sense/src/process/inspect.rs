//! A closer look at one process, and its end.

use std::{
    fs, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use plimsoll_core::process::{EndProcess, ProcessDetail};
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal},
};

use super::{listening, stat::Stat, table::Table};
use crate::{
    roots::Roots,
    sources::{Inspect, InspectError},
    system::Limits,
};

/// Bound of the addresses that are told.
const MAX_LISTENS: usize = 64;

pub struct Inspector {
    roots: Roots,
    table: Arc<Mutex<Table>>,
}

// === impl Inspector ===

impl Inspector {
    pub fn new(roots: &Roots, table: Arc<Mutex<Table>>) -> Self {
        Self { roots: roots.clone(), table }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the process of that number started; `None` when there is none.
    fn started_ms(&self, pid: i32) -> Option<i64> {
        let bytes = fs::read(self.roots.proc.join(pid.to_string()).join("stat")).ok()?;
        let stat = Stat::parse(&bytes).filter(|stat| !stat.zombie)?;
        Some(self.table().started_ms(stat.started_ticks))
    }

    /// What a person calls it, and why it must live where it must.
    fn refusal(&self, pid: i32) -> Result<String, InspectError> {
        let refused = |text: String| Err(InspectError::Refused(text));
        if pid <= 0 {
            return refused(format!("{pid} is not the number of a process."));
        }
        if pid == 1 {
            return refused(
                "Process 1 runs the whole system; ending it would stop the machine.".into(),
            );
        }
        if u32::try_from(pid) == Ok(std::process::id()) {
            return refused(
                "This is Plimsoll itself. Quit it from its menu, or stop `plimsoll up`.".into(),
            );
        }
        let table = self.table();
        let Some(known) = table.get(pid) else {
            return Ok(format!("process {pid}"));
        };
        let name = &known.facts.name;
        if known.kernel {
            return refused(format!(
                "{name} ({pid}) is a thread of the kernel and cannot be ended."
            ));
        }
        if known.own {
            return refused(format!(
                "{name} ({pid}) is a part of Plimsoll. Quit Plimsoll to end it."
            ));
        }
        Ok(format!("{name} ({pid})"))
    }
}

impl Inspect for Inspector {
    fn detail(&self, pid: i32) -> Result<ProcessDetail, InspectError> {
        let gone = || InspectError::Gone(format!("Process {pid} has ended."));
        // What the table knows first, and the lock is given back before anything is read.
        let (process, parent_name, rss_trace, vram_trace) = {
            let table = self.table();
            let process = table.process(pid).ok_or_else(gone)?;
            let known = table.get(pid).ok_or_else(gone)?;
            let parent = table.get(process.parent).map(|known| known.facts.name.clone());
            (process, parent, known.rss_trace(), known.vram_trace())
        };
        if self.started_ms(pid) != Some(process.started_ms) {
            return Err(gone());
        }
        let folder = self.roots.proc.join(pid.to_string());
        let listens = listening::addresses(&folder);
        let stat = fs::read(folder.join("stat")).map_err(|_| gone())?;
        let nice = Stat::parse(&stat).ok_or_else(gone)?.nice;
        // Of another user's process the system tells less; what is not told stays empty.
        let looked_at = procfs::process::Process::new_with_root(folder).ok();
        let looked_at = looked_at.as_ref();
        Ok(ProcessDetail {
            process,
            nice,
            executable: looked_at.and_then(|p| p.exe().ok()).map(|path| path.display().to_string()),
            parent_name,
            open_files: looked_at
                .and_then(|p| p.fd_count().ok())
                .and_then(|count| u32::try_from(count).ok()),
            open_files_limit: looked_at.and_then(|p| p.limits().ok()).and_then(
                |limits| match limits.max_open_files.soft_limit {
                    procfs::process::LimitValue::Value(value) => Some(value),
                    procfs::process::LimitValue::Unlimited => None,
                },
            ),
            memory_limit_bytes: Limits::find(&self.roots, &pid.to_string()).memory_bytes,
            listens: listens.iter().take(MAX_LISTENS).map(SocketAddr::to_string).collect(),
            rss_trace,
            vram_trace,
        })
    }

    fn end(&self, request: &EndProcess) -> Result<String, InspectError> {
        let pid = request.pid;
        let name = self.refusal(pid)?;
        let changed = || {
            InspectError::Gone(format!(
                "Process {pid} is not the one you chose any more: it has ended. Nothing was done."
            ))
        };
        let number = Pid::from_raw(pid).ok_or_else(changed)?;
        // The descriptor names this very process, whatever becomes of its number
        // between the comparison and the signal.
        let handle = match rustix::process::pidfd_open(number, PidfdFlags::empty()) {
            Ok(handle) => Some(handle),
            Err(Errno::NOSYS) => None,
            Err(Errno::SRCH | Errno::INVAL) => return Err(changed()),
            Err(error) => return Err(failed(&name, pid, error)),
        };
        if self.started_ms(pid) != Some(request.started_ms) {
            return Err(changed());
        }
        let signal = if request.kill { Signal::KILL } else { Signal::TERM };
        let sent = match handle {
            Some(handle) => rustix::process::pidfd_send_signal(handle, signal),
            None => rustix::process::kill_process(number, signal),
        };
        match sent {
            Ok(()) if request.kill => Ok(format!("{name} was killed.")),
            Ok(()) => Ok(format!("{name} was asked to end.")),
            Err(Errno::SRCH) => Err(changed()),
            Err(error) => Err(failed(&name, pid, error)),
        }
    }
}

fn failed(name: &str, pid: i32, error: Errno) -> InspectError {
    if error == Errno::PERM {
        return InspectError::Denied(format!(
            "{name} belongs to another user, and the system does not let you end it. \
             An administrator can: `sudo kill {pid}`."
        ));
    }
    InspectError::Failed(format!("{name} could not be ended: {}", io::Error::from(error)))
}
