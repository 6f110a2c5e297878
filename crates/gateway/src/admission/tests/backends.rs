//! Which of several backends.

use super::*;

// MA7
#[test]
fn the_least_loaded_that_is_up_gets_the_next() {
    let mut floor = Floor::new(room(2));
    floor.up("b", false);
    for _ in 0..7 {
        let ask = floor.ask("x", "m", "a b c");
        floor.offer(ask);
    }
    let to = |sent: Vec<(Id, String)>| sent.into_iter().map(|(_, to)| to).collect::<Vec<_>>();
    assert_eq!(to(floor.sent()), ["a", "c", "a", "c"]);
    floor.up("b", true);
    assert_eq!(to(floor.sent()), ["b", "b"]);
    assert_eq!(floor.machine.queued(), 1);
}

// MA8
#[test]
fn a_request_that_failed_goes_to_another_backend_and_each_is_counted() {
    let mut floor = Floor::new(room(2));
    let ask = floor.ask("x", "m", "a b");
    let id = ask.id;
    floor.offer(ask);
    assert_eq!(floor.sent(), [(id, "a".into())]);
    floor.retry(id, 0);
    assert_eq!(floor.sent(), [(id, "b".into())]);
    floor.served(id);
    let counts = |floor: &Floor, id| {
        let view = floor.backend(id);
        (view.granted, view.served, view.failed, view.unknown)
    };
    assert_eq!(counts(&floor, "a"), (1, 0, 1, 0));
    assert_eq!(counts(&floor, "b"), (1, 1, 0, 0));
}

// MA8
#[test]
fn a_request_that_failed_goes_back_to_the_only_backend_there_is() {
    let mut floor = Floor::new(room(2));
    let ask = floor.ask("x", "m", "a b");
    let id = ask.id;
    floor.offer(ask);
    floor.up("b", false);
    floor.retry(id, 0);
    assert_eq!(floor.sent(), [(id, "a".into()), (id, "a".into())]);
}

#[test]
fn a_fallback_serves_only_where_no_first_choice_does() {
    let mut floor = Floor::new(room(1));
    let send = |floor: &mut Floor| {
        let ask = floor.ask("x", "m", "a | b");
        floor.offer(ask);
        floor.sent().into_iter().map(|(_, to)| to).next()
    };
    assert_eq!(send(&mut floor).as_deref(), Some("a"));
    // Full is not down: it waits.
    assert_eq!(send(&mut floor), None);
    floor.up("a", false);
    assert_eq!(floor.sent(), [(2, "b".into())]);
    floor.served(2);
    floor.up("a", true);
    floor.served(1);
    assert_eq!(send(&mut floor).as_deref(), Some("a"));
    floor.retry(3, 0);
    assert_eq!(floor.sent(), [(3, "b".into())]);
}

#[test]
fn one_that_rests_ends_what_it_has_and_who_comes_waits_or_goes_elsewhere() {
    let mut floor = Floor::new(room(2));
    let first = floor.come("x");
    assert_eq!(floor.sent(), [(first, "a".into())]);
    floor.machine.rest("a", floor.now);
    // Its room is free, and it is down: it is being started anew, and is waited for.
    floor.up("a", false);
    let waits = floor.come("x");
    let ask = floor.ask("x", "m", "a b");
    let (goes, _) = (ask.id, floor.offer(ask));
    assert_eq!(floor.sent(), [(goes, "b".into())]);
    assert!(floor.backend("a").resting && floor.backend("a").in_flight == 1);
    let late = Ask { deadline: floor.now + 1000, ..floor.ask("x", "m", "a") };
    let late = (late.id, floor.offer(late)).0;
    floor.pass(1000);
    assert_eq!(floor.refused.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [late]);
    let why = &floor.refused[0].1.reason;
    assert_eq!(why, "No backend can answer: a is being stopped or started anew.");
    floor.served(first);
    assert!(floor.sent().is_empty(), "nothing is given to it, whoever ended there");
    // Two keep it so: it serves when the later one is done.
    floor.machine.rest("a", floor.now);
    floor.up("a", true);
    floor.machine.rested("a", floor.now);
    floor.hear();
    assert!(floor.sent().is_empty());
    floor.machine.rested("a", floor.now);
    floor.hear();
    assert_eq!(floor.sent(), [(waits, "a".into())]);
    assert!(!floor.backend("a").resting);
}

#[test]
fn nobody_comes_to_wait_for_one_that_is_stopped_and_a_word_brings_it_back() {
    let mut floor = Floor::new(room(1));
    let first = floor.come("x");
    assert_eq!(floor.sent(), [(first, "a".into())]);
    floor.machine.retire("a", floor.now);
    let late = floor.come("x");
    let why = "No backend can answer: a is being stopped or started anew.";
    assert_eq!((floor.refused[0].0, &*floor.refused[0].1.reason), (late, why));
    let elsewhere = floor.ask("x", "m", "a b");
    let goes = (elsewhere.id, floor.offer(elsewhere)).0;
    assert_eq!(floor.sent(), [(goes, "b".into())], "another one that has it is asked");
    // One that is started anew meanwhile is not waited for either, as long as it is to go.
    floor.machine.rest("a", floor.now);
    floor.come("x");
    assert_eq!(floor.refused.len(), 2);
    floor.machine.retired("a", floor.now);
    let last = floor.come("x");
    assert_eq!(floor.refused.len(), 2);
    floor.machine.rested("a", floor.now);
    floor.served(first);
    assert_eq!(floor.sent(), [(last, "a".into())]);
}

#[test]
fn what_was_cut_off_by_a_restart_is_answered_by_it_at_once_afterwards() {
    let mut floor = Floor::new(room(2));
    floor.set(|limits| {
        limits.breaker = BreakerLimits { failures: 1, pause: 5000, ..limits.breaker };
    });
    let one = floor.come("x");
    floor.machine.rest("a", floor.now);
    floor.retry(one, 0);
    assert_eq!(floor.sent(), [(one, "a".into())], "before the restart");
    floor.machine.rested("a", floor.now);
    floor.hear();
    assert_eq!(floor.sent(), [(one, "a".into())], "its breaker's pause is not waited for");
}

#[test]
fn where_no_backend_is_up_a_request_is_refused_at_once() {
    let mut floor = Floor::new(room(1));
    floor.up("a", false);
    floor.come("x");
    let refusal = floor.refused[0].1.clone();
    assert_eq!(refusal.limit, Limit::Backends);
    assert_eq!(refusal.reason, "No backend can answer: a is down.");
    assert_eq!(refusal.retry_after, Some(2000));
}

#[test]
fn whoever_waits_when_a_backend_goes_down_is_served_when_it_is_back() {
    let mut floor = Floor::new(room(1));
    let ids = floor.come_many("x", 2);
    floor.up("a", false);
    floor.end(ids[0], Outcome::Failed);
    floor.pass(30_000);
    assert_eq!((floor.granted(), floor.refused()), (vec![ids[0]], vec![]));
    floor.up("a", true);
    assert_eq!(floor.granted(), ids[1..]);
}

#[test]
fn a_conversation_returns_to_the_backend_that_knows_it() {
    let mut floor = Floor::new(room(2));
    let say = |floor: &mut Floor, hash| {
        let mut ask = floor.ask("x", "m", "a b");
        ask.policy = Balance::PrefixAffinity;
        ask.hash = hash;
        let id = ask.id;
        floor.offer(ask);
        (id, floor.sent()[0].1.clone())
    };
    let (one, first) = say(&mut floor, 7);
    let (two, second) = say(&mut floor, 8);
    assert_eq!((first.as_str(), second.as_str()), ("a", "b"));
    floor.served(two);
    // `a` has more to do, and still gets its conversation back.
    assert_eq!(say(&mut floor, 7).1, "a");
    // Full: another answers, and knows the conversation from now on.
    assert_eq!(say(&mut floor, 7).1, "b");
    floor.served(one);
    assert_eq!(say(&mut floor, 7).1, "b");
}

#[test]
fn a_list_made_anew_is_the_same_list() {
    let mut floor = Floor::new(room(8));
    for expected in ["a", "b", "a", "b"] {
        let mut ask = floor.ask("x", "m", "a b");
        ask.candidates = list("a b");
        ask.policy = Balance::RoundRobin;
        floor.offer(ask);
        assert_eq!(floor.sent()[0].1, expected);
    }
}
