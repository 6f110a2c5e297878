//! Where clients come in: addresses that may change while requests run, and one task
//! for each connection.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use hyper::server::conn::http1;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{self, Counted},
    options::Options,
    state::State,
};

/// Why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{address} is taken by {by}. Stop it, or set another `{key}`.")]
    Taken { address: SocketAddr, by: String, key: &'static str },
    #[error("Plimsoll may not listen at {address}: {source}")]
    Denied { address: SocketAddr, source: io::Error },
}

/// Connections that wait to be taken; the kernel holds them.
const BACKLOG: u32 = 4096;
/// Pause after the system could not give a connection (too many open files, most often).
const SHORT: Duration = Duration::from_millis(50);

/// A place where clients come in.
pub struct Door {
    pub asked: SocketAddr,
    pub address: SocketAddr,
    listener: TcpListener,
}

// === impl Door ===

impl Door {
    pub fn open(state: &State, asked: SocketAddr) -> Result<Self, ListenError> {
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
                let by = state.world.holder(asked).unwrap_or_else(|| "another program".into());
                let key = state.options().key_of(asked);
                Err(ListenError::Taken { address: asked, by, key })
            }
            Err(source) => Err(denied(source)),
        }
    }

    /// Takes connections until told to stop. Those that are there go on.
    pub async fn serve(self, state: Arc<State>, stop: CancellationToken) {
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
            let options = state.options();
            if state.connections.load(Relaxed) >= options.bounds.connections {
                drop(stream);
                continue;
            }
            let counted = Counted::new(&state, |state| &state.connections);
            let _ = stream.set_nodelay(true);
            let served = connection::serve(
                counted,
                stream,
                (peer, self.address),
                protocol(&options),
                options.patience,
            );
            state.tasks.spawn(served);
        }
    }
}

fn protocol(options: &Options) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .max_header_size(options.bounds.head_bytes)
        // What reads is bounded by this, too: a head that never ends is refused at it.
        .max_buf_size((options.bounds.head_bytes * 2).max(64 << 10))
        .half_close(false);
    protocol
}
