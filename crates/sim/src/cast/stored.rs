//! What the watch over a store would have told in the past.

use std::sync::Arc;

use plimsoll_core::{
    metric::Metric,
    reading::{Reading, Value},
};
use plimsoll_services::service::ServiceState;

use super::{
    StoreRole, noise_of,
    past::{MISSES, difference},
    seen::{Seen, holder},
    story::Stored,
};
use crate::{
    noise::Noise,
    readings::gauge,
    server::stores::{Store, Told},
    world::{Plan, World},
};

/// One store, second by second.
pub struct PastStore {
    subject: Arc<str>,
    place: usize,
    store: Store,
    noise: Noise,
    seen: Seen,
    /// Counts of its histogram as they were last told.
    told: Vec<u64>,
}

// === impl PastStore ===

impl PastStore {
    /// `None` where the machine has no such process.
    pub fn new(plan: &Arc<Plan>, role: &StoreRole, place: String, from_s: i64) -> Option<Self> {
        let scene = Stored::new(plan, role)?;
        let noise = Noise::new(noise_of(&role.id));
        let at = scene.place;
        let store = Store::new(role.kind, Arc::new(scene), noise);
        let mut told = Vec::new();
        for figure in store.figures() {
            if let Told::Times(_, seconds) = figure {
                told.clone_from(&seconds.counts);
            }
        }
        let seen = Seen::new(&role.id, place, from_s);
        Some(Self { subject: role.id.as_str().into(), place: at, store, noise, seen, told })
    }

    /// What is told at the world's second; `slow`: the turn of processes and stores.
    pub fn tell(&mut self, world: &World, slow: bool, vram: bool, out: &mut Vec<Reading>) {
        let second = world.second;
        self.store.advance(second);
        let present = self.store.is_present(second);
        let down = (0..MISSES).all(|before| !self.store.is_present(second - before));
        let how = if down { ServiceState::Down } else { ServiceState::Healthy };
        self.seen.note(second, how, present);
        out.push(gauge(Metric::ServiceUp, &self.subject, f64::from(u8::from(!down))));
        if !present {
            return;
        }
        let noise = self.noise.white(1 << 40, second).abs();
        out.push(gauge(Metric::ServiceScrapeTime, &self.subject, 0.6 + 0.8 * noise));
        if !slow {
            return;
        }
        for figure in self.store.figures() {
            let subject = &self.subject;
            match figure {
                Told::Level(metric, value) => out.push(gauge(metric, subject, value)),
                Told::Total(metric, count) => out.push(Reading::counter(metric, subject, count)),
                Told::Times(metric, seconds) => {
                    let observed = difference(seconds, &mut self.told);
                    if observed.count() > 0 {
                        let value = Value::Histogram(Arc::new(observed));
                        out.push(Reading { metric, subject: subject.clone(), value });
                    }
                }
            }
        }
        holder(&self.subject, &[self.place], world, vram, out);
    }

    /// The service's id, and what changed since this was asked last.
    pub fn changes(&mut self) -> (Arc<str>, Vec<(i64, String)>) {
        self.seen.changes()
    }
}
