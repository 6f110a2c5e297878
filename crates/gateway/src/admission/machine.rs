//! The machine itself: what comes, what goes, and who is next.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    Ask, Candidate, Grant, Id, Limits, Move, Moved, Ms, Offered, Outcome, Place, Policy, Pressure,
    Refusal,
    balance::{Affinity, Chance, Group, Standing},
    gate::GateSet,
    least::Load,
    parties::{Backend, Client, FirstByte, Model},
    queue::{Class, Entry, NONE, Order, Queue, State, index},
};

/// Moves that are held for whoever asks; older ones are forgotten.
const MOVES: usize = 256;
/// Names of clients and models, and lists of candidates, that are held before the idle
/// ones are forgotten.
const HELD: usize = 1024;

/// Admission as a pure machine: no I/O, no clock, no chance but its own.
#[derive(Debug)]
pub struct Admission {
    pub(super) limits: Limits,
    pub(super) now: Ms,
    entries: Slab<Entry>,
    ids: FxHashMap<Id, u32>,
    pub(super) queue: Queue,
    pub(super) backends: Slab<Backend>,
    backend_of: FxHashMap<Arc<str>, u32>,
    pub(super) clients: Slab<Client>,
    client_of: FxHashMap<Arc<str>, u32>,
    pub(super) models: Slab<Model>,
    model_of: FxHashMap<Arc<str>, u32>,
    pub(super) groups: Slab<Group>,
    /// By the address of their list, which they keep alive.
    group_of: FxHashMap<usize, u32>,
    pub(super) in_flight: u32,
    pub(super) gates: GateSet,
    pressure: Pressure,
    affinity: Affinity,
    chance: Chance,
    /// Retries that come back into line later.
    sleepers: BTreeSet<(Ms, u32)>,
    /// Clients whose rate allows the next one then.
    wakes: BTreeSet<(Ms, u32)>,
    /// Backends that somebody waits for until enough tokens are free.
    reserved: Vec<u32>,
    /// How many breakers reject.
    rejecting: u32,
    decisions: Vec<(Id, Result<Grant, Refusal>)>,
    pub(super) moves: VecDeque<Move>,
    seq: u64,
    pub(super) granted: u64,
    pub(super) refused: u64,
    pub(super) stopping: bool,
}

/// Why a request cannot go on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Gate,
    All,
    Client,
    /// Until then; `None`: for ever.
    Rate(Option<Ms>),
    Model,
    /// Its backends have no room.
    Full,
    /// As `Full`, but not for others in its line: it does not want the backend that failed
    /// it, or has more tokens than those that serve now could hold.
    Choosy,
    /// A backend has room, but not for so many tokens.
    Tokens(u32),
    /// No backend serves.
    Closed,
}

#[derive(Clone, Copy)]
struct Taken {
    backend: u32,
    probe: bool,
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
            gates: GateSet::new(),
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
            Some(Block::Client | Block::Rate(_)) => self.park(key, block),
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
        self.give_back(key, outcome, tokens_used);
        self.forget(key);
        self.pump();
    }

    /// What was granted failed, or was sent away, before its first byte: its permit is
    /// given back, and after `delay` it stands at the head of the line, with the deadline
    /// it had. The decision is told by [`Self::decisions`].
    pub fn retry(&mut self, id: Id, outcome: Outcome, delay: Ms, now: Ms) {
        self.pass_time(now);
        let Some(key) = self.find(id, State::Held) else { return };
        self.give_back(key, outcome, None);
        let wake = self.now.saturating_add(delay);
        let entry = &mut self.entries[key as usize];
        if outcome == Outcome::Failed {
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
            let refusal = self.too_late(&entry);
            self.decide(key, Err(refusal));
        } else if delay > 0 {
            let entry = &mut self.entries[key as usize];
            (entry.state, entry.granted) = (State::Sleeping, wake);
            self.sleepers.insert((wake, key));
        } else {
            self.wait(key);
        }
        self.pump();
    }

    /// The client left. What it held is given back; nothing is said of the backend.
    pub fn leave(&mut self, id: Id, now: Ms) {
        self.pass_time(now);
        let Some(key) = self.ids.get(&id).copied() else { return };
        let first = match self.entries[key as usize].state {
            State::Held => {
                self.give_back(key, Outcome::Unknown, None);
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

    /// A backend's health, as its checks say.
    pub fn up(&mut self, backend: &str, up: bool, now: Ms) {
        self.pass_time(now);
        let Some(at) = self.backend_of.get(backend).copied() else {
            if !up {
                let at = self.backend(&Arc::from(backend));
                self.backends[at as usize].up = false;
            }
            return;
        };
        let now = self.now;
        let one = &mut self.backends[at as usize];
        if std::mem::replace(&mut one.up, up) == up {
            return;
        }
        // It came back: whoever waits may ask now, not at the end of the pause.
        if up && one.breaker.rejects() {
            one.breaker.ask_now(now);
            self.breaker_moved(at);
        }
        self.refresh(at);
        self.pump();
    }

    /// How many requests a backend runs that did not come through here.
    pub fn outside(&mut self, backend: &str, running: u32, now: Ms) {
        self.pass_time(now);
        let Some(at) = self.backend_of.get(backend).copied() else { return };
        let one = &mut self.backends[at as usize];
        if std::mem::replace(&mut one.outside, running) != running {
            self.refresh(at);
            self.pump();
        }
    }

    pub fn pressure(&mut self, pressure: Pressure, now: Ms) {
        self.pass_time(now);
        self.pressure = pressure;
        self.check_gates();
        self.pump();
    }

    /// The first token came, or the head of an answer that does not stream.
    pub fn first_byte(&mut self, id: Id, ttft_ms: f64, now: Ms) {
        self.pass_time(now);
        let Some(key) = self.find(id, State::Held) else { return };
        let at = self.entries[key as usize].backend;
        let Some(did) = self.backends[at as usize].first_byte(ttft_ms, self.now) else { return };
        if let FirstByte::Told(moved) = did {
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

    /// Time passed: deadlines, breakers, rates, retries that come back.
    pub fn tick(&mut self, now: Ms) {
        self.now = self.now.max(now);
        let mut changed = false;
        if self.rejecting > 0 {
            let due: Vec<u32> = self
                .backends
                .iter_mut()
                .filter_map(|(at, backend)| backend.breaker.tick(now).then(|| index(at)))
                .collect();
            for at in due {
                self.breaker_moved(at);
                self.refresh(at);
                changed = true;
            }
        }
        while let Some((at, client)) = self.wakes.first().copied()
            && at <= self.now
        {
            self.wakes.pop_first();
            if let Some(client) = self.clients.get_mut(client as usize) {
                client.wake = None;
            }
            changed |= self.queue.unpark(&self.entries, client);
        }
        while let Some((at, key)) = self.sleepers.first().copied()
            && at <= self.now
        {
            self.sleepers.pop_first();
            self.wait(key);
            changed = true;
        }
        if changed {
            self.pump();
        }
        let mut expired = false;
        while let Some((deadline, key)) = self.queue.next_deadline()
            && deadline <= self.now
        {
            let entry = self.entries[key as usize];
            let refusal = self.too_late(&entry);
            self.decide(key, Err(refusal));
            expired = true;
        }
        // One that waited for tokens may have held up others.
        if expired {
            self.pump();
        }
    }

    /// When [`Self::tick`] has something to do; `None`: not before something else happens.
    pub fn next_due(&self) -> Option<Ms> {
        if self.queue.is_empty() && self.sleepers.is_empty() {
            return None;
        }
        let breakers = (self.rejecting > 0)
            .then(|| self.backends.iter().filter_map(|(_, b)| b.breaker.until()).min())
            .flatten();
        [
            self.queue.next_deadline().map(|(at, _)| at),
            self.sleepers.first().map(|(at, _)| *at),
            self.wakes.first().map(|(at, _)| *at),
            breakers,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub fn has_decisions(&self) -> bool {
        !self.decisions.is_empty()
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

    /// Where a request stands now, counted one by one.
    pub fn position(&self, id: Id) -> Option<Place> {
        let key = *self.ids.get(&id)?;
        let entry = self.entries.get(key as usize).filter(|e| e.state != State::Held)?;
        let ahead = self.entries.iter().filter(|(_, other)| {
            other.state == State::Waiting && other.group == entry.group && other.order < entry.order
        });
        let position = index(ahead.count()).saturating_add(1);
        Some(Place {
            position,
            expected_wait: self.expected(entry, position).map(|(wait, _)| wait),
        })
    }

    pub(super) fn longest_wait(&self) -> Ms {
        let waiting = self.entries.iter().filter(|(_, entry)| entry.state != State::Held);
        waiting.map(|(_, entry)| self.now.saturating_sub(entry.came)).max().unwrap_or(0)
    }

    /// Who waits for a backend, among others perhaps.
    pub(super) fn waiting_for(&self, backend: u32) -> u32 {
        let mut groups: Vec<u32> =
            self.backends[backend as usize].seats.iter().map(|seat| seat.group).collect();
        groups.dedup();
        groups.iter().map(|group| self.groups[*group as usize].waiting.iter().sum::<u32>()).sum()
    }

    // --- in and out -------------------------------------------------------------------

    fn pass_time(&mut self, now: Ms) {
        self.now = self.now.max(now);
        if self.rejecting > 0 || !self.queue.is_empty() || !self.sleepers.is_empty() {
            self.tick(now);
        }
    }

    fn find(&self, id: Id, state: State) -> Option<u32> {
        let key = *self.ids.get(&id)?;
        self.entries.get(key as usize).filter(|entry| entry.state == state).map(|_| key)
    }

    fn enter(&mut self, entry: Entry) -> u32 {
        self.groups[entry.group as usize].uses += 1;
        self.clients[entry.client as usize].known += 1;
        self.models[entry.model as usize].known += 1;
        let id = entry.id;
        let key = index(self.entries.insert(entry));
        self.ids.insert(id, key);
        key
    }

    fn forget(&mut self, key: u32) {
        let entry = self.entries.remove(key as usize);
        self.ids.remove(&entry.id);
        self.groups[entry.group as usize].uses -= 1;
        self.clients[entry.client as usize].known -= 1;
        self.models[entry.model as usize].known -= 1;
    }

    fn wait(&mut self, key: u32) {
        self.queue.push(&mut self.entries, key);
        let entry = &self.entries[key as usize];
        self.groups[entry.group as usize].waiting[entry.class as usize] += 1;
        let client = &mut self.clients[entry.client as usize];
        client.queued += 1;
        client.queued_tokens += u64::from(entry.tokens);
        self.models[entry.model as usize].queued += 1;
    }

    /// True if it was the first of its lane.
    fn stop_waiting(&mut self, key: u32) -> bool {
        let first = self.queue.remove(&mut self.entries, key);
        let entry = &self.entries[key as usize];
        self.groups[entry.group as usize].waiting[entry.class as usize] -= 1;
        let client = &mut self.clients[entry.client as usize];
        client.queued -= 1;
        client.queued_tokens -= u64::from(entry.tokens);
        self.models[entry.model as usize].queued -= 1;
        first
    }

    fn refuse(&mut self, refusal: Refusal) -> Offered {
        self.refused += 1;
        Offered::Refused(refusal)
    }

    /// The end of waiting, one way or the other.
    fn decide(&mut self, key: u32, decision: Result<Taken, Refusal>) {
        if self.entries[key as usize].state == State::Waiting {
            self.stop_waiting(key);
        }
        let id = self.entries[key as usize].id;
        let decision = match decision {
            Ok(taken) => Ok(self.grant(key, taken)),
            Err(refusal) => {
                self.refused += 1;
                self.forget(key);
                Err(refusal)
            }
        };
        self.decisions.push((id, decision));
    }

    /// The decision on one that was put into line this moment, if there is one already.
    fn undecided(&mut self, id: Id) -> Option<Result<Grant, Refusal>> {
        let at = self.decisions.iter().rposition(|(of, _)| *of == id)?;
        Some(self.decisions.remove(at).1)
    }

    /// Those for whose tokens no backend is large enough any more.
    fn refuse_too_big(&mut self) {
        let keys: Vec<u32> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state == State::Waiting && self.never_fits(entry))
            .map(|(key, _)| index(key))
            .collect();
        for key in keys {
            let entry = self.entries[key as usize];
            let refusal = self.too_big(&entry);
            self.decide(key, Err(refusal));
        }
    }

    fn grant(&mut self, key: u32, taken: Taken) -> Grant {
        let now = self.now;
        let entry = &mut self.entries[key as usize];
        entry.state = State::Held;
        entry.backend = taken.backend;
        entry.probe = taken.probe;
        entry.granted = now;
        let paid = std::mem::replace(&mut entry.paid, true);
        let entry = *entry;
        self.granted += 1;
        self.in_flight += 1;
        self.models[entry.model as usize].in_flight += 1;
        let client = &mut self.clients[entry.client as usize];
        client.in_flight += 1;
        if !paid {
            client.pay(entry.tokens);
        }
        let backend = &mut self.backends[taken.backend as usize];
        backend.in_flight += 1;
        backend.kv_used += u64::from(entry.tokens);
        backend.granted += 1;
        backend.last = self.granted;
        if taken.probe {
            backend.breaker.ask_with(entry.id);
        }
        let name = backend.id.clone();
        if entry.policy == Policy::PrefixAffinity && entry.hash != 0 {
            self.affinity.remember(entry.hash, taken.backend);
        }
        self.refresh(taken.backend);
        Grant {
            id: entry.id,
            backend: name,
            probe: taken.probe,
            waited: now.saturating_sub(entry.came),
        }
    }

    fn give_back(&mut self, key: u32, outcome: Outcome, tokens_used: Option<u32>) {
        let entry = self.entries[key as usize];
        self.in_flight -= 1;
        self.models[entry.model as usize].in_flight -= 1;
        let client = &mut self.clients[entry.client as usize];
        client.in_flight -= 1;
        if let Some(used) = tokens_used {
            client.settle(entry.tokens, used);
        }
        let wake = client.wake.take();
        if let Some(wake) = wake {
            self.wakes.remove(&(wake, entry.client));
        }
        if client.in_flight_room.is_some() || wake.is_some() {
            self.queue.unpark(&self.entries, entry.client);
        }
        let backend = &mut self.backends[entry.backend as usize];
        let turned = backend.ended(&entry, outcome, self.now, &self.limits.breaker);
        if turned {
            self.breaker_moved(entry.backend);
        }
        self.refresh(entry.backend);
    }

    // --- who may go on ----------------------------------------------------------------

    /// Room in all, of the client, of the model and of a backend: all of it, or nothing.
    fn admissible(&mut self, entry: &Entry) -> Result<Taken, Block> {
        if self.gates.holds {
            return Err(Block::Gate);
        }
        if self.limits.in_flight.is_some_and(|room| self.in_flight >= room) {
            return Err(Block::All);
        }
        let client = &mut self.clients[entry.client as usize];
        if client.in_flight_room.is_some_and(|room| client.in_flight >= room) {
            return Err(Block::Client);
        }
        if !entry.paid && client.rated() {
            if client.wake.is_some_and(|wake| wake > self.now) {
                return Err(Block::Rate(client.wake));
            }
            let ready = client.ready_at(entry.tokens, self.now);
            if ready != Some(self.now) {
                return Err(Block::Rate(ready));
            }
        }
        let model = &self.models[entry.model as usize];
        if model.room.is_some_and(|room| model.in_flight >= room) {
            return Err(Block::Model);
        }
        self.pick(entry)
    }

    fn pick(&mut self, entry: &Entry) -> Result<Taken, Block> {
        if entry.avoid != NONE {
            match self.pick_but(entry, entry.avoid) {
                // No other serves: it must do.
                Err(Block::Closed) => {}
                Err(_) => return Err(Block::Choosy),
                taken => return taken,
            }
        }
        self.pick_but(entry, NONE)
    }

    fn pick_but(&mut self, entry: &Entry, avoid: u32) -> Result<Taken, Block> {
        let Self { groups, backends, affinity, chance, .. } = self;
        let group = &mut groups[entry.group as usize];
        let fits = |at: u32| at != avoid && backends[at as usize].fits(entry);
        for equals in &mut group.ranks {
            if equals.probes > 0 {
                let asked = equals
                    .members
                    .iter()
                    .position(|member| member.standing == Standing::Probe && fits(member.backend));
                if let Some(member) = asked {
                    let backend = equals.members[member].backend;
                    return Ok(Taken { backend, probe: true });
                }
            }
            let passing = equals.passing > 0
                && (avoid == NONE
                    || equals.members.iter().any(|member| {
                        member.backend != avoid && member.standing == Standing::Passing
                    }));
            if !passing {
                continue;
            }
            let home = match entry.policy {
                Policy::PrefixAffinity if entry.hash != 0 => affinity.home(entry.hash),
                _ => None,
            };
            if let Some(member) = equals.choose(entry.policy, entry.hash, home, chance, fits) {
                let backend = equals.members[member].backend;
                return Ok(Taken { backend, probe: false });
            }
            // Room for a request, but not for its tokens: it waits for the one that has most.
            let short = equals
                .least
                .open()
                .map(|(member, _)| equals.members[member].backend)
                .filter(|at| *at != avoid && backends[*at as usize].could_hold(entry.tokens))
                .max_by_key(|at| backends[*at as usize].kv_free());
            let none = if equals.least.winner().is_some() { Block::Choosy } else { Block::Full };
            return Err(short.map_or(none, Block::Tokens));
        }
        Err(Block::Closed)
    }

    /// Everyone in line who can go on goes on, in order.
    fn pump(&mut self) {
        for at in std::mem::take(&mut self.reserved) {
            if let Some(backend) = self.backends.get_mut(at as usize) {
                backend.reserved = None;
            }
        }
        if self.queue.is_empty() {
            return;
        }
        self.queue.walk();
        while let Some((order, key)) = self.queue.next() {
            let entry = self.entries[key as usize];
            match self.admissible(&entry) {
                Ok(taken) => self.decide(key, Ok(taken)),
                Err(Block::Gate | Block::All) => return,
                Err(block @ (Block::Client | Block::Rate(_))) => self.park(key, Some(block)),
                Err(Block::Tokens(backend)) => {
                    self.reserve(backend, order);
                    self.queue.pass_bucket(&entry);
                }
                Err(Block::Choosy) => self.queue.pass_lane(&entry),
                Err(Block::Model | Block::Full | Block::Closed) => self.queue.pass_bucket(&entry),
            }
        }
    }

    fn park(&mut self, key: u32, block: Option<Block>) {
        let entry = self.entries[key as usize];
        if let Some(Block::Rate(Some(wake))) = block {
            let client = &mut self.clients[entry.client as usize];
            if let Some(before) = client.wake.replace(wake) {
                self.wakes.remove(&(before, entry.client));
            }
            self.wakes.insert((wake, entry.client));
        }
        self.queue.park(&self.entries, key);
    }

    fn reserve(&mut self, backend: u32, order: Order) {
        let one = &mut self.backends[backend as usize];
        if one.reserved.is_none_or(|before| order < before) {
            one.reserved = Some(order);
            if !self.reserved.contains(&backend) {
                self.reserved.push(backend);
            }
        }
    }

    // --- backends, clients, models ----------------------------------------------------

    /// Tells every list of candidates what a backend can take now.
    fn refresh(&mut self, at: u32) {
        let backend = &self.backends[at as usize];
        let standing = backend.standing();
        let load = Load {
            open: backend.open(),
            in_flight: backend.in_flight.saturating_add(backend.outside),
            weight: 1,
            last: backend.last,
        };
        for seat in &backend.seats {
            let rank = &mut self.groups[seat.group as usize].ranks[seat.rank as usize];
            rank.set(seat.member as usize, standing, load);
        }
    }

    fn refresh_all(&mut self) {
        let all: Vec<u32> = self.backends.iter().map(|(at, _)| index(at)).collect();
        for at in all {
            self.refresh(at);
        }
    }

    fn count_rejecting(&self) -> u32 {
        index(self.backends.iter().filter(|(_, backend)| backend.breaker.rejects()).count())
    }

    fn breaker_moved(&mut self, at: u32) {
        self.rejecting = self.count_rejecting();
        let backend = &self.backends[at as usize];
        let view = backend.breaker.view();
        let backend = backend.id.clone();
        self.moved(Moved::Breaker { backend, to: view.state, tripped: view.tripped });
    }

    fn moved(&mut self, what: Moved) {
        if self.moves.len() == MOVES {
            self.moves.pop_front();
        }
        self.moves.push_back(Move { at: self.now, what });
    }

    fn check_gates(&mut self) {
        let Self { gates, limits, pressure, moves, now, .. } = self;
        gates.update(&limits.gates, pressure, |gate| {
            if moves.len() == MOVES {
                moves.pop_front();
            }
            moves.push_back(Move { at: *now, what: gate.moved() });
        });
    }

    fn backend(&mut self, name: &Arc<str>) -> u32 {
        if let Some(at) = self.backend_of.get(name) {
            return *at;
        }
        let backend = Backend::new(name.clone(), &self.limits, self.now);
        let at = index(self.backends.insert(backend));
        self.backend_of.insert(name.clone(), at);
        at
    }

    fn client(&mut self, name: &Arc<str>) -> u32 {
        if let Some(at) = self.client_of.get(name) {
            return *at;
        }
        if self.clients.len() >= HELD && self.clients.len().is_power_of_two() {
            self.forget_clients();
        }
        let client = Client::new(name.clone(), self.limits.of_client(name), self.now);
        let at = index(self.clients.insert(client));
        self.client_of.insert(name.clone(), at);
        at
    }

    fn model(&mut self, name: &Arc<str>) -> u32 {
        if let Some(at) = self.model_of.get(name) {
            return *at;
        }
        if self.models.len() >= HELD && self.models.len().is_power_of_two() {
            let Self { models, model_of, .. } = self;
            models.retain(|_, model| {
                let kept = model.known > 0;
                if !kept {
                    model_of.remove(&model.name);
                }
                kept
            });
        }
        let model = Model::new(name.clone(), self.limits.models.get(name).copied());
        let at = index(self.models.insert(model));
        self.model_of.insert(name.clone(), at);
        at
    }

    fn forget_clients(&mut self) {
        let Self { clients, client_of, now, .. } = self;
        // What a rate still owes is kept, unless there are far too many names for it.
        let far_too_many = clients.len() >= 8 * HELD;
        clients.retain(|_, client| {
            let kept = client.known > 0 || (!far_too_many && !client.rested(*now));
            if !kept {
                client_of.remove(&client.name);
            }
            kept
        });
    }

    fn group(&mut self, key: &Arc<[Candidate]>) -> u32 {
        let address = address(key);
        if let Some(at) = self.group_of.get(&address) {
            return *at;
        }
        // The table of routes was made anew: the same list at another place.
        let same = self.groups.iter().find(|(_, group)| group.key == *key).map(|(at, _)| at);
        if let Some(at) = same {
            let old = std::mem::replace(&mut self.groups[at].key, key.clone());
            self.group_of.remove(&self::address(&old));
            self.group_of.insert(address, index(at));
            return index(at);
        }
        if self.groups.len() >= 64 && self.groups.len().is_power_of_two() {
            self.forget_groups();
        }
        let group = Group::new(key.clone(), |candidate| self.backend(&candidate.backend));
        let seats = group.seats();
        let at = index(self.groups.insert(group));
        self.group_of.insert(address, at);
        for mut seat in seats {
            seat.group = at;
            let backend = seat.backend;
            self.backends[backend as usize].seats.push(seat);
            self.refresh(backend);
        }
        at
    }

    fn forget_groups(&mut self) {
        let Self { groups, group_of, backends, .. } = self;
        groups.retain(|_, group| {
            let kept = group.uses > 0;
            if !kept {
                group_of.remove(&address(&group.key));
            }
            kept
        });
        for (_, backend) in backends {
            backend.seats.retain(|seat| groups.contains(seat.group as usize));
        }
    }

    /// Backends that are in no configuration, no list and no use.
    fn forget_backends(&mut self) {
        self.forget_groups();
        let Self { backends, backend_of, limits, .. } = self;
        backends.retain(|_, backend| {
            let kept = !backend.seats.is_empty()
                || backend.in_flight > 0
                || limits.backends.contains_key(&backend.id);
            if !kept {
                backend_of.remove(&backend.id);
            }
            kept
        });
    }
}

fn address(key: &Arc<[Candidate]>) -> usize {
    Arc::as_ptr(key).cast::<Candidate>().addr()
}
