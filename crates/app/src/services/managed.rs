//! Services that Plimsoll itself starts and stops: from the configuration to
//! [`plimsoll_services::managed`], and what it says in words for a person.

use std::{path::PathBuf, sync::Arc, time::Duration};

use plimsoll_core::{clock::Clock, config::Config, metric::Metric, reading::Tick, record::Record};
use plimsoll_sense::Pulse;
use plimsoll_services::{
    fleet::{Fleet, FleetView},
    managed::{self, ByFleet, Line, MAX_LINES, Managed, Refused, Spec, States, Vram},
    service::{Hint, RunState, Service},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{Services, hold::Held, no_such};
use crate::{
    api::{Done, Fault, FaultCode, OutputLine, ServiceOutput, ServiceOutputRequest},
    project::project,
    words::span,
};

/// The folder of outputs and notes, within the data folder.
pub const FOLDER: &str = "services";
/// What a start may take for one who waits for it: a large model from a slow disk.
const START_WITHIN: Duration = Duration::from_secs(900);
/// Beyond the grace of a service, what its end may take.
const STOP_BEYOND: Duration = Duration::from_secs(15);
/// Between two looks whether one that was stopped is gone, and how long it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SEEN_WITHIN: Duration = Duration::from_secs(3);

/// What services are started and stopped with.
pub struct Runs {
    /// Of outputs and notes.
    pub folder: PathBuf,
    pub vram: watch::Receiver<Option<Vram>>,
    /// Which do not start by themselves now.
    pub held: Held,
}

/// Starts those that start with Plimsoll, and takes over what an earlier one left.
pub(super) fn start(
    runs: Runs,
    fleet: &Fleet,
    config: watch::Receiver<Arc<Config>>,
    clock: Arc<dyn Clock>,
    record: Arc<dyn Record>,
) -> Managed {
    let held = runs.held;
    Managed::start(managed::Parts {
        folder: runs.folder,
        specs: project(config, |config: &Arc<Config>| Arc::new(specs(config))),
        vram: runs.vram,
        view: fleet.view(),
        ready: Arc::new(ByFleet::new(fleet.looker())),
        kept_off: Arc::new(move |id| held.holds(id)),
        clock,
        record,
    })
}

/// Tells of free VRAM with every tick in which it was read, and of none without.
pub fn tell_vram(mut pulse: watch::Receiver<Arc<Pulse>>, tell: watch::Sender<Option<Vram>>) {
    tokio::spawn(async move {
        loop {
            tell.send_replace(free_vram(&pulse.borrow_and_update().tick));
            tokio::select! {
                () = tell.closed() => return,
                changed = pulse.changed() => if changed.is_err() { return },
            }
        }
    });
}

/// Free VRAM over all GPUs together.
fn free_vram(tick: &Tick) -> Option<Vram> {
    let free = tick.readings.iter().filter(|reading| reading.metric == Metric::VramFree);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes that a driver counted; a float cast saturates"
    )]
    let free_bytes = free.map(|reading| reading.number() as u64).reduce(u64::saturating_add)?;
    Some(Vram { at_ms: tick.at.monotonic_ms, free_bytes })
}

/// What the watch sees, with how the managed ones run.
pub(super) fn joined(
    mut fleet: watch::Receiver<Arc<FleetView>>,
    mut states: watch::Receiver<Arc<States>>,
) -> watch::Receiver<Arc<FleetView>> {
    let join = |view: &Arc<FleetView>, states: &States| {
        if states.is_empty() {
            return view.clone();
        }
        let services = view.services.iter().map(|service| match states.get(&service.id) {
            None => service.clone(),
            Some(_) => {
                let mut service = Service::clone(service);
                tell(&mut service, states);
                Arc::new(service)
            }
        });
        Arc::new(FleetView { at_ms: view.at_ms, services: services.collect() })
    };
    let first = join(&fleet.borrow_and_update(), &states.borrow_and_update());
    let (publish, read) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = publish.closed() => return,
                changed = fleet.changed() => if changed.is_err() { return },
                changed = states.changed() => if changed.is_err() { return },
            }
            let (view, states) =
                (fleet.borrow_and_update().clone(), states.borrow_and_update().clone());
            publish.send_replace(join(&view, &states));
        }
    });
    read
}

/// How a service runs, where Plimsoll runs it.
pub(super) fn tell(service: &mut Service, states: &States) {
    let Some(state) = states.get(&service.id) else { return };
    service.run = Some(state.run.clone());
    if state.changed {
        service.hints.push(Hint::advice(
            "launch-changed",
            "Its command or its launch settings were changed since it was started.",
            format!("Start it anew for them to hold: `plimsoll services restart {0}`.", service.id),
        ));
    }
}

// === impl Services ===

impl Services {
    /// Wants a service to run; it waits for its turn and for room.
    pub async fn start_run(&self, id: &str) -> Result<Done, Fault> {
        let message = match self.managed(id)?.start_service(id).await {
            Ok(()) => format!("{id} is being started."),
            Err(Refused::Already(RunState::Waiting)) => format!("{id} waits for its turn already."),
            Err(Refused::Already(_)) => format!("{id} runs already."),
            Err(refused) => return Err(self.refused(id, refused)),
        };
        Ok(Done { message })
    }

    /// Wants it to run no more, until somebody starts it or Plimsoll starts again.
    pub async fn stop_run(&self, id: &str) -> Result<Done, Fault> {
        let message = match self.managed(id)?.stop_service(id).await {
            Ok(()) => format!("{id} is being stopped; it stays so until it is started again."),
            Err(Refused::Already(RunState::Stopping)) => format!("{id} is being stopped already."),
            Err(Refused::Already(_)) => format!("{id} does not run."),
            Err(refused) => return Err(self.refused(id, refused)),
        };
        Ok(Done { message })
    }

    /// What it wrote last.
    pub async fn output(
        &self,
        ask: &ServiceOutputRequest,
        now_ms: i64,
    ) -> Result<ServiceOutput, Fault> {
        let lines = lines_of(ask.lines)?;
        let managed = self.managed(&ask.id)?;
        let Some((lines, file)) = managed.output(&ask.id, lines, now_ms).await else {
            return Err(self.refused(&ask.id, Refused::NoSuchService));
        };
        Ok(output_of(lines, file))
    }

    /// Starts it and waits until it serves. The error is a sentence.
    pub async fn start_and_wait(&self, id: &str) -> Result<(), String> {
        self.start_run(id).await.map_err(|fault| fault.message)?;
        let over =
            |state| matches!(state, RunState::Running | RunState::Failed | RunState::Stopped);
        let run = self.wait(id, START_WITHIN, over).await?;
        match run {
            (RunState::Running, _) => Ok(()),
            (_, reason) => Err(format!("{id} did not start: {reason}")),
        }
    }

    /// Stops it and waits until it has ended. The error is a sentence.
    pub async fn stop_and_wait(&self, id: &str) -> Result<(), String> {
        self.stop_run(id).await.map_err(|fault| fault.message)?;
        self.ended(id).await
    }

    /// Waits until one that is being stopped has ended. The error is a sentence.
    pub async fn ended(&self, id: &str) -> Result<(), String> {
        let grace = self.config.borrow().services.entries.get(id).map_or(0, |entry| entry.stop_s);
        let within = Duration::from_secs(u64::from(grace)) + STOP_BEYOND;
        let over = |state| matches!(state, RunState::Stopped | RunState::Failed);
        self.wait(id, within, over).await.map(|_| ())
    }

    /// Looks until it is known that one that was stopped serves no more: who asks the gateway
    /// then is not sent to it.
    pub async fn seen_gone(&self, id: &str) {
        let looks = async {
            while self.fleet.look_now(id).await.is_some_and(|service| service.state.serves()) {
                sleep(LOOK_EVERY).await;
            }
        };
        let _ = timeout(SEEN_WITHIN, looks).await;
    }

    /// How one runs that Plimsoll runs.
    ///
    /// # Errors
    /// Where it does not run that one, in the words of a start or a stop.
    pub fn run_of(&self, id: &str) -> Result<RunState, Fault> {
        let states = self.managed(id)?.states();
        let state = states.borrow().get(id).map(|state| state.run.state);
        state.ok_or_else(|| self.refused(id, Refused::NoSuchService))
    }

    /// Stops all that Plimsoll runs, the last one started first.
    pub async fn stop_runs(&self) {
        if let Some(managed) = &self.managed {
            managed.close().await;
        }
    }

    async fn wait(
        &self,
        id: &str,
        within: Duration,
        over: impl Fn(RunState) -> bool,
    ) -> Result<(RunState, String), String> {
        let managed = self.managed(id).map_err(|fault| fault.message)?;
        let mut states = managed.states();
        let gone = || format!("{id} is managed no more.");
        let reached = states.wait_for(|states| states.get(id).is_none_or(|s| over(s.run.state)));
        let states = match timeout(within, reached).await {
            Ok(states) => states.map_err(|_| "Plimsoll is stopping.".to_owned())?,
            Err(_) => {
                return Err(format!("{id} took longer than {}.", span(within.as_secs_f64())));
            }
        };
        let run = &states.get(id).ok_or_else(gone)?.run;
        Ok((run.state, run.reason.clone()))
    }

    fn managed(&self, id: &str) -> Result<&Managed, Fault> {
        self.managed.as_ref().ok_or_else(|| {
            if self.simulated {
                return Fault::new(
                    FaultCode::Unavailable,
                    "A simulated workstation starts no real program.",
                )
                .hint("Leave --demo away to run services of this machine.");
            }
            self.refused(id, Refused::NoSuchService)
        })
    }

    fn refused(&self, id: &str, why: Refused) -> Fault {
        if why == Refused::Closing {
            return Fault::new(FaultCode::Unavailable, "Plimsoll is stopping.");
        }
        let services = self.list();
        if services.iter().any(|service| service.id == id) {
            return without_command(id);
        }
        no_such(id, services.iter().map(|service| &*service.id))
    }
}

/// It is known, and somebody else starts it.
fn without_command(id: &str) -> Fault {
    Fault::new(FaultCode::Invalid, format!("Plimsoll does not run {id}: it has no command.")).hint(
        format!(
            "Give it one: plimsoll config set 'services.{id}.command=[\"program\", \"argument\"]'."
        ),
    )
}

fn specs(config: &Config) -> Vec<Spec> {
    config.services.entries.iter().filter_map(|(id, entry)| Spec::of(id, entry)).collect()
}

/// How many lines are asked for.
pub fn lines_of(lines: u32) -> Result<usize, Fault> {
    let count = usize::try_from(lines).unwrap_or(usize::MAX);
    if (1..=MAX_LINES).contains(&count) {
        return Ok(count);
    }
    Err(Fault::new(
        FaultCode::Invalid,
        format!("{lines} lines are asked for; 1 to {MAX_LINES} are kept."),
    ))
}

/// The lines as they travel.
pub fn output_of(lines: Vec<Line>, file: PathBuf) -> ServiceOutput {
    let lines =
        lines.into_iter().map(|Line { number, at_ms, text }| OutputLine { number, at_ms, text });
    ServiceOutput { lines: lines.collect(), file: Some(file.display().to_string()) }
}

#[cfg(test)]
mod tests;
