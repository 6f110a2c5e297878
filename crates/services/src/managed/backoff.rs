//! When a service that ended by itself is started again. Pauses grow, so that one
//! that cannot run costs next to nothing; one that ends again and again within
//! minutes is left alone, for a person has to look at it.

use std::{collections::VecDeque, time::Duration};

const PAUSES_S: [u64; 6] = [1, 2, 5, 10, 30, 60];
/// So many ends within [`WINDOW_MS`] are enough.
pub const ENDS: usize = 5;
pub const WINDOW_MS: i64 = 300_000;
/// Served for so long, the earlier ends do not count any more.
const SOUND_MS: i64 = 60_000;

/// What follows an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    After(Duration),
    /// It ended [`ENDS`] times within [`WINDOW_MS`].
    GiveUp,
}

/// The ends of one service; times are those of the clock that only runs forward.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    /// The newest ends, at most [`ENDS`].
    ends: VecDeque<i64>,
    in_a_row: usize,
}

// === impl Backoff ===

impl Backoff {
    /// It ended by itself at `now_ms`, having served since `served_since_ms`.
    pub fn ended(&mut self, now_ms: i64, served_since_ms: Option<i64>) -> Next {
        if served_since_ms.is_some_and(|since| now_ms - since >= SOUND_MS) {
            *self = Self::default();
        }
        self.ends.push_back(now_ms);
        while self.ends.front().is_some_and(|end| now_ms - end > WINDOW_MS) {
            self.ends.pop_front();
        }
        if self.ends.len() >= ENDS {
            return Next::GiveUp;
        }
        let pause = PAUSES_S[self.in_a_row.min(PAUSES_S.len() - 1)];
        self.in_a_row += 1;
        Next::After(Duration::from_secs(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(next: Next) -> u64 {
        match next {
            Next::After(pause) => pause.as_secs(),
            Next::GiveUp => 0,
        }
    }

    #[test]
    fn pauses_grow_to_a_minute_and_stay_there() {
        let mut backoff = Backoff::default();
        // Far enough apart never to be five within the window.
        let pauses: Vec<u64> = (0..8).map(|n| pause(backoff.ended(n * 80_000, None))).collect();
        assert_eq!(pauses, [1, 2, 5, 10, 30, 60, 60, 60]);
    }

    #[test]
    fn five_ends_within_five_minutes_are_enough() {
        let mut backoff = Backoff::default();
        for n in 0..4 {
            assert_ne!(backoff.ended(n * 1000, None), Next::GiveUp);
        }
        assert_eq!(backoff.ended(WINDOW_MS, None), Next::GiveUp);
        let mut backoff = Backoff::default();
        for n in 0..4 {
            backoff.ended(n * 1000, None);
        }
        assert_ne!(backoff.ended(WINDOW_MS + 1000, None), Next::GiveUp);
    }

    #[test]
    fn a_minute_of_service_makes_earlier_ends_forgotten() {
        let mut backoff = Backoff::default();
        for n in 0..4 {
            backoff.ended(n * 1000, None);
        }
        assert_eq!(pause(backoff.clone().ended(63_999, Some(4000))), 0);
        assert_eq!(pause(backoff.ended(64_000, Some(4000))), 1);
    }
}
