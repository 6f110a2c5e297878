//! Services that Plimsoll itself starts and stops.
//!
//! [`flags`] makes what is started from the settings, [`plan`] says what is to be
//! done and when, [`process`] does it, [`ledger`] notes what runs so that it is found
//! again, [`output`] keeps what it writes. The keeper joins them: one task that owns
//! the plan, and one for each process.

mod backoff;
mod flags;
mod keeper;
mod ledger;
mod minder;
mod output;
mod plan;
mod process;
mod ready;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use plimsoll_core::{clock::Clock, record::Record};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

pub use self::{
    flags::{Launch, Spec},
    output::{Line, MAX_LINES},
    plan::{LOADING_MS, Refused, State, Vram},
    ready::{ByFleet, Ready},
};
use self::{keeper::Keeper, ledger::Ledger, output::Output};
use crate::fleet::FleetView;

/// What the managed services are made of.
pub struct Parts {
    /// Where notes and outputs are kept.
    pub folder: PathBuf,
    pub specs: watch::Receiver<Arc<Vec<Spec>>>,
    /// `None` where there is no GPU that is read.
    pub vram: watch::Receiver<Option<Vram>>,
    /// Tells what each of them holds in VRAM.
    pub view: watch::Receiver<Arc<FleetView>>,
    pub ready: Arc<dyn Ready>,
    /// Whether the GPU is kept free of a service: then it does not start by itself.
    pub kept_off: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    pub clock: Arc<dyn Clock>,
    /// Takes the marks.
    pub record: Arc<dyn Record>,
}

/// All managed services by their ids.
pub type States = BTreeMap<String, State>;

/// The managed services. Dropped without [`Managed::close`] it leaves them running, and
/// the next one takes them over.
pub struct Managed {
    asks: mpsc::Sender<Ask>,
    states: watch::Receiver<Arc<States>>,
    _keeper: JoinHandle<()>,
}

/// What somebody wants of the keeper.
enum Ask {
    Start(String, oneshot::Sender<Result<(), Refused>>),
    Stop(String, oneshot::Sender<Result<(), Refused>>),
    Output(String, oneshot::Sender<Option<Arc<Output>>>),
    Close(oneshot::Sender<()>),
}

// === impl Managed ===

impl Managed {
    /// Takes over what an earlier Plimsoll left running, and starts what is to start with
    /// Plimsoll.
    pub fn start(parts: Parts) -> Self {
        let (asks, asked) = mpsc::channel(64);
        let (publish, states) = watch::channel(Arc::default());
        let keeper = tokio::spawn(Keeper::new(parts, publish).run(asked));
        Self { asks, states, _keeper: keeper }
    }

    /// How they are; changes as they change.
    pub fn states(&self) -> watch::Receiver<Arc<States>> {
        self.states.clone()
    }

    /// Wants one to run. It waits for its turn and for room, as all do.
    pub async fn start_service(&self, id: &str) -> Result<(), Refused> {
        self.ask(|answer| Ask::Start(id.into(), answer)).await.unwrap_or(Err(Refused::Closing))
    }

    /// Wants one to run no more; it is being stopped when this answers.
    pub async fn stop_service(&self, id: &str) -> Result<(), Refused> {
        self.ask(|answer| Ask::Stop(id.into(), answer)).await.unwrap_or(Err(Refused::Closing))
    }

    /// The newest lines of one, oldest first, and the file that holds them all. `None`
    /// where no such service is managed.
    pub async fn output(
        &self,
        id: &str,
        lines: usize,
        now_ms: i64,
    ) -> Option<(Vec<Line>, PathBuf)> {
        let output = self.ask(|answer| Ask::Output(id.into(), answer)).await??;
        tokio::task::spawn_blocking(move || {
            output.follow(now_ms);
            (output.newest(lines.min(MAX_LINES)), output.path().to_path_buf())
        })
        .await
        .ok()
    }

    /// What a service wrote last where no Plimsoll runs. Blocks.
    pub fn output_alone(folder: &Path, id: &str, lines: usize) -> (Vec<Line>, PathBuf) {
        let output = Output::open(Ledger::new(folder.into()).output(id));
        output.read_earlier();
        (output.newest(lines.min(MAX_LINES)), output.path().to_path_buf())
    }

    /// Stops all, the last one started first, each within its grace.
    pub async fn close(&self) {
        self.ask(Ask::Close).await;
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(ask(answer)).await.ok()?;
        answered.await.ok()
    }
}

#[cfg(test)]
mod tests;
