//! The watch of one service: a task of its own, so that one that hangs delays no
//! other. It looks, judges, keeps what is newest, waits, and looks again.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    mark::{Mark, MarkKind},
    metric::Metric,
    process::ProcessTable,
    reading::Reading,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    Shared, Watched,
    acts::Endpoint,
    asking::{find_kind, likely_kind, scrape_once},
    holder::holder_of,
    vram::split,
};
use crate::{
    adapter::{Actions, Held, Memory, Scrape},
    client::{CallError, Target},
    discovery::{Container, Place},
    kind::ServiceKind,
    normalise::{Normal, Normaliser},
    service::{Figures, Holder, Loaded, Model, Service, ServiceState},
    state::{Change, Look, Machine, words_of},
};

/// What an unknown server is asked may take, in calls' budgets.
const IDENTIFY_BUDGETS: u32 = 8;

/// Asked for a look now, and told when it is done.
pub(super) type Ask = oneshot::Sender<Arc<Service>>;

pub(super) struct Watcher {
    shared: Arc<Shared>,
    watched: watch::Receiver<Arc<Watched>>,
    processes: watch::Receiver<Arc<ProcessTable>>,
    asks: mpsc::Receiver<Ask>,
    endpoint: Arc<Mutex<Endpoint>>,
    /// Where it is; why not, where its address is none.
    target: Result<Target, CallError>,
    /// What it speaks, told or found out.
    kind: Option<ServiceKind>,
    memory: Memory,
    machine: Machine,
    normaliser: Normaliser,
    looks: u64,
    holder: Option<Holder>,
    /// Process table that the holder was read from.
    table_ms: i64,
    version: Option<String>,
    models: Vec<Model>,
    /// What it last told of its VRAM.
    held: Option<Held>,
    /// What it lets one do, where it said so.
    actions: Option<Actions>,
}

// === impl Watcher ===

impl Watcher {
    pub fn new(
        shared: Arc<Shared>,
        mut watched: watch::Receiver<Arc<Watched>>,
        asks: mpsc::Receiver<Ask>,
        endpoint: Arc<Mutex<Endpoint>>,
    ) -> Self {
        let first = watched.borrow_and_update().clone();
        let now = shared.clock.now();
        let mut watcher = Self {
            processes: shared.processes.clone(),
            watched,
            asks,
            endpoint,
            target: Err(CallError::BadUrl("no address".into())),
            kind: None,
            memory: Memory::default(),
            machine: Machine::new(now.wall_ms),
            normaliser: Normaliser::new(&first.id),
            looks: 0,
            holder: None,
            table_ms: -1,
            version: None,
            models: Vec::new(),
            held: None,
            actions: None,
            shared,
        };
        watcher.aim(&first);
        watcher
    }

    pub async fn run(mut self) {
        let mut asked: Option<Ask> = None;
        loop {
            let watched = self.watched.borrow_and_update().clone();
            let began = Instant::now();
            let service =
                if watched.enabled { self.look(&watched).await } else { self.rest(&watched) };
            if let Some(asked) = asked.take() {
                // Whoever asked and left has no use for the answer.
                let _ = asked.send(service);
            }
            // A look that took longer than its cadence is not made up for.
            let next = began + self.machine.pause(self.cadence(&watched));
            tokio::select! {
                () = sleep_until(next), if watched.enabled => {}
                Some(ask) = self.asks.recv() => asked = Some(ask),
                changed = self.watched.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let new = self.watched.borrow().clone();
                    if !new.same_place(&watched) {
                        self.aim(&new);
                    }
                }
            }
        }
    }

    /// Begins anew with another place.
    fn aim(&mut self, watched: &Watched) {
        self.target =
            Target::new(&self.shared.client, &watched.url, watched.key.clone(), watched.bounds)
                .map(|target| target.trusting(watched.trust.clone()));
        self.kind = watched.kind;
        self.memory.clear();
        self.memory.set_command(None);
        self.normaliser.restarted();
        self.holder = None;
        (self.held, self.actions) = (None, None);
        self.table_ms = -1;
        self.publish_endpoint();
    }

    fn publish_endpoint(&self) {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        endpoint.target = self.target.as_ref().ok().cloned();
        endpoint.adapter = self.kind.and_then(|kind| self.shared.adapter(kind));
    }

    fn cadence(&self, watched: &Watched) -> Duration {
        watched.cadence_of(self.kind)
    }

    /// Not watched by the configuration's word.
    fn rest(&mut self, watched: &Watched) -> Arc<Service> {
        let now = self.shared.clock.now();
        self.machine = Machine::new(now.wall_ms);
        self.looks = 0;
        self.shared.newest.remove(&watched.id);
        let mut service = self.service(watched, Figures::default(), None);
        service.state = ServiceState::Unknown;
        service.reason = "not watched".into();
        service.since_ms = now.wall_ms;
        let service = Arc::new(service);
        self.shared.put(service.clone());
        service
    }

    async fn look(&mut self, watched: &Watched) -> Arc<Service> {
        let restarted = self.see_holder(watched);
        let began = Instant::now();
        let outcome = self.ask(watched).await;
        let took = began.elapsed();
        let now = self.shared.clock.now();
        let first = self.looks == 0;
        self.looks += 1;
        let change = self.machine.take(Look {
            at_ms: now.wall_ms,
            outcome: outcome.as_ref().map(|scrape| &scrape.condition),
            took,
            budget: watched.bounds.budget,
            process_started_ms: self.holder.as_ref().map(|holder| holder.started_ms),
        });
        self.tell(watched, change.as_ref(), first, restarted, now.wall_ms);

        let mut scrape = outcome.unwrap_or_default();
        let normal = if self.machine.failures() == 0 {
            self.normaliser.take(&scrape, now.monotonic_ms)
        } else {
            Normal::default()
        };
        if let Some(version) = scrape.version.take() {
            self.version = Some(version);
        }
        if let Some(models) = scrape.models.take() {
            self.models = models;
        }
        self.held = scrape.held.or(self.held);
        self.actions = scrape.actions.or(self.actions);
        if self.machine.state() == ServiceState::Down {
            self.held = None;
            for model in &mut self.models {
                let unknown = Loaded::Unknown;
                *model = Model { loaded: unknown, ..model.clone() }.sized(model.size_bytes, None);
                model.expires_ms = None;
            }
            if watched.kind.is_none() && self.kind.is_some() && self.machine.failures() > 0 {
                // What comes back on this port may be another program.
                self.kind = None;
                self.memory.clear();
                self.publish_endpoint();
            }
        }
        let mut readings = normal.readings;
        self.own_readings(watched, took, &mut readings);
        let wait = self.machine.pause(self.cadence(watched));
        let fresh = wait.mul_f64(2.5) + watched.bounds.budget;
        self.shared.newest.put(&watched.id, now.monotonic_ms, fresh, readings);

        let mut service = self.service(watched, normal.figures, Some((now.wall_ms, took)));
        service.slots = scrape.slots;
        service.hints = scrape.hints;
        let service = Arc::new(service);
        self.shared.put(service.clone());
        service
    }

    /// Everything about the answer that can hurt is held off here: it has a time, and
    /// a panic within an adapter is that adapter's alone.
    async fn ask(&mut self, watched: &Watched) -> Result<Scrape, CallError> {
        let target = self.target.clone()?;
        self.is_its_own(watched, &target)?;
        let budget = target.bounds().budget;
        if self.kind.is_none() {
            let likely = self.holder.as_ref().and_then(|holder| likely_kind(&holder.name));
            let patience = budget * IDENTIFY_BUDGETS;
            self.kind =
                Some(find_kind(&self.shared, &target, likely, patience, watched.origin).await?);
            // Which processes are parts of it depends on what it is.
            self.table_ms = -1;
            self.publish_endpoint();
        }
        let adapter = self.kind.and_then(|kind| self.shared.adapter(kind)).ok_or_else(|| {
            let kind = self.kind.map_or("it", ServiceKind::label);
            CallError::BadUrl(format!("no adapter speaks to {kind}"))
        })?;
        scrape_once(&*adapter, &target, &mut self.memory).await
    }

    /// Docker deals the addresses of containers anew at each start: what another one has
    /// by now would be taken for this one's.
    fn is_its_own(&self, watched: &Watched, target: &Target) -> Result<(), CallError> {
        let (Some(own), Some(ip)) = (&watched.container, target.ip()) else { return Ok(()) };
        let Some(finds) = self.shared.finds.get() else { return Ok(()) };
        let finds = finds.borrow();
        let has = |of: &&Container| of.addresses.contains(&ip);
        match finds.containers.iter().find(has).filter(|of| of.name != *own) {
            None => Ok(()),
            Some(other) => Err(CallError::BadUrl(format!(
                "its container {own} does not run at {ip} any more: {} has that address",
                other.name
            ))),
        }
    }

    /// Looks up who holds the service, once per process table. True where it is
    /// another process than before.
    fn see_holder(&mut self, watched: &Watched) -> bool {
        let Ok(target) = &self.target else { return false };
        let Some(ip) = target.ip() else { return false };
        let place = Place::of(SocketAddr::new(ip, target.port()));
        let table = self.processes.borrow_and_update().clone();
        if table.at_ms == self.table_ms {
            return false;
        }
        self.table_ms = table.at_ms;
        let finds = self.shared.finds.get().map(|finds| finds.borrow().clone());
        let containers = finds.as_ref().map_or(&[][..], |finds| &finds.containers);
        let own = self.is_its_own(watched, target).is_ok();
        let holder = own.then(|| holder_of(&table, containers, place, self.kind)).flatten();
        if let Some(holder) = &holder {
            let listens = table.processes.iter().find(|p| Some(&p.pid) == holder.pids.first());
            let command = listens.map(|p| p.command.as_str()).filter(|line| !line.is_empty());
            self.memory.set_command(command.map(Into::into));
        }
        let restarted = match (&self.holder, &holder) {
            (Some(old), Some(new)) => {
                (old.started_ms, old.pids.first()) != (new.started_ms, new.pids.first())
            }
            _ => false,
        };
        // Gone from the table for a moment, it is still the one that the next is compared with.
        if holder.is_some() || self.machine.state() == ServiceState::Down {
            self.holder = holder;
        }
        if restarted {
            self.memory.clear();
            self.held = None;
            self.normaliser.restarted();
        }
        restarted
    }

    /// What Plimsoll itself knows of it.
    fn own_readings(&self, watched: &Watched, took: Duration, out: &mut Vec<Reading>) {
        let subject: Arc<str> = watched.id.as_str().into();
        let up = self.machine.state().serves();
        out.push(Reading::gauge(Metric::ServiceUp, &subject, f64::from(u8::from(up))));
        if self.machine.failures() == 0 {
            let ms = took.as_secs_f64() * 1000.0;
            out.push(Reading::gauge(Metric::ServiceScrapeTime, &subject, ms));
        }
        let Some(holder) = &self.holder else { return };
        if let Some(cpu) = holder.cpu_percent {
            out.push(Reading::gauge(Metric::ServiceCpu, &subject, cpu));
        }
        out.push(Reading::gauge(Metric::ServiceRss, &subject, holder.rss_bytes as f64));
        if let Some(vram) = holder.vram_bytes {
            out.push(Reading::gauge(Metric::ServiceVram, &subject, vram as f64));
        }
    }

    fn service(
        &self,
        watched: &Watched,
        figures: Figures,
        looked: Option<(i64, Duration)>,
    ) -> Service {
        Service {
            id: watched.id.clone(),
            name: watched.name.clone(),
            kind: self.kind.or(watched.kind),
            url: watched.url.clone(),
            origin: watched.origin,
            state: self.machine.state(),
            reason: self.machine.reason().to_string(),
            since_ms: self.machine.since_ms(),
            version: self.version.clone(),
            models: self.models.clone(),
            slots: None,
            figures,
            holder: self.holder.clone(),
            checked_ms: looked.map(|(at_ms, _)| at_ms),
            scrape_ms: looked.map(|(_, took)| took.as_secs_f64() * 1000.0),
            hints: Vec::new(),
            actions: self.actions(watched),
            vram: split(self.holder.as_ref().and_then(|holder| holder.vram_bytes), self.held),
            run: None,
        }
    }

    fn actions(&self, watched: &Watched) -> Actions {
        let of_kind = || Some(self.shared.adapter(self.kind.or(watched.kind)?)?.actions());
        self.actions.or_else(of_kind).unwrap_or_default()
    }

    /// Tells the history what changed.
    fn tell(
        &self,
        watched: &Watched,
        change: Option<&Change>,
        first: bool,
        restarted: bool,
        at_ms: i64,
    ) {
        let mark = |kind, title: String| {
            tracing::info!(service = %watched.id, "{title}");
            self.shared.record.mark(Mark { kind, ..Mark::of_service(at_ms, &watched.id, title) });
        };
        if restarted {
            mark(MarkKind::Restart, format!("{} started again", watched.name));
        }
        // To find everything well at the start of Plimsoll is no event.
        if let Some(change) = change
            && !(first && change.to == ServiceState::Healthy)
        {
            mark(MarkKind::Service, words_of(&watched.name, change));
        }
    }
}
