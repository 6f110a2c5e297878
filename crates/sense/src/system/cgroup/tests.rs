use std::{fs, path::Path};

use proptest::prelude::*;

use super::{
    groups::{cores_of, v1_group},
    *,
};

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
