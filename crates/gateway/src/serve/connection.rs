//! One client's connection, from its first byte to its last.
//!
//! Most connections rest most of the time: a library keeps ten of them open and asks once
//! a minute. What HTTP needs of memory for one (two buffers, and the way of a request) is
//! taken when something comes, and given back when nothing has come for a while.

use std::{
    future::{Future as _, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{HeaderMap, Request, body::Incoming, server::conn::http1, service::service_fn};
use tokio::{net::TcpStream, time::timeout};
use tokio_util::sync::WaitForCancellationFuture;

use super::{
    column,
    options::Patience,
    patient::{Patient, Watch},
    progress::{Progress, Slow},
    refuse::Refused,
    state::State,
    world::Sought,
};
use crate::clients::{Client, Peer};

/// One client's connection.
pub struct Link {
    pub peer: Peer,
    pub progress: Arc<Progress>,
}

/// Counts a connection among those that are there, or those that rest, while it is one.
pub struct Counted {
    state: Arc<State>,
    among: fn(&State) -> &AtomicUsize,
}

/// Longest wait for the name of a client's program. It is known within a few milliseconds; two
/// hundred who connect at once to a busy machine wait for some tens, and are then kept to their
/// limits, as nobody is whose name is not known.
const LOOK_UP: Duration = Duration::from_millis(80);

// === impl Link ===

impl Link {
    /// Who asks. The program at its other end is looked for when something is asked for the
    /// first time, and again with the next request where that look did not come to its end.
    pub async fn client(&self, state: &State, headers: &HeaderMap) -> Result<Arc<Client>, Refused> {
        if self.peer.is_sought() {
            let look = state.world.program(self.peer.address, self.peer.here);
            // What takes longer is not worth a client's wait.
            match timeout(LOOK_UP, look).await {
                Ok(Sought::Found(name)) => self.peer.is_program(Some(name)),
                Ok(Sought::Nobody) => self.peer.is_program(None),
                Ok(Sought::NotYet) | Err(_) => {}
            }
        }
        Ok(state.clients.who(headers, &self.peer, state.records.wall_ms())?)
    }
}

// === impl Counted ===

impl Counted {
    pub fn new(state: &Arc<State>, among: fn(&State) -> &AtomicUsize) -> Self {
        among(state).fetch_add(1, Relaxed);
        Self { state: state.clone(), among }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.among)(&self.state).fetch_sub(1, Relaxed);
    }
}

/// Serves it until one of the two closes it.
pub async fn serve(
    counted: Counted,
    stream: TcpStream,
    (peer, local): (SocketAddr, SocketAddr),
    protocol: http1::Builder,
    patience: Patience,
) {
    let state = &counted.state;
    let (mut stream, progress, mut watch) = Patient::new(stream, patience);
    let link = Link { peer: Peer::new(peer, local), progress };
    let mut ends = Ends { stop: pin!(state.stop.cancelled()), cut: pin!(state.cut.cancelled()) };
    while let Some(rests) = talk(state, &link, &protocol, stream, &mut watch, &mut ends).await {
        stream = rests;
        let _rests = Counted::new(state, |state| &state.resting);
        if !wakes(&stream, &mut watch, &mut ends).await {
            return;
        }
    }
}

/// The gateway's own words of the end.
struct Ends<'a, 'b> {
    stop: Pin<&'a mut WaitForCancellationFuture<'b>>,
    cut: Pin<&'a mut WaitForCancellationFuture<'b>>,
}

/// Speaks HTTP on it, until it is closed or rests: then its bytes come back.
async fn talk(
    state: &Arc<State>,
    link: &Link,
    protocol: &http1::Builder,
    stream: Patient,
    watch: &mut Watch,
    ends: &mut Ends<'_, '_>,
) -> Option<Patient> {
    let service = service_fn(|request: Request<Incoming>| {
        let served = column::serve(state, link, request);
        async move { Ok::<_, std::convert::Infallible>(served.await) }
    });
    let mut served = Box::new(protocol.serve_connection(stream, service));
    let (mut waits, mut told) = (false, false);
    let rests = poll_fn(|cx| {
        if Pin::new(&mut *served).poll(cx).is_ready() {
            return Poll::Ready(false);
        }
        // Once they were asked they wake this task; until then a look at the flag does.
        if !waits || state.is_stopping() {
            waits = true;
            if ends.cut.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            if !told && ends.stop.as_mut().poll(cx).is_ready() {
                told = true;
                // What runs may end; nothing more is taken from this connection.
                Pin::new(&mut *served).graceful_shutdown();
                if Pin::new(&mut *served).poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
            }
        }
        slow(watch, cx).map(|slow| slow == Slow::Rests)
    })
    .await;
    if !rests {
        return None;
    }
    let parts = served.into_parts();
    Some(parts.io.lay_down(&parts.read_buf))
}

/// Waits for the next byte on a connection that was laid down; `false` where it is over.
async fn wakes(stream: &Patient, watch: &mut Watch, ends: &mut Ends<'_, '_>) -> bool {
    poll_fn(|cx| {
        if stream.poll_wakes(cx).is_ready() {
            return Poll::Ready(true);
        }
        let over = ends.stop.as_mut().poll(cx).is_ready()
            || ends.cut.as_mut().poll(cx).is_ready()
            || slow(watch, cx).is_ready();
        if over { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

fn slow(watch: &mut Watch, cx: &mut Context<'_>) -> Poll<Slow> {
    watch.poll_slow(cx).map(|slow| {
        if slow != Slow::Rests {
            tracing::debug!(?slow, "a client was too slow, and is cut off");
        }
        slow
    })
}
