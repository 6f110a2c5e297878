//! What is held and given back: the one place where counts change.

use plimsoll_core::config::gateway::Balance;

use super::{
    Admission, Grant, Id, Offered, Outcome, Refusal,
    entry::{Class, Entry, State, index},
    next::Taken,
};

// === impl Admission ===

impl Admission {
    pub(super) fn find(&self, id: Id, state: State) -> Option<u32> {
        let key = *self.ids.get(&id)?;
        self.entries.get(key as usize).filter(|entry| entry.state == state).map(|_| key)
    }

    pub(super) fn enter(&mut self, entry: Entry) -> u32 {
        self.groups[entry.group as usize].uses += 1;
        self.clients[entry.client as usize].known += 1;
        self.models[entry.model as usize].known += 1;
        let id = entry.id;
        let key = index(self.entries.insert(entry));
        self.ids.insert(id, key);
        key
    }

    pub(super) fn forget(&mut self, key: u32) {
        let entry = self.entries.remove(key as usize);
        self.ids.remove(&entry.id);
        self.groups[entry.group as usize].uses -= 1;
        self.clients[entry.client as usize].known -= 1;
        self.models[entry.model as usize].known -= 1;
    }

    pub(super) fn wait(&mut self, key: u32) {
        self.queue.push(&mut self.entries, key);
        let entry = &self.entries[key as usize];
        self.groups[entry.group as usize].waiting[entry.class as usize] += 1;
        let client = &mut self.clients[entry.client as usize];
        client.queued += 1;
        client.queued_tokens += u64::from(entry.tokens);
        self.models[entry.model as usize].queued += 1;
    }

    /// True if it was the first of its lane.
    pub(super) fn stop_waiting(&mut self, key: u32) -> bool {
        let first = self.queue.remove(&mut self.entries, key);
        let entry = &self.entries[key as usize];
        self.groups[entry.group as usize].waiting[entry.class as usize] -= 1;
        let client = &mut self.clients[entry.client as usize];
        client.queued -= 1;
        client.queued_tokens -= u64::from(entry.tokens);
        self.models[entry.model as usize].queued -= 1;
        first
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) -> Offered {
        self.refused += 1;
        Offered::Refused(refusal)
    }

    /// The end of waiting, one way or the other.
    pub(super) fn decide(&mut self, key: u32, decision: Result<Taken, Refusal>) {
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
    pub(super) fn undecided(&mut self, id: Id) -> Option<Result<Grant, Refusal>> {
        let at = self.decisions.iter().rposition(|(of, _)| *of == id)?;
        Some(self.decisions.remove(at).1)
    }

    /// Those for whose tokens no backend is large enough any more.
    pub(super) fn refuse_too_big(&mut self) {
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

    /// Those that failed before, and that no backend can answer in their time any more. Who
    /// was not sent yet keeps its place: it has lost nothing.
    pub(super) fn refuse_hopeless(&mut self) {
        if self.queue.of_class(Class::Retry) == 0 && self.sleepers.is_empty() {
            return;
        }
        let keys: Vec<u32> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.class == Class::Retry && entry.state != State::Held)
            .map(|(key, _)| index(key))
            .collect();
        let mut any = false;
        for key in keys {
            let entry = self.entries[key as usize];
            let Err(refusal) = self.may_wait_for_backend(&entry) else { continue };
            if entry.state == State::Sleeping {
                self.sleepers.remove(&(entry.granted, key));
            }
            self.decide(key, Err(refusal));
            any = true;
        }
        if any {
            self.pump();
        }
    }

    pub(super) fn grant(&mut self, key: u32, taken: Taken) -> Grant {
        let now = self.now;
        let entry = &mut self.entries[key as usize];
        entry.state = State::Held;
        entry.backend = taken.backend;
        entry.probe = taken.probe;
        (entry.sent, entry.answered, entry.sampled) = (false, false, false);
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
        if entry.policy == Balance::PrefixAffinity && entry.hash != 0 {
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

    /// True when its backend's breaker turned.
    pub(super) fn give_back(
        &mut self,
        key: u32,
        outcome: Outcome,
        tokens_used: Option<u32>,
    ) -> bool {
        self.works_no_more(key);
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
        turned
    }
}
