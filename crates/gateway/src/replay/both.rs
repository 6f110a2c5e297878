//! What a change comes to, whatever is taken of clients that the record does not tell about.

use super::{Figures, Followed, Ms, Recorded, Terms, Unsure, compare, follow, replay};

/// So much of a difference of refusals, of all requests, and of waits is none.
const SAME_REFUSED: i64 = 100;
const SAME_WAIT: Ms = 50;
const SAME_SHARE: i64 = 5;

/// What a trace gives where those of which it cannot be told ask regardless of answers, and
/// where they wait for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BothWays {
    pub followed: Followed,
    pub regardless: Figures,
    /// `None`: a person would decide the same by it.
    pub waiting: Option<Figures>,
}

/// Replays a trace under both terms. `None` where a replay does not come to its end.
pub fn both_ways(mut trace: Vec<Recorded>, today: &Terms, proposed: &Terms) -> Option<BothWays> {
    let figures = |trace: &[Recorded]| {
        Some(compare(trace, &replay(trace, today)?, &replay(trace, proposed)?))
    };
    let followed = follow(&mut trace, Unsure::AsksRegardless);
    let regardless = figures(&trace)?;
    let mut waiting = None;
    if !followed.unsure.is_empty() {
        follow(&mut trace, Unsure::Waits);
        waiting = Some(figures(&trace)?).filter(|waiting| !same(waiting, &regardless));
    }
    Some(BothWays { followed, regardless, waiting })
}

/// Within a hundredth of the requests refused, and a fifth or a twentieth of a second of waiting.
fn same(one: &Figures, other: &Figures) -> bool {
    let near = |one: i64, other: i64, least: i64| {
        one.abs_diff(other) <= least.max(one.abs().max(other.abs()) / SAME_SHARE).unsigned_abs()
    };
    let requests = i64::from(one.requests.max(1));
    let refused = |f: &Figures| i64::from(f.proposed.refused) - i64::from(f.today.refused);
    let longer = |f: &Figures| f.more_sum.cast_signed().saturating_sub(f.less_sum.cast_signed());
    let least = requests.saturating_mul(SAME_WAIT.cast_signed());
    near(refused(one), refused(other), requests / SAME_REFUSED)
        && near(longer(one), longer(other), least)
}
