//! The simulated process table, and what a person can ask and do about it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use plimsoll_core::process::{
    EndProcess, MAX_PORTS, Process, ProcessDetail, ProcessTable, TRACE_POINTS,
};
use plimsoll_sense::{Inspect, InspectError};

use crate::{
    simulation::Timeline,
    world::{GIB, Plan, World},
};

/// Ten minutes of one process.
#[derive(Clone, Debug, Default)]
struct Trace {
    cpu: VecDeque<Option<f32>>,
    rss: VecDeque<Option<u64>>,
    vram: VecDeque<Option<u64>>,
}

/// The newest scan, shared by the source that makes it and those who ask.
#[derive(Clone, Debug)]
pub struct Board {
    plan: Arc<Plan>,
    timeline: Timeline,
    traces: Vec<Trace>,
    /// The second each trace belongs to: a new start begins a new one.
    born: Vec<Option<i64>>,
    table: Arc<ProcessTable>,
    second: i64,
}

/// Answers about simulated processes.
pub struct SimulatedProcesses {
    board: Arc<Mutex<Board>>,
}

// === impl Trace ===

impl Trace {
    fn push(&mut self, cpu: f64, rss: u64, vram: Option<u64>) {
        #[expect(clippy::cast_possible_truncation, reason = "a percentage, for a picture")]
        keep(&mut self.cpu, Some((cpu as f32 * 10.0).round() / 10.0));
        keep(&mut self.rss, Some(rss));
        keep(&mut self.vram, vram);
    }
}

fn keep<T>(ring: &mut VecDeque<T>, value: T) {
    if ring.len() >= TRACE_POINTS {
        ring.pop_front();
    }
    ring.push_back(value);
}

// === impl Board ===

impl Board {
    pub fn new(plan: Arc<Plan>, timeline: Timeline) -> Self {
        let count = plan.machine.processes.len();
        Self {
            plan,
            timeline,
            traces: vec![Trace::default(); count],
            born: vec![None; count],
            table: Arc::default(),
            second: i64::MIN,
        }
    }

    /// Takes a scan of the machine as it is at the world's second.
    pub fn scan(&mut self, world: &World, interval_ms: u32) -> Arc<ProcessTable> {
        self.second = world.second;
        let lost = self.plan.gpu_lost(world.second).map(str::to_owned);
        let mut processes = Vec::with_capacity(self.traces.len());
        for index in 0..self.traces.len() {
            if self.born[index] != world.born[index] {
                self.traces[index] = Trace::default();
                self.born[index] = world.born[index];
            }
            let Some(born) = world.born[index] else { continue };
            let spec = &self.plan.machine.processes[index];
            let cpu = (world.process_cpu(index) * 10.0).round() / 10.0;
            let rss = whole(world.rss(index));
            let vram = world.vram(index).filter(|_| lost.is_none()).map(whole);
            let parent = self.parent(index).map_or(1, |(pid, _)| pid);
            let trace = &mut self.traces[index];
            let first = trace.cpu.is_empty() && born >= world.second - 1;
            trace.push(cpu, rss, vram);
            processes.push(Process {
                pid: spec.pid,
                parent: if spec.pid == 1 { 0 } else { parent },
                name: spec.name.clone(),
                command: spec.command.clone(),
                uid: spec.uid,
                user: spec.user.clone(),
                container: spec.container.clone(),
                unit: spec.unit.clone(),
                cpu_percent: (!first).then_some(cpu),
                rss_bytes: rss,
                vram_bytes: vram,
                threads: spec.threads,
                ports: ports(&spec.listens),
                started_ms: self.timeline.shown_ms(born),
                cpu_trace: trace.cpu.iter().copied().collect(),
                own: false,
            });
        }
        self.table = Arc::new(ProcessTable {
            at_ms: self.timeline.shown_ms(world.second),
            interval_ms,
            processes,
            container_memory: BTreeMap::new(),
            vram_unknown: lost,
        });
        self.table.clone()
    }

    fn parent(&self, index: usize) -> Option<(i32, &str)> {
        let id = self.plan.machine.processes[index].parent.as_deref()?;
        let parent = self.plan.machine.processes.iter().find(|p| p.id == id)?;
        Some((parent.pid, &parent.name))
    }

    fn find(&self, pid: i32) -> Result<(usize, &Process), InspectError> {
        let process = self.table.processes.iter().find(|p| p.pid == pid);
        let index = self.plan.machine.processes.iter().position(|p| p.pid == pid);
        match (index, process) {
            (Some(index), Some(process)) => Ok((index, process)),
            _ => Err(InspectError::Gone(format!("Process {pid} has ended (simulated)."))),
        }
    }
}

// === impl SimulatedProcesses ===

impl SimulatedProcesses {
    pub fn new(board: Arc<Mutex<Board>>) -> Self {
        Self { board }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inspect for SimulatedProcesses {
    fn detail(&self, pid: i32) -> Result<ProcessDetail, InspectError> {
        let board = self.board();
        let (index, process) = board.find(pid)?;
        let spec = &board.plan.machine.processes[index];
        let trace = &board.traces[index];
        Ok(ProcessDetail {
            process: process.clone(),
            nice: 0,
            executable: spec.executable.clone(),
            parent_name: match board.parent(index) {
                Some((_, name)) => Some(name.to_owned()),
                None => (pid != 1).then(|| "systemd".to_owned()),
            },
            open_files: Some(spec.files),
            open_files_limit: Some(1024.max(u64::from(spec.files) * 2)),
            memory_limit_bytes: spec.memory_limit_gib.map(|gib| whole(gib * GIB)),
            listens: spec.listens.clone(),
            rss_trace: trace.rss.iter().copied().collect(),
            vram_trace: trace.vram.iter().copied().collect(),
        })
    }

    fn end(&self, request: &EndProcess) -> Result<String, InspectError> {
        let mut board = self.board();
        let (_, process) = board.find(request.pid)?;
        let (pid, name) = (process.pid, process.name.clone());
        if process.started_ms != request.started_ms {
            return Err(InspectError::Gone(format!(
                "Process {pid} is another one by now: it started at another time (simulated)."
            )));
        }
        if pid == 1 || process.command.is_empty() {
            return Err(InspectError::Refused(format!(
                "{name} ({pid}) belongs to the system: Plimsoll does not end it (simulated)."
            )));
        }
        board.plan.end(pid, board.second);
        // Whoever asks next sees it gone, without waiting for the next scan.
        let mut table = (*board.table).clone();
        table.processes.retain(|p| p.pid != pid);
        board.table = Arc::new(table);
        let how = if request.kill { "killed" } else { "ended" };
        Ok(format!(
            "{name} ({pid}) was {how} in the simulation, and what it held is free again. \
             No process of this machine was touched."
        ))
    }
}

/// The ports of addresses such as `127.0.0.1:8080`.
fn ports(addresses: &[String]) -> Vec<u16> {
    let port = |address: &String| address.rsplit(':').next()?.parse().ok();
    let mut ports: Vec<u16> = addresses.iter().filter_map(port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.truncate(MAX_PORTS);
    ports
}

fn whole(bytes: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes")]
    let whole = bytes.max(0.0) as u64;
    whole
}
