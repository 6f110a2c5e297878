//! The socket: the side of those who attach.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use serde_json::value::RawValue;
use tokio::{
    net::{UnixStream, unix::OwnedWriteHalf},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::{
    codec::{FramedRead, FramedWrite, LinesCodec},
    sync::CancellationToken,
    task::AbortOnDropHandle,
};

use super::wire::{self, Hello, MAX_ANSWER, Reply};
use crate::api::{Command, Fault, FaultCode, Live, Subscription};

/// The owner says hello at once; one that does not is stuck.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Long work runs as a job, so every answer comes soon.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Live messages that wait here for a slow listener.
const QUEUE: usize = 256;

/// A connection to the owner. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    _reader: Arc<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    owner: Hello,
    writer: tokio::sync::Mutex<FramedWrite<OwnedWriteHalf, LinesCodec>>,
    state: Mutex<State>,
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Box<RawValue>, Fault>>>,
    listener: Option<mpsc::Sender<Live>>,
    missed: u64,
    /// Said by the owner to nobody in particular just before it hung up.
    last_words: Option<Fault>,
}

// === impl Client ===

impl Client {
    /// Connects and checks that both sides speak the same protocol.
    /// `program` says who calls: `window` or `terminal`.
    pub async fn connect(socket: &Path, program: &str) -> Result<Self, Fault> {
        Self::connect_as(socket, Hello::of(program)).await
    }

    async fn connect_as(socket: &Path, own: Hello) -> Result<Self, Fault> {
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            Fault::new(
                FaultCode::Unavailable,
                format!("The running Plimsoll does not answer at {}: {error}.", socket.display()),
            )
            .hint("It may be starting or stopping: try again in a second.")
        })?;
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid()?.try_into().ok());
        let (reader, writer) = stream.into_split();
        let mut lines = FramedRead::new(reader, LinesCodec::new_with_max_length(MAX_ANSWER));
        let mut writer = FramedWrite::new(writer, LinesCodec::new());
        let first = timeout(HELLO_WITHIN, lines.next()).await;
        let Ok(Some(Ok(line))) = first else {
            return Err(Fault::new(
                FaultCode::Unavailable,
                "The running Plimsoll does not say hello.",
            )
            .hint(pid.map_or_else(String::new, |pid: u32| format!("End it: kill {pid}."))));
        };
        let reply = parse(&line)?;
        if let Some(fault) = reply.fault {
            return Err(fault);
        }
        let Some(owner) = reply.hello else {
            return Err(Fault::new(FaultCode::Protocol, "Something else answers at the socket."));
        };
        if let Some(fault) = wire::mismatch(&owner, &own, pid) {
            return Err(fault);
        }
        let hello = serde_json::json!({ "hello": own }).to_string();
        writer.send(hello).await.map_err(|_| ended_fault())?;
        let shared = Arc::new(Shared {
            owner,
            writer: tokio::sync::Mutex::new(writer),
            state: Mutex::default(),
            ended: CancellationToken::new(),
        });
        let reader = tokio::spawn(read(lines, shared.clone()));
        Ok(Self { shared, _reader: Arc::new(AbortOnDropHandle::new(reader)) })
    }

    /// What the owner said of itself.
    pub fn owner(&self) -> &Hello {
        &self.shared.owner
    }

    /// Resolves when the owner has hung up.
    pub async fn ended(&self) {
        self.shared.ended.cancelled().await;
    }

    pub async fn call(&self, command: &Command) -> Result<Box<RawValue>, Fault> {
        #[derive(serde::Serialize)]
        struct Line<'a> {
            id: u64,
            #[serde(flatten)]
            command: &'a Command,
        }
        self.ask(|id| serde_json::to_string(&Line { id, command })).await
    }

    /// Begins to listen; the listener before it hears no more.
    pub async fn subscribe(
        &self,
        subscription: &Subscription,
    ) -> Result<mpsc::Receiver<Live>, Fault> {
        let (listener, heard) = mpsc::channel(QUEUE);
        self.shared.state().listener = Some(listener);
        self.ask(|id| {
            serde_json::to_string(&serde_json::json!({ "id": id, "subscribe": subscription }))
        })
        .await?;
        Ok(heard)
    }

    /// Listens no more, unless somebody else listens by now: the owner need not send what nobody
    /// shows.
    pub async fn unsubscribe_if_unheard(&self) {
        // Looked at with the line in hand: a subscription made meanwhile is written after this.
        let mut writer = self.shared.writer.lock().await;
        let id = {
            let mut state = self.shared.state();
            if state.listener.as_ref().is_some_and(|listener| !listener.is_closed()) {
                return;
            }
            state.listener = None;
            state.next_id += 1;
            state.next_id
        };
        // Nobody waits for the answer.
        let _ = writer.send(format!("{{\"id\":{id},\"subscribe\":null}}")).await;
    }

    async fn ask(
        &self,
        line: impl FnOnce(u64) -> serde_json::Result<String>,
    ) -> Result<Box<RawValue>, Fault> {
        let (tell, told) = oneshot::channel();
        let id = {
            let mut state = self.shared.state();
            state.next_id += 1;
            let id = state.next_id;
            state.waiting.insert(id, tell);
            id
        };
        // Whoever stops waiting, for whatever reason, leaves nothing behind.
        let _forget = Forget { shared: &self.shared, id };
        let line = line(id).map_err(|error| {
            Fault::new(FaultCode::Internal, format!("A command has no JSON: {error}."))
        })?;
        if self.shared.ended.is_cancelled() {
            return Err(self.shared.why_ended());
        }
        let outcome = timeout(ANSWER_WITHIN, async {
            self.shared.writer.lock().await.send(line).await.map_err(|_| ())?;
            told.await.map_err(|_| ())
        });
        match outcome.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(())) => Err(self.shared.why_ended()),
            Err(_) => Err(Fault::new(
                FaultCode::Unavailable,
                "The running Plimsoll took too long to answer.",
            )
            .hint("Its log says what it is busy with: plimsoll doctor.")),
        }
    }
}

struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.state().waiting.remove(&self.id);
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn why_ended(&self) -> Fault {
        self.state().last_words.clone().unwrap_or_else(ended_fault)
    }

    fn hear(&self, reply: Reply) {
        let mut state = self.state();
        if let Some(live) = reply.live {
            state.pass_on(live);
            return;
        }
        let outcome = match (reply.answer, reply.fault) {
            (Some(answer), _) => Ok(answer),
            (None, Some(fault)) => Err(fault),
            (None, None) => return,
        };
        match reply.id {
            Some(id) => {
                if let Some(tell) = state.waiting.remove(&id) {
                    let _ = tell.send(outcome);
                }
            }
            None => state.last_words = outcome.err(),
        }
    }
}

// === impl State ===

impl State {
    /// Never waits: what does not fit is counted, and said once there is room.
    fn pass_on(&mut self, live: Live) {
        let Some(listener) = &self.listener else { return };
        if self.missed > 0 {
            let note = Live::Missed { messages: self.missed };
            if listener.try_send(note).is_err() {
                self.missed += 1;
                return;
            }
            self.missed = 0;
        }
        match listener.try_send(live) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.missed += 1,
            Err(mpsc::error::TrySendError::Closed(_)) => self.listener = None,
        }
    }
}

async fn read(
    mut lines: FramedRead<tokio::net::unix::OwnedReadHalf, LinesCodec>,
    shared: Arc<Shared>,
) {
    while let Some(Ok(line)) = lines.next().await {
        match parse(&line) {
            Ok(reply) => shared.hear(reply),
            Err(fault) => {
                tracing::warn!(%fault, "the running Plimsoll said something odd");
                break;
            }
        }
    }
    shared.ended.cancel();
    let mut state = shared.state();
    state.waiting.clear();
    state.listener = None;
}

fn parse(line: &str) -> Result<Reply, Fault> {
    serde_json::from_str(line).map_err(|error| {
        Fault::new(FaultCode::Protocol, format!("The running Plimsoll is not understood: {error}."))
    })
}

fn ended_fault() -> Fault {
    Fault::new(FaultCode::Unavailable, "The running Plimsoll has ended.").hint("Start it again.")
}
