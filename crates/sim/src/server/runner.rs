//! A model with its engine: in memory, on its way there, or not.

use super::{
    engine::{Engine, Event, Us, Wish},
    feed::{Feed, Life},
    spec::{ModelSpec, Speaks, Spec},
};

/// Whether its model is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    Out,
    /// Until then; `Us::MAX` where its story says when.
    Loading(Us),
    In,
}

#[derive(Debug)]
pub struct Runner {
    pub model: ModelSpec,
    pub engine: Engine,
    pub memory: Memory,
    /// How long it stays without work; `None`: for ever.
    pub keep: Option<Us>,
    /// Since when it has none.
    pub idle_since: Us,
    /// How often it was loaded, and how long the last time took.
    pub loads: u64,
    pub load_us: Us,
    feed: Option<Feed>,
}

// === impl Runner ===

impl Runner {
    pub fn new(spec: &Spec, model: &ModelSpec, feed: Option<Feed>) -> Self {
        let named = spec.speaks != Speaks::Vllm;
        let mut runner = Self {
            model: model.clone(),
            engine: Engine::new(model.speed(), named),
            memory: Memory::Out,
            keep: spec.sleep_idle_ms.map(|ms| ms * 1000),
            idle_since: 0,
            loads: 0,
            load_us: 0,
            feed,
        };
        if runner.feed.is_none() && (model.loaded || spec.speaks != Speaks::Ollama) {
            runner.load(0);
        }
        runner
    }

    /// Begins to load it, where it is out.
    pub fn load(&mut self, at: Us) {
        if self.memory != Memory::Out {
            return;
        }
        self.loads += 1;
        self.load_us = self.model.load_ms * 1000;
        self.memory = Memory::Loading(at.saturating_add(self.load_us));
        self.settle(at);
    }

    /// Takes it out of memory, where it has nothing to do.
    pub fn unload(&mut self) -> bool {
        if !self.engine.is_idle() {
            return false;
        }
        self.memory = Memory::Out;
        self.engine.sleep();
        true
    }

    /// When it goes out of memory, if nobody asks for it. One that has a story goes by that.
    pub fn expires(&self) -> Option<Us> {
        let idle = self.memory == Memory::In && self.engine.is_idle() && self.feed.is_none();
        idle.then(|| self.keep.map(|keep| self.idle_since.saturating_add(keep)))?
    }

    pub fn submit(&mut self, at: Us, id: u64, wish: Wish) {
        self.load(at);
        self.engine.submit(at, id, wish);
    }

    /// When something happens next that somebody may wait for.
    pub fn due(&self) -> Option<Us> {
        let loading = match self.memory {
            Memory::Loading(until) if until < Us::MAX => Some(until),
            _ => None,
        };
        [loading, self.engine.due()].into_iter().flatten().min()
    }

    /// Lets time pass up to a moment.
    pub fn advance(&mut self, now: Us, out: &mut Vec<Event>) {
        loop {
            let told = self.feed.as_ref().map(Feed::next);
            let next = [self.due(), self.expires(), told].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= now) else { return };
            self.settle(next);
            let busy = !self.engine.is_idle();
            self.engine.advance(next, out);
            if busy && self.engine.is_idle() {
                self.idle_since = next;
            }
            if told == Some(next) {
                self.hear(next, out);
            } else if self.engine.is_idle() && self.expires().is_some_and(|at| at <= next) {
                self.unload();
            }
        }
    }

    /// Its process ends, and with it all that it works on.
    pub fn restart(&mut self, at: Us, out: &mut Vec<Event>) {
        self.engine.restart(out);
        self.memory = Memory::Out;
        if self.feed.is_none() {
            self.load(at);
        }
    }

    fn settle(&mut self, at: Us) {
        if let Memory::Loading(until) = self.memory
            && until <= at
        {
            self.memory = Memory::In;
            self.idle_since = at;
            self.engine.wake(at);
        }
    }

    /// What the story says next: a second begins, or somebody asks.
    fn hear(&mut self, at: Us, out: &mut Vec<Event>) {
        let Some(feed) = &mut self.feed else { return };
        for (id, wish) in feed.arrivals(at) {
            if self.memory != Memory::Out {
                self.engine.submit(at, id, wish);
            }
        }
        let Some(life) = feed.second(at) else { return };
        match (life, self.memory) {
            (Life::Gone, Memory::Loading(_) | Memory::In) => {
                self.memory = Memory::Out;
                self.engine.restart(out);
            }
            (Life::Loading, Memory::Out) => {
                self.loads += 1;
                self.memory = Memory::Loading(Us::MAX);
            }
            (Life::Here, Memory::Out | Memory::Loading(Us::MAX)) => {
                self.memory = Memory::Loading(at);
                self.settle(at);
            }
            _ => {}
        }
    }
}
