//! CPU time and memory of processes, from `/proc`.

use std::{
    fs,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A process that ends when this is dropped, and all that it started: a launcher such as
/// `dbus-run-session` does not pass the signal on, and what it leaves would be measured too.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let members = family(self.0.id()).unwrap_or_else(|_| vec![self.0.id()]);
        // SIGTERM first, so that programs clean up; the wait is bounded.
        signal(&members, Signal::TERM);
        for _ in 0..100 {
            let _ = self.0.try_wait();
            if !members.iter().any(|&pid| runs(pid)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        signal(&members, Signal::KILL);
        let _ = self.0.wait();
    }
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids.iter().filter_map(|&pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether it still does anything: one that has ended and was not waited for does not.
fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

pub fn start(command: &mut Command) -> Result<Running> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().map(Running).with_context(|| format!("cannot start {name}"))
}

/// The process and all its descendants.
pub fn family(root: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        if let Some(fields) = stat(pid) {
            parents.push((pid, fields[1].parse::<u32>().unwrap_or(0)));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

/// CPU time used so far, user and system, ended threads included. `None` once it is gone.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let fields = stat(pid)?;
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_millis(ticks * 1000 / per_second))
}

/// Resident memory in MB (10⁶ bytes).
pub fn rss_mb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Name of the program, as the kernel knows it.
pub fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// CPU seconds that the processes used during `span`.
pub fn used_during(pids: &[u32], span: Duration) -> Result<Duration> {
    let before: Vec<_> = pids.iter().map(|&pid| cpu_time(pid)).collect();
    std::thread::sleep(span);
    let mut used = Duration::ZERO;
    for (&pid, before) in pids.iter().zip(before) {
        match (before, cpu_time(pid)) {
            (Some(before), Some(after)) => used += after.saturating_sub(before),
            _ => bail!("{} ({pid}) ended while it was measured", name(pid)),
        }
    }
    Ok(used)
}

pub fn percent(used: Duration, span: Duration) -> f64 {
    100.0 * used.as_secs_f64() / span.as_secs_f64()
}

/// Fields of `/proc/PID/stat` after the name: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &text[text.rfind(')')? + 1..];
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
