//! Backends that fail, and are asked again.

use super::*;

/// Three failures: `a` is rejected from now on.
fn trip(floor: &mut Floor) {
    for id in floor.come_many("x", 3) {
        floor.end(id, Outcome::Failed);
    }
    assert_eq!(floor.backend("a").breaker.state, BreakerState::Rejecting);
    floor.granted();
}

// MV8
#[test]
fn one_request_asks_whether_a_backend_is_well_again_and_the_rest_waits() {
    let mut floor = Floor::new(room(8));
    trip(&mut floor);
    let ids = floor.come_many("x", 5);
    assert_eq!((floor.granted(), floor.machine.next_due()), (vec![], Some(1000)));
    floor.pass(1000);
    assert!(floor.granted[0].probe);
    assert_eq!(floor.granted(), ids[..1]);
    let late = floor.come("y");
    assert_eq!(floor.granted(), NOBODY);
    // It failed: nobody else has seen the backend, and the pause is twice as long.
    floor.end(ids[0], Outcome::Failed);
    assert_eq!((floor.granted(), floor.machine.next_due()), (vec![], Some(3000)));
    floor.pass(2000);
    assert_eq!(floor.granted(), ids[1..2]);
    // Its answer begins: nobody has to wait for the end of it.
    floor.first_byte(ids[1]);
    assert_eq!(floor.backend("a").breaker.state, BreakerState::Passing);
    assert!(floor.granted.iter().all(|grant| !grant.probe));
    // Two at once, then one more with each answer that begins, not all six.
    assert_eq!(floor.granted(), ids[2..3]);
    floor.first_byte(ids[2]);
    floor.first_byte(ids[2]);
    assert_eq!(floor.granted(), ids[3..4]);
    floor.served(ids[3]);
    assert_eq!(floor.granted(), [ids[4], late]);
}

// MV8
#[test]
fn a_probe_that_is_served_without_a_word_of_its_beginning_counts_as_well() {
    let mut floor = Floor::new(room(8));
    trip(&mut floor);
    let ids = floor.come_many("x", 3);
    floor.pass(1000);
    floor.served(ids[0]);
    assert_eq!(floor.granted(), ids);
}

// MV8
#[test]
fn a_probe_whose_client_left_makes_way_for_another() {
    let mut floor = Floor::new(room(8));
    trip(&mut floor);
    let ids = floor.come_many("x", 3);
    floor.pass(1000);
    assert_eq!(floor.granted(), ids[..1]);
    floor.machine.leave(ids[0], floor.now);
    floor.hear();
    assert!(floor.granted[0].probe);
    assert_eq!(floor.granted(), ids[1..2]);
    floor.retry(ids[1], 0);
    assert_eq!(floor.granted(), NOBODY);
    assert_eq!(floor.backend("a").breaker.state, BreakerState::Rejecting);
}

// MV8
#[test]
fn whoever_cannot_wait_for_the_probe_is_refused_and_told_when() {
    let mut floor = Floor::new(room(8));
    trip(&mut floor);
    let mut ask = floor.ask("x", "m", "a");
    ask.deadline = 900;
    floor.offer(ask);
    let refusal = floor.refused[0].1.clone();
    assert_eq!((refusal.limit, refusal.retry_after), (Limit::Backends, Some(1000)));
    assert_eq!(
        refusal.reason,
        "No backend can answer: a is left alone, because 3 requests in a row failed, and asked \
         again in 1.0 s."
    );
}

#[test]
fn while_one_backend_is_rejected_its_equal_serves_and_one_request_asks_it_again() {
    let mut floor = Floor::new(room(8));
    trip(&mut floor);
    let send = |floor: &mut Floor| {
        let ask = floor.ask("x", "m", "a b");
        floor.offer(ask);
        let grant = floor.granted.pop().unwrap();
        (grant.backend.to_string(), grant.probe)
    };
    assert_eq!(send(&mut floor), ("b".into(), false));
    floor.pass(1000);
    assert_eq!(send(&mut floor), ("a".into(), true));
    assert_eq!(send(&mut floor), ("b".into(), false));
}

#[test]
fn a_backend_that_came_back_is_asked_at_once() {
    let mut floor = Floor::new(room(8));
    trip(&mut floor);
    floor.up("a", false);
    let refused = floor.come("x");
    floor.up("a", true);
    let asks = floor.come("x");
    assert_eq!(floor.refused(), [(refused, Limit::Backends)]);
    assert_eq!(floor.granted(), [asks]);
}

#[test]
fn each_turn_of_a_breaker_is_told() {
    let mut floor = Floor::new(room(8));
    trip(&mut floor);
    floor.pass(1000);
    let probe = floor.come("x");
    floor.served(probe);
    let turns: Vec<_> = floor
        .machine
        .moves()
        .map(|told| match told.what {
            Moved::Breaker { to, .. } => (told.at, to),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (0, BreakerState::Rejecting),
        (1000, BreakerState::Probing),
        (1000, BreakerState::Passing),
    ];
    assert_eq!(turns, expected);
}
