//! The socket: the owner's side.
//!
//! Only the owner of the data folder may connect: the socket lies in a folder
//! closed to others, has mode 0600, and the kernel tells the caller's user.
//! Connections, requests under way and line length are bounded. What is
//! written to a slow reader waits in the reader's own task: answers hold the
//! permit of their request, and the live stream is only pulled when the line
//! before it is through.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use rustix::process::geteuid;
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_util::{
    codec::{FramedRead, LinesCodec, LinesCodecError},
    sync::CancellationToken,
    task::TaskTracker,
};

use super::{
    Host,
    wire::{self, Hello, MAX_REQUEST, Reply, Request},
};
use crate::{
    api::{Fault, FaultCode, Subscription},
    folder::cannot,
    hub::Listener,
};

/// Windows, terminals and scripts at once.
const CONNECTIONS: usize = 64;
/// Requests of one connection under way at once; reading stops while that many are.
const IN_FLIGHT: usize = 32;
/// A caller that does not say who it is by then is let go.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// A caller that takes nothing for that long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// How long connections may finish what is under way when Plimsoll stops.
const GRACE: Duration = Duration::from_secs(2);

/// The open socket. Close it with [`SocketDoor::close`].
#[derive(Debug)]
pub struct SocketDoor {
    path: PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A path where nobody is answered yet.
#[derive(Debug)]
pub struct SocketPlace {
    path: PathBuf,
    listener: UnixListener,
}

/// An answer on its way out, with the room it takes.
type Outgoing = (Reply, Option<OwnedSemaphorePermit>);

// === impl SocketDoor ===

impl SocketDoor {
    /// Listens at `path`. The caller owns the data folder, so whatever lies there is stale.
    pub fn open<H: Host>(path: &Path, host: H) -> Result<Self, Fault> {
        Ok(Self::serve(Self::reserve(path)?, host))
    }

    /// Takes the path as [`SocketDoor::open`] does. Callers wait until it is served.
    pub fn reserve(path: &Path) -> Result<SocketPlace, Fault> {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(cannot("replace", path, &error)),
        }
        let listener =
            UnixListener::bind(path).map_err(|error| cannot("listen at", path, &error))?;
        fs::set_permissions(path, Permissions::from_mode(0o600))
            .map_err(|error| cannot("close to others", path, &error))?;
        Ok(SocketPlace { path: path.to_path_buf(), listener })
    }

    pub fn serve<H: Host>(place: SocketPlace, host: H) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(place.listener, host, stop.clone(), tasks.clone()));
        Self { path: place.path, stop, tasks }
    }

    /// Takes no more callers, lets the present ones finish for a moment, removes the socket.
    pub async fn close(self) {
        let _ = fs::remove_file(&self.path);
        self.stop.cancel();
        self.tasks.close();
        let _ = timeout(GRACE, self.tasks.wait()).await;
    }
}

async fn accept<H: Host>(
    listener: UnixListener,
    host: H,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, most likely: others must end first. Do not spin meanwhile.
                tracing::warn!(%error, "a caller could not be let in");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == geteuid().as_raw() => {}
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "another user's program was turned away");
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a caller without a name was turned away");
                continue;
            }
        }
        let Ok(place) = room.clone().try_acquire_owned() else {
            tasks.spawn(turn_away(stream));
            continue;
        };
        let (host, stop) = (host.clone(), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = serve(stream, host, stop).await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
}

async fn turn_away(mut stream: UnixStream) {
    let fault = Fault::new(
        FaultCode::Unavailable,
        format!("{CONNECTIONS} programs are connected to this Plimsoll already."),
    )
    .hint("Close one of them.");
    let line = Reply { fault: Some(fault), ..Reply::default() }.line();
    let _ = timeout(HELLO_WITHIN, write(&mut stream, &line)).await;
}

async fn serve<H: Host>(
    stream: UnixStream,
    host: H,
    stop: CancellationToken,
) -> Result<(), LinesCodecError> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = FramedRead::new(reader, LinesCodec::new_with_max_length(MAX_REQUEST));
    let own = Hello::of("owner");
    let hello = Reply { hello: Some(own.clone()), ..Reply::default() };
    write(&mut writer, &hello.line()).await?;
    let Ok(Some(first)) = timeout(HELLO_WITHIN, lines.next()).await else { return Ok(()) };
    if let Err(fault) = greet(&own, &first?) {
        let line = Reply { fault: Some(fault), ..Reply::default() }.line();
        return write(&mut writer, &line).await.map_err(Into::into);
    }

    let (answers, outgoing) = mpsc::channel::<Outgoing>(IN_FLIGHT + 1);
    let (listening, listener) = watch::channel(None);
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let write_all = write_out(writer, outgoing, listener, host.clone());
    let read_all = async {
        loop {
            // Room first, then a request: a caller that floods waits in its own socket.
            let Ok(permit) = room.clone().acquire_owned().await else { return Ok(()) };
            let line = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                line = lines.next() => line,
            };
            let line = match line {
                None => return Ok(()),
                Some(Ok(line)) => line,
                Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                    let fault = Fault::new(
                        FaultCode::Invalid,
                        format!("A request may have {MAX_REQUEST} bytes at most."),
                    );
                    let reply = Reply { fault: Some(fault), ..Reply::default() };
                    let _ = answers.send((reply, None)).await;
                    return Ok(());
                }
                Some(Err(error)) => return Err(error),
            };
            match understand(&line) {
                Ok((id, Ask::Command(command))) => {
                    let (host, answers) = (host.clone(), answers.clone());
                    tokio::spawn(async move {
                        let reply = Reply::to(id, host.call(command).await);
                        let _ = answers.send((reply, Some(permit))).await;
                    });
                }
                Ok((id, Ask::Subscribe(subscription))) => {
                    listening.send_replace(subscription);
                    let reply = Reply::to(id, Ok(nothing()));
                    let _ = answers.send((reply, Some(permit))).await;
                }
                Err(reply) => {
                    let _ = answers.send((*reply, Some(permit))).await;
                }
            }
        }
    };
    tokio::pin!(write_all);
    let ended = tokio::select! {
        ended = &mut write_all => return ended.map_err(Into::into),
        ended = read_all => ended,
    };
    // No more requests; answers under way still go out.
    drop((answers, listening));
    let _ = timeout(GRACE, write_all).await;
    ended
}

/// Answers as they come, and the live stream between them.
async fn write_out<H: Host>(
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Outgoing>,
    mut wanted: watch::Receiver<Option<Subscription>>,
    host: H,
) -> io::Result<()> {
    let mut listener: Option<Listener> = None;
    loop {
        let reply = tokio::select! {
            biased;
            // A subscription is in force before its answer goes out: nothing falls between.
            Ok(()) = wanted.changed() => {
                listener = wanted.borrow_and_update().as_ref().map(|s| host.listen(s));
                continue;
            }
            answer = outgoing.recv() => match answer {
                Some((reply, permit)) => {
                    write_within(&mut writer, &reply.line()).await?;
                    drop(permit);
                    continue;
                }
                None => return last_words(&mut writer, listener).await,
            },
            live = next(&mut listener) => match live {
                Some(live) => Reply { live: Some(live), ..Reply::default() },
                None => {
                    listener = None;
                    continue;
                }
            },
        };
        write_within(&mut writer, &reply.line()).await?;
    }
}

/// What was told before the end still goes out: that Plimsoll is stopping, above all.
async fn last_words(
    writer: &mut (impl AsyncWrite + Unpin),
    listener: Option<Listener>,
) -> io::Result<()> {
    let Some(mut listener) = listener else { return Ok(()) };
    while let Some(Some(live)) = listener.next().now_or_never() {
        write_within(writer, &Reply { live: Some(live), ..Reply::default() }.line()).await?;
    }
    Ok(())
}

async fn next(listener: &mut Option<Listener>) -> Option<crate::api::Live> {
    match listener {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    }
}

enum Ask {
    Command(crate::api::Command),
    Subscribe(Option<Subscription>),
}

fn understand(line: &str) -> Result<(u64, Ask), Box<Reply>> {
    let fail = |id, fault| Box::new(Reply { id, fault: Some(fault), ..Reply::default() });
    let request: Request = serde_json::from_str(line).map_err(|error| {
        let id = serde_json::from_str::<serde_json::Value>(line)
            .ok()
            .and_then(|value| value.get("id").and_then(serde_json::Value::as_u64));
        fail(id, Fault::new(FaultCode::Invalid, format!("This is no request: {error}.")))
    })?;
    let Some(id) = request.id else {
        return Err(fail(None, Fault::new(FaultCode::Invalid, "A request needs an \"id\".")));
    };
    match (request.command, request.subscribe) {
        (Some(name), None) => wire::command(&name, request.args.as_deref())
            .map(|command| (id, Ask::Command(command)))
            .map_err(|fault| fail(Some(id), fault)),
        (None, Some(subscription)) => Ok((id, Ask::Subscribe(subscription))),
        _ => Err(fail(
            Some(id),
            Fault::new(FaultCode::Invalid, "A request is either a command or a subscription."),
        )),
    }
}

fn greet(own: &Hello, line: &str) -> Result<(), Fault> {
    let hello = serde_json::from_str::<Request>(line).ok().and_then(|request| request.hello);
    let Some(hello) = hello else {
        return Err(Fault::new(
            FaultCode::Protocol,
            "The first line must say who calls: {\"hello\":{\"program\":…,\"version\":…,\"protocol\":…}}.",
        ));
    };
    match wire::mismatch(own, &hello, Some(std::process::id())) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

fn nothing() -> Box<RawValue> {
    serde_json::value::to_raw_value(&serde_json::Map::new()).unwrap_or_default()
}

async fn write_within(writer: &mut (impl AsyncWrite + Unpin), line: &str) -> io::Result<()> {
    timeout(WRITE_WITHIN, write(writer, line))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the caller takes nothing"))?
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), line: &str) -> io::Result<()> {
    writer.write_all(line.as_bytes()).await?;
    writer.write_all(b"\n").await
}
