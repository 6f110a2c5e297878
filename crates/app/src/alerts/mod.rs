//! Alerts: what is past its limit, since when, how far, and who has been told.
//!
//! [`Engine`] decides and does nothing else. [`Alerts`] feeds it and carries out
//! what it decides: rows and marks into the history, notifications to the
//! desktop, answers to the store, the list to whoever watches.

mod engine;
mod engines;
mod facts;
mod fleet;
mod measure;
mod rehearsal;
mod seed;
mod services;
mod store;
mod told;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll_core::{
    alert::{Alert, AlertRow},
    clock::{Clock, Instant3},
    config::Config,
    device::GpuInfo,
    record::Record,
};
use plimsoll_sense::Pulse;
use plimsoll_services::fleet::{FleetView, MAX_SERVICES};
use tokio::{
    sync::{mpsc, watch as channel},
    task::JoinHandle,
    time::{Duration, Instant, interval_at},
};

pub use self::{
    engine::{Answer, Engine, Event, HOLD_MS, LIST_MS as DAY_MS, Notice, Restored},
    facts::{Inputs, Recording, Shortfalls},
    fleet::{Minute, Wish},
    rehearsal::Rehearsal,
    seed::Past,
    store::{AlertStore, restored},
};
use crate::{
    api::{AlertRule, Done, Fault, FaultCode},
    words::span,
};

/// Where no tick comes any more, that is a reason to look, too.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Answers that wait to be stored; a person gives them one by one.
const ANSWERS: usize = 256;
/// A week.
const MAX_SNOOZE_MIN: u32 = 10_080;

/// Shows a notification on the desktop. Must return at once.
pub trait Notifier: Send + Sync + 'static {
    fn notify(&self, notice: &Notice);
}

/// The list as it was at a moment of the past, from the rows that are kept of it. How a person
/// answered is not among them.
pub fn as_of(config: Arc<Config>, rows: Vec<AlertRow>, at: Instant3) -> Vec<Alert> {
    let mut engine = Engine::new(config);
    // What it would write is of no account: nothing runs.
    let _ = engine.restore(at, Restored { answers: Vec::new(), rows });
    engine.list(at)
}

/// What alerts need.
pub struct Parts {
    pub pulse: channel::Receiver<Arc<Pulse>>,
    pub gpu: channel::Receiver<Option<Arc<GpuInfo>>>,
    pub recording: channel::Receiver<Recording>,
    pub shortfalls: channel::Receiver<Shortfalls>,
    pub fleet: channel::Receiver<Arc<FleetView>>,
    pub config: channel::Receiver<Arc<Config>>,
    pub clock: Arc<dyn Clock>,
    pub record: Arc<dyn Record>,
    /// Told what services did before this start.
    pub past: Arc<dyn Past>,
    pub store: Arc<dyn AlertStore>,
    pub notifier: Arc<dyn Notifier>,
    pub restored: Restored,
}

/// The alerts, running. Clones share them.
#[derive(Clone)]
pub struct Alerts {
    shared: Arc<Shared>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
    stop: channel::Sender<bool>,
}

struct Shared {
    engine: Mutex<Engine>,
    clock: Arc<dyn Clock>,
    record: Arc<dyn Record>,
    notifier: Arc<dyn Notifier>,
    answers: mpsc::Sender<Answer>,
    /// Goes up whenever the list is another one.
    changed: channel::Sender<u64>,
}

// === impl Alerts ===

impl Alerts {
    /// Starts to watch. Call it on a runtime.
    pub fn start(parts: Parts) -> Self {
        let Parts { pulse, gpu, recording, shortfalls, fleet, config, .. } = parts;
        let Parts { clock, record, past, store, notifier, restored, .. } = parts;
        let (answers, to_store) = mpsc::channel(ANSWERS);
        let (wish, wishes) = mpsc::channel(MAX_SERVICES);
        let (told, heard) = mpsc::channel(1);
        let now = clock.now();
        let mut engine = Engine::new(config.borrow().clone());
        let events = engine.restore(now, restored);
        let shared = Arc::new(Shared {
            engine: Mutex::new(engine),
            clock: clock.clone(),
            record,
            notifier,
            answers,
            changed: channel::Sender::new(0),
        });
        shared.carry_out(events);
        let (stop, stopped) = channel::channel(false);
        let stop_too = stopped.clone();
        let watching = Watching {
            pulse,
            gpu,
            recording,
            shortfalls,
            fleet,
            config,
            wish,
            heard,
            stopped: stop_too,
        };
        let tasks = vec![
            tokio::spawn(watching.run(shared.clone())),
            tokio::spawn(ask_the_past(past, clock, wishes, told, stopped.clone())),
            tokio::spawn(store_answers(store, to_store, stopped)),
        ];
        Self { shared, tasks: Arc::new(Mutex::new(tasks)), stop }
    }

    /// Active alerts first, then those that ended within the last day.
    pub fn list(&self) -> Vec<Alert> {
        let now = self.shared.clock.now();
        self.shared.engine().list(now)
    }

    /// Takes rows of alerts that ended before this start into the list.
    pub fn remember(&self, rows: Vec<AlertRow>) {
        let now = self.shared.clock.now();
        let events = self.shared.engine().remember(now, rows);
        self.shared.carry_out(events);
    }

    /// How many hold now.
    pub fn active(&self) -> u32 {
        u32::try_from(self.shared.engine().active()).unwrap_or(u32::MAX)
    }

    /// The rules in force, with their load lines.
    pub fn rules(&self) -> Vec<AlertRule> {
        self.shared.engine().rules()
    }

    /// Changes whenever alerts began, ended or were answered.
    pub fn changed(&self) -> channel::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    pub fn acknowledge(&self, id: &str) -> Result<Done, Fault> {
        let now = self.shared.clock.now();
        let events = self.shared.engine().acknowledge(now, id).map_err(|_| no_such(id))?;
        self.shared.carry_out(events);
        Ok(Done { message: "Acknowledged: it stays in the list and does not notify again.".into() })
    }

    /// Silences the rule about this subject for so many minutes; 0 ends that.
    pub fn snooze(&self, id: &str, minutes: u32) -> Result<Done, Fault> {
        if minutes > MAX_SNOOZE_MIN {
            return Err(Fault::new(
                FaultCode::Invalid,
                format!(
                    "A snooze takes 1 to {MAX_SNOOZE_MIN} minutes (a week), or 0 to end it. Found {minutes}."
                ),
            ));
        }
        let now = self.shared.clock.now();
        let events = self.shared.engine().snooze(now, id, minutes).map_err(|_| no_such(id))?;
        self.shared.carry_out(events);
        let message = if minutes == 0 {
            "It notifies again.".into()
        } else {
            format!("Silent for {}.", span(f64::from(minutes) * 60.0))
        };
        Ok(Done { message })
    }

    /// Stops watching; answers that wait are stored before it returns. Alerts
    /// that are open stay open in the history: the next start goes on with them.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        for task in tasks {
            let _ = task.await;
        }
    }
}

// === impl Shared ===

impl Shared {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        lock(&self.engine)
    }

    fn carry_out(&self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Row(row) => self.record.alert(row),
                Event::Mark(mark) => self.record.mark(mark),
                Event::Notify(notice) => {
                    tracing::warn!(rule = %notice.rule, subject = %notice.subject, "{}", notice.title);
                    self.notifier.notify(&notice);
                }
                Event::Answer(answer) => {
                    if self.answers.try_send(answer).is_err() {
                        tracing::warn!(
                            "an answer to an alert is not kept over a restart: too many wait"
                        );
                    }
                }
                Event::Changed => self.changed.send_modify(|n| *n += 1),
            }
        }
    }
}

// === the tasks ===

struct Watching {
    pulse: channel::Receiver<Arc<Pulse>>,
    gpu: channel::Receiver<Option<Arc<GpuInfo>>>,
    recording: channel::Receiver<Recording>,
    shortfalls: channel::Receiver<Shortfalls>,
    fleet: channel::Receiver<Arc<FleetView>>,
    config: channel::Receiver<Arc<Config>>,
    wish: mpsc::Sender<Wish>,
    heard: mpsc::Receiver<Told>,
    stopped: channel::Receiver<bool>,
}

/// What was wished for, and what the history says.
type Told = (Wish, Vec<Minute>);

impl Watching {
    async fn run(mut self, shared: Arc<Shared>) {
        let mut again = interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
        let (mut pulse_live, mut config_live) = (true, true);
        loop {
            let fresh = tokio::select! {
                biased;
                _ = self.stopped.wait_for(|&stop| stop) => break,
                changed = self.config.changed(), if config_live => {
                    config_live = changed.is_ok();
                    let config = self.config.borrow_and_update().clone();
                    let events = shared.engine().set_config(shared.clock.now(), config);
                    shared.carry_out(events);
                    continue;
                }
                changed = self.pulse.changed(), if pulse_live => {
                    pulse_live = changed.is_ok();
                    pulse_live
                }
                Some((wish, minutes)) = self.heard.recv() => {
                    shared.engine().learn(&wish, &minutes);
                    continue;
                }
                _ = again.tick() => false,
            };
            if fresh {
                again.reset();
            }
            let pulse = self.pulse.borrow_and_update().clone();
            let gpu = self.gpu.borrow().clone();
            let recording = self.recording.borrow().clone();
            let shortfalls = self.shortfalls.borrow().clone();
            let fleet = self.fleet.borrow().clone();
            let inputs = Inputs {
                tick: fresh.then_some(&*pulse.tick),
                rates: &pulse.rates,
                sources: &pulse.sources,
                gpu: gpu.as_deref(),
                recording: &recording,
                shortfalls: &shortfalls,
                fleet: &fleet,
            };
            let (events, wishes) = {
                let mut engine = shared.engine();
                (engine.observe(shared.clock.now(), &inputs), engine.wishes())
            };
            shared.carry_out(events);
            for wish in wishes {
                if self.wish.try_send(wish).is_err() {
                    tracing::warn!("too many services ask at once what is usual for them");
                }
            }
        }
    }
}

/// A week of a service's figures takes a while to read: aside, and one after another.
async fn ask_the_past(
    past: Arc<dyn Past>,
    clock: Arc<dyn Clock>,
    mut wishes: mpsc::Receiver<Wish>,
    told: mpsc::Sender<Told>,
    mut stopped: channel::Receiver<bool>,
) {
    let work = async {
        while let Some(wish) = wishes.recv().await {
            let minutes = past.minutes(&wish, clock.now().wall_ms).await;
            if told.send((wish, minutes)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        _ = stopped.wait_for(|&stop| stop) => {}
        () = work => {}
    }
}

async fn store_answers(
    store: Arc<dyn AlertStore>,
    mut answers: mpsc::Receiver<Answer>,
    mut stopped: channel::Receiver<bool>,
) {
    loop {
        let answer = tokio::select! {
            biased;
            answer = answers.recv() => answer,
            _ = stopped.wait_for(|&stop| stop) => answers.try_recv().ok(),
        };
        let Some(answer) = answer else { break };
        if let Err(error) = store.save(answer).await {
            tracing::warn!(%error, "an answer to an alert could not be stored");
        }
    }
}

fn no_such(id: &str) -> Fault {
    Fault::new(FaultCode::NotFound, format!("There is no alert {id:?} in the list."))
        .hint("Alerts leave the list a day after they ended; `alerts.history` still has them.")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
