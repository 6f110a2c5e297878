//! The door: connections come in while the server's process is there, and break when
//! it goes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinSet,
    time::{Duration, sleep},
};

use super::{shared::Shared, wire};

/// Most connections at once; more are closed as they come.
const MOST_CONNECTIONS: usize = 20_000;
/// How often it is looked whether the process is there, where that changes by itself.
const LOOK: Duration = Duration::from_millis(250);

/// What the one who holds the double wants: up or down, and that each time it came up
/// it is another process.
pub type Wanted = watch::Receiver<bool>;

/// Listens for as long as the double lives.
pub async fn listen(shared: Arc<Shared>, first: TcpListener, mut wanted: Wanted) {
    let Ok(address) = first.local_addr() else { return };
    let mut listener = Some(first);
    loop {
        let up = *wanted.borrow_and_update() && shared.is_present();
        if !up {
            listener = None;
            wait(&shared, &mut wanted).await;
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => match TcpListener::bind(address).await {
                Ok(open) => open,
                Err(_) => {
                    // Somebody else has the port for the moment.
                    sleep(LOOK).await;
                    continue;
                }
            },
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                came = open.accept() => match came {
                    Ok((stream, _)) => {
                        if connections.len() < MOST_CONNECTIONS {
                            connections.spawn(connection(shared.clone(), stream));
                        }
                    }
                    Err(_) => sleep(LOOK).await,
                },
                Some(_) = connections.join_next() => {}
                () = wait(&shared, &mut wanted) => {
                    if !(*wanted.borrow() && shared.is_present()) {
                        break;
                    }
                }
            }
        }
        // All of them break with the process.
        connections.shutdown().await;
    }
}

/// Until it may be another than before.
async fn wait(shared: &Shared, wanted: &mut Wanted) {
    if shared.may_change() {
        tokio::select! {
            () = sleep(LOOK) => {}
            changed = wanted.changed() => if changed.is_err() { std::future::pending().await },
        }
    } else if wanted.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Counts a connection while it is there.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.with(|state, _| {
            let stats = &mut state.stats;
            stats.connections_in_all += 1;
            stats.connections += 1;
            stats.most_connections = stats.most_connections.max(stats.connections);
        });
        Self(shared.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.with(|state, _| state.stats.connections -= 1);
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let _counted = Counted::new(&shared);
    // Tokens go out as they come.
    let _ = stream.set_nodelay(true);
    let close = Arc::new(Notify::new());
    let answers = AtomicU32::new(0);
    let most = shared.spec.answers_per_connection;
    let service = service_fn(|request: Request<Incoming>| {
        let before = answers.fetch_add(1, Ordering::Relaxed);
        let last = most.is_some_and(|most| before.saturating_add(1) >= most);
        wire::serve(shared.clone(), request, close.clone(), last)
    });
    let served = http1::Builder::new()
        .half_close(false)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    loop {
        tokio::select! {
            _ = served.as_mut() => return,
            // The head of a stream is out: what comes after its end is nothing.
            () = close.notified() => served.as_mut().graceful_shutdown(),
        }
    }
}

/// Somewhere to listen: what was asked for, or a free port of this machine alone.
pub async fn bind(address: Option<SocketAddr>) -> std::io::Result<TcpListener> {
    TcpListener::bind(address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))).await
}
