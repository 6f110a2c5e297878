//! Where clients come in: addresses that may change while requests run, and one task
//! for each connection.

use std::{
    future::{Future as _, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{HeaderMap, body::Incoming, server::conn::http1, service::service_fn};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    column,
    gate::Gate,
    options::Options,
    patient::{Patient, Stage, Watch},
    refuse::Refused,
    world::Sought,
};
use crate::clients::{Client, Peer};

/// One client's connection.
pub struct Link {
    pub peer: Peer,
    pub stage: Arc<Stage>,
}

/// Why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{address} is taken by {by}. Stop it, or set another `gateway.address`.")]
    Taken { address: SocketAddr, by: String },
    #[error("Plimsoll may not listen at {address}: {source}")]
    Denied { address: SocketAddr, source: io::Error },
}

/// Connections that wait to be taken; the kernel holds them.
const BACKLOG: u32 = 4096;
/// Longest wait for the name of a client's program.
const LOOK_UP: Duration = Duration::from_millis(30);
/// Pause after the system could not give a connection (too many open files, most often).
const SHORT: Duration = Duration::from_millis(50);

/// A place where clients come in.
pub struct Door {
    pub asked: SocketAddr,
    pub address: SocketAddr,
    listener: TcpListener,
}

// === impl Link ===

impl Link {
    /// Who asks. The program at its other end is looked for when something is asked for the
    /// first time, and again with the next request where that look did not come to its end.
    pub async fn client(&self, gate: &Gate, headers: &HeaderMap) -> Result<Arc<Client>, Refused> {
        if self.peer.is_sought() {
            let look = gate.world.program(self.peer.address, self.peer.here);
            // What takes longer is not worth a client's wait.
            match timeout(LOOK_UP, look).await {
                Ok(Sought::Found(name)) => self.peer.is_program(Some(name)),
                Ok(Sought::Nobody) => self.peer.is_program(None),
                Ok(Sought::NotYet) | Err(_) => {}
            }
        }
        Ok(gate.clients.who(headers, &self.peer, gate.records.wall_ms())?)
    }
}

// === impl Door ===

impl Door {
    pub fn open(gate: &Gate, asked: SocketAddr) -> Result<Self, ListenError> {
        let denied = |source| ListenError::Denied { address: asked, source };
        let socket = match asked {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
        .map_err(denied)?;
        // A port whose last connections still linger is free; one that is listened at is not.
        socket.set_reuseaddr(true).map_err(denied)?;
        let bound = socket.bind(asked).and_then(|()| socket.listen(BACKLOG));
        match bound {
            Ok(listener) => {
                let address = listener.local_addr().map_err(denied)?;
                Ok(Self { asked, address, listener })
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let by = gate.world.holder(asked).unwrap_or_else(|| "another program".into());
                Err(ListenError::Taken { address: asked, by })
            }
            Err(source) => Err(denied(source)),
        }
    }

    /// Takes connections until told to stop. Those that are there go on.
    pub async fn serve(self, gate: Arc<Gate>, tasks: TaskTracker, stop: CancellationToken) {
        let options = gate.options();
        let protocol = protocol(&options);
        loop {
            let came = tokio::select! {
                came = self.listener.accept() => came,
                () = stop.cancelled() => return,
            };
            let Ok((stream, peer)) = came else {
                // It is full: whoever waits goes on waiting, and nothing spins.
                sleep(SHORT).await;
                continue;
            };
            let options = gate.options();
            if gate.connections.load(Relaxed) >= options.bounds.connections {
                drop(stream);
                continue;
            }
            let counted = Counted::new(&gate);
            let _ = stream.set_nodelay(true);
            let connection = connection(
                counted,
                stream,
                (peer, self.address),
                protocol.clone(),
                options.patience,
            );
            tasks.spawn(connection);
        }
    }
}

fn protocol(options: &Options) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .max_headers(options.bounds.head_fields)
        .max_header_size(options.bounds.head_bytes)
        // What reads is bounded by this, too: a head that never ends is refused at it.
        .max_buf_size((options.bounds.head_bytes * 2).max(64 << 10))
        .half_close(false);
    protocol
}

/// Counts a connection for as long as it is there.
struct Counted(Arc<Gate>);

impl Counted {
    fn new(gate: &Arc<Gate>) -> Self {
        gate.connections.fetch_add(1, Relaxed);
        Self(gate.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

async fn connection(
    counted: Counted,
    stream: TcpStream,
    (peer, local): (SocketAddr, SocketAddr),
    protocol: http1::Builder,
    patience: super::options::Patience,
) {
    let gate = &counted.0;
    let (stream, stage, mut watch) = Patient::new(stream, patience);
    let link = Link { peer: Peer::new(peer, local), stage };
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let served = column::serve(gate, &link, request);
        async move { Ok::<_, std::convert::Infallible>(served.await) }
    });
    let mut served = pin!(protocol.serve_connection(stream, service));
    let mut stop = pin!(gate.stop.cancelled());
    let mut cut = pin!(gate.cut.cancelled());
    let (mut waits, mut told) = (false, false);
    poll_fn(|cx| {
        if served.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // Once they were asked they wake this task; until then a look at the flag does.
        if !waits || gate.is_stopping() {
            waits = true;
            if cut.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !told && stop.as_mut().poll(cx).is_ready() {
                told = true;
                // What runs may end; nothing more is taken from this connection.
                served.as_mut().graceful_shutdown();
                if served.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
            }
        }
        slow(&mut watch, cx)
    })
    .await;
}

fn slow(watch: &mut Watch, cx: &mut Context<'_>) -> Poll<()> {
    watch.poll_slow(cx).map(|slow| {
        tracing::debug!(?slow, "a client was too slow, and is cut off");
    })
}
