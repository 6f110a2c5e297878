//! What failed, and is tried again.

use super::*;

#[test]
fn a_retry_stands_at_the_head_with_the_deadline_it_came_with() {
    let mut floor = Floor::new(room(1));
    let ids = floor.come_many("x", 3);
    floor.pass(20_000);
    floor.set(|limits| limits.backend.room = Some(0));
    floor.retry(ids[0], 0);
    assert_eq!(floor.machine.position(ids[0]).map(|place| place.position), Some(1));
    floor.set(|limits| limits.backend.room = Some(1));
    assert_eq!(floor.granted(), [ids[0], ids[0]]);
    floor.set(|limits| limits.backend.room = Some(0));
    floor.retry(ids[0], 0);
    floor.pass(39_999);
    assert_eq!(floor.refused(), []);
    floor.pass(1);
    assert_eq!(floor.refused(), ids.iter().map(|id| (*id, Limit::Deadline)).collect::<Vec<_>>());
}

#[test]
fn a_batch_request_that_is_tried_again_goes_first_too() {
    let mut floor = Floor::new(room(1));
    let mut ask = floor.ask("x", "m", "a");
    ask.priority = Priority::Batch;
    let batch = ask.id;
    floor.offer(ask);
    let interactive = floor.come("y");
    floor.set(|limits| limits.backend.room = Some(0));
    floor.retry(batch, 0);
    floor.set(|limits| limits.backend.room = Some(1));
    assert_eq!(floor.granted(), [batch, batch]);
    floor.served(batch);
    assert_eq!(floor.granted(), [interactive]);
}

#[test]
fn one_that_wants_another_backend_holds_up_nobody() {
    let mut floor = Floor::new(room(1));
    let send = |floor: &mut Floor| {
        let ask = floor.ask("x", "m", "a b");
        let id = ask.id;
        floor.offer(ask);
        id
    };
    let (failed, other) = (send(&mut floor), send(&mut floor));
    floor.sent();
    floor.retry(failed, 0);
    assert_eq!(floor.granted(), NOBODY);
    let third = send(&mut floor);
    assert_eq!(floor.sent(), [(third, "a".into())]);
    floor.served(other);
    assert_eq!(floor.sent(), [(failed, "b".into())]);
}

#[test]
fn a_retry_that_asks_a_backend_again_may_answer_again() {
    let mut floor = Floor::new(room(1));
    let id = floor.come("x");
    floor.first_byte(id);
    floor.set(|limits| limits.breaker.failures = 1);
    floor.retry(id, 0);
    floor.pass(1000);
    assert!(floor.granted[1].probe);
    floor.first_byte(id);
    assert_eq!(floor.backend("a").breaker.state, BreakerState::Passing);
}

#[test]
fn a_retry_holds_no_room_while_it_pauses() {
    let mut floor = Floor::new(room(1));
    let ids = floor.come_many("x", 2);
    floor.retry(ids[0], 300);
    assert_eq!(floor.granted(), ids);
    assert_eq!(floor.machine.next_due(), Some(300));
    floor.pass(300);
    floor.served(ids[1]);
    assert_eq!(floor.granted(), [ids[0]]);
}

#[test]
fn a_retry_that_would_come_back_too_late_is_refused_at_once() {
    let mut floor = Floor::new(room(1));
    let id = floor.come("x");
    floor.retry(id, 60_000);
    let refusal = floor.refused[0].1.clone();
    assert_eq!(refusal.reason, "It failed, and its deadline comes before another try in 60 s.");
    assert_eq!((refusal.limit, refusal.retry_after), (Limit::Deadline, Some(60_000)));
    assert_eq!((floor.machine.in_flight(), floor.machine.queued()), (0, 0));
}

#[test]
fn a_retry_is_refused_as_soon_as_no_backend_can_answer_in_its_time() {
    let mut floor = Floor::new(room(3));
    let ids = floor.come_many("x", 4);
    // One pauses and one is in line for the probe when its backend is found to be down.
    floor.set(|limits| limits.breaker.failures = 1);
    floor.retry(ids[0], 700);
    floor.retry(ids[1], 0);
    assert_eq!((floor.refused(), floor.machine.queued()), (vec![], 3));
    floor.up("a", false);
    let refusal = floor.refused[0].1.clone();
    assert_eq!(refusal.reason, "No backend can answer: a is down.");
    assert_eq!(floor.refused(), [(ids[0], Limit::Backends), (ids[1], Limit::Backends)]);
    // One that fails only now finds it so, and who was never sent waits for it.
    floor.retry(ids[2], 0);
    assert_eq!(floor.refused(), [(ids[2], Limit::Backends)]);
    assert_eq!((floor.machine.in_flight(), floor.machine.queued()), (0, 1));
    floor.granted();
    floor.up("a", true);
    assert_eq!(floor.granted(), ids[3..]);
}

#[test]
fn a_retry_does_not_wait_for_a_probe_that_comes_after_its_deadline() {
    let mut floor = Floor::new(room(2));
    floor.set(|limits| {
        limits.breaker = BreakerLimits { failures: 1, pause: 2000, ..limits.breaker };
    });
    let soon = Ask { deadline: 1500, ..floor.ask("x", "m", "a") };
    let (soon, _) = (soon.id, floor.offer(soon));
    let other = floor.come("x");
    floor.retry(soon, 100);
    assert_eq!(floor.refused(), [(soon, Limit::Backends)]);
    // And where it is another's failure that makes the backend be left alone.
    floor.set(|limits| limits.breaker.failures = 2);
    let soon = Ask { deadline: 1500, ..floor.ask("x", "m", "a") };
    let (soon, _) = (soon.id, floor.offer(soon));
    floor.retry(soon, 100);
    assert_eq!(floor.refused(), []);
    floor.end(other, Outcome::Failed);
    assert_eq!(floor.refused(), [(soon, Limit::Backends)]);
}
