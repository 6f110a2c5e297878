//! Room: in all, of clients, of models and of backends, and what takes it.

use super::*;

#[test]
fn with_eight_open_and_the_limit_set_to_two_the_next_is_admitted_after_the_seventh_ended() {
    let mut floor = Floor::new(room(8));
    let open = floor.come_many("x", 8);
    let waits = floor.come("x");
    assert_eq!(floor.granted(), open);
    floor.set(|limits| limits.backend.room = Some(2));
    for (ended, id) in (1..).zip(&open) {
        floor.served(*id);
        let expected: &[Id] = if ended == 7 { &[waits] } else { &[] };
        assert_eq!(floor.granted(), expected, "after {ended} ended");
    }
}

#[test]
fn room_that_is_given_back_goes_to_those_who_wait_in_their_order() {
    let mut floor = Floor::new(room(2));
    let ids = floor.come_many("x", 5);
    assert_eq!(floor.granted(), ids[..2]);
    floor.set(|limits| limits.backend.room = Some(4));
    assert_eq!(floor.granted(), ids[2..4]);
    floor.served(ids[1]);
    assert_eq!(floor.granted(), ids[4..]);
}

#[test]
fn an_end_that_is_told_twice_gives_room_once() {
    let mut floor = Floor::new(room(1));
    let ids = floor.come_many("x", 3);
    floor.served(ids[0]);
    floor.served(ids[0]);
    floor.end(99, Outcome::Failed);
    assert_eq!(floor.granted(), ids[..2]);
    assert_eq!(floor.machine.in_flight(), 1);
}

// MV4
#[test]
fn limits_of_all_client_model_and_backend_nest_and_count_a_request_once() {
    let mut floor = Floor::new(room(2));
    floor.set(|limits| {
        limits.in_flight = Some(2);
        limits.models.insert("m".into(), 2);
        limits.client.in_flight = Some(2);
    });
    let ids = floor.come_many("x", 3);
    assert_eq!(floor.granted(), ids[..2]);
    let now = floor.machine.snapshot();
    assert_eq!((now.in_flight, now.backends[0].in_flight), (2, 2));
    assert_eq!((now.clients[0].in_flight, floor.of_models()), (2, 2));
    // A retry is the same work again, not more work.
    floor.retry(ids[0], 0);
    let now = floor.machine.snapshot();
    assert_eq!((now.in_flight, now.clients[0].in_flight, floor.of_models()), (2, 2, 2));
}

// MV4
#[test]
fn whoever_waits_for_one_room_holds_no_other() {
    let mut floor = Floor::new(room(1));
    floor.set(|limits| {
        limits.client.in_flight = Some(1);
        limits.models.insert("m".into(), 2);
    });
    floor.come("other");
    let waits = floor.come("x");
    // `x` waits for `a`: its own room, and that of the model, are still to be had.
    let ask = floor.ask("x", "m", "b");
    let elsewhere = ask.id;
    assert!(matches!(floor.offer(ask), Offered::Granted(_)));
    assert_eq!(floor.granted().last(), Some(&elsewhere));
    // Now its own room is what it waits for; `a` comes free for others.
    floor.served(1);
    assert_eq!(floor.granted(), NOBODY);
    let third = floor.come("third");
    assert_eq!(floor.granted(), [third]);
    floor.served(third);
    floor.served(elsewhere);
    assert_eq!(floor.granted(), [waits]);
}

#[test]
fn a_client_at_its_limit_holds_up_nobody_else() {
    let mut floor = Floor::new(room(4));
    floor.set(|limits| named(limits, "greedy", |client| client.in_flight = Some(1)));
    let greedy = floor.come_many("greedy", 3);
    let modest = floor.come_many("modest", 3);
    assert_eq!(floor.granted(), [greedy[0], modest[0], modest[1], modest[2]]);
    floor.served(greedy[0]);
    floor.served(greedy[1]);
    assert_eq!(floor.granted(), greedy[1..]);
}

#[test]
fn what_runs_past_plimsoll_takes_room() {
    let mut floor = Floor::new(room(3));
    let first = floor.come("x");
    floor.machine.outside("a", 2, 0);
    let waits = floor.come("x");
    assert_eq!(floor.granted(), [first]);
    assert_eq!(floor.backend("a").room_now, Some(1));
    floor.machine.outside("a", 1, 0);
    floor.hear();
    assert_eq!(floor.granted(), [waits]);
}

#[test]
fn limits_changed_a_hundred_times_under_load_lose_nobody() {
    let mut floor = Floor::new(room(8));
    let ids = floor.come_many("x", 300);
    for change in 0..100_u32 {
        floor.set(|limits| {
            limits.backend.room = Some(change % 7);
            limits.in_flight = Some(change % 11);
            limits.client.in_flight = (change % 3 == 0).then_some(change % 5);
        });
        floor.pass(10);
    }
    floor.set(|limits| *limits = room(300));
    let mut all = floor.granted();
    all.sort_unstable();
    assert_eq!(all, ids);
}
