//! How a service of the past was, in the words of the watch, and what its processes held.

use std::sync::Arc;

use plimsoll_core::{metric::Metric, reading::Reading};
use plimsoll_services::{
    service::ServiceState,
    state::{Change, words_of},
};

use crate::{readings::gauge, world::World};

/// One service as it was seen.
pub struct Seen {
    name: Arc<str>,
    /// Where it listens.
    place: String,
    /// How it was since when.
    state: (ServiceState, i64),
    /// What changed and was not told yet.
    marks: Vec<(i64, String)>,
}

// === impl Seen ===

impl Seen {
    pub fn new(id: &str, place: String, from_s: i64) -> Self {
        Self { name: id.into(), place, state: (ServiceState::Healthy, from_s), marks: Vec::new() }
    }

    /// Marks a change; `present`: whether its process is there.
    pub fn note(&mut self, second: i64, to: ServiceState, present: bool) {
        let (from, since) = self.state;
        if from == to {
            return;
        }
        self.state = (to, second);
        let place = &self.place;
        let reason = match to {
            ServiceState::Healthy | ServiceState::Unknown => String::new(),
            ServiceState::Starting => "Loading model".into(),
            ServiceState::Degraded => "answers /health with 500: Internal Server Error".into(),
            ServiceState::Down if present => format!("{place} broke the connection off"),
            ServiceState::Down => format!("refused on {place}"),
        };
        let (at_ms, lasted_ms) = (second * 1000, (second - since) * 1000);
        let change = Change { from, to, reason, at_ms, lasted_ms };
        self.marks.push((second, words_of(&self.name, &change)));
    }

    /// The service's id, and what changed since this was asked last.
    pub fn changes(&mut self) -> (Arc<str>, Vec<(i64, String)>) {
        (self.name.clone(), std::mem::take(&mut self.marks))
    }
}

/// What the processes of a service hold.
pub fn holder(
    subject: &Arc<str>,
    places: &[usize],
    world: &World,
    vram: bool,
    out: &mut Vec<Reading>,
) {
    let here = || places.iter().copied().filter(|&place| world.born[place].is_some());
    if here().next().is_none() {
        return;
    }
    let mut put = |metric, value| out.push(gauge(metric, subject, value));
    put(Metric::ServiceCpu, here().map(|place| world.process_cpu(place)).sum());
    put(Metric::ServiceRss, here().map(|place| world.rss(place)).sum());
    let held: Vec<f64> = here().filter_map(|place| world.vram(place)).collect();
    if vram && !held.is_empty() {
        put(Metric::ServiceVram, held.iter().sum());
    }
}
