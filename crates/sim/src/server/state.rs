//! The engines of a double, who waits for them, and its counts.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    task::Waker,
};

use super::{
    engine::{Event, Outcome, Us},
    fault::Planned,
    feed::NOBODY,
    runner::{Memory, Runner},
    stats::Stats,
};

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

// === impl State ===

impl State {
    pub fn new(runners: Vec<Runner>, planned: Vec<Planned>) -> Self {
        Self {
            runners,
            stats: Stats::default(),
            planned,
            waiting_for: HashMap::new(),
            orphans: HashSet::new(),
            last: 0,
            events: Vec::new(),
            wake: Vec::new(),
        }
    }

    /// A number for a request that somebody waits for.
    pub fn hear(&mut self, runner: usize) -> u64 {
        self.last += 1;
        self.waiting_for.insert(self.last, Heard { runner, ..Heard::default() });
        self.last
    }

    /// Those who have something to hear.
    pub fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wake)
    }

    /// Its process ended and began again.
    pub fn restart(&mut self, now: Us) {
        let Self { runners, events, .. } = self;
        runners.iter_mut().for_each(|runner| runner.restart(now, events));
        self.tell();
    }

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
    pub fn settle(&mut self) {
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
