//! Programs that wait for their answers before they ask again.

use super::*;

/// Numbers that look like chance, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// Around that on average, as the time between events that know nothing of each other.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds")]
    #[expect(clippy::cast_precision_loss, reason = "31 bits")]
    fn apart(&mut self, mean: f64) -> Ms {
        let chance = (self.below(1 << 31) + 1) as f64 / (1_u64 << 31) as f64;
        (-chance.ln() * mean) as Ms
    }
}

/// Each of so many programs asks so often, one after the other.
fn loops(
    programs: usize,
    each: usize,
    held: impl Fn(&mut Dice) -> Ms,
    pause: u64,
) -> Vec<Recorded> {
    let mut dice = Dice(7);
    let rows: Vec<(Ms, Ms)> =
        (0..programs * each).map(|n| (5 * n as Ms, held(&mut dice))).collect();
    let mut chains = trace(&rows);
    for (n, one) in chains.iter_mut().enumerate() {
        one.client = format!("notebook-{}", n % programs).into();
        one.follows = n
            .checked_sub(programs)
            .map(|which| Follows { which, pause: Some(1 + dice.below(pause)) });
    }
    chains
}

/// What a gateway with that room would have recorded of it, and which of them each is.
fn record(chains: &[Recorded], room: usize) -> (Vec<Recorded>, Vec<usize>) {
    let mut rows: Vec<(usize, Recorded)> = by_hand(chains, room, usize::MAX)
        .into_iter()
        .zip(chains)
        .map(|((came, wait), one)| {
            let (waited, follows) = (wait.unwrap(), None);
            let lasted = waited + one.held.unwrap();
            Recorded { at: came, waited, lasted, follows, ..one.clone() }
        })
        .enumerate()
        .collect();
    rows.sort_by_key(|(_, one)| one.at);
    rows.into_iter().map(|(which, one)| (one, which)).unzip()
}

fn truth(chains: &[Recorded], today: usize, proposed: usize) -> Figures {
    let hand = |room| by_hand(chains, room, usize::MAX);
    figures_by_hand(chains, &hand(today), &hand(proposed))
}

fn replayed(trace: &[Recorded], today: u32, proposed: u32) -> Figures {
    let with = |room| replay(trace, &terms(room, 1000)).unwrap();
    compare(trace, &with(today), &with(proposed))
}

fn near(one: Ms, other: Ms, percent: u64) -> bool {
    one.abs_diff(other) * 100 <= other * percent
}

#[test]
fn eight_programs_that_wait_are_replayed_as_they_would_have_waited() {
    let uneven = |dice: &mut Dice| 200 + dice.below(500);
    for (held, pause) in [(&uneven as &dyn Fn(&mut Dice) -> Ms, 30), (&uneven, 900), (&|_| 340, 3)]
    {
        for (today, proposed) in [(4, 2), (2, 4), (4, 8)] {
            let chains = loops(8, 125, held, pause);
            let (mut trace, _) = record(&chains, today);
            let open = replayed(&trace, today as u32, proposed as u32);
            let followed = follow(&mut trace, Unsure::AsksRegardless);
            assert_eq!(followed, Followed { after: 1000 - 8, unsure: BTreeMap::new() });
            let closed = replayed(&trace, today as u32, proposed as u32);
            let truth = truth(&chains, today, proposed);
            for (side, was) in [(closed.today, truth.today), (closed.proposed, truth.proposed)] {
                assert!(near(side.wait_sum, was.wait_sum, 1), "{side:?} {was:?}");
                assert!(near(side.wait_p95.unwrap(), was.wait_p95.unwrap(), 2), "{side:?} {was:?}");
                assert!(near(side.lasted, was.lasted, 1), "{side:?} {was:?}");
                assert_eq!(side.refused, 0);
            }
            if proposed < today && pause < 100 {
                // At their recorded times they would stand in a line that never was.
                assert!(open.proposed.wait_sum > 10 * truth.proposed.wait_sum, "{open:?}");
            }
        }
    }
}

#[test]
fn several_programs_under_one_name_are_replayed_within_a_twentieth() {
    for pause in [3, 30, 200] {
        let chains = loops(8, 125, |dice| 200 + dice.below(500), pause);
        let (mut trace, _) = record(&chains, 4);
        for one in &mut trace {
            one.client = "notebook".into();
        }
        let followed = follow(&mut trace, Unsure::AsksRegardless);
        assert_eq!((followed.after, followed.unsure.len()), (1000 - 8, 0), "{pause}");
        let (closed, truth) = (replayed(&trace, 4, 2), truth(&chains, 4, 2));
        assert!(near(closed.proposed.wait_sum, truth.proposed.wait_sum, 5), "{closed:?} {truth:?}");
        assert!(near(closed.proposed.lasted, truth.proposed.lasted, 5), "{closed:?} {truth:?}");
        assert_eq!(closed.proposed.refused, 0);
    }
}

#[test]
fn a_closed_trace_gives_the_figures_that_are_worked_out_by_hand() {
    let chains = loops(5, 60, |dice| 100 + dice.below(900), 400);
    let (mut trace, _) = record(&chains, 3);
    follow(&mut trace, Unsure::AsksRegardless);
    // Some after a long pause: not before what they follow, and at their time else.
    for (n, one) in trace.iter_mut().enumerate() {
        if let Some(follows) = one.follows.as_mut().filter(|_| n % 7 == 0) {
            follows.pause = None;
        }
    }
    for (today, proposed) in [(3, 1), (3, 2), (1, 5)] {
        let with = |room| replay(&trace, &terms(room, 1000)).unwrap();
        let (before, after) = (with(today), with(proposed));
        let hand = |room: u32| by_hand(&trace, room as usize, 1000);
        let mut by_hand = figures_by_hand(&trace, &hand(today), &hand(proposed));
        by_hand.today.most_at_once = before.most_at_once;
        by_hand.proposed.most_at_once = after.most_at_once;
        assert_eq!(compare(&trace, &before, &after), by_hand, "{today} → {proposed}");
    }
}

#[test]
fn who_asks_regardless_of_answers_is_replayed_at_the_recorded_times() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut at = 0;
        let rows: Vec<(Ms, Ms)> = (0..1000)
            .map(|_| {
                at += dice.apart(250.0);
                (at, 1 + dice.apart(700.0))
            })
            .collect();
        let (mut open, _) = record(&trace(&rows), 4);
        let before = open.clone();
        let followed = follow(&mut open, Unsure::AsksRegardless);
        assert_eq!(followed.after, 0, "{seed}");
        assert!(open.iter().all(|one| one.follows.is_none()), "{seed}");
        assert_eq!(replayed(&open, 4, 3), replayed(&before, 4, 3));
        // And it is told for sure, but for a chance that the bounds name.
        assert!(followed.unsure.is_empty(), "{seed}: {followed:?}");
    }
    let (mut open, _) = record(&trace(&stored()), 2);
    assert_eq!(follow(&mut open, Unsure::Waits), Followed::default());
    assert!(open.iter().all(|one| one.follows.is_none()));
}

#[test]
fn of_few_requests_and_of_a_clock_it_cannot_be_told_whether_they_wait() {
    let mut few = trace(&[(0, 900), (1000, 900), (2000, 900)]);
    let followed = follow(&mut few, Unsure::Waits);
    assert_eq!((followed.after, followed.unsure.get("ide")), (0, Some(&2)));
    assert_eq!(few[2].follows, Some(Follows { which: 1, pause: Some(100) }));
    follow(&mut few, Unsure::AsksRegardless);
    assert!(few.iter().all(|one| one.follows.is_none()));
    // Ten a second, whatever becomes of them.
    let mut dice = Dice(3);
    let rows: Vec<(Ms, Ms)> = (0..300).map(|n| (100 * n, 30 + dice.below(60))).collect();
    let mut clock = trace(&rows);
    assert_eq!(follow(&mut clock, Unsure::Waits).unsure.get("ide"), Some(&299));
    assert_eq!(clock[299].follows, Some(Follows { which: 298, pause: None }));
}

#[test]
fn a_program_that_waits_for_a_whole_round_asks_again_when_all_of_it_is_there() {
    let (rounds, size) = (6, 20);
    let mut round = trace(&vec![(0, 1000); rounds * size]);
    for (n, one) in round.iter_mut().enumerate() {
        let last = (n / size * size).checked_sub(1);
        one.follows = last.map(|which| Follows { which, pause: Some(30) });
    }
    let (mut trace, _) = record(&round, 4);
    let followed = follow(&mut trace, Unsure::AsksRegardless);
    assert_eq!((followed.after as usize, followed.unsure.len()), ((rounds - 1) * size, 0));
    let mut truth = truth(&round, 4, 2);
    let closed = replayed(&trace, 4, 2);
    (truth.today.most_at_once, truth.proposed.most_at_once) = (4, 2);
    assert_eq!(closed, truth);
}

#[test]
fn after_a_long_pause_it_comes_at_its_time_and_never_before_its_answer() {
    let mut trace = trace(&[(0, 1000), (10, 50_000), (200_000, 1000)]);
    trace[2].follows = Some(Follows { which: 1, pause: None });
    let with = |trace: &[Recorded]| replay(trace, &terms(1, 9)).unwrap();
    assert_eq!((with(&trace).fates[2], with(&trace).lasted), (Fate::Served { waited: 0 }, 201_000));
    trace[1].held = Some(500_000);
    assert_eq!((with(&trace).fates[2], with(&trace).lasted), (Fate::Served { waited: 0 }, 502_000));
}

#[test]
fn who_is_refused_asks_again_when_it_was_told_to_and_not_as_fast_as_it_is_refused() {
    // One holds the only place for a minute; another is refused meanwhile, again and again.
    let rows: Vec<(Ms, Ms)> = (0..101).map(|n| (n, if n == 0 { 60_000 } else { 100 })).collect();
    let mut trace = trace(&rows);
    for (n, one) in trace.iter_mut().enumerate().skip(2) {
        one.client = "eager".into();
        one.follows = Some(Follows { which: n - 1, pause: Some(0) });
    }
    let refused = |trace: &[Recorded]| {
        let fates = replay(trace, &terms(1, 0)).unwrap().fates;
        fates.iter().filter(|fate| **fate == Fate::Refused).count()
    };
    assert!((1..=60).contains(&refused(&trace)), "{}", refused(&trace));
    // One that was refused in fact, too, has shown how soon it asks.
    trace.iter_mut().for_each(|one| one.refused = true);
    assert_eq!(refused(&trace), 100);
}
