//! Loading and unloading a model, by a person's word.
//!
//! What cannot be done is refused at once, in words; the rest is a job, which says
//! what it took, with VRAM before and after.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    config::nearest::nearest,
    mark::{Mark, MarkKind},
};
use plimsoll_services::{
    adapter::ActionError,
    client::CallError,
    fleet::FleetError,
    kind::ServiceKind,
    service::{Loaded, MAX_MODELS, Model, Origin, Service, ServiceState},
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    no_such,
    vram::{self, VramMeter},
};
use crate::{
    api::{Fault, FaultCode, JobStarted, ServiceModelRequest},
    app::App,
    jobs::{Job, Stopped},
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
    pub fn service_act(
        &self,
        action: Action,
        request: &ServiceModelRequest,
    ) -> Result<JobStarted, Fault> {
        let services = self.services.list();
        let service = services
            .iter()
            .find(|service| service.id == request.id)
            .ok_or_else(|| no_such(&request.id, services.iter().map(|service| &*service.id)))?;
        let model = judge(service, action, &request.model)?.clone();
        let turn = self.underway.begin(&service.id, &model.name, action).map_err(|already| {
            let words = format!("{} is being {} already.", model.name, already.done());
            Fault::new(FaultCode::Conflict, words).hint("Wait for that job, or cancel it.")
        })?;
        let deed = Deed { app: self.clone(), action, model, service: service.clone(), _turn: turn };
        let title = format!("{} {} on {}", action.title(), deed.model.name, service.name);
        self.jobs.start(title, |job| deed.run(job))
    }
}

/// One job.
struct Deed {
    app: App,
    action: Action,
    model: Model,
    /// As it was at the beginning.
    service: Service,
    _turn: Turn,
}

// === impl Deed ===

impl Deed {
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
        let took = span(began.elapsed());
        job.say(format!("{} within {took}; reads VRAM", action.done()));
        let after = tokio::select! {
            after = meter.settled() => after,
            // It is done all the same.
            () = job.cancelled() => None,
        };
        let already = action.is_done(self.model.loaded);
        let mut said = match already {
            true => format!("{model} was {} already", action.done()),
            false => format!("{} {model} within {took}", capital(action.done())),
        };
        let change = vram::change(before, after);
        if let Some(change) = &change {
            said.push_str(&format!("; {change}"));
        }
        said.push('.');
        if !already {
            self.mark(&took, change);
        }
        Ok(said)
    }

    /// What is said when a person waits no longer.
    fn left(&self) -> String {
        let (model, name) = (&self.model.name, &self.service.name);
        format!(
            "Cancelled: nobody waits for it any more. {name} may {} {model} all the same.",
            self.action.verb()
        )
    }

    fn mark(&self, took: &str, change: Option<String>) {
        let (model, service) = (&self.model.name, &self.service);
        let title = format!("{}: {} {model}", service.name, self.action.done());
        let mut mark = Mark::new(self.app.now_ms(), MarkKind::Service, title);
        mark.subject = Some(service.id.clone());
        mark.reference = Some(format!("service:{}", service.id));
        mark.detail = match change {
            Some(change) => format!("within {took}; {change}"),
            None => format!("within {took}"),
        };
        self.app.record.mark(mark);
    }
}

/// The model that is meant, where this can be done with it; else why not.
pub fn judge<'a>(service: &'a Service, action: Action, model: &str) -> Result<&'a Model, Fault> {
    let Service { id, name, .. } = service;
    let fault = |code, words: String| Err(Fault::new(code, words));
    if service.origin == Origin::Proposed {
        let words = format!("{name} was found, and nobody has accepted it yet.");
        return Err(Fault::new(FaultCode::Conflict, words)
            .hint(format!("Accept it first: plimsoll services accept {id}.")));
    }
    match service.state {
        ServiceState::Down => {
            return fault(FaultCode::Unavailable, format!("{name} is down: {}.", service.reason));
        }
        ServiceState::Unknown => {
            return fault(
                FaultCode::Unavailable,
                format!("{name} is not watched, so nothing can be done with it."),
            );
        }
        _ if service.checked_ms.is_none() => {
            let words = format!("{name} was not looked at yet.");
            return Err(Fault::new(FaultCode::Unavailable, words).hint("Try again in a moment."));
        }
        _ => {}
    }
    let can = match action {
        Action::Load => service.actions.load,
        Action::Unload => service.actions.unload,
    };
    if !can {
        let kind = service.kind.map_or("A server of no known kind", ServiceKind::label);
        let words = format!("{kind} has no way to {} a model while it runs.", action.verb());
        return Err(Fault::new(FaultCode::Invalid, words)
            .hint("Its model is that which it was started with."));
    }
    let meant = find(&service.models, model).ok_or_else(|| no_such_model(service, model))?;
    if action == Action::Load && meant.loaded == Loaded::Loading {
        let words = format!("{} is being loaded already.", meant.name);
        return fault(FaultCode::Conflict, words);
    }
    Ok(meant)
}

/// By its name; for Ollama, one without a tag is the latest.
pub fn find<'a>(models: &'a [Model], name: &str) -> Option<&'a Model> {
    let of = |name: &str| models.iter().find(|model| model.name == name);
    of(name).or_else(|| of(&format!("{name}:latest")))
}

fn no_such_model(service: &Service, model: &str) -> Fault {
    let names = || service.models.iter().map(|model| &*model.name);
    let fault =
        Fault::new(FaultCode::NotFound, format!("{} has no model {model:?}.", service.name));
    // The tag may be what is missing.
    let bare = || names().filter(|name| name.split(':').next() == Some(model));
    let near = nearest(model, names()).or_else(|| bare().next());
    match near {
        Some(near) => fault.hint(format!("Did you mean {near}?")),
        None if service.models.is_empty() => fault.hint("It tells of none."),
        None => {
            let some: Vec<&str> = names().take(8).collect();
            let more = if service.models.len() >= MAX_MODELS {
                " and more than are listed"
            } else if service.models.len() > some.len() {
                " and more"
            } else {
                ""
            };
            fault.hint(format!("It has {}{more}.", some.join(", ")))
        }
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
            span(PATIENCE),
            action.done()
        ),
        _ => format!("{name} did not {verb} {model}: {}", sentence(&error.to_string())),
    };
    Fault::new(code, words)
}

/// With one full stop at its end.
pub fn sentence(words: &str) -> String {
    format!("{}.", words.trim_end().trim_end_matches('.'))
}

fn progress(elapsed: Duration, vram: Option<u64>) -> String {
    match vram::change(None, vram) {
        Some(vram) => format!("{}; {vram}", span(elapsed)),
        None => span(elapsed),
    }
}

/// `1.4 s`, `12 s`, `3 min`.
fn span(took: Duration) -> String {
    match took.as_secs() {
        0..10 => format!("{:.1} s", took.as_secs_f64()),
        s @ 10..120 => format!("{s} s"),
        s => format!("{} min", s / 60),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use plimsoll_services::adapter::Actions;

    use super::*;
    use crate::services::hold::doubles::{model, service};

    fn refused(service: &Service, action: Action, model: &str) -> (FaultCode, String, String) {
        let fault = judge(service, action, model).unwrap_err();
        (fault.code, fault.message, fault.hint.unwrap_or_default())
    }

    #[test]
    fn what_cannot_be_done_is_refused_at_once_and_says_why() {
        let models =
            vec![model("qwen2.5:7b", Loaded::Unloaded), model("m:latest", Loaded::Loading)];
        let well = service("ollama", ServiceKind::Ollama, models);
        assert_eq!(judge(&well, Action::Load, "qwen2.5:7b").unwrap().name, "qwen2.5:7b");
        assert_eq!(judge(&well, Action::Unload, "m").unwrap().name, "m:latest");
        let (code, words, hint) = refused(&well, Action::Load, "qwen2.5:8b");
        assert_eq!((code, &*words), (FaultCode::NotFound, "ollama has no model \"qwen2.5:8b\"."));
        assert_eq!(hint, "Did you mean qwen2.5:7b?");
        assert_eq!(refused(&well, Action::Load, "qwen2.5").2, "Did you mean qwen2.5:7b?");
        assert_eq!(refused(&well, Action::Load, "x").2, "It has qwen2.5:7b, m:latest.");
        let (code, words, _) = refused(&well, Action::Load, "m");
        assert_eq!((code, &*words), (FaultCode::Conflict, "m:latest is being loaded already."));

        let mut down = well.clone();
        (down.state, down.reason) = (ServiceState::Down, "refused on 127.0.0.1:1".into());
        let (code, words, _) = refused(&down, Action::Load, "m");
        assert_eq!(
            (code, &*words),
            (FaultCode::Unavailable, "ollama is down: refused on 127.0.0.1:1.")
        );
        let mut vllm = service("v", ServiceKind::Vllm, vec![model("m", Loaded::Loaded)]);
        vllm.actions = Actions::default();
        let (code, words, _) = refused(&vllm, Action::Unload, "m");
        assert_eq!(
            (code, &*words),
            (FaultCode::Invalid, "vLLM has no way to unload a model while it runs.")
        );
        let mut young = well.clone();
        young.checked_ms = None;
        assert_eq!(refused(&young, Action::Load, "m").0, FaultCode::Unavailable);
        let proposed = Service { origin: Origin::Proposed, ..well };
        assert_eq!(refused(&proposed, Action::Load, "m").0, FaultCode::Conflict);
    }

    #[test]
    fn one_thing_is_done_with_a_model_at_a_time() {
        let underway = Underway::default();
        let turn = underway.begin("o", "m", Action::Load).unwrap();
        assert_eq!(underway.begin("o", "m", Action::Unload).unwrap_err(), Action::Load);
        let _other = underway.begin("o", "n", Action::Load).unwrap();
        drop(turn);
        let _again = underway.begin("o", "m", Action::Unload).unwrap();
    }

    #[test]
    fn spans_are_as_exact_as_they_matter() {
        let said = [400, 1400, 12_900, 119_000, 600_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(said, ["0.4 s", "1.4 s", "12 s", "119 s", "10 min"]);
    }
}
