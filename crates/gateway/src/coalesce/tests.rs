use std::{collections::BTreeMap, future::poll_fn};

use futures::FutureExt as _;
use proptest::prelude::*;
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
};

use super::*;

type Head = &'static str;
type Error = &'static str;
type Sharing = Flights<Head, Error>;

const ROOMY: Bounds = Bounds { answer: 8 << 20, all: 64 << 20 };

/// A body that a test writes.
struct Written {
    pieces: mpsc::UnboundedReceiver<io::Result<Bytes>>,
    told: mpsc::UnboundedSender<Told>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    LeaderLeft,
    Whole(Vec<Bytes>),
    Dropped,
}

/// The test's side of a run.
struct Run {
    head: Option<oneshot::Sender<Result<Head, Error>>>,
    pieces: Option<mpsc::UnboundedSender<io::Result<Bytes>>>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Source for Written {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.pieces.poll_recv(cx)
    }

    fn is_over(&self) -> bool {
        self.pieces.is_closed() && self.pieces.is_empty()
    }

    fn leader_left(&mut self) {
        let _ = self.told.send(Told::LeaderLeft);
    }

    fn whole(&mut self, pieces: &[Bytes]) {
        let _ = self.told.send(Told::Whole(pieces.to_vec()));
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = self.told.send(Told::Dropped);
    }
}

impl Run {
    fn start(ticket: Ticket<Head, Error>) -> (Self, Listener<Head, Error>) {
        let (head, told_head) = oneshot::channel();
        let (pieces, written) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let source = Written { pieces: written, told: tell };
        let listener = ticket.start(async move {
            let head: Head = told_head.await.unwrap_or(Err("no head"))?;
            Ok((head, source))
        });
        (Self { head: Some(head), pieces: Some(pieces), told }, listener)
    }

    async fn head(&mut self, head: Result<Head, Error>) {
        let _ = self.head.take().unwrap().send(head);
        settle().await;
    }

    async fn write(&mut self, piece: &'static str) {
        self.pieces.as_ref().unwrap().send(Ok(piece.into())).unwrap();
        settle().await;
    }

    async fn break_off(&mut self) {
        let error = io::ErrorKind::ConnectionAborted.into();
        self.pieces.take().unwrap().send(Err(error)).unwrap();
        settle().await;
    }

    async fn end(&mut self) {
        self.pieces = None;
        settle().await;
    }

    fn told(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }
}

async fn settle() {
    for _ in 0..10 {
        yield_now().await;
    }
}

fn lead(sharing: &Sharing, key: u128) -> (Run, Listener<Head, Error>) {
    lead_within(sharing, key, ROOMY)
}

fn lead_within(sharing: &Sharing, key: u128, bounds: Bounds) -> (Run, Listener<Head, Error>) {
    match sharing.enter(key, bounds) {
        Entry::Leads(ticket) => Run::start(ticket),
        Entry::Joined(_) => panic!("the same is under way"),
    }
}

fn join(sharing: &Sharing, key: u128) -> Listener<Head, Error> {
    match sharing.enter(key, ROOMY) {
        Entry::Joined(listener) => listener,
        Entry::Leads(_) => panic!("nothing is under way"),
    }
}

async fn head(listener: &mut Listener<Head, Error>) -> Result<Head, Failure<Error>> {
    poll_fn(|cx| listener.poll_head(cx)).await
}

/// What is there now, and how it ended where it did.
fn heard(listener: &mut Listener<Head, Error>) -> (String, Option<Result<(), Broken>>) {
    let mut text = String::new();
    loop {
        match poll_fn(|cx| listener.poll_piece(cx)).now_or_never() {
            Some(Some(Ok(piece))) => text.push_str(std::str::from_utf8(&piece).unwrap()),
            Some(Some(Err(broken))) => return (text, Some(Err(broken))),
            Some(None) => return (text, Some(Ok(()))),
            None => return (text, None),
        }
    }
}

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
    let mut leader = ticket.start::<Written, _>(async {
        yield_now().await;
        panic!("on purpose")
    });
    assert_eq!(head(&mut joined).await, Err(Failure::Lost));
    assert_eq!(head(&mut leader).await, Err(Failure::Lost));
    assert_eq!(sharing.open(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Ask,
    Leave(usize),
    Read(usize),
    Head,
    Write(u16),
    End,
    Fail,
    Turn,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Ask),
        3 => any::<usize>().prop_map(Step::Leave),
        5 => any::<usize>().prop_map(Step::Read),
        2 => Just(Step::Head),
        6 => (1..200_u16).prop_map(Step::Write),
        1 => Just(Step::End),
        1 => Just(Step::Fail),
        6 => Just(Step::Turn),
    ];
    prop::collection::vec(step, 1..150)
}

/// What a listener belongs to, and what it has heard.
struct Ear {
    listener: Listener<Head, Error>,
    run: usize,
    heard: Vec<u8>,
}

proptest! {
    // MV15: whoever comes, goes, reads and fails in whatever order.
    #[test]
    fn each_hears_its_own_run_from_the_start_and_nothing_is_held_in_the_end(
        steps in steps(),
        answer in 0..2000_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sharing = Sharing::default();
            let bounds = Bounds { answer, all: 3000 };
            let mut runs: BTreeMap<usize, Run> = BTreeMap::new();
            let mut said: Vec<Vec<u8>> = Vec::new();
            let mut ears: Vec<Ear> = Vec::new();
            for step in steps {
                let last = said.len().wrapping_sub(1);
                match step {
                    Step::Ask => {
                        let listener = match sharing.enter(1, bounds) {
                            Entry::Joined(listener) => listener,
                            Entry::Leads(ticket) => {
                                let (run, listener) = Run::start(ticket);
                                runs.insert(said.len(), run);
                                said.push(Vec::new());
                                listener
                            }
                        };
                        ears.push(Ear { listener, run: said.len() - 1, heard: Vec::new() });
                    }
                    Step::Leave(n) if !ears.is_empty() => {
                        drop(ears.swap_remove(n % ears.len()));
                    }
                    Step::Read(n) if !ears.is_empty() => {
                        let at = n % ears.len();
                        let ear = &mut ears[at];
                        ear.heard.extend(heard(&mut ear.listener).0.bytes());
                    }
                    Step::Head => if let Some(run) = runs.get_mut(&last)
                        && let Some(head) = run.head.take()
                    {
                        let _ = head.send(Ok("200"));
                    },
                    Step::Write(bytes) => if let Some(run) = runs.get_mut(&last)
                        && let Some(pieces) = &run.pieces
                    {
                        let piece = vec![b'a' + (bytes % 26) as u8; bytes.into()];
                        if pieces.send(Ok(piece.clone().into())).is_ok() {
                            said[last].extend(piece);
                        }
                    },
                    Step::End => if let Some(run) = runs.get_mut(&last) {
                        run.pieces = None;
                    },
                    Step::Fail => if let Some(run) = runs.get_mut(&last) {
                        match (run.head.take(), run.pieces.take()) {
                            (Some(head), _) => drop(head.send(Err("failed"))),
                            (None, Some(pieces)) => {
                                let _ = pieces.send(Err(io::ErrorKind::Other.into()));
                            }
                            (None, None) => {}
                        }
                    },
                    Step::Turn => settle().await,
                    Step::Leave(_) | Step::Read(_) => {}
                }
            }
            for run in runs.values_mut() {
                if let Some(head) = run.head.take() {
                    let _ = head.send(Ok("200"));
                }
                run.pieces = None;
            }
            for _ in 0..20 {
                settle().await;
                for ear in &mut ears {
                    let (text, _) = heard(&mut ear.listener);
                    ear.heard.extend(text.bytes());
                }
            }
            for ear in &mut ears {
                let (_, end) = heard(&mut ear.listener);
                let whole = &said[ear.run];
                match end {
                    Some(Ok(())) => assert_eq!(&ear.heard, whole),
                    Some(Err(Broken)) => assert!(whole.starts_with(&ear.heard)),
                    None => panic!("somebody waits without end"),
                }
            }
            drop(ears);
            settle().await;
            assert_eq!((sharing.open(), sharing.held()), (0, 0));
        });
    }
}
