//! The alerts of a past that was never watched: the demo's first day goes
//! through the same rules as live readings do, and leaves the same rows and marks.

use std::sync::Arc;

use plimsoll_core::{
    alert::AlertRow, clock::Instant3, config::Config, device::GpuInfo, reading::Tick,
    record::Record, source::SourceStatus,
};

use super::{Engine, Event, Inputs, Recording, Shortfalls, told::FromTicks};

/// Rules at work on ticks from the past. Nobody is notified of them.
pub struct Rehearsal {
    engine: Engine,
    gpu: GpuInfo,
    recording: Recording,
    shortfalls: Shortfalls,
    fleet: FromTicks,
    ended: Vec<AlertRow>,
}

// === impl Rehearsal ===

impl Rehearsal {
    pub fn new(config: Arc<Config>, gpu: GpuInfo) -> Self {
        Self {
            engine: Engine::new(config),
            gpu,
            recording: Recording::default(),
            shortfalls: Shortfalls::default(),
            fleet: FromTicks::default(),
            ended: Vec::new(),
        }
    }

    /// The next tick, with the state of the sources at that moment.
    pub fn tick(&mut self, tick: &Tick, sources: &[SourceStatus], record: &dyn Record) {
        let inputs = Inputs {
            tick: Some(tick),
            rates: &[],
            sources,
            gpu: Some(&self.gpu),
            recording: &self.recording,
            shortfalls: &self.shortfalls,
            fleet: self.fleet.take(tick),
        };
        let events = self.engine.observe(tick.at, &inputs);
        self.write(events, record);
    }

    /// Ends what is still open: from here on live readings decide. The answer
    /// is every alert of that past, for [`super::Alerts::remember`].
    pub fn finish(mut self, now: Instant3, record: &dyn Record) -> Vec<AlertRow> {
        let events = self.engine.end_all(now);
        self.write(events, record);
        self.ended
    }

    fn write(&mut self, events: Vec<Event>, record: &dyn Record) {
        for event in events {
            match event {
                Event::Row(row) => {
                    if row.end_ms.is_some() {
                        self.ended.push(row.clone());
                    }
                    record.alert(row);
                }
                Event::Mark(mark) => record.mark(mark),
                Event::Notify(_) | Event::Answer(_) | Event::Changed => {}
            }
        }
    }
}
