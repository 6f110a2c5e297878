use plimsoll_core::clock::{Clock, ManualClock};
use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;

fn held(clock: &ManualClock, minutes: u32) -> Machine {
    let steps = vec![Step::model("o", "Ollama", "a"), Step::model("o", "Ollama", "b")];
    let mut machine = Machine::begin(clock.now(), minutes, Vec::new(), steps, Some(9));
    for at in 0..2 {
        assert_eq!(machine.next(), Next::Free(at));
        machine.asked(at);
        machine.freed(at);
    }
    assert_eq!(machine.next(), Next::Measure);
    machine.measured(Some(1));
    machine
}

#[test]
fn what_was_taken_first_is_brought_back_last() {
    let clock = ManualClock::at(0);
    let mut machine = held(&clock, 60);
    assert_eq!((machine.state, machine.next()), (HoldState::Held, Next::Wait));
    assert!(machine.end());
    assert_eq!(machine.next(), Next::Restore(1));
    machine.restored(1);
    assert_eq!(machine.next(), Next::Restore(0));
    machine.lost(0, "It is down.");
    assert_eq!(machine.next(), Next::Nothing);
    machine.over();
    let told = machine.told();
    assert_eq!(told.state, HoldState::Ended);
    assert!(told.steps[1].restored && told.steps[0].freed && !told.steps[0].restored);
    assert_eq!(told.steps[0].trouble, "It is down.");
    // What was lost can be tried once more, and nothing else.
    assert!(machine.end());
    assert_eq!(machine.next(), Next::Restore(0));
    machine.restored(0);
    machine.over();
    assert!(!machine.end());
}

#[test]
fn its_end_counts_sleep_and_follows_a_clock_that_is_set() {
    let clock = ManualClock::at(1_000_000_000);
    let mut machine = held(&clock, 60);
    clock.advance_ms(10 * MINUTE);
    assert!(!machine.pass(clock.now()));
    // Somebody sets the clock by a day, forward and back: the hour stays an hour.
    for day in [86_400_000, -2 * 86_400_000] {
        let until_ms = machine.until_ms;
        clock.step_wall_ms(day);
        assert!(machine.pass(clock.now()));
        assert_eq!(machine.until_ms, until_ms + day);
        assert_eq!((machine.state, machine.left_ms(clock.now())), (HoldState::Held, 50 * MINUTE));
    }
    clock.suspend_ms(49 * MINUTE);
    assert!(!machine.pass(clock.now()));
    clock.suspend_ms(MINUTE);
    assert!(machine.pass(clock.now()));
    assert_eq!(machine.state, HoldState::Restoring);
}

#[test]
fn after_a_restart_the_rest_of_the_time_is_left_and_never_more_than_all_of_it() {
    let clock = ManualClock::at(1_000_000_000);
    let kept = serde_json::to_string(&held(&clock, 60)).unwrap();
    let again = |wall_ms: i64| {
        let clock = ManualClock::at(wall_ms);
        let machine = serde_json::from_str::<Machine>(&kept).unwrap().resume(clock.now());
        machine.left_ms(clock.now()) / MINUTE
    };
    assert_eq!(again(1_000_000_000 + 20 * MINUTE), 40);
    assert_eq!(again(1_000_000_000 + 600 * MINUTE), 0);
    // The clock of a machine without a battery begins in 1970.
    assert_eq!(again(0), 60);
}

#[test]
fn what_was_asked_before_a_restart_is_asked_again() {
    let clock = ManualClock::at(0);
    let steps = vec![Step::model("o", "Ollama", "a"), Step::model("o", "Ollama", "b")];
    let mut machine = Machine::begin(clock.now(), 5, Vec::new(), steps, None);
    machine.asked(0);
    let machine = machine.resume(clock.now());
    assert_eq!(machine.next(), Next::Free(0));
    // One that was to be over by then: what may have been taken is looked after.
    let mut machine = held(&clock, 5);
    machine.end();
    machine.asked(1);
    assert_eq!(machine.resume(clock.now()).next(), Next::Restore(1));
}

#[test]
fn an_end_in_the_middle_leaves_what_was_not_begun() {
    let clock = ManualClock::at(0);
    let steps = vec![Step::model("o", "Ollama", "a"), Step::model("o", "Ollama", "b")];
    let mut machine = Machine::begin(clock.now(), 5, Vec::new(), steps, None);
    machine.asked(0);
    assert!(machine.end());
    machine.freed(0);
    assert_eq!(machine.next(), Next::Restore(0));
    machine.restored(0);
    assert_eq!(machine.next(), Next::Nothing);
    let told = machine.told();
    assert!(!told.steps[1].freed && told.steps[1].trouble.contains("before its turn"));
}

#[test]
fn a_service_that_plimsoll_runs_is_stopped_where_its_model_cannot_go() {
    let clock = ManualClock::at(0);
    let mut steps = vec![Step::model("l", "llama", "a"), Step::model("l", "llama", "b")];
    steps.iter_mut().for_each(|step| step.can_stop = true);
    steps.push(Step::model("o", "Ollama", "c"));
    let mut machine = Machine::begin(clock.now(), 5, Vec::new(), steps, None);
    machine.asked(0);
    machine.refused(0, "no");
    let told = |machine: &Machine| -> Vec<(String, Option<String>, bool)> {
        machine.told().steps.into_iter().map(|s| (s.service, s.model, s.freed)).collect()
    };
    let list = |freed| {
        let model = |service: &str, model: &str| (service.into(), Some(model.into()), freed);
        [model("l", "a"), model("l", "b"), ("l".into(), None, freed), model("o", "c")]
    };
    assert_eq!(told(&machine), list(false));
    assert_eq!(machine.next(), Next::Free(2), "models are not asked once more");
    machine.asked(2);
    // Where it is not stopped either, nothing was taken away.
    let mut kept = machine.clone();
    kept.refused(2, "no");
    assert_eq!((kept.steps.len(), kept.next()), (4, Next::Free(3)));
    machine.freed(2);
    machine.freed(3);
    assert_eq!(told(&machine), list(true));
    machine.measured(None);
    machine.end();
    for at in [3, 2, 1, 0] {
        assert_eq!(machine.next(), Next::Restore(at), "the server before its models");
        machine.restored(at);
    }
}

#[test]
fn what_came_while_it_began_is_taken_too_and_nothing_is_asked_twice() {
    let clock = ManualClock::at(0);
    let model = |service: &str, name: &str| Step::model(service, service, name);
    let mut machine = held(&clock, 5);
    machine.state = HoldState::Freeing;
    assert!(!machine.add_late(vec![model("o", "a"), Step::stop("o", "Ollama")]), "it let them go");
    assert!(!machine.add_late(vec![Step::spared("v", "v", "It cannot.")]));
    assert_eq!(machine.next(), Next::Measure);
    assert!(machine.add_late(vec![model("o", "c"), Step::stop("l", "llama")]));
    assert_eq!((machine.steps.len(), machine.next()), (4, Next::Free(2)));
    machine.refused(3, "no");
    assert!(!machine.add_late(vec![model("l", "m"), Step::stop("l", "llama")]));
    machine.state = HoldState::Held;
    machine.end();
    assert!(!machine.add_late(vec![model("p", "x")]), "it is over");
}

#[test]
fn what_goes_late_counts_as_freed_and_is_brought_back() {
    let clock = ManualClock::at(0);
    let steps = vec![Step::model("o", "Ollama", "a")];
    let mut machine = Machine::begin(clock.now(), 5, Vec::new(), steps, None);
    machine.asked(0);
    machine.refused(0, "a still works on a request");
    machine.measured(None);
    assert!(!machine.told().steps[0].freed);
    assert!(machine.went("o", "a") && !machine.went("o", "a"));
    assert!(machine.told().steps[0].freed && machine.told().steps[0].trouble.is_empty());
}

proptest! {
    /// Whatever is refused, extended, ended, resumed and when: what was taken away is brought back
    /// or lost with a word, and there is an end.
    #[test]
    fn nothing_that_was_taken_away_is_forgotten(
        words in prop::collection::vec((0u8..12, any::<bool>()), 0..200),
        count in 0usize..6,
        managed in any::<bool>(),
    ) {
        let clock = ManualClock::at(1_000_000);
        let step = |n: usize| {
            Step { can_stop: managed, ..Step::model("o", "Ollama", &n.to_string()) }
        };
        let steps = (0..count).map(step).collect();
        let mut machine = Machine::begin(clock.now(), 5, Vec::new(), steps, None);
        let mut words = words.into_iter();
        let mut taken = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let (word, yes) = words.next().unwrap_or((11, true));
            match word {
                0 => machine.extend(clock.now(), 5),
                1 => drop(machine.end()),
                2 => machine.add(vec![step(usize::from(yes))]),
                3 => {
                    let kept = serde_json::to_string(&machine).unwrap();
                    machine = serde_json::from_str::<Machine>(&kept).unwrap().resume(clock.now());
                }
                4 => clock.step_wall_ms(if yes { 100_000 } else { -100_000 }),
                _ => {}
            }
            clock.advance_ms(10_000);
            machine.pass(clock.now());
            match machine.next() {
                Next::Free(at) => {
                    machine.asked(at);
                    if yes {
                        taken.insert((machine.steps[at].service.clone(), machine.steps[at].model.clone()));
                        machine.freed(at);
                    } else {
                        machine.refused(at, "No.");
                    }
                }
                Next::Measure => machine.measured(None),
                Next::Restore(at) if machine.steps[at].phase == Phase::Refused => machine.kept(at),
                Next::Restore(at) if yes => machine.restored(at),
                Next::Restore(at) => machine.lost(at, "It is down."),
                Next::Nothing if machine.is_on() => machine.over(),
                Next::Nothing if words.len() == 0 => break,
                Next::Nothing | Next::Wait => {}
            }
            prop_assert!(machine.steps.len() <= MAX_STEPS);
        }
        prop_assert_eq!(machine.state, HoldState::Ended);
        for (service, model) in taken {
            let told = machine.told();
            let step = told.steps.iter().find(|s| s.service == service && s.model == model);
            let step = step.expect("it is on the list");
            prop_assert!(step.restored || !step.trouble.is_empty(), "{:?}", step);
        }
    }
}

// MV13
#[test]
fn there_are_few_steps() {
    let clock = ManualClock::at(0);
    let mut machine = Machine::begin(clock.now(), 5, Vec::new(), Vec::new(), None);
    let many = |n| (0..n).map(|n| Step::model("o", "Ollama", &n.to_string())).collect();
    machine.add(many(1000));
    machine.add(many(10));
    assert_eq!(machine.steps.len(), MAX_STEPS);
}
