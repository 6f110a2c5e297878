//! The composition root: what is started, in which order, and how it stops.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use plimsoll_core::{
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    mark::{Mark, MarkKind},
    record::Record,
};
use plimsoll_gateway::record::Records;
use plimsoll_history::{History, Reader, RecordingStatus, State};
use plimsoll_sense::{Sampler, raise_open_files_limit};
use tokio::{
    sync::{RwLock, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    alerts::{self, Alerts, Notice, Notifier, Rehearsal, Restored},
    announce::Announce,
    api::{Fault, Live},
    app::{App, Home, Minute, Parts},
    config_handle::{ConfigHandle, FileWatch},
    demo::{self, HoldBack, Scenes, Unfinished},
    dispatch::blocking,
    door::{
        page::{PageDoor, PagePlace, find_ui},
        socket::{SocketDoor, SocketPlace},
    },
    folder::DataFolder,
    gateway::{self, Traffic},
    hub::Hub,
    jobs::{Jobs, Stopped},
    keys::KeyRing,
    limits::DraftDesk,
    logging::{self, Logging},
    news,
    project::{history_options, project, sense_options},
    services::{self, Services, actions::Underway, ending::Ending, hold::HoldDesk},
    sources::{self, Choice},
    stage::Stage,
    storage::pending::Applied,
};

/// Plimsoll, running. It ends with [`Engine::stop`].
pub struct Engine {
    app: App,
    sampler: Sampler,
    socket: Option<SocketDoor>,
    page: Option<PageDoor>,
    followers: CancellationToken,
    log_levels: JoinHandle<()>,
    /// What plays the demo's services and their clients.
    stage: Option<Stage>,
    /// Ends with us.
    _file: FileWatch,
    /// Given back last: until then nobody else may write here.
    _folder: DataFolder,
}

/// Where Plimsoll is to be reached, as far as somebody says it at the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doors {
    /// Serve the window to a browser at this loopback address.
    pub ui: Option<SocketAddr>,
    /// The gateway's address, in place of `gateway.address`; `None`: as configured.
    pub gateway: Option<SocketAddr>,
}

/// By this word a person names the gateway's address.
const GATEWAY_FLAG: &str = "--gateway";

/// Where the doors are going to be.
struct Places {
    socket: SocketPlace,
    page: Option<PagePlace>,
}

// === impl Places ===

impl Places {
    async fn reserve(socket: &Path, ui: Option<SocketAddr>) -> Result<Self, Fault> {
        let page = match ui {
            Some(address) => Some(PageDoor::reserve(address).await?),
            None => None,
        };
        Ok(Self { socket: SocketDoor::reserve(socket)?, page })
    }
}

// === impl Engine ===

impl Engine {
    /// Starts everything on the current runtime.
    pub async fn start(folder: DataFolder, doors: Doors) -> Result<Self, Fault> {
        raise_open_files_limit();
        // First of all: where a door cannot be opened no service was touched yet, so that one
        // that an earlier Plimsoll left running goes on.
        let places = Places::reserve(folder.socket(), doors.ui).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started = clock.now();
        let started_ms = started.wall_ms;
        let hub = Hub::default();
        let jobs = Jobs::new(hub.clone());
        let logging = Arc::new(Logging::install(
            logging::Places::of_owner(folder.logs(), under_systemd()),
            &Config::default().log,
            clock.clone(),
        ));
        let state = Arc::new(State::open(folder.path()).await?);
        let config = ConfigHandle::load(
            folder.config().to_path_buf(),
            environment_of(doors),
            state.clone(),
            clock.clone(),
        )
        .await;
        let log_levels = logging.follow(config.watch());
        let file = config.follow();
        let sense = project(config.watch(), |config: &Arc<Config>| sense_options(config));
        // A driver's library is loaded, or a simulated day is prepared: not on the runtime's threads.
        let (simulated, first) = (folder.simulated(), folder.first_start());
        let (options, time) = (sense.clone(), clock.clone());
        let Choice { mut sources, simulation, mut cast } =
            blocking(move || Choice::make(simulated, first, options, &time)).await??;
        let history = History::open(
            folder.path(),
            project(config.watch(), |config: &Arc<Config>| history_options(config)),
            clock.clone(),
        )
        .await?;
        let own_marks = history.marks();
        let reader = history.reader();
        // A first chart then waits for its own chunks alone; a fault is met again by who asks.
        tokio::spawn(async move { reader.warm().await.ok() });
        // Never blocks; ticks and marks are never displaced by records.
        let recorder: Arc<dyn Record> = Arc::new(history.recorder());
        let announced: Arc<dyn Record> = Arc::new(Announce::new(recorder.clone(), hub.clone()));
        logging.record_into(recorder.clone());
        config.mark_into(announced.clone());
        // Before any service could start by itself.
        let gpu_hold = HoldDesk::open(&state, &*clock).await;
        // The sampler starts later, for it reads the services, too.
        let (publish_vram, vram) = watch::channel(None);
        let runs = (!simulated).then(|| services::managed::Runs {
            folder: folder.path().join(services::managed::FOLDER),
            vram,
            held: gpu_hold.held(),
        });
        let mut stage = match (&mut cast, &simulation) {
            (Some(cast), Some(simulation)) => {
                Some(Stage::open(cast, simulation, clock.now(), &config.config())?)
            }
            _ => None,
        };
        let services = Services::start(services::Parts {
            config: config.watch(),
            clock: clock.clone(),
            record: announced.clone(),
            processes: sources.processes.clone(),
            state: state.clone(),
            notifier: Arc::new(ToListeners(hub.clone())),
            runs,
            simulated: stage.as_ref().map(|stage| stage.wanted.clone()),
        })
        .await?;
        sources.list.push(Box::new(services.source()));
        let (records, pump) = Records::start(clock.clone(), announced.clone());
        if let Ok(Some(newest)) = history.reader().newest_request().await {
            records.continue_after(newest);
        }
        let interval = project(config.watch(), |config: &Arc<Config>| {
            Duration::from_millis(u64::from(config.sampling.interval_ms))
        });
        sources.list.push(Box::new(records.source(interval)));
        say_what_happened(&folder, &*recorder, started_ms);
        // A new demo gets a past first; its live ticks wait for that.
        let hold =
            (simulation.is_some() && first).then(|| Arc::new(HoldBack::new(announced.clone())));
        let mut record = hold.clone().map_or(announced, |hold| hold as Arc<dyn Record>);
        if let Some(simulation) = &simulation {
            record = Arc::new(Scenes::new(record, simulation));
        }
        let sampler = Sampler::start(sources.list, sense, clock.clone(), record.clone());
        services::managed::tell_vram(sampler.watch(), publish_vram);
        let keys = KeyRing::open(state.clone(), record.clone()).await?;
        let traffic = Traffic::start(gateway::Parts {
            config: config.watch(),
            clock: clock.clone(),
            hub: hub.clone(),
            record: record.clone(),
            records,
            pump,
            keys: keys.watch(),
            services: &services,
            processes: sources.processes.clone(),
            pulse: sampler.watch(),
            gpu: sources.gpu.clone(),
            address: doors.gateway,
            simulated,
        })
        .await?;
        if let (Some(stage), Some(simulation)) = (&mut stage, &simulation) {
            stage.let_ask(simulation, clock.now(), traffic.door())?;
        }
        let alerts = Alerts::start(alerts::Parts {
            pulse: sampler.watch(),
            gpu: sources.gpu.clone(),
            recording: project(history.watch(), |status: &RecordingStatus| status.into()),
            shortfalls: shortfalls(&traffic, &config),
            fleet: services.view(),
            config: config.watch(),
            clock: clock.clone(),
            record: record.clone(),
            past: Arc::new(history.reader()),
            store: state.clone(),
            notifier: Arc::new(ToListeners(hub.clone())),
            restored: restored(&state, &history.reader(), started_ms).await,
        });
        let draft = DraftDesk::new(state.clone(), hub.clone());
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
            alerts,
            logging,
            own_cpu: Minute::default(),
            oldest: tokio::sync::Mutex::default(),
            reader: history.reader(),
            recording: history.watch(),
            history: RwLock::new(Some(history)),
            pulse: sampler.watch(),
            machine: sources.machine,
            gpu: sources.gpu,
            processes: sources.processes,
            inspect: sources.inspect,
            services,
            traffic,
            keys,
            underway: Underway::default(),
            ending: Ending::default(),
            draft,
            hold: gpu_hold,
            record,
            ui: OnceLock::new(),
        });
        if let (Some(simulation), Some(cast), Some(hold)) = (simulation, cast, hold) {
            let gpu = app.gpu.borrow().as_deref().cloned().unwrap_or_default();
            let rules = Rehearsal::new(app.config.config(), gpu);
            let (alerts, hub) = (app.alerts.clone(), app.hub.clone());
            let (config, span_ms) = (app.config.config(), sources::PAST_MS);
            let stuff = demo::Stuff { simulation, cast, config, now: started, span_ms };
            let unfinished = Unfinished::begin(folder.path())?;
            app.jobs.start("The demo's first day", |job| async move {
                let done = demo::fill(&job, stuff, rules, recorder, &hold).await;
                // A person may do without the rest of it; an end of the program is no such word.
                if done.is_ok() || (matches!(done, Err(Stopped::Cancelled)) && !job.stopping()) {
                    unfinished.over();
                }
                hold.let_go();
                let (rows, words) = done?;
                alerts.remember(rows);
                // Charts asked before there was a past: they ask again.
                hub.tell(Live::Missed { messages: 0 });
                Ok(words)
            })?;
        }
        let followers = CancellationToken::new();
        app.hold.start(app.clone()).await;
        news::follow(&app, own_marks, &followers);
        let mut engine = Self {
            app,
            sampler,
            socket: None,
            page: None,
            followers,
            log_levels,
            stage,
            _file: file,
            _folder: folder,
        };
        engine.open_doors(places);
        tracing::info!(data = %engine.app.home.data.display(), "Plimsoll runs");
        Ok(engine)
    }

    /// Socket and loopback page: one dispatch.
    fn open_doors(&mut self, places: Places) {
        self.socket = Some(SocketDoor::serve(places.socket, self.app.clone()));
        if let Some(place) = places.page {
            let page = PageDoor::serve(place, self.app.clone(), find_ui());
            let _ = self.app.ui.set(page.links());
            self.page = Some(page);
        }
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    /// Stops everything, the doors first, the history last.
    pub async fn stop(mut self) {
        self.app.hub.tell(Live::Stopping);
        if let Some(page) = self.page {
            page.close().await;
        }
        if let Some(socket) = self.socket {
            socket.close().await;
        }
        self.app.jobs.stop().await;
        self.followers.cancel();
        if let Some(stage) = &mut self.stage {
            stage.ask_no_more().await;
        }
        // What runs may end while the services are still there.
        self.app.traffic.stop().await;
        if let Err(fault) = self.app.keys.save_uses().await {
            tracing::warn!("when keys were used last was not kept: {fault}");
        }
        self.app.hold.stop().await;
        self.app.services.stop();
        self.app.services.stop_runs().await;
        self.sampler.stop().await;
        self.app.alerts.stop().await;
        self.log_levels.abort();
        // Warnings of the last seconds still belong to this history.
        let logging = self.app.logging.clone();
        let _ = blocking(move || logging.flush()).await;
        self.app.logging.record_no_more();
        if let Some(history) = self.app.history.write().await.take() {
            history.stop().await;
        }
        tracing::info!("Plimsoll stopped");
        let logging = self.app.logging.clone();
        let _ = blocking(move || logging.flush()).await;
    }
}

/// This process's variables, and what was said at its start.
fn environment_of(doors: Doors) -> Environment {
    let environment = Environment::of_process();
    match doors.gateway {
        // Who names an address wants it to be listened at.
        Some(address) => environment
            .with_flag(GATEWAY_FLAG, "gateway.address", &address.to_string())
            .with_flag(GATEWAY_FLAG, "gateway.enabled", "true"),
        None => environment,
    }
}

/// Passes notifications on to those who can show them.
struct ToListeners(Hub);

impl Notifier for ToListeners {
    fn notify(&self, notice: &Notice) {
        self.0.tell(Live::Notice {
            rule: notice.rule.clone(),
            subject: notice.subject.clone(),
            severity: notice.severity,
            title: notice.title.clone(),
            advice: notice.advice.clone(),
        });
    }
}

/// What Plimsoll was told to do and cannot.
fn shortfalls(traffic: &Traffic, config: &ConfigHandle) -> watch::Receiver<alerts::Shortfalls> {
    type Told = watch::Receiver<Option<String>>;
    let (mut unheard, mut unread) = (traffic.unheard(), config.trouble());
    let now = |unheard: &mut Told, unread: &mut Told| alerts::Shortfalls {
        gateway: unheard.borrow_and_update().clone(),
        config: unread.borrow_and_update().clone(),
    };
    let (publish, read) = watch::channel(now(&mut unheard, &mut unread));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = publish.closed() => return,
                changed = unheard.changed() => if changed.is_err() { return },
                changed = unread.changed() => if changed.is_err() { return },
            }
            publish.send_replace(now(&mut unheard, &mut unread));
        }
    });
    read
}

/// What an earlier run left; where it cannot be read, alerts begin anew.
async fn restored(state: &State, reader: &Reader, now_ms: i64) -> Restored {
    let answers = state.alerts().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "answers to alerts could not be read");
        Vec::new()
    });
    let rows = reader.alerts(now_ms - alerts::DAY_MS, now_ms + 1).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the alerts of the last day could not be read");
        Vec::new()
    });
    alerts::restored(answers, rows)
}

/// The start stands on the charts, and what was done to the data before it.
fn say_what_happened(folder: &DataFolder, record: &dyn Record, at_ms: i64) {
    match folder.applied() {
        Applied::Nothing => {}
        Applied::Restored(words) => {
            tracing::warn!("{words}");
            let mut mark = Mark::new(at_ms, MarkKind::History, "A backup was restored");
            mark.detail.clone_from(words);
            record.mark(mark);
        }
        Applied::Moved(to) => {
            let words = format!("The data was moved to {}", to.display());
            tracing::warn!("{words}");
            record.mark(Mark::new(at_ms, MarkKind::History, words));
        }
        Applied::Failed(why) => {
            tracing::error!("The data was to be restored or moved, and is as it was: {why}");
            let title = "The data could not be restored or moved";
            let mut mark = Mark::new(at_ms, MarkKind::History, title);
            mark.detail.clone_from(why);
            record.mark(mark);
        }
    }
    record.mark(Mark::new(at_ms, MarkKind::Restart, "Plimsoll started"));
}

/// Its journal takes what we say on standard error.
fn under_systemd() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}
