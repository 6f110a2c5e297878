//! The limits of the container that Plimsoll runs in: control groups, version 2 and 1.
//!
//! A limit of any ancestor holds too, so the tightest one on the way up counts.
//! Where nothing limits us, nothing is said: then the machine's own figures hold.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use plimsoll_core::{clock::Instant3, metric::Metric, reading::Reading};

use crate::{kept::Kept, roots::Roots, text};

/// Limits change when a person changes them; which group we are in, almost never.
const LOOK_AGAIN_MS: i64 = 10_000;
/// Depth of groups that is looked at.
const MAX_DEPTH: usize = 32;

pub struct Cgroup {
    roots: Roots,
    looked_ms: Option<i64>,
    limits: Limits,
    usage: Option<Usage>,
}

/// What is allowed; `None` where there is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// In cores: 1.5 is one and a half.
    pub cpu_cores: Option<f64>,
    pub memory_bytes: Option<u64>,
    /// The group whose memory limit that is.
    memory_group: Option<PathBuf>,
    /// Version 1 names its files otherwise.
    v1: bool,
}

/// What a group holds.
pub struct Usage {
    group: PathBuf,
    current: Kept,
    stat: Kept,
    inactive: &'static [u8],
}

// === impl Cgroup ===

impl Cgroup {
    pub fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone(), looked_ms: None, limits: Limits::default(), usage: None }
    }

    pub fn read(&mut self, now: Instant3, machine: &Arc<str>, out: &mut Vec<Reading>) {
        if self.looked_ms.is_none_or(|at| now.monotonic_ms - at >= LOOK_AGAIN_MS) {
            self.looked_ms = Some(now.monotonic_ms);
            self.limits = Limits::find(&self.roots, "self");
            if self.usage.as_ref().map(|u| &u.group) != self.limits.memory_group.as_ref() {
                self.usage = self.limits.memory_group.as_deref().map(|g| self.limits.usage(g));
            }
        }
        if let Some(cores) = self.limits.cpu_cores {
            out.push(Reading::gauge(Metric::CgroupCpuLimit, machine, cores));
        }
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^53")]
        let mut gauge = |metric, bytes: u64| {
            out.push(Reading::gauge(metric, machine, bytes as f64));
        };
        if let Some(bytes) = self.limits.memory_bytes {
            gauge(Metric::CgroupMemoryLimit, bytes);
        }
        if let Some(bytes) = self.usage.as_mut().and_then(Usage::read) {
            gauge(Metric::CgroupMemoryUsed, bytes);
        }
    }
}

// === impl Usage ===

impl Usage {
    /// Of the container in which a process is, by the short id that its groups bear in
    /// their names. `None` where memory is not counted by it, or we may not look.
    pub fn of_container(roots: &Roots, pid: i32, id: &str) -> Option<Self> {
        let membership = fs::read(roots.proc.join(pid.to_string()).join("cgroup")).ok()?;
        let mount = roots.sys.join("fs/cgroup");
        let v1 =
            v1_group(&membership, "memory").and_then(|path| v1_folder(&mount, &["memory"], &path));
        let limits = Limits { v1: v1.is_some(), ..Limits::default() };
        let groups = v1.or_else(|| {
            let path = text::lines(&membership).find_map(|line| line.strip_prefix(b"0::"))?;
            Some(upwards(&mount, &text::string(path)))
        })?;
        // What runs within may have made groups of its own: the outermost is the container.
        let is_its = |group: &&PathBuf| {
            group.file_name().is_some_and(|name| name.to_string_lossy().contains(id))
        };
        groups.iter().rev().find(is_its).map(|group| limits.usage(group))
    }

    /// What the group holds without the cache that the kernel would give back first.
    pub fn read(&mut self) -> Option<u64> {
        let current = text::only_number(self.current.read().ok()?)?;
        // Without it the cache would be told as held, and a full cache is no full memory.
        let inactive = text::lines(self.stat.read().ok()?)
            .find_map(|line| text::number(line.strip_prefix(self.inactive)?.trim_ascii()))?;
        Some(current.saturating_sub(inactive))
    }
}

// === impl Limits ===

impl Limits {
    /// The limits that hold for a process (`self`, or a pid).
    pub fn find(roots: &Roots, process: &str) -> Self {
        let membership = fs::read(roots.proc.join(process).join("cgroup")).unwrap_or_default();
        let mount = roots.sys.join("fs/cgroup");
        let memory =
            v1_group(&membership, "memory").and_then(|path| v1_folder(&mount, &["memory"], &path));
        let cpu = v1_group(&membership, "cpu")
            .and_then(|path| v1_folder(&mount, &["cpu", "cpu,cpuacct", "cpuacct,cpu"], &path));
        let mut limits = if memory.is_some() || cpu.is_some() {
            let cpuset = v1_group(&membership, "cpuset")
                .and_then(|path| v1_folder(&mount, &["cpuset"], &path));
            Self::v1(memory, cpu, cpuset)
        } else {
            Self::v2(&membership, &mount)
        };
        // A limit above what the machine has limits nothing.
        let meminfo = fs::read(roots.proc.join("meminfo")).unwrap_or_default();
        let total = super::Meminfo::parse(&meminfo).total.unwrap_or(u64::MAX);
        if limits.memory_bytes.is_some_and(|bytes| bytes >= total) {
            limits.memory_bytes = None;
            limits.memory_group = None;
        }
        let online = fs::read(roots.sys.join("devices/system/cpu/online")).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        let all = cores_of(&online).map_or(f64::INFINITY, |cores| cores as f64);
        limits.cpu_cores = limits.cpu_cores.filter(|&cores| cores < all);
        limits
    }

    fn v2(membership: &[u8], mount: &Path) -> Self {
        let mut limits = Self::default();
        let Some(path) = text::lines(membership).find_map(|line| line.strip_prefix(b"0::")) else {
            return limits;
        };
        // In a hybrid hierarchy version 2 is mounted below, and has no controllers.
        for group in upwards(mount, &text::string(path)) {
            let read = |name: &str| fs::read(group.join(name)).unwrap_or_default();
            if let Some(bytes) = text::only_number(&read("memory.max")) {
                limits.tighten_memory(bytes, &group);
            }
            limits.tighten_cores(&read("cpuset.cpus.effective"));
            let cpu = read("cpu.max");
            let mut words = text::words(cpu.trim_ascii());
            if let (Some(quota), Some(period)) =
                (words.next().and_then(text::number), words.next().and_then(text::number))
            {
                limits.tighten_cpu(quota, period);
            }
        }
        limits
    }

    fn v1(
        memory: Option<Vec<PathBuf>>,
        cpu: Option<Vec<PathBuf>>,
        cpuset: Option<Vec<PathBuf>>,
    ) -> Self {
        let mut limits = Self { v1: true, ..Self::default() };
        let number = |group: &Path, name: &str| {
            text::only_number(&fs::read(group.join(name)).unwrap_or_default())
        };
        for group in memory.into_iter().flatten() {
            if let Some(bytes) = number(&group, "memory.limit_in_bytes") {
                limits.tighten_memory(bytes, &group);
            }
        }
        for group in cpu.into_iter().flatten() {
            // A quota of -1 is no limit, and no number here.
            if let (Some(quota), Some(period)) =
                (number(&group, "cpu.cfs_quota_us"), number(&group, "cpu.cfs_period_us"))
            {
                limits.tighten_cpu(quota, period);
            }
        }
        for group in cpuset.into_iter().flatten() {
            let cores = fs::read(group.join("cpuset.effective_cpus")).unwrap_or_default();
            limits.tighten_cores(&cores);
        }
        limits
    }

    fn usage(&self, group: &Path) -> Usage {
        let (current, inactive): (_, &[u8]) = if self.v1 {
            ("memory.usage_in_bytes", b"total_inactive_file ")
        } else {
            ("memory.current", b"inactive_file ")
        };
        Usage {
            group: group.to_owned(),
            current: Kept::new(group.join(current)),
            stat: Kept::new(group.join("memory.stat")),
            inactive,
        }
    }

    fn tighten_memory(&mut self, bytes: u64, group: &Path) {
        if self.memory_bytes.is_none_or(|tightest| bytes < tightest) {
            self.memory_bytes = Some(bytes);
            self.memory_group = Some(group.to_owned());
        }
    }

    /// A container may be kept to some of the cores, without a quota.
    fn tighten_cores(&mut self, list: &[u8]) {
        if let Some(cores) = cores_of(list) {
            self.tighten_cpu(cores, 1);
        }
    }

    fn tighten_cpu(&mut self, quota: u64, period: u64) {
        if period > 0 {
            #[expect(clippy::cast_precision_loss, reason = "microseconds")]
            let cores = quota as f64 / period as f64;
            self.cpu_cores = Some(self.cpu_cores.map_or(cores, |tightest| tightest.min(cores)));
        }
    }
}

/// How many cores a list such as `0-3,8` names; nothing for an empty one.
fn cores_of(list: &[u8]) -> Option<u64> {
    let list = list.trim_ascii();
    if list.is_empty() {
        return None;
    }
    list.split(|&b| b == b',').try_fold(0u64, |sum, part| {
        let mut ends = part.splitn(2, |&b| b == b'-');
        let first = text::number(ends.next()?)?;
        let last = ends.next().map_or(Some(first), text::number)?;
        sum.checked_add(last.checked_sub(first)?)?.checked_add(1)
    })
}

/// The path of our group under one controller of version 1: `4:memory:/docker/abc`.
fn v1_group(membership: &[u8], controller: &str) -> Option<String> {
    text::lines(membership).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|c| c == controller).then(|| path.to_owned())
    })
}

/// Our group and its ancestors. Inside a container the mount shows only our part of
/// the tree while the path is the host's: then the mount itself is our group.
fn v1_folder(mount: &Path, names: &[&str], path: &str) -> Option<Vec<PathBuf>> {
    let root = names.iter().map(|name| mount.join(name)).find(|folder| folder.is_dir())?;
    Some(upwards(&root, path))
}

fn upwards(root: &Path, path: &str) -> Vec<PathBuf> {
    let mut groups = Vec::new();
    let path = path.trim_start_matches('/');
    // Seen from inside a namespace, a group outside of it begins with `..`: not ours to read.
    let mut here = if path.contains("..") { Path::new("") } else { Path::new(path) };
    while !here.as_os_str().is_empty() && groups.len() < MAX_DEPTH {
        let group = root.join(here);
        if group.is_dir() {
            groups.push(group);
        }
        here = here.parent().unwrap_or(Path::new(""));
    }
    groups.push(root.to_owned());
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Machine {
        _dir: tempfile::TempDir,
        roots: Roots,
    }

    impl Machine {
        fn new(membership: &str, files: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let roots = Roots::below(dir.path());
            let machine = Self { _dir: dir, roots };
            machine.write(&machine.roots.proc.join("self/cgroup"), membership);
            machine.write(&machine.roots.proc.join("meminfo"), "MemTotal: 16777216 kB\n");
            for (path, text) in files {
                machine.write(&machine.roots.sys.join("fs/cgroup").join(path), text);
            }
            machine
        }

        fn write(&self, path: &Path, text: &str) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn read(&self) -> Vec<(Metric, f64)> {
            let now = Instant3 { wall_ms: 0, monotonic_ms: 0, boottime_ms: 0 };
            let mut out = Vec::new();
            Cgroup::new(&self.roots).read(now, &"".into(), &mut out);
            out.iter().map(|r| (r.metric, r.number())).collect()
        }
    }

    const GIB: f64 = 1_073_741_824.0;

    #[test]
    fn what_a_container_holds_is_its_outermost_group_without_the_cache() {
        const ID: &str = "3f4a9c1b2d5e";
        let held = |membership: &str, files: &[(&str, &str)]| {
            let machine = Machine::new("", files);
            machine.write(&machine.roots.proc.join("9/cgroup"), membership);
            Usage::of_container(&machine.roots, 9, ID).and_then(|mut usage| usage.read())
        };
        let inner = "anon 5\ninactive_file 10\n";
        assert_eq!(
            held(
                &format!("0::/system.slice/docker-{ID}77.scope/init.scope\n"),
                &[
                    (&format!("system.slice/docker-{ID}77.scope/memory.current"), "700\n"),
                    (&format!("system.slice/docker-{ID}77.scope/memory.stat"), inner),
                    (&format!("system.slice/docker-{ID}77.scope/init.scope/memory.current"), "1\n"),
                    ("system.slice/memory.current", "9000\n"),
                ],
            ),
            Some(690)
        );
        let of_v1 = format!("9:name=systemd:/docker/{ID}77\n4:memory:/docker/{ID}77\n0::/\n");
        let stat = "inactive_file 1\ntotal_inactive_file 200\n";
        assert_eq!(
            held(
                &of_v1,
                &[
                    (&format!("memory/docker/{ID}77/memory.usage_in_bytes"), "1000\n"),
                    (&format!("memory/docker/{ID}77/memory.stat"), stat),
                ],
            ),
            Some(800)
        );
        // Groups that may not be seen from here, and a file that says nothing.
        assert_eq!(held(&of_v1, &[("memory/memory.usage_in_bytes", "5\n")]), None);
        assert_eq!(held("", &[]), None);
        let empty = format!("memory/docker/{ID}77/memory.usage_in_bytes");
        assert_eq!(held(&of_v1, &[(&empty, "1000\n")]), None);
    }

    // AR9
    #[test]
    fn version_2_gives_the_tightest_limit_on_the_way_up() {
        let machine = Machine::new(
            "0::/system.slice/plimsoll.service\n",
            &[
                ("system.slice/plimsoll.service/memory.max", "max\n"),
                ("system.slice/plimsoll.service/cpu.max", "max 100000\n"),
                ("system.slice/memory.max", "4294967296\n"),
                ("system.slice/cpu.max", "150000 100000\n"),
                ("system.slice/memory.current", "2147483648\n"),
                ("system.slice/memory.stat", "anon 5\ninactive_file 1073741824\nactive_file 7\n"),
            ],
        );
        assert_eq!(
            machine.read(),
            [
                (Metric::CgroupCpuLimit, 1.5),
                (Metric::CgroupMemoryLimit, 4.0 * GIB),
                (Metric::CgroupMemoryUsed, GIB),
            ]
        );
    }

    // AR9
    #[test]
    fn version_1_inside_a_container_reads_the_mount_itself() {
        let machine = Machine::new(
            "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n",
            &[
                ("memory/memory.limit_in_bytes", "2147483648\n"),
                ("memory/memory.usage_in_bytes", "1610612736\n"),
                ("memory/memory.stat", "inactive_file 1\ntotal_inactive_file 536870912\n"),
                ("cpu,cpuacct/cpu.cfs_quota_us", "400000\n"),
                ("cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ],
        );
        assert_eq!(
            machine.read(),
            [
                (Metric::CgroupCpuLimit, 4.0),
                (Metric::CgroupMemoryLimit, 2.0 * GIB),
                (Metric::CgroupMemoryUsed, GIB),
            ]
        );
    }

    // AR9
    #[test]
    fn a_container_that_is_kept_to_some_cores_is_limited_to_them() {
        let online = |machine: &Machine| {
            machine.write(&machine.roots.sys.join("devices/system/cpu/online"), "0-15\n");
        };
        let v2 = Machine::new("0::/\n", &[("cpuset.cpus.effective", "0-3,8\n")]);
        online(&v2);
        assert_eq!(v2.read(), [(Metric::CgroupCpuLimit, 5.0)]);
        v2.write(&v2.roots.sys.join("fs/cgroup/cpu.max"), "250000 100000\n");
        assert_eq!(v2.read(), [(Metric::CgroupCpuLimit, 2.5)], "the tighter of the two");

        let v1 = Machine::new(
            "4:memory:/docker/abc\n2:cpuset:/docker/abc\n",
            &[("memory/x", ""), ("cpuset/docker/abc/cpuset.effective_cpus", "2,4\n")],
        );
        online(&v1);
        assert_eq!(v1.read(), [(Metric::CgroupCpuLimit, 2.0)]);

        // All cores, or a quota above them, limit nothing.
        let files = [("cpuset.cpus.effective", "0-15\n"), ("cpu.max", "3200000 100000\n")];
        let whole = Machine::new("0::/\n", &files);
        online(&whole);
        assert_eq!(whole.read(), []);
    }

    #[test]
    fn without_its_cache_what_a_group_holds_is_unknown() {
        let files = [
            ("memory.max", "4294967296\n"),
            ("memory.current", "2147483648\n"),
            ("memory.stat", "anon 5\n"),
        ];
        let limit = [(Metric::CgroupMemoryLimit, 4.0 * GIB)];
        assert_eq!(Machine::new("0::/\n", &files).read(), limit);
        assert_eq!(Machine::new("0::/\n", &files[..2]).read(), limit);
    }

    #[test]
    fn without_a_limit_nothing_is_said() {
        let v2 = Machine::new("0::/\n", &[("cpu.stat", "usage_usec 5\n")]);
        assert_eq!(v2.read(), []);
        let v1 = Machine::new(
            "4:memory:/\n1:cpu:/\n",
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/memory.usage_in_bytes", "1610612736\n"),
                ("cpu/cpu.cfs_quota_us", "-1\n"),
                ("cpu/cpu.cfs_period_us", "100000\n"),
            ],
        );
        assert_eq!(v1.read(), []);
    }

    #[test]
    fn a_limit_that_was_changed_holds_ten_seconds_later_at_the_latest() {
        let machine = Machine::new("0::/\n", &[("cpu.max", "100000 100000\n")]);
        let mut cgroup = Cgroup::new(&machine.roots);
        let mut read = |ms| {
            let mut out = Vec::new();
            let now = Instant3 { wall_ms: ms, monotonic_ms: ms, boottime_ms: ms };
            cgroup.read(now, &"".into(), &mut out);
            out.first().map(Reading::number)
        };
        assert_eq!(read(0), Some(1.0));
        machine.write(&machine.roots.sys.join("fs/cgroup/cpu.max"), "max 100000\n");
        assert_eq!(read(9_000), Some(1.0));
        assert_eq!(read(10_000), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn garbage_is_no_limit_and_no_panic(membership: Vec<u8>, content: Vec<u8>) {
            let machine = Machine::new("", &[("cpu.max", ""), ("memory.max", "")]);
            fs::write(machine.roots.proc.join("self/cgroup"), &membership).unwrap();
            cores_of(&content);
            for name in ["cpu.max", "memory.max", "cpuset.cpus.effective"] {
                fs::write(machine.roots.sys.join("fs/cgroup").join(name), &content).unwrap();
            }
            machine.read();
            v1_group(&membership, "memory");
        }
    }
}
