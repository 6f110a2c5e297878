//! Which processes are Plimsoll's own, its window's among them, and what they hold.

use rustc_hash::{FxHashMap, FxHashSet};

use super::known::Known;

/// Programs that belong to Plimsoll, whoever started them.
const NAMES: [&str; 2] = ["plimsoll", "plimsoll-desktop"];

/// What the window starts for itself. Some of it has a group of its own.
const OF_THE_WINDOW: [&str; 3] = ["bwrap", "xdg-dbus-proxy", "WebKit"];

/// Marks this process, those of its name, and all that they started, apart from the
/// services that Plimsoll runs: each of them leads a group, and is looked at as one that
/// somebody else started.
pub fn mark(processes: &mut FxHashMap<i32, Known>) {
    let own_pid = i32::try_from(std::process::id()).unwrap_or(0);
    let own_uid = processes.get(&own_pid).map(|known| known.facts.uid);
    let is_root = |pid: i32, known: &Known| {
        pid == own_pid || (NAMES.contains(&&*known.facts.name) && Some(known.facts.uid) == own_uid)
    };
    let roots: FxHashSet<i32> = processes
        .iter()
        .filter(|&(&pid, known)| is_root(pid, known))
        .map(|(&pid, _)| pid)
        .collect();
    let is_service = |pid: i32, known: &Known| {
        let window = OF_THE_WINDOW.iter().any(|name| known.comm.starts_with(name.as_bytes()));
        known.group == pid && roots.contains(&known.parent) && !roots.contains(&pid) && !window
    };
    let mut own: Vec<i32> = roots.iter().copied().collect();
    let mut children: FxHashMap<i32, Vec<i32>> = FxHashMap::default();
    for (&pid, known) in processes.iter().filter(|&(&pid, known)| !is_service(pid, known)) {
        children.entry(known.parent).or_default().push(pid);
    }
    processes.values_mut().for_each(|known| known.own = false);
    while let Some(pid) = own.pop() {
        let Some(known) = processes.get_mut(&pid).filter(|known| !known.own) else { continue };
        known.own = true;
        own.extend(children.get(&pid).into_iter().flatten());
    }
}

/// VRAM of all that was marked. `None` where the driver does not say what one of
/// them holds; one that it does not list holds nothing.
pub fn vram(processes: &FxHashMap<i32, Known>) -> Option<u64> {
    let mut own = processes.values().filter(|known| known.own);
    if own.clone().any(|known| known.holds_unknown) {
        return None;
    }
    own.try_fold(0u64, |sum, known| sum.checked_add(known.vram_bytes.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::Machine;

    #[test]
    fn what_plimsoll_started_is_its_own() {
        let mut machine = Machine::new();
        let own_pid = i32::try_from(std::process::id()).unwrap();
        let own = own_pid;
        machine.run(own, "plimsoll-deskto", 1, 0, 700);
        machine.run(own + 1, "bwrap", own, 0, 700);
        machine.run(own + 2, "WebKitWebProces", own + 1, 0, 700);
        machine.run(own + 3, "ollama", 1, 0, 700);
        let held = [(own + 2, Some(100)), (own, Some(20)), (own + 3, Some(5000))];
        let table = machine.scan(&held);
        let own: Vec<bool> = table.processes.iter().map(|p| p.own).collect();
        assert_eq!(own, [true, true, true, false]);
        assert_eq!(machine.table.own_vram(), Some(120));
        machine.scan(&[held[0], (own_pid, None), held[2]]);
        assert_eq!(machine.table.own_vram(), None, "a part of it is not known");
    }

    #[test]
    fn a_service_that_plimsoll_runs_is_not_its_own() {
        let mut machine = Machine::new();
        let own = i32::try_from(std::process::id()).unwrap();
        // Each leads a group of its own.
        let lead = |pid: i32, name, parent| {
            machine.run(pid, name, parent, 0, 700);
            let path = machine.folder(pid).join("stat");
            let stat = std::fs::read_to_string(&path).unwrap();
            let led = stat.replace(&format!("{parent} 1 1 0"), &format!("{parent} {pid} 1 0"));
            std::fs::write(path, led).unwrap();
        };
        lead(own, "plimsoll", 1);
        lead(own + 1, "llama-server", own);
        machine.run(own + 2, "worker", own + 1, 0, 700);
        lead(own + 3, "bwrap", own);
        lead(own + 4, "sleep", own + 3);
        let table = machine.scan(&[(own + 1, Some(5000)), (own + 3, Some(7))]);
        let owned: Vec<bool> = table.processes.iter().map(|p| p.own).collect();
        assert_eq!(owned, [true, false, false, true, true]);
        assert_eq!(machine.table.own_vram(), Some(7));
    }
}
