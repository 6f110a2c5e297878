//! The machine, call by call.

use std::{collections::BTreeMap, sync::Arc};

use plimsoll_core::{
    config::gateway::{Balance, GateMode},
    request::Priority,
    traffic::BreakerState,
};

use super::{
    AdaptiveLimits, Admission, Ask, BackendLimits, BackendView, BreakerLimits, Candidate,
    ClientLimits, Gate, Gates, Grant, Id, Limit, Limits, Moved, Ms, Offered, Outcome, Pressure,
    Refusal,
};

const NOBODY: [Id; 0] = [];

/// A machine, the time, and what was decided.
struct Floor {
    machine: Admission,
    now: Ms,
    next: Id,
    granted: Vec<Grant>,
    refused: Vec<(Id, Refusal)>,
    lists: BTreeMap<String, Arc<[Candidate]>>,
}

impl Floor {
    fn new(limits: Limits) -> Self {
        Self {
            machine: Admission::new(limits),
            now: 0,
            next: 1,
            granted: Vec::new(),
            refused: Vec::new(),
            lists: BTreeMap::new(),
        }
    }

    /// `backends`: `a b | c` are two equals and their fallback.
    fn ask(&mut self, client: &str, model: &str, backends: &str) -> Ask {
        self.next += 1;
        let list = self.lists.entry(backends.into()).or_insert_with(|| list(backends));
        Ask {
            id: self.next - 1,
            client: client.into(),
            model: model.into(),
            priority: Priority::Interactive,
            tokens: 0,
            deadline: self.now + 60_000,
            candidates: list.clone(),
            policy: Balance::LeastInFlight,
            hash: 0,
        }
    }

    fn offer(&mut self, ask: Ask) -> Offered {
        let id = ask.id;
        let offered = self.machine.offer(ask, self.now);
        match &offered {
            Offered::Granted(grant) => self.granted.push(grant.clone()),
            Offered::Refused(refusal) => self.refused.push((id, refusal.clone())),
            Offered::Queued(_) => {}
        }
        self.hear();
        offered
    }

    /// Offers one for backend `a` from `client`; its id.
    fn come(&mut self, client: &str) -> Id {
        let ask = self.ask(client, "m", "a");
        let id = ask.id;
        self.offer(ask);
        id
    }

    fn come_many(&mut self, client: &str, many: usize) -> Vec<Id> {
        (0..many).map(|_| self.come(client)).collect()
    }

    fn end(&mut self, id: Id, outcome: Outcome) {
        self.machine.release(id, outcome, None, self.now);
        self.hear();
    }

    fn served(&mut self, id: Id) {
        self.end(id, Outcome::Served);
    }

    fn first_byte(&mut self, id: Id) {
        self.machine.answered(id, self.now);
        self.machine.first_token(id, 50.0, self.now);
        self.hear();
    }

    fn retry(&mut self, id: Id, delay: Ms) {
        self.machine.retry(id, Outcome::Failed, delay, self.now);
        self.hear();
    }

    fn pass(&mut self, ms: Ms) {
        self.now += ms;
        self.machine.tick(self.now);
        self.hear();
    }

    fn set(&mut self, change: impl FnOnce(&mut Limits)) {
        let mut limits = self.machine.limits().clone();
        change(&mut limits);
        self.machine.set_limits(limits, self.now);
        self.hear();
    }

    fn up(&mut self, backend: &str, up: bool) {
        self.machine.up(backend, up, self.now);
        self.hear();
    }

    fn hear(&mut self) {
        for (id, decision) in self.machine.decisions() {
            match decision {
                Ok(grant) => self.granted.push(grant),
                Err(refusal) => self.refused.push((id, refusal)),
            }
        }
    }

    /// Ids granted since this was asked last, in order.
    fn granted(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.granted).into_iter().map(|grant| grant.id).collect()
    }

    /// Ids and backends granted since this was asked last.
    fn sent(&mut self) -> Vec<(Id, String)> {
        let granted = std::mem::take(&mut self.granted);
        granted.into_iter().map(|grant| (grant.id, grant.backend.to_string())).collect()
    }

    fn refused(&mut self) -> Vec<(Id, Limit)> {
        std::mem::take(&mut self.refused).into_iter().map(|(id, why)| (id, why.limit)).collect()
    }

    fn backend(&self, id: &str) -> BackendView {
        let backends = self.machine.snapshot().backends;
        backends.into_iter().find(|backend| &*backend.id == id).unwrap()
    }
}

fn list(backends: &str) -> Arc<[Candidate]> {
    let ranks = (0_u8..).zip(backends.split('|'));
    ranks
        .flat_map(|(rank, names)| {
            names.split_whitespace().map(move |name| Candidate {
                backend: name.into(),
                rank,
                weight: 1,
            })
        })
        .collect()
}

/// Room for so many at each backend.
fn room(room: u32) -> Limits {
    Limits {
        backend: BackendLimits { room: Some(room), ..BackendLimits::default() },
        breaker: BreakerLimits {
            failures: 3,
            pause: 1000,
            pause_max: 8000,
            ..BreakerLimits::default()
        },
        ageing: 10_000,
        ..Limits::default()
    }
}

fn named(limits: &mut Limits, name: &str, change: impl FnOnce(&mut ClientLimits)) {
    change(limits.clients.entry(name.into()).or_default());
}

// === Room ===

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
    assert_eq!((now.clients[0].in_flight, now.models[0].in_flight), (2, 2));
    // A retry is the same work again, not more work.
    floor.retry(ids[0], 0);
    let now = floor.machine.snapshot();
    assert_eq!((now.in_flight, now.clients[0].in_flight, now.models[0].in_flight), (2, 2, 2));
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

// === The line ===

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

// === Backends ===

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
fn where_no_backend_is_up_a_request_is_refused_at_once() {
    let mut floor = Floor::new(room(1));
    floor.up("a", false);
    floor.come("x");
    let refusal = floor.refused[0].1.clone();
    assert_eq!(refusal.limit, Limit::Backends);
    assert_eq!(refusal.reason, "No backend can answer: a is down.");
    assert_eq!(refusal.retry_after, Some(5000));
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

// === Breakers ===

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

// === Retries ===

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

// === Tokens and rates ===

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
    let mut floor = Floor::new(room(100));
    floor.set(|limits| named(limits, "x", |client| client.requests_per_minute = Some(60)));
    let ids = floor.come_many("x", 70);
    assert_eq!(floor.granted(), ids[..10]);
    assert_eq!((floor.refused(), floor.machine.next_due()), (vec![], Some(1000)));
    let too_many = floor.come("x");
    assert_eq!(floor.refused[0].1.limit, Limit::Rate);
    assert_eq!(floor.refused[0].1.retry_after, Some(61_000));
    assert_eq!(
        floor.refused[0].1.reason,
        "The client x has used up its rate; there is more in 61 s."
    );
    assert_eq!(floor.refused(), [(too_many, Limit::Rate)]);
    let other = floor.come("y");
    assert_eq!(floor.granted(), [other]);
    floor.pass(999);
    assert_eq!(floor.granted(), NOBODY);
    for id in &ids[10..] {
        floor.pass(if *id == ids[10] { 1 } else { 1000 });
        assert_eq!(floor.granted(), [*id]);
    }
}

#[test]
fn tokens_are_charged_as_estimated_and_settled_as_they_were() {
    let mut floor = Floor::new(room(100));
    floor.set(|limits| named(limits, "x", |client| client.tokens_per_minute = Some(6000)));
    let first = sized(&mut floor, 1000);
    let second = sized(&mut floor, 500);
    assert_eq!((floor.granted(), floor.machine.next_due()), (vec![first], Some(5000)));
    floor.machine.release(first, Outcome::Served, Some(600), 0);
    floor.hear();
    assert_eq!(floor.machine.next_due(), Some(1000));
    floor.pass(1000);
    assert_eq!(floor.granted(), [second]);
}

#[test]
fn a_retry_is_not_charged_again() {
    let mut floor = Floor::new(room(100));
    floor.set(|limits| named(limits, "x", |client| client.requests_per_minute = Some(6)));
    let id = floor.come("x");
    floor.retry(id, 0);
    assert_eq!(floor.granted(), [id, id]);
    // Six a minute: the next one is due ten seconds after the first, not twenty.
    floor.come("x");
    assert_eq!(floor.machine.next_due(), Some(10_000));
}

// === What moves by itself ===

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

// === Bounds ===

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
