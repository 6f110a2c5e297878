//! The tightest limits on the way up from a group.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Usage,
    groups::{cores_of, upwards, v1_folder, v1_group},
};
use crate::{roots::Roots, system::Meminfo, text};

/// What is allowed; `None` where there is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// In cores: 1.5 is one and a half.
    pub cpu_cores: Option<f64>,
    pub memory_bytes: Option<u64>,
    /// The group whose memory limit that is.
    pub(super) memory_group: Option<PathBuf>,
    /// Version 1 names its files otherwise.
    v1: bool,
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
        let total = Meminfo::parse(&meminfo).total.unwrap_or(u64::MAX);
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

    /// What the group holds whose memory is limited.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.memory_group.as_deref().map(|group| Usage::of_group(group, self.v1))
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
