//! The GPU, through NVIDIA's own library (NVML).
//!
//! The driver can be missing, be updated under way or lose its card, and none of
//! this may need a restart of Plimsoll: the library is closed on such an error and
//! opened anew, after a wait that grows to half a minute. Meanwhile the source says
//! in words what is wrong, and the series have gaps.

mod library;
mod link;
mod readings;
mod trouble;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use nvml_wrapper::Nvml;
use plimsoll_core::{
    clock::Instant3,
    device::GpuInfo,
    metric::Metric,
    reading::Reading,
    source::{Source, SourceError},
};
use tokio::sync::watch;

pub use self::link::Link;
use self::trouble::Trouble;
use crate::{roots::Roots, sources::Options};

/// Wait before the library is opened again: doubles up to the second.
const FIRST_WAIT_MS: i64 = 1_000;
const LONGEST_WAIT_MS: i64 = 30_000;
/// Only the first card is watched.
const CARD: u32 = 0;

pub struct Gpu {
    roots: Roots,
    options: watch::Receiver<Options>,
    link: Arc<Link>,
    publish: watch::Sender<Option<Arc<GpuInfo>>>,
    open: Option<Open>,
    /// Name of the card that was read in this run: without it one is lost, not absent.
    seen: Option<String>,
    /// When to open it again, on the monotonic clock, and why it is closed.
    closed: Option<(i64, SourceError)>,
    wait_ms: i64,
}

/// The library is open and there is a card.
struct Open {
    nvml: Arc<Nvml>,
    info: GpuInfo,
    subject: Arc<str>,
    /// What the card did not give when it was last asked.
    missing: BTreeSet<Metric>,
    /// When the readings that block were last made.
    slow_ms: Option<i64>,
}

// === impl Gpu ===

impl Gpu {
    pub fn new(
        roots: &Roots,
        options: watch::Receiver<Options>,
    ) -> (Self, watch::Receiver<Option<Arc<GpuInfo>>>, Arc<Link>) {
        let (publish, info) = watch::channel(None);
        let link = Arc::new(Link::default());
        let source = Self {
            roots: roots.clone(),
            options,
            link: link.clone(),
            publish,
            open: None,
            seen: None,
            closed: None,
            wait_ms: FIRST_WAIT_MS,
        };
        (source, info, link)
    }

    fn open(&self) -> Result<Open, Trouble> {
        let path = self.options.borrow().nvml_path.clone();
        let nvml = Arc::new(library::open(&self.roots, &path)?);
        let info = readings::info(&nvml, &self.roots)?;
        let subject = info.uuid.as_str().into();
        Ok(Open { nvml, info, subject, missing: BTreeSet::new(), slow_ms: None })
    }

    /// Closes the library, and says when it is opened again.
    fn close(&mut self, trouble: Trouble, now: Instant3) -> SourceError {
        self.open = None;
        let error = match (trouble, &self.seen) {
            (Trouble::Absent(text), Some(name)) => {
                SourceError::Lost(format!("{name} was here and is gone. {text}"))
            }
            (trouble, _) => trouble.into_error(),
        };
        self.link.close(error.to_string());
        if matches!(error, SourceError::Absent(_)) {
            self.publish.send_if_modified(|info| info.take().is_some());
        }
        self.closed = Some((now.monotonic_ms + self.wait_ms, error.clone()));
        self.wait_ms = (self.wait_ms * 2).min(LONGEST_WAIT_MS);
        error
    }

    fn switched_off(&mut self) -> SourceError {
        let error = SourceError::Absent(
            "The GPU is not watched: `gpu.enabled` is off in the settings.".into(),
        );
        self.open = None;
        self.seen = None;
        self.closed = None;
        self.wait_ms = FIRST_WAIT_MS;
        self.link.close(error.to_string());
        self.publish.send_if_modified(|info| info.take().is_some());
        error
    }
}

impl Source for Gpu {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn cadence(&self) -> Duration {
        let options = self.options.borrow();
        let interval_ms = u64::from(options.interval_ms);
        // Without a card there is nothing to do but to look again now and then.
        let wait_ms = if self.open.is_some() { 0 } else { self.wait_ms.unsigned_abs() };
        Duration::from_millis(if options.gpu_enabled {
            interval_ms.max(wait_ms.min(5_000))
        } else {
            interval_ms
        })
    }

    fn read(&mut self, now: Instant3, out: &mut Vec<Reading>) -> Result<(), SourceError> {
        if !self.options.borrow().gpu_enabled {
            return Err(self.switched_off());
        }
        if let Some((again_ms, error)) = &self.closed
            && now.monotonic_ms < *again_ms
        {
            return Err(error.clone());
        }
        if self.open.is_none() {
            match self.open() {
                Ok(open) => {
                    self.link.open(open.nvml.clone());
                    self.publish.send_replace(Some(Arc::new(open.info.clone())));
                    self.seen = Some(open.info.name.clone());
                    self.open = Some(open);
                    self.closed = None;
                }
                Err(trouble) => return Err(self.close(trouble, now)),
            }
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        // Half an interval of tolerance, as the sampler has it.
        let (slow_every_ms, tolerance_ms) = {
            let options = self.options.borrow();
            (i64::from(options.processes_ms), i64::from(options.interval_ms) / 2)
        };
        let slow =
            open.slow_ms.is_none_or(|at| now.monotonic_ms - at + tolerance_ms >= slow_every_ms);
        if slow {
            open.slow_ms = Some(now.monotonic_ms);
        }
        match readings::read(open, slow, out) {
            Ok(()) => {
                self.wait_ms = FIRST_WAIT_MS;
                let info = &open.info;
                self.publish.send_if_modified(|published| {
                    let changed = published.as_deref() != Some(info);
                    if changed {
                        *published = Some(Arc::new(info.clone()));
                    }
                    changed
                });
                Ok(())
            }
            Err(trouble) => Err(self.close(trouble, now)),
        }
    }
}
