//! Whatever services tell: the rules about them stay true and small.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_services::{
    fleet::{FleetView, MAX_SERVICES},
    kind::ServiceKind,
    service::{Loaded, Model, Service, ServiceState},
};
use proptest::prelude::*;

use super::{
    bench::Bench,
    service_bench::{Tuned, engine, model, service},
};

fn number() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        3 => Just(None),
        6 => (0.0..100.0f64).prop_map(Some),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(f64::INFINITY)),
        1 => Just(Some(-1.0)),
        1 => Just(Some(1e300)),
    ]
}

fn state() -> impl Strategy<Value = ServiceState> {
    prop_oneof![
        4 => Just(ServiceState::Healthy),
        1 => Just(ServiceState::Degraded),
        1 => Just(ServiceState::Starting),
        1 => Just(ServiceState::Unknown),
        2 => Just(ServiceState::Down),
    ]
}

fn a_model() -> impl Strategy<Value = Model> {
    let loaded = prop_oneof![
        3 => Just(Loaded::Loaded),
        1 => Just(Loaded::Loading),
        1 => Just(Loaded::Unloaded),
        1 => Just(Loaded::Unknown),
    ];
    let bytes = || prop::option::of(prop_oneof![Just(0), 0..40u64 << 30, Just(u64::MAX)]);
    ("[a-d]{0,1}", loaded, bytes(), bytes())
        .prop_map(|(name, loaded, size, vram)| Model::named(name, loaded).sized(size, vram))
}

fn a_service() -> impl Strategy<Value = Service> {
    let figures = [number(), number(), number(), number(), number(), number()];
    let models = prop::collection::vec(a_model(), 0..5);
    ("[a-c]", state(), models, figures, any::<bool>(), 0..3i64).prop_map(
        |(id, state, models, [running, generated, prompt, waiting, used, held], redis, started)| {
            let kind = if redis { ServiceKind::Redis } else { ServiceKind::Vllm };
            let told = service(&id, kind).models(&models).is(state, "").started(started);
            let told = if redis { told.redis(used.unwrap_or(0.0), 1.0) } else { told };
            told.holds(held.filter(|held| held.is_finite()).unwrap_or(0.0).clamp(0.0, 100.0)).with(
                |service| {
                    service.figures.running = running;
                    service.figures.generated_tokens_per_s = generated;
                    service.figures.prompt_tokens_per_s = prompt;
                    service.figures.waiting = waiting;
                },
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_services_tell_alerts_read_like_sentences_and_end(
        looks in prop::collection::vec(
            (prop::collection::vec(a_service(), 0..4), 1usize..40, 0.0..24.0f64),
            1..20,
        ),
    ) {
        let mut bench = Bench::new(|config| {
            for rule in config.alerts.rules.values_mut() {
                rule.for_s = rule.for_s.min(5);
            }
        });
        for (services, seconds, free) in &looks {
            // An id is that of one service.
            let services: BTreeMap<&str, &Service> =
                services.iter().map(|service| (service.id.as_str(), service)).collect();
            let services: Vec<Service> = services.into_values().cloned().collect();
            for _ in 0..*seconds {
                bench.see_on(&services, Some(*free));
            }
        }
        for row in bench.rows() {
            prop_assert!(row.title.ends_with('.') && !row.title.contains("NaN"), "{}", row.title);
            prop_assert!(row.peak.is_none_or(f64::is_finite), "{row:?}");
        }
        // Nobody is watched any more: all that was about them ends at once.
        bench.see(&[]);
        let of_services = |name: &String| !name.starts_with("vram-");
        let left: Vec<String> = bench.active().into_iter().filter(of_services).collect();
        prop_assert_eq!(left, Vec::<String>::new());
    }
}

#[test]
fn what_is_remembered_of_services_has_a_bound() {
    let mut bench = Bench::new(|_| {});
    for round in 0..12u64 {
        let services = (0..2 * MAX_SERVICES).map(|n| {
            let names = (0..3).map(|m| model(&format!("m{}", round + m), 1.0, 1.0));
            let told = engine(&format!("s{n}")).models(&names.collect::<Vec<_>>());
            Arc::new(told.works(1.0, 10.0, 10.0).with(|s| s.checked_ms = Some(round as i64 + 1)))
        });
        bench.fleet = FleetView { at_ms: 1, services: services.collect() };
        bench.tick(&[]);
    }
    // Four sets of models for each, seven days of four measures in each set.
    let (services, sets) = bench.engine.remembered();
    assert_eq!(services, MAX_SERVICES);
    assert!(sets <= 4 * MAX_SERVICES, "{sets}");
}
