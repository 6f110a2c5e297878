//! Loading and unloading a model, by a person's word.
//!
//! What cannot be done is refused at once, in words; the rest is a job, which says
//! what it took, with VRAM before and after.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::mark::Mark;
use plimsoll_services::{
    adapter::ActionError,
    client::CallError,
    fleet::FleetError,
    service::{Loaded, Model, Service},
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    judge::{find, is_up, judge},
    vram::{self, VramMeter},
};
use crate::{
    api::{Fault, FaultCode, JobStarted, ServiceModelRequest},
    app::App,
    jobs::{Job, Stopped},
    words::{capital, lasted, sentence},
};

/// What a server may take to load a model, or to let one go.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// Between two words about how far it is.
const WORD_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Load,
    Unload,
}

/// Models that something is done with now, by service.
#[derive(Clone, Debug, Default)]
pub struct Underway(Arc<Mutex<BTreeMap<(String, String), Action>>>);

/// It is done with one model by one at a time; over when this is dropped.
#[derive(Debug)]
pub struct Turn {
    underway: Underway,
    key: (String, String),
}

// === impl Action ===

impl Action {
    /// `load`, as in "it does not load".
    pub fn verb(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Unload => "unload",
        }
    }

    /// `loaded`, as in "it was loaded".
    pub fn done(self) -> &'static str {
        match self {
            Self::Load => "loaded",
            Self::Unload => "unloaded",
        }
    }

    /// `Load`, at the beginning of a title.
    fn title(self) -> &'static str {
        match self {
            Self::Load => "Load",
            Self::Unload => "Unload",
        }
    }

    /// Whether a model that is so needs nothing.
    fn is_done(self, loaded: Loaded) -> bool {
        match self {
            Self::Load => loaded == Loaded::Loaded,
            Self::Unload => loaded == Loaded::Unloaded,
        }
    }
}

// === impl Underway ===

impl Underway {
    /// `Err`: what is done with that model already.
    fn begin(&self, id: &str, model: &str, action: Action) -> Result<Turn, Action> {
        let key = (id.to_owned(), model.to_owned());
        let mut underway = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&action) = underway.get(&key) {
            return Err(action);
        }
        underway.insert(key.clone(), action);
        drop(underway);
        Ok(Turn { underway: self.clone(), key })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.underway.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

// === impl App ===

impl App {
    pub fn vram(&self) -> VramMeter {
        VramMeter::new(self.pulse.clone(), self.clock.clone())
    }

    /// Starts a job that loads a model or unloads it.
    pub async fn service_act(
        &self,
        action: Action,
        request: &ServiceModelRequest,
    ) -> Result<JobStarted, Fault> {
        // Not from the list, which may be a moment older than the last action.
        let mut service = self.services.show(&request.id).await?;
        if is_up(&service) && find(&service.models, &request.model).is_none() {
            // It may have come since the list was read, which is not done with every look.
            let anew = self.services.fleet.models_anew(&service.id).await;
            service.models = anew.unwrap_or(service.models);
        }
        let model = judge(&service, action, &request.model)?.clone();
        let turn = self.underway.begin(&service.id, &model.name, action).map_err(|already| {
            let words = format!("{} is being {} already.", model.name, already.done());
            Fault::new(FaultCode::Conflict, words).hint("Wait for that job, or cancel it.")
        })?;
        let work = ModelJob { app: self.clone(), action, model, service, _turn: turn };
        let title = format!("{} {} on {}", action.title(), work.model.name, work.service.name);
        self.jobs.start(title, |job| work.run(job))
    }
}

/// One job.
struct ModelJob {
    app: App,
    action: Action,
    model: Model,
    /// As it was at the beginning.
    service: Service,
    _turn: Turn,
}

// === impl ModelJob ===

impl ModelJob {
    async fn run(self, job: Job) -> Result<String, Stopped> {
        let (action, meter) = (self.action, self.app.vram());
        let (id, model) = (&self.service.id, &self.model.name);
        let before = meter.now();
        let began = Instant::now();
        let fleet = &self.app.services.fleet;
        let mut work = std::pin::pin!(async {
            match action {
                Action::Load => fleet.load(id, model, PATIENCE).await,
                Action::Unload => fleet.unload(id, model, PATIENCE).await,
            }
        });
        let mut words = interval(WORD_EVERY);
        words.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                () = job.cancelled() => return Err(Stopped::Left(self.left())),
                _ = words.tick() => job.say(progress(began.elapsed(), meter.now())),
            }
        };
        done.map_err(|error| not_done(&self.service, action, model, error))?;
        let took = began.elapsed();
        job.say(format!("{} within {}; reads VRAM", action.done(), lasted(took)));
        let after = tokio::select! {
            after = meter.settled() => after,
            // It is done all the same.
            () = job.cancelled() => None,
        };
        let change = vram::change(before, after);
        if !action.is_done(self.model.loaded) {
            self.mark(&lasted(took), change.as_deref());
        }
        Ok(said(action, &self.model, took, change.as_deref()))
    }

    /// What is said when a person waits no longer.
    fn left(&self) -> String {
        let (model, name) = (&self.model.name, &self.service.name);
        format!(
            "Cancelled: nobody waits for it any more. {name} may {} {model} all the same.",
            self.action.verb()
        )
    }

    fn mark(&self, took: &str, change: Option<&str>) {
        let (model, service) = (&self.model.name, &self.service);
        let title = format!("{}: {} {model}", service.name, self.action.done());
        let detail = match change {
            Some(change) => format!("within {took}; {change}"),
            None => format!("within {took}"),
        };
        let mark = Mark::of_service(self.app.now_ms(), &service.id, title);
        self.app.record.mark(Mark { detail, ..mark });
    }
}

/// What was done, e.g. `Loaded qwen2.5 within 12 s; VRAM 3.2 → 11.0 GiB.` The model is as it was
/// before.
pub fn said(action: Action, model: &Model, took: Duration, vram: Option<&str>) -> String {
    let name = &model.name;
    let done = match action.is_done(model.loaded) {
        true => format!("{name} was {} already", action.done()),
        false => format!("{} {name} within {}", capital(action.done()), lasted(took)),
    };
    match vram {
        Some(vram) => format!("{done}; {vram}."),
        None => format!("{done}."),
    }
}

/// Why it was not done, in words.
pub fn not_done(service: &Service, action: Action, model: &str, error: FleetError) -> Fault {
    let (name, verb) = (&service.name, action.verb());
    let code = match &error {
        FleetError::NoSuchService(_) => FaultCode::NotFound,
        FleetError::Action(ActionError::Unsupported { .. }) => FaultCode::Invalid,
        FleetError::Action(ActionError::Call(CallError::WantsKey { .. })) => FaultCode::Denied,
        _ => FaultCode::Unavailable,
    };
    let words = match &error {
        FleetError::Action(ActionError::Call(CallError::TooSlow { .. })) => format!(
            "{name} did not say within {} that {model} is {}; it may go on.",
            lasted(PATIENCE),
            action.done()
        ),
        _ => format!("{name} did not {verb} {model}: {}", sentence(&error.to_string())),
    };
    Fault::new(code, words)
}

fn progress(elapsed: Duration, vram: Option<u64>) -> String {
    match vram::change(None, vram) {
        Some(vram) => format!("{}; {vram}", lasted(elapsed)),
        None => lasted(elapsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_done_with_a_model_at_a_time() {
        let underway = Underway::default();
        let turn = underway.begin("o", "m", Action::Load).unwrap();
        assert_eq!(underway.begin("o", "m", Action::Unload).unwrap_err(), Action::Load);
        let _other = underway.begin("o", "n", Action::Load).unwrap();
        drop(turn);
        let _again = underway.begin("o", "m", Action::Unload).unwrap();
    }
}
