//! Recorded requests, sent through admission once more under other limits: who would have
//! waited, how long, and who would have been refused.
//!
//! The machine is the one that serves ([`crate::admission::Admission`]), fed with recorded
//! times in place of a clock. What is replayed is who comes, when, and how long each holds
//! its room: that time is taken as it was recorded, whatever else runs beside it. Who waited
//! for an answer before it asked again ([`follow`]) comes as long after that answer's end as
//! it did, and everyone else at the recorded time. Breakers,
//! gates and limits that move by themselves hold nobody here: what they did stands in the
//! record already, or follows from times that are not known. Nor is the hash of a prompt
//! known: whoever goes by it is to have the backend that answered as its only candidate.
//!
//! Pure and deterministic: the same trace under the same terms gives the same fates.

mod both;
mod figures;
mod follow;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use plimsoll_core::{config::gateway::Balance, request::Priority};

pub use self::{
    both::{BothWays, both_ways},
    figures::{Figures, Side, compare},
    follow::{Followed, Follows, PAUSE, Unsure, follow},
};
use crate::admission::{
    Admission, Ask, BreakerLimits, Candidate, Gates, Limits, Ms, Offered, Outcome,
};

/// Most requests that are replayed at once; of a longer trace the newest.
pub const MOST: usize = 20_000;
/// Steps for each request: it comes, is looked at when its time is over, and ends. More is
/// a fault of the machine, and ends the replay.
const STEPS_EACH: usize = 64;
/// Who is refused, and is not told when to come again, comes after that.
const AGAIN: Ms = 1000;

/// A request as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When it came; a trace is in this order.
    pub at: Ms,
    pub client: Arc<str>,
    /// What it is counted under, as in [`Ask::model`].
    pub model: Arc<str>,
    pub priority: Priority,
    /// Never empty. Requests that have the same share one list.
    pub candidates: Arc<[Candidate]>,
    pub policy: Balance,
    pub tokens: u32,
    /// How long it held its room; `None`: it never had any.
    pub held: Option<Ms>,
    /// After this wait its client left.
    pub patience: Option<Ms>,
    /// In fact.
    pub waited: Ms,
    /// From its coming to its end, in fact.
    pub lasted: Ms,
    /// In fact.
    pub refused: bool,
    /// As [`follow`] tells; `None`: it comes at its recorded time.
    pub follows: Option<Follows>,
    /// The figures are about it; the others only take room.
    pub counted: bool,
}

/// What is kept to.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    pub limits: Limits,
    /// How long a request may wait.
    pub wait: Ms,
    pub batch_wait: Ms,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Served {
        waited: Ms,
    },
    Refused,
    /// Its client had no patience any more.
    Left {
        waited: Ms,
    },
}

/// What became of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// One each, in the trace's order.
    pub fates: Vec<Fate>,
    /// Most of the counted ones that ran at once.
    pub most_at_once: u32,
    /// From the first of the counted ones to the end of the last.
    pub lasted: Ms,
}

/// Gives the requests that never had room the middle time of their model, or else of all.
/// How many of the counted ones these are. `None` where no time is known at all.
pub fn suppose(trace: &mut [Recorded]) -> Option<u32> {
    let mut of_model: BTreeMap<Arc<str>, Vec<Ms>> = BTreeMap::new();
    let mut all = Vec::new();
    for one in trace.iter() {
        if let Some(held) = one.held {
            of_model.entry(one.model.clone()).or_default().push(held);
            all.push(held);
        }
    }
    let middle = |times: &mut Vec<Ms>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    };
    let of_all = middle(&mut all);
    let of_model: BTreeMap<Arc<str>, Ms> = of_model
        .into_iter()
        .filter_map(|(model, mut times)| Some((model, middle(&mut times)?)))
        .collect();
    let mut supposed = 0;
    for one in trace.iter_mut().filter(|one| one.held.is_none()) {
        one.held = Some(of_model.get(&one.model).copied().or(of_all)?);
        supposed += u32::from(one.counted);
    }
    Some(supposed)
}

/// Sends the newest [`MOST`] of a trace through admission under those terms. `None` where it
/// does not come to its end: what is not replayed was not refused.
pub fn replay(trace: &[Recorded], terms: &Terms) -> Option<Replayed> {
    steps(trace, terms, STEPS_EACH)
}

fn steps(trace: &[Recorded], terms: &Terms, each: usize) -> Option<Replayed> {
    let skipped = trace.len().saturating_sub(MOST);
    let trace = &trace[skipped..];
    let mut run = Run::new(trace, skipped, terms);
    let mut ended = trace.is_empty();
    for _ in 0..trace.len().saturating_mul(each) {
        // Whoever goes makes room for whoever comes at the same moment.
        let ends = run.ends.peek().map(|Reverse((at, _))| (*at, Step::End));
        let leaves = run.leaves.peek().map(|Reverse((at, _))| (*at, Step::Leave));
        let due = run.machine.next_due().map(|at| (at.max(run.now + 1), Step::Tick));
        let comes = run.comes.peek().map(|Reverse((at, _))| (*at, Step::Come));
        let Some((at, step)) = [ends, leaves, due, comes].into_iter().flatten().min() else {
            ended = true;
            break;
        };
        run.now = at;
        match step {
            Step::End => run.end(),
            Step::Leave => run.leave(),
            Step::Tick => run.machine.tick(at),
            Step::Come => run.come(),
        }
        run.hear();
    }
    let decided = ended && !run.waits.contains(&true);
    decided.then(|| Replayed {
        lasted: run.first.map_or(0, |first| run.last.saturating_sub(first)),
        fates: run.fates,
        most_at_once: run.most_at_once,
    })
}

/// In the order in which they are done at one moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    End,
    Leave,
    Tick,
    Come,
}

struct Run<'a> {
    trace: &'a [Recorded],
    terms: &'a Terms,
    machine: Admission,
    now: Ms,
    /// When whoever comes next comes; those that follow another are not in it before its end.
    comes: BinaryHeap<Reverse<(Ms, usize)>>,
    /// When each came.
    came: Vec<Ms>,
    /// What follows each.
    after: Vec<Vec<usize>>,
    ends: BinaryHeap<Reverse<(Ms, usize)>>,
    /// When a client that waits has no patience any more.
    leaves: BinaryHeap<Reverse<(Ms, usize)>>,
    waits: Vec<bool>,
    fates: Vec<Fate>,
    at_once: u32,
    most_at_once: u32,
    /// Of the counted ones, when the first came and the last was over.
    first: Option<Ms>,
    last: Ms,
}

// === impl Run ===

impl<'a> Run<'a> {
    /// `skipped` stood before these in their trace.
    fn new(trace: &'a [Recorded], skipped: usize, terms: &'a Terms) -> Self {
        let mut limits = terms.limits.clone();
        limits.breaker = BreakerLimits { enabled: false, ..limits.breaker };
        limits.gates = Gates::default();
        limits.backend.adaptive = None;
        for backend in limits.backends.values_mut() {
            backend.adaptive = None;
        }
        let mut after = vec![Vec::new(); trace.len()];
        let mut comes = BinaryHeap::with_capacity(trace.len());
        for (which, one) in trace.iter().enumerate() {
            let before = one.follows.and_then(|follows| follows.which.checked_sub(skipped));
            // Whatever else is said of it: nothing comes after itself.
            match before.filter(|before| *before < which) {
                Some(before) => after[before].push(which),
                None => comes.push(Reverse((one.at, which))),
            }
        }
        Self {
            trace,
            terms,
            comes,
            came: trace.iter().map(|one| one.at).collect(),
            after,
            machine: Admission::new(limits),
            now: trace.first().map_or(0, |one| one.at),
            ends: BinaryHeap::new(),
            leaves: BinaryHeap::new(),
            waits: vec![false; trace.len()],
            fates: vec![Fate::Refused; trace.len()],
            at_once: 0,
            most_at_once: 0,
            first: None,
            last: 0,
        }
    }

    fn come(&mut self) {
        let Some(Reverse((_, which))) = self.comes.pop() else { return };
        let one = &self.trace[which];
        self.came[which] = self.now;
        if one.counted {
            self.first.get_or_insert(self.now);
        }
        let wait = match one.priority {
            Priority::Interactive => self.terms.wait,
            Priority::Batch => self.terms.batch_wait,
        };
        let ask = Ask {
            id: which as u64,
            client: one.client.clone(),
            model: one.model.clone(),
            priority: one.priority,
            tokens: one.tokens,
            deadline: self.now.saturating_add(wait),
            candidates: one.candidates.clone(),
            policy: one.policy,
            // In no record.
            hash: 0,
        };
        match self.machine.offer(ask, self.now) {
            Offered::Granted(_) => self.serve(which),
            Offered::Refused(refusal) => self.refuse(which, refusal.retry_after),
            Offered::Queued(_) => {
                self.waits[which] = true;
                if let Some(patience) = one.patience {
                    self.leaves.push(Reverse((self.now.saturating_add(patience), which)));
                }
            }
        }
    }

    fn serve(&mut self, which: usize) {
        let one = &self.trace[which];
        self.waits[which] = false;
        self.fates[which] = Fate::Served { waited: self.now.saturating_sub(self.came[which]) };
        self.ends.push(Reverse((self.now.saturating_add(one.held.unwrap_or(0)), which)));
        self.at_once += u32::from(one.counted);
        self.most_at_once = self.most_at_once.max(self.at_once);
    }

    fn end(&mut self) {
        let Some(Reverse((_, which))) = self.ends.pop() else { return };
        let one = &self.trace[which];
        self.at_once -= u32::from(one.counted);
        self.machine.release(which as u64, Outcome::Served, Some(one.tokens), self.now);
        self.over(which, 0);
    }

    /// Whoever was refused here and not in fact asks again when it was told to, and not at once:
    /// it would ask as fast as it is refused.
    fn refuse(&mut self, which: usize, retry_after: Option<Ms>) {
        self.waits[which] = false;
        let later = retry_after.unwrap_or(AGAIN).min(PAUSE);
        self.over(which, if self.trace[which].refused { 0 } else { later });
    }

    /// What follows it comes, after a pause no shorter than that.
    fn over(&mut self, which: usize, least: Ms) {
        if self.trace[which].counted {
            self.last = self.now;
        }
        for next in std::mem::take(&mut self.after[which]) {
            let one = &self.trace[next];
            let at = match one.follows.and_then(|follows| follows.pause) {
                Some(pause) => self.now.saturating_add(pause.max(least)),
                None => one.at.max(self.now),
            };
            self.comes.push(Reverse((at, next)));
        }
    }

    fn leave(&mut self) {
        let Some(Reverse((_, which))) = self.leaves.pop() else { return };
        // It may have been served or refused before.
        if std::mem::take(&mut self.waits[which]) {
            let waited = self.now.saturating_sub(self.came[which]);
            self.fates[which] = Fate::Left { waited };
            self.machine.leave(which as u64, self.now);
            self.over(which, 0);
        }
    }

    /// What became of those that waited.
    fn hear(&mut self) {
        let decided: Vec<_> = self.machine.decisions().collect();
        for (id, decision) in decided {
            let Ok(which) = usize::try_from(id) else { continue };
            match decision {
                Ok(_) => self.serve(which),
                Err(refusal) => self.refuse(which, refusal.retry_after),
            }
        }
    }
}
