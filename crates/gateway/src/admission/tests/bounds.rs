//! What nobody needs any more is forgotten.

use super::*;

#[test]
fn names_that_come_once_are_forgotten() {
    let mut floor = Floor::new(room(8));
    for name in 0..20_000_u32 {
        let mut ask = floor.ask(&name.to_string(), &name.to_string(), "a");
        ask.candidates = list(&format!("a b{name}"));
        let id = ask.id;
        floor.offer(ask);
        floor.served(id);
    }
    assert!(floor.machine.clients.len() <= 1024, "{}", floor.machine.clients.len());
    assert!(floor.machine.models.len() <= 1024, "{}", floor.machine.models.len());
    assert!(floor.machine.groups.len() <= 64, "{}", floor.machine.groups.len());
    assert!(floor.machine.backends.len() <= 65, "{}", floor.machine.backends.len());
}

#[test]
fn moves_that_nobody_asks_for_are_forgotten_in_the_end() {
    let mut floor = Floor::new(room(8));
    for _ in 0..500 {
        floor.set(|limits| {
            limits.gates.cpu = Some(Gate { mode: GateMode::Observe, close: 90.0, open: 80.0 });
        });
        floor.machine.pressure(Pressure { cpu: Some(95.0), ..Pressure::default() }, 0);
        floor.machine.pressure(Pressure { cpu: Some(5.0), ..Pressure::default() }, 0);
    }
    assert_eq!(floor.machine.moves().count(), 256);
}
