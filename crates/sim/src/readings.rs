//! Readings of the simulated machine, in the words of the metric catalogue.
//! Everything hangs together: what keeps the card busy drives its power, power
//! its temperature, temperature its fan; VRAM is the sum of its processes.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{metric::Metric, reading::Reading};

use crate::{
    noise::{NOISE_CORES, NOISE_MISC},
    plan::{GIB, MIB, PAGE, Plan},
    world::{Flow, World},
};

/// Names of the subjects, made once: a tick shares them.
#[derive(Clone, Debug)]
pub struct Subjects {
    machine: Arc<str>,
    gpu: Arc<str>,
    cores: Vec<Arc<str>>,
    disks: Vec<Arc<str>>,
    mounts: Vec<Arc<str>>,
    interfaces: Vec<Arc<str>>,
    sensors: [Arc<str>; 2],
    /// Each process name, with the places of its processes.
    names: Vec<(Arc<str>, Vec<usize>)>,
}

// === impl Subjects ===

impl Subjects {
    pub fn of(plan: &Plan) -> Self {
        let machine = &plan.machine;
        let mut names = BTreeMap::<&str, Vec<usize>>::new();
        for (index, process) in machine.processes.iter().enumerate() {
            names.entry(&process.name).or_default().push(index);
        }
        Self {
            machine: "".into(),
            gpu: machine.gpu.uuid.as_str().into(),
            cores: (0..machine.threads).map(|n| n.to_string().into()).collect(),
            disks: machine.disks.iter().map(|d| d.name.as_str().into()).collect(),
            mounts: machine.mounts.iter().map(|m| m.path.as_str().into()).collect(),
            interfaces: machine.interfaces.iter().map(|i| i.name.as_str().into()).collect(),
            sensors: ["k10temp Tctl".into(), "nvme Composite".into()],
            names: names.into_iter().map(|(name, places)| (name.into(), places)).collect(),
        }
    }
}

/// The card. The caller has made sure that it answers.
pub fn gpu(world: &World, subjects: &Subjects, out: &mut Vec<Reading>) {
    let spec = &world.plan.machine.gpu;
    let noise = |stream| world.plan.noise.white(NOISE_MISC + stream, world.second);
    let mut put = |metric, value| out.push(gauge(metric, &subjects.gpu, value));
    #[expect(clippy::cast_precision_loss, reason = "mebibytes")]
    let total = spec.vram_mib as f64 * MIB;
    let used = world.vram_used().min(total);
    put(Metric::VramUsed, used);
    put(Metric::VramFree, total - used);
    put(Metric::VramTotal, total);

    let busy = world.gpu_busy;
    put(Metric::GpuBusy, busy);
    put(Metric::GpuMemoryBusy, busy * (0.55 + 0.05 * noise(1)));
    put(Metric::GpuPower, world.gpu_watts);
    put(Metric::GpuPowerLimit, spec.power_limit_watts);
    put(Metric::GpuTemperature, world.gpu_celsius);
    let fan = if world.gpu_celsius < 50.0 { 0.0 } else { (world.gpu_celsius - 32.0) * 1.35 };
    put(Metric::GpuFan, fan.min(100.0));

    // Clocks rise with the first work and give way under the power limit.
    let awake = (busy / 8.0).min(1.0);
    let top = f64::from(spec.graphics_clock_max_mhz);
    let capped = if world.gpu_power_capped { 0.055 } else { 0.0 };
    let graphics = 210.0 + (top * (0.888 - capped) - 210.0) * awake + 12.0 * noise(2) * awake;
    put(Metric::GpuClockGraphics, graphics);
    put(Metric::GpuClockSm, graphics);
    let memory = f64::from(spec.memory_clock_max_mhz);
    put(Metric::GpuClockMemory, if busy >= 2.0 { memory } else { 405.0 });
    put(Metric::GpuThrottleThermal, 0.0);
    put(Metric::GpuThrottlePower, f64::from(u8::from(world.gpu_power_capped)));
    put(Metric::GpuPcieGeneration, if busy >= 2.0 { 4.0 } else { 1.0 });
    put(Metric::GpuPcieWidth, 16.0);
    put(Metric::GpuPcieReceived, world.loading + busy * 210e3 * (1.0 + 0.3 * noise(3)));
    put(Metric::GpuPcieSent, busy * 90e3 * (1.0 + 0.3 * noise(4)));
    put(Metric::GpuEncoder, 0.0);
    put(Metric::GpuDecoder, (world.levels[0] * 9.0 * noise(5)).max(0.0));
    out.push(Reading::counter(Metric::GpuEnergy, &subjects.gpu, world.gpu_millijoules));
}

/// CPU, memory, disks, network and sensors.
pub fn system(world: &World, subjects: &Subjects, out: &mut Vec<Reading>) {
    let machine = &world.plan.machine;
    let noise = world.plan.noise;
    let threads = f64::from(machine.threads);
    let mut put = |metric, value| out.push(gauge(metric, &subjects.machine, value));

    let busy = (world.cpu / threads).min(100.0);
    put(Metric::CpuBusy, busy);
    put(Metric::Load1, world.load[0]);
    put(Metric::Load5, world.load[1]);
    put(Metric::Load15, world.load[2]);
    put(Metric::PressureCpu, (busy - 55.0).max(0.0) * 0.3);
    let rate: f64 = world.disks.iter().map(|d| d.inward_rate + d.outward_rate).sum();
    let waits = (rate / 60e6).min(40.0);
    put(Metric::PressureIoSome, waits);
    put(Metric::PressureIoFull, waits * 0.7);
    put(Metric::PressureMemorySome, 0.0);
    put(Metric::PressureMemoryFull, 0.0);

    // Processes share pages: their sum would count those twice.
    let rss: f64 = (0..world.born.len()).map(|i| world.rss(i)).sum();
    let total = machine.memory_gib * GIB;
    let used = (machine.memory_base_gib * GIB + rss * 0.86).min(total);
    put(Metric::MemoryTotal, total);
    put(Metric::MemoryUsed, used);
    put(Metric::MemoryAvailable, total - used);
    let cached = machine.memory_cached_gib + 1.1 * noise.smooth(NOISE_MISC + 6, world.second, 1800);
    put(Metric::MemoryCached, (cached * GIB).min(total - used));
    put(Metric::SwapTotal, machine.swap_gib * GIB);
    put(Metric::SwapUsed, 0.0);

    for ((core, stream), place) in subjects.cores.iter().zip(NOISE_CORES..).zip(0u32..) {
        // Work gathers on the first cores; all of them together give `busy`.
        let bias = 1.25 - 0.5 * f64::from(place) / (threads - 1.0);
        let wander = 1.0 + 0.5 * noise.smooth(stream, world.second, 11);
        let busy =
            (busy * bias * wander + noise.white(stream, world.second) * 0.8).clamp(0.0, 100.0);
        out.push(gauge(Metric::CoreBusy, core, busy));
        let mhz = 2980.0
            + (busy / 40.0).min(1.0) * 2160.0
            + 90.0 * noise.white(stream + 50, world.second);
        out.push(gauge(Metric::CoreFrequency, core, mhz));
    }
    for (disk, flow) in subjects.disks.iter().zip(&world.disks) {
        out.push(Reading::counter(Metric::DiskRead, disk, flow.inward));
        out.push(Reading::counter(Metric::DiskWritten, disk, flow.outward));
        out.push(gauge(Metric::DiskBusy, disk, disk_busy(flow)));
    }
    for (line, flow) in subjects.interfaces.iter().zip(&world.interfaces) {
        out.push(Reading::counter(Metric::NetReceived, line, flow.inward));
        out.push(Reading::counter(Metric::NetSent, line, flow.outward));
    }
    let nvme = 39.0 + (rate / 120e6).min(14.0) + noise.smooth(NOISE_MISC + 7, world.second, 240);
    out.push(gauge(Metric::Temperature, &subjects.sensors[0], world.cpu_celsius));
    out.push(gauge(Metric::Temperature, &subjects.sensors[1], nvme));
}

/// Space on the mounts.
pub fn space(world: &World, subjects: &Subjects, out: &mut Vec<Reading>) {
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let days = (world.second - world.plan.anchor_s) as f64 / 86_400.0;
    for (mount, name) in world.plan.machine.mounts.iter().zip(&subjects.mounts) {
        let total = mount.size_gib * GIB;
        // A little is always kept free: the demo may run for weeks.
        let used =
            (mount.used_gib + mount.grows_gib_per_day * days).min(mount.size_gib * 0.97) * GIB;
        out.push(gauge(Metric::MountTotal, name, total));
        out.push(gauge(Metric::MountUsed, name, used));
        out.push(gauge(Metric::MountAvailable, name, total - used));
    }
}

/// Processes by name. `vram` is false while the driver does not answer.
pub fn processes(world: &World, subjects: &Subjects, vram: bool, out: &mut Vec<Reading>) {
    let mut count = world.plan.machine.processes_more;
    for (name, places) in &subjects.names {
        let (mut cpu, mut rss, mut held) = (0.0, 0.0, None::<f64>);
        let mut alive = false;
        for &place in places.iter().filter(|&&p| world.born[p].is_some()) {
            alive = true;
            count += 1;
            cpu += world.process_cpu(place);
            rss += world.rss(place);
            if let Some(bytes) = world.vram(place) {
                held = Some(held.unwrap_or(0.0) + bytes);
            }
        }
        if !alive {
            continue;
        }
        out.push(gauge(Metric::ProcessCpu, name, cpu));
        out.push(gauge(Metric::ProcessRss, name, rss));
        if let Some(held) = held.filter(|_| vram) {
            out.push(gauge(Metric::ProcessVram, name, held));
        }
    }
    out.push(gauge(Metric::ProcessCount, &subjects.machine, f64::from(count)));
}

fn disk_busy(flow: &Flow) -> f64 {
    ((flow.inward_rate + flow.outward_rate) / 32e6).min(100.0)
}

/// A gauge at the catalogue's resolution.
pub fn gauge(metric: Metric, subject: &Arc<str>, value: f64) -> Reading {
    let step = metric.spec().resolution;
    debug_assert!(step <= PAGE);
    // Dividing by the inverse keeps 0.1 steps at their shortest decimal.
    let value = if step < 1.0 {
        let inverse = (1.0 / step).round();
        (value * inverse).round() / inverse
    } else {
        (value / step).round() * step
    };
    Reading::gauge(metric, subject, value)
}
