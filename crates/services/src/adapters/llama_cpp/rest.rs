//! Leaving a server alone so that it can fall asleep.
//!
//! With `--sleep-idle-seconds` a server gives its memory back after so long
//! without a task. `/metrics` and `/slots` are answered by its own task queue: each
//! such question is a task, and asked every second none of them lets it ever fall
//! asleep. `/health` and `/props` are no tasks. So a server that can sleep is asked
//! every second only while it works and for a minute after; then its task questions
//! rest for as long as it needs to fall asleep. It either does, which `/props`
//! tells, or somebody used it meanwhile, and it is looked at closely again.

use std::time::Duration;

use tokio::time::Instant;

/// How long it is looked at closely after its last sign of life.
const CLOSE: Duration = Duration::from_secs(60);
/// What is added to its own limit: it looks at its clock once a second.
const SPARE: Duration = Duration::from_secs(2);
/// The limit of one that was seen asleep and whose command line is not known.
pub(super) const UNTOLD: Duration = Duration::from_secs(300);

/// When a server may be given a task again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    until: Option<Instant>,
    lived: Option<Instant>,
    /// Something that changes when it has worked, as it was last told.
    worked: Option<f64>,
}

// === impl Rest ===

impl Rest {
    /// Whether it is left alone now.
    pub fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// It was looked at: whether it works, what changes when it has worked, and
    /// after how long without a task it sleeps (`None`: never).
    pub fn looked(&mut self, now: Instant, busy: bool, worked: f64, limit: Option<Duration>) {
        let Some(limit) = limit else {
            *self = Self::default();
            return;
        };
        if busy || self.worked != Some(worked) {
            self.lived = Some(now);
        }
        self.worked = Some(worked);
        let lived = *self.lived.get_or_insert(now);
        let quiet = now.saturating_duration_since(lived) >= CLOSE.min(limit);
        self.until = quiet.then(|| now + limit + SPARE);
    }

    /// It sleeps. When it wakes, it is looked at at once.
    pub fn sleeps(&mut self) {
        self.until = None;
        self.lived = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Option<Duration> = Some(Duration::from_secs(300));

    /// Looks once a second for so long where it may; answers the seconds of the looks.
    fn looks(
        seconds: u64,
        limit: Option<Duration>,
        worked: impl Fn(u64) -> (bool, f64),
    ) -> Vec<u64> {
        let start = Instant::now();
        let mut rest = Rest::default();
        (0..seconds)
            .filter(|&second| {
                let now = start + Duration::from_secs(second);
                let may = !rest.holds(now);
                if may {
                    let (busy, total) = worked(second);
                    rest.looked(now, busy, total, limit);
                }
                may
            })
            .collect()
    }

    #[test]
    fn a_server_that_never_sleeps_is_always_looked_at() {
        assert_eq!(looks(1000, None, |_| (false, 1.0)).len(), 1000);
    }

    #[test]
    fn a_quiet_server_is_left_alone_for_longer_than_it_needs_to_fall_asleep() {
        let seen = looks(1000, LIMIT, |_| (false, 1.0));
        assert_eq!(seen[..61], (0..61).collect::<Vec<_>>()[..]);
        // 60 + 300 + 2, and again.
        assert_eq!(seen[61..], [362, 664, 966]);
    }

    #[test]
    fn a_busy_server_is_looked_at_each_second_and_for_a_minute_after() {
        let seen = looks(400, LIMIT, |second| (second < 100, 1.0));
        assert_eq!(seen.len(), 160);
        assert_eq!(seen[159], 159);
    }

    #[test]
    fn what_worked_while_it_was_left_alone_is_looked_at_closely_again() {
        let seen = looks(500, LIMIT, |second| (false, if second > 200 { 2.0 } else { 1.0 }));
        assert_eq!(seen[61..], (362..=422).collect::<Vec<_>>()[..]);
    }

    #[test]
    fn a_short_limit_shortens_the_minute() {
        let seen = looks(60, Some(Duration::from_secs(10)), |_| (false, 1.0));
        assert_eq!(seen[..11], (0..11).collect::<Vec<_>>()[..]);
        assert_eq!(seen[11..], [22, 34, 46, 58]);
    }

    #[test]
    fn one_that_slept_is_looked_at_as_soon_as_it_wakes() {
        let start = Instant::now();
        let mut rest = Rest::default();
        rest.looked(start, false, 1.0, LIMIT);
        let later = start + CLOSE;
        rest.looked(later, false, 1.0, LIMIT);
        assert!(rest.holds(later));
        rest.sleeps();
        assert!(!rest.holds(later));
    }
}
