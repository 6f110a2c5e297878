//! A simulated machine with a scenario, a seed and a speed.

use std::sync::{Arc, Mutex};

use plimsoll_core::{
    clock::Instant3,
    device::{GpuInfo, MachineInfo},
    mark::Mark,
    process::{ProcessTable, TRACE_POINTS},
};
use plimsoll_sense::{Options, Sources};
use tokio::sync::watch;

use crate::{
    live::{GpuSource, ProcessSource, Seat, SpaceSource, SystemSource, gpu_info},
    machine::Machine,
    marks::{self, LiveMarks},
    noise::Noise,
    past::Past,
    plan::{GIB, Plan},
    readings::Subjects,
    scenario::{DAY_S, Scenario, ScenarioError},
    table::{Board, SimulatedProcesses},
    world::World,
};

/// One simulated second a real one, up to one simulated hour.
pub const MAX_SPEED: f64 = 3600.0;
/// The look back of the process traces, in seconds of the simulation.
const TRACE_STEP_S: i64 = 5;
const TRACE_S: i64 = TRACE_STEP_S * TRACE_POINTS as i64;

/// How real time and simulated time hang together: equal up to the start, and
/// from there on the simulation runs `speed` times as fast.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    pub start: Instant3,
    pub speed: f64,
}

/// A simulated machine, ready to be read.
#[derive(Clone, Debug)]
pub struct Simulation {
    plan: Arc<Plan>,
    timeline: Timeline,
    subjects: Arc<Subjects>,
}

// === impl Timeline ===

impl Timeline {
    /// The simulated second at a real moment. The monotonic clock counts: a
    /// wall clock that is set changes nothing in the simulation.
    pub fn second_at(self, now: Instant3) -> i64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
        let passed = (now.monotonic_ms - self.start.monotonic_ms) as f64 * self.speed;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
        let passed = passed.floor() as i64;
        (self.start.wall_ms + passed).div_euclid(1000)
    }

    /// The real moment at which that second was or will be, in UTC milliseconds.
    pub fn shown_ms(self, second: i64) -> i64 {
        let ahead = second * 1000 - self.start.wall_ms;
        if ahead <= 0 {
            return second * 1000;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "milliseconds of a run"
        )]
        let ahead = (ahead as f64 / self.speed) as i64;
        self.start.wall_ms + ahead
    }
}

// === impl Simulation ===

impl Simulation {
    /// A scenario that starts now, at its own time of day. Its counters begin
    /// at zero, as after a start of the machine.
    ///
    /// `speed` is simulated time by real time, above 0 and up to [`MAX_SPEED`].
    /// Counters count per simulated second: at 60× their rates are 60 times as high.
    pub fn new(name: &str, seed: u64, speed: f64, start: Instant3) -> Result<Self, ScenarioError> {
        if !(speed > 0.0 && speed <= MAX_SPEED) {
            return Err(ScenarioError(format!(
                "The speed is above 0 and at most {MAX_SPEED}. Found {speed}."
            )));
        }
        let scenario = Scenario::named(name)?;
        let start_s = start.wall_ms.div_euclid(1000);
        let day_offset_s = scenario.starts.map_or(0, |at| (at.0 - start_s).rem_euclid(DAY_S));
        let plan = Plan {
            scenario,
            machine: Machine::atlas()?,
            noise: Noise::new(seed),
            anchor_s: start_s,
            start_s,
            day_offset_s,
            willed: Mutex::default(),
            emptied: Mutex::default(),
        };
        let subjects = Arc::new(Subjects::of(&plan));
        Ok(Self { plan: Arc::new(plan), timeline: Timeline { start, speed }, subjects })
    }

    /// The machine has been watched since `from_ms`: its counters began there,
    /// and go on without a break from its past into its live readings.
    #[must_use]
    pub fn since(self, from_ms: i64) -> Self {
        let start_s = self.plan.start_s;
        self.planned(|plan| plan.anchor_s = from_ms.div_euclid(1000).min(start_s))
    }

    /// The same with a plan that differs.
    pub(crate) fn planned(self, change: impl FnOnce(&mut Plan)) -> Self {
        let plan = &self.plan;
        let mut plan = Plan {
            scenario: plan.scenario.clone(),
            machine: plan.machine.clone(),
            noise: plan.noise,
            anchor_s: plan.anchor_s,
            start_s: plan.start_s,
            day_offset_s: plan.day_offset_s,
            willed: Mutex::default(),
            emptied: Mutex::default(),
        };
        change(&mut plan);
        Self { plan: Arc::new(plan), ..self }
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn timeline(&self) -> Timeline {
        self.timeline
    }

    pub fn title(&self) -> &str {
        &self.plan.scenario.title
    }

    /// What the scenario plays at a real moment, e.g. `a batch that fills VRAM`.
    pub fn phase(&self, now: Instant3) -> &str {
        let second = self.timeline.second_at(now);
        &self.plan.scenario.phase(self.plan.scene(second)).name
    }

    pub fn machine(&self) -> MachineInfo {
        let machine = &self.plan.machine;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size in bytes"
        )]
        let memory_bytes = (machine.memory_gib * GIB) as u64;
        MachineInfo {
            hostname: machine.hostname.clone(),
            os: machine.os.clone(),
            kernel: machine.kernel.clone(),
            cpu_model: machine.cpu_model.clone(),
            cores: Some(machine.threads),
            memory_bytes: Some(memory_bytes),
            container: None,
        }
    }

    /// The card as its driver describes it at the start.
    pub fn gpu(&self) -> GpuInfo {
        gpu_info(&World::new(self.plan.clone(), self.plan.start_s))
    }

    /// The machine as sources. What Plimsoll itself costs is not simulated: the
    /// sampler measures it, as it does beside real sources.
    pub fn sources(&self, options: watch::Receiver<Options>) -> Sources {
        let world = World::new(self.plan.clone(), self.plan.start_s - TRACE_S);
        let seat =
            Seat { world, timeline: self.timeline, subjects: self.subjects.clone(), options };

        let board = Arc::new(Mutex::new(Board::new(self.plan.clone(), self.timeline)));
        let (table_in, processes) = watch::channel(Arc::new(ProcessTable::default()));
        let mut scans = ProcessSource { seat, board: board.clone(), table: table_in };
        scans.look_back(TRACE_S, TRACE_STEP_S);

        let seat = scans.seat.clone();
        let (info, gpu) = watch::channel(Some(Arc::new(gpu_info(&seat.world))));
        Sources {
            machine: self.machine(),
            gpu,
            processes,
            inspect: Arc::new(SimulatedProcesses::new(board)),
            list: vec![
                Box::new(SystemSource(seat.clone())),
                Box::new(GpuSource { seat: seat.clone(), info }),
                Box::new(scans),
                Box::new(SpaceSource(seat)),
            ],
        }
    }

    /// Ticks from one moment up to, not including, another, `step_ms` apart
    /// (at least 1000). Whatever the step, the values of a second are the same.
    pub fn past(&self, from_ms: i64, to_ms: i64, step_ms: i64) -> Past {
        let world = World::new(self.plan.clone(), from_ms.div_euclid(1000));
        Past::new(world, self.timeline, self.subjects.clone(), (from_ms, to_ms), step_ms)
    }

    /// What the scenario marks between two real moments, oldest first.
    pub fn marks(&self, from_ms: i64, to_ms: i64) -> Vec<Mark> {
        let second_of = |ms: i64| {
            let start = self.timeline.start;
            let monotonic_ms = start.monotonic_ms + ms - start.wall_ms;
            if ms <= start.wall_ms {
                ms.div_euclid(1000)
            } else {
                self.timeline.second_at(Instant3 { monotonic_ms, ..start })
            }
        };
        marks::between(&self.plan, self.timeline, second_of(from_ms), second_of(to_ms))
    }

    /// What the scenario marks from its start on, as time passes. What lies before
    /// the start is [`Simulation::marks`]'s.
    pub fn live_marks(&self) -> LiveMarks {
        LiveMarks::new(self.plan.clone(), self.timeline)
    }
}
