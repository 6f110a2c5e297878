//! What all connections of a double share: its engines, who waits for them, its
//! counts. Time passes whenever somebody looks; a task of its own looks only while
//! somebody waits.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep_until},
};

use super::{
    engine::{Event, Outcome, Us, Wish},
    fault::{Fault, Planned, strike},
    feed::{Feed, Load, NOBODY, Story},
    runner::{Memory, Runner},
    spec::{Speaks, Spec},
    stats::Stats,
    ticket::{Flight, Ticket},
};
use crate::noise::Noise;

/// How often it is looked whether a model has loaded.
const LOOK: Duration = Duration::from_millis(20);

/// A simulated machine that a double is a part of.
#[derive(Clone)]
pub struct Staged {
    pub story: Arc<dyn Story>,
    pub load: Load,
    pub noise: Noise,
    /// The simulated second at which the double begins.
    pub from_s: i64,
    /// How much of its past it has behind it when it begins to answer.
    pub warm_s: i64,
}

pub struct Shared {
    pub spec: Spec,
    pub staged: Option<Staged>,
    state: Mutex<State>,
    /// Something is due earlier than before.
    nudge: Notify,
    /// A count changed.
    changed: Notify,
    origin: Instant,
    warm: Us,
    /// UTC milliseconds at the origin.
    pub wall_ms: i64,
}

pub struct State {
    pub runners: Vec<Runner>,
    pub stats: Stats,
    pub planned: Vec<Planned>,
    pub(super) waiting_for: HashMap<u64, Heard>,
    /// Requests whose client left and that go on.
    pub(super) orphans: HashSet<u64>,
    last: u64,
    events: Vec<Event>,
    wake: Vec<Waker>,
}

/// What a client may hear of its request.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub runner: usize,
    pub generated: u32,
    pub end: Option<End>,
    pub waker: Option<Waker>,
}

/// How a request ended for the one who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done(Outcome),
    Lost,
}

// === impl Shared ===

impl Shared {
    pub fn new(spec: Spec, staged: Option<Staged>, wall_ms: i64) -> Arc<Self> {
        let runners = spec
            .models
            .iter()
            .zip(0u64..)
            .map(|(model, place)| {
                let feed = staged.as_ref().filter(|_| place == 0).map(|staged| {
                    let from_s = staged.from_s - staged.warm_s;
                    let story = staged.story.clone();
                    Feed::new(story, staged.load.clone(), staged.noise, model.context, from_s)
                });
                Runner::new(&spec, model, feed)
            })
            .collect();
        let warm = staged.as_ref().map_or(0, |staged| {
            u64::try_from(staged.warm_s).unwrap_or(0).saturating_mul(1_000_000)
        });
        let state = State {
            runners,
            stats: Stats::default(),
            planned: spec.faults.clone(),
            waiting_for: HashMap::new(),
            orphans: HashSet::new(),
            last: 0,
            events: Vec::new(),
            wake: Vec::new(),
        };
        let shared = Self {
            spec,
            staged,
            state: Mutex::new(state),
            nudge: Notify::new(),
            changed: Notify::new(),
            origin: Instant::now(),
            warm,
            wall_ms,
        };
        shared.with(|_, _| ());
        Arc::new(shared)
    }

    /// Microseconds since the double began.
    pub fn now(&self) -> Us {
        let passed = self.origin.elapsed().as_micros();
        self.warm.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Milliseconds since it began to answer.
    fn answering(&self, now: Us) -> Us {
        now.saturating_sub(self.warm)
    }

    /// That moment in UTC milliseconds.
    pub fn wall_ms(&self, at: Us) -> i64 {
        let ms = |us: Us| i64::try_from(us / 1000).unwrap_or(i64::MAX);
        self.wall_ms.saturating_add(ms(at)).saturating_sub(ms(self.warm))
    }

    /// The simulated second of a moment.
    pub fn second(&self, at: Us) -> Option<i64> {
        let staged = self.staged.as_ref()?;
        let passed = i64::try_from(at / 1_000_000).unwrap_or(i64::MAX);
        Some(staged.from_s - staged.warm_s + passed)
    }

    /// Brings time to now, then looks or changes something.
    pub fn with<R>(&self, look: impl FnOnce(&mut State, Us) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        state.advance(now);
        let before = (state.due(), state.stats.clone());
        let answer = look(&mut state, now);
        state.settle();
        let after = state.due();
        let earlier = after.is_some_and(|due| before.0.is_none_or(|known| due < known));
        let changed = before.1 != state.stats;
        let wake = std::mem::take(&mut state.wake);
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        if earlier {
            self.nudge.notify_one();
        }
        if changed {
            self.changed.notify_waiters();
        }
        answer
    }

    /// Lets time pass for those who wait, for as long as the double lives.
    pub async fn drive(self: Arc<Self>) {
        loop {
            let due = self.with(|state, _| state.due());
            let until =
                due.map(|at| self.origin + Duration::from_micros(at.saturating_sub(self.warm)));
            tokio::select! {
                () = sleep_until(until.unwrap_or(self.origin)), if until.is_some() => {}
                () = self.nudge.notified() => {}
            }
        }
    }

    pub fn stats(&self) -> Stats {
        self.with(|state, _| state.stats.clone())
    }

    /// Waits until the counts are as wanted.
    pub async fn until(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            changed.await;
        }
    }

    /// The fault that hits a question now.
    pub fn strike(&self, work: bool) -> Option<Fault> {
        self.with(|state, now| {
            let told = || {
                let (staged, second) = self.staged.as_ref().zip(self.second(now))?;
                let (fault, on) = staged.story.fault(second)?;
                on.is_about(work).then_some(fault)
            };
            let hit = strike(&mut state.planned, work, self.answering(now)).or_else(told)?;
            state.stats.faults += 1;
            Some(hit)
        })
    }

    /// A request for work has come.
    pub fn take_off(self: &Arc<Self>) -> Flight {
        self.with(|state, _| {
            let stats = &mut state.stats;
            stats.requests += 1;
            stats.in_flight += 1;
            stats.most_in_flight = stats.most_in_flight.max(stats.in_flight);
        });
        Flight { shared: self.clone() }
    }

    /// Gives a request to a model's engine; `None` where that is full.
    pub fn ask(self: &Arc<Self>, runner: usize, wish: Wish) -> Option<Ticket> {
        self.with(|state, now| {
            let one = &state.runners[runner];
            let most = self.spec.most_waiting.unwrap_or(usize::MAX);
            let none_free = one.engine.running().len() >= one.engine.speed().slots;
            if one.engine.is_full() || (none_free && one.engine.waiting() >= most) {
                return None;
            }
            if self.spec.speaks == Speaks::Ollama {
                state.make_room(runner, self.spec.room_bytes);
            }
            state.last += 1;
            let id = state.last;
            state.waiting_for.insert(id, Heard { runner, ..Heard::default() });
            state.runners[runner].submit(now, id, wish);
            state.advance(now);
            Some(Ticket { shared: self.clone(), id, over: false })
        })
    }

    /// Loads a model without a request, or takes it out of memory as soon as it rests.
    pub fn change(&self, runner: usize, load: bool) {
        self.with(|state, now| {
            if let Some((staged, second)) = self.staged.as_ref().zip(self.second(now))
                && runner == 0
            {
                // It hears of it with the next second.
                return staged.story.change(second, load);
            }
            if load {
                state.make_room(runner, self.spec.room_bytes);
                state.runners[runner].load(now);
            } else if !state.runners[runner].unload() {
                state.runners[runner].keep = Some(0);
            }
        });
    }

    /// Waits until a model is in memory.
    pub async fn loaded(&self, runner: usize) {
        while self.with(|state, _| state.runners[runner].memory != Memory::In) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Counts anew; what is there now stays counted.
    pub fn reset(&self) {
        self.with(|state, _| {
            let now = state.stats.clone();
            state.stats = Stats {
                in_flight: now.in_flight,
                most_in_flight: now.in_flight,
                connections: now.connections,
                most_connections: now.connections,
                ..Stats::default()
            };
            for runner in &mut state.runners {
                runner.engine.figures.most_running = runner.engine.running().len();
            }
        });
    }

    /// Whether it listens: its process is there, and vLLM opens its port when it has loaded.
    pub fn is_present(&self) -> bool {
        let now = self.now();
        let there = self
            .staged
            .as_ref()
            .zip(self.second(now))
            .is_none_or(|(staged, second)| staged.story.server(second));
        there
            && (self.spec.speaks != Speaks::Vllm
                || self.with(|state, _| state.runners[0].memory == Memory::In))
    }

    /// Whether that can change by itself.
    pub fn may_change(&self) -> bool {
        self.staged.is_some() || !self.is_present()
    }

    /// Its process ended and began again.
    pub fn restart(&self) {
        self.with(|state, now| {
            let State { runners, events, .. } = &mut *state;
            runners.iter_mut().for_each(|runner| runner.restart(now, events));
            state.tell();
        });
    }
}

// === impl State ===

impl State {
    pub fn due(&self) -> Option<Us> {
        if self.waiting_for.is_empty() && self.orphans.is_empty() {
            return None;
        }
        self.runners.iter().filter_map(Runner::due).min()
    }

    pub fn advance(&mut self, now: Us) {
        let State { runners, events, .. } = self;
        runners.iter_mut().for_each(|runner| runner.advance(now, events));
        self.tell();
    }

    fn tell(&mut self) {
        for event in std::mem::take(&mut self.events) {
            let id = match event {
                Event::Token(id) | Event::Done(id, _) | Event::Lost(id) => id,
            };
            if id & NOBODY != 0 {
                continue;
            }
            if let Event::Token(_) = event {
                self.stats.tokens += 1;
            }
            let Some(heard) = self.waiting_for.get_mut(&id) else {
                match event {
                    Event::Token(_) => self.stats.tokens_unheard += 1,
                    _ => drop(self.orphans.take(&id)),
                }
                continue;
            };
            match event {
                Event::Token(_) => heard.generated += 1,
                Event::Done(_, outcome) => heard.end = Some(End::Done(outcome)),
                Event::Lost(_) => heard.end = Some(End::Lost),
            }
            self.wake.extend(heard.waker.take());
        }
    }

    /// Brings the counts of what is inside up to date.
    fn settle(&mut self) {
        self.tell();
        let (mut running, mut most, mut waiting, mut loads) = (0, 0, 0, 0);
        for runner in &self.runners {
            running += runner.engine.running().len();
            most += runner.engine.figures.most_running;
            waiting += runner.engine.waiting();
            loads += runner.loads;
        }
        let stats = &mut self.stats;
        stats.running = running;
        // Between two looks there may have been more; of one model that is known.
        let most = if self.runners.len() == 1 { most } else { running };
        stats.most_running = stats.most_running.max(most);
        stats.waiting = waiting;
        stats.most_waiting = stats.most_waiting.max(waiting);
        stats.loads = loads;
    }

    /// Takes models that rest out of memory until another one fits.
    pub fn make_room(&mut self, wanted: usize, room: Option<u64>) {
        let Some(room) = room else { return };
        loop {
            let held = |(place, runner): (usize, &Runner)| {
                (place == wanted || runner.memory != Memory::Out).then_some(runner.model.vram_bytes)
            };
            if self.runners.iter().enumerate().filter_map(held).sum::<u64>() <= room {
                return;
            }
            let rests = |(place, runner): &(usize, &mut Runner)| {
                *place != wanted && runner.memory == Memory::In && runner.engine.is_idle()
            };
            let oldest =
                self.runners.iter_mut().enumerate().filter(rests).min_by_key(|(_, r)| r.idle_since);
            let Some((_, oldest)) = oldest else { return };
            oldest.unload();
        }
    }
}

/// A wait that can be kept in a struct.
pub type Wait = Pin<Box<tokio::time::Sleep>>;
