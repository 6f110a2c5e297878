//! What happens: traffic, failures, time and limits, drawn at random.

use std::sync::Arc;

use plimsoll_core::config::gateway::GateMode;
use proptest::prelude::*;

use crate::admission::{
    AdaptiveLimits, BackendLimits, BreakerLimits, ClientLimits, Gate, Gates, Limits, Ms,
};

/// One thing that happens. Numbers name things by their rest.
#[derive(Clone, Debug)]
pub(super) enum Step {
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

pub(super) fn steps(many: usize, tokens: u32) -> impl Strategy<Value = Vec<Step>> {
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

pub(super) fn limits(tokens: u32) -> impl Strategy<Value = Limits> {
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
