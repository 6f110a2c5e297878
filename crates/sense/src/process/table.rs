//! Every process that runs, found again at each scan.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use plimsoll_core::{
    clock::Instant3,
    process::{Process, ProcessTable},
};
use rustc_hash::FxHashMap;

use super::{
    Vram,
    facts::Facts,
    known::Known,
    listening::Listeners,
    names::{Total, totals},
    ours,
    stat::Stat,
    trace::Trace,
    users::Users,
};
use crate::{kept::fill, roots::Roots, system::Usage, text};

/// Bound of the processes that are kept; more are counted and not shown.
const MAX_PROCESSES: usize = 20_000;
/// Containers of which it is told how much they hold.
const MAX_CONTAINERS: usize = 64;
/// A process this young may still become another program, or be moved by systemd.
const YOUNG_MS: i64 = 10_000;
/// How far the start of the machine may seem to move before it is taken anew.
const BOOT_DRIFT_MS: i64 = 1_000;

pub struct Table {
    roots: Roots,
    proc: PathBuf,
    users: Users,
    listeners: Listeners,
    /// `None` where the system does not tell.
    containers: BTreeMap<String, Option<Usage>>,
    container_memory: BTreeMap<String, u64>,
    known: FxHashMap<i32, Known>,
    /// Processes of the last scan, with those beyond the bound.
    seen: usize,
    scan: u64,
    at: Option<Instant3>,
    boot_ms: i64,
    ticks_per_second: u64,
    page_bytes: u64,
    vram_unknown: Option<String>,
    buffer: Vec<u8>,
}

// === impl Table ===

impl Table {
    /// `now` says when the machine was started.
    pub fn new(roots: &Roots, now: Instant3) -> Self {
        Self {
            roots: roots.clone(),
            proc: roots.proc.clone(),
            containers: BTreeMap::new(),
            container_memory: BTreeMap::new(),
            users: Users::new(roots.etc.join("passwd")),
            listeners: Listeners::new(roots),
            known: FxHashMap::default(),
            seen: 0,
            scan: 0,
            at: None,
            boot_ms: now.wall_ms - now.boottime_ms,
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
            vram_unknown: None,
            buffer: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.seen
    }

    /// Reads every process once. One that ends meanwhile is left out.
    pub fn scan(&mut self, now: Instant3, vram: &Vram) -> io::Result<()> {
        let elapsed_ms = self.at.map(|before| now.monotonic_ms - before.monotonic_ms);
        let boot_ms = now.wall_ms - now.boottime_ms;
        if (boot_ms - self.boot_ms).abs() > BOOT_DRIFT_MS {
            self.boot_ms = boot_ms;
        }
        let entries = fs::read_dir(&self.proc)?;
        self.at = Some(now);
        self.scan += 1;
        self.seen = 0;
        if let Vram::Unknown(reason) = vram {
            self.vram_unknown = Some(reason.clone());
        }
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let vram = match vram {
                Vram::Known(held) => held.get(&pid).copied(),
                Vram::Unknown(_) => None,
            };
            self.look_at(pid, now, elapsed_ms, vram);
        }
        let scan = self.scan;
        self.known.retain(|_, known| known.scan == scan);
        self.listeners.scan(&mut self.known);
        ours::mark(&mut self.known);
        self.weigh_containers();
        if let Vram::Known(held) = vram {
            self.vram_unknown = self.why_unknown(held);
        }
        Ok(())
    }

    /// Reads what each container holds; where its group lies is looked up once.
    fn weigh_containers(&mut self) {
        let mut inside: BTreeMap<&str, i32> = BTreeMap::new();
        for (&pid, known) in &self.known {
            let Some(id) = known.facts.container.as_deref() else { continue };
            inside.entry(id).and_modify(|first| *first = pid.min(*first)).or_insert(pid);
        }
        self.containers.retain(|id, _| inside.contains_key(id.as_str()));
        for (id, pid) in inside {
            if !self.containers.contains_key(id) && self.containers.len() < MAX_CONTAINERS {
                let usage = Usage::of_container(&self.roots, pid, id);
                self.containers.insert(id.to_owned(), usage);
            }
        }
        let weigh = |(id, usage): (&String, &mut Option<Usage>)| {
            Some((id.clone(), usage.as_mut()?.read()?))
        };
        self.container_memory = self.containers.iter_mut().filter_map(weigh).collect();
    }

    /// `held` is what the driver says of it: nothing, or so much, or that it does not know.
    fn look_at(
        &mut self,
        pid: i32,
        now: Instant3,
        elapsed_ms: Option<i64>,
        held: Option<Option<u64>>,
    ) {
        let folder = self.proc.join(pid.to_string());
        let Ok(file) = fs::File::open(folder.join("stat")) else { return };
        let Ok(length) = fill(&file, &mut self.buffer) else { return };
        let Some(stat) = Stat::parse(&self.buffer[..length]) else { return };
        if stat.zombie {
            return;
        }
        self.seen += 1;
        let full = self.known.len() >= MAX_PROCESSES;
        let known = match self.known.entry(pid) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) if full => return,
            std::collections::hash_map::Entry::Vacant(place) => place.insert(Known::new(&stat)),
        };
        if known.started_ticks != stat.started_ticks {
            // The number has gone to another process.
            *known = Known::new(&stat);
        }
        let age_ms = now.boottime_ms - millis(stat.started_ticks, self.ticks_per_second);
        let fresh = known.scan == 0;
        if fresh || !known.settled || known.comm != stat.comm {
            let facts = if stat.kernel {
                let (name, user) = (text::string(stat.comm), self.users.name(0));
                Some(Facts { name, user, ..Facts::default() })
            } else {
                Facts::read(&folder, stat.comm, &mut self.users)
            };
            let Some(facts) = facts else {
                // It ended between two readings: not seen in this scan, it is forgotten.
                self.seen -= 1;
                return;
            };
            known.facts = facts;
            known.comm = stat.comm.to_vec();
            known.listening.look_again();
            known.settled = stat.kernel || age_ms > YOUNG_MS;
        }
        let used = stat.cpu_ticks.checked_sub(known.cpu_ticks).filter(|_| !fresh);
        known.cpu_percent = used.zip(elapsed_ms.filter(|&ms| ms > 0)).map(|(ticks, ms)| {
            #[expect(clippy::cast_precision_loss, reason = "a share to a tenth of a percent")]
            let percent =
                100_000.0 * ticks as f64 / (self.ticks_per_second * ms.unsigned_abs()) as f64;
            percent
        });
        known.scan = self.scan;
        known.parent = stat.parent;
        known.group = stat.group;
        known.cpu_ticks = stat.cpu_ticks;
        known.threads = stat.threads;
        known.rss_bytes = stat.rss_pages.saturating_mul(self.page_bytes);
        let vram = held.flatten();
        known.vram_bytes = vram;
        known.holds_unknown = held == Some(None);
        #[expect(clippy::cast_sign_loss, reason = "a share is not negative")]
        known.cpu.push(known.cpu_percent.map(|percent| (percent * 100.0).round() as u64));
        known.rss.push(Some(known.rss_bytes / 1024));
        if vram.is_some() && known.vram.is_none() {
            // As long as the others, so that their ends meet.
            let mut trace = Trace::default();
            (1..known.rss.points().count()).for_each(|_| trace.push(None));
            known.vram = Some(trace);
        }
        if let Some(trace) = &mut known.vram {
            trace.push(vram.map(|bytes| bytes / 1024));
        }
    }

    /// A driver may list processes and still say nothing that is of use.
    fn why_unknown(&self, held: &FxHashMap<i32, Option<u64>>) -> Option<String> {
        if held.is_empty() {
            return None;
        }
        if held.values().all(Option::is_none) {
            return Some(
                "The driver lists the processes on the GPU, but not how much they hold.".into(),
            );
        }
        let none_is_ours = !held.keys().any(|pid| self.known.contains_key(pid));
        none_is_ours.then(|| {
            "The processes on the GPU run outside of this container and cannot be told apart."
                .into()
        })
    }

    /// VRAM of Plimsoll and its window; `None` where the driver does not say.
    pub fn own_vram(&self) -> Option<u64> {
        if self.vram_unknown.is_some() { None } else { ours::vram(&self.known) }
    }

    /// Sums by name.
    pub fn totals(&self) -> FxHashMap<&str, Total> {
        totals(self.known.values())
    }

    pub fn get(&self, pid: i32) -> Option<&Known> {
        self.known.get(&pid)
    }

    pub fn process(&self, pid: i32) -> Option<Process> {
        let known = self.known.get(&pid)?;
        Some(Process {
            pid,
            parent: known.parent,
            name: known.facts.name.clone(),
            command: known.facts.command.clone(),
            uid: known.facts.uid,
            user: known.facts.user.clone(),
            container: known.facts.container.clone(),
            unit: known.facts.unit.clone(),
            cpu_percent: known.cpu_percent,
            rss_bytes: known.rss_bytes,
            vram_bytes: known.vram_bytes,
            threads: known.threads,
            ports: known.listening.ports.clone(),
            started_ms: self.started_ms(known.started_ticks),
            #[expect(clippy::cast_precision_loss, reason = "hundredths of a percent, drawn")]
            cpu_trace: known.cpu.points().map(|p| p.map(|v| v as f32 / 100.0)).collect(),
            own: known.own,
        })
    }

    pub fn published(&self, interval_ms: u32) -> ProcessTable {
        let mut pids: Vec<i32> = self.known.keys().copied().collect();
        pids.sort_unstable();
        ProcessTable {
            at_ms: self.at.map_or(0, |at| at.wall_ms),
            interval_ms,
            processes: pids.into_iter().filter_map(|pid| self.process(pid)).collect(),
            container_memory: self.container_memory.clone(),
            vram_unknown: self.vram_unknown.clone(),
        }
    }

    /// When a process started, in milliseconds since 1970.
    pub fn started_ms(&self, started_ticks: u64) -> i64 {
        self.boot_ms.saturating_add(millis(started_ticks, self.ticks_per_second))
    }
}

fn millis(ticks: u64, per_second: u64) -> i64 {
    i64::try_from(ticks.saturating_mul(1000) / per_second).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use plimsoll_core::clock::{Clock, ManualClock};

    use super::*;

    pub struct Machine {
        _dir: tempfile::TempDir,
        pub table: Table,
        clock: ManualClock,
    }

    impl Machine {
        pub fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let roots = Roots::below(dir.path());
            fs::create_dir_all(&roots.proc).unwrap();
            fs::create_dir_all(&roots.etc).unwrap();
            fs::write(roots.etc.join("passwd"), "ada:x:1000:1000::/:\n").unwrap();
            let clock = ManualClock::at(1_700_000_000_000);
            let mut table = Table::new(&roots, clock.now());
            (table.ticks_per_second, table.page_bytes) = (100, 4096);
            Self { _dir: dir, table, clock }
        }

        pub fn folder(&self, pid: i32) -> PathBuf {
            self.table.proc.join(pid.to_string())
        }

        pub fn run(&self, pid: i32, comm: &str, parent: i32, cpu_ticks: u64, started: u64) {
            let folder = self.folder(pid);
            fs::create_dir_all(&folder).unwrap();
            let stat = format!(
                "{pid} ({comm}) S {parent} 1 1 0 -1 4194304 0 0 0 0 {cpu_ticks} 0 0 0 20 0 3 0 \
                 {started} 1 256 1\n"
            );
            fs::write(folder.join("stat"), stat).unwrap();
            let write = |name: &str, text: &str| {
                let path: &Path = &folder.join(name);
                fs::write(path, text).unwrap();
            };
            write("cmdline", &format!("/bin/{comm}\0--x\0"));
            write("status", "Uid:\t1000\t1000\t1000\t1000\n");
            write("cgroup", "0::/system.slice/ollama.service\n");
        }

        pub fn scan(&mut self, vram: &[(i32, Option<u64>)]) -> ProcessTable {
            let vram = Vram::Known(vram.iter().copied().collect());
            self.table.scan(self.clock.now(), &vram).unwrap();
            self.table.published(5000)
        }
    }

    #[test]
    fn a_process_has_no_cpu_share_at_first_sight() {
        let mut machine = Machine::new();
        machine.run(50, "ollama", 1, 1000, 700);
        let first = machine.scan(&[]).processes.remove(0);
        assert_eq!(first.cpu_percent, None);
        assert_eq!((first.rss_bytes, first.threads), (256 * 4096, 3));
        assert_eq!((&*first.user, first.unit.as_deref()), ("ada", Some("ollama.service")));
        assert_eq!(first.command, "/bin/ollama --x");
        assert_eq!(first.started_ms, 1_700_000_000_000 + 7_000);

        machine.clock.advance_ms(5000);
        machine.run(50, "ollama", 1, 1250, 700);
        let second = machine.scan(&[]).processes.remove(0);
        assert_eq!(second.cpu_percent, Some(50.0));
        assert_eq!(second.cpu_trace, [None, Some(50.0)]);
        assert_eq!(second.started_ms, first.started_ms);
    }

    #[test]
    fn a_pid_that_was_given_away_is_another_process() {
        let mut machine = Machine::new();
        machine.run(50, "ollama", 1, 9000, 700);
        machine.scan(&[(50, Some(1 << 30))]);
        machine.clock.advance_ms(5000);
        machine.run(50, "bash", 1, 3, 900);
        let process = machine.scan(&[]).processes.remove(0);
        assert_eq!((&*process.name, process.cpu_percent), ("bash", None));
        assert_eq!((process.cpu_trace.len(), process.vram_bytes), (1, None));
        assert!(machine.table.get(50).unwrap().vram_trace().is_empty());
    }

    #[test]
    fn a_process_that_ended_is_forgotten() {
        let mut machine = Machine::new();
        machine.run(50, "ollama", 1, 0, 700);
        machine.run(51, "bash", 1, 0, 800);
        assert_eq!(machine.scan(&[]).processes.len(), 2);
        fs::remove_dir_all(machine.folder(50)).unwrap();
        let table = machine.scan(&[]);
        assert_eq!(table.processes.len(), 1);
        assert_eq!(machine.table.known.len(), 1);
    }

    #[test]
    fn a_process_that_ends_while_it_is_read_is_left_out_and_is_not_roots() {
        let mut machine = Machine::new();
        machine.run(50, "ollama", 1, 0, 700);
        machine.run(51, "bash", 1, 0, 700);
        fs::remove_file(machine.folder(51).join("status")).unwrap();
        let table = machine.scan(&[]);
        assert_eq!(table.processes.iter().map(|p| p.pid).collect::<Vec<_>>(), [50]);
        assert_eq!(machine.table.len(), 1);
    }

    #[test]
    fn vram_that_the_driver_does_not_say_is_unknown_and_not_zero() {
        let mut machine = Machine::new();
        for pid in 50..53 {
            machine.run(pid, "python3", 1, 0, 700);
        }
        let table = machine.scan(&[(50, Some(3 << 30)), (51, None)]);
        let vram: Vec<_> = table.processes.iter().map(|p| p.vram_bytes).collect();
        assert_eq!(vram, [Some(3 << 30), None, None]);
        // What they hold together is not known as long as one of them is not.
        assert_eq!(machine.table.totals()["python3"].vram_bytes, None);
        machine.scan(&[(50, Some(3 << 30)), (51, Some(1 << 30))]);
        assert_eq!(machine.table.totals()["python3"].vram_bytes, Some(4 << 30));

        let unknown = Vram::Unknown("no driver".into());
        machine.table.scan(machine.clock.now(), &unknown).unwrap();
        assert_eq!(machine.table.published(5000).vram_unknown.as_deref(), Some("no driver"));
        assert_eq!(machine.table.own_vram(), None);
        let trace = machine.table.get(50).unwrap().vram_trace();
        assert_eq!(trace, [Some(3 << 30), Some(3 << 30), None]);
    }

    #[test]
    fn a_program_that_another_replaced_gets_its_new_name() {
        let mut machine = Machine::new();
        machine.run(50, "bash", 1, 0, 0);
        machine.clock.advance_ms(60_000);
        assert_eq!(machine.scan(&[]).processes[0].name, "bash");
        machine.run(50, "llama-server", 1, 0, 0);
        let process = machine.scan(&[]).processes.remove(0);
        assert_eq!((&*process.name, &*process.command), ("llama-server", "/bin/llama-server --x"));
    }
}
