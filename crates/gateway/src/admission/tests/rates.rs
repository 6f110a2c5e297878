//! Room in tokens, and rates by the minute.

use super::*;

fn kv(tokens: u64) -> Limits {
    let mut limits = room(8);
    limits.backend.kv_tokens = Some(tokens);
    limits
}

fn sized(floor: &mut Floor, tokens: u32) -> Id {
    let mut ask = floor.ask("x", "m", "a");
    ask.tokens = tokens;
    let id = ask.id;
    floor.offer(ask);
    id
}

#[test]
fn tokens_in_flight_stay_within_the_kv_room() {
    let mut floor = Floor::new(kv(1000));
    let ids = [600, 400, 1].map(|tokens| sized(&mut floor, tokens));
    assert_eq!(floor.granted(), ids[..2]);
    assert_eq!(floor.backend("a").kv_used, 1000);
    floor.served(ids[1]);
    assert_eq!(floor.granted(), ids[2..]);
}

#[test]
fn a_large_request_is_not_overtaken_for_ever_by_small_ones() {
    let mut floor = Floor::new(kv(1000));
    let small = [500, 400].map(|tokens| sized(&mut floor, tokens));
    let large = sized(&mut floor, 900);
    // Others in other lines want the same backend: they wait behind it, too.
    let mut others = ["a", "a b"].map(|backends| floor.ask("y", "other", backends));
    let [here, elsewhere] = [others[0].id, others[1].id];
    for other in &mut others {
        other.tokens = 100;
        floor.offer(other.clone());
    }
    assert_eq!(floor.sent()[2..], [(elsewhere, "b".into())]);
    let after = sized(&mut floor, 100);
    floor.served(small[0]);
    assert_eq!(floor.granted(), NOBODY);
    floor.served(small[1]);
    assert_eq!(floor.granted(), [large, here]);
    floor.served(large);
    assert_eq!(floor.granted(), [after]);
}

#[test]
fn nobody_waits_behind_one_that_waits_for_tokens_and_then_for_its_client() {
    let mut limits = kv(1000);
    limits.gates.cpu = Some(Gate { mode: GateMode::Enforce, close: 90.0, open: 80.0 });
    named(&mut limits, "y", |client| client.in_flight = Some(1));
    let mut floor = Floor::new(limits);
    sized(&mut floor, 200);
    floor.machine.pressure(Pressure { cpu: Some(95.0), ..Pressure::default() }, 0);
    let mut offer = |client: &str, model: &str, backends: &str, tokens| {
        let mut ask = floor.ask(client, model, backends);
        ask.tokens = tokens;
        floor.offer(ask.clone());
        ask.id
    };
    offer("y", "m", "a", 900);
    let behind = offer("z", "m", "a", 10);
    let takes_the_room = offer("y", "n", "b", 10);
    floor.granted();
    floor.machine.pressure(Pressure { cpu: Some(5.0), ..Pressure::default() }, 0);
    floor.hear();
    assert_eq!(floor.granted(), [takes_the_room, behind]);
}

#[test]
fn what_no_backend_could_ever_hold_is_refused_at_once() {
    let mut floor = Floor::new(kv(1000));
    let too_big = sized(&mut floor, 1001);
    assert_eq!(
        floor.refused[0].1.reason,
        "It may take 1001 tokens, and no backend that could answer holds more than 1000."
    );
    assert_eq!(floor.refused(), [(too_big, Limit::Tokens)]);
    sized(&mut floor, 1000);
    let waits = sized(&mut floor, 900);
    floor.set(|limits| limits.backend.kv_tokens = Some(800));
    assert_eq!(floor.refused(), [(waits, Limit::Tokens)]);
}

#[test]
fn one_too_large_for_the_backend_that_serves_waits_alone_for_the_other() {
    let mut floor = Floor::new(kv(1000));
    floor.set(|limits| {
        let large = BackendLimits { room: Some(8), kv_tokens: Some(5000), adaptive: None };
        limits.backends.insert("b".into(), large);
    });
    floor.up("b", false);
    let mut ask = floor.ask("x", "m", "a b");
    ask.tokens = 2000;
    let large = ask.id;
    floor.offer(ask);
    let ask = floor.ask("y", "m", "a b");
    let small = ask.id;
    floor.offer(ask);
    assert_eq!(floor.sent(), [(small, "a".into())]);
    floor.up("b", true);
    assert_eq!(floor.sent(), [(large, "b".into())]);
}

#[test]
fn a_rate_makes_wait_and_refuses_what_would_wait_too_long() {
    let mut floor = Floor::new(room(200));
    floor.set(|limits| named(limits, "x", |client| client.requests_per_minute = Some(60)));
    let ids = floor.come_many("x", 120);
    assert_eq!(floor.granted(), ids[..60]);
    assert_eq!((floor.refused(), floor.machine.next_due()), (vec![], Some(1000)));
    let too_many = floor.come("x");
    assert_eq!(floor.refused[0].1.limit, Limit::Rate);
    assert_eq!(floor.refused[0].1.retry_after, Some(61_000));
    assert_eq!(
        floor.refused[0].1.reason,
        "The client x has used up its rate of 60 requests a minute; there is more in 61 s."
    );
    assert_eq!(floor.refused(), [(too_many, Limit::Rate)]);
    let other = floor.come("y");
    assert_eq!(floor.granted(), [other]);
    floor.pass(999);
    assert_eq!(floor.granted(), NOBODY);
    for id in &ids[60..] {
        floor.pass(if *id == ids[60] { 1 } else { 1000 });
        assert_eq!(floor.granted(), [*id]);
    }
}

#[test]
fn tokens_are_charged_as_estimated_and_settled_as_they_were() {
    let mut floor = Floor::new(room(100));
    floor.set(|limits| named(limits, "x", |client| client.tokens_per_minute = Some(6000)));
    let first = sized(&mut floor, 6000);
    let second = sized(&mut floor, 500);
    assert_eq!((floor.granted(), floor.machine.next_due()), (vec![first], Some(5000)));
    floor.machine.release(first, Outcome::Served, Some(5600), 0);
    floor.hear();
    assert_eq!(floor.machine.next_due(), Some(1000));
    floor.pass(1000);
    assert_eq!(floor.granted(), [second]);
}

#[test]
fn a_refusal_names_the_rate_that_is_used_up_and_not_the_other() {
    let mut floor = Floor::new(room(100));
    floor.set(|limits| {
        named(limits, "x", |client| {
            (client.requests_per_minute, client.tokens_per_minute) = (Some(600), Some(6000));
        });
    });
    // One has a minute's worth, two wait for theirs, and the fourth would wait too long.
    for _ in 0..4 {
        sized(&mut floor, 6000);
    }
    assert_eq!(
        floor.refused[0].1.reason,
        "The client x has used up its rate of 6000 tokens a minute; there is more in 2 min."
    );
}

#[test]
fn a_retry_is_not_charged_again() {
    let mut floor = Floor::new(room(100));
    floor.set(|limits| named(limits, "x", |client| client.requests_per_minute = Some(1)));
    let id = floor.come("x");
    floor.retry(id, 0);
    assert_eq!(floor.granted(), [id, id]);
    // One a minute: the next one is due a minute after the first, not two.
    floor.come("x");
    assert_eq!(floor.machine.next_due(), Some(60_000));
}
