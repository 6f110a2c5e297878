//! What is under way, and its numbers.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_list_shows_what_is_under_way_and_a_person_ends_it() {
    let (records, mut reckoner, kept) = bench();
    let mut a = one(&records, "agent");
    a.expects(Some(800), Some(512));
    a.queued();
    advance(7 * MS).await;
    let b = one(&records, "curl");
    let live = records.live(10);
    assert_eq!(live.iter().map(|u| u.id).collect::<Vec<_>>(), [a.id(), b.id()], "oldest first");
    assert_eq!((live[0].phase, live[0].wait_us), (Phase::Queued, 7000));
    assert_eq!((live[0].tokens_in, live[0].max_tokens), (Some(800), Some(512)));
    let counted = records.counted();
    assert_eq!(counted.all, Counted { in_flight: 0, queued: 1 });
    assert_eq!(records.live(1).len(), 1);

    assert!(records.cancel(a.id()));
    a.cancelled().await;
    drop(a);
    assert!(!records.cancel(live[0].id), "it has ended");
    drop(b);
    reckoner.round(Instant::now(), false);
    assert_eq!(lock(&kept.rows)[0].finish, Finish::Cancelled);
    assert!(records.live(10).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_is_woken_by_it() {
    let records = Records::new(clock());
    let trace = one(&records, "agent");
    let id = trace.id();
    let waiting = tokio::spawn(async move { trace.cancelled().await });
    tokio::task::yield_now().await;
    assert!(records.cancel(id));
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn numbers_grow_also_when_the_clock_goes_back() {
    let clock = clock();
    let records = Records::new(clock.clone());
    let first = one(&records, "a").id();
    clock.step_wall_ms(-5000);
    let second = one(&records, "a").id();
    clock.step_wall_ms(60_000);
    let third = one(&records, "a").id();
    assert_eq!(first, 1_000_000 * 4096);
    assert_eq!(second, first + 1);
    assert_eq!(third, 1_055_000 * 4096);
}

#[tokio::test(start_paused = true)]
async fn numbers_go_on_where_an_earlier_start_ended() {
    let records = Records::new(clock());
    records.continue_after(9_000_000 * 4096);
    assert_eq!(one(&records, "a").id(), 9_000_000 * 4096 + 1);
}
