//! The demo's past: a new demo opens on a day of history, made by the same
//! simulation and written through the real recorder.

mod gate;

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    alert::AlertRow,
    clock::Instant3,
    config::Config,
    mark::Mark,
    metric::Metric,
    reading::Tick,
    record::{Layer, Record},
    request::RequestRow,
};
use plimsoll_sim::{Cast, LiveMarks, Past, ScenarioError, Simulation};

use self::gate::PastGate;
use crate::{
    alerts::Rehearsal,
    api::{Fault, FaultCode},
    dispatch::blocking,
    folder::cannot,
    jobs::{Job, Stopped},
};

/// Ticks that may wait to be written; far below what the recorder itself would give up.
const AHEAD: usize = 512;
/// Looks at the queue at the end, 5 ms apart: a history that is paused is not waited for.
const LAST_WAITS: u32 = 2000;
/// Ticks made between two looks at the queue.
const BATCH: usize = 128;
/// Most requests of a past; a simulated day has some 29,000.
const MAX_REQUESTS: usize = 40_000;
/// Live ticks held back meanwhile: ten minutes.
const HELD: usize = 600;

/// Stands in the data folder while the past is written.
const UNFINISHED: &str = "PAST_UNFINISHED";

/// The past is being written. Whatever ends the program meanwhile, the next start finds this.
#[derive(Debug)]
pub struct Unfinished(PathBuf);

/// Holds live ticks back while the past is written: a history takes time in order,
/// and a tick from now between two from yesterday would be a clock that jumps.
pub struct HoldBack {
    below: Arc<dyn Record>,
    held: Mutex<Option<VecDeque<Arc<Tick>>>>,
}

/// Records what the scenario marks, beside the ticks of the same moments.
pub struct Scenes {
    below: Arc<dyn Record>,
    marks: Mutex<LiveMarks>,
}

// === impl Unfinished ===

impl Unfinished {
    pub fn begin(data: &Path) -> Result<Self, Fault> {
        let path = data.join(UNFINISHED);
        let words = "The demo's past is being written. If this file is still here at the next start, \
                     that past is made anew.\n";
        fs::write(&path, words).map_err(|error| cannot("write", &path, &error))?;
        Ok(Self(path))
    }

    /// The past is whole, or a person wants no more of it.
    pub fn over(self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, file = %self.0.display(), "could not be removed");
        }
    }

    /// Takes away a past that was never finished, so that the next one is whole. Only for a folder
    /// of simulated data that is ours, and before anything in it is opened.
    pub fn clear(data: &Path) -> Result<(), Fault> {
        let marker = data.join(UNFINISHED);
        if !marker.exists() {
            return Ok(());
        }
        // The marker last: what is interrupted here goes on at the next start.
        for name in ["history.db-wal", "history.db-shm", "history.db", UNFINISHED] {
            let path = data.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(cannot("delete", &path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

// === impl HoldBack ===

impl HoldBack {
    pub fn new(below: Arc<dyn Record>) -> Self {
        Self { below, held: Mutex::new(Some(VecDeque::new())) }
    }

    /// When the first tick is from that was held and tells of services: from there on everything
    /// is told live. `None`: there is none yet.
    fn first_ms(&self) -> Option<i64> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let tells = |tick: &&Arc<Tick>| tick.readings.iter().any(|r| r.metric == Metric::ServiceUp);
        let held = held.as_ref()?;
        held.iter().find(tells).map(|tick| tick.at.wall_ms)
    }

    /// Gives up what is older: the past goes up to there.
    fn give_up_before(&self, at_ms: i64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &mut *held {
            held.retain(|tick| tick.at.wall_ms >= at_ms);
        }
    }

    /// From now on ticks pass; those that were held go first.
    pub fn let_go(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for tick in held.take().into_iter().flatten() {
            self.below.tick(tick);
        }
    }
}

impl Layer for HoldBack {
    fn below(&self) -> &dyn Record {
        &*self.below
    }

    fn on_tick(&self, tick: Arc<Tick>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(held) => {
                held.push_back(tick);
                if held.len() > HELD {
                    held.pop_front();
                }
            }
            None => self.below.tick(tick),
        }
    }
}

// === impl Scenes ===

impl Scenes {
    pub fn new(below: Arc<dyn Record>, simulation: &Simulation) -> Self {
        Self { below, marks: Mutex::new(simulation.live_marks()) }
    }
}

impl Layer for Scenes {
    fn below(&self) -> &dyn Record {
        &*self.below
    }

    fn on_tick(&self, tick: Arc<Tick>) {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner).until(tick.at);
        for mark in marks {
            self.below.mark(mark);
        }
        self.below.tick(tick);
    }
}

/// What a past is made of.
pub struct Stuff {
    pub simulation: Simulation,
    pub cast: Cast,
    /// Whose limits its gateway had.
    pub config: Arc<Config>,
    /// When the demo was opened.
    pub now: Instant3,
    /// How much of it there is.
    pub span_ms: i64,
}

// === impl Stuff ===

impl Stuff {
    /// What was before `now`.
    fn past(&self) -> Result<Past, ScenarioError> {
        let now_ms = self.now.wall_ms;
        let gate = PastGate::new(&self.config, &self.cast);
        self.simulation
            .past(now_ms - self.span_ms, now_ms, 1000)
            .with_services(&self.cast)
            .with_gateway(Box::new(gate))
    }
}

/// Writes what was before the demo was opened, up to the first live tick, as fast as the history
/// takes it, with the requests that passed and the alerts that its ticks would have raised.
/// Answers those alerts and a sentence.
pub async fn fill(
    job: &Job,
    stuff: Stuff,
    mut rules: Rehearsal,
    record: Arc<dyn Record>,
    hold: &HoldBack,
) -> Result<(Vec<AlertRow>, String), Stopped> {
    let (now_ms, span_ms) = (stuff.now.wall_ms, stuff.span_ms);
    let from_ms = now_ms - span_ms;
    for mark in stuff.simulation.marks(from_ms, now_ms) {
        record.mark(mark);
    }
    let broken = |error: ScenarioError| Fault::new(FaultCode::Internal, error.to_string());
    let mut past = stuff.past().map_err(broken)?;
    let (mut written, mut requests, mut waits) = (0u64, 0usize, 0);
    loop {
        // A simulated day is work for a processor, not for the runtime that serves requests.
        let into = record.clone();
        let made;
        (past, rules, made) = blocking(move || {
            let made = Made::of(&mut past, &mut rules, &*into);
            (past, rules, made)
        })
        .await?;
        let Some(last) = made.ticks.last() else {
            // It ends where the live ticks begin: a start takes longer than charts overlook.
            match hold.first_ms() {
                Some(first_ms) if past.until(first_ms) => continue,
                None if waits < LAST_WAITS => {
                    waits += 1;
                    job.check()?;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                first_ms => {
                    hold.give_up_before(first_ms.unwrap_or(i64::MIN));
                    break;
                }
            }
        };
        for mark in made.marks {
            record.mark(mark);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of a day")]
        let share = (last.at.wall_ms - from_ms) as f64 / span_ms as f64;
        written += made.ticks.len() as u64;
        for tick in made.ticks {
            record.tick(Arc::new(tick));
        }
        // From then on the live clients ask.
        let before = made.requests.into_iter().filter(|row| row.at_ms < now_ms);
        let before: Vec<_> = before.take(MAX_REQUESTS - requests).map(Arc::new).collect();
        requests += before.len();
        if !before.is_empty() {
            record.requests(before);
        }
        job.progress(share.min(1.0))?;
        while record.queue_len() > AHEAD {
            job.check()?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let rows = rules.finish(stuff.now, &*record);
    // Charts ask again once this is done, and must then find the last minutes too.
    for _ in 0..LAST_WAITS {
        if record.queue_len() == 0 {
            break;
        }
        job.check()?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let words = format!("{written} simulated seconds and {requests} requests were written.");
    Ok((rows, words))
}

/// A piece of the past.
struct Made {
    ticks: Vec<Tick>,
    marks: Vec<Mark>,
    requests: Vec<RequestRow>,
}

// === impl Made ===

impl Made {
    fn of(past: &mut Past, rules: &mut Rehearsal, record: &dyn Record) -> Self {
        let mut ticks = Vec::with_capacity(BATCH);
        while ticks.len() < BATCH
            && let Some(tick) = past.next()
        {
            rules.tick(&tick, &past.sources(), record);
            ticks.push(tick);
        }
        Self { ticks, marks: past.marks(), requests: past.requests() }
    }
}

#[cfg(test)]
mod tests;
