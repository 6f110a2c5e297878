//! The composition root: what is started, in which order, and how it stops.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use plimsoll_core::{
    clock::{Clock, SystemClock},
    config::Environment,
    mark::{Mark, MarkKind},
    record::Record,
};
use plimsoll_history::{History, State};
use plimsoll_sense::Sampler;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::{
    api::Fault,
    app::{App, Home, Parts},
    config_handle::{ConfigHandle, FileWatch},
    demo::{self, HoldBack},
    door::{page::PageDoor, socket::SocketDoor},
    folder::DataFolder,
    hub::Hub,
    jobs::Jobs,
    news,
    project::{history_options, project, sense_options},
    sources::Choice,
};

/// Plimsoll, running. It ends with [`Engine::stop`].
pub struct Engine {
    app: App,
    sampler: Sampler,
    socket: SocketDoor,
    page: Option<PageDoor>,
    followers: CancellationToken,
    /// Ends with us.
    _file: FileWatch,
    /// Given back last: until then nobody else may write here.
    _folder: DataFolder,
}

// === impl Engine ===

impl Engine {
    /// Starts everything on the current runtime.
    pub async fn start(folder: DataFolder, ui: Option<SocketAddr>) -> Result<Self, Fault> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started_ms = clock.now().wall_ms;
        let hub = Hub::default();
        let jobs = Jobs::new(hub.clone());
        let state = Arc::new(State::open(folder.path()).await?);
        let config = ConfigHandle::load(
            folder.config().to_path_buf(),
            Environment::of_process(),
            state.clone(),
            clock.clone(),
        )
        .await;
        let file = config.follow();
        let history =
            History::open(folder.path(), project(config.watch(), history_options), clock.clone())
                .await?;
        let recorder = Arc::new(history.recorder());
        let sense = project(config.watch(), sense_options);
        let Choice { sources, simulation } =
            Choice::make(folder.simulated(), sense.clone(), &clock)?;
        let hold = (simulation.is_some() && folder.first_start())
            .then(|| Arc::new(HoldBack::new(recorder.clone())));
        let record: Arc<dyn Record> = match &hold {
            Some(hold) => hold.clone(),
            None => recorder.clone(),
        };
        config.mark_into(record.clone());
        record.mark(Mark::new(started_ms, MarkKind::Restart, "Plimsoll started"));
        let sampler = Sampler::start(sources.list, sense, clock.clone(), record.clone());
        let app = App::new(Parts {
            home: Home {
                data: folder.path().to_path_buf(),
                config: folder.config().to_path_buf(),
                socket: folder.socket().to_path_buf(),
                simulated: folder.simulated(),
                first_start: folder.first_start(),
                started_ms,
            },
            clock,
            hub,
            jobs,
            state,
            config,
            reader: history.reader(),
            recording: history.watch(),
            history: RwLock::new(Some(history)),
            pulse: sampler.watch(),
            machine: sources.machine,
            gpu: sources.gpu,
            processes: sources.processes,
            inspect: sources.inspect,
            ui: OnceLock::new(),
        });
        if let (Some(simulation), Some(hold)) = (simulation, hold) {
            app.jobs.start("The demo's first day", |job| async move {
                let done = demo::fill(job, simulation, recorder, started_ms).await;
                hold.let_go();
                done
            })?;
        }
        let followers = CancellationToken::new();
        news::follow(&app, &followers);
        let socket = SocketDoor::open(folder.socket(), app.clone())?;
        let page = match ui {
            Some(address) => {
                let page = PageDoor::open(address, app.clone(), crate::door::page::find_ui()).await;
                match page {
                    Ok(page) => Some(page),
                    Err(fault) => {
                        let engine = Self {
                            app,
                            sampler,
                            socket,
                            page: None,
                            followers,
                            _file: file,
                            _folder: folder,
                        };
                        engine.stop().await;
                        return Err(fault);
                    }
                }
            }
            None => None,
        };
        if let Some(page) = &page {
            let _ = app.ui.set(format!("http://{}/", page.address()));
        }
        tracing::info!(data = %folder.path().display(), "Plimsoll runs");
        Ok(Self { app, sampler, socket, page, followers, _file: file, _folder: folder })
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    /// The page's address with its token.
    pub fn page_link(&self) -> Option<&str> {
        self.page.as_ref().map(PageDoor::link)
    }

    /// Stops everything, the doors first, the history last.
    pub async fn stop(self) {
        self.app.hub.tell(crate::api::Live::Stopping);
        if let Some(page) = self.page {
            page.close().await;
        }
        self.socket.close().await;
        self.app.jobs.stop().await;
        self.followers.cancel();
        self.sampler.stop().await;
        if let Some(history) = self.app.history.write().await.take() {
            history.stop().await;
        }
        tracing::info!("Plimsoll stopped");
    }
}
