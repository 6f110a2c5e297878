//! The session behind the window. It starts beside the window, not before it:
//! whoever asks first waits for it. Where it was attached to another process
//! and that one ended, another session takes its place.

use std::{sync::Arc, time::Duration};

use plimsoll_app::{
    api::{Fault, FaultCode},
    session::{Options, Session},
};
use tokio::{sync::watch, time::sleep};

/// A `plimsoll up` that is only restarted comes back within this time; then this window attaches
/// to it again. After it the window hosts the engine itself: recording must not just stop.
const OWNER_COMES_BACK_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<Session>),
    Failed(Fault),
}

pub struct Host {
    state: watch::Receiver<State>,
}

// === impl Host ===

impl Host {
    /// Starts the session on `runtime` and comes back at once.
    pub fn start(runtime: &tokio::runtime::Handle, options: Options) -> Self {
        let (tell, state) = watch::channel(State::Starting);
        runtime.spawn(keep(options, tell));
        Self { state }
    }

    /// The session, as soon as it has started; or why there is none.
    pub async fn session(&self) -> Result<Arc<Session>, Fault> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Starting)).await;
        match settled.as_deref() {
            Ok(State::Ready(session)) => Ok(Arc::clone(session)),
            Ok(State::Failed(fault)) => Err(fault.clone()),
            Ok(State::Starting) | Err(_) => {
                Err(Fault::new(FaultCode::Unavailable, "Plimsoll is stopping."))
            }
        }
    }

    /// The next session that is not `before`; `None` where there will be none.
    pub async fn session_after(&self, before: Option<&Arc<Session>>) -> Option<Arc<Session>> {
        let mut state = self.state.clone();
        let is_new = |state: &State| match state {
            State::Ready(session) => before.is_none_or(|before| !Arc::ptr_eq(before, session)),
            State::Starting | State::Failed(_) => false,
        };
        match state.wait_for(is_new).await.as_deref() {
            Ok(State::Ready(session)) => Some(Arc::clone(session)),
            _ => None,
        }
    }

    /// Waits for a start under way, and stops what it started.
    pub async fn stop(&self) {
        if let Ok(session) = self.session().await {
            session.stop().await;
        }
    }
}

/// Keeps a session there for as long as anybody can ask for it.
async fn keep(options: Options, tell: watch::Sender<State>) {
    loop {
        let session = match Session::start_or_attach(options.clone()).await {
            Ok(session) => Arc::new(session),
            Err(fault) => {
                tracing::error!(%fault, "Plimsoll could not start");
                // The page says it too; where there is no page, this is the only place.
                eprintln!("plimsoll-desktop: {fault}");
                tell.send_replace(State::Failed(fault));
                return tell.closed().await;
            }
        };
        tracing::info!(hosted = session.hosted(), data = %session.about().data_dir, "session begins");
        tell.send_replace(State::Ready(Arc::clone(&session)));
        tokio::select! {
            () = session.owner_ended() => {}
            () = tell.closed() => return,
        }
        let gone = "The Plimsoll that this window was attached to has ended.";
        tracing::warn!("{gone}");
        let fault = Fault::new(FaultCode::Unavailable, gone)
            .hint("This window takes over within a few seconds, unless that one comes back.");
        tell.send_replace(State::Failed(fault));
        wait_for_owner(&options).await;
    }
}

async fn wait_for_owner(options: &Options) {
    let end = tokio::time::Instant::now() + OWNER_COMES_BACK_WITHIN;
    while tokio::time::Instant::now() < end {
        // The one that is found here is attached to properly by the caller.
        if matches!(Session::attach_if_running(options).await, Ok(Some(_))) {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}
