//! What an engine counts of itself, since its start.

use serde::{Deserialize, Serialize};

use super::{
    Job, Us,
    histogram::{BETWEEN, REQUEST, Seconds, TTFT},
};

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// It had said all it had to say.
    Stop,
    /// It was as long as was allowed.
    Length,
    /// Who asked left.
    Abort,
}

#[derive(Clone, Debug)]
pub struct Figures {
    /// Tokens of all prompts that were let in, and of those the ones that were computed.
    pub prompt: u64,
    pub computed: u64,
    pub cached: u64,
    pub prompt_us: u64,
    /// Tokens as they come, and those of requests that came to their end: llama.cpp tells
    /// the latter, and never those of one that was broken off.
    pub generated: u64,
    pub generated_ended: u64,
    pub generated_ended_us: u64,
    pub steps: u64,
    pub busy_in_steps: u64,
    pub preemptions: u64,
    pub longest: u64,
    /// By [`Finish`].
    pub ended: [u64; 3],
    pub most_running: usize,
    pub ttft: Seconds,
    pub between: Seconds,
    pub whole: Seconds,
    pub queue: Seconds,
    pub prefill: Seconds,
    pub decode: Seconds,
    pub inference: Seconds,
}

// === impl Figures ===

impl Default for Figures {
    fn default() -> Self {
        let request = || Seconds::new(REQUEST);
        Self {
            prompt: 0,
            computed: 0,
            cached: 0,
            prompt_us: 0,
            generated: 0,
            generated_ended: 0,
            generated_ended_us: 0,
            steps: 0,
            busy_in_steps: 0,
            preemptions: 0,
            longest: 0,
            ended: [0; 3],
            most_running: 0,
            ttft: Seconds::new(TTFT),
            between: Seconds::new(BETWEEN),
            whole: request(),
            queue: request(),
            prefill: request(),
            decode: request(),
            inference: request(),
        }
    }
}

impl Figures {
    pub(super) fn admitted(&mut self, job: &Job, at: Us) {
        self.prompt += u64::from(job.wish.prompt);
        self.cached += u64::from(job.cached);
        self.queue.record_us(at - job.arrived);
    }

    pub(super) fn stepped(&mut self, busy: u64, tokens: u64, span: Us) {
        self.steps += 1;
        self.busy_in_steps += busy;
        self.computed += tokens;
        if tokens > 0 {
            self.prompt_us += span;
        }
    }

    pub(super) fn preempted(&mut self) {
        self.preemptions += 1;
    }

    /// A request has one token more.
    pub(super) fn token(&mut self, job: &mut Job, at: Us) {
        self.generated += 1;
        self.longest = self.longest.max(u64::from(job.tokens()));
        if job.first.is_none() {
            job.first = Some(at);
            self.ttft.record_us(at - job.arrived);
        } else {
            self.between.record_us(at - job.last);
        }
        job.last = at;
    }

    pub(super) fn ended(&mut self, job: &Job, at: Us, finish: Finish) {
        self.ended[finish as usize] += 1;
        if finish == Finish::Abort {
            return;
        }
        self.generated_ended += u64::from(job.generated);
        let first = job.first.unwrap_or(at);
        if job.generated > 0 {
            self.generated_ended_us += at - first;
        }
        if job.is_embedding() {
            // vLLM counts the answer as a first token.
            self.ttft.record_us(at - job.arrived);
        }
        let admitted = job.place.map_or(at, |place| place.admitted);
        self.whole.record_us(at - job.arrived);
        self.inference.record_us(at - admitted);
        self.prefill.record_us(first - admitted);
        self.decode.record_us(at - first);
    }
}
