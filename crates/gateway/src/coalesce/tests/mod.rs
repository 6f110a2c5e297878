mod bounds;
mod hearing;
mod properties;

use std::{collections::BTreeMap, future::poll_fn};

use futures::FutureExt as _;
use proptest::prelude::*;
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
};
use tokio_util::task::TaskTracker;

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
        let listener = ticket.start(&TaskTracker::new(), async move {
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
