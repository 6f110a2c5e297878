//! The state of the simulated machine. It moves in steps of one simulated
//! second, whatever the speed and however often it is read, so that the same
//! second always looks the same.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    machine::{Machine, ProcessSpec},
    noise::Noise,
    scenario::{DAY_S, Levels, Scenario},
};

pub const GIB: f64 = 1_073_741_824.0;
pub const MIB: f64 = 1_048_576.0;
/// Sizes are whole multiples of this, as the catalogue's resolution is.
pub const PAGE: f64 = 65_536.0;

/// Streams of noise: activities take the first ones, processes those from 1000 on.
pub const NOISE_CORES: u64 = 100;
pub const NOISE_MISC: u64 = 400;
const NOISE_DISKS: u64 = 500;
const NOISE_NET: u64 = 600;
const NOISE_PROCESSES: u64 = 1000;

/// Filters run this long before the first reading, so that it looks settled.
const WARM_UP_S: i64 = 900;
/// Draw of a fully busy card without a limit; its limit lies below.
const POWER_FREE_WATTS: f64 = 405.0;

/// What does not change while it runs.
#[derive(Debug)]
pub struct Plan {
    pub scenario: Scenario,
    pub machine: Machine,
    pub noise: Noise,
    /// The second at which counters are zero.
    pub anchor_s: i64,
    /// The second at which live reading starts.
    pub start_s: i64,
    /// What to add to a second to get the machine's own time of day.
    pub day_offset_s: i64,
    /// Pids that a person ended or began, and the second in which they did.
    pub willed: Mutex<HashMap<i32, Willed>>,
    /// Pids whose model a person took out of memory, and the second of it.
    pub emptied: Mutex<HashMap<i32, i64>>,
}

/// What a person did with a process.
#[derive(Clone, Copy, Debug)]
pub enum Willed {
    Ended(i64),
    Began(i64),
}

/// VRAM of a process without its model, in GiB.
const CONTEXT_GIB: f64 = 0.25;
/// How long what a person began runs where its time of day would not have it.
const BEGUN_S: i64 = 4 * 3600;

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

// === impl Plan ===

impl Plan {
    /// The machine's own time of day.
    pub fn time_of_day(&self, second: i64) -> i64 {
        (second + self.day_offset_s).rem_euclid(DAY_S)
    }

    /// The second of the scenario.
    pub fn scene(&self, second: i64) -> i64 {
        if self.scenario.length.0 == DAY_S {
            self.time_of_day(second)
        } else {
            (second - self.start_s).rem_euclid(self.scenario.length.0)
        }
    }

    pub fn gpu_lost(&self, second: i64) -> Option<&str> {
        self.scenario.gpu_lost(self.scene(second))
    }

    /// When the process that lives at `second` began, were it left alone.
    fn birth(&self, spec: &ProcessSpec, second: i64) -> Option<i64> {
        let (Some(from), Some(to)) = (spec.from, spec.to) else {
            // Up for days; higher pids came later.
            return Some(self.anchor_s - 6 * DAY_S + i64::from(spec.pid) * 19);
        };
        let now = self.time_of_day(second);
        (from.0..to.0).contains(&now).then_some(second - (now - from.0))
    }

    pub fn end(&self, pid: i32, second: i64) {
        self.will(pid, Willed::Ended(second));
    }

    /// Somebody starts it now.
    pub fn begin(&self, pid: i32, second: i64) {
        self.will(pid, Willed::Began(second));
    }

    fn will(&self, pid: i32, willed: Willed) {
        self.willed.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, willed);
    }

    /// When a process began that lives at that second, after all that was done to it.
    pub fn born(&self, spec: &ProcessSpec, second: i64) -> Option<i64> {
        let willed = self.willed.lock().unwrap_or_else(PoisonError::into_inner);
        born(self.birth(spec, second), willed.get(&spec.pid), second)
    }

    /// Somebody loads the model of a process that lives on, or takes it out of memory.
    pub fn hold(&self, pid: i32, second: i64, loaded: bool) {
        let mut emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded {
            emptied.remove(&pid);
        } else {
            emptied.insert(pid, second);
        }
    }

    /// Whether the model of a process that began at `born` is out of memory.
    fn is_emptied(&self, pid: i32, born: i64, second: i64) -> bool {
        let emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        emptied.get(&pid).is_some_and(|at| (born..=second).contains(at))
    }

    /// Resident memory in bytes of a process that lives; `loaded` of its loading is done.
    pub fn rss(&self, index: usize, loaded: f64, calm: &Levels, second: i64) -> f64 {
        let spec = &self.machine.processes[index];
        let wander = 1.0 + 0.012 * self.noise.smooth(NOISE_PROCESSES + index as u64, second, 300);
        pages((spec.rss_gib * (0.15 + 0.85 * loaded) + spec.rss_at.of(calm)) * wander)
    }

    /// The levels at a second, with the restlessness of real use.
    pub fn levels(&self, second: i64) -> Levels {
        let calm = self.scenario.levels(self.scene(second));
        self.restless(&calm, second)
    }

    fn restless(&self, calm: &Levels, second: i64) -> Levels {
        let mut levels = *calm;
        for (level, stream) in levels.iter_mut().zip(0u64..) {
            *level *= 1.0
                + 0.30 * self.noise.smooth(stream, second, 47)
                + 0.16 * self.noise.smooth(stream + 20, second, 7)
                + 0.10 * self.noise.white(stream + 40, second);
        }
        levels
    }
}

/// What a person did counts until the next start that was planned.
fn born(planned: Option<i64>, willed: Option<&Willed>, second: i64) -> Option<i64> {
    match willed {
        Some(Willed::Ended(end)) => planned.filter(|born| end < born),
        Some(Willed::Began(at)) if planned.is_none_or(|born| born < *at) => {
            (planned.is_some() || second - at < BEGUN_S).then_some(*at)
        }
        _ => planned,
    }
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
            *born = self::born(plan.birth(spec, self.second), willed.get(&spec.pid), self.second);
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

fn pages(gib: f64) -> f64 {
    (gib * GIB / PAGE).round() * PAGE
}
