//! Services as their readings told of them: where nobody watched, ticks are all
//! there is, and the rules want to know the same.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    metric::{Kind, Metric, SubjectKind},
    reading::{Reading, Tick, Value},
};
use plimsoll_services::{
    fleet::{FleetView, MAX_SERVICES},
    service::{
        Basis, Figures, Loaded, MAX_MODELS, Model, Origin, RedisFigures, Service, ServiceState,
        Slots, VramSplit,
    },
};

/// A reading that did not come again for so long is not known any more.
const KNOWN_MS: i64 = 15_000;

/// A reading's value and when it came. Of a total, how fast it grew since the one before.
#[derive(Clone, Copy, Debug)]
struct Newest {
    value: f64,
    total: Option<f64>,
    at_ms: i64,
}

type Values = BTreeMap<Metric, Newest>;

/// Puts services together from ticks, one after another.
#[derive(Debug, Default)]
pub struct FromTicks {
    services: BTreeMap<Arc<str>, Values>,
    models: BTreeMap<Arc<str>, Values>,
    /// State and its beginning.
    states: BTreeMap<Arc<str>, (ServiceState, i64)>,
    view: FleetView,
}

// === impl FromTicks ===

impl FromTicks {
    pub fn take(&mut self, tick: &Tick) -> &FleetView {
        for reading in &tick.readings {
            let (subjects, most) = match reading.metric.spec().subject {
                SubjectKind::Service => (&mut self.services, MAX_SERVICES),
                SubjectKind::Model => (&mut self.models, MAX_MODELS),
                _ => continue,
            };
            if !subjects.contains_key(&reading.subject) && subjects.len() >= most {
                continue;
            }
            let values = subjects.entry(reading.subject.clone()).or_default();
            learn(values, reading, tick.at.monotonic_ms);
        }
        let old = |values: &mut Values| {
            values.retain(|_, newest| tick.at.monotonic_ms - newest.at_ms <= KNOWN_MS);
            !values.is_empty()
        };
        // A service that nothing is told of is still the same one when it is told of again.
        for values in self.services.values_mut() {
            old(values);
        }
        self.models.retain(|_, values| old(values));
        let now_ms = tick.at.wall_ms;
        self.view = FleetView { at_ms: now_ms.max(1), services: Vec::new() };
        for (id, values) in &self.services {
            let up = values.get(&Metric::ServiceUp).map(|up| up.value >= 0.5);
            let state = match up {
                Some(true) => ServiceState::Healthy,
                Some(false) => ServiceState::Down,
                None => ServiceState::Unknown,
            };
            let entry = self.states.entry(id.clone()).or_insert((state, now_ms));
            if entry.0 != state {
                *entry = (state, now_ms);
            }
            let service = service_of(id, *entry, values, models_of(id, &self.models), now_ms);
            self.view.services.push(Arc::new(service));
        }
        &self.view
    }
}

fn learn(values: &mut Values, reading: &Reading, at_ms: i64) {
    let metric = reading.metric;
    match (&reading.value, metric.spec().kind) {
        (Value::Gauge(value), _) => {
            values.insert(metric, Newest { value: *value, total: None, at_ms });
        }
        (_, Kind::Counter) => {
            let total = reading.number();
            let before = values.get(&metric).copied();
            let per_s = before.and_then(|before| {
                let (grown, ms) = (total - before.total?, at_ms - before.at_ms);
                #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
                let seconds = ms as f64 / 1000.0;
                (ms > 0 && grown >= 0.0).then(|| grown / seconds)
            });
            // The first total says nothing of how fast it grows.
            let value = per_s.unwrap_or(f64::NAN);
            values.insert(metric, Newest { value, total: Some(total), at_ms });
        }
        _ => {}
    }
}

fn models_of(id: &str, all: &BTreeMap<Arc<str>, Values>) -> Vec<Model> {
    let bytes = |values: &Values, metric| values.get(&metric).map(|newest| whole(newest.value));
    let own = all.iter().filter_map(|(subject, values)| {
        let (of, name) = subject.split_once('/')?;
        (of == id).then(|| {
            Model::named(name, Loaded::Loaded)
                .sized(bytes(values, Metric::ModelSize), bytes(values, Metric::ModelVram))
        })
    });
    own.collect()
}

fn service_of(
    id: &str,
    (state, since_ms): (ServiceState, i64),
    values: &Values,
    models: Vec<Model>,
    now_ms: i64,
) -> Service {
    let get = |metric| values.get(&metric).map(|n| n.value).filter(|value| value.is_finite());
    let count = |metric| get(metric).map(|value| u32::try_from(whole(value)).unwrap_or(u32::MAX));
    let redis = get(Metric::RedisMemoryUsed).map(|used| RedisFigures {
        memory_used_bytes: Some(used),
        memory_limit_bytes: get(Metric::RedisMemoryLimit),
        evicted_per_s: get(Metric::RedisEvicted),
        ..RedisFigures::default()
    });
    Service {
        state,
        since_ms,
        models,
        slots: Some(Slots {
            total: count(Metric::SlotsTotal),
            busy: count(Metric::SlotsBusy),
            waiting: count(Metric::RequestsWaiting),
            basis: Basis::Told,
        }),
        figures: Figures {
            running: get(Metric::RequestsRunning),
            waiting: get(Metric::RequestsWaiting),
            prompt_tokens_per_s: get(Metric::TokensPrompt),
            generated_tokens_per_s: get(Metric::TokensGenerated),
            redis,
            ..Figures::default()
        },
        checked_ms: Some(now_ms),
        vram: get(Metric::ServiceVram).map(|total| VramSplit {
            total_bytes: whole(total),
            weights_bytes: None,
            kv_bytes: None,
            other_bytes: whole(total),
            basis: Basis::Told,
        }),
        ..Service::new(id, id, None, "http://127.0.0.1", Origin::Configured)
    }
}

fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded here")]
    let whole = value.clamp(0.0, 9e15) as u64;
    whole
}
