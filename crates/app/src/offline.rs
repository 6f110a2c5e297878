//! What a terminal does where no Plimsoll runs: it acts on the folder itself.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use plimsoll_core::{
    alert::Alert,
    clock::{Clock, Instant3, SystemClock},
    config::{
        Environment, Loaded, load,
        wire::{Problem, Revision},
    },
    record::Nowhere,
};
use plimsoll_history::{OpenError, Reader, RecoverReport, State};
use plimsoll_services::{managed::Managed, service::Service};

use crate::{
    alerts,
    api::{
        ConfigEdit, DoctorReport, Done, Fault, FaultCode, Hold, IgnoredService, LimitsDraft,
        LimitsStage, ServiceAdd, ServiceAdded, ServiceModelRequest, ServiceOutput,
        ServiceOutputRequest, ServiceRemove, ServiceRemoved, ServiceTest, ServiceTested, Status,
        Written,
    },
    config_handle::ConfigHandle,
    dispatch::blocking,
    doctor::{self, Patient},
    folder::DataFolder,
    hub::Hub,
    keys::KeyRing,
    limits::DraftDesk,
    places::Surroundings,
    services::{
        self,
        actions::Action,
        found::{self, Found, Offers},
        hold, managed, written,
    },
    session::Options,
};

/// The data folder, owned for as long as a change takes.
pub struct Offline {
    pub config: ConfigHandle,
    pub keys: KeyRing,
    /// Services that earlier runs found.
    found: Found,
    /// What is staged of the limits.
    draft: DraftDesk,
    simulated: bool,
    _folder: DataFolder,
}

// === impl Offline ===

impl Offline {
    /// Takes the folder; a running Plimsoll is a fault that says who.
    pub async fn open(options: &Options) -> Result<Self, Fault> {
        let places = options.places()?;
        let folder = DataFolder::own(&places, &Surroundings::read())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state = Arc::new(State::open(folder.path()).await?);
        let simulated = places.simulated;
        let environment = Environment::of_process();
        let config =
            ConfigHandle::load(places.config, environment, state.clone(), clock.clone()).await;
        // A history is written by nobody now.
        let keys = KeyRing::open(state.clone(), Arc::new(Nowhere)).await?;
        let draft = DraftDesk::new(state.clone(), Hub::default());
        let found = Found::load(state, clock, Arc::new(Nowhere)).await;
        Ok(Self { config, keys, found, draft, simulated, _folder: folder })
    }

    /// Changes what is staged of the limits.
    pub async fn stage_limits(&self, stage: LimitsStage) -> Result<LimitsDraft, Fault> {
        self.draft.stage(&self.config.view(), stage, SystemClock.now().wall_ms).await
    }

    /// Puts an edit in force; what is staged of the limits only as it was looked at.
    pub async fn apply(&self, edit: &ConfigEdit) -> Result<Revision, Fault> {
        self.draft.apply_edit(&self.config, edit, SystemClock.now().wall_ms).await
    }

    pub async fn accept_service(&self, id: &str) -> Result<Done, Fault> {
        self.found.accept(&self.config.config(), id).await
    }

    pub async fn ignore_service(&self, id: &str) -> Result<Done, Fault> {
        self.found.ignore(&self.config.config(), id).await
    }

    pub async fn restore_service(&self, id: &str) -> Result<Done, Fault> {
        self.found.restore(&self.config.config(), id).await
    }

    pub async fn add_service(&self, add: &ServiceAdd) -> Result<ServiceAdded, Fault> {
        if self.simulated {
            return Err(services::simulated());
        }
        written::add(&self.config, &self.found, add).await
    }

    pub async fn remove_service(&self, remove: &ServiceRemove) -> Result<ServiceRemoved, Fault> {
        written::remove(&self.config, &self.found, remove).await
    }
}

/// The history beside whoever writes it, or alone.
pub async fn reader(options: &Options) -> Result<Reader, Fault> {
    Ok(Reader::open_readonly(&options.places()?.data).await?)
}

/// What was recorded last, where nobody records now.
#[derive(Clone, Debug, PartialEq)]
pub struct LastKnown {
    /// `None`: nothing was ever recorded.
    pub newest_ms: Option<i64>,
    /// Open then, or ended within the day before.
    pub alerts: Vec<Alert>,
}

/// Reads the history beside nobody, and changes nothing.
pub async fn last_known(options: &Options) -> Result<LastKnown, Fault> {
    let places = options.places()?;
    let reader = match Reader::open_readonly(&places.data).await {
        Ok(reader) => reader,
        Err(OpenError::Missing { .. }) => {
            return Ok(LastKnown { newest_ms: None, alerts: Vec::new() });
        }
        Err(error) => return Err(error.into()),
    };
    let Some(newest_ms) = reader.stats().await?.newest_ms else {
        return Ok(LastKnown { newest_ms: None, alerts: Vec::new() });
    };
    // An alert begins just after the tick that it is about.
    let rows = reader.alerts(newest_ms - alerts::DAY_MS, i64::MAX).await?;
    let config = configuration(&places.config).await?.config;
    let at = Instant3 { wall_ms: newest_ms, monotonic_ms: 0, boottime_ms: 0 };
    Ok(LastKnown { newest_ms: Some(newest_ms), alerts: alerts::as_of(config, rows, at) })
}

/// The configuration as the file and the environment have it.
pub async fn configuration(path: &Path) -> Result<Loaded, Fault> {
    let path = path.to_path_buf();
    blocking(move || load(&path, &Environment::of_process())).await
}

/// Services that nobody watches now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// Those of the configuration, then those that were found.
    pub services: Vec<Service>,
    pub ignored: Vec<IgnoredService>,
    /// What is wrong with the configuration.
    pub problems: Vec<Problem>,
}

/// The services as the configuration and an earlier run have them. A simulated workstation
/// has none.
pub async fn services(options: &Options) -> Result<Listed, Fault> {
    let places = options.places()?;
    let loaded = configuration(&places.config).await?;
    let mut listed = Listed { problems: loaded.problems, ..Listed::default() };
    if !places.simulated {
        let known = found::peek(&places.data).await;
        let now_ms = SystemClock.now().wall_ms;
        listed.services = services::as_configured(&loaded.config, &known, now_ms).await?;
        listed.ignored = Offers::of(&known).ignored;
    }
    Ok(listed)
}

/// Tries out an address or a service that is known from here.
pub async fn test_service(options: &Options, ask: &ServiceTest) -> Result<ServiceTested, Fault> {
    let places = options.places()?;
    let loaded = configuration(&places.config).await?;
    let known = found::peek(&places.data).await;
    services::test_alone(&loaded.config, &known, ask, places.simulated).await
}

/// Loads or unloads a model from here, and answers what it took.
pub async fn act(
    options: &Options,
    action: Action,
    request: &ServiceModelRequest,
) -> Result<String, Fault> {
    let places = options.places()?;
    if places.simulated {
        return Err(services::simulated());
    }
    let config = configuration(&places.config).await?.config;
    services::act_alone(&config, &found::peek(&places.data).await, action, request).await
}

/// What a service wrote last that an earlier run started.
pub async fn service_output(
    options: &Options,
    ask: &ServiceOutputRequest,
) -> Result<ServiceOutput, Fault> {
    let places = options.places()?;
    let config = configuration(&places.config).await?.config;
    if !config.services.entries.contains_key(&ask.id) {
        let known = config.services.entries.keys().map(String::as_str);
        return Err(services::no_such(&ask.id, known));
    }
    let (lines, id) = (managed::lines_of(ask.lines)?, ask.id.clone());
    let folder = places.data.join(managed::FOLDER);
    let read = blocking(move || Managed::output_alone(&folder, &id, lines)).await?;
    Ok(managed::output_of(read.0, read.1))
}

/// The hold that an earlier run began or ended last: where it is on, it goes on with the next.
pub async fn hold(options: &Options) -> Result<Option<Hold>, Fault> {
    Ok(hold::peek(&options.places()?.data).await?)
}

/// Brings back what can be read of a damaged database, or of every one that was set aside.
/// Nobody may record meanwhile: a running Plimsoll is a fault that says who.
pub async fn recover(
    options: &Options,
    file: Option<PathBuf>,
) -> Result<Vec<(PathBuf, RecoverReport)>, Fault> {
    let places = options.places()?;
    let folder = DataFolder::own(&places, &Surroundings::read())?;
    let files = match file {
        Some(file) => vec![file],
        None => {
            let data = folder.path().to_path_buf();
            blocking(move || damaged(&data)).await?
        }
    };
    if files.is_empty() {
        return Err(Fault::new(
            FaultCode::NotFound,
            format!("No damaged database was set aside in {}.", folder.path().display()),
        )
        .hint("Name the file to read: plimsoll history recover FILE."));
    }
    let mut recovered = Vec::with_capacity(files.len());
    for file in files {
        if !file.is_file() {
            return Err(Fault::new(
                FaultCode::NotFound,
                format!("There is no file {}.", file.display()),
            ));
        }
        let report = plimsoll_history::recover(&file, folder.path()).await?;
        recovered.push((file, report));
    }
    Ok(recovered)
}

/// Databases that were set aside, oldest first: their names carry the date.
fn damaged(data: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(data)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("history-damaged-") && name.ends_with(".db")
        })
        .collect();
    files.sort();
    files
}

/// Looks at this machine from here, where display and tray are the asker's own. `status` is what
/// a running Plimsoll says of itself.
pub async fn doctor(options: &Options, status: Option<Status>) -> Result<DoctorReport, Fault> {
    let mut patient = patient(options).await?;
    patient.sources = status.as_ref().map(|status| status.sources.clone()).unwrap_or_default();
    patient.status = status;
    blocking(move || doctor::examine(&patient)).await
}

async fn patient(options: &Options) -> Result<Patient, Fault> {
    let places = options.places()?;
    let loaded = configuration(&places.config).await?;
    Ok(Patient {
        data: places.data,
        config_path: places.config,
        config: (*loaded.config).clone(),
        problems: loaded.problems,
        status: None,
        sources: Vec::new(),
    })
}

/// Writes the bundle for a bug report.
pub async fn bundle(options: &Options, path: &Path) -> Result<Written, Fault> {
    let patient = patient(options).await?;
    let at_ms = SystemClock.now().wall_ms;
    let path = path.to_path_buf();
    blocking(move || doctor::bundle::write(&patient, Vec::new(), &path, at_ms)).await?
}
