//! Services and hands of the tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use plimsoll_core::{
    clock::{Clock, Instant3, ManualClock},
    mark::Mark,
};
use plimsoll_services::{
    adapter::{Actions, Stay},
    kind::ServiceKind,
    service::{Loaded, Model, Origin, Run, RunState, Service, ServiceState},
};

use tokio::sync::watch;

use super::hands::Hands;
use crate::gateway::{Return, WaitsFor};

pub fn model(name: &str, loaded: Loaded) -> Model {
    Model::named(name, loaded)
}

/// One that is well, on this machine, and loads and unloads.
pub fn service(id: &str, kind: ServiceKind, models: Vec<Model>) -> Service {
    Service {
        state: ServiceState::Healthy,
        models,
        checked_ms: Some(1),
        scrape_ms: Some(1.0),
        actions: Actions { load: true, unload: true },
        ..Service::new(id, id, Some(kind), "http://127.0.0.1:1234", Origin::Configured)
    }
}

/// One that Plimsoll runs, and whose model is fixed.
pub fn managed(id: &str) -> Service {
    let run = Run {
        state: RunState::Running,
        reason: String::new(),
        since_ms: 0,
        pid: Some(1),
        restarts: 0,
        next_ms: None,
        planned_vram_bytes: Some(1 << 30),
        command: Vec::new(),
    };
    let actions = Actions::default();
    Service { run: Some(run), actions, ..service(id, ServiceKind::Vllm, Vec::new()) }
}

type Change = fn(&mut Service);

/// A world of services that obey, but for those that are told not to.
pub struct World {
    pub clock: ManualClock,
    inside: Mutex<Inside>,
    /// Requests that run on each service.
    busy: watch::Sender<BTreeMap<String, u32>>,
    /// Services that take nothing new now, as often as they are kept from it.
    resting: watch::Sender<Vec<String>>,
}

/// A service of the world that takes nothing new.
pub struct Rest {
    id: String,
    resting: watch::Sender<Vec<String>>,
}

#[derive(Default)]
struct Inside {
    services: BTreeMap<String, Service>,
    /// What was done, in order, e.g. `unload o a`.
    done: Vec<String>,
    /// Words of refusal by what would be done.
    refuses: BTreeMap<String, String>,
    /// How a service is once another one was looked at.
    after_look: Option<(String, Change)>,
    /// Service and model that somebody loads once this was done.
    after: Option<(String, String, String)>,
    kept: Option<String>,
    disk_full: bool,
    marks: Vec<Mark>,
    warnings: Vec<String>,
    /// Which were let run empty, and whether they come back, e.g. `o Soon`.
    emptied: Vec<String>,
}

// === impl Rest ===

impl Drop for Rest {
    fn drop(&mut self) {
        self.resting.send_modify(|resting| {
            if let Some(at) = resting.iter().position(|id| *id == self.id) {
                resting.remove(at);
            }
        });
    }
}

// === impl World ===

impl World {
    pub fn new(services: impl IntoIterator<Item = Service>) -> Self {
        let services = services.into_iter().map(|service| (service.id.clone(), service));
        let inside = Inside { services: services.collect(), ..Inside::default() };
        Self {
            clock: ManualClock::at(1_000_000_000_000),
            inside: Mutex::new(inside),
            busy: watch::Sender::default(),
            resting: watch::Sender::default(),
        }
    }

    /// So many requests run there from now on.
    pub fn runs(&self, id: &str, requests: u32) {
        self.busy.send_modify(|busy| {
            busy.insert(id.into(), requests);
        });
    }

    pub fn resting(&self) -> Vec<String> {
        self.resting.borrow().clone()
    }

    pub fn emptied(&self) -> Vec<String> {
        self.inside().emptied.clone()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    pub fn done(&self) -> Vec<String> {
        self.inside().done.clone()
    }

    pub fn kept(&self) -> Option<String> {
        self.inside().kept.clone()
    }

    pub fn marks(&self) -> Vec<Mark> {
        self.inside().marks.clone()
    }

    pub fn warnings(&self) -> Vec<String> {
        self.inside().warnings.clone()
    }

    pub fn refuse(&self, what: &str, why: &str) {
        self.inside().refuses.insert(what.into(), why.into());
    }

    pub fn set_after_look(&self, id: &str, change: Change) {
        self.inside().after_look = Some((id.into(), change));
    }

    pub fn load_after(&self, what: &str, id: &str, model: &str) {
        self.inside().after = Some((what.into(), id.into(), model.into()));
    }

    pub fn fill_disk(&self) {
        self.inside().disk_full = true;
    }

    pub fn set(&self, id: &str, change: impl FnOnce(&mut Service)) {
        change(self.inside().services.get_mut(id).unwrap());
    }

    pub fn set_model(&self, id: &str, name: &str, loaded: Loaded) {
        self.set(id, |service| {
            let mut models = service.models.iter_mut();
            models.find(|model| model.name == name).unwrap().loaded = loaded;
        });
    }

    pub fn goes_down(&self, id: &str) {
        self.set(id, |service| {
            service.state = ServiceState::Down;
            service.reason = "refused on 127.0.0.1:1234".into();
            service.models.iter_mut().for_each(|model| model.loaded = Loaded::Unknown);
        });
    }

    pub fn comes_back(&self, id: &str) {
        self.set(id, |service| {
            service.state = ServiceState::Healthy;
            service.reason.clear();
            service.models.iter_mut().for_each(|model| model.loaded = Loaded::Unloaded);
        });
    }

    /// Notes it; why not, where it is refused.
    fn does(&self, what: String) -> Result<(), String> {
        let mut inside = self.inside();
        let refused = inside.refuses.get(&what).cloned();
        let after = inside.after.take_if(|(at, ..)| *at == what);
        inside.done.push(what);
        drop(inside);
        if let Some((_, id, model)) = after {
            self.set_model(&id, &model, Loaded::Loaded);
        }
        refused.map_or(Ok(()), Err)
    }
}

impl Hands for World {
    type Rest = Rest;

    fn now(&self) -> Instant3 {
        self.clock.now()
    }

    fn services(&self) -> Vec<Service> {
        self.inside().services.values().cloned().collect()
    }

    async fn look(&self, id: &str) -> Option<Service> {
        let seen = self.inside().services.get(id).cloned();
        let after = self.inside().after_look.take();
        if let Some((id, change)) = after {
            self.set(&id, change);
        }
        seen
    }

    async fn empty(&self, id: &str, back: Return, mut say: impl FnMut(WaitsFor) + Send) -> Rest {
        let rest = Rest { id: id.into(), resting: self.resting.clone() };
        self.resting.send_modify(|resting| resting.push(id.into()));
        let mut busy = self.busy.subscribe();
        loop {
            let requests = busy.borrow_and_update().get(id).copied().unwrap_or(0);
            if requests == 0 {
                self.inside().emptied.push(format!("{id} {back:?}"));
                return rest;
            }
            say(WaitsFor { requests, at_most: Duration::from_secs(30) });
            busy.changed().await.expect("the world goes on");
        }
    }

    async fn unload(&self, id: &str, model: &str) -> Result<(), String> {
        self.does(format!("unload {id} {model}"))?;
        self.set_model(id, model, Loaded::Unloaded);
        Ok(())
    }

    async fn load(&self, id: &str, model: &str, stay: Stay) -> Result<(), String> {
        let stay = match stay {
            Stay::Usual => String::new(),
            Stay::Seconds(seconds) => format!(" for {seconds} s"),
            Stay::Always => " for ever".into(),
        };
        self.does(format!("load {id} {model}{stay}"))?;
        self.set_model(id, model, Loaded::Loaded);
        Ok(())
    }

    async fn stop(&self, id: &str) -> Result<(), String> {
        self.does(format!("stop {id}"))?;
        self.set(id, |service| service.run.as_mut().unwrap().state = RunState::Stopped);
        Ok(())
    }

    async fn start(&self, id: &str) -> Result<(), String> {
        self.does(format!("start {id}"))?;
        self.set(id, |service| service.run.as_mut().unwrap().state = RunState::Running);
        Ok(())
    }

    fn vram(&self) -> Option<u64> {
        Some(9 << 30)
    }

    async fn settled(&self) -> Option<u64> {
        Some(1 << 30)
    }

    async fn keep(&self, text: String) -> Result<(), String> {
        let mut inside = self.inside();
        if inside.disk_full {
            return Err("the disk is full".into());
        }
        inside.kept = Some(text);
        Ok(())
    }

    fn mark(&self, mark: Mark) {
        self.inside().marks.push(mark);
    }

    fn tell(&self) {}

    fn warn(&self, title: String, advice: String) {
        self.inside().warnings.push(format!("{title}. {advice}"));
    }
}
