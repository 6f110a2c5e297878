//! What a terminal does where no Plimsoll runs: it acts on the folder itself.

use std::{path::Path, sync::Arc};

use plimsoll_core::{
    clock::{Clock, SystemClock},
    config::{Environment, Loaded, load},
};
use plimsoll_history::{Reader, State};

use crate::{
    api::{DoctorReport, Fault, Written},
    config_handle::ConfigHandle,
    dispatch::blocking,
    doctor::{self, Patient},
    folder::DataFolder,
    places::Surroundings,
    session::Options,
};

/// The data folder, owned for as long as a change takes.
pub struct Offline {
    pub config: ConfigHandle,
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
        let config =
            ConfigHandle::load(places.config, Environment::of_process(), state, clock).await;
        Ok(Self { config, _folder: folder })
    }
}

/// The history beside whoever writes it, or alone.
pub async fn reader(options: &Options) -> Result<Reader, Fault> {
    Ok(Reader::open_readonly(&options.places()?.data).await?)
}

/// The configuration as the file and the environment have it.
pub async fn configuration(path: &Path) -> Result<Loaded, Fault> {
    let path = path.to_path_buf();
    blocking(move || load(&path, &Environment::of_process())).await
}

/// Looks at this machine without a running Plimsoll.
pub async fn doctor(options: &Options) -> Result<DoctorReport, Fault> {
    let patient = patient(options).await?;
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
