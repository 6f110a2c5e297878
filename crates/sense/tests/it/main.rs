//! The sources against what is outside of them: the real kernel, the fake driver.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fake;
mod gpu;
mod processes;
mod sampler;
mod system;

use plimsoll_core::{clock::Instant3, metric::Metric, reading::Reading, source::Source};
use plimsoll_sense::Sources;

/// A moment on clocks that the test moves.
fn at(ms: i64) -> Instant3 {
    Instant3 { wall_ms: 1_700_000_000_000 + ms, monotonic_ms: ms, boottime_ms: ms }
}

/// Takes one source out of the list.
fn source(sources: &mut Sources, name: &str) -> Box<dyn Source> {
    let index = sources.list.iter().position(|source| source.name() == name).unwrap();
    sources.list.remove(index)
}

fn value(readings: &[Reading], metric: Metric, subject: &str) -> Option<f64> {
    readings
        .iter()
        .find(|reading| reading.metric == metric && &*reading.subject == subject)
        .map(Reading::number)
}
