//! Two replays of one trace, side by side, in figures.

use super::{Fate, Recorded, Replayed};
use crate::admission::Ms;

/// Fewer give no 95th percentile: the maximum is no bound for it there.
const P95_NEEDS: usize = 59;

/// The counted requests of one replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Those that were served after a wait.
    pub waited: u32,
    /// Of those that were served, as the next two.
    pub wait_sum: Ms,
    pub wait_p95: Option<Ms>,
    pub wait_max: Ms,
    pub refused: u32,
    pub most_at_once: u32,
    /// From the first to the end of the last.
    pub lasted: Ms,
}

/// What another limit would have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub requests: u32,
    pub today: Side,
    pub proposed: Side,
    /// Served on both sides, after a shorter wait; and by how much together.
    pub less: u32,
    pub less_sum: Ms,
    pub more: u32,
    pub more_sum: Ms,
    /// Served today, and refused by what is proposed.
    pub newly_refused: u32,
    pub newly_served: u32,
}

/// Both replays are of that trace.
pub fn compare(trace: &[Recorded], today: &Replayed, proposed: &Replayed) -> Figures {
    let trace = &trace[trace.len().saturating_sub(today.fates.len())..];
    let mut figures = Figures {
        today: side(trace, today),
        proposed: side(trace, proposed),
        ..Figures::default()
    };
    for ((one, today), proposed) in trace.iter().zip(&today.fates).zip(&proposed.fates) {
        if !one.counted {
            continue;
        }
        figures.requests += 1;
        match (*today, *proposed) {
            (Fate::Served { waited: today }, Fate::Served { waited: proposed }) => {
                if proposed < today {
                    figures.less += 1;
                    figures.less_sum += today - proposed;
                } else if proposed > today {
                    figures.more += 1;
                    figures.more_sum += proposed - today;
                }
            }
            (Fate::Served { .. }, Fate::Refused) => figures.newly_refused += 1,
            (Fate::Refused, Fate::Served { .. }) => figures.newly_served += 1,
            _ => {}
        }
    }
    figures
}

fn side(trace: &[Recorded], replayed: &Replayed) -> Side {
    let mut side =
        Side { most_at_once: replayed.most_at_once, lasted: replayed.lasted, ..Side::default() };
    let mut waits: Vec<Ms> = Vec::new();
    for (one, fate) in trace.iter().zip(&replayed.fates) {
        match fate {
            _ if !one.counted => {}
            Fate::Served { waited } => {
                side.waited += u32::from(*waited > 0);
                waits.push(*waited);
            }
            Fate::Refused => side.refused += 1,
            Fate::Left { .. } => {}
        }
    }
    waits.sort_unstable();
    side.wait_sum = waits.iter().sum();
    side.wait_max = waits.last().copied().unwrap_or(0);
    // Nearest rank: the smallest that at least 95 of 100 do not exceed.
    let rank = (waits.len() * 95).div_ceil(100);
    side.wait_p95 = waits.get(rank.saturating_sub(1)).copied().filter(|_| waits.len() >= P95_NEEDS);
    side
}
