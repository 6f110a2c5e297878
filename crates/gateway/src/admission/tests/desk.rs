//! The desk, on a clock that stands until everybody waits.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use plimsoll_core::{config::gateway::Balance, request::Priority, traffic::BreakerState};

use crate::admission::{
    Ask, BackendLimits, BreakerLimits, Candidate, ClientLimits, Desk, Id, Limit, Limits, Outcome,
    Permit,
};

const SECOND: Duration = Duration::from_secs(1);

fn room(room: u32) -> Limits {
    Limits {
        backend: BackendLimits { room: Some(room), ..BackendLimits::default() },
        breaker: BreakerLimits { failures: 1, pause: 1000, ..BreakerLimits::default() },
        ..Limits::default()
    }
}

fn ask(desk: &Desk, id: Id, wait: Duration) -> Ask {
    let one = |name: &str| Candidate { backend: name.into(), rank: 0, weight: 1 };
    Ask {
        id,
        client: "x".into(),
        model: "m".into(),
        priority: Priority::Interactive,
        tokens: 10,
        deadline: desk.deadline_in(wait),
        candidates: Arc::new([one("a")]),
        policy: Balance::LeastInFlight,
        hash: 0,
    }
}

/// Lets every task that can go on go on; no time passes.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn admitted(desk: &Desk, id: Id) -> Permit {
    desk.admit(ask(desk, id, SECOND)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn with_n_held_open_the_next_waits_until_one_ends() {
    let desk = Desk::new(room(4));
    let mut open = Vec::new();
    for id in 0..4 {
        open.push(admitted(&desk, id).await);
    }
    let mut next = desk.admit(ask(&desk, 4, 60 * SECOND));
    assert_eq!(next.place().map(|place| place.position), Some(1));
    tokio::time::advance(30 * SECOND).await;
    settle().await;
    assert!((&mut next).now_or_never().is_none());
    open.pop().unwrap().end(Outcome::Served, Some(7));
    let permit = next.await.unwrap();
    assert_eq!(permit.grant.waited, 30_000);
    assert_eq!(permit.place.map(|place| place.position), Some(1));
    assert_eq!((desk.in_flight(), desk.position(4)), (4, None));
}

#[tokio::test(start_paused = true)]
async fn one_that_rests_is_empty_when_the_last_that_runs_there_has_ended() {
    let desk = Desk::new(room(4));
    let (one, other) = (admitted(&desk, 0).await, admitted(&desk, 1).await);
    let rest = desk.rest("a");
    let mut next = desk.admit(ask(&desk, 2, 60 * SECOND));
    assert_eq!(rest.in_flight(), 2);
    {
        let mut empty = std::pin::pin!(rest.emptied());
        assert!((&mut empty).now_or_never().is_none());
        {
            let mut fewer = std::pin::pin!(rest.down_to(1));
            assert!((&mut fewer).now_or_never().is_none());
            one.end(Outcome::Served, Some(7));
            fewer.await;
        }
        assert!((&mut empty).now_or_never().is_none());
        // However it ended.
        drop(other);
        empty.await;
    }
    assert!((&mut next).now_or_never().is_none(), "there is room, and it takes nothing new");
    desk.up("a", false);
    tokio::time::advance(9 * SECOND).await;
    rest.serves();
    assert_eq!(next.await.unwrap().grant.waited, 9000);
    // One that nobody knows is empty.
    desk.rest("nobody").emptied().await;
}

#[tokio::test(start_paused = true)]
async fn with_eight_open_and_the_limit_set_to_two_the_next_goes_on_after_the_seventh_ended() {
    let desk = Desk::new(room(8));
    let mut open = Vec::new();
    for id in 0..8 {
        open.push(admitted(&desk, id).await);
    }
    desk.set_limits(room(2));
    let mut next = desk.admit(ask(&desk, 8, 60 * SECOND));
    for ended in 1..=7 {
        assert!((&mut next).now_or_never().is_none(), "after {} ended", ended - 1);
        drop(open.pop());
    }
    assert!(next.now_or_never().is_some_and(|permit| permit.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_without_anybody_asking() {
    let desk = Desk::new(room(1));
    let _held = admitted(&desk, 0).await;
    let before = desk.now();
    let refusal = desk.admit(ask(&desk, 1, 5 * SECOND)).await.unwrap_err();
    assert_eq!((refusal.limit, desk.now() - before), (Limit::Deadline, 5000));
    assert_eq!(desk.snapshot().queued, 0);
}

#[tokio::test(start_paused = true)]
async fn a_later_deadline_does_not_put_off_an_earlier_one() {
    let desk = Desk::new(room(1));
    let _held = admitted(&desk, 0).await;
    let late = desk.admit(ask(&desk, 1, 50 * SECOND));
    settle().await;
    let soon = desk.admit(ask(&desk, 2, 5 * SECOND));
    let (late, soon) = tokio::join!(async { (late.await.is_err(), desk.now()) }, async {
        (soon.await.is_err(), desk.now())
    },);
    assert_eq!((late, soon), ((true, 50_000), (true, 5000)));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_without_a_word_gives_its_room_back() {
    let desk = Desk::new(room(1));
    drop(admitted(&desk, 0).await);
    let view = desk.snapshot().backends.remove(0);
    assert_eq!((view.in_flight, view.unknown, view.kv_used), (0, 1, 0));
    admitted(&desk, 1).await.end(Outcome::Served, None);
    assert_eq!(desk.snapshot().backends[0].served, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_dropped_leaves_the_queue_and_what_was_granted_to_him_goes_on() {
    let desk = Desk::new(room(1));
    let held = admitted(&desk, 0).await;
    let leaves = desk.admit(ask(&desk, 1, SECOND));
    let granted_but_gone = desk.admit(ask(&desk, 2, SECOND));
    let mut stays = desk.admit(ask(&desk, 3, SECOND));
    drop(leaves);
    assert_eq!(desk.snapshot().queued, 2);
    held.end(Outcome::Served, None);
    assert!((&mut stays).now_or_never().is_none());
    drop(granted_but_gone);
    assert_eq!(stays.now_or_never().unwrap().unwrap().grant.id, 3);
    assert_eq!(desk.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_who_never_asks_what_became_of_him_holds_nothing_once_he_is_gone() {
    let desk = Desk::new(room(1));
    let at_once = desk.admit(ask(&desk, 0, SECOND));
    assert_eq!(desk.in_flight(), 1);
    drop(at_once);
    assert_eq!(desk.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rate_lets_the_next_go_on_when_it_is_due() {
    let mut limits = room(100);
    limits.client = ClientLimits { requests_per_minute: Some(60), ..ClientLimits::default() };
    let desk = Desk::new(limits);
    let mut waited = Vec::new();
    for id in 0..63 {
        waited.push(desk.admit(ask(&desk, id, 60 * SECOND)).await.unwrap().grant.waited);
    }
    assert_eq!(waited[59..], [0, 1000, 1000, 1000]);
}

// MV8
#[tokio::test(start_paused = true)]
async fn a_backend_that_failed_is_asked_again_by_one_when_its_pause_is_over() {
    let desk = Desk::new(room(8));
    admitted(&desk, 0).await.end(Outcome::Failed, None);
    let mut waiting: FuturesUnordered<_> =
        (1..6).map(|id| desk.admit(ask(&desk, id, 60 * SECOND))).collect();
    let probe = waiting.next().await.unwrap().unwrap();
    assert_eq!((probe.grant.probe, desk.now(), desk.in_flight()), (true, 1000, 1));
    settle().await;
    assert!(waiting.next().now_or_never().is_none());
    probe.end(Outcome::Served, None);
    let second = waiting.next().await.unwrap().unwrap();
    assert_eq!((second.grant.probe, desk.now(), desk.in_flight()), (false, 1000, 2));
    assert_eq!(desk.snapshot().backends[0].breaker.state, BreakerState::Passing);
    let turns: Vec<_> = desk.moves().into_iter().map(|told| told.at).collect();
    assert_eq!(turns, [0, 1000, 1000]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_pauses_without_room_and_then_goes_first() {
    let mut limits = room(1);
    limits.breaker.enabled = false;
    let desk = Desk::new(limits);
    let failed = admitted(&desk, 0).await;
    let other = desk.admit(ask(&desk, 1, 60 * SECOND));
    let third = desk.admit(ask(&desk, 2, 60 * SECOND));
    let again = failed.retry_after(Outcome::Failed, SECOND / 4);
    let other = other.await.unwrap();
    tokio::time::advance(SECOND / 2).await;
    settle().await;
    other.end(Outcome::Served, None);
    let again = again.await.unwrap();
    assert_eq!((again.grant.id, desk.now(), desk.in_flight()), (0, 500, 1));
    again.end(Outcome::Served, None);
    assert_eq!(third.await.unwrap().grant.id, 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_ends_at_the_deadline_it_came_with() {
    let desk = Desk::new(room(1));
    let failed = admitted(&desk, 0).await;
    tokio::time::advance(SECOND / 2).await;
    let _held = desk.admit(ask(&desk, 1, 60 * SECOND));
    desk.set_limits(room(0));
    let refusal = failed.retry(Outcome::Unknown).await.unwrap_err();
    assert_eq!((refusal.limit, desk.now()), (Limit::Deadline, 1000));
}

#[tokio::test(start_paused = true)]
async fn stopping_refuses_those_who_wait_and_lets_those_who_run_end() {
    let desk = Desk::new(room(1));
    let runs = admitted(&desk, 0).await;
    let waits = desk.admit(ask(&desk, 1, 60 * SECOND));
    assert_eq!(desk.stop(), 1);
    assert_eq!(waits.await.unwrap_err().limit, Limit::Stopping);
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(desk.in_flight(), 1);
    runs.end(Outcome::Served, None);
    assert_eq!(desk.in_flight(), 0);
    assert_eq!(desk.admit(ask(&desk, 2, SECOND)).await.unwrap_err().limit, Limit::Stopping);
}

#[tokio::test(start_paused = true)]
async fn the_task_that_keeps_the_time_ends_with_the_last_desk() {
    let desk = Desk::new(room(1));
    let other = desk.clone();
    settle().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    drop(desk);
    settle().await;
    assert_eq!(tasks(), before);
    drop(other);
    settle().await;
    assert_eq!(tasks(), before - 1);
}

// Twenty times as many as there is room for in their time: each is served, or told at once
// or at its deadline that it is not, and nothing is left behind.
#[tokio::test(start_paused = true)]
async fn ten_thousand_at_twenty_times_capacity_each_end_in_one_answer_or_one_refusal() {
    const MANY: u64 = 10_000;
    let desk = Desk::new(Limits { queue: 500, ..room(16) });
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..MANY {
        let desk = desk.clone();
        tasks.spawn(async move {
            // 16 places, held 100 ms each: 160 a second, and 3200 come.
            tokio::time::sleep(Duration::from_micros(id * 1_000_000 / 3200)).await;
            let answer = desk.admit(ask(&desk, id, 2 * SECOND)).await;
            let most = desk.snapshot();
            assert!(most.in_flight <= 16 && most.queued <= 500);
            let permit = match answer {
                Ok(permit) => permit,
                Err(refusal) => return Some(refusal.limit),
            };
            tokio::time::sleep(SECOND / 10).await;
            permit.end(Outcome::Served, None);
            None
        });
    }
    let (mut served, mut queue, mut deadline) = (0, 0, 0);
    while let Some(ended) = tasks.join_next().await {
        match ended.unwrap() {
            None => served += 1,
            Some(Limit::Queue) => queue += 1,
            Some(Limit::Deadline) => deadline += 1,
            Some(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(served + queue + deadline, MANY);
    // A little over three seconds of arrivals and two of waiting, at 160 a second.
    assert!((700..=900).contains(&served), "{served} served, {queue} + {deadline} refused");
    let end = desk.snapshot();
    assert_eq!(
        (end.in_flight, end.queued, end.granted, end.refused),
        (0, 0, served, MANY - served)
    );
    assert!(end.clients.is_empty());
}
