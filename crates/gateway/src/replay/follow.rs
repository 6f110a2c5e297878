//! Which requests come because another was answered.
//!
//! A program that waits for its answer asks later where the answer comes later: the closed
//! model of B. Schroeder, A. Wierman, M. Harchol-Balter, *Open versus closed: a cautionary
//! tale* (NSDI 2006). Sent once more at its recorded time, its request would come before the
//! answer that it followed, and a line would grow that nobody ever stands in.
//!
//! Whether a client waits is told from how many of its own requests are open when one of them
//! comes. Whoever asks regardless of answers finds `n` open in as great a share of its requests
//! as there are `n` open of the time (Poisson arrivals see time averages: R. Wolff 1982).
//! Whoever waits for one of `n` answers never finds `n` open, however long they are, and finds
//! fewer open on average than are (M. Reiser, S. Lavenberg 1980: as if there were one less).

use std::{collections::BTreeMap, sync::Arc};

use super::Recorded;
use crate::admission::Ms;

/// After a longer pause it was not the answer that brought the next request, but a person, a
/// clock or a new run. An agent that runs a tool between two answers takes less.
pub const PAUSE: Ms = 60_000;
/// A record ends when the last byte was passed on, and is kept in whole milliseconds; its
/// client may have asked again by then.
const SLACK: Ms = 20;
/// So many would have found as many open by chance, and next to none did: `e⁻⁷` is 1 in 1000.
const ENOUGH: f64 = 7.0;
/// Where they are so many, it shows if somebody waits.
const MANY: f64 = 30.0;
/// Standard deviations that chance alone does not bring about.
const CLEARLY: f64 = 4.0;
/// Pauses that are counted for whether requests keep a beat.
const BEATS: usize = 20;

/// What a request comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follows {
    /// Of the same client, in the same trace, and before it there.
    pub which: usize,
    /// How long after its end; `None`: at the recorded time, and no sooner than the end.
    pub pause: Option<Ms>,
}

/// What is taken of a client whose record does not tell whether it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    Waits,
    AsksRegardless,
}

/// How the counted requests of a trace come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// After an answer to the same client, as its record tells, and no long pause.
    pub after: u32,
    /// By client that has any: those of which it cannot be told.
    pub unsure: BTreeMap<Arc<str>, u32>,
}

/// Whether a client waits for its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Waits,
    Regardless,
    Neither,
}

/// One client's requests, looked through in time.
struct Look {
    /// For how long so many were open.
    times: Vec<Ms>,
    /// How many came that found so many open.
    found: Vec<u32>,
    /// What each would come after, and how long.
    after: Vec<Option<(usize, Ms)>>,
    gaps: Vec<Ms>,
}

/// Says of each request of a trace in its order what it follows.
pub fn follow(trace: &mut [Recorded], unsure: Unsure) -> Followed {
    let mut clients: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
    for (which, one) in trace.iter().enumerate() {
        clients.entry(one.client.clone()).or_default().push(which);
    }
    let mut followed = Followed::default();
    for (client, its) in clients {
        let look = look(trace, &its);
        let told = look.told();
        let waits = match (told, unsure) {
            (Told::Waits, _) | (Told::Neither, Unsure::Waits) => true,
            (Told::Regardless, _) | (Told::Neither, Unsure::AsksRegardless) => false,
        };
        // With a beat of its own it waits for its answer, and then for its time.
        let beats = look.keeps_a_beat();
        let (mut linked, mut paused) = (0, 0);
        for (which, after) in its.into_iter().zip(look.after) {
            let one = &mut trace[which];
            one.follows = after.filter(|_| waits).map(|(which, pause)| Follows {
                which,
                pause: (pause <= PAUSE && !beats).then_some(pause),
            });
            linked += u32::from(one.counted && after.is_some());
            let pause = one.follows.and_then(|follows| follows.pause);
            paused += u32::from(one.counted && pause.is_some());
        }
        match told {
            Told::Waits => followed.after += paused,
            Told::Neither if linked > 0 => {
                followed.unsure.insert(client, linked);
            }
            _ => {}
        }
    }
    followed
}

fn look(trace: &[Recorded], its: &[usize]) -> Look {
    const END: u8 = 0;
    const COME: u8 = 1;
    const END_AT_ONCE: u8 = 2;
    let end = |which: usize| trace[which].at.saturating_add(trace[which].lasted);
    let mut steps: Vec<(Ms, u8, usize)> = Vec::with_capacity(2 * its.len());
    for which in its.iter().copied() {
        let one = &trace[which];
        let at = end(which) - SLACK.min(one.lasted / 4);
        steps.push((one.at, COME, which));
        steps.push((at, if at == one.at { END_AT_ONCE } else { END }, which));
    }
    steps.sort_unstable();
    let mut look =
        Look { times: Vec::new(), found: Vec::new(), after: Vec::new(), gaps: Vec::new() };
    // Ends that nothing has come after yet. The latest is taken first: of several that wait
    // at once it does not matter which is which, and one that asks no more is left behind.
    let mut free: Vec<usize> = Vec::new();
    // Several ended one after the other, and nothing came before the last of them did.
    let (mut round, mut first_end) = (None, None::<Ms>);
    let (mut open, mut since, mut last) = (0, None::<Ms>, None::<Ms>);
    for (at, kind, which) in steps {
        if look.after.len() == its.len() {
            // What would have come later is in no record.
            break;
        }
        if look.times.len() <= open {
            look.times.resize(open + 1, 0);
            look.found.resize(open + 1, 0);
        }
        look.times[open] += since.map_or(0, |since| (at - since).min(PAUSE));
        since = Some(at);
        if kind != COME {
            open -= 1;
            free.push(which);
            let first = *first_end.get_or_insert(at);
            round = (open == 0 && at - first > SLACK).then_some(which);
            continue;
        }
        look.found[open] += 1;
        open += 1;
        look.gaps.extend(last.map(|last| at - last));
        last = Some(at);
        first_end = None;
        let one = free.pop();
        let after = round.or(one);
        look.after.push(after.map(|after| (after, at.saturating_sub(end(after)))));
    }
    look
}

// === impl Look ===

impl Look {
    fn told(&self) -> Told {
        let all = f64::from(self.found.iter().sum::<u32>());
        let shares = self.shares();
        let (mut share, mut found) = (0.0, 0);
        let (mut waits, mut many) = (false, false);
        for open in (1..self.times.len()).rev() {
            share += shares[open];
            found += self.found[open];
            let by_chance = all * share;
            waits |= by_chance >= ENOUGH && f64::from(found) * 10.0 <= by_chance;
            many |= by_chance >= MANY;
        }
        match (waits, many) {
            (true, _) if self.keeps_a_beat() => Told::Neither,
            (true, _) => Told::Waits,
            (false, true) if self.deviates(&shares) <= CLEARLY => Told::Regardless,
            _ => Told::Neither,
        }
    }

    /// Of the time, with so many open.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of days")]
    fn shares(&self) -> Vec<f64> {
        let all = self.times.iter().sum::<Ms>().max(1) as f64;
        self.times.iter().map(|time| *time as f64 / all).collect()
    }

    /// How many fewer were found open than were open of the time, in standard deviations of
    /// requests that know nothing of it: the sum of what they find, less what is to be expected,
    /// has the variance of what is open, once for each.
    fn deviates(&self, shares: &[f64]) -> f64 {
        let levels = || shares.iter().zip(&self.found).zip(0_u32..);
        let mean: f64 = levels().map(|((share, _), open)| f64::from(open) * share).sum();
        let variance: f64 =
            levels().map(|((share, _), open)| (f64::from(open) - mean).powi(2) * share).sum();
        let fewer: f64 =
            levels().map(|((_, found), open)| (mean - f64::from(open)) * f64::from(*found)).sum();
        let all = f64::from(self.found.iter().sum::<u32>());
        if fewer <= 0.0 { 0.0 } else { fewer / (all * variance).sqrt() }
    }

    /// Requests that come like a clock, at another time after each end.
    fn keeps_a_beat(&self) -> bool {
        let pauses = self.after.iter().flatten().map(|(_, pause)| *pause).collect();
        match (quarters(self.gaps.clone()), quarters(pauses)) {
            (Some((low, middle, high)), Some((least, _, most))) => {
                (high - low) * 10 <= middle && most - least > 2 * (high - low)
            }
            _ => false,
        }
    }
}

/// Where a quarter, a half and three quarters of them lie.
fn quarters(mut times: Vec<Ms>) -> Option<(Ms, Ms, Ms)> {
    if times.len() < BEATS {
        return None;
    }
    times.sort_unstable();
    let at = |quarter: usize| times[times.len() * quarter / 4];
    Some((at(1), at(2), at(3)))
}
