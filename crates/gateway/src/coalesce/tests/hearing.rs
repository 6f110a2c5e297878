//! Who hears what, comes late, and leaves.

use super::*;

// MV15
#[tokio::test]
async fn fifty_who_ask_the_same_get_the_whole_of_one_answer() {
    let sharing = Sharing::default();
    let (mut run, leader) = lead(&sharing, 1);
    let mut all = vec![leader];
    all.extend((1..50).map(|_| join(&sharing, 1)));
    run.head(Ok("200")).await;
    for piece in ["a", "b", "c"] {
        run.write(piece).await;
    }
    run.end().await;
    for listener in &mut all {
        assert_eq!(head(listener).await, Ok("200"));
        assert_eq!(heard(listener), ("abc".into(), Some(Ok(()))));
        assert!(listener.is_over());
    }
    let whole = ["a", "b", "c"].map(Bytes::from).to_vec();
    assert_eq!(run.told(), [Told::Whole(whole), Told::Dropped]);
    drop(all);
    assert_eq!((sharing.open(), sharing.held()), (0, 0));
}

#[tokio::test]
async fn another_question_is_another_run() {
    let sharing = Sharing::default();
    let (_one, _leader) = lead(&sharing, 1);
    let (_two, _other) = lead(&sharing, 2);
    assert_eq!(sharing.open(), 2);
}

#[tokio::test]
async fn who_comes_late_gets_it_from_the_start_and_then_follows() {
    let sharing = Sharing::default();
    let (mut run, mut leader) = lead(&sharing, 1);
    run.head(Ok("200")).await;
    run.write("one ").await;
    run.write("two ").await;
    assert_eq!(heard(&mut leader), ("one two ".into(), None));
    let mut late = join(&sharing, 1);
    assert_eq!(head(&mut late).await, Ok("200"));
    assert_eq!(heard(&mut late), ("one two ".into(), None));
    run.write("three").await;
    assert_eq!(heard(&mut late), ("three".into(), None));
    run.end().await;
    assert_eq!(heard(&mut late), (String::new(), Some(Ok(()))));
    assert_eq!(heard(&mut leader), ("three".into(), Some(Ok(()))));
}

// MV15
#[tokio::test]
async fn forty_nine_leave_and_it_goes_on_and_the_fiftieth_ends_it() {
    let sharing = Sharing::default();
    let (mut run, leader) = lead(&sharing, 1);
    let mut all: Vec<_> = (1..50).map(|_| join(&sharing, 1)).collect();
    run.head(Ok("200")).await;
    run.write("a").await;
    drop(leader);
    all.truncate(1);
    settle().await;
    assert_eq!(run.told(), [Told::LeaderLeft]);
    run.write("b").await;
    assert_eq!(heard(&mut all[0]), ("ab".into(), None));
    drop(all);
    settle().await;
    assert_eq!(run.told(), [Told::Dropped]);
    assert_eq!((sharing.open(), sharing.held()), (0, 0));
    let (_again, _leader) = lead(&sharing, 1);
}

#[tokio::test]
async fn the_last_one_who_leaves_before_the_head_ends_it_too() {
    let sharing = Sharing::default();
    let (mut run, leader) = lead(&sharing, 1);
    let joined = join(&sharing, 1);
    settle().await;
    drop((leader, joined));
    settle().await;
    assert_eq!(run.told(), [Told::Dropped]);
}

#[tokio::test]
async fn a_leader_who_left_before_the_head_is_told_of_with_it() {
    let sharing = Sharing::default();
    let (mut run, leader) = lead(&sharing, 1);
    let mut joined = join(&sharing, 1);
    drop(leader);
    settle().await;
    assert_eq!(run.told(), []);
    run.head(Ok("200")).await;
    run.write("a").await;
    assert_eq!(run.told(), [Told::LeaderLeft]);
    run.end().await;
    assert_eq!(heard(&mut joined), ("a".into(), Some(Ok(()))));
}

#[tokio::test]
async fn a_failure_before_the_head_is_told_to_all_and_the_next_one_leads_anew() {
    let sharing = Sharing::default();
    let (mut run, mut leader) = lead(&sharing, 1);
    let mut joined = join(&sharing, 1);
    run.head(Err("refused")).await;
    assert_eq!(head(&mut joined).await, Err(Failure::Of("refused")));
    // Those who ask again meet each other, not the one that failed.
    let (mut again, mut new_leader) = lead(&sharing, 1);
    let mut also = join(&sharing, 1);
    assert_eq!(head(&mut leader).await, Err(Failure::Of("refused")));
    drop((leader, joined));
    again.head(Ok("200")).await;
    again.end().await;
    assert_eq!(heard(&mut also), (String::new(), Some(Ok(()))));
    assert_eq!(head(&mut new_leader).await, Ok("200"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_all_after_what_they_could_hear() {
    let sharing = Sharing::default();
    let (mut run, mut leader) = lead(&sharing, 1);
    let mut joined = join(&sharing, 1);
    run.head(Ok("200")).await;
    run.write("half").await;
    run.break_off().await;
    for listener in [&mut leader, &mut joined] {
        assert_eq!(heard(listener), ("half".into(), Some(Err(Broken))));
        assert_eq!(listener.only(), None);
    }
    assert_eq!(run.told(), [Told::Dropped], "a half is never taken for a whole");
    assert_eq!(sharing.open(), 0);
}

#[tokio::test]
async fn nobody_joins_what_is_over() {
    let sharing = Sharing::default();
    let (mut run, mut leader) = lead(&sharing, 1);
    run.head(Ok("200")).await;
    run.write("a").await;
    run.end().await;
    let (_run, _other) = lead(&sharing, 1);
    assert_eq!(leader.only(), Some("a".into()));
    assert!(leader.is_over());
    assert_eq!(leader.only(), None);
}
