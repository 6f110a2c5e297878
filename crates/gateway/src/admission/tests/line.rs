//! The line: who stands where, how long, and who may not stand in it.

use super::*;

#[test]
fn interactive_goes_before_batch_until_batch_has_waited_long_enough() {
    let mut floor = Floor::new(room(1));
    let running = floor.come("x");
    let mut batch = floor.ask("x", "m", "a");
    batch.priority = Priority::Batch;
    let batch_id = batch.id;
    floor.offer(batch);
    floor.now = 9_999;
    let before = floor.come("y");
    floor.now = 10_001;
    let after = floor.come("z");
    assert_eq!(floor.granted(), [running]);
    for id in [running, before, batch_id] {
        floor.served(id);
    }
    assert_eq!(floor.granted(), [before, batch_id, after]);
}

#[test]
fn those_who_want_different_things_of_one_backend_stand_in_one_line() {
    let mut floor = Floor::new(room(1));
    let running = floor.come("x");
    let ids: Vec<Id> = ["m", "n", "m", "o", "n"]
        .into_iter()
        .map(|model| {
            let ask = floor.ask(model, model, "a");
            floor.offer(ask.clone());
            ask.id
        })
        .collect();
    floor.served(running);
    for id in &ids {
        floor.served(*id);
    }
    assert_eq!(floor.granted()[1..], ids);
}

#[test]
fn the_queue_is_bounded_and_some_of_it_is_kept_for_interactive_requests() {
    let mut floor = Floor::new(Limits { queue: 4, queue_batch: 2, ..room(1) });
    floor.come("x");
    for _ in 0..3 {
        let mut ask = floor.ask("x", "m", "a");
        ask.priority = Priority::Batch;
        floor.offer(ask);
    }
    assert_eq!(floor.refused(), [(4, Limit::Queue)]);
    floor.come_many("x", 3);
    assert_eq!(floor.refused(), [(7, Limit::Queue)]);
    assert_eq!(floor.machine.queued(), 4);
}

#[test]
fn one_client_may_not_fill_the_queue_beyond_its_share() {
    let mut floor = Floor::new(room(1));
    floor.set(|limits| named(limits, "x", |client| client.queue = Some(1)));
    let ids = floor.come_many("x", 3);
    let other = floor.come("y");
    assert_eq!(floor.refused(), [(ids[2], Limit::Queue)]);
    assert_eq!(floor.machine.position(other).map(|place| place.position), Some(2));
}

#[test]
fn positions_and_waits_are_told_to_those_who_wait() {
    let mut floor = Floor::new(room(2));
    for _ in 0..5 {
        let id = floor.come("x");
        floor.now += 1000;
        floor.served(id);
    }
    floor.come_many("x", 2);
    let ask = floor.ask("x", "m", "a");
    let first = floor.offer(ask);
    let ask = floor.ask("y", "m", "a");
    let second = floor.offer(ask.clone());
    let Offered::Queued(first) = first else { panic!("{first:?}") };
    let Offered::Queued(second) = second else { panic!("{second:?}") };
    assert_eq!((first.position, first.expected_wait), (1, Some(500)));
    assert_eq!((second.position, second.expected_wait), (2, Some(1000)));
    assert_eq!(floor.machine.position(ask.id), Some(second));
    assert_eq!(floor.machine.position(1), None);
}

#[test]
fn what_cannot_be_served_in_time_is_refused_at_once() {
    let mut floor = Floor::new(room(1));
    for _ in 0..5 {
        let id = floor.come("x");
        floor.now += 10_000;
        floor.served(id);
    }
    floor.come("x");
    floor.granted();
    // One place, held for ten seconds each: the seventh in line would begin after a minute.
    let waiting = floor.come_many("x", 7);
    let too_late = floor.come("x");
    assert_eq!(floor.refused.len(), 1);
    let (id, refusal) = floor.refused[0].clone();
    assert_eq!((id, refusal.limit), (too_late, Limit::Deadline));
    assert_eq!(refusal.retry_after, Some(80_000));
    assert_eq!(
        refusal.reason,
        "7 requests stand before it, and it would be served in about 80 s, after its deadline."
    );
    assert_eq!(floor.machine.queued() as usize, waiting.len());
}

#[test]
fn a_deadline_that_passes_in_line_ends_the_wait_with_its_reason() {
    let mut floor = Floor::new(room(1));
    floor.come("x");
    let mut ask = floor.ask("x", "m", "a");
    ask.deadline = 5000;
    floor.offer(ask);
    assert_eq!(floor.machine.next_due(), Some(5000));
    floor.pass(4999);
    assert_eq!(floor.refused, []);
    floor.pass(1);
    assert_eq!(floor.refused[0].1.limit, Limit::Deadline);
    assert_eq!(
        floor.refused[0].1.reason,
        "No room came free in the 5.0 s that it waited: 1 of 1 on a."
    );
    assert_eq!(floor.machine.next_due(), None);
}

#[test]
fn nothing_is_admitted_after_its_deadline_however_late_the_clock_is_read() {
    let mut floor = Floor::new(room(1));
    let first = floor.come("x");
    let mut ask = floor.ask("x", "m", "a");
    ask.deadline = 5000;
    let late = ask.id;
    floor.offer(ask);
    floor.granted();
    floor.now = 9000;
    floor.served(first);
    assert_eq!(floor.granted(), NOBODY);
    assert_eq!(floor.refused(), [(late, Limit::Deadline)]);
}

#[test]
fn without_time_to_wait_there_is_room_now_or_a_refusal() {
    let mut floor = Floor::new(room(1));
    for _ in 0..2 {
        let mut ask = floor.ask("x", "m", "a");
        ask.deadline = floor.now;
        floor.offer(ask);
    }
    assert_eq!(floor.granted(), [1]);
    assert_eq!(
        floor.refused[0].1.reason,
        "There is no room now, and it may not wait: 1 of 1 on a."
    );
}

#[test]
fn where_a_limit_was_lowered_below_what_runs_a_refusal_says_both_numbers() {
    let why = |lower: fn(&mut Limits)| {
        let mut floor = Floor::new(room(4));
        floor.come_many("x", 4);
        floor.set(lower);
        let mut ask = floor.ask("x", "m", "a");
        ask.deadline = floor.now;
        floor.offer(ask);
        let reason = floor.refused[0].1.reason.clone();
        reason.strip_prefix("There is no room now, and it may not wait: ").unwrap().to_owned()
    };
    assert_eq!(why(|limits| limits.backend.room = Some(3)), "4 run on a where 3 are allowed.");
    assert_eq!(why(|limits| limits.backend.room = Some(1)), "4 run on a where 1 is allowed.");
    assert_eq!(why(|limits| limits.in_flight = Some(3)), "4 run in all where 3 are allowed.");
    assert_eq!(why(|limits| limits.client.in_flight = Some(2)), "4 run for x where 2 are allowed.");
    assert_eq!(
        why(|limits| {
            limits.models.insert("m".into(), 2);
        }),
        "4 run on m where 2 are allowed."
    );
}

#[test]
fn whoever_leaves_gives_back_what_he_has_wherever_he_is() {
    let mut floor = Floor::new(room(1));
    let ids = floor.come_many("x", 4);
    floor.machine.leave(ids[1], 0);
    floor.machine.leave(ids[0], 0);
    floor.hear();
    assert_eq!(floor.granted(), [ids[0], ids[2]]);
    floor.retry(ids[2], 500);
    assert_eq!(floor.granted(), [ids[3]]);
    floor.machine.leave(ids[2], 0);
    floor.served(ids[3]);
    floor.pass(1000);
    assert_eq!(
        (floor.granted(), floor.machine.queued(), floor.machine.in_flight()),
        (vec![], 0, 0)
    );
}

#[test]
fn what_was_granted_to_one_that_left_is_told_to_nobody() {
    let mut floor = Floor::new(room(1));
    let ids = floor.come_many("x", 3);
    floor.machine.release(ids[0], Outcome::Served, None, 0);
    floor.machine.leave(ids[1], 0);
    floor.hear();
    assert_eq!(floor.granted(), [ids[0], ids[2]]);
}

#[test]
fn an_id_that_is_there_already_is_not_taken_twice() {
    let mut floor = Floor::new(room(8));
    let ask = floor.ask("x", "m", "a");
    floor.offer(ask.clone());
    floor.offer(ask);
    assert_eq!(floor.refused(), [(1, Limit::Twice)]);
    assert_eq!(floor.machine.in_flight(), 1);
}

#[test]
fn when_plimsoll_stops_those_who_wait_are_refused_and_those_who_run_go_on() {
    let mut floor = Floor::new(room(1));
    let ids = floor.come_many("x", 3);
    floor.machine.stop(0);
    floor.hear();
    let late = floor.come("x");
    let refused = floor.refused();
    assert_eq!(refused, [ids[1], ids[2], late].map(|id| (id, Limit::Stopping)));
    assert_eq!(floor.machine.in_flight(), 1);
    floor.served(ids[0]);
    assert_eq!(floor.machine.in_flight(), 0);
}

#[test]
fn a_clock_that_jumps_back_is_taken_to_stand() {
    let mut floor = Floor::new(room(1));
    floor.now = 50_000;
    let ids = floor.come_many("x", 2);
    floor.now = 10;
    floor.served(ids[0]);
    assert_eq!(floor.granted(), ids);
    assert_eq!(floor.refused(), []);
}
