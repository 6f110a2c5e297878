//! How a service of the past was, in the words of the watch, and what its processes held.

use std::sync::Arc;

use plimsoll_core::{metric::Metric, reading::Reading, unit::lasting};

use crate::{readings::gauge, world::World};

/// How a service is, as the watch over it would judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Healthy,
    Starting,
    Degraded,
    Down,
}

/// One service as it was seen.
pub struct Seen {
    name: Arc<str>,
    /// Where it listens.
    place: String,
    /// How it was since when.
    state: (How, i64),
    /// What changed and was not told yet.
    marks: Vec<(i64, String)>,
}

// === impl Seen ===

impl Seen {
    pub fn new(id: &str, place: String, from_s: i64) -> Self {
        Self { name: id.into(), place, state: (How::Healthy, from_s), marks: Vec::new() }
    }

    /// Marks a change; `present`: whether its process is there.
    pub fn note(&mut self, second: i64, how: How, present: bool) {
        let (before, since) = self.state;
        if before == how {
            return;
        }
        self.state = (how, second);
        let (name, place) = (&self.name, &self.place);
        let words = match how {
            How::Healthy if before == How::Down => {
                format!("{name} is up again after {}", lasting((second - since) * 1000))
            }
            How::Healthy => format!("{name} is healthy"),
            How::Starting => format!("{name} is starting: Loading model"),
            How::Degraded => {
                format!("{name} is degraded: answers /health with 500: Internal Server Error")
            }
            How::Down if present => {
                format!("{name} is down: {place} broke the connection off")
            }
            How::Down => format!("{name} is down: refused on {place}"),
        };
        self.marks.push((second, words));
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
