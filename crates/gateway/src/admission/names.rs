//! Backends, clients, models and lists of candidates by their names: found, made, told
//! what changed, and forgotten when nobody needs them any more.

use std::sync::Arc;

use super::{
    Admission, Candidate, Move, Moved,
    balance::Group,
    entry::index,
    least::Load,
    parties::{Backend, Client, Model},
};

/// Names of clients and models that are held before the idle ones are forgotten.
const HELD: usize = 1024;
/// Moves that are held for whoever asks; older ones are forgotten.
const MOVES: usize = 256;

// === impl Admission ===

impl Admission {
    /// Tells every list of candidates what a backend can take now.
    pub(super) fn refresh(&mut self, at: u32) {
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

    pub(super) fn refresh_all(&mut self) {
        let all: Vec<u32> = self.backends.iter().map(|(at, _)| index(at)).collect();
        for at in all {
            self.refresh(at);
        }
    }

    pub(super) fn count_rejecting(&self) -> u32 {
        index(self.backends.iter().filter(|(_, backend)| backend.breaker.rejects()).count())
    }

    pub(super) fn breaker_moved(&mut self, at: u32) {
        self.rejecting = self.count_rejecting();
        let backend = &self.backends[at as usize];
        let view = backend.breaker.view();
        let backend = backend.id.clone();
        self.moved(Moved::Breaker { backend, to: view.state, tripped: view.tripped });
    }

    pub(super) fn moved(&mut self, what: Moved) {
        if self.moves.len() == MOVES {
            self.moves.pop_front();
        }
        self.moves.push_back(Move { at: self.now, what });
    }

    pub(super) fn check_gates(&mut self) {
        let Self { gates, limits, pressure, moves, now, .. } = self;
        gates.update(&limits.gates, pressure, |gate| {
            if moves.len() == MOVES {
                moves.pop_front();
            }
            moves.push_back(Move { at: *now, what: gate.moved() });
        });
    }

    pub(super) fn backend(&mut self, name: &Arc<str>) -> u32 {
        if let Some(at) = self.backend_of.get(name) {
            return *at;
        }
        let backend = Backend::new(name.clone(), &self.limits, self.now);
        let at = index(self.backends.insert(backend));
        self.backend_of.insert(name.clone(), at);
        at
    }

    pub(super) fn client(&mut self, name: &Arc<str>) -> u32 {
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

    pub(super) fn model(&mut self, name: &Arc<str>) -> u32 {
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

    pub(super) fn forget_clients(&mut self) {
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

    pub(super) fn group(&mut self, key: &Arc<[Candidate]>) -> u32 {
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
            self.forget_backends();
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

    pub(super) fn forget_groups(&mut self) {
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

    /// Backends that are in no configuration, no list and no use, and of which nothing is
    /// known that must be remembered until they are.
    pub(super) fn forget_backends(&mut self) {
        let Self { backends, backend_of, limits, .. } = self;
        let far_too_many = backends.len() >= HELD;
        backends.retain(|_, backend| {
            let kept = !backend.seats.is_empty()
                || backend.in_flight > 0
                || backend.resting > 0
                || (!far_too_many && (!backend.up || backend.outside > 0))
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
