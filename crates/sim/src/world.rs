//! The state of the simulated machine. It moves in steps of one simulated
//! second, whatever the speed and however often it is read, so that the same
//! second always looks the same.

use std::sync::{Arc, PoisonError};

pub use crate::plan::{GIB, Plan};
use crate::{
    noise::{NOISE_DISKS, NOISE_MISC, NOISE_NET, NOISE_PROCESSES},
    plan::{MIB, birth_after, pages},
    scenario::Levels,
};

/// Filters run this long before the first reading, so that it looks settled.
const WARM_UP_S: i64 = 900;
/// Draw of a fully busy card without a limit; its limit lies below.
const POWER_FREE_WATTS: f64 = 405.0;

/// VRAM of a process without its model, in GiB.
const CONTEXT_GIB: f64 = 0.25;

/// The machine at one second.
#[derive(Clone, Debug)]
pub struct World {
    pub plan: Arc<Plan>,
    pub second: i64,
    /// Levels of the phase, and the same with the restlessness of real use.
    pub calm: Levels,
    pub levels: Levels,
    /// Second in which each process began; `None` while it does not run.
    pub born: Vec<Option<i64>>,
    pub gpu_busy: f64,
    pub gpu_watts: f64,
    pub gpu_power_capped: bool,
    pub gpu_celsius: f64,
    pub gpu_millijoules: u64,
    /// Weights on their way to the card, bytes per second.
    pub loading: f64,
    /// CPU in all, percent of one core.
    pub cpu: f64,
    pub cpu_celsius: f64,
    pub load: [f64; 3],
    /// Bytes read and written, and the rates of this second.
    pub disks: Vec<Flow>,
    /// Bytes received and sent.
    pub interfaces: Vec<Flow>,
}

/// Two counters that belong together, with their rates of this second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    pub inward: u64,
    pub outward: u64,
    pub inward_rate: f64,
    pub outward_rate: f64,
}

// === impl World ===

impl World {
    /// The machine at a second, settled. Counters are zero at the anchor; they
    /// mean nothing before it.
    pub fn new(plan: Arc<Plan>, second: i64) -> Self {
        let machine = &plan.machine;
        let mut world = Self {
            second: plan.anchor_s.min(second) - WARM_UP_S,
            calm: Levels::default(),
            levels: Levels::default(),
            born: vec![None; machine.processes.len()],
            gpu_busy: 0.0,
            gpu_watts: machine.gpu.power_idle_watts,
            gpu_power_capped: false,
            gpu_celsius: machine.gpu.ambient_celsius,
            gpu_millijoules: 0,
            loading: 0.0,
            cpu: 0.0,
            cpu_celsius: 42.0,
            load: [0.3; 3],
            disks: vec![Flow::default(); machine.disks.len()],
            interfaces: vec![Flow::default(); machine.interfaces.len()],
            plan: plan.clone(),
        };
        world.advance(second);
        world
    }

    /// Steps up to that second; a moment that has passed changes nothing.
    pub fn advance(&mut self, second: i64) {
        while self.second < second {
            self.second += 1;
            self.step();
        }
    }

    fn step(&mut self) {
        let plan = self.plan.clone();
        let second = self.second;
        self.calm = plan.scenario.levels(plan.scene(second));
        self.levels = plan.restless(&self.calm, second);
        self.step_processes(&plan);
        self.step_gpu(&plan);
        self.step_flows(&plan);
        if second == plan.anchor_s {
            self.gpu_millijoules = 0;
            self.disks.fill(Flow::default());
            self.interfaces.fill(Flow::default());
        }
        for (load, seconds) in self.load.iter_mut().zip([60.0, 300.0, 900.0]) {
            follow(load, self.cpu / 100.0, seconds);
        }
        let busy = self.cpu / f64::from(plan.machine.threads);
        follow(&mut self.cpu_celsius, 43.0 + busy * 0.62, 12.0);
    }

    fn step_processes(&mut self, plan: &Plan) {
        let willed = plan.willed.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut cpu, mut busy, mut loading) = (plan.machine.cpu_base, 0.0, 0.0);
        for (spec, born) in plan.machine.processes.iter().zip(&mut self.born) {
            *born = birth_after(plan.birth(spec, self.second), willed.get(&spec.pid), self.second);
            let Some(born) = *born else { continue };
            let loaded = self.second - born >= spec.load_s;
            if loaded {
                cpu += spec.cpu + spec.cpu_at.of(&self.levels);
                busy += spec.gpu_at.of(&self.levels);
            } else {
                cpu += 95.0;
                busy += 5.0;
                #[expect(clippy::cast_precision_loss, reason = "seconds")]
                let rate = spec.vram_gib * GIB / spec.load_s as f64;
                loading += rate;
            }
        }
        self.cpu = cpu;
        self.loading = loading;
        self.gpu_busy = busy.clamp(0.0, 99.0);
    }

    fn step_gpu(&mut self, plan: &Plan) {
        let gpu = &plan.machine.gpu;
        let jitter = 1.0 + 0.03 * plan.noise.white(NOISE_MISC, self.second);
        let asked = gpu.power_idle_watts
            + (self.gpu_busy / 100.0).powf(0.85) * (POWER_FREE_WATTS - gpu.power_idle_watts);
        self.gpu_power_capped = asked * jitter > gpu.power_limit_watts;
        self.gpu_watts = (asked * jitter).min(gpu.power_limit_watts);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 360,000")]
        let millijoules = (self.gpu_watts * 1000.0).round() as u64;
        self.gpu_millijoules += millijoules;
        let warm = gpu.ambient_celsius + self.gpu_watts * gpu.celsius_per_watt;
        follow(&mut self.gpu_celsius, warm, gpu.thermal_s);
    }

    fn step_flows(&mut self, plan: &Plan) {
        let noise = plan.noise;
        for ((disk, flow), stream) in
            plan.machine.disks.iter().zip(&mut self.disks).zip(NOISE_DISKS..)
        {
            // Disks work in bursts: nothing most seconds, then much.
            let burst = noise.white(stream, self.second).max(0.0).powi(3) * 8.0;
            let read = (disk.read_base_mbs + disk.read_mbs_at.of(&self.levels)) * burst;
            let models = if disk.holds_models { self.loading } else { 0.0 };
            let write = disk.write_base_mbs + disk.write_mbs_at.of(&self.levels);
            let burst = noise.white(stream + 10, self.second).max(0.0).powi(2) * 6.0;
            flow.add(read * 1e6 + models, write * burst * 1e6);
        }
        let lines = plan.machine.interfaces.iter().zip(&mut self.interfaces);
        for ((line, flow), stream) in lines.zip(NOISE_NET..) {
            let burst = noise.white(stream, self.second).max(0.0).powi(2) * 6.0 + 0.1;
            let received = line.base_kbs + line.received_kbs_at.of(&self.levels);
            let sent = line.base_kbs + line.sent_kbs_at.of(&self.levels);
            flow.add(received * burst * 1e3, sent * burst * 1e3);
        }
    }

    /// How much of its loading a process has behind it, 0 to 1.
    fn loaded(&self, index: usize) -> f64 {
        let spec = &self.plan.machine.processes[index];
        let Some(born) = self.born[index] else { return 0.0 };
        share(self.second - born, spec.load_s)
    }

    /// VRAM of one process in bytes; `None` where it holds none or does not run.
    pub fn vram(&self, index: usize) -> Option<f64> {
        let spec = &self.plan.machine.processes[index];
        let born = self.born[index]?;
        if spec.vram_gib <= 0.0 {
            return None;
        }
        if self.plan.is_emptied(spec.pid, born, self.second) {
            return Some(pages(CONTEXT_GIB.min(spec.vram_gib)));
        }
        let loaded = self.loaded(index);
        let grown = if spec.vram_grows_s > 0 {
            spec.vram_grows_gib * share(self.second - born - spec.load_s, spec.vram_grows_s)
        } else {
            0.0
        };
        let extra = if loaded < 1.0 { 0.0 } else { spec.vram_at.of(&self.calm) };
        Some(pages((CONTEXT_GIB.min(spec.vram_gib)).max(spec.vram_gib * loaded) + extra + grown))
    }

    /// What is taken on the card: by the driver and by all processes.
    pub fn vram_used(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "mebibytes")]
        let reserved = self.plan.machine.gpu.vram_reserved_mib as f64 * MIB;
        reserved + (0..self.born.len()).filter_map(|i| self.vram(i)).sum::<f64>()
    }

    /// Resident memory of one process in bytes, 0 while it does not run.
    pub fn rss(&self, index: usize) -> f64 {
        if self.born[index].is_none() {
            return 0.0;
        }
        self.plan.rss(index, self.loaded(index), &self.calm, self.second)
    }

    /// CPU of one process, 100 for one core.
    pub fn process_cpu(&self, index: usize) -> f64 {
        let spec = &self.plan.machine.processes[index];
        if self.born[index].is_none() {
            return 0.0;
        }
        if self.loaded(index) < 1.0 {
            return 95.0;
        }
        let own =
            1.0 + 0.25 * self.plan.noise.white(NOISE_PROCESSES + 500 + index as u64, self.second);
        (spec.cpu + spec.cpu_at.of(&self.levels)) * own
    }
}

// === impl Flow ===

impl Flow {
    fn add(&mut self, inward: f64, outward: f64) {
        self.inward_rate = inward;
        self.outward_rate = outward;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bytes of one second, never negative"
        )]
        {
            self.inward += inward.max(0.0) as u64;
            self.outward += outward.max(0.0) as u64;
        }
    }
}

/// A quantity that follows another with some inertia: one step of a second.
fn follow(value: &mut f64, target: f64, seconds: f64) {
    *value += (target - *value) * (1.0 - (-1.0 / seconds).exp());
}

/// Part of a span that is over, 0 to 1; an empty span is over at once.
fn share(passed: i64, span: i64) -> f64 {
    if span <= 0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let share = passed as f64 / span as f64;
    share.clamp(0.0, 1.0)
}
