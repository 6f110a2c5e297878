//! The machine itself: what comes, what goes, and who is next.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    Ask, Grant, Id, Limits, Move, Ms, Offered, Outcome, Pressure, Refusal,
    affinity::Affinity,
    balance::Group,
    chance::Chance,
    entry::{Class, Entry, NONE, Order, State, index},
    gate::GateSet,
    next::Block,
    parties::{Backend, Client, FirstToken, Model},
    queue::Queue,
};

/// Admission as a pure machine: no I/O, no clock, no chance but its own. A copy goes on
/// by itself: traffic can be replayed through it under other limits.
#[derive(Clone, Debug)]
pub struct Admission {
    pub(super) limits: Limits,
    pub(super) now: Ms,
    pub(super) entries: Slab<Entry>,
    pub(super) ids: FxHashMap<Id, u32>,
    pub(super) queue: Queue,
    pub(super) backends: Slab<Backend>,
    pub(super) backend_of: FxHashMap<Arc<str>, u32>,
    pub(super) clients: Slab<Client>,
    pub(super) client_of: FxHashMap<Arc<str>, u32>,
    pub(super) models: Slab<Model>,
    pub(super) model_of: FxHashMap<Arc<str>, u32>,
    pub(super) groups: Slab<Group>,
    /// By the address of their list, which they keep alive.
    pub(super) group_of: FxHashMap<usize, u32>,
    pub(super) in_flight: u32,
    pub(super) gates: GateSet,
    pub(super) pressure: Pressure,
    pub(super) affinity: Affinity,
    pub(super) chance: Chance,
    /// Retries that come back into line later.
    pub(super) sleepers: BTreeSet<(Ms, u32)>,
    /// Clients whose rate allows the next one then.
    pub(super) wakes: BTreeSet<(Ms, u32)>,
    /// Backends that somebody waits for until enough tokens are free.
    pub(super) reserved: Vec<u32>,
    /// How many breakers reject.
    pub(super) rejecting: u32,
    pub(super) decisions: Vec<(Id, Result<Grant, Refusal>)>,
    pub(super) moves: VecDeque<Move>,
    pub(super) seq: u64,
    pub(super) granted: u64,
    pub(super) refused: u64,
    pub(super) stopping: bool,
}

// === impl Admission ===

impl Admission {
    pub fn new(limits: Limits) -> Self {
        let mut admission = Self {
            limits: Limits::default(),
            now: 0,
            entries: Slab::new(),
            ids: FxHashMap::default(),
            queue: Queue::default(),
            backends: Slab::new(),
            backend_of: FxHashMap::default(),
            clients: Slab::new(),
            client_of: FxHashMap::default(),
            models: Slab::new(),
            model_of: FxHashMap::default(),
            groups: Slab::new(),
            group_of: FxHashMap::default(),
            in_flight: 0,
            gates: GateSet::default(),
            pressure: Pressure::default(),
            affinity: Affinity::default(),
            chance: Chance::new(0),
            sleepers: BTreeSet::new(),
            wakes: BTreeSet::new(),
            reserved: Vec::new(),
            rejecting: 0,
            decisions: Vec::new(),
            moves: VecDeque::new(),
            seq: 0,
            granted: 0,
            refused: 0,
            stopping: false,
        };
        admission.set_limits(limits, 0);
        admission
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// New limits, at once. What is in flight stays, and counts.
    pub fn set_limits(&mut self, limits: Limits, now: Ms) {
        // Whoever watches much tells often, and mostly the same.
        if self.limits == limits {
            self.tick(now);
            return;
        }
        self.now = self.now.max(now);
        self.limits = limits;
        let names: Vec<Arc<str>> = self.limits.backends.keys().cloned().collect();
        for name in &names {
            self.backend(name);
        }
        self.forget_backends();
        let turned: Vec<u32> = self
            .backends
            .iter_mut()
            .filter_map(|(at, backend)| {
                backend.limits_changed(&self.limits, self.now).then(|| index(at))
            })
            .collect();
        for at in turned {
            self.breaker_moved(at);
        }
        for (_, client) in &mut self.clients {
            client.set(self.limits.of_client(&client.name), self.now);
        }
        for (_, model) in &mut self.models {
            model.room = self.limits.models.get(&model.name).copied();
        }
        self.rejecting = self.count_rejecting();
        self.refresh_all();
        self.check_gates();
        self.wakes.clear();
        for (_, client) in &mut self.clients {
            client.wake = None;
        }
        self.queue.unpark_all(&self.entries);
        self.refuse_too_big();
        self.tick(now);
        self.pump();
    }

    /// A request comes. Where it waits, its decision is told by [`Self::decisions`].
    pub fn offer(&mut self, ask: Ask, now: Ms) -> Offered {
        self.pass_time(now);
        if self.gates.closed() {
            self.gates.met();
        }
        if self.stopping {
            return self.refuse(Refusal::stopping());
        }
        if self.ids.contains_key(&ask.id) {
            return self.refuse(Refusal::twice(ask.id));
        }
        let class = Class::of(ask.priority);
        let later = if class == Class::Batch { self.limits.ageing } else { 0 };
        self.seq += 1;
        let order = Order { at: self.now.saturating_add(later), seq: self.seq };
        let mut entry = Entry::new(ask.id, class, order, self.now);
        entry.policy = ask.policy;
        entry.deadline = ask.deadline;
        entry.hash = ask.hash;
        entry.tokens = ask.tokens;
        entry.group = self.group(&ask.candidates);
        entry.client = self.client(&ask.client);
        entry.model = self.model(&ask.model);

        let free_line = self.queue.is_empty() || !self.queue.line_before(entry.group, entry.model);
        let block = if free_line {
            match self.admissible(&entry) {
                Ok(taken) => {
                    let key = self.enter(entry);
                    return Offered::Granted(self.grant(key, taken));
                }
                Err(block) => Some(block),
            }
        } else {
            None
        };
        if let Err(refusal) = self.may_wait(&entry, block) {
            return self.refuse(refusal);
        }
        let place = self.place(&entry);
        let key = self.enter(entry);
        self.wait(key);
        match block {
            // Others stand before it that may want something else than it does.
            None => self.pump(),
            // They must not be overtaken for ever.
            Some(Block::Tokens(backend)) => self.reserve(backend, order),
            Some(block @ (Block::Client | Block::Rate(_))) => self.park(key, block),
            Some(_) => {}
        }
        match self.undecided(ask.id) {
            Some(Ok(grant)) => Offered::Granted(grant),
            Some(Err(refusal)) => Offered::Refused(refusal),
            None => Offered::Queued(place),
        }
    }

    /// What was granted ended. `tokens_used`: prompt and answer, where the backend said so.
    pub fn release(&mut self, id: Id, outcome: Outcome, tokens_used: Option<u32>, now: Ms) {
        self.pass_time(now);
        let Some(key) = self.find(id, State::Held) else { return };
        let turned = self.give_back(key, outcome, tokens_used);
        self.forget(key);
        self.pump();
        if turned {
            self.refuse_hopeless();
        }
    }

    /// What was granted failed, or was sent away, before its first byte: its permit is
    /// given back, and after `delay` it stands at the head of the line, with the deadline
    /// it had. Where no backend can answer by then it is refused at once, as one that comes
    /// is. The decision is told by [`Self::decisions`].
    pub fn retry(&mut self, id: Id, outcome: Outcome, delay: Ms, now: Ms) {
        self.pass_time(now);
        let Some(key) = self.find(id, State::Held) else { return };
        let _ = self.give_back(key, outcome, None);
        let wake = self.now.saturating_add(delay);
        let entry = &mut self.entries[key as usize];
        // Also one that said that it is busy: another may not be.
        if outcome != Outcome::Unknown {
            entry.avoid = entry.backend;
        }
        entry.backend = NONE;
        entry.probe = false;
        entry.class = Class::Retry;
        entry.order.at = 0;
        entry.came = self.now;
        let entry = *entry;
        if self.stopping {
            self.decide(key, Err(Refusal::stopping()));
        } else if entry.deadline <= wake {
            self.decide(key, Err(Refusal::no_time_to_retry(delay)));
        } else if delay > 0 {
            let entry = &mut self.entries[key as usize];
            (entry.state, entry.granted) = (State::Sleeping, wake);
            self.sleepers.insert((wake, key));
        } else {
            self.wait(key);
        }
        self.pump();
        self.refuse_hopeless();
    }

    /// The client left. What it held is given back; nothing is said of the backend.
    pub fn leave(&mut self, id: Id, now: Ms) {
        self.pass_time(now);
        let Some(key) = self.ids.get(&id).copied() else { return };
        let first = match self.entries[key as usize].state {
            State::Held => {
                let _ = self.give_back(key, Outcome::Unknown, None);
                true
            }
            State::Waiting => self.stop_waiting(key),
            State::Sleeping => {
                self.sleepers.remove(&(self.entries[key as usize].granted, key));
                false
            }
        };
        self.forget(key);
        self.decisions.retain(|(of, _)| *of != id);
        if first {
            self.pump();
        }
    }

    pub fn pressure(&mut self, pressure: Pressure, now: Ms) {
        self.pass_time(now);
        self.pressure = pressure;
        self.check_gates();
        self.pump();
    }

    /// Its answer began, whatever it says: the backend is there.
    pub fn answered(&mut self, id: Id, now: Ms) {
        self.pass_time(now);
        let Some(key) = self.find(id, State::Held) else { return };
        let entry = &mut self.entries[key as usize];
        if std::mem::replace(&mut entry.answered, true) {
            return;
        }
        let at = entry.backend;
        let backend = &mut self.backends[at as usize];
        backend.at_work.answering += u32::from(entry.sent);
        if !backend.recovers() {
            return;
        }
        if backend.answered(id, self.now) {
            self.breaker_moved(at);
        }
        self.refresh(at);
        self.pump();
    }

    /// The first token of a streamed answer came, `ttft_ms` after the request was sent to its
    /// backend: a time in line is no time of the backend's. What does not stream has no such
    /// time, and what was refused tells nothing of it: they teach an adaptive limit nothing.
    pub fn first_token(&mut self, id: Id, ttft_ms: f64, now: Ms) {
        self.pass_time(now);
        let Some(key) = self.find(id, State::Held) else { return };
        let entry = &mut self.entries[key as usize];
        if std::mem::replace(&mut entry.sampled, true) {
            return;
        }
        let at = entry.backend;
        let Some(adapted) = self.backends[at as usize].first_token(ttft_ms, self.now) else {
            return;
        };
        if let FirstToken::Told(moved) = adapted {
            self.moved(moved);
        }
        self.refresh(at);
        self.pump();
    }

    /// Nobody is admitted any more, and who waits is refused. What is in flight goes on.
    pub fn stop(&mut self, now: Ms) {
        self.pass_time(now);
        self.stopping = true;
        let keys: Vec<u32> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state != State::Held)
            .map(|(key, _)| index(key))
            .collect();
        for key in keys {
            self.decide(key, Err(Refusal::stopping()));
        }
        self.sleepers.clear();
    }

    /// What became of those that waited, since this was asked last.
    pub fn decisions(&mut self) -> impl Iterator<Item = (Id, Result<Grant, Refusal>)> + '_ {
        self.decisions.drain(..)
    }

    /// What changed by itself, since this was asked last; the last 256.
    pub fn moves(&mut self) -> impl Iterator<Item = Move> + '_ {
        self.moves.drain(..)
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub fn queued(&self) -> u32 {
        self.queue.len() + index(self.sleepers.len())
    }

    /// A gate is closed, whether it holds or observes: no time for what is not needed.
    pub fn under_pressure(&self) -> bool {
        self.gates.closed()
    }
}
