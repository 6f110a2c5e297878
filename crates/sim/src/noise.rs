//! Noise that can be asked for at any moment: the same seed, stream and time
//! give the same value, however one got there. A generator with a state could not.

/// Streams: activities take the first ones, processes those from 1000 on.
pub const NOISE_CORES: u64 = 100;
pub const NOISE_MISC: u64 = 400;
pub const NOISE_DISKS: u64 = 500;
pub const NOISE_NET: u64 = 600;
pub const NOISE_PROCESSES: u64 = 1000;

/// Evenly spread over 64 bits (the finalizer of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A seeded family of noises; each `stream` is independent of the others.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    seed: u64,
}

// === impl Noise ===

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self { seed: mix(seed) }
    }

    /// White: −1 to 1, a new value each second.
    pub fn white(self, stream: u64, second: i64) -> f64 {
        let bits = mix(self.seed ^ mix(stream) ^ second.cast_unsigned());
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
        let unit = (bits >> 11) as f64 / (1u64 << 53) as f64;
        unit * 2.0 - 1.0
    }

    /// Smooth: −1 to 1, wandering from knot to knot `period` seconds apart.
    pub fn smooth(self, stream: u64, second: i64, period: i64) -> f64 {
        let period = period.max(1);
        let knot = second.div_euclid(period);
        #[expect(clippy::cast_precision_loss, reason = "less than a period")]
        let x = second.rem_euclid(period) as f64 / period as f64;
        let ease = x * x * (3.0 - 2.0 * x);
        let (a, b) = (self.white(stream, knot), self.white(stream, knot + 1));
        a + (b - a) * ease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_depends_on_seed_stream_and_second_and_stays_within_one() {
        let noise = Noise::new(7);
        for second in -500..500 {
            assert!(noise.white(3, second).abs() <= 1.0);
            assert!(noise.smooth(3, second, 40).abs() <= 1.0);
        }
        assert_eq!(noise.white(3, 9).to_bits(), Noise::new(7).white(3, 9).to_bits());
        assert_ne!(noise.white(3, 9).to_bits(), noise.white(4, 9).to_bits());
        assert_ne!(noise.white(3, 9).to_bits(), Noise::new(8).white(3, 9).to_bits());
    }

    #[test]
    fn smooth_noise_moves_in_small_steps() {
        let noise = Noise::new(1);
        for second in 0..2000 {
            let step = noise.smooth(5, second + 1, 60) - noise.smooth(5, second, 60);
            assert!(step.abs() < 0.06, "{step} at {second}");
        }
    }
}
