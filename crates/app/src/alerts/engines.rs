//! How the rules about models measure: where they lie, how fast they are, how often
//! they are loaded, and who takes VRAM from whom.

use std::sync::Arc;

use plimsoll_core::{config::Rule, metric::Metric};
use plimsoll_services::service::Loaded;

use super::{
    facts::Facts,
    fleet::{Seen, WINDOW_MS, subject_of},
    measure::{Lines, Measured, Standing, limits, standing, state},
};
use crate::words::{bytes, number, quantity, span, whole_bytes};

/// What a service did within this span, it does now.
const RECENT_MS: i64 = 300_000;
/// Less VRAM than this holds no model.
const HOLDS: u64 = 256 << 20;
/// A model that lies on the GPU by less than this has fallen to the CPU.
const FELL: f64 = 0.95;

pub fn model_on_cpu(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    for seen in facts.fleet.seen() {
        out.extend(seen.left.iter().map(|subject| state(subject.clone(), false, String::new())));
        // Where there never was a GPU, nothing fell from it.
        let has_gpu = seen.had_vram || (facts.gpu.is_some() && seen.service.holder.is_some());
        for model in seen.service.models.iter().filter(|m| m.loaded == Loaded::Loaded) {
            let (Some(size), Some(vram), Some(share)) =
                (model.size_bytes, model.vram_bytes, model.gpu_share)
            else {
                continue;
            };
            if vram == 0 && !has_gpu {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "sizes for people")]
            let (size, vram) = (size as f64, vram as f64);
            let whose = format!("{} in {}", plain(&model.name), seen.name());
            let title = if vram == 0.0 {
                format!(
                    "{whose}: nothing of its {} lies on a GPU: it runs on the CPU.",
                    bytes(size)
                )
            } else {
                let here = bytes((size - vram).max(0.0));
                let part = "that part runs on the CPU";
                format!("{whose}: {here} of {} lie in RAM: {part}.", bytes(size))
            };
            out.push(Measured {
                subject: subject_of(&seen.service.id, &model.name),
                standing: standing(share * 100.0, threshold, clear, true),
                value: Some(share * 100.0),
                threshold: Some(threshold),
                title,
                lines: [Some((Metric::ModelVram, size * threshold / 100.0, true)), None, None],
            });
        }
    }
    gone(facts, out);
}

pub fn model_slow(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    for seen in facts.fleet.seen() {
        let Some(verdict) = seen.speed.verdict() else { continue };
        let standing = match standing(verdict.percent, threshold, clear, true) {
            // Between two requests nothing begins.
            Standing::Past if !verdict.runs => Standing::Sustains,
            standing => standing,
        };
        out.push(Measured {
            subject: seen.subject.clone(),
            standing,
            value: Some(verdict.percent),
            threshold: Some(threshold),
            title: format!(
                "{} makes {} tokens/s per running request; usual are {} (the median of {}).",
                seen.name(),
                number(verdict.now),
                number(rounded(verdict.usual)),
                quantity(verdict.minutes, "busy minute")
            ),
            lines: Lines::default(),
        });
    }
    gone(facts, out);
}

pub fn model_reloads(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    for seen in facts.fleet.seen() {
        let count = count(seen.loads.count());
        // "Four times" includes the fourth. Some models one after another are a start.
        let standing = match standing(count, threshold - 0.5, clear, false) {
            Standing::Past if !seen.loads.is_again() => Standing::Clear,
            standing => standing,
        };
        out.push(Measured {
            subject: seen.subject.clone(),
            standing,
            value: Some(count),
            threshold: Some(threshold),
            title: if standing == Standing::Clear { String::new() } else { reloads(seen) },
            lines: Lines::default(),
        });
    }
    gone(facts, out);
}

fn reloads(seen: &Seen) -> String {
    let by_model = seen.loads.by_model();
    let mut which: Vec<String> = by_model
        .iter()
        .take(3)
        .map(|(model, times)| format!("{} {}", plain(model), often(*times)))
        .collect();
    if by_model.len() > 3 {
        which.push("others".into());
    }
    #[expect(clippy::cast_precision_loss, reason = "ten minutes")]
    let window = span(WINDOW_MS as f64 / 1000.0);
    let (name, times) = (seen.name(), often(seen.loads.count()));
    format!("{name} has loaded models {times} within {window}: {}.", which.join(", "))
}

/// What one service does that takes VRAM from others, or could not get it.
struct Move<'a> {
    seen: &'a Seen,
    at_ms: i64,
    /// In words, after its name.
    what: String,
    /// It did not get what it asked for, whatever is free now.
    refused: bool,
}

pub fn vram_contention(rule: &Rule, facts: &Facts, out: &mut Vec<Measured>) {
    let (threshold, clear) = limits(rule);
    let mut holders: Vec<(&Seen, u64)> =
        facts.fleet.seen().filter_map(|seen| Some((seen, seen.holds.bytes?))).collect();
    holders.retain(|&(_, held)| held >= HOLDS);
    holders.sort_by_key(|&(_, held)| std::cmp::Reverse(held));
    // Whoever moves needs another one beside it that holds some.
    let other = |seen: &Seen| holders.iter().find(|(other, _)| other.subject != seen.subject);
    let moved = facts
        .fleet
        .seen()
        .filter(|seen| other(seen).is_some())
        .filter_map(|seen| move_of(seen, facts.now_ms()))
        .max_by_key(|moved| (moved.refused, moved.at_ms));
    let least = facts.values(Metric::VramFree).map(|(_, free)| free).fold(f64::MAX, f64::min);
    for (gpu, free) in facts.values(Metric::VramFree) {
        let by_free = standing(free, threshold, clear, true);
        let standing = match &moved {
            None => Standing::Clear,
            Some(moved) => {
                let recent = facts.now_ms() - moved.at_ms <= RECENT_MS;
                // Of several cards, the fullest is the one that refused.
                let refused = moved.refused && free <= least;
                match by_free {
                    Standing::Past if recent => Standing::Past,
                    _ if refused && recent => Standing::Past,
                    Standing::Clear => Standing::Clear,
                    _ => Standing::Sustains,
                }
            }
        };
        let title = match (&moved, standing) {
            (None, _) | (_, Standing::Clear) => String::new(),
            (Some(moved), _) => {
                let total = facts.value(Metric::VramTotal, gpu);
                let of = total.map_or(String::new(), |total| format!(" of {}", bytes(total)));
                let others = holders.iter().filter(|(seen, _)| seen.subject != moved.seen.subject);
                let more = others.count().saturating_sub(1);
                let and = if more > 0 { format!(" and {more} more") } else { String::new() };
                let (name, held) = (moved.seen.name(), moved.seen.holds.bytes.unwrap_or(0));
                let (other, others) =
                    other(moved.seen).map_or(("", 0), |(s, held)| (s.name(), *held));
                format!(
                    "{name} ({}) and {other} ({}){and} contend for VRAM: {name} {}; {}{of} is free.",
                    whole_bytes(held),
                    whole_bytes(others),
                    moved.what,
                    bytes(free)
                )
            }
        };
        out.push(Measured {
            subject: gpu.clone(),
            standing,
            value: Some(free),
            threshold: Some(threshold),
            title,
            lines: [Some((Metric::VramFree, threshold, true)), None, None],
        });
    }
}

/// The newest that a service did within twice [`RECENT_MS`]; a refusal before all else.
fn move_of(seen: &Seen, now_ms: i64) -> Option<Move<'_>> {
    let recent = |at_ms: &i64| now_ms - at_ms <= 2 * RECENT_MS;
    let as_move = |at_ms, what, refused| Move { seen, at_ms, what, refused };
    let failed = seen.failed_ms.filter(recent).filter(|_| seen.has_hint(&["failed-to-load"]));
    if let Some(at_ms) = failed {
        return Some(as_move(at_ms, "could not load a model".into(), true));
    }
    let loaded = seen.service.models.iter().filter(|model| model.loaded == Loaded::Loaded);
    let fell = loaded.filter_map(|model| {
        let at_ms = seen.loads.loaded_ms(&model.name).filter(recent)?;
        let in_ram = model.size_bytes?.checked_sub(model.vram_bytes?)?;
        let what =
            format!("had room for all but {} of {}", whole_bytes(in_ram), plain(&model.name));
        (model.gpu_share? < FELL).then(|| as_move(at_ms, what, true))
    });
    if let Some(fell) = fell.max_by_key(|fell| fell.at_ms) {
        return Some(fell);
    }
    let grown = seen.holds.grown().filter(|grown| recent(&grown.at_ms)).map(|grown| {
        as_move(grown.at_ms, format!("grew by {}", whole_bytes(grown.by_bytes)), false)
    });
    let reloads = seen.loads.last_ms().filter(recent).filter(|_| seen.loads.is_again());
    let reloads = reloads
        .map(|at_ms| as_move(at_ms, format!("loaded models {}", often(seen.loads.count())), false));
    grown.into_iter().chain(reloads).max_by_key(|moved| moved.at_ms)
}

// --- small words ---

/// An alert about what is watched no more ends now.
pub fn gone(facts: &Facts, out: &mut Vec<Measured>) {
    let gone = facts.fleet.gone().iter();
    out.extend(gone.map(|subject: &Arc<str>| state(subject.clone(), false, String::new())));
}

fn plain(model: &str) -> String {
    const LONGEST: usize = 60;
    model.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn often(times: usize) -> String {
    match times {
        1 => "once".into(),
        2 => "twice".into(),
        n => format!("{n} times"),
    }
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

/// A median of buckets is no more exact than two digits.
fn rounded(value: f64) -> f64 {
    if value >= 10.0 { value.round() } else { (value * 10.0).round() / 10.0 }
}
