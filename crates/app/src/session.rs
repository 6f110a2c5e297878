//! A session: what a window or a terminal holds. It hosts the engine, or it is
//! attached to the one that already runs; who uses it need not care.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt};
use plimsoll_core::clock::SystemClock;
use rustix::process::geteuid;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{About, Command, Fault, FaultCode, Live, Nothing, Subscription},
    dispatch::blocking,
    door::{Host, client::Client, wire},
    engine::{Doors, Engine},
    folder::{DataFolder, OwnError, Owner},
    logging::{self, Logging},
    offline,
    places::{Places, Surroundings},
    storage::pending,
};

/// What a person can say at start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `None`: the environment, then the XDG folders.
    pub data_dir: Option<PathBuf>,
    pub config: Option<PathBuf>,
    /// The simulated workstation, in a folder of its own.
    pub demo: bool,
    /// Serve the window to a browser at this loopback address.
    pub ui: Option<SocketAddr>,
    /// Where the gateway listens, whatever the configuration says; port 0 takes a free one.
    pub gateway: Option<SocketAddr>,
}

/// A running Plimsoll, in this process or another one.
pub struct Session {
    kind: Kind,
    about: About,
    /// Ends the listener before, when somebody listens anew.
    listener: Mutex<CancellationToken>,
}

enum Kind {
    // The engine is taken out when it stops.
    Hosted {
        app: crate::app::App,
        link: Option<String>,
        engine: tokio::sync::Mutex<Option<Box<Engine>>>,
    },
    Attached {
        client: Client,
        /// A window's own log, beside the owner's.
        log: Option<Arc<Logging>>,
    },
}

/// The live stream, in either case.
pub type LiveStream = Pin<Box<dyn Stream<Item = Live> + Send>>;

/// An owner that is just starting opens its socket within this time.
const OWNER_STARTS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

// === impl Options ===

impl Options {
    fn doors(&self) -> Doors {
        Doors { ui: self.ui, gateway: self.gateway }
    }

    pub fn places(&self) -> Result<Places, Fault> {
        let around = Surroundings::read();
        let (data, config) = (self.data_dir.as_deref(), self.config.as_deref());
        let mut places = Places::find(data, config, self.demo, &around)?;
        // A person may have moved the data elsewhere.
        places.data = pending::follow(&places.data);
        Ok(places)
    }
}

// === impl Session ===

impl Session {
    /// Hosts the engine, or attaches to the one that owns the data folder.
    pub async fn start_or_attach(options: Options) -> Result<Self, Fault> {
        let mut tries = 0;
        loop {
            let places = options.places()?;
            let owner = match DataFolder::own(&places, &Surroundings::read()) {
                Ok(folder) => return Self::host(folder, options.doors()).await,
                Err(OwnError::Fault(fault)) => return Err(fault),
                Err(OwnError::Held(owner)) => owner,
            };
            tries += 1;
            // Before it knocks: that nobody answers is worth a line, too.
            let log = window_log(&places, owner.as_ref()).await?;
            match Self::attach(&places, "window", log).await {
                // It ended while we knocked: then the folder is ours to host.
                Err(_) if tries < 5 && matches!(DataFolder::owner(&places.data), Ok(None)) => {}
                outcome => return outcome,
            }
        }
    }

    /// Hosts the engine; a folder that somebody owns is a fault that says who.
    pub async fn start(options: Options) -> Result<Self, Fault> {
        let folder = DataFolder::own(&options.places()?, &Surroundings::read())?;
        Self::host(folder, options.doors()).await
    }

    /// Attaches to the owner of the folder; `Ok(None)` where nobody owns it.
    pub async fn attach_if_running(options: &Options) -> Result<Option<Self>, Fault> {
        let places = options.places()?;
        match DataFolder::owner(&places.data) {
            Ok(None) => Ok(None),
            Ok(Some(_)) | Err(OwnError::Held(_)) => {
                Self::attach(&places, "terminal", None).await.map(Some)
            }
            Err(OwnError::Fault(fault)) => Err(fault),
        }
    }

    async fn host(folder: DataFolder, doors: Doors) -> Result<Self, Fault> {
        let engine = Engine::start(folder, doors).await?;
        let app = engine.app().clone();
        let about = app.about();
        // Without `--ui` there is no page, and that is no fault here.
        let link = app.page_link().ok().map(|link| link.url);
        let kind =
            Kind::Hosted { app, link, engine: tokio::sync::Mutex::new(Some(Box::new(engine))) };
        Ok(Self { kind, about, listener: Mutex::default() })
    }

    async fn attach(
        places: &Places,
        program: &str,
        log: Option<Arc<Logging>>,
    ) -> Result<Self, Fault> {
        let client = connect(places, program).await?;
        let about = client.call(&Command::About(Nothing {})).await?;
        let about: About = parse(&about)?;
        tracing::info!(owner = about.pid, "attached to the Plimsoll that runs");
        let kind = Kind::Attached { client, log };
        Ok(Self { kind, about, listener: Mutex::default() })
    }

    /// True where the engine runs in this process.
    pub fn hosted(&self) -> bool {
        matches!(self.kind, Kind::Hosted { .. })
    }

    /// Who owns the data folder, as it was when this session began.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The first one-time link to the loopback page, where this process serves it.
    pub fn page_link(&self) -> Option<&str> {
        match &self.kind {
            Kind::Hosted { link, .. } => link.as_deref(),
            Kind::Attached { .. } => None,
        }
    }

    /// A window's own log follows the settings, too: call it when they changed.
    pub async fn settings_changed(&self) {
        if let Kind::Attached { log: Some(log), .. } = &self.kind
            && let Ok(loaded) = offline::configuration(Path::new(&self.about.config_path)).await
        {
            log.apply(&loaded.config.log);
        }
    }

    /// Does a command; the answer stays JSON text.
    pub async fn call_raw(&self, command: Command) -> Result<Box<RawValue>, Fault> {
        match &self.kind {
            Kind::Hosted { app, .. } => app.call(command).await,
            Kind::Attached { client, .. } => client.call(&command).await,
        }
    }

    /// Does a command.
    pub async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, Fault> {
        parse(&self.call_raw(command).await?)
    }

    /// `{"command":…,"args":…}` in, the answer's JSON out.
    pub async fn call_json(&self, command: &str) -> Result<String, Fault> {
        let command = wire::command_from_json(command)?;
        Ok(Box::<str>::from(self.call_raw(command).await?).into_string())
    }

    /// Listens from now on. A listener from before ends. The stream ends when Plimsoll does.
    pub fn subscribe(
        &self,
        subscription: Subscription,
    ) -> impl Stream<Item = Live> + Send + 'static {
        let fresh = CancellationToken::new();
        let mut current = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, fresh.clone()).cancel();
        drop(current);
        let live: LiveStream = match &self.kind {
            Kind::Hosted { app, .. } => Box::pin(app.listen(&subscription).into_stream()),
            Kind::Attached { client, .. } => Box::pin(attached(client.clone(), subscription)),
        };
        live.take_until(fresh.cancelled_owned())
    }

    /// Resolves when an owner in another process has ended; never for a hosted engine.
    pub async fn owner_ended(&self) {
        match &self.kind {
            Kind::Hosted { .. } => std::future::pending().await,
            Kind::Attached { client, .. } => client.ended().await,
        }
    }

    /// Stops the engine where it is hosted here; an owner elsewhere runs on.
    pub async fn stop(&self) {
        match &self.kind {
            Kind::Hosted { engine, .. } => {
                if let Some(engine) = engine.lock().await.take() {
                    engine.stop().await;
                }
            }
            Kind::Attached { log: Some(log), .. } => {
                let log = log.clone();
                let _ = blocking(move || log.flush()).await;
            }
            Kind::Attached { log: None, .. } => {}
        }
    }
}

/// The log of a window beside an owner in another process; one in this process writes its own.
async fn window_log(places: &Places, owner: Option<&Owner>) -> Result<Option<Arc<Logging>>, Fault> {
    if owner.is_some_and(|owner| owner.pid == std::process::id()) {
        return Ok(None);
    }
    let settings = offline::configuration(&places.config).await?.config.log.clone();
    let into = logging::Places::of_window(places.data.join("logs"));
    Ok(Some(Arc::new(Logging::install(into, &settings, Arc::new(SystemClock)))))
}

/// The owner's socket, waiting for one that is just starting.
async fn connect(places: &Places, program: &str) -> Result<Client, Fault> {
    let deadline = tokio::time::Instant::now() + OWNER_STARTS_WITHIN;
    loop {
        let owner: Option<Owner> = match DataFolder::owner(&places.data) {
            Ok(None) => {
                return Err(Fault::new(
                    FaultCode::Unavailable,
                    "The Plimsoll that owned the data folder has just ended.",
                )
                .hint("Start it again."));
            }
            Ok(owner) => owner,
            Err(OwnError::Held(owner)) => owner,
            Err(OwnError::Fault(fault)) => return Err(fault),
        };
        let fault = match owner {
            Some(owner) => match Client::connect(&owner.socket, program).await {
                Ok(client) => return Ok(client),
                Err(fault) => fault,
            },
            None => OwnError::Held(None).into(),
        };
        // A wrong protocol does not get better by waiting.
        if fault.code == FaultCode::Protocol || tokio::time::Instant::now() >= deadline {
            return Err(fault);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn attached(client: Client, subscription: Subscription) -> impl Stream<Item = Live> + Send {
    let begin = async move {
        let heard = client.subscribe(&subscription).await.ok()?;
        let quiet = Quiet(client);
        Some(futures::stream::unfold((heard, quiet), async |(mut heard, quiet)| {
            let live = heard.recv().await?;
            Some((live, (heard, quiet)))
        }))
    };
    futures::stream::once(begin).filter_map(std::future::ready).flatten()
}

/// Tells the owner to send no more, when nobody listens any more.
struct Quiet(Client);

impl Drop for Quiet {
    fn drop(&mut self) {
        let client = self.0.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { client.unsubscribe_if_unheard().await });
        }
    }
}

fn parse<T: DeserializeOwned>(answer: &RawValue) -> Result<T, Fault> {
    serde_json::from_str(answer.get()).map_err(|error| {
        Fault::new(FaultCode::Protocol, format!("The answer is not understood: {error}."))
            .hint("The running Plimsoll may be another version: restart it.")
    })
}

/// The user whose Plimsoll this is.
pub fn uid() -> u32 {
    geteuid().as_raw()
}
