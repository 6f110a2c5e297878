//! What all connections of a double share. Time passes whenever somebody looks; a task
//! of its own looks only while somebody waits.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep_until},
};

use super::{
    engine::{Us, Wish},
    fault::{Fault, strike},
    feed::{Feed, Load, Story},
    runner::{Memory, Runner},
    spec::{Speaks, Spec},
    state::State,
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
        let state = State::new(runners, spec.faults.clone());
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
        let wake = state.take_woken();
        drop(state);
        wake.into_iter().for_each(std::task::Waker::wake);
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
            let id = state.hear(runner);
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
        self.with(State::restart);
    }
}
