//! What holds whatever comes: random traffic, limits, failures and times, and beside the
//! machine a few plain lists that know what it may and may not do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plimsoll_core::{
    config::gateway::{Balance, GateMode},
    request::Priority,
    traffic::BreakerState,
};
use proptest::prelude::*;

use super::{
    AdaptiveLimits, Admission, Ask, BackendLimits, BreakerLimits, Candidate, ClientLimits, Gate,
    Gates, Grant, Id, Limits, Ms, Offered, Outcome, Pressure, Refusal,
    next::Block,
    queue::{Entry, State},
};

const BACKENDS: [&str; 3] = ["a", "b", "c"];
const CLIENTS: [&str; 3] = ["x", "y", "z"];
const MODELS: [&str; 2] = ["m", "n"];
const LISTS: [&[(&str, u8)]; 4] =
    [&[("a", 0)], &[("a", 0), ("b", 0)], &[("c", 0), ("a", 1)], &[("a", 0), ("b", 0), ("c", 0)]];
const POLICIES: [Balance; 6] = [
    Balance::LeastInFlight,
    Balance::RoundRobin,
    Balance::Random,
    Balance::Weighted,
    Balance::ConsistentHash,
    Balance::PrefixAffinity,
];

/// One thing that happens. Numbers name things by their rest.
#[derive(Clone, Debug)]
enum Step {
    Offer { client: usize, model: usize, list: usize, batch: bool, tokens: u32, wait: Ms },
    Answer { which: usize },
    End { which: usize, outcome: usize },
    Retry { which: usize, outcome: usize, delay: Ms },
    Leave { which: usize },
    Up { backend: usize, up: bool },
    Outside { backend: usize, running: u32 },
    Memory { free: f64 },
    Limits(Box<Limits>),
    Pass { ms: Ms },
}

fn steps(many: usize, tokens: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3_usize, 0..2_usize, 0..4_usize, any::<bool>(), 0..=tokens, 0..20_000_u64)
            .prop_map(|(client, model, list, batch, tokens, wait)| Step::Offer {
                client, model, list, batch, tokens, wait,
            }),
        3 => any::<usize>().prop_map(|which| Step::Answer { which }),
        6 => (any::<usize>(), 0..4_usize).prop_map(|(which, outcome)| Step::End { which, outcome }),
        2 => (any::<usize>(), 0..4_usize, prop_oneof![Just(0), 1..3000_u64])
            .prop_map(|(which, outcome, delay)| Step::Retry { which, outcome, delay }),
        1 => any::<usize>().prop_map(|which| Step::Leave { which }),
        1 => (0..3_usize, prop::bool::weighted(0.7))
            .prop_map(|(backend, up)| Step::Up { backend, up }),
        1 => (0..3_usize, 0..3_u32).prop_map(|(backend, running)| Step::Outside { backend, running }),
        1 => prop_oneof![Just(5.0), Just(50.0)].prop_map(|free| Step::Memory { free }),
        1 => limits(tokens).prop_map(|limits| Step::Limits(Box::new(limits))),
        4 => prop_oneof![0..50_u64, 0..5000_u64].prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..many)
}

fn limits(tokens: u32) -> impl Strategy<Value = Limits> {
    let few = || prop::option::weighted(0.7, 0..6_u32);
    let kv = if tokens == 0 { 0.01 } else { 0.7 };
    (
        (few(), few(), few(), few(), 0..30_u32),
        (
            prop::option::weighted(kv, u64::from(tokens)..=3 * u64::from(tokens).max(1)),
            any::<bool>(),
        ),
        (prop::option::weighted(0.2, 30..600_u32), prop::option::weighted(0.2, 600..60_000_u32)),
        (any::<bool>(), 1..4_u32, any::<bool>()),
    )
        .prop_map(|((all, backend, client, model, queue), (kv, adaptive), rates, breaker)| {
            Limits {
                in_flight: all,
                queue,
                queue_batch: queue / 2,
                ageing: 5000,
                backend: BackendLimits {
                    room: backend,
                    kv_tokens: kv,
                    adaptive: adaptive.then(AdaptiveLimits::default),
                },
                client: ClientLimits {
                    in_flight: client,
                    queue: None,
                    requests_per_minute: rates.0,
                    tokens_per_minute: rates.1,
                },
                models: model.map(|room| (Arc::from("m"), room)).into_iter().collect(),
                breaker: BreakerLimits {
                    enabled: breaker.0,
                    failures: breaker.1,
                    pause: 500,
                    ..BreakerLimits::default()
                },
                gates: Gates {
                    memory: Some(Gate {
                        mode: if breaker.2 { GateMode::Enforce } else { GateMode::Observe },
                        close: 10.0,
                        open: 20.0,
                    }),
                    ..Gates::default()
                },
                ..Limits::default()
            }
        })
}

/// What is known of a request, beside the machine.
#[derive(Clone, Debug)]
struct Known {
    ask: Ask,
    came: Ms,
    held: Option<(Arc<str>, bool)>,
    /// Its answer began.
    answered: bool,
    /// It was granted before and came back.
    again: bool,
}

struct World {
    machine: Admission,
    now: Ms,
    next: Id,
    lists: Vec<Arc<[Candidate]>>,
    known: BTreeMap<Id, Known>,
    ended: BTreeSet<Id>,
    outside: BTreeMap<&'static str, u32>,
    down: BTreeSet<&'static str>,
    /// Everything that was said, in order.
    said: Vec<String>,
}

impl World {
    fn new(limits: Limits) -> Self {
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

    fn held(&self) -> Vec<Id> {
        self.known.iter().filter(|(_, one)| one.held.is_some()).map(|(id, _)| *id).collect()
    }

    fn step(&mut self, step: &Step, policy: Balance) -> Result<(), TestCaseError> {
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
    fn check(&self) -> Result<(), TestCaseError> {
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
    fn close(&mut self) -> Result<(), TestCaseError> {
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

impl Admission {
    /// What must hold between any two calls: no room stands empty that somebody waits for,
    /// and counts agree with what they count.
    fn check(&self) -> Result<(), String> {
        let mut waiting: Vec<&Entry> = self
            .entries
            .iter()
            .map(|(_, entry)| entry)
            .filter(|entry| entry.state == State::Waiting)
            .collect();
        waiting.sort_by_key(|entry| entry.order);
        let mut lines = std::collections::BTreeSet::new();
        let mut lanes = std::collections::BTreeSet::new();
        for entry in &waiting {
            // Whoever stands behind one that wants the same and may not go on waits for it.
            let line = (entry.group, entry.model);
            let lane = (line, entry.client, entry.class);
            if lines.contains(&line) || !lanes.insert(lane) {
                continue;
            }
            match self.clone().admissible(entry) {
                Ok(_) => return Err(format!("{} could go on, and waits", entry.id)),
                Err(Block::Client | Block::Rate(_) | Block::Choosy) => {}
                Err(_) => {
                    lines.insert(line);
                }
            }
        }
        let held = self.entries.iter().filter(|(_, entry)| entry.state == State::Held).count();
        let counts = [
            ("in flight", held, self.in_flight as usize),
            ("waiting", waiting.len(), self.queue.len() as usize),
            ("ids", self.entries.len(), self.ids.len()),
            ("clients", self.clients.len(), self.client_of.len()),
            ("models", self.models.len(), self.model_of.len()),
            ("backends", self.backends.len(), self.backend_of.len()),
            ("groups", self.groups.len(), self.group_of.len()),
            (
                "of clients",
                self.entries.len(),
                self.clients.iter().map(|(_, client)| client.known as usize).sum(),
            ),
            (
                "of lists",
                self.entries.len(),
                self.groups.iter().map(|(_, group)| group.uses as usize).sum(),
            ),
            (
                "rejecting",
                self.backends.iter().filter(|(_, one)| one.breaker.rejects()).count(),
                self.rejecting as usize,
            ),
        ];
        match counts.iter().find(|(_, counted, kept)| counted != kept) {
            Some((what, counted, kept)) => Err(format!("{what}: {counted}, but {kept} kept")),
            None => self.queue.check(&self.entries),
        }
    }
}

/// 200 in a test run; `PLIMSOLL_CASES=100000` looks for hours' worth of traffic.
fn cases() -> u32 {
    std::env::var("PLIMSOLL_CASES").ok().and_then(|many| many.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    // MV4
    #[test]
    fn limits_hold_nothing_is_lost_and_no_room_stands_empty(
        first in limits(500),
        steps in steps(120, 500),
        policy in prop::sample::select(&POLICIES[..]),
    ) {
        let mut world = World::new(first);
        for step in &steps {
            world.step(step, policy)?;
            world.check()?;
        }
        world.close()?;
    }

    #[test]
    fn the_same_calls_give_the_same_decisions(
        first in limits(500),
        steps in steps(150, 500),
        policy in prop::sample::select(&POLICIES[..]),
    ) {
        let (mut one, mut two) = (World::new(first.clone()), World::new(first));
        for (n, step) in steps.iter().enumerate() {
            one.step(step, policy)?;
            two.step(step, policy)?;
            // A copy goes on as its original would have.
            if n == steps.len() / 2 {
                two.machine = one.machine.clone();
            }
        }
        prop_assert_eq!(one.said, two.said);
    }

    // MV8
    #[test]
    fn a_backend_that_is_not_well_sees_one_request_at_a_time(
        steps in steps(200, 0),
        failures in 1..4_u32,
    ) {
        let mut limits = Limits { queue: 1000, queue_batch: 1000, ..Limits::default() };
        limits.breaker = BreakerLimits { failures, pause: 300, ..BreakerLimits::default() };
        let mut world = World::new(limits);
        let mut turned = BTreeMap::new();
        for step in &steps {
            if matches!(step, Step::Limits(_)) {
                continue;
            }
            let before = world.held();
            world.step(step, Balance::LeastInFlight)?;
            for told in world.machine.moves() {
                if let super::Moved::Breaker { backend, to, .. } = told.what {
                    turned.insert(backend, to);
                }
            }
            for (backend, state) in &turned {
                let here = |known: &&Known| {
                    known.held.as_ref().is_some_and(|(at, _)| at == backend) && !known.answered
                };
                let probes = world.known.values().filter(here)
                    .filter(|known| known.held.as_ref().is_some_and(|(_, probe)| *probe)).count();
                match state {
                    BreakerState::Rejecting => prop_assert_eq!(probes, 0),
                    BreakerState::Probing => prop_assert!(probes <= 1),
                    BreakerState::Passing => {}
                }
                if *state != BreakerState::Passing {
                    let new = world.known.values().filter(here)
                        .filter(|known| !before.contains(&known.ask.id));
                    let sent = new.filter(|known| {
                        known.held.as_ref().is_some_and(|(_, probe)| !*probe)
                    }).count();
                    prop_assert_eq!(sent, 0);
                }
            }
            world.check()?;
        }
        world.close()?;
    }

    #[test]
    fn a_retry_keeps_its_deadline(
        steps in steps(100, 0),
        wait in 1..20_000_u64,
    ) {
        let mut world = World::new(Limits::default());
        let ask = Step::Offer { client: 0, model: 0, list: 0, batch: false, tokens: 0, wait };
        world.step(&ask, Balance::LeastInFlight)?;
        for step in &steps {
            world.step(step, Balance::LeastInFlight)?;
            // `grant` checks each deadline; here, that none waits beyond it.
            if let Some(one) = world.known.values().find(|one| one.held.is_none()) {
                prop_assert!(one.ask.deadline > world.now, "{one:?} waits at {}", world.now);
            }
        }
    }
}
