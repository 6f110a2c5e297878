//! Everything that runs, as the commands see it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use plimsoll_core::{
    clock::Clock,
    device::{GpuInfo, MachineInfo},
    process::ProcessTable,
};
use plimsoll_history::{History, Reader, RecordingStatus, State};
use plimsoll_sense::{Inspect, Pulse};
use tokio::sync::{RwLock, watch};

use crate::{
    api::{Fault, FaultCode},
    config_handle::ConfigHandle,
    hub::Hub,
    jobs::Jobs,
};

/// Cheap to clone; every door has one.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What the commands work with.
pub struct Parts {
    pub home: Home,
    pub clock: Arc<dyn Clock>,
    pub hub: Hub,
    pub jobs: Jobs,
    pub state: Arc<State>,
    pub config: ConfigHandle,
    pub reader: Reader,
    pub recording: watch::Receiver<RecordingStatus>,
    /// Taken when Plimsoll stops.
    pub history: RwLock<Option<History>>,
    pub pulse: watch::Receiver<Arc<Pulse>>,
    pub machine: MachineInfo,
    pub gpu: watch::Receiver<Option<Arc<GpuInfo>>>,
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    pub inspect: Arc<dyn Inspect>,
    /// Address of the loopback page, once it is served.
    pub ui: OnceLock<String>,
}

/// The data folder, as far as commands may know it.
#[derive(Clone, Debug)]
pub struct Home {
    pub data: PathBuf,
    pub config: PathBuf,
    pub socket: PathBuf,
    pub simulated: bool,
    pub first_start: bool,
    pub started_ms: i64,
}

// === impl App ===

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub fn now_ms(&self) -> i64 {
        self.0.clock.now().wall_ms
    }

    /// An absolute path that somebody gave.
    pub fn absolute(text: &str) -> Result<PathBuf, Fault> {
        let path = Path::new(text);
        if path.is_absolute() && !text.contains('\0') {
            return Ok(path.to_path_buf());
        }
        Err(Fault::new(FaultCode::Invalid, format!("{text:?} is no absolute path."))
            .hint("Give the whole path, from / on."))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
