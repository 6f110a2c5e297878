//! Work that nobody asks for over the network: a scenario says how busy a model is,
//! and who asks it then. Each second's requests depend on that second alone, so that
//! the same moment looks alike wherever one began to look.

use std::{collections::VecDeque, fmt, sync::Arc};

use serde::Deserialize;

use super::{
    engine::{Finish, Us, Wish},
    fault::{Fault, On},
};
use crate::noise::Noise;

/// Numbers of such requests have this bit: nobody waits for them.
pub const NOBODY: u64 = 1 << 63;
/// Most requests of one second.
const MOST: u32 = 1000;

/// How a model is, as its scenario tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Gone,
    Loading,
    Here,
}

/// What happens to a simulated server, by the second.
pub trait Story: Send + Sync + 'static {
    /// Whether its process is there.
    fn server(&self, second: i64) -> bool;
    fn model(&self, second: i64) -> Life;
    /// How busy it is, from 0 to about 1.
    fn level(&self, second: i64) -> f64;
    /// What is wrong with it.
    fn fault(&self, second: i64) -> Option<(Fault, On)>;
    /// Somebody loads the model, or takes it out of memory.
    fn change(&self, second: i64, load: bool);
}

/// What is asked at level 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub requests_per_s: f64,
    /// Mean tokens of a prompt and of an answer. An answer of 0 is an embedding.
    pub prompt_tokens: u32,
    pub answer_tokens: u32,
    /// The part of a prompt that was asked before, 0 to 1.
    #[serde(default)]
    pub known_share: f64,
}

pub struct Feed {
    story: Arc<dyn Story>,
    load: Load,
    noise: Noise,
    context: u32,
    /// The second at which the double began.
    origin_s: i64,
    next_s: i64,
    queue: VecDeque<(Us, Wish)>,
    asked: u64,
}

// === impl Feed ===

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("load", &self.load).field("next_s", &self.next_s).finish()
    }
}

impl Feed {
    pub fn new(
        story: Arc<dyn Story>,
        load: Load,
        noise: Noise,
        context: u32,
        origin_s: i64,
    ) -> Self {
        let queue = VecDeque::new();
        Self { story, load, noise, context, origin_s, next_s: origin_s, queue, asked: 0 }
    }

    fn us(&self, second: i64) -> Us {
        u64::try_from(second - self.origin_s).unwrap_or(0).saturating_mul(1_000_000)
    }

    /// When it has something to say next.
    pub fn next(&self) -> Us {
        let second = self.us(self.next_s);
        self.queue.front().map_or(second, |(at, _)| second.min(*at))
    }

    /// The requests that have come by then.
    pub fn arrivals(&mut self, now: Us) -> Vec<(u64, Wish)> {
        let mut come = Vec::new();
        while let Some((_, wish)) = self.queue.pop_front_if(|(at, _)| *at <= now) {
            self.asked += 1;
            come.push((NOBODY | self.asked, wish));
        }
        come
    }

    /// Begins the next second where its time has come; how the model is in it.
    pub fn second(&mut self, now: Us) -> Option<Life> {
        if self.us(self.next_s) > now {
            return None;
        }
        let second = self.next_s;
        self.next_s += 1;
        let life = self.story.model(second);
        if life == Life::Here {
            self.ask(second);
        }
        Some(life)
    }

    fn ask(&mut self, second: i64) {
        let mut draw = Draw { noise: self.noise, second, stream: 0 };
        let mean = self.load.requests_per_s * self.story.level(second).max(0.0);
        let begin = self.us(second);
        let mut come: Vec<(Us, Wish)> = (0..draw.poisson(mean))
            .map(|_| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a part of a second"
                )]
                let at = begin + (draw.unit() * 999_999.0) as u64;
                (at, self.wish(&mut draw))
            })
            .collect();
        come.sort_by_key(|(at, _)| *at);
        self.queue.extend(come);
    }

    fn wish(&self, draw: &mut Draw) -> Wish {
        // Skewed, as texts are: most are short, some are four times the mean.
        let prompt = draw.about(self.load.prompt_tokens).clamp(1, self.context.max(2) / 2);
        let tokens = draw.about(self.load.answer_tokens).min(self.context - prompt);
        let tokens = if self.load.answer_tokens == 0 { 0 } else { tokens.max(1) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tokens")]
        let cached = (f64::from(prompt) * self.load.known_share * draw.unit() * 2.0) as u32;
        let cached = cached.min(prompt - 1) / 16 * 16;
        Wish { prompt, tokens, finish: Finish::Stop, prefix: Arc::default(), cached }
    }
}

/// Chance that depends on the second and on how often it was asked in it.
struct Draw {
    noise: Noise,
    second: i64,
    stream: u64,
}

// === impl Draw ===

impl Draw {
    /// 0 to 1.
    fn unit(&mut self) -> f64 {
        self.stream += 1;
        (self.noise.white(self.stream, self.second) + 1.0) / 2.0
    }

    /// How many come where so many come in the mean.
    fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 50.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
            let many = (mean * (0.8 + 0.4 * self.unit())).min(f64::from(MOST)) as u32;
            return many;
        }
        let (mut count, mut rest) = (0, (-mean).exp());
        let mut left = self.unit();
        while left > rest && count < MOST {
            left -= rest;
            count += 1;
            rest *= mean / f64::from(count);
        }
        count
    }

    /// A length with this mean, up to four times of it.
    fn about(&mut self, mean: u32) -> u32 {
        let stretch = -(1.0 - 0.95 * self.unit()).ln();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tokens")]
        let length = (f64::from(mean) * (0.3 + 0.84 * stretch)) as u32;
        length.min(mean.saturating_mul(4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Busy;

    impl Story for Busy {
        fn server(&self, _: i64) -> bool {
            true
        }
        fn model(&self, second: i64) -> Life {
            if second < 100 { Life::Gone } else { Life::Here }
        }
        fn level(&self, _: i64) -> f64 {
            0.5
        }
        fn fault(&self, _: i64) -> Option<(Fault, On)> {
            None
        }
        fn change(&self, _: i64, _: bool) {}
    }

    fn asked(origin_s: i64, from: i64, to: i64) -> Vec<(i64, Wish)> {
        let load =
            Load { requests_per_s: 4.0, prompt_tokens: 400, answer_tokens: 100, known_share: 0.3 };
        let mut feed = Feed::new(Arc::new(Busy), load, Noise::new(7), 8192, origin_s);
        let mut all = Vec::new();
        while feed.next() < feed.us(to) {
            let at = feed.next();
            let second = origin_s + i64::try_from(at / 1_000_000).unwrap();
            let come = feed.arrivals(at);
            if second >= from {
                all.extend(come.into_iter().map(|(_, wish)| (second, wish)));
            }
            feed.second(at);
        }
        all
    }

    #[test]
    fn a_second_asks_alike_wherever_one_began_to_look() {
        let one = asked(0, 1000, 1300);
        assert_eq!(one, asked(900, 1000, 1300));
        assert!((480..720).contains(&one.len()), "{} in 300 s at 2 a second", one.len());
        let mean = |of: fn(&Wish) -> u32| {
            one.iter().map(|(_, wish)| u64::from(of(wish))).sum::<u64>() / one.len() as u64
        };
        let prompts = mean(|wish| wish.prompt);
        assert!((320..480).contains(&prompts), "{prompts}");
        let answers = mean(|wish| wish.tokens);
        assert!((80..120).contains(&answers), "{answers}");
        assert!(one.iter().all(|(_, wish)| wish.cached < wish.prompt));
    }

    #[test]
    fn who_is_gone_is_asked_nothing() {
        assert_eq!(asked(0, 0, 100), []);
    }
}
