//! What moves by itself: adaptive limits and gates.

use super::*;

#[test]
fn an_adaptive_limit_is_what_is_admitted_and_its_moves_are_told() {
    let mut floor = Floor::new(room(8));
    floor.set(|limits| {
        limits.backend.room = None;
        limits.backend.adaptive =
            Some(AdaptiveLimits { min: 2, max: 32, ..AdaptiveLimits::default() });
    });
    let ids = floor.come_many("x", 90);
    let begin = floor.granted().len();
    assert_eq!(floor.backend("a").adaptive, u32::try_from(begin).ok());
    for id in &ids[..40] {
        floor.now += 1000;
        floor.first_byte(*id);
        floor.served(*id);
    }
    assert!(floor.machine.in_flight() as usize > begin);
    let moves: Vec<_> = floor.machine.moves().collect();
    assert!((1..=4).contains(&moves.len()), "{moves:?}");
    for pair in moves.windows(2) {
        assert!(pair[1].at - pair[0].at >= 10_000);
        let (Moved::Adaptive { to, .. }, Moved::Adaptive { from, .. }) =
            (&pair[0].what, &pair[1].what)
        else {
            panic!("{pair:?}")
        };
        assert_eq!(to, from);
    }
}

#[test]
fn an_adaptive_limit_learns_from_first_tokens_alone() {
    let mut floor = Floor::new(room(8));
    floor.set(|limits| {
        limits.backend.room = None;
        limits.backend.adaptive =
            Some(AdaptiveLimits { min: 2, max: 32, ..AdaptiveLimits::default() });
    });
    let ids = floor.come_many("x", 90);
    let begin = floor.backend("a").adaptive;
    for id in &ids[..40] {
        floor.now += 1000;
        floor.machine.answered(*id, floor.now);
        floor.served(*id);
    }
    assert_eq!(floor.backend("a").adaptive, begin, "whole answers and refusals teach nothing");
}

#[test]
fn a_gate_that_is_enforced_holds_everybody_until_it_opens() {
    let mut floor = Floor::new(room(8));
    let gate =
        |mode| Gates { memory: Some(Gate { mode, close: 10.0, open: 15.0 }), ..Gates::default() };
    floor.set(|limits| limits.gates = gate(GateMode::Enforce));
    let runs = floor.come("x");
    let free = |at| Pressure { memory_available: Some(at), ..Pressure::default() };
    floor.machine.pressure(free(8.0), 0);
    let waits = floor.come("x");
    let mut ask = floor.ask("x", "m", "a");
    ask.deadline = 5000;
    let short = ask.id;
    floor.offer(ask);
    assert_eq!(floor.granted(), [runs]);
    assert!(floor.machine.under_pressure());
    floor.pass(5000);
    assert_eq!(
        floor.refused[0].1.reason,
        "Nothing is admitted: only 8 % of memory is available, 10 % is the least."
    );
    assert_eq!(floor.refused(), [(short, Limit::Pressure)]);
    floor.machine.pressure(free(20.0), floor.now);
    floor.hear();
    assert_eq!(floor.granted(), [waits]);
    // Observing, it holds nobody, and counts.
    floor.set(|limits| limits.gates = gate(GateMode::Observe));
    floor.machine.pressure(free(8.0), floor.now);
    let passes = floor.come("x");
    assert_eq!(floor.granted(), [passes]);
    assert_eq!(floor.machine.snapshot().gates[0].met, 3);
}
