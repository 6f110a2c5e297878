//! Generated tokens as they come.
//!
//! `tokens_predicted_total` counts a request when it **ends**, and one that was broken
//! off never: a long answer would show as nothing and then as a leap. `/slots` tells
//! how many tokens each running request has so far (`next_token.n_decoded`). Both
//! together make a total that grows with every token, each counted once.
//!
//! The total is asked before the slots. A request that ends between the two is not in
//! either at that look, and is in the total at the next: so what was counted of a
//! request that is gone is held against the total of this look and of the next.

use std::collections::BTreeMap;

use super::wire::Slot;

/// By slot and task.
type Running = BTreeMap<(i64, i64), f64>;

/// What was counted so far of one model.
#[derive(Debug, Default)]
pub(super) struct Live {
    before: Option<Before>,
}

#[derive(Debug)]
struct Before {
    /// Of requests that ended, as the server last told it.
    ended: f64,
    running: Running,
    /// Counted of requests that are gone and in no total yet.
    owed: f64,
    generated: f64,
}

// === impl Live ===

impl Live {
    /// The tokens of requests that ended and of those that run. The slots are those of
    /// the same look; `None` where they do not tell it, which leaves the server's total.
    pub fn count(&mut self, ended: f64, slots: &[Slot]) -> f64 {
        let Some(running) = running(slots) else {
            self.before = None;
            return ended;
        };
        let now: f64 = running.values().sum();
        let before = self.before.take().filter(|before| ended >= before.ended);
        let (owed, generated) = match before {
            None => (0.0, ended + now),
            Some(before) => {
                let gone = before.running.iter().filter(|(task, _)| !running.contains_key(task));
                let gone: f64 = gone.map(|(_, tokens)| tokens).sum();
                let (owed, more) = (before.owed + gone, ended - before.ended);
                let grown: f64 = running
                    .iter()
                    .map(|(task, n)| (n - before.running.get(task).unwrap_or(&0.0)).max(0.0))
                    .sum();
                // Of one that was broken off nothing comes: it is owed for one look only.
                ((owed - more).clamp(0.0, gone), before.generated + grown + (more - owed).max(0.0))
            }
        };
        self.before = Some(Before { ended, running, owed, generated });
        generated
    }
}

/// `None` where one that works does not tell how far it is.
fn running(slots: &[Slot]) -> Option<Running> {
    let busy = slots.iter().filter(|slot| slot.is_busy());
    busy.map(|slot| Some(((slot.id?, slot.id_task?), slot.decoded()? as f64))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots with task and tokens; 0 for one that is idle.
    fn slots(of: &[(i64, u64)]) -> Vec<Slot> {
        let slot = |(id, (task, tokens)): (usize, &(i64, u64))| {
            format!(
                r#"{{"id":{id},"id_task":{task},"is_processing":{},
                     "next_token":[{{"n_decoded":{tokens},"n_remain":5}}]}}"#,
                *task > 0
            )
        };
        let all: Vec<_> = of.iter().enumerate().map(slot).collect();
        serde_json::from_str(&format!("[{}]", all.join(","))).unwrap()
    }

    fn counts(looks: &[(f64, &[(i64, u64)])]) -> Vec<f64> {
        let mut live = Live::default();
        looks.iter().map(|(ended, running)| live.count(*ended, &slots(running))).collect()
    }

    #[test]
    fn tokens_count_as_they_come_and_once() {
        // Runs, ends with 25, and the next one begins in its slot.
        let looks = [
            (100.0, &[(0, 0)][..]),
            (100.0, &[(7, 10)]),
            (100.0, &[(7, 20)]),
            (125.0, &[(8, 3)]),
            (130.0, &[(0, 0)]),
            (130.0, &[(0, 0)]),
        ];
        assert_eq!(counts(&looks), [100.0, 110.0, 120.0, 128.0, 130.0, 130.0]);
        // Two at once, of which one ends while the other goes on.
        let looks = [(0.0, &[(1, 5), (2, 50)][..]), (60.0, &[(1, 8), (0, 0)])];
        assert_eq!(counts(&looks), [55.0, 68.0]);
    }

    #[test]
    fn one_that_ends_between_the_two_questions_counts_once() {
        let looks = [(0.0, &[(7, 20)][..]), (0.0, &[(0, 0)]), (25.0, &[(0, 0)]), (35.0, &[(0, 0)])];
        assert_eq!(counts(&looks), [20.0, 20.0, 25.0, 35.0]);
    }

    #[test]
    fn one_that_was_broken_off_counts_and_hides_nothing_for_long() {
        let looks =
            [(0.0, &[(7, 5000)][..]), (0.0, &[(0, 0)]), (0.0, &[(8, 10)]), (30.0, &[(0, 0)])];
        assert_eq!(counts(&looks), [5000.0, 5000.0, 5010.0, 5030.0]);
    }

    #[test]
    fn a_server_that_started_again_and_one_that_tells_nothing_begin_anew() {
        let looks = [(500.0, &[(7, 20)][..]), (3.0, &[(1, 2)])];
        assert_eq!(counts(&looks), [520.0, 5.0]);
        let mut live = Live::default();
        let silent: Vec<Slot> =
            serde_json::from_str(r#"[{"id":0,"id_task":4,"is_processing":true}]"#).unwrap();
        assert_eq!([live.count(7.0, &silent), live.count(9.0, &silent)], [7.0, 9.0]);
        // Builds of 2025 have no list there.
        let older = r#"[{"id":0,"id_task":4,"is_processing":true,"next_token":{"n_decoded":6}}]"#;
        let older: Vec<Slot> = serde_json::from_str(older).unwrap();
        assert_eq!(live.count(9.0, &older), 15.0);
    }
}
