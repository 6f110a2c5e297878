//! Everything that runs, as the commands see it.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use plimsoll_core::{
    clock::Clock,
    device::{GpuInfo, MachineInfo},
    process::ProcessTable,
    record::Record,
};
use plimsoll_history::{History, Reader, RecordingStatus, State};
use plimsoll_sense::{Inspect, Pulse};
use tokio::sync::{RwLock, watch};

use crate::{
    alerts::Alerts,
    api::{Fault, FaultCode},
    config_handle::ConfigHandle,
    door::page::Links,
    gateway::Traffic,
    hub::Hub,
    jobs::Jobs,
    keys::KeyRing,
    limits::DraftDesk,
    logging::Logging,
    services::{Services, actions::Underway, ending::Ending, hold::HoldDesk},
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
    pub alerts: Alerts,
    pub logging: Arc<Logging>,
    pub reader: Reader,
    pub recording: watch::Receiver<RecordingStatus>,
    /// Taken when Plimsoll stops.
    pub history: RwLock<Option<History>>,
    pub pulse: watch::Receiver<Arc<Pulse>>,
    pub machine: MachineInfo,
    pub gpu: watch::Receiver<Option<Arc<GpuInfo>>>,
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    pub inspect: Arc<dyn Inspect>,
    pub services: Services,
    /// The gateway.
    pub traffic: Traffic,
    /// Its keys.
    pub keys: KeyRing,
    /// Models that something is done with now.
    pub underway: Underway,
    /// Services that are being stopped or started anew.
    pub ending: Ending,
    /// What is staged of the limits.
    pub draft: DraftDesk,
    /// The GPU, free for somebody else for a while.
    pub hold: HoldDesk,
    /// Takes the marks of what a person does.
    pub record: Arc<dyn Record>,
    /// What Plimsoll itself costs, over the last minute.
    pub own_cpu: Minute,
    /// Beginning of the history, and when it was looked up.
    pub oldest: tokio::sync::Mutex<Option<(i64, Option<i64>)>>,
    /// Links to the loopback page, once it is served.
    pub ui: OnceLock<Links>,
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

/// The mean of the values of the last minute.
#[derive(Debug, Default)]
pub struct Minute(Mutex<VecDeque<(i64, f64)>>);

// === impl Minute ===

impl Minute {
    /// A value, at a time on the monotonic clock.
    pub fn push(&self, at_ms: i64, value: f64) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.push_back((at_ms, value));
        while values.front().is_some_and(|&(old, _)| at_ms - old >= 60_000) || values.len() > 600 {
            values.pop_front();
        }
    }

    /// `None` before the first value.
    pub fn mean(&self) -> Option<f64> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::cast_precision_loss, reason = "at most 600 values")]
        let count = values.len() as f64;
        (count > 0.0).then(|| values.iter().map(|&(_, value)| value).sum::<f64>() / count)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    // MV13
    #[test]
    fn a_minute_forgets_what_is_older() {
        let minute = Minute::default();
        assert_eq!(minute.mean(), None);
        for second in 0..120 {
            minute.push(second * 1000, if second < 60 { 100.0 } else { 2.0 });
        }
        assert_eq!(minute.mean(), Some(2.0));
    }

    #[test]
    fn only_whole_paths_are_taken() {
        assert!(App::absolute("/tmp/x").is_ok());
        for bad in ["x", "", "./x", "/a\0b"] {
            assert!(App::absolute(bad).is_err(), "{bad:?}");
        }
    }
}
