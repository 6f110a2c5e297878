//! Every reading of the machine against an independent reading of `/proc` and `/sys`,
//! parsed here in another way.
//!
//! The kernel's figures move while they are read, so each is read by the test before
//! and after the source: what only grows must lie between the two, exactly; what
//! goes up and down must lie between them within a tolerance that stands beside it.
//! What else runs here may still allocate, free and write within one such look: a look
//! that differs is taken again, and only what differs each time is wrong.

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
};

use plimsoll_core::{
    clock::{Clock, Instant3, SystemClock},
    metric::{Metric, SubjectKind},
    reading::Reading,
    source::Source,
};
use plimsoll_sense::{Options, Sources, real_sources};
use tokio::sync::watch;

use crate::{source, value};

const MIB: f64 = 1_048_576.0;

fn sources() -> Sources {
    let (_, options) = watch::channel(Options { gpu_enabled: false, ..Options::default() });
    real_sources(options, std::sync::Arc::new(SystemClock))
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What one reading of `/proc` by the test says.
struct Proc {
    /// `cpu`, `cpu0` … → ticks busy and in all.
    cpu: BTreeMap<String, (f64, f64)>,
    meminfo: BTreeMap<String, f64>,
    loadavg: Vec<f64>,
    /// File and line of a pressure file → average over 10 s.
    pressure: BTreeMap<(&'static str, String), f64>,
    /// Disk → bytes read, bytes written, busy milliseconds.
    disks: BTreeMap<String, [f64; 3]>,
    /// Interface → bytes received, bytes sent.
    network: BTreeMap<String, [f64; 2]>,
    mhz: Vec<f64>,
    at: Instant3,
}

fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

impl Proc {
    fn read() -> Self {
        let cpu = text("/proc/stat")
            .lines()
            .filter(|line| line.starts_with("cpu"))
            .map(|line| {
                let (name, rest) = line.split_once(' ').unwrap();
                let ticks = &numbers(rest)[..8];
                let total: f64 = ticks.iter().sum();
                (name.to_owned(), (total - ticks[3] - ticks[4], total))
            })
            .collect();
        let meminfo = text("/proc/meminfo")
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.split_once(':')?;
                Some((name.to_owned(), numbers(rest).first()? * 1024.0))
            })
            .collect();
        let mut pressure = BTreeMap::new();
        for file in ["cpu", "memory", "io"] {
            for line in text(&format!("/proc/pressure/{file}")).lines() {
                let average = line.split("avg10=").nth(1).unwrap().split(' ').next().unwrap();
                let which = line.split(' ').next().unwrap().to_owned();
                pressure.insert((file, which), average.parse().unwrap());
            }
        }
        let disks = text("/proc/diskstats")
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| fs::exists(format!("/sys/block/{}/device", words[2])).unwrap())
            .map(|words| {
                let of = |column: usize| words[column].parse::<f64>().unwrap();
                (words[2].to_owned(), [of(5) * 512.0, of(9) * 512.0, of(12)])
            })
            .collect();
        let network = text("/proc/net/dev")
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.split_once(':')?;
                let columns = numbers(rest);
                Some((name.trim().to_owned(), [columns[0], columns[8]]))
            })
            .collect();
        let mhz = text("/proc/cpuinfo")
            .lines()
            .filter(|line| line.starts_with("cpu MHz"))
            .filter_map(|line| line.split(':').nth(1)?.trim().parse().ok())
            .collect();
        let loadavg = numbers(&text("/proc/loadavg"));
        Self { cpu, meminfo, loadavg, pressure, disks, network, mhz, at: SystemClock.now() }
    }
}

/// Two readings of the source, some clock ticks apart, each between two of the test.
struct Bracketed {
    first: [Proc; 2],
    second: [Proc; 2],
    readings: Vec<Reading>,
}

impl Bracketed {
    fn read(system: &mut Box<dyn Source>) -> Self {
        let mut once = || {
            let before = Proc::read();
            let mut readings = Vec::new();
            system.read(SystemClock.now(), &mut readings).unwrap();
            ([before, Proc::read()], readings)
        };
        let (first, _) = once();
        // Shares need something to be a share of: wait until the kernel has counted on.
        while Proc::read().cpu["cpu"].1 - first[1].cpu["cpu"].1 < 50.0 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let (second, readings) = once();
        Self { first, second, readings }
    }

    fn of(&self, metric: Metric, subject: &str) -> f64 {
        value(&self.readings, metric, subject)
            .unwrap_or_else(|| panic!("{} of {subject:?} was not read", metric.name()))
    }

    fn subjects(&self, metric: Metric) -> Vec<String> {
        let of = self.readings.iter().filter(|reading| reading.metric == metric);
        of.map(|reading| reading.subject.to_string()).collect()
    }

    /// The least and the most that a counter can have grown between the two readings.
    fn growth(&self, of: impl Fn(&Proc) -> f64) -> (f64, f64) {
        let least = of(&self.second[0]) - of(&self.first[1]);
        let most = of(&self.second[1]) - of(&self.first[0]);
        (least.max(0.0), most)
    }

    /// Whether a reading lies between those of the test, or beyond them by no more.
    fn near(&self, name: &str, value: f64, tolerance: f64, of: impl Fn(&Proc) -> f64) {
        let (a, b) = (of(&self.second[0]), of(&self.second[1]));
        let fits = (a.min(b) - tolerance..=a.max(b) + tolerance).contains(&value);
        assert!(fits, "{name}: {value} is not within {tolerance} of {a} … {b}");
    }
}

// AA1: RAM, CPU and disk as they are
#[test]
fn the_system_agrees_with_an_independent_reading_of_proc() {
    let mut system = source(&mut sources(), "system");
    let mut looks = 4;
    while looks > 0 && catch_unwind(AssertUnwindSafe(|| agrees(&mut system))).is_err() {
        looks -= 1;
    }
    if looks == 0 {
        agrees(&mut system);
    }
}

fn agrees(system: &mut Box<dyn Source>) {
    let read = Bracketed::read(system);
    cpu(&read);
    memory(&read);
    load(&read);
    disks(&read);
    network(&read);
    frequency(&read);
    cgroup(&read);
    // Nothing was read that has not been compared.
    let compared = ["cpu.", "memory.", "swap.", "load.", "pressure.", "disk.", "net.", "cgroup."];
    for reading in &read.readings {
        let name = reading.metric.name();
        assert!(compared.iter().any(|beginning| name.starts_with(beginning)), "{name}");
    }
}

fn cpu(read: &Bracketed) {
    let names: Vec<String> = read.second[0].cpu.keys().cloned().collect();
    assert!(names.len() > 1);
    for name in names {
        let core = name.trim_start_matches("cpu");
        let metric = if core.is_empty() { Metric::CpuBusy } else { Metric::CoreBusy };
        let percent = read.of(metric, core);
        let busy = read.growth(|proc| proc.cpu[&name].0);
        let total = read.growth(|proc| proc.cpu[&name].1);
        // A kernel counts ticks of idle time apart: one tick either way.
        let least = 100.0 * (busy.0 - 1.0) / (total.1 + 1.0);
        let most = 100.0 * (busy.1 + 1.0) / (total.0 - 1.0).max(1.0);
        assert!(least <= percent && percent <= most, "{name}: {least} {percent} {most}");
    }
}

fn memory(read: &Bracketed) {
    let exact = |metric, field: &str| {
        read.near(field, read.of(metric, ""), 0.0, |proc| proc.meminfo[field]);
    };
    exact(Metric::MemoryTotal, "MemTotal");
    exact(Metric::SwapTotal, "SwapTotal");
    // Others allocate and free between two readings: 64 MiB.
    let moving = |metric, name: &str, of: &dyn Fn(&Proc) -> f64| {
        read.near(name, read.of(metric, ""), 64.0 * MIB, of);
    };
    moving(Metric::MemoryAvailable, "available", &|proc| proc.meminfo["MemAvailable"]);
    moving(Metric::MemoryCached, "cached", &|proc| proc.meminfo["Cached"]);
    moving(Metric::MemoryUsed, "used", &|proc| {
        proc.meminfo["MemTotal"] - proc.meminfo["MemAvailable"]
    });
    moving(Metric::SwapUsed, "swap", &|proc| proc.meminfo["SwapTotal"] - proc.meminfo["SwapFree"]);
}

fn load(read: &Bracketed) {
    for (index, metric) in [Metric::Load1, Metric::Load5, Metric::Load15].into_iter().enumerate() {
        read.near(metric.name(), read.of(metric, ""), 0.0, |proc| proc.loadavg[index]);
    }
    let pressures = [
        (Metric::PressureCpu, "cpu", "some"),
        (Metric::PressureMemorySome, "memory", "some"),
        (Metric::PressureMemoryFull, "memory", "full"),
        (Metric::PressureIoSome, "io", "some"),
        (Metric::PressureIoFull, "io", "full"),
    ];
    for (metric, file, line) in pressures {
        let key = (file, line.to_owned());
        if read.second[0].pressure.contains_key(&key) {
            read.near(metric.name(), read.of(metric, ""), 0.0, |proc| proc.pressure[&key]);
        } else {
            assert_eq!(value(&read.readings, metric, ""), None, "this kernel has no PSI");
        }
    }
}

fn disks(read: &Bracketed) {
    let names: Vec<String> = read.second[0].disks.keys().cloned().collect();
    assert_eq!(sorted(read.subjects(Metric::DiskRead)), names);
    for name in &names {
        read.near("read", read.of(Metric::DiskRead, name), 0.0, |proc| proc.disks[name][0]);
        read.near("written", read.of(Metric::DiskWritten, name), 0.0, |proc| proc.disks[name][1]);
        let busy_ms = read.growth(|proc| proc.disks[name][2]);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
        let elapsed = |from: &Proc, to: &Proc| (to.at.monotonic_ms - from.at.monotonic_ms) as f64;
        let least_ms = elapsed(&read.first[1], &read.second[0]) - 1.0;
        let most_ms = elapsed(&read.first[0], &read.second[1]) + 1.0;
        let percent = read.of(Metric::DiskBusy, name);
        let (least, most) = (100.0 * busy_ms.0 / most_ms, 100.0 * busy_ms.1 / least_ms);
        assert!(least.min(100.0) <= percent && percent <= most, "{name}: {least} {percent} {most}");
    }
}

fn network(read: &Bracketed) {
    let names = read.subjects(Metric::NetReceived);
    assert!(!names.is_empty() && !names.contains(&"lo".to_owned()));
    for name in &names {
        let of = |column: usize| move |proc: &Proc| proc.network[name][column];
        read.near("received", read.of(Metric::NetReceived, name), 0.0, of(0));
        read.near("sent", read.of(Metric::NetSent, name), 0.0, of(1));
    }
    // What has hardware behind it and carried something is there.
    for (name, bytes) in &read.second[0].network {
        let hardware = fs::exists(format!("/sys/class/net/{name}/device")).unwrap();
        if hardware && bytes[0] + bytes[1] > 0.0 {
            assert!(names.contains(name), "{name} is missing");
        }
    }
}

fn frequency(read: &Bracketed) {
    for name in read.subjects(Metric::CoreFrequency) {
        let mhz = read.of(Metric::CoreFrequency, &name);
        let path = format!("/sys/devices/system/cpu/cpu{name}/cpufreq/scaling_cur_freq");
        match text(&path).trim().parse::<f64>() {
            // A core changes its clock many times a second, within its own bounds.
            Ok(_) => {
                let bound = |file: &str| -> f64 {
                    text(&path.replace("scaling_cur_freq", file)).trim().parse().unwrap()
                };
                let bounds = bound("cpuinfo_min_freq") * 0.99..=bound("cpuinfo_max_freq") * 1.01;
                assert!(bounds.contains(&(mhz * 1000.0)), "core {name}: {mhz} MHz");
            }
            // Without such a driver: a tenth.
            Err(_) => {
                let core: usize = name.parse().unwrap();
                read.near("frequency", mhz, mhz / 10.0, |proc| proc.mhz[core]);
            }
        }
    }
}

/// What the kernel says about our own group and all above it, read once more here.
fn cgroup(read: &Bracketed) {
    let mut limit = f64::INFINITY;
    for line in text("/proc/self/cgroup").lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap(), parts.next().unwrap());
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup".to_owned(), "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory".to_owned(), "memory.limit_in_bytes"),
            _ => continue,
        };
        for depth in 0..=path.matches('/').count() {
            let parent: Vec<&str> = path.split('/').take(depth + 1).collect();
            let group = format!("{root}{}/{file}", parent.join("/"));
            if let Ok(bytes) = text(&group).trim().parse::<f64>() {
                limit = limit.min(bytes);
            }
        }
    }
    let expected = (limit < read.second[0].meminfo["MemTotal"]).then_some(limit);
    assert_eq!(value(&read.readings, Metric::CgroupMemoryLimit, ""), expected);
    let used = value(&read.readings, Metric::CgroupMemoryUsed, "");
    assert_eq!(used.is_some(), expected.is_some());
    assert!(used.is_none_or(|used| used > 0.0 && used <= limit + MIB));
    let quota = value(&read.readings, Metric::CgroupCpuLimit, "");
    assert!(quota.is_none_or(|cores| cores > 0.0));
}

#[test]
fn the_space_on_disks_agrees_with_df() {
    let mut readings = Vec::new();
    source(&mut sources(), "space").read(SystemClock.now(), &mut readings).unwrap();
    let mounts: Vec<String> = readings
        .iter()
        .filter(|reading| reading.metric == Metric::MountTotal)
        .map(|reading| reading.subject.to_string())
        .collect();
    assert!(mounts.contains(&"/".to_owned()), "{mounts:?}");
    for mount in &mounts {
        let df =
            Command::new("df").args(["-B1", "--output=size,used,avail", mount]).output().unwrap();
        let df = String::from_utf8(df.stdout).unwrap();
        let columns = numbers(df.lines().nth(1).unwrap());
        let metrics = [Metric::MountTotal, Metric::MountUsed, Metric::MountAvailable];
        for (metric, expected) in metrics.into_iter().zip(columns) {
            let bytes = value(&readings, metric, mount).unwrap();
            // Others write to the same disk meanwhile: 256 MiB, and nothing for its size.
            let tolerance = if metric == Metric::MountTotal { 0.0 } else { 256.0 * MIB };
            let name = metric.name();
            assert!((bytes - expected).abs() <= tolerance, "{name} of {mount}: {bytes} {expected}");
        }
    }
}

#[test]
fn temperatures_agree_with_sysfs() {
    let mut readings = Vec::new();
    source(&mut sources(), "sensors").read(SystemClock.now(), &mut readings).unwrap();
    let inputs = Command::new("sh")
        .args([
            "-c",
            "cat /sys/class/hwmon/hwmon*/temp*_input /sys/class/thermal/thermal_zone*/temp 2>&-",
        ])
        .output()
        .unwrap();
    let celsius: Vec<f64> =
        numbers(&String::from_utf8(inputs.stdout).unwrap()).iter().map(|m| m / 1000.0).collect();
    if celsius.is_empty() {
        assert!(readings.is_empty(), "no sensor, no reading");
    }
    for reading in &readings {
        assert_eq!(reading.metric.spec().subject, SubjectKind::Sensor);
        // Between two readings a sensor may move by some degrees.
        let near = celsius.iter().any(|c| (c - reading.number()).abs() <= 10.0);
        assert!(near, "{}: {} is nowhere in {celsius:?}", reading.subject, reading.number());
    }
}

#[test]
fn the_machine_is_described() {
    let machine = sources().machine;
    let name = Command::new("uname").args(["-nr"]).output().unwrap();
    let name = String::from_utf8(name.stdout).unwrap();
    assert_eq!(name.trim(), format!("{} {}", machine.hostname, machine.kernel));
    let cores = text("/proc/cpuinfo").lines().filter(|l| l.starts_with("processor")).count();
    assert_eq!(machine.cores.map(|cores| cores as usize), Some(cores));
    let release = text("/etc/os-release");
    assert!(!machine.os.is_empty() && release.contains(&machine.os), "{}", machine.os);
    assert!(machine.memory_bytes.is_some_and(|bytes| bytes > 0));
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
