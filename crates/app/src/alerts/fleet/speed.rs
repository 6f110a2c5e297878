//! How fast a service is now, beside what is usual for it with the same models.
//!
//! Some servers count tokens as they come, some when a request ends. So a speed is
//! taken over a stretch of busy seconds that ends where tokens arrived: however long
//! the requests are, tokens and the time they took stand together.

use std::collections::VecDeque;

use plimsoll_core::clock::Instant3;
use plimsoll_services::{
    kind::ServiceKind,
    service::{Loaded, Service},
};

use super::{
    baseline::{Baseline, MEASURES, Minute, Speeds, share_of},
    figure,
};

/// Busy seconds of the speed now.
const NOW_S: f64 = 20.0;
/// Busy seconds of what is kept as usual.
const MINUTE_S: f64 = 60.0;
/// A look stands for no longer than this.
const MOST_STEP_S: f64 = 15.0;
/// Between two requests the speed is that of the last one, for this long.
const PAUSE_MS: i64 = 60_000;
/// Busy seconds without a token that are never too many, and how much longer than ever
/// before is.
const QUIET_S: f64 = 180.0;
const QUIETER: f64 = 4.0;
/// Sets of models of one service that are remembered.
const SETS: usize = 4;

/// The speed of one service.
#[derive(Clone, Debug, Default)]
pub struct Speed {
    looked_ms: Option<i64>,
    short: Stretch,
    long: Long,
    /// The set that is loaded comes last.
    sets: VecDeque<Set>,
    last: Option<Speeds>,
    busy_ms: Option<i64>,
    now_ms: i64,
    runs: bool,
}

/// A set of models, and what is usual with it.
#[derive(Clone, Debug, Default)]
struct Set {
    models: Vec<String>,
    baseline: Baseline,
    /// The longest time without a token while requests ran.
    quiet_s: f64,
    wished: bool,
}

/// Work that is added up.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    busy_s: f64,
    request_s: f64,
    generated: f64,
    prompt: f64,
}

/// A stretch, and for how many busy seconds no token came.
#[derive(Clone, Copy, Debug, Default)]
struct Long {
    stretch: Stretch,
    quiet_s: f64,
}

/// What lies between two looks.
#[derive(Clone, Copy, Debug)]
struct Step {
    span_s: f64,
    running: f64,
    generated: f64,
    prompt: f64,
}

/// How fast it is, and how fast it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Of the measure that is nearest to its usual.
    pub percent: f64,
    /// Generated tokens per second and running request.
    pub now: f64,
    pub usual: f64,
    /// Busy minutes that this is the median of.
    pub minutes: u32,
    /// Requests run at this moment.
    pub runs: bool,
}

/// A question to the history: how fast this service was with these models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub service: String,
    pub models: Vec<String>,
    /// Sizes of its models are in the history: they say what was loaded when.
    pub sized: bool,
    /// The process behind it has served the same since then.
    pub since_ms: Option<i64>,
}

// === impl Speed ===

impl Speed {
    pub fn began(&self) -> bool {
        self.looked_ms.is_some()
    }

    #[cfg(test)]
    pub fn sets(&self) -> usize {
        self.sets.len()
    }

    /// Takes a look that is new.
    pub fn take(&mut self, now: Instant3, service: &Service, slow_percent: f64) {
        let Some(checked_ms) = service.checked_ms else { return };
        let before = self.looked_ms.replace(checked_ms);
        let figures = &service.figures;
        let (running, generated) = (figures.running, figures.generated_tokens_per_s);
        let (Some(running), Some(generated)) = (figure(running), figure(generated)) else {
            self.runs = false;
            return;
        };
        self.choose(models_of(service));
        let span_s = before.map_or(0.0, |before| {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let ms = (checked_ms - before) as f64;
            (ms / 1000.0).clamp(0.0, MOST_STEP_S)
        });
        let step = Step {
            span_s,
            running,
            generated: generated * span_s,
            prompt: figure(figures.prompt_tokens_per_s).unwrap_or(0.0) * span_s,
        };
        self.runs = running > 0.0;
        if self.runs {
            self.busy_ms = Some(now.monotonic_ms);
        }
        let Some(set) = self.sets.back_mut() else { return };
        set.baseline.settle(now.wall_ms);
        let usual = set.baseline.medians();
        if let Some(speeds) = self.short.take(step, NOW_S) {
            self.last = Some(speeds);
        }
        let most_s = QUIET_S.max(set.quiet_s * QUIETER);
        let ended_s = self.long.quiet(step);
        if ended_s <= most_s {
            set.quiet_s = set.quiet_s.max(ended_s);
        }
        if self.long.quiet_s > most_s && tells_each_token(service) && usual.is_some() {
            self.last = Some([0.0; MEASURES]);
        }
        if let Some(speeds) = self.long.stretch.take(step, MINUTE_S) {
            let slow = usual.is_some_and(|usual| share_of(speeds, usual) < slow_percent);
            set.baseline.take(now.wall_ms, speeds, slow);
        }
    }

    /// Time goes on, also where nothing is looked at.
    pub fn pass(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        if self.busy_ms.is_none_or(|at| now_ms - at > PAUSE_MS) {
            // The next request is measured anew.
            self.last = None;
            self.short = Stretch::default();
        }
    }

    /// `None` while nothing runs, and while nothing is known to compare with.
    pub fn verdict(&self) -> Option<Verdict> {
        let (last, set) = (self.last?, self.sets.back()?);
        let usual = set.baseline.medians()?;
        Some(Verdict {
            percent: share_of(last, usual),
            now: last[0],
            usual: usual[0],
            minutes: set.baseline.minutes(),
            runs: self.runs,
        })
    }

    /// Makes the set of models that is loaded the last one.
    fn choose(&mut self, models: Vec<String>) {
        if self.sets.back().is_some_and(|set| set.models == models) {
            return;
        }
        let known = self.sets.iter().position(|set| set.models == models);
        let set = known.and_then(|place| self.sets.remove(place));
        if self.sets.len() >= SETS {
            self.sets.pop_front();
        }
        self.sets.push_back(set.unwrap_or(Set { models, ..Set::default() }));
        (self.short, self.long, self.last) = (Stretch::default(), Long::default(), None);
    }

    /// What should be asked of the history, once for each set.
    pub fn wish(&mut self, service: &Service) -> Option<Wish> {
        // A server that says what it has loaded, and has nothing loaded, has no speed.
        let idle = |set: &Set| {
            set.models.is_empty() && service.models.iter().any(|m| m.loaded != Loaded::Unknown)
        };
        let set = self.sets.back_mut().filter(|set| !set.wished && !idle(set))?;
        set.wished = true;
        let loaded = || service.models.iter().filter(|model| model.loaded == Loaded::Loaded);
        Some(Wish {
            service: service.id.clone(),
            models: set.models.clone(),
            sized: loaded().next().is_some() && loaded().all(|model| model.size_bytes.is_some()),
            since_ms: service.holder.as_ref().map(|holder| holder.started_ms),
        })
    }

    /// The past, in order.
    pub fn learn(&mut self, wish: &Wish, minutes: &[Minute]) {
        let Some(set) = self.sets.iter_mut().find(|set| set.models == wish.models) else { return };
        let mut long = Long::default();
        for minute in minutes {
            let step = Step {
                span_s: minute.span_s,
                running: minute.running,
                generated: minute.generated_per_s * minute.span_s,
                prompt: minute.prompt_per_s * minute.span_s,
            };
            set.quiet_s = set.quiet_s.max(long.quiet(step));
            if let Some(speeds) = long.stretch.take(step, MINUTE_S) {
                set.baseline.take(minute.at_ms, speeds, false);
            }
        }
    }
}

// === impl Stretch ===

impl Stretch {
    /// Adds a step; answers the speeds of the whole where it ends here.
    fn take(&mut self, step: Step, least_s: f64) -> Option<Speeds> {
        self.busy_s += step.busy_s();
        self.request_s += step.running * step.span_s;
        self.generated += step.generated;
        self.prompt += step.prompt;
        if step.generated <= 0.0 || self.busy_s < least_s || self.request_s <= 0.0 {
            return None;
        }
        let Stretch { busy_s, request_s, generated, prompt } = std::mem::take(self);
        let all = generated + prompt;
        Some([generated / request_s, all / request_s, generated / busy_s, all / busy_s])
    }
}

// === impl Long ===

impl Long {
    /// Counts busy seconds without a token; answers how many there were where a token came.
    fn quiet(&mut self, step: Step) -> f64 {
        if step.is_quiet() {
            self.quiet_s += step.busy_s();
            return 0.0;
        }
        std::mem::take(&mut self.quiet_s)
    }
}

// === impl Step ===

impl Step {
    fn busy_s(self) -> f64 {
        self.span_s * self.running.clamp(0.0, 1.0)
    }

    fn is_quiet(self) -> bool {
        self.generated <= 0.0 && self.prompt <= 0.0
    }
}

/// Of the others the total grows when a request ends: no token says nothing there.
fn tells_each_token(service: &Service) -> bool {
    matches!(service.kind, Some(ServiceKind::Vllm | ServiceKind::SgLang))
}

fn models_of(service: &Service) -> Vec<String> {
    let loaded = service.models.iter().filter(|model| model.loaded == Loaded::Loaded);
    let mut names: Vec<String> = loaded.map(|model| model.name.clone()).collect();
    names.sort();
    names
}
