//! A limit that is found: as much at once as goes without the first token coming later.
//!
//! It follows the time to the first token, never the total time: a long answer is not a
//! slow server. The usual time is a slow mean, the present one a quick mean. While the
//! present one is within `tolerance` of the usual, the limit grows by about its square
//! root's share each sample; beyond, it shrinks with the ratio of the two, at most by
//! half (the Gradient2 rule of Netflix' concurrency-limits). Nothing is learnt while
//! less than half of the limit is used: an idle server is always quick.

use super::limits::AdaptiveLimits;

/// Weight of a sample in the usual time: some two hundred samples long.
const SLOW: f64 = 2.0 / 201.0;
/// Weight of a sample in the present time.
const QUICK: f64 = 2.0 / 11.0;
/// How far the limit goes towards its new value with one sample.
const STEP: f64 = 0.2;
/// Samples before the limit moves.
const WARM: u32 = 10;

#[derive(Clone, Debug)]
pub(super) struct Gradient {
    limit: f64,
    usual_ms: f64,
    present_ms: f64,
    samples: u32,
}

// === impl Gradient ===

impl Gradient {
    pub(super) fn new(limits: &AdaptiveLimits, room: Option<u32>) -> Self {
        let (min, max) = bounds(limits, room);
        Self { limit: 8_f64.clamp(min, max), usual_ms: 0.0, present_ms: 0.0, samples: 0 }
    }

    /// In whole requests, at least 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped between 1 and a u32"
    )]
    pub(super) fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// The first token of one of `in_flight` came after `ttft_ms`.
    pub(super) fn sample(
        &mut self,
        ttft_ms: f64,
        in_flight: u32,
        limits: &AdaptiveLimits,
        room: Option<u32>,
    ) {
        if !ttft_ms.is_finite() || ttft_ms < 0.0 {
            return;
        }
        // A server's answer takes time; a clock too coarse to see it must not divide by it.
        let ttft_ms = ttft_ms.max(0.1);
        self.samples = self.samples.saturating_add(1);
        if self.samples == 1 {
            (self.usual_ms, self.present_ms) = (ttft_ms, ttft_ms);
        } else {
            // Quickly at first, so that one odd sample does not stand for long.
            let early = 1.0 / f64::from(self.samples);
            self.usual_ms += (ttft_ms - self.usual_ms) * SLOW.max(early);
            self.present_ms += (ttft_ms - self.present_ms) * QUICK.max(early);
        }
        // It got quicker for good (another model, say): what was usual is no measure any more.
        if self.usual_ms > 2.0 * self.present_ms {
            self.usual_ms *= 0.95;
        }
        let (min, max) = bounds(limits, room);
        self.limit = self.limit.clamp(min, max);
        if self.samples < WARM || f64::from(in_flight) < self.limit / 2.0 {
            return;
        }
        let gradient =
            (limits.tolerance.max(1.0) * self.usual_ms / self.present_ms).clamp(0.5, 1.0);
        let towards = self.limit * gradient + self.limit.sqrt();
        // Where it shrinks, the allowance must not hold it up.
        let towards = if gradient < 1.0 { self.limit * gradient } else { towards };
        self.limit = (self.limit + (towards - self.limit) * STEP).clamp(min, max);
    }

    pub(super) fn limits_changed(&mut self, limits: &AdaptiveLimits, room: Option<u32>) {
        let (min, max) = bounds(limits, room);
        self.limit = self.limit.clamp(min, max);
    }
}

fn bounds(limits: &AdaptiveLimits, room: Option<u32>) -> (f64, f64) {
    let max = f64::from(limits.max.min(room.unwrap_or(u32::MAX)).max(1));
    (f64::from(limits.min.max(1)).min(max), max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AdaptiveLimits = AdaptiveLimits { min: 2, max: 64, tolerance: 1.5 };

    /// A server that answers in 50 ms while it has at most `knee` requests, and queues beyond.
    fn settle(gradient: &mut Gradient, knee: u32, samples: u32) {
        for _ in 0..samples {
            let at_once = gradient.limit();
            let ttft = 50.0 * f64::from(at_once.max(knee)) / f64::from(knee);
            gradient.sample(ttft, at_once, &LIMITS, None);
        }
    }

    #[test]
    fn it_grows_to_its_bound_while_nothing_slows_down() {
        let mut gradient = Gradient::new(&LIMITS, None);
        settle(&mut gradient, 1000, 200);
        assert_eq!(gradient.limit(), 64);
        gradient.limits_changed(&AdaptiveLimits { max: 10, ..LIMITS }, None);
        assert_eq!(gradient.limit(), 10);
        gradient.limits_changed(&LIMITS, Some(3));
        assert_eq!(gradient.limit(), 3);
    }

    #[test]
    fn it_shrinks_when_the_first_token_comes_later() {
        let mut gradient = Gradient::new(&LIMITS, None);
        settle(&mut gradient, 1000, 100);
        let before = gradient.limit();
        for _ in 0..20 {
            gradient.sample(400.0, gradient.limit(), &LIMITS, None);
        }
        assert!(gradient.limit() * 2 < before, "{} of {before}", gradient.limit());
        assert!(gradient.limit() >= LIMITS.min);
    }

    #[test]
    fn an_idle_server_teaches_nothing() {
        let mut gradient = Gradient::new(&LIMITS, None);
        let before = gradient.limit();
        for _ in 0..500 {
            gradient.sample(10.0, 1, &LIMITS, None);
        }
        assert_eq!(gradient.limit(), before);
    }

    #[test]
    fn what_is_no_time_is_no_sample() {
        let mut gradient = Gradient::new(&LIMITS, None);
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            gradient.sample(odd, 8, &LIMITS, None);
        }
        assert_eq!(gradient.samples, 0);
        for _ in 0..50 {
            gradient.sample(0.0, 8, &LIMITS, None);
        }
        assert!(gradient.limit() >= 8);
    }
}
