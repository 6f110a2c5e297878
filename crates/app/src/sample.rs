//! Reading everything once a tick without recording it.

use std::{path::PathBuf, sync::Arc};

use plimsoll_core::{
    clock::{Clock, SystemClock},
    config::{Environment, load},
    record::Nowhere,
    unit::Unit,
};
use plimsoll_sense::{Pulse, Sampler};
use serde::Serialize;
use tokio::sync::watch;

use crate::{api::Fault, project::sense_options, session::Options, sources::Choice};

/// One tick, as `plimsoll sample --json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub at_ms: i64,
    pub readings: Vec<Sampled>,
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sampled {
    pub metric: &'static str,
    pub subject: Arc<str>,
    pub unit: Unit,
    /// A counter's is its total.
    #[serde(serialize_with = "plain")]
    pub value: f64,
    /// How fast a counter grows, in its unit per second.
    #[serde(skip)]
    pub per_second: Option<f64>,
}

/// Sources that are being read.
pub struct Sampling {
    sampler: Sampler,
    pulse: watch::Receiver<Arc<Pulse>>,
    _options: watch::Sender<plimsoll_sense::Options>,
}

// === impl Sampling ===

impl Sampling {
    pub async fn start(options: &Options) -> Result<Self, Fault> {
        let places = options.places()?;
        let path: PathBuf = places.config.clone();
        let loaded =
            crate::dispatch::blocking(move || load(&path, &Environment::of_process())).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (keep, sense) = watch::channel(sense_options(&loaded.config));
        let (options, time) = (sense.clone(), clock.clone());
        let Choice { sources, .. } = crate::dispatch::blocking(move || {
            Choice::make(places.simulated, false, options, &time)
        })
        .await??;
        let sampler = Sampler::start(sources.list, sense, clock, Arc::new(Nowhere));
        let mut sampling = Self { pulse: sampler.watch(), sampler, _options: keep };
        // Shares and rates are differences: the first tick only gives them their base.
        sampling.next().await;
        Ok(sampling)
    }

    /// The next tick.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            self.pulse.changed().await.ok()?;
            let pulse = self.pulse.borrow_and_update().clone();
            if !pulse.tick.readings.is_empty() {
                return Some(Line::of(&pulse));
            }
        }
    }

    pub async fn stop(self) {
        self.sampler.stop().await;
    }
}

// === impl Line ===

impl Line {
    fn of(pulse: &Pulse) -> Self {
        let readings = pulse
            .tick
            .readings
            .iter()
            .map(|reading| Sampled {
                metric: reading.metric.name(),
                subject: reading.subject.clone(),
                unit: reading.metric.spec().unit,
                value: reading.number(),
                per_second: pulse.rate(reading.metric, &reading.subject),
            })
            .collect();
        Self { at_ms: pulse.tick.at.wall_ms, readings }
    }
}

/// Bytes and counts are whole numbers, and are written so.
fn plain<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    /// Up to here every whole number has a form of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}
