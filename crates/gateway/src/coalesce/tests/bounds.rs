//! What is held, how long, and that nobody waits for what does not come.

use super::*;

#[tokio::test]
async fn beyond_its_bound_nobody_joins_and_what_all_have_read_is_let_go() {
    let sharing = Sharing::default();
    let (mut run, mut leader) = lead_within(&sharing, 1, Bounds { answer: 4, ..ROOMY });
    let mut joined = join(&sharing, 1);
    run.head(Ok("200")).await;
    run.write("abcd").await;
    assert_eq!(sharing.open(), 1);
    run.write("efgh").await;
    assert_eq!((sharing.open(), sharing.held()), (0, 8));
    let (_another, _leader) = lead(&sharing, 1);
    assert_eq!(heard(&mut leader).0, "abcdefgh");
    assert_eq!(sharing.held(), 8, "the other one has not read it");
    assert_eq!(heard(&mut joined).0, "abcdefgh");
    assert_eq!(sharing.held(), 0);
    run.write("ij").await;
    run.end().await;
    assert_eq!(heard(&mut joined), ("ij".into(), Some(Ok(()))));
    assert_eq!(sharing.held(), 2, "the leader has still to read it");
    assert_eq!(heard(&mut leader), ("ij".into(), Some(Ok(()))));
    assert_eq!(sharing.held(), 0);
    assert_eq!(run.told(), [Told::Dropped], "it is not held whole any more");
}

#[tokio::test]
async fn all_answers_together_have_a_bound_too() {
    let sharing = Sharing::default();
    let bounds = Bounds { answer: 100, all: 6 };
    let (mut one, _first) = lead_within(&sharing, 1, bounds);
    let (mut two, _second) = lead_within(&sharing, 2, bounds);
    one.head(Ok("200")).await;
    two.head(Ok("200")).await;
    one.write("abcd").await;
    assert_eq!(sharing.open(), 2);
    two.write("abcd").await;
    assert_eq!(sharing.open(), 1, "the one that went over it is closed");
    let _joined = join(&sharing, 1);
}

#[tokio::test]
async fn once_it_is_not_held_the_run_waits_for_the_slowest_listener() {
    const LARGE: &str = match str::from_utf8(&[b'x'; flight::BACKLOG]) {
        Ok(text) => text,
        Err(_) => "",
    };
    let sharing = Sharing::default();
    let (mut run, mut fast) = lead_within(&sharing, 1, Bounds { answer: 0, ..ROOMY });
    let mut slow = join(&sharing, 1);
    run.head(Ok("200")).await;
    for _ in 0..10 {
        run.write(LARGE).await;
    }
    // One fills what may wait, another may be under way.
    let most = 2 * flight::BACKLOG;
    assert!(heard(&mut fast).0.len() <= most);
    settle().await;
    assert!((1..=most).contains(&sharing.held()), "{}", sharing.held());
    run.end().await;
    let mut read = (0, 0);
    for _ in 0..40 {
        read.0 += heard(&mut fast).0.len();
        read.1 += heard(&mut slow).0.len();
        assert!(sharing.held() <= most, "{}", sharing.held());
        settle().await;
    }
    let all = 10 * LARGE.len();
    assert_eq!(read.1, all);
    assert_eq!(heard(&mut slow).1, Some(Ok(())));
    drop(slow);
    assert_eq!(heard(&mut fast).1, Some(Ok(())));
    assert_eq!(sharing.held(), 0);
}

#[tokio::test]
async fn a_listener_who_leaves_holds_nobody_up_any_more() {
    let sharing = Sharing::default();
    let (mut run, mut fast) = lead_within(&sharing, 1, Bounds { answer: 0, ..ROOMY });
    let slow = join(&sharing, 1);
    run.head(Ok("200")).await;
    let pieces = run.pieces.as_ref().unwrap();
    for _ in 0..5 {
        pieces.send(Ok(Bytes::from(vec![b'x'; flight::BACKLOG]))).unwrap();
    }
    run.end().await;
    let mut read = heard(&mut fast).0.len();
    assert_eq!(heard(&mut fast).1, None);
    drop(slow);
    for _ in 0..10 {
        settle().await;
        read += heard(&mut fast).0.len();
    }
    assert_eq!(read, 5 * flight::BACKLOG);
    assert_eq!(heard(&mut fast).1, Some(Ok(())));
}

#[tokio::test]
async fn alone_means_that_nobody_joins_but_all_of_it_is_told() {
    let sharing = Sharing::default();
    let (mut run, mut listener) = Run::start(sharing.alone(ROOMY));
    assert_eq!(sharing.open(), 0);
    run.head(Ok("200")).await;
    run.write("a").await;
    run.end().await;
    assert_eq!(heard(&mut listener), ("a".into(), Some(Ok(()))));
    assert_eq!(run.told(), [Told::Whole(vec!["a".into()]), Told::Dropped]);
}

#[tokio::test]
async fn a_right_to_lead_that_is_not_used_lets_nobody_wait() {
    let sharing = Sharing::default();
    let Entry::Leads(ticket) = sharing.enter(1, ROOMY) else { panic!("nobody asked it") };
    let mut joined = join(&sharing, 1);
    drop(ticket);
    assert_eq!(head(&mut joined).await, Err(Failure::Lost));
    assert_eq!(sharing.open(), 0);
}

#[tokio::test]
async fn a_run_that_panics_lets_nobody_wait() {
    let sharing = Sharing::default();
    let Entry::Leads(ticket) = sharing.enter(1, ROOMY) else { panic!("nobody asked it") };
    let mut joined = join(&sharing, 1);
    let mut leader = ticket.start::<Written, _>(&TaskTracker::new(), async {
        yield_now().await;
        panic!("on purpose")
    });
    assert_eq!(head(&mut joined).await, Err(Failure::Lost));
    assert_eq!(head(&mut leader).await, Err(Failure::Lost));
    assert_eq!(sharing.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_its_tasks_waits_for_the_run_and_for_nothing_more() {
    let (sharing, tasks) = (Sharing::default(), TaskTracker::new());
    let Entry::Leads(ticket) = sharing.enter(1, ROOMY) else { panic!("nobody asked it") };
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_pieces, written) = mpsc::unbounded_channel();
    let source = Written { pieces: written, told: tell };
    let mut listener = ticket.start(&tasks, async move { Ok(("200", source)) });
    assert_eq!(head(&mut listener).await, Ok("200"));
    tasks.close();
    assert!(tasks.wait().now_or_never().is_none(), "it goes on while somebody listens");
    drop(listener);
    tasks.wait().await;
    assert_eq!(told.try_recv(), Ok(Told::Dropped));
}
