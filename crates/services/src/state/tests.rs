use super::*;
use ServiceState::{Degraded, Down, Healthy, Starting};

const BUDGET: Duration = Duration::from_secs(2);

static REFUSED: CallError = CallError::Closed { place: String::new(), began: false };

fn refused() -> CallError {
    CallError::Refused { place: "127.0.0.1:8080".into() }
}

fn locked() -> CallError {
    CallError::WantsKey { place: "127.0.0.1:8080".into(), status: 401 }
}

/// Looks once a second; answers the state after each.
fn run(looks: &[Result<Condition, CallError>], started_ms: Option<i64>) -> Vec<ServiceState> {
    let mut machine = Machine::new(0);
    (1i64..)
        .zip(looks)
        .map(|(second, look)| {
            machine.take(Look {
                at_ms: second * 1000,
                outcome: look.as_ref(),
                took: Duration::from_millis(5),
                budget: BUDGET,
                process_started_ms: started_ms,
            });
            machine.state()
        })
        .collect()
}

/// These very sentences are read in `ui/src/pages/services/bands.test.ts`.
#[test]
fn the_sentence_of_a_change_says_which_state_began() {
    let told = |from, to, reason: &str| {
        let change = Change { from, to, reason: reason.into(), at_ms: 0, lasted_ms: 190_000 };
        words_of("chat", &change)
    };
    assert_eq!(told(Down, Healthy, ""), "chat is up again after 3 min");
    assert_eq!(told(Degraded, Healthy, ""), "chat is healthy");
    assert_eq!(told(Starting, Healthy, ""), "chat is healthy");
    assert_eq!(told(Healthy, Degraded, "wants a key"), "chat is degraded: wants a key");
    assert_eq!(told(Down, Degraded, ""), "chat is degraded");
    assert_eq!(told(Healthy, Down, "refused on :1"), "chat is down: refused on :1");
    assert_eq!(told(Down, Starting, "Loading model"), "chat is starting: Loading model");
}

// AA4
#[test]
fn states_follow_the_convention() {
    let ready = || Ok(Condition::Ready);
    let loading = || Ok(Condition::Loading("Loading model".into()));
    let ailing = || Ok(Condition::Ailing("answers /health with 500".into()));
    let no = || Err(refused());
    let cases: &[(&str, Vec<Result<_, _>>, &[ServiceState])] = &[
        ("well at once", vec![ready()], &[Healthy]),
        ("never there", vec![no(), no()], &[Starting, Down]),
        ("a moment is not down", vec![ready(), no(), ready()], &[Healthy, Healthy, Healthy]),
        ("twice is", vec![ready(), no(), no()], &[Healthy, Healthy, Down]),
        ("back at once", vec![no(), no(), ready()], &[Starting, Down, Healthy]),
        ("loads and is well", vec![loading(), loading(), ready()], &[Starting, Starting, Healthy]),
        ("says it is not well", vec![ready(), ailing(), ready()], &[Healthy, Degraded, Healthy]),
        ("wants a key", vec![Err(locked())], &[Degraded]),
        ("locked by its own word", vec![Ok(Condition::Locked("wants a key".into()))], &[Degraded]),
        (
            "answers that are none in between do not add up",
            vec![ready(), no(), ailing(), no(), ailing()],
            &[Healthy, Healthy, Degraded, Degraded, Degraded],
        ),
    ];
    for (what, looks, expected) in cases {
        assert_eq!(&run(looks, None), expected, "{what}");
    }
}

#[test]
fn what_answers_badly_is_degraded_and_what_is_another_program_is_down() {
    let place = || "127.0.0.1:1".to_string();
    let path = || "/health".to_string();
    let answers = [
        CallError::TooLarge { place: place(), limit_bytes: 1 },
        CallError::NotText { place: place(), path: path() },
        CallError::NotUnderstood { place: place(), path: path(), detail: String::new() },
        CallError::Status { place: place(), path: path(), status: 500 },
        CallError::TooSlow { place: place(), budget_ms: 1, began: true },
        CallError::Closed { place: place(), began: true },
    ];
    for error in answers {
        assert_eq!(run(&[Err(error.clone())], None), [Degraded], "{error}");
    }
    let silent = [
        CallError::TooSlow { place: place(), budget_ms: 1, began: false },
        CallError::Closed { place: place(), began: false },
        CallError::Unreachable { place: place(), detail: String::new() },
        CallError::NotHttp { place: place() },
        CallError::Redirected { place: place(), to: String::new() },
    ];
    for error in silent {
        let twice = [Ok(Condition::Ready), Err(error.clone()), Err(error.clone())];
        assert_eq!(run(&twice, None), [Healthy, Healthy, Down], "{error}");
    }
}

#[test]
fn a_process_that_just_started_is_starting_until_it_has_answered() {
    let no = || Err(refused());
    assert_eq!(run(&[no(), no(), no()], Some(0)), [Starting; 3]);
    // It has answered, so silence is no start any more.
    let looks = [Ok(Condition::Ready), no(), no()];
    assert_eq!(run(&looks, Some(0)), [Healthy, Healthy, Down]);
    // Its process is older than ten minutes.
    assert_eq!(run(&[no(), no()], Some(-START_MS)), [Starting, Down]);
    // A start that lies ahead is one before the clock was set back.
    assert_eq!(run(&[no(), no()], Some(99_000)), [Starting, Down]);
}

#[test]
fn a_process_that_is_known_only_after_its_service_answered_is_no_start() {
    let mut machine = Machine::new(0);
    let mut at = |at_ms, outcome: Result<&Condition, &CallError>, process_started_ms| {
        machine.take(Look {
            at_ms,
            outcome,
            took: Duration::ZERO,
            budget: BUDGET,
            process_started_ms,
        });
        machine.state()
    };
    assert_eq!(at(9000, Ok(&Condition::Ready), None), Healthy);
    let silent = [10_000, 11_000].map(|now| at(now, Err(&REFUSED), Some(5000)));
    assert_eq!(silent, [Healthy, Down]);
    // One that began since is a start.
    assert_eq!(at(13_000, Err(&REFUSED), Some(12_000)), Starting);
}

#[test]
fn a_model_that_loads_for_ever_is_down() {
    let mut machine = Machine::new(0);
    let loading = Condition::Loading("Loading model".into());
    let mut at = |at_ms| {
        machine.take(Look {
            at_ms,
            outcome: Ok(&loading),
            took: Duration::ZERO,
            budget: BUDGET,
            process_started_ms: None,
        });
        machine.state()
    };
    assert_eq!([at(0), at(START_MS), at(START_MS + 1000)], [Starting, Starting, Down]);
}

/// A server that a supervisor starts anew whenever it ends: it says that it loads for so long,
/// ends, and is there again after that. Answers its state after each look, once a second.
fn interrupted(machine: &mut Machine, seconds: i64, loads: i64, away: i64) -> Vec<ServiceState> {
    let loading = Condition::Loading("Loading model".into());
    let look = |second: i64| {
        let (nth, within) = (second / (loads + away), second % (loads + away));
        let started_ms = (within < loads).then_some(nth * (loads + away) * 1000);
        machine.take(Look {
            at_ms: second * 1000,
            outcome: if within < loads { Ok(&loading) } else { Err(&REFUSED) },
            took: Duration::ZERO,
            budget: BUDGET,
            process_started_ms: started_ms,
        });
        machine.state()
    };
    (0..seconds).map(look).collect()
}

#[test]
fn a_load_that_is_interrupted_again_and_again_does_not_start_its_ten_minutes_anew() {
    let mut machine = Machine::new(0);
    let states = interrupted(&mut machine, 1200, 40, 5);
    assert_eq!(&states[..42], [[Starting; 41].as_slice(), &[Down]].concat(), "40 s, and it ends");
    assert_eq!(states[45], Starting, "it loads again");
    assert!(states[602..].iter().all(|state| *state == Down), "after 10 min nobody believes it");
    // Up once, it may take its time again.
    let ready = Look {
        at_ms: 1_201_000,
        outcome: Ok(&Condition::Ready),
        took: Duration::ZERO,
        budget: BUDGET,
        process_started_ms: None,
    };
    machine.take(ready);
    let loading = Condition::Loading("Loading model".into());
    machine.take(Look { at_ms: 1_202_000, outcome: Ok(&loading), ..ready });
    assert_eq!(machine.state(), Starting);
}

#[test]
fn what_was_away_for_long_has_its_time_to_start() {
    let mut machine = Machine::new(0);
    let states = interrupted(&mut machine, 1200, 40, 90);
    let starts = states.iter().filter(|state| **state == Starting).count();
    assert!(states[1170..].iter().all(|state| *state == Starting), "{starts}");
}

#[test]
fn a_process_that_starts_anew_and_never_answers_is_down_in_the_end() {
    let mut machine = Machine::new(0);
    let mut at = |second: i64| {
        machine.take(Look {
            at_ms: second * 1000,
            outcome: Err(&REFUSED),
            took: Duration::ZERO,
            budget: BUDGET,
            process_started_ms: Some(second / 30 * 30_000),
        });
        machine.state()
    };
    let states: Vec<_> = (0..660).map(&mut at).collect();
    assert!(states[..=600].iter().all(|state| *state == Starting));
    assert!(states[601..].iter().all(|state| *state == Down));
}

#[test]
fn slow_three_times_in_a_row_is_degraded_and_once_is_not() {
    let mut machine = Machine::new(0);
    let mut took = |ms| {
        machine.take(Look {
            at_ms: 0,
            outcome: Ok(&Condition::Ready),
            took: Duration::from_millis(ms),
            budget: BUDGET,
            process_started_ms: None,
        });
        machine.state()
    };
    let states = [1500, 1500, 10, 1500, 1500, 1500, 1500, 10].map(&mut took);
    let expected = [Healthy, Healthy, Healthy, Healthy, Healthy, Degraded, Degraded, Healthy];
    assert_eq!(states, expected);
}

#[test]
fn a_change_tells_both_states_the_reason_and_how_long_the_first_lasted() {
    let mut machine = Machine::new(0);
    let mut look = |at_ms, outcome: Result<&Condition, &CallError>| {
        machine.take(Look {
            at_ms,
            outcome,
            took: Duration::ZERO,
            budget: BUDGET,
            process_started_ms: None,
        })
    };
    let up = look(1000, Ok(&Condition::Ready)).unwrap();
    assert_eq!((up.from, up.to, up.reason.as_str()), (Starting, Healthy, ""));
    assert_eq!(look(2000, Ok(&Condition::Ready)), None);
    assert_eq!(look(61_000, Err(&refused())), None);
    let down = look(62_000, Err(&refused())).unwrap();
    assert_eq!((down.to, down.lasted_ms), (Down, 61_000));
    assert_eq!(down.reason, "refused on 127.0.0.1:8080");
    // The clock was set back by an hour: a span is never below zero.
    let up = look(-3_600_000, Ok(&Condition::Ready)).unwrap();
    assert_eq!(up.lasted_ms, 0);
}

#[test]
fn a_reason_is_a_sentence_however_much_a_server_says() {
    let mut machine = Machine::new(0);
    let said = Condition::Ailing("é".repeat(1_000_000));
    let change = machine.take(Look {
        at_ms: 0,
        outcome: Ok(&said),
        took: Duration::ZERO,
        budget: BUDGET,
        process_started_ms: None,
    });
    assert_eq!(machine.reason().chars().count(), LONGEST_REASON);
    assert_eq!(change.unwrap().reason, machine.reason());
}

#[test]
fn pauses_grow_while_there_is_no_answer() {
    let second = Duration::from_secs(1);
    let pauses: Vec<u64> = (0..8).map(|n| pause_after(n, second).as_secs()).collect();
    assert_eq!(pauses, [1, 1, 2, 5, 10, 30, 30, 30]);
    // Never more often than it was asked before.
    assert_eq!(pause_after(1, 10 * second).as_secs(), 10);
    assert_eq!(pause_after(u32::MAX, second).as_secs(), 30);
}

// MV17
#[test]
fn an_answer_about_health_is_kept_for_thirty_seconds() {
    assert!(is_fresh(Some(1000), 1000) && is_fresh(Some(1000), 31_000));
    assert!(!is_fresh(Some(1000), 31_001));
    assert!(!is_fresh(None, 0));
    assert!(!is_fresh(Some(1000), 999), "the clock was set back");
}
