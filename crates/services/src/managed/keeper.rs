//! The one task that owns the plan: what happens comes in here, and what is to be
//! done goes out to the processes.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use plimsoll_core::{
    clock::{Clock, Instant3},
    config::Restart,
    mark::Mark,
    record::Record,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
    time,
};

use super::{
    Ask, Parts, States,
    flags::{Launch, Spec},
    ledger::{Ledger, Note},
    minder::{Minder, News, Report, Teller},
    output::Output,
    plan::{Deed, Plan, Running, Sight, Vram},
    process::Order,
    ready::Ready,
};
use crate::{fleet::FleetView, service::Service};

const BY_A_PERSON: &str = "Stopped by a person.";
const HELD: &str = "Stopped while the GPU is held free.";

/// How long somebody who waits for room is left alone at most.
const WAIT: Duration = Duration::from_secs(1);
/// Between two rounds that nobody asked for, at least.
const BREATH: Duration = Duration::from_millis(50);
/// Outputs of services that are in the configuration no more stay for so long.
const OLD: Duration = Duration::from_secs(30 * 86_400);
/// Nothing to wait for by itself.
const LONG: Duration = Duration::from_secs(3600);

pub struct Keeper {
    plan: Plan,
    ledger: Ledger,
    specs: watch::Receiver<Arc<Vec<Spec>>>,
    vram: watch::Receiver<Option<Vram>>,
    view: watch::Receiver<Arc<FleetView>>,
    ready: Arc<dyn Ready>,
    kept_off: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    clock: Arc<dyn Clock>,
    record: Arc<dyn Record>,
    publish: watch::Sender<Arc<States>>,
    outputs: BTreeMap<String, Arc<Output>>,
    /// The way to the process of each, with the number of its start.
    orders: BTreeMap<String, (u64, mpsc::Sender<Order>)>,
    reports: mpsc::Sender<Report>,
    reported: mpsc::Receiver<Report>,
    closing: Vec<oneshot::Sender<()>>,
}

// === impl Keeper ===

impl Keeper {
    pub fn new(parts: Parts, publish: watch::Sender<Arc<States>>) -> Self {
        let Parts { folder, specs, vram, view, ready, kept_off, clock, record } = parts;
        let (reports, reported) = mpsc::channel(256);
        Self {
            plan: Plan::default(),
            ledger: Ledger::new(folder),
            specs,
            vram,
            view,
            ready,
            kept_off,
            clock,
            record,
            publish,
            outputs: BTreeMap::new(),
            orders: BTreeMap::new(),
            reports,
            reported,
            closing: Vec::new(),
        }
    }

    /// Ends when all are stopped after a close, or when nobody asks any more.
    pub async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        self.take_over().await;
        let specs = self.specs.borrow_and_update().clone();
        let now = self.clock.now();
        self.plan.configure(specs.to_vec(), true, now);
        let (mut follows, mut reads) = (true, true);
        loop {
            self.settle();
            if !self.closing.is_empty() && self.plan.is_still() {
                for asker in self.closing {
                    let _ = asker.send(());
                }
                return;
            }
            let waits = self.plan.waiting().next().is_some();
            let pause = self.pause(waits);
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                Some(report) = self.reported.recv() => self.take(report),
                changed = self.specs.changed(), if follows => {
                    follows = changed.is_ok();
                    let specs = self.specs.borrow_and_update().clone();
                    self.plan.configure(specs.to_vec(), false, self.clock.now());
                }
                changed = self.vram.changed(), if waits && reads => reads = changed.is_ok(),
                () = time::sleep(pause) => {}
            }
        }
    }

    /// Does what is to be done now, and tells how things are then.
    fn settle(&mut self) {
        let now = self.clock.now();
        for deed in self.plan.advance(&self.sight(), now) {
            self.perform(deed, now);
        }
        self.tell();
    }

    /// Finds what an earlier Plimsoll left running.
    async fn take_over(&mut self) {
        let ledger = self.ledger.clone();
        let known: Vec<String> = self.specs.borrow().iter().map(|spec| spec.id.clone()).collect();
        let find = move || {
            take_old_away(&ledger, &known);
            let mut found = Vec::new();
            for note in ledger.notes() {
                match note.find() {
                    Some(process) => found.push((note, process)),
                    None => ledger.forget(&note.service),
                }
            }
            found
        };
        let found = spawn_blocking(find).await.unwrap_or_default();
        let specs = self.specs.borrow().clone();
        for (note, process) in found {
            let known = specs.iter().find(|spec| spec.id == note.service);
            let spec = known.cloned().unwrap_or_else(|| stand_in(&note));
            let running = Running {
                pid: process.pid,
                fingerprint: note.fingerprint,
                command: note.command.clone(),
            };
            let number = self.plan.adopt(spec.clone(), running, self.clock.now());
            self.mind(spec, number, |minder| minder.stay(process));
        }
    }

    fn perform(&mut self, deed: Deed, now: Instant3) {
        match deed {
            Deed::Start { spec, number } => {
                let holder = self.holder(&spec.id);
                self.mind(*spec, number, |minder| minder.start(holder));
            }
            Deed::Signal { id, number, kill } => {
                let order = if kill { Order::Die } else { Order::End };
                if let Some((_, to)) = self.orders.get(&id).filter(|(of, _)| *of == number) {
                    // There is room for both that are ever sent.
                    let _ = to.try_send(order);
                }
            }
            Deed::Forget { id } => {
                // What it wrote stays: it may be there again under this name, and whoever
                // asks why it ended reads it there.
                self.outputs.remove(&id);
            }
            Deed::Say { id, title } => {
                tracing::info!(service = %id, "{title}");
                self.record.mark(Mark::of_service(now.wall_ms, &id, title));
            }
        }
    }

    fn mind<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        spec: Spec,
        number: u64,
        how: impl FnOnce(Minder) -> F,
    ) {
        let (to, orders) = mpsc::channel(4);
        self.orders.insert(spec.id.clone(), (number, to));
        let minder = Minder {
            ledger: self.ledger.clone(),
            output: self.output(&spec.id),
            ready: self.ready.clone(),
            clock: self.clock.clone(),
            orders,
            tell: Teller { id: spec.id.clone(), number, to: self.reports.clone() },
            spec,
        };
        tokio::spawn(how(minder));
    }

    fn take(&mut self, report: Report) {
        let Report { id, number, news } = report;
        let now = self.clock.now();
        match news {
            News::Made(made) => self.plan.started(&id, number, made, now),
            News::Serves => self.plan.answered(&id, number, now),
            News::Ended { how, last_words } => {
                self.plan.ended(&id, number, how, last_words, now);
            }
        }
    }

    fn answer(&mut self, ask: Ask) {
        let now = self.clock.now();
        // Who asked and left has no use for the answer; who did not sees what came of it.
        match ask {
            Ask::Start(id, answer) => {
                let done = self.plan.start(&id, now);
                self.settle();
                let _ = answer.send(done);
            }
            Ask::Stop(id, answer) => {
                let why = if (self.kept_off)(&id) { HELD } else { BY_A_PERSON };
                let done = self.plan.stop(&id, why, now);
                self.settle();
                let _ = answer.send(done);
            }
            Ask::Output(id, answer) => {
                let known = self.plan.states().any(|(known, _)| known == id);
                drop(answer.send(known.then(|| self.output(&id))));
            }
            Ask::Close(answer) => {
                self.plan.close(now);
                self.closing.push(answer);
            }
        }
    }

    fn output(&mut self, id: &str) -> Arc<Output> {
        let path = self.ledger.output(id);
        self.outputs.entry(id.into()).or_insert_with(|| Arc::new(Output::open(path))).clone()
    }

    fn tell(&self) {
        let states: States = self.plan.states().collect();
        self.publish.send_if_modified(|old| {
            let changed = **old != states;
            if changed {
                *old = Arc::new(states);
            }
            changed
        });
    }

    fn sight(&self) -> Sight {
        Sight {
            vram: *self.vram.borrow(),
            held: held(&self.view.borrow()),
            // All of them: one whose pause is over comes to wait within the same round.
            kept_off: self.plan.ids().filter(|id| (self.kept_off)(id)).cloned().collect(),
        }
    }

    /// Who listens at its address, as far as the watch knows.
    fn holder(&self, id: &str) -> Option<String> {
        let view = self.view.borrow();
        let holder = view.services.iter().find(|service| service.id == id)?.holder.clone()?;
        Some(format!("{} (process {})", holder.name, holder.pids.first()?))
    }

    fn pause(&self, waits: bool) -> Duration {
        let now_ms = self.clock.now().monotonic_ms;
        let next = self
            .plan
            .wake_ms(now_ms)
            .map_or(LONG, |wake| Duration::from_millis(u64::try_from(wake - now_ms).unwrap_or(0)));
        // What is due and cannot be done yet must not keep a core busy.
        (if waits { next.min(WAIT) } else { next }).max(BREATH)
    }
}

/// Takes away what services wrote that are in the configuration no more. Blocks.
fn take_old_away(ledger: &Ledger, known: &[String]) {
    let Some(folder) = ledger.output("x").parent().map(Path::to_path_buf) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "log")
            || known.iter().any(|known| known == id)
        {
            continue;
        }
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        // A time that lies ahead is no age.
        if written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > OLD)) {
            Output::open(path).remove();
        }
    }
}

/// What each holds in VRAM. One whose process is seen and that holds none as far as is
/// known has yet to take it: a server that loads its model with the first request.
fn held(view: &FleetView) -> BTreeMap<String, u64> {
    let held = |service: &Service| {
        let of_models = || service.models.iter().filter_map(|model| model.vram_bytes).sum();
        Some(service.holder.as_ref()?.vram_bytes.unwrap_or_else(of_models))
    };
    let all = view.services.iter();
    all.filter_map(|service| Some((service.id.clone(), held(service)?))).collect()
}

/// What is known of a service that runs and is in the configuration no more.
fn stand_in(note: &Note) -> Spec {
    Spec {
        id: note.service.clone(),
        name: note.name.clone(),
        url: String::new(),
        launch: Launch {
            program: note.command.first().cloned().unwrap_or_default(),
            arguments: note.command.iter().skip(1).cloned().collect(),
            cwd: "/".into(),
            env: Vec::new(),
        },
        autostart: false,
        order: 0,
        restart: Restart::Never,
        grace: Duration::from_secs(note.stop_s),
        planned: None,
        on_gpu: false,
        watched: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapter::Actions,
        service::{Figures, Holder, Origin, ServiceState},
    };

    fn service(id: &str, holder: Option<Holder>) -> Arc<Service> {
        Arc::new(Service {
            id: id.into(),
            name: id.into(),
            kind: None,
            url: String::new(),
            origin: Origin::Configured,
            state: ServiceState::Healthy,
            reason: String::new(),
            since_ms: 0,
            version: None,
            models: Vec::new(),
            slots: None,
            figures: Figures::default(),
            holder,
            checked_ms: None,
            scrape_ms: None,
            hints: Vec::new(),
            actions: Actions::default(),
            vram: None,
            run: None,
        })
    }

    #[test]
    fn one_that_runs_and_has_no_vram_yet_holds_none_and_one_unseen_is_not_known() {
        let holder = |vram_bytes| Some(Holder { vram_bytes, ..Holder::default() });
        let services = vec![
            service("loaded", holder(Some(7))),
            service("lazy", holder(None)),
            service("unseen", None),
        ];
        let held = held(&FleetView { at_ms: 1, services });
        assert_eq!(held, [("lazy".to_owned(), 0), ("loaded".to_owned(), 7)].into());
    }

    #[test]
    fn only_old_outputs_of_services_that_are_no_more_are_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - OLD - Duration::from_secs(60);
        for name in ["gone.log", "kept.log", "fresh.log", "gone.json"] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            if name != "fresh.log" {
                file.set_modified(old).unwrap();
            }
        }
        take_old_away(&Ledger::new(dir.path().into()), &["kept".into()]);
        let there = |name: &str| dir.path().join(name).exists();
        assert!(!there("gone.log"));
        assert!(there("kept.log") && there("fresh.log") && there("gone.json"));
    }
}
