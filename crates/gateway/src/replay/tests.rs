mod closed;

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::admission::BackendLimits;

/// A trace as it was recorded: when each came, and how long it took.
const STORED: &str = include_str!("trace.csv");

fn stored() -> Vec<(Ms, Ms)> {
    let number = |text: &str| text.parse::<Ms>().unwrap();
    let row = |line: &str| {
        let (at, held) = line.split_once(',').unwrap();
        (number(at), number(held))
    };
    STORED.lines().skip(1).map(row).collect()
}

fn trace(rows: &[(Ms, Ms)]) -> Vec<Recorded> {
    let candidates: Arc<[Candidate]> =
        Arc::from([Candidate { backend: "chat".into(), rank: 0, weight: 1 }]);
    let one = |(at, held): &(Ms, Ms)| Recorded {
        at: *at,
        client: "ide".into(),
        model: "m".into(),
        priority: Priority::Interactive,
        candidates: candidates.clone(),
        policy: Balance::LeastInFlight,
        tokens: 100,
        held: Some(*held),
        patience: None,
        waited: 0,
        lasted: *held,
        refused: false,
        follows: None,
        counted: true,
    };
    rows.iter().map(one).collect()
}

fn terms(room: u32, queue: u32) -> Terms {
    let limits = Limits {
        queue,
        backends: [("chat".into(), BackendLimits { room: Some(room), ..Default::default() })]
            .into(),
        ..Limits::default()
    };
    Terms { limits, wait: 3_600_000, batch_wait: 3_600_000 }
}

/// The same by another way: a clock that goes millisecond by millisecond, some places and a
/// line. When each came, and how long it waited; `None`: refused.
fn by_hand(trace: &[Recorded], room: usize, queue: usize) -> Vec<(Ms, Option<Ms>)> {
    let mut comes: BTreeSet<(Ms, usize)> = BTreeSet::new();
    let mut after: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (which, one) in trace.iter().enumerate() {
        match one.follows {
            Some(follows) => after.entry(follows.which).or_default().push(which),
            None => _ = comes.insert((one.at, which)),
        }
    }
    let mut fates = vec![(0, None); trace.len()];
    let (mut running, mut line) = (Vec::<(Ms, usize)>::new(), VecDeque::<usize>::new());
    let mut now = 0;
    while !comes.is_empty() || !running.is_empty() {
        for (_, over) in running.extract_if(.., |(end, _)| *end == now) {
            for next in after.remove(&over).unwrap_or_default() {
                let one = &trace[next];
                let pause = one.follows.unwrap().pause;
                comes.insert((pause.map_or(one.at.max(now), |pause| now + pause), next));
            }
        }
        while running.len() < room
            && let Some(first) = line.pop_front()
        {
            fates[first].1 = Some(now - fates[first].0);
            running.push((now + trace[first].held.unwrap(), first));
        }
        while comes.first().is_some_and(|(at, _)| *at == now)
            && let Some((_, next)) = comes.pop_first()
        {
            fates[next].0 = now;
            if running.len() < room {
                fates[next].1 = Some(0);
                running.push((now + trace[next].held.unwrap(), next));
            } else if line.len() < queue {
                line.push_back(next);
            }
        }
        now += 1;
    }
    fates
}

fn figures_by_hand(
    trace: &[Recorded],
    today: &[(Ms, Option<Ms>)],
    proposed: &[(Ms, Option<Ms>)],
) -> Figures {
    let side = |fates: &[(Ms, Option<Ms>)]| {
        let mut served: Vec<Ms> = fates.iter().filter_map(|(_, wait)| *wait).collect();
        served.sort_unstable();
        let within = |most: Ms| served.iter().filter(|wait| **wait <= most).count();
        let p95 = served.iter().copied().find(|most| within(*most) * 100 >= served.len() * 95);
        let over = |((came, wait), one): (&(Ms, Option<Ms>), &Recorded)| {
            came + wait.map_or(0, |wait| wait + one.held.unwrap())
        };
        let last = fates.iter().zip(trace).map(over).max().unwrap();
        Side {
            waited: u32::try_from(served.iter().filter(|wait| **wait > 0).count()).unwrap(),
            wait_sum: served.iter().sum(),
            wait_p95: p95,
            wait_max: *served.last().unwrap(),
            refused: u32::try_from(fates.len() - served.len()).unwrap(),
            most_at_once: 0,
            lasted: last - fates.iter().map(|(came, _)| *came).min().unwrap(),
        }
    };
    let mut figures = Figures {
        requests: u32::try_from(today.len()).unwrap(),
        today: side(today),
        proposed: side(proposed),
        ..Figures::default()
    };
    for pair in today.iter().zip(proposed) {
        match (pair.0.1, pair.1.1) {
            (Some(today), Some(proposed)) if today > proposed => {
                (figures.less, figures.less_sum) =
                    (figures.less + 1, figures.less_sum + today - proposed);
            }
            (Some(today), Some(proposed)) if today < proposed => {
                (figures.more, figures.more_sum) =
                    (figures.more + 1, figures.more_sum + proposed - today);
            }
            (Some(_), None) => figures.newly_refused += 1,
            (None, Some(_)) => figures.newly_served += 1,
            _ => {}
        }
    }
    figures
}

#[test]
fn a_stored_trace_gives_the_figures_that_are_worked_out_by_hand() {
    let trace = trace(&stored());
    for ((room, queue), (more, longer)) in [
        ((2_u32, 1000_u32), (4_u32, 1000_u32)),
        ((4, 1000), (2, 1000)),
        ((2, 1000), (2, 3)),
        ((1, 2), (2, 20)),
        ((3, 0), (1, 5)),
    ] {
        let today = replay(&trace, &terms(room, queue)).unwrap();
        let proposed = replay(&trace, &terms(more, longer)).unwrap();
        let hand = |room: u32, queue: u32| by_hand(&trace, room as usize, queue as usize);
        let mut by_hand = figures_by_hand(&trace, &hand(room, queue), &hand(more, longer));
        by_hand.today.most_at_once = today.most_at_once;
        by_hand.proposed.most_at_once = proposed.most_at_once;
        assert_eq!(compare(&trace, &today, &proposed), by_hand, "{room} of {queue} → {more}");
        assert!(today.most_at_once <= room && proposed.most_at_once <= more);
        assert!(by_hand.today != by_hand.proposed, "the trace tells them apart");
    }
}

#[test]
fn the_same_trace_under_the_same_terms_is_the_same_again() {
    let trace = trace(&stored());
    let terms = terms(2, 10);
    assert_eq!(replay(&trace, &terms), replay(&trace, &terms));
}

#[test]
fn nothing_and_a_single_request_are_replayed_too() {
    assert_eq!(
        replay(&[], &terms(1, 1)),
        Some(Replayed { fates: vec![], most_at_once: 0, lasted: 0 })
    );
    let one = replay(&trace(&[(5, 10)]), &terms(1, 1)).unwrap();
    assert_eq!((one.fates, one.most_at_once), (vec![Fate::Served { waited: 0 }], 1));
}

#[test]
fn who_has_no_patience_leaves_and_who_is_out_of_time_is_refused() {
    let mut trace = trace(&[(0, 1000), (1, 10), (2, 10), (3, 10)]);
    trace[1].patience = Some(100);
    trace[3].priority = Priority::Batch;
    let terms = Terms { wait: 2000, batch_wait: 50, ..terms(1, 10) };
    let fates = replay(&trace, &terms).unwrap().fates;
    assert_eq!(
        fates,
        [
            Fate::Served { waited: 0 },
            Fate::Left { waited: 100 },
            Fate::Served { waited: 998 },
            Fate::Refused,
        ]
    );
}

#[test]
fn what_only_takes_room_is_counted_nowhere() {
    let mut trace = trace(&[(0, 100), (1, 100), (2, 100)]);
    trace[0].counted = false;
    let with = |room| replay(&trace, &terms(room, 9)).unwrap();
    let (today, proposed) = (with(1), with(2));
    let figures = compare(&trace, &today, &proposed);
    assert_eq!((figures.requests, figures.today.waited, figures.proposed.waited), (2, 2, 1));
    assert_eq!((figures.less, figures.less_sum), (2, 99 + 100));
    assert_eq!((figures.today.most_at_once, figures.today.wait_p95), (1, None));
}

#[test]
fn a_time_that_is_not_known_is_the_middle_one_of_its_model() {
    let mut trace = trace(&[(0, 10), (1, 30), (2, 20), (3, 500), (4, 0), (5, 0)]);
    trace[3].model = "other".into();
    (trace[4].held, trace[5].held) = (None, None);
    trace[5].counted = false;
    assert_eq!(suppose(&mut trace), Some(1));
    assert_eq!((trace[4].held, trace[5].held), (Some(20), Some(20)));
    let mut unknown = trace[..1].to_vec();
    unknown[0].held = None;
    assert_eq!(suppose(&mut unknown), None);
}

#[test]
fn a_replay_that_does_not_come_to_its_end_has_no_fates() {
    let trace = trace(&stored());
    let terms = terms(2, 1000);
    assert_eq!(steps(&trace, &terms, 1), None);
    assert_eq!(steps(&trace, &terms, STEPS_EACH), replay(&trace, &terms));
    assert!(replay(&trace, &terms).is_some());
}

#[test]
fn a_trace_is_bounded_and_its_newest_count() {
    let rows: Vec<(Ms, Ms)> = (0..MOST as Ms + 10).map(|n| (n, 1)).collect();
    let trace = trace(&rows);
    let replayed = replay(&trace, &terms(8, 10)).unwrap();
    assert_eq!(replayed.fates.len(), MOST);
    assert_eq!(compare(&trace, &replayed, &replayed).requests as usize, MOST);
}

proptest! {
    /// Whatever came, however long it took and however little there is for it: each has its
    /// fate, none runs beyond the room, and nobody who was refused had waited for nothing else,
    /// also where each comes after another.
    #[test]
    fn each_request_has_its_fate_and_the_room_is_never_more_than_full(
        rows in prop::collection::vec((0..40_u64, 0..400_u64, any::<bool>(), 0..300_u64), 0..120),
        room in 1..5_u32,
        queue in 0..6_u32,
        wait in 0..500_u64,
        waits in any::<bool>(),
    ) {
        let mut at = 0;
        let times: Vec<(Ms, Ms)> = rows.iter().map(|(gap, held, ..)| {
            at += gap;
            (at, *held)
        }).collect();
        let mut trace = trace(&times);
        for (one, (.., batch, patience)) in trace.iter_mut().zip(&rows) {
            one.priority = if *batch { Priority::Batch } else { Priority::Interactive };
            one.patience = (*patience > 100).then_some(*patience);
        }
        follow(&mut trace, if waits { Unsure::Waits } else { Unsure::AsksRegardless });
        let terms = Terms { wait, batch_wait: 2 * wait, ..terms(room, queue) };
        let replayed = replay(&trace, &terms).unwrap();
        prop_assert_eq!(replayed.fates.len(), trace.len());
        prop_assert!(replayed.most_at_once <= room);
        for (one, fate) in trace.iter().zip(&replayed.fates) {
            let longest = if one.priority == Priority::Batch { 2 * wait } else { wait };
            match fate {
                Fate::Served { waited } => prop_assert!(*waited <= longest),
                Fate::Left { waited } => prop_assert_eq!(Some(*waited), one.patience),
                Fate::Refused => {}
            }
        }
    }
}
