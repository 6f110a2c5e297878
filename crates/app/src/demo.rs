//! The demo's past: a new demo opens on a day of history, made by the same
//! simulation and written through the real recorder.

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
    reading::Tick,
    record::{Layer, Record},
};
use plimsoll_sim::{Cast, LiveMarks, Simulation};

use crate::{
    alerts::Rehearsal,
    api::Fault,
    dispatch::blocking,
    folder::cannot,
    jobs::{Job, Stopped},
    sources::PAST_MS,
};

/// Ticks that may wait to be written; far below what the recorder itself would give up.
const AHEAD: usize = 512;
/// Looks at the queue at the end, 5 ms apart: a history that is paused is not waited for.
const LAST_WAITS: u32 = 2000;
/// Ticks made between two looks at the queue.
const BATCH: usize = 128;
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

/// Writes the day before `now`, as fast as the history takes it, with the alerts that its ticks
/// would have raised. Answers those and a sentence.
pub async fn fill(
    job: &Job,
    (simulation, cast): (Simulation, Cast),
    mut rules: Rehearsal,
    record: Arc<dyn Record>,
    now: Instant3,
) -> Result<(Vec<AlertRow>, String), Stopped> {
    let now_ms = now.wall_ms;
    let from_ms = now_ms - PAST_MS;
    for mark in simulation.marks(from_ms, now_ms) {
        record.mark(mark);
    }
    let mut past = simulation.past(from_ms, now_ms, 1000).with_services(&cast);
    let mut written = 0u64;
    loop {
        // A simulated day is work for a processor, not for the runtime that serves requests.
        let into = record.clone();
        let made;
        let marks;
        (past, rules, made, marks) = blocking(move || {
            let mut ticks = Vec::with_capacity(BATCH);
            while ticks.len() < BATCH
                && let Some(tick) = past.next()
            {
                rules.tick(&tick, &past.sources(), &*into);
                ticks.push(tick);
            }
            let marks = past.marks();
            (past, rules, ticks, marks)
        })
        .await?;
        let ticks: Vec<Tick> = made;
        let Some(last) = ticks.last() else { break };
        for mark in marks {
            record.mark(mark);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of a day")]
        let share = (last.at.wall_ms - from_ms) as f64 / PAST_MS as f64;
        for tick in ticks {
            written += 1;
            record.tick(Arc::new(tick));
        }
        job.progress(share)?;
        while record.queue_len() > AHEAD {
            job.check()?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let rows = rules.finish(now, &*record);
    // Charts ask again once this is done, and must then find the last minutes too.
    for _ in 0..LAST_WAITS {
        if record.queue_len() == 0 {
            break;
        }
        job.check()?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok((rows, format!("{written} simulated seconds were written.")))
}

#[cfg(test)]
mod tests {
    use plimsoll_core::{mark::Mark, record::Nowhere};

    use super::*;

    #[derive(Default)]
    struct Ticks(Mutex<Vec<i64>>);

    impl Layer for Ticks {
        fn below(&self) -> &dyn Record {
            &Nowhere
        }
        fn on_tick(&self, tick: Arc<Tick>) {
            self.0.lock().unwrap().push(tick.at.wall_ms);
        }
    }

    fn tick(at_ms: i64) -> Arc<Tick> {
        let at = Instant3 { wall_ms: at_ms, monotonic_ms: at_ms, boottime_ms: at_ms };
        Arc::new(Tick { at, readings: Vec::new() })
    }

    #[test]
    fn live_ticks_follow_the_past_in_order_and_the_oldest_of_too_many_go() {
        let written = Arc::new(Ticks::default());
        let gate = HoldBack::new(written.clone());
        let far = 1_000_000;
        for n in 0..700 {
            gate.tick(tick(far + n));
        }
        written.tick(tick(1));
        gate.let_go();
        gate.tick(tick(far + 700));
        let written = written.0.lock().unwrap();
        assert_eq!(written.len(), 1 + HELD + 1);
        assert_eq!((written[0], written[1]), (1, far + 100));
        assert!(written.is_sorted());
    }
    #[derive(Default)]
    struct Marks(Mutex<Vec<Mark>>);

    impl Layer for Marks {
        fn below(&self) -> &dyn Record {
            &Nowhere
        }
        fn on_mark(&self, mark: Mark) {
            self.0.lock().unwrap().push(mark);
        }
    }

    #[test]
    fn what_the_scenario_marks_while_it_runs_is_recorded_once() {
        let start = tick(1_794_925_920_000).at;
        let simulation = Simulation::new("day", 7, 1.0, start).unwrap();
        let heard = Arc::new(Marks::default());
        let scenes = Scenes::new(heard.clone(), &simulation);
        for second in 0..600 {
            scenes.tick(tick(start.wall_ms + second * 1000));
        }
        let heard = heard.0.lock().unwrap();
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert!(heard[0].title.contains("label_images.py started"), "{heard:?}");
        assert_eq!(heard[0].detail, "Simulated.");
        assert_eq!(heard[0].at_ms, start.wall_ms + 210_000);
    }
}
