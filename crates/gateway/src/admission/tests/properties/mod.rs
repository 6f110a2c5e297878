//! What holds whatever comes: random traffic, limits, failures and times, and beside the
//! machine a few plain lists that know what it may and may not do.

mod agreement;
mod steps;
mod world;

use std::collections::BTreeMap;

use plimsoll_core::{config::gateway::Balance, traffic::BreakerState};
use proptest::prelude::*;

use self::{
    steps::{Step, limits, steps},
    world::{Known, World},
};
use crate::admission::{BreakerLimits, Limits, Moved};

const POLICIES: [Balance; 6] = [
    Balance::LeastInFlight,
    Balance::RoundRobin,
    Balance::Random,
    Balance::Weighted,
    Balance::ConsistentHash,
    Balance::PrefixAffinity,
];

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
                if let Moved::Breaker { backend, to, .. } = told.what {
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
