//! Beside the machine a few plain lists, that know what it may and may not do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plimsoll_core::{config::gateway::Balance, request::Priority};
use proptest::prelude::*;

use super::steps::Step;
use crate::admission::{
    Admission, Ask, Candidate, ClientLimits, Grant, Id, Limits, Ms, Offered, Outcome, Pressure,
    Refusal,
};

const BACKENDS: [&str; 3] = ["a", "b", "c"];
const CLIENTS: [&str; 3] = ["x", "y", "z"];
const MODELS: [&str; 2] = ["m", "n"];
const LISTS: [&[(&str, u8)]; 4] =
    [&[("a", 0)], &[("a", 0), ("b", 0)], &[("c", 0), ("a", 1)], &[("a", 0), ("b", 0), ("c", 0)]];

/// What is known of a request, beside the machine.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) ask: Ask,
    came: Ms,
    pub(super) held: Option<(Arc<str>, bool)>,
    /// Its answer began.
    pub(super) answered: bool,
    /// It was granted before and came back.
    again: bool,
}

pub(super) struct World {
    pub(super) machine: Admission,
    pub(super) now: Ms,
    next: Id,
    lists: Vec<Arc<[Candidate]>>,
    pub(super) known: BTreeMap<Id, Known>,
    ended: BTreeSet<Id>,
    outside: BTreeMap<&'static str, u32>,
    down: BTreeSet<&'static str>,
    /// Everything that was said, in order.
    pub(super) said: Vec<String>,
}

// === impl World ===

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        let lists = LISTS
            .iter()
            .map(|list| {
                let one = |(name, rank): &(&str, u8)| Candidate {
                    backend: (*name).into(),
                    rank: *rank,
                    weight: 1 + u16::from(*rank),
                };
                list.iter().map(one).collect()
            })
            .collect();
        Self {
            machine: Admission::new(limits),
            now: 0,
            next: 0,
            lists,
            known: BTreeMap::new(),
            ended: BTreeSet::new(),
            outside: BTreeMap::new(),
            down: BTreeSet::new(),
            said: Vec::new(),
        }
    }

    pub(super) fn held(&self) -> Vec<Id> {
        self.known.iter().filter(|(_, one)| one.held.is_some()).map(|(id, _)| *id).collect()
    }

    pub(super) fn step(&mut self, step: &Step, policy: Balance) -> Result<(), TestCaseError> {
        let pick = |from: &[Id], which: usize| {
            if from.is_empty() { None } else { Some(from[which % from.len()]) }
        };
        let outcome = |of: usize| {
            [Outcome::Served, Outcome::Served, Outcome::Failed, Outcome::Unknown][of % 4]
        };
        match step {
            Step::Offer { client, model, list, batch, tokens, wait } => {
                self.next += 1;
                let ask = Ask {
                    id: self.next,
                    client: CLIENTS[*client].into(),
                    model: MODELS[*model].into(),
                    priority: if *batch { Priority::Batch } else { Priority::Interactive },
                    tokens: *tokens,
                    deadline: self.now + wait,
                    candidates: self.lists[*list].clone(),
                    policy,
                    hash: self.next % 5,
                };
                let known = Known {
                    ask: ask.clone(),
                    came: self.now,
                    held: None,
                    answered: false,
                    again: false,
                };
                self.known.insert(ask.id, known);
                let id = ask.id;
                match self.machine.offer(ask, self.now) {
                    // What was decided on others in the same call was decided before.
                    Offered::Granted(grant) => {
                        self.hear()?;
                        self.grant(&grant)?;
                    }
                    Offered::Refused(refusal) => {
                        self.hear()?;
                        self.refuse(id, &refusal)?;
                    }
                    Offered::Queued(place) => prop_assert!(place.position >= 1),
                }
            }
            Step::Answer { which } => {
                if let Some(id) = pick(&self.held(), *which) {
                    self.machine.answered(id, self.now);
                    self.machine.first_token(id, (which % 500) as f64, self.now);
                    if let Some(known) = self.known.get_mut(&id) {
                        known.answered = true;
                    }
                }
            }
            Step::End { which, outcome: of } => {
                if let Some(id) = pick(&self.held(), *which) {
                    self.machine.release(id, outcome(*of), Some(100), self.now);
                    self.known.remove(&id);
                    self.ended.insert(id);
                }
            }
            Step::Retry { which, outcome: of, delay } => {
                if let Some(id) = pick(&self.held(), *which) {
                    if let Some(known) = self.known.get_mut(&id) {
                        known.held = None;
                        (known.answered, known.again) = (false, true);
                    }
                    self.machine.retry(id, outcome(*of), *delay, self.now);
                }
            }
            Step::Leave { which } => {
                let all: Vec<Id> = self.known.keys().copied().collect();
                if let Some(id) = pick(&all, *which) {
                    self.machine.leave(id, self.now);
                    self.known.remove(&id);
                    self.ended.insert(id);
                }
            }
            Step::Up { backend, up } => {
                let name = BACKENDS[*backend];
                if *up {
                    self.down.remove(name)
                } else {
                    self.down.insert(name)
                };
                self.machine.up(name, *up, self.now);
            }
            Step::Outside { backend, running } => {
                let name = BACKENDS[*backend];
                self.outside.insert(name, *running);
                self.machine.outside(name, *running, self.now);
            }
            Step::Memory { free } => {
                let pressure = Pressure { memory_available: Some(*free), ..Pressure::default() };
                self.machine.pressure(pressure, self.now);
            }
            Step::Limits(limits) => self.machine.set_limits((**limits).clone(), self.now),
            Step::Pass { ms } => {
                self.now += ms;
                self.machine.tick(self.now);
            }
        }
        self.hear()
    }

    fn hear(&mut self) -> Result<(), TestCaseError> {
        let decisions: Vec<_> = self.machine.decisions().collect();
        for (id, decision) in decisions {
            match decision {
                Ok(grant) => {
                    prop_assert_eq!(id, grant.id);
                    self.grant(&grant)?;
                }
                Err(refusal) => self.refuse(id, &refusal)?,
            }
        }
        Ok(())
    }

    fn grant(&mut self, grant: &Grant) -> Result<(), TestCaseError> {
        self.said.push(format!("{} {grant:?}", self.now));
        let limits = self.machine.limits().clone();
        let Some(one) = self.known.get_mut(&grant.id) else {
            return Err(TestCaseError::fail(format!("{} is not here any more", grant.id)));
        };
        prop_assert!(one.held.is_none(), "{} is granted twice", grant.id);
        prop_assert!(one.ask.deadline >= self.now, "{} is granted too late", grant.id);
        let candidates = one.ask.candidates.clone();
        prop_assert!(candidates.iter().any(|candidate| candidate.backend == grant.backend));
        prop_assert!(!self.down.contains(&*grant.backend), "{} is down", grant.backend);
        one.held = Some((grant.backend.clone(), grant.probe));
        let one = one.clone();
        // Never more in flight than any limit, at the moment of a grant.
        let count = |of: &dyn Fn(&Known) -> bool| {
            let held = self.known.values().filter(|known| known.held.is_some() && of(known));
            u32::try_from(held.count()).unwrap()
        };
        let at = |known: &Known| known.held.as_ref().is_some_and(|(at, _)| *at == grant.backend);
        let outside = self.outside.get(&*grant.backend).copied().unwrap_or(0);
        let within = |count: u32, room: Option<u32>| room.is_none_or(|room| count <= room);
        prop_assert!(within(count(&|_| true), limits.in_flight));
        prop_assert!(within(count(&at) + outside, limits.backend.room));
        prop_assert!(within(
            count(&|known| known.ask.client == one.ask.client),
            limits.client.in_flight
        ));
        prop_assert!(within(
            count(&|known| known.ask.model == one.ask.model),
            limits.models.get(&one.ask.model).copied()
        ));
        let held = self.known.values().filter(|known| at(known));
        let tokens: u64 = held.map(|known| u64::from(known.ask.tokens)).sum();
        prop_assert!(limits.backend.kv_tokens.is_none_or(|kv| tokens <= kv));
        // Who came earlier and wants the same as this one, from the same client, went earlier.
        let overtaken = self.known.values().find(|other| {
            other.held.is_none()
                && !other.again
                && !one.again
                && other.ask.id < one.ask.id
                && other.ask.client == one.ask.client
                && other.ask.model == one.ask.model
                && other.ask.candidates == one.ask.candidates
                && other.ask.priority == one.ask.priority
        });
        prop_assert!(overtaken.is_none(), "{} overtook {overtaken:?}", grant.id);
        let clients_limited = limits.client != ClientLimits::default();
        // Batch that has waited out its time is overtaken by none that came after that,
        // unless a limit of its own client holds it.
        let starved = self.known.values().find(|other| {
            other.held.is_none()
                && !one.again
                && other.ask.priority == Priority::Batch
                && one.came > other.came + limits.ageing
                && (other.ask.client == one.ask.client || !clients_limited)
                && other.ask.model == one.ask.model
                && other.ask.candidates == one.ask.candidates
                && !other.again
        });
        prop_assert!(starved.is_none(), "{} starves {starved:?}", grant.id);
        Ok(())
    }

    fn refuse(&mut self, id: Id, refusal: &Refusal) -> Result<(), TestCaseError> {
        self.said.push(format!("{} {id} {refusal:?}", self.now));
        let one = self.known.remove(&id);
        prop_assert!(one.is_some_and(|one| one.held.is_none()), "{id} is refused twice");
        prop_assert!(self.ended.insert(id));
        prop_assert!(!refusal.reason.is_empty());
        Ok(())
    }

    /// What holds between any two calls.
    pub(super) fn check(&self) -> Result<(), TestCaseError> {
        let now = self.machine.snapshot();
        let held = self.known.values().filter(|known| known.held.is_some()).count();
        prop_assert_eq!(now.in_flight as usize, held);
        prop_assert_eq!(now.queued as usize, self.known.len() - held);
        for backend in &now.backends {
            let here =
                |known: &&Known| known.held.as_ref().is_some_and(|(at, _)| *at == backend.id);
            let mine: Vec<_> = self.known.values().filter(here).collect();
            prop_assert_eq!(backend.in_flight as usize, mine.len());
            let tokens: u64 = mine.iter().map(|known| u64::from(known.ask.tokens)).sum();
            prop_assert_eq!(backend.kv_used, tokens);
        }
        self.machine.check().map_err(TestCaseError::fail)
    }

    /// Everybody ends: then nothing is held by anybody.
    pub(super) fn close(&mut self) -> Result<(), TestCaseError> {
        self.machine.set_limits(Limits::default(), self.now);
        self.machine.pressure(Pressure::default(), self.now);
        for backend in BACKENDS {
            self.down.remove(backend);
            self.outside.remove(backend);
            self.machine.outside(backend, 0, self.now);
            self.machine.up(backend, true, self.now);
        }
        self.hear()?;
        for _ in 0..10_000 {
            let held = self.held();
            if held.is_empty() && self.machine.queued() == 0 {
                break;
            }
            for id in held {
                self.machine.release(id, Outcome::Served, None, self.now);
                self.known.remove(&id);
                self.ended.insert(id);
                self.hear()?;
            }
            if let Some(due) = self.machine.next_due() {
                self.now = self.now.max(due);
                self.machine.tick(self.now);
                self.hear()?;
            }
        }
        prop_assert_eq!(self.known.len(), 0, "somebody never got an answer");
        prop_assert_eq!(self.ended.len(), usize::try_from(self.next).unwrap());
        let now = self.machine.snapshot();
        prop_assert_eq!((now.in_flight, now.queued), (0, 0));
        prop_assert!(now.backends.iter().all(|one| one.in_flight == 0 && one.kv_used == 0));
        self.machine.check().map_err(TestCaseError::fail)
    }
}
