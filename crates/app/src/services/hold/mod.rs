//! A hold: the GPU free for somebody else for a while. What holds VRAM is taken
//! away, kept on a list, and brought back at the end; also after Plimsoll ended in
//! the middle of it.

#[cfg(test)]
pub(super) mod doubles;
mod hands;
mod machine;
mod plan;
mod runner;
mod work;

use std::{path::Path, sync::Arc, time::Duration};

use plimsoll_core::clock::Clock;
use plimsoll_history::{ReadError, State};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub use self::plan::fates;
use self::{hands::Real, machine::Machine, runner::Runner};
use crate::{
    api::{Fault, FaultCode, Hold, HoldRequest, HoldState},
    app::App,
};

/// Where it is kept in the state's database.
const KEY: &str = "hold";
/// What a server may take to let a model go: one that works on a request answers that first.
const UNLOAD_WITHIN: Duration = Duration::from_secs(120);
/// Words that may wait for the one who does the work.
const ASKS: usize = 16;

/// Where a hold is asked for.
pub struct HoldDesk {
    asks: mpsc::Sender<Ask>,
    shown: watch::Receiver<Option<Arc<Machine>>>,
    stop: CancellationToken,
    /// What the work begins with; taken when it does.
    idle: Mutex<Option<Idle>>,
    work: Mutex<Option<JoinHandle<()>>>,
}

struct Idle {
    asked: mpsc::Receiver<Ask>,
    show: watch::Sender<Option<Arc<Machine>>>,
}

/// A word to the one who does the work.
enum Ask {
    Begin(HoldRequest, Answer),
    End(Answer),
}

type Answer = oneshot::Sender<Result<Hold, Fault>>;

/// Which services may not start by themselves now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Held(watch::Receiver<Option<Arc<Machine>>>);

/// What is kept of a hold where nobody runs that could end it.
pub async fn peek(folder: &Path) -> Result<Option<Hold>, ReadError> {
    let kept = State::peek(folder, KEY).await?;
    let machine = kept.and_then(|text| serde_json::from_str::<Machine>(&text).ok());
    Ok(machine.map(|machine| machine.told()))
}

// === impl Held ===

impl Held {
    /// None is held, ever.
    #[cfg(test)]
    pub fn never() -> Self {
        Self(watch::channel(None).1)
    }

    /// Whether a hold wants the GPU free of that service.
    pub fn holds(&self, id: &str) -> bool {
        self.0.borrow().as_ref().is_some_and(|hold| {
            matches!(hold.state, HoldState::Freeing | HoldState::Held)
                && (hold.named.is_empty() || hold.named.iter().any(|named| named == id))
        })
    }

    /// Resolves when the hold has changed: ask again. Never, once nobody can change it.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

// === impl HoldDesk ===

impl HoldDesk {
    /// Reads what an earlier start left; nothing is done before [`HoldDesk::start`].
    pub async fn open(state: &State, clock: &dyn Clock) -> Self {
        let kept = state.kept(KEY).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "whether a hold was on could not be read");
            None
        });
        let machine = kept.and_then(|text| match serde_json::from_str::<Machine>(&text) {
            Ok(machine) => Some(Arc::new(machine.resume(clock.now()))),
            Err(error) => {
                tracing::warn!(%error, "the list of an earlier hold is not understood");
                None
            }
        });
        let (asks, asked) = mpsc::channel(ASKS);
        let (show, shown) = watch::channel(machine);
        let idle = Mutex::new(Some(Idle { asked, show }));
        Self { asks, shown, stop: CancellationToken::new(), idle, work: Mutex::default() }
    }

    /// Begins to do the work, going on where an earlier start left it.
    pub async fn start(&self, app: App) {
        let Some(Idle { asked, show }) = self.idle.lock().await.take() else { return };
        let runner = Runner::new(Arc::new(Real::new(app)), asked, show);
        *self.work.lock().await = Some(tokio::spawn(runner.run(self.stop.clone())));
    }

    /// Ends the work and leaves everything as it is: the next start goes on.
    pub async fn stop(&self) {
        self.stop.cancel();
        if let Some(work) = self.work.lock().await.take() {
            let _ = work.await;
        }
    }

    pub fn held(&self) -> Held {
        Held(self.shown.clone())
    }

    /// The hold that is on, or the one that ended last.
    pub fn show(&self) -> Option<Hold> {
        self.shown.borrow().as_ref().map(|machine| machine.told())
    }

    /// Begins a hold, or changes how long the one that is on lasts.
    pub async fn begin(&self, request: HoldRequest) -> Result<Hold, Fault> {
        self.ask(|answer| Ask::Begin(request, answer)).await
    }

    /// Brings everything back now.
    pub async fn end(&self) -> Result<Hold, Fault> {
        self.ask(Ask::End).await
    }

    async fn ask(&self, ask: impl FnOnce(Answer) -> Ask) -> Result<Hold, Fault> {
        let stopping = || Fault::new(FaultCode::Unavailable, "Plimsoll is stopping.");
        let (answer, answered) = oneshot::channel();
        self.asks.send(ask(answer)).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

#[cfg(test)]
mod tests;
