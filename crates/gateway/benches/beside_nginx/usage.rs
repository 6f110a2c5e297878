//! CPU time and memory of a process with its children, from `/proc`.

use std::fs;

/// Seconds of CPU that it and its children used, in user and kernel.
pub fn cpu(pid: u32) -> f64 {
    family(pid).into_iter().filter_map(ticks).sum::<u64>() as f64 / 100.0
}

/// Resident, in MB of a million bytes.
pub fn rss_mb(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib * 1024.0 / 1e6)
}

fn family(pid: u32) -> Vec<u32> {
    let children = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(children).unwrap_or_default();
    let mut all = vec![pid];
    all.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    all
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit_once(')')?.1;
    let field = |at: usize| after.split_whitespace().nth(at)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}
