//! Who may go on, and who is next.

use plimsoll_core::config::gateway::Balance;

use super::{
    Admission, Ms,
    balance::Standing,
    entry::{Entry, NONE, Order},
};

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

/// The backend that was chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) backend: u32,
    /// To ask whether it is well again.
    pub(super) probe: bool,
}

// === impl Admission ===

impl Admission {
    /// Room in all, of the client, of the model and of a backend: all of it, or nothing.
    pub(super) fn admissible(&mut self, entry: &Entry) -> Result<Taken, Block> {
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
                Balance::PrefixAffinity if entry.hash != 0 => affinity.home(entry.hash),
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
    pub(super) fn pump(&mut self) {
        loop {
            for at in std::mem::take(&mut self.reserved) {
                if let Some(backend) = self.backends.get_mut(at as usize) {
                    backend.reserved = None;
                }
            }
            if self.queue.is_empty() || !self.walk() || self.reserved.is_empty() {
                return;
            }
            // What was granted after a place was reserved may have used up the room of the
            // client that it was reserved for: then others need not wait behind that one.
        }
    }

    /// One walk along the line. True if somebody went on, and there may be more.
    fn walk(&mut self) -> bool {
        self.queue.walk();
        let mut any = false;
        while let Some((order, key)) = self.queue.next() {
            let entry = self.entries[key as usize];
            match self.admissible(&entry) {
                Ok(taken) => {
                    self.decide(key, Ok(taken));
                    any = true;
                }
                Err(Block::Gate | Block::All) => return false,
                Err(block @ (Block::Client | Block::Rate(_))) => self.park(key, block),
                Err(Block::Tokens(backend)) => {
                    self.reserve(backend, order);
                    self.queue.pass_bucket(&entry);
                }
                Err(Block::Choosy) => self.queue.pass_lane(&entry),
                Err(Block::Model | Block::Full | Block::Closed) => self.queue.pass_bucket(&entry),
            }
        }
        any
    }

    pub(super) fn park(&mut self, key: u32, block: Block) {
        let entry = self.entries[key as usize];
        if let Block::Rate(Some(wake)) = block {
            let client = &mut self.clients[entry.client as usize];
            if let Some(before) = client.wake.replace(wake) {
                self.wakes.remove(&(before, entry.client));
            }
            self.wakes.insert((wake, entry.client));
        }
        self.queue.park(&self.entries, key);
    }

    pub(super) fn reserve(&mut self, backend: u32, order: Order) {
        let one = &mut self.backends[backend as usize];
        if one.reserved.is_none_or(|before| order < before) {
            one.reserved = Some(order);
            if !self.reserved.contains(&backend) {
                self.reserved.push(backend);
            }
        }
    }
}
