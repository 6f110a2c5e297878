//! An engine that generates nothing: it only takes the time that a real one would.
//! Pure. What is asked comes in with its moment, what happened comes out; whoever
//! owns it says what time it is. The same questions give the same answers.
//!
//! It works in steps, as llama.cpp and vLLM do. A step takes up to `batch_tokens` of
//! waiting prompts and one token of every sequence that generates. It lasts as long
//! as the prompts need at `prefill_tokens_per_s`, and `token_ms` for the first
//! sequence and `token_ms_more` for each further one: so a stream gets slower, and all
//! of them together faster, the more there are. Who comes while a step runs is
//! worked on from its end on.

mod figures;
mod histogram;
mod job;
mod prefix;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use self::{
    figures::{Figures, Finish},
    histogram::Seconds,
    job::{Job, Outcome, Wish},
    prefix::{BLOCK_TOKENS, TOKEN_CHARS, hashes_of},
};
use self::{
    job::{Part, Place, blocks_of},
    prefix::Prefixes,
};

/// Microseconds since the double began.
pub type Us = u64;

/// Most requests that one engine holds, running and waiting.
pub const MOST_JOBS: usize = 20_000;

/// How fast it is and how much it takes at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// Sequences at once: slots of llama.cpp, `max_num_seqs` of vLLM.
    pub slots: usize,
    /// Tokens that one sequence may have.
    pub context: u32,
    /// Blocks of 16 tokens that all sequences share; `None`: each slot has room of its own.
    pub kv_blocks: Option<u32>,
    /// Infinite: prompts cost no time.
    pub prefill_tokens_per_s: f64,
    /// Tokens of prompts in one step.
    pub batch_tokens: u32,
    pub token_ms: f64,
    pub token_ms_more: f64,
}

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// One more token.
    Token(u64),
    Done(u64, Outcome),
    /// The engine ended before it did.
    Lost(u64),
}

/// A model in memory, and those who ask it.
#[derive(Clone, Debug)]
pub struct Engine {
    speed: Speed,
    /// In the order in which they were let in.
    running: Vec<Job>,
    waiting: VecDeque<Job>,
    /// Who sits in which slot, and who sat there last.
    slots: Vec<Option<u64>>,
    last: Vec<Option<u64>>,
    blocks_free: u32,
    step: Option<Step>,
    /// Not before this; `None` while its model is not in memory.
    ready: Option<Us>,
    prefixes: Prefixes,
    pub figures: Figures,
}

/// What is being computed; each request knows its part.
#[derive(Clone, Copy, Debug)]
struct Step {
    began: Us,
    ends: Us,
}

// === impl Engine ===

impl Engine {
    pub fn new(speed: Speed, names_slots: bool) -> Self {
        let prefixes = match speed.kv_blocks {
            Some(blocks) if !names_slots => Prefixes::shared(blocks as usize),
            _ => Prefixes::by_slot(speed.slots),
        };
        Self {
            running: Vec::new(),
            waiting: VecDeque::new(),
            slots: vec![None; speed.slots],
            last: vec![None; speed.slots],
            blocks_free: speed.kv_blocks.unwrap_or(0),
            step: None,
            ready: None,
            prefixes,
            figures: Figures::default(),
            speed,
        }
    }

    pub fn speed(&self) -> &Speed {
        &self.speed
    }

    pub fn running(&self) -> &[Job] {
        &self.running
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Who sits in each slot.
    pub fn slots(&self) -> &[Option<u64>] {
        &self.slots
    }

    /// Who sat in each slot last, or sits there now.
    pub fn last(&self) -> &[Option<u64>] {
        &self.last
    }

    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Full: nothing more is taken in.
    pub fn is_full(&self) -> bool {
        self.running.len() + self.waiting.len() >= MOST_JOBS
    }

    /// The part of the KV cache that is taken, 0 to 1; `None` where slots have room of their own.
    pub fn kv_used(&self) -> Option<f64> {
        let all = self.speed.kv_blocks?;
        Some(f64::from(all - self.blocks_free) / f64::from(all.max(1)))
    }

    /// Its model is in memory from then on.
    pub fn wake(&mut self, at: Us) {
        self.ready = Some(at);
        self.begin(at);
    }

    /// Its model leaves memory. Only one that is idle can sleep.
    pub fn sleep(&mut self) {
        self.ready = None;
        self.prefixes.forget();
    }

    /// The process ended: everybody is gone, and every count begins anew.
    pub fn restart(&mut self, out: &mut Vec<Event>) {
        out.extend(self.running.iter().chain(&self.waiting).map(|job| Event::Lost(job.id)));
        let named = self.prefixes.are_by_slot();
        *self = Self::new(self.speed.clone(), named);
    }

    /// Takes a request in. Time must have been brought to `at` before.
    pub fn submit(&mut self, at: Us, id: u64, wish: Wish) {
        self.waiting.push_back(Job::new(id, at, wish));
        // It sits down at once, and is worked on from the next step on.
        if self.ready.is_some_and(|ready| ready <= at) {
            self.admit(at);
        }
        self.begin(at);
    }

    /// Forgets a request: who asked has left. False where it is not known.
    pub fn cancel(&mut self, at: Us, id: u64) -> bool {
        if let Some(place) = self.running.iter().position(|job| job.id == id) {
            let job = self.running.remove(place);
            self.leave(&job);
            self.figures.ended(&job, at, Finish::Abort);
        } else if let Some(place) = self.waiting.iter().position(|job| job.id == id) {
            if let Some(job) = self.waiting.remove(place) {
                self.figures.ended(&job, at, Finish::Abort);
            }
        } else {
            return false;
        }
        true
    }

    pub fn find(&self, id: u64) -> Option<&Job> {
        self.running.iter().chain(&self.waiting).find(|job| job.id == id)
    }

    /// When something happens next.
    pub fn due(&self) -> Option<Us> {
        self.step.as_ref().map(|step| step.ends)
    }

    /// Lets time pass up to a moment; what happened is told in order.
    pub fn advance(&mut self, now: Us, out: &mut Vec<Event>) {
        while let Some(step) = self.step.take_if(|step| step.ends <= now) {
            let ends = step.ends;
            self.finish(step, out);
            self.begin(ends);
        }
    }

    /// Begins the next step where there is work.
    fn begin(&mut self, at: Us) {
        if self.step.is_some() || self.ready.is_none_or(|ready| at < ready) {
            return;
        }
        self.admit(at);
        self.make_room();
        if self.running.is_empty() {
            return;
        }
        let mut budget = self.speed.batch_tokens.max(1);
        let (mut tokens, mut sequences, mut endless) = (0u32, 0.0, false);
        for job in &mut self.running {
            job.part = if job.to_prefill > 0 || job.is_embedding() {
                let part = job.to_prefill.min(budget);
                budget -= part;
                tokens += part;
                // An empty text is an embedding, too.
                if part > 0 || job.to_prefill == 0 { Part::Prompt(part) } else { Part::None }
            } else {
                sequences += 1.0;
                endless |= job.wish.tokens == u32::MAX;
                Part::Token
            };
        }
        let mut seconds = f64::from(tokens) / self.speed.prefill_tokens_per_s;
        if sequences > 0.0 {
            seconds +=
                (self.speed.token_ms + self.speed.token_ms_more * (sequences - 1.0)) / 1000.0;
        }
        if endless {
            // An engine that needs no time would never be done with it.
            seconds = seconds.max(0.001);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "microseconds")]
        let ends = at.saturating_add((seconds.max(0.0) * 1e6).round() as u64);
        self.step = Some(Step { began: at, ends });
    }

    /// Lets in who waits, in the order in which they came, as far as there is room.
    fn admit(&mut self, at: Us) {
        while self.running.len() < self.speed.slots {
            let Some(job) = self.waiting.front() else { return };
            let need = self.need(job);
            if self.speed.kv_blocks.is_some() && need > self.blocks_free {
                return;
            }
            let Some(mut job) = self.waiting.pop_front() else { return };
            let free: Vec<usize> =
                (0..self.slots.len()).filter(|&n| self.slots[n].is_none()).collect();
            let (slot, found) = self.prefixes.find(&job.wish.prefix, &free);
            let Some(slot) = slot else { return };
            self.slots[slot] = Some(job.id);
            self.last[slot] = Some(job.id);
            // One token at least is computed: its result is the first that is generated.
            let known = found.max(job.wish.cached).min(job.tokens().saturating_sub(1));
            if self.speed.kv_blocks.is_some() {
                job.blocks = need;
                self.blocks_free -= need;
            }
            job.to_prefill = job.tokens() - known;
            job.cached = known;
            // One that had to give way comes a second time, and is no new request.
            let admitted = match job.place {
                Some(before) => before.admitted,
                None => {
                    self.figures.admitted(&job, at);
                    at
                }
            };
            job.place = Some(Place { slot, admitted });
            self.running.push(job);
            self.figures.most_running = self.figures.most_running.max(self.running.len());
        }
    }

    /// Room for one more token of each that generates; who came last gives way.
    fn make_room(&mut self) {
        if self.speed.kv_blocks.is_none() {
            return;
        }
        let mut place = 0;
        while place < self.running.len() {
            let job = &self.running[place];
            let need = self.need(job);
            let more = need.saturating_sub(job.blocks);
            if more == 0 {
                place += 1;
            } else if more <= self.blocks_free {
                self.blocks_free -= more;
                self.running[place].blocks = need;
                place += 1;
            } else if self.running.len() == 1 {
                // Alone and still without room: it goes on with what there is.
                self.running[place].blocks = need.min(job.blocks + self.blocks_free);
                self.blocks_free = 0;
                return;
            } else if let Some(mut job) = self.running.pop() {
                self.leave(&job);
                self.figures.preempted();
                job.blocks = 0;
                self.waiting.push_front(job);
            }
        }
    }

    /// Blocks for a request with one token more.
    fn need(&self, job: &Job) -> u32 {
        blocks_of(job.tokens().saturating_add(1).min(self.speed.context))
    }

    fn finish(&mut self, step: Step, out: &mut Vec<Event>) {
        let (mut busy, mut tokens, mut over) = (0, 0, Vec::new());
        for job in &mut self.running {
            match std::mem::take(&mut job.part) {
                Part::None => continue,
                Part::Prompt(part) => {
                    busy += 1;
                    tokens += u64::from(part);
                    job.to_prefill -= part;
                    if job.to_prefill > 0 {
                        continue;
                    }
                    if job.is_embedding() {
                        over.push(job.id);
                        continue;
                    }
                }
                Part::Token => busy += 1,
            }
            job.generated += 1;
            self.figures.token(job, step.ends);
            out.push(Event::Token(job.id));
            if job.generated >= job.wish.tokens {
                over.push(job.id);
            }
        }
        self.figures.stepped(busy, tokens, step.ends - step.began);
        for id in over {
            let Some(place) = self.running.iter().position(|job| job.id == id) else { continue };
            let job = self.running.remove(place);
            self.leave(&job);
            self.figures.ended(&job, step.ends, job.wish.finish);
            out.push(Event::Done(id, job.outcome(step.ends)));
        }
    }

    /// Gives back what a request held.
    fn leave(&mut self, job: &Job) {
        self.blocks_free += job.blocks;
        if let Some(place) = job.place {
            self.slots[place.slot] = None;
            self.prefixes.keep(place.slot, &job.wish.prefix);
        }
    }
}
