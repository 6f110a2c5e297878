//! How the rules about services as such measure: whether they answer, whether they
//! are well, what waits in them, and what a Redis says of its memory and its disk.

use plimsoll_core::{config::Rule, metric::Metric};
use plimsoll_services::{
    managed::LOADING_MS,
    service::{RedisFigures, Run, RunState, ServiceState},
};

use super::{
    engines::gone,
    facts::Facts,
    fleet::{Seen, figure},
    measure::{Measured, Standing, limits, standing, state},
};
use crate::words::{bytes, clock, number, percent, quantity, sentence};

/// Hints of a Redis that evicts nothing and is nearly full, or full.
const FULL: &[&str] = &["memory-nearly-full", "memory-full"];
/// From this share of its limit on a Redis is known to evict, or not, by its hints.
const TOLD_FROM: f64 = 90.0;
/// Hints of a Redis that cannot write what it keeps.
const UNWRITTEN: &[&str] = &["snapshot-failed", "aof-failed", "aof-rewrite-failed"];

pub fn down(_: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    for seen in facts.fleet.seen() {
        let service = &seen.service;
        let holds = match service.state {
            ServiceState::Down => !is_meant_to_be(seen),
            ServiceState::Healthy | ServiceState::Degraded | ServiceState::Unknown => false,
            ServiceState::Starting if given_up(seen).is_some() => true,
            // It may come up, or it may not.
            ServiceState::Starting => continue,
        };
        out.push(state(seen.subject.clone(), holds, if holds { why(seen) } else { String::new() }));
    }
    gone(facts, out);
}

fn why(seen: &Seen) -> String {
    let title = format!("{} is down since {}", seen.name(), clock(seen.service.since_ms));
    match given_up(seen).unwrap_or(&seen.service.reason) {
        "" => title + ".",
        reason => format!("{title}: {}", sentence(reason)),
    }
}

/// Why Plimsoll itself could not keep it running: that says more than that nobody answers.
fn given_up(seen: &Seen) -> Option<&str> {
    let run = seen.service.run.as_ref()?;
    let ended = matches!(run.state, RunState::Restarting | RunState::Failed);
    (ended && !run.reason.is_empty()).then_some(&*run.reason)
}

/// A service that Plimsoll itself runs, and that somebody stopped, that waits its turn or
/// that loads.
fn is_meant_to_be(seen: &Seen) -> bool {
    // What loads for ever does not answer, and is down as any other.
    let loads = |run: &Run| {
        let looked_ms = seen.service.checked_ms.unwrap_or(run.since_ms);
        looked_ms - run.since_ms < LOADING_MS
    };
    seen.service.run.as_ref().is_some_and(|run| match run.state {
        RunState::Stopped | RunState::Waiting | RunState::Stopping => true,
        RunState::Starting => loads(run),
        RunState::Running | RunState::Restarting | RunState::Failed => false,
    })
}

pub fn degraded(_: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    for seen in facts.fleet.seen() {
        let service = &seen.service;
        let why = if service.reason.is_empty() { "it says so itself" } else { &service.reason };
        let title = format!("{} is degraded: {}", seen.name(), sentence(why));
        let holds = service.state == ServiceState::Degraded;
        out.push(state(seen.subject.clone(), holds, title));
    }
    gone(facts, out);
}

pub fn queue(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    for seen in facts.fleet.seen().filter(|seen| seen.answers()) {
        let service = &seen.service;
        let slots = service.slots.as_ref();
        let waiting =
            figure(service.figures.waiting).or(slots.and_then(|s| s.waiting).map(f64::from));
        let Some(waiting) = waiting else { continue };
        let running = figure(service.figures.running).or(slots.and_then(|s| s.busy).map(f64::from));
        let total = slots.and_then(|slots| slots.total).map(f64::from);
        // Where it takes any number, that some wait says that it is full.
        let full = match (running, total) {
            (Some(running), Some(total)) => running >= total,
            _ => true,
        };
        let standing = match standing(waiting, threshold, clear, false) {
            // It is about to take them.
            Standing::Past if !full => Standing::Between,
            standing => standing,
        };
        let at_work = match (running, total) {
            (Some(_), Some(total)) => format!("; all {} slots are busy", number(total)),
            (Some(running), None) => format!("; {} run", number(running)),
            _ => String::new(),
        };
        out.push(Measured {
            subject: seen.subject.clone(),
            standing,
            value: Some(waiting),
            threshold: Some(threshold),
            title: format!("{} inside {}{at_work}.", wait(waiting), seen.name()),
            lines: [Some((Metric::RequestsWaiting, threshold, false)), None, None],
        });
    }
    gone(facts, out);
}

pub fn redis_memory(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    for (seen, redis) in redises(facts) {
        let limit = figure(redis.memory_limit_bytes).filter(|&limit| limit > 0.0);
        let (Some(used), Some(max)) = (figure(redis.memory_used_bytes), limit) else { continue };
        let share = used / max * 100.0;
        // A cache is full by design, and evicts.
        let evicts = seen.evicts || (share >= TOLD_FROM && !seen.has_hint(FULL));
        let standing = match standing(share, threshold, clear, false) {
            Standing::Past if evicts => Standing::Clear,
            standing => standing,
        };
        out.push(Measured {
            subject: seen.subject.clone(),
            standing,
            value: Some(share),
            threshold: Some(threshold),
            title: format!(
                "{} uses {} of its memory limit ({} of {}) and evicts nothing.",
                seen.name(),
                percent(share),
                bytes(used),
                bytes(max)
            ),
            lines: [Some((Metric::RedisMemoryUsed, max * threshold / 100.0, false)), None, None],
        });
    }
    gone(facts, out);
}

pub fn redis_persistence(_: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    for (seen, _) in redises(facts) {
        let hint = seen.service.hints.iter().find(|hint| UNWRITTEN.contains(&&*hint.id));
        let says = hint.map_or("", |hint| hint.text.as_str());
        let title = format!("{} does not save its data: {}", seen.name(), sentence(says));
        out.push(state(seen.subject.clone(), hint.is_some(), title));
    }
    gone(facts, out);
}

pub fn redis_evictions(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    for (seen, redis) in redises(facts) {
        let Some(rate) = figure(redis.evicted_per_s) else { continue };
        let hits = figure(redis.hit_percent).map_or(String::new(), |hits| {
            format!(" {} of the look-ups find their key.", percent(hits))
        });
        out.push(Measured {
            subject: seen.subject.clone(),
            standing: standing(rate, threshold, clear, false),
            value: Some(rate),
            threshold: Some(threshold),
            title: format!("{} evicts {} keys a second.{hits}", seen.name(), number(rate)),
            lines: [Some((Metric::RedisEvicted, threshold, false)), None, None],
        });
    }
    gone(facts, out);
}

fn redises(facts: &Facts) -> impl Iterator<Item = (&Seen, &RedisFigures)> {
    let all = facts.fleet.seen().filter(|seen| seen.answers());
    all.filter_map(|seen| Some((seen, seen.service.figures.redis.as_ref()?)))
}

fn wait(n: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let n = n.round().clamp(0.0, f64::from(u32::MAX)) as u32;
    let waits = if n == 1 { "waits" } else { "wait" };
    format!("{} {waits}", quantity(n, "request"))
}
