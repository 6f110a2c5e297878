//! Does the steps of a hold, one after another, and listens meanwhile.

use std::{sync::Arc, time::Duration};

use plimsoll_core::mark::{Mark, MarkKind};
use plimsoll_services::service::{Loaded, Service};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Ask,
    hands::Hands,
    machine::{MAX_STEPS, Machine, Next, Phase, Step},
    plan::{known, plan},
    work::{self, Back},
};
use crate::{
    api::{Fault, FaultCode, Hold, HoldRequest, HoldState, MAX_HOLD_MINUTES},
    gateway::{Return, WaitsFor},
    services::judge::{find, is_up},
};

/// Longest time between two looks at the clocks: a sleeping machine wakes no timer.
const POLL: Duration = Duration::from_secs(5);
/// What the look at a service may take before a hold begins without it.
const LOOK_WITHIN: Duration = Duration::from_secs(3);

pub struct Runner<H: Hands> {
    hands: Arc<H>,
    machine: Option<Machine>,
    asked: mpsc::Receiver<Ask>,
    show: watch::Sender<Option<Arc<Machine>>>,
    /// The service that is being freed takes nothing new until all of it is that is to be.
    rest: Option<(String, Return, H::Rest)>,
}

// === impl Runner ===

impl<H: Hands> Runner<H> {
    pub fn new(
        hands: Arc<H>,
        asked: mpsc::Receiver<Ask>,
        show: watch::Sender<Option<Arc<Machine>>>,
    ) -> Self {
        let machine = show.borrow().as_deref().cloned();
        Self { hands, machine, asked, show, rest: None }
    }

    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.go_on() => {}
        }
    }

    /// May be dropped at any time: what is asked for is written down before.
    async fn go_on(&mut self) {
        if self.machine.as_ref().is_some_and(Machine::is_on) {
            tracing::info!("a hold of the GPU was on when Plimsoll ended, and goes on");
            self.changed().await;
        }
        loop {
            self.pass().await;
            let next = self.machine.as_ref().map_or(Next::Nothing, Machine::next);
            if !matches!(next, Next::Free(_)) {
                self.rest = None;
            }
            match next {
                Next::Free(at) => self.free(at).await,
                // Somebody may have loaded a model or started a service meanwhile.
                Next::Measure if self.add_late().await => {}
                Next::Measure => {
                    let hands = self.hands.clone();
                    let after = self.meanwhile(async move { hands.settled().await }).await;
                    self.change(|machine| machine.measured(after)).await;
                }
                Next::Wait => {
                    let left = self.machine.as_ref().map_or(0, |m| m.left_ms(self.hands.now()));
                    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                    self.listen(left.min(POLL)).await;
                    self.see_late_ones().await;
                }
                Next::Restore(at) => self.restore(at).await,
                Next::Nothing if self.machine.as_ref().is_some_and(Machine::is_on) => {
                    self.over().await;
                }
                Next::Nothing => match self.asked.recv().await {
                    Some(ask) => self.answer(ask).await,
                    None => return,
                },
            }
        }
    }

    async fn free(&mut self, at: usize) {
        // Before anything is asked for: an end of the hold leaves it as it is.
        if !self.empty(at).await {
            return;
        }
        self.change(|machine| machine.asked(at)).await;
        let Some(step) = self.step(at) else { return };
        let hands = self.hands.clone();
        let done = self.meanwhile(async move { work::free(&*hands, &step).await }).await;
        self.change(|machine| match done {
            Ok(()) => machine.freed(at),
            Err(why) => machine.refused(at, &why),
        })
        .await;
    }

    /// Lets what runs on its service end, and listens meanwhile; false where the hold ended first.
    async fn empty(&mut self, at: usize) -> bool {
        let Some(step) = self.step(at) else { return false };
        // A server that lets a model go takes requests again, one that is stopped does not.
        let back = if step.model.is_some() { Return::Soon } else { Return::Never };
        if self.rest.as_ref().is_some_and(|(of, how, _)| *of == step.service && *how == back) {
            return true;
        }
        if self.rest.as_ref().is_some_and(|(of, ..)| *of != step.service) {
            self.rest = None;
        }
        let (say, mut said) = watch::channel(0);
        let (hands, id) = (self.hands.clone(), step.service.clone());
        let mut work = Box::pin(async move {
            let said = |waits: WaitsFor| {
                say.send_replace(waits.requests);
            };
            hands.empty(&id, back, said).await
        });
        loop {
            let asked = tokio::select! {
                biased;
                rest = &mut work => {
                    self.rest = Some((step.service, back, rest));
                    return true;
                }
                Ok(()) = said.changed() => {
                    let requests = *said.borrow_and_update();
                    self.change(|machine| machine.waits(at, requests)).await;
                    continue;
                }
                Some(ask) = self.asked.recv() => Some(ask),
                () = sleep(POLL) => None,
            };
            match asked {
                Some(ask) => self.answer(ask).await,
                None => self.pass().await,
            }
            if !self.machine.as_ref().is_some_and(|machine| machine.is_wanted(at)) {
                return false;
            }
        }
    }

    async fn restore(&mut self, at: usize) {
        let Some(step) = self.step(at) else { return };
        let hands = self.hands.clone();
        let back = self.meanwhile(async move { work::restore(&*hands, &step).await }).await;
        self.change(|machine| match back {
            Back::Restored => machine.restored(at),
            Back::Kept => machine.kept(at),
            Back::Lost(why) => machine.lost(at, &why),
        })
        .await;
    }

    fn step(&self, at: usize) -> Option<Step> {
        self.machine.as_ref()?.steps.get(at).cloned()
    }

    /// Listens while the work is done.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            let asked = tokio::select! {
                done = &mut work => return done,
                Some(ask) = self.asked.recv() => Some(ask),
                () = sleep(POLL) => None,
            };
            // Out of the race: an answer that is begun is given.
            match asked {
                Some(ask) => self.answer(ask).await,
                None => self.pass().await,
            }
        }
    }

    /// Answers the next word, waiting at most so long for it.
    async fn listen(&mut self, at_most: Duration) {
        let asked = tokio::select! {
            Some(ask) = self.asked.recv() => ask,
            () = sleep(at_most) => return,
        };
        self.answer(asked).await;
    }

    async fn answer(&mut self, ask: Ask) {
        // Whoever asked and left has no use for the answer.
        let _ = match ask {
            Ask::Begin(request, answer) => answer.send(self.begin(request).await),
            Ask::End(answer) => answer.send(self.end().await),
        };
    }

    async fn begin(&mut self, request: HoldRequest) -> Result<Hold, Fault> {
        let HoldRequest { minutes, services: mut named } = request;
        named.sort_unstable();
        named.dedup();
        if !(1..=MAX_HOLD_MINUTES).contains(&minutes) {
            return Err(Fault::new(
                FaultCode::Invalid,
                format!("A hold lasts 1 to {MAX_HOLD_MINUTES} minutes, not {minutes}."),
            ));
        }
        let services = self.fresh().await;
        known(&services, &named)?;
        let now = self.hands.now();
        let before = self.machine.clone();
        match &mut self.machine {
            Some(machine) if machine.state == HoldState::Restoring => {
                let words = "A hold is just ending: what it took away is being brought back.";
                return Err(Fault::new(FaultCode::Conflict, words)
                    .hint("Wait until that is done, or give the word again then."));
            }
            Some(machine) if machine.is_on() => {
                machine.extend(now, minutes);
                if !named.is_empty() {
                    machine.add(plan(&services, &named, now.wall_ms));
                }
                if !machine.named.is_empty() {
                    let fresh = named.into_iter().filter(|id| !machine.named.contains(id));
                    let fresh: Vec<String> = fresh.collect();
                    machine.named.extend(fresh);
                    machine.named.truncate(MAX_STEPS);
                }
            }
            earlier => {
                // What an earlier hold could not bring back is brought back with the rest.
                let mut steps = earlier.as_ref().map(Machine::lost_steps).unwrap_or_default();
                let fresh = plan(&services, &named, now.wall_ms);
                steps.truncate(MAX_STEPS.saturating_sub(fresh.len()));
                steps.extend(fresh);
                let vram = self.hands.vram();
                *earlier = Some(Machine::begin(now, minutes, named, steps, vram));
            }
        }
        if let Err(why) = self.keep().await {
            // Nothing is taken away that a restart would not bring back.
            self.machine = before;
            let words = format!("A hold cannot be kept, so none is begun: {why}.");
            return Err(Fault::new(FaultCode::Unavailable, words));
        }
        self.show();
        if !before.is_some_and(|before| before.is_on()) {
            // What began before anybody knew of the hold was not kept off by it.
            self.add_late().await;
            self.mark(None);
        }
        Ok(self.told())
    }

    /// Takes what holds VRAM by now and is not on the list; true where there is something.
    async fn add_late(&mut self) -> bool {
        let Some(machine) = &mut self.machine else { return false };
        let now_ms = self.hands.now().wall_ms;
        let late = plan(&self.hands.services(), &machine.named, now_ms);
        let more = machine.add_late(late);
        if more {
            self.changed().await;
        }
        more
    }

    /// All services; of those whose models could go it is looked now what is loaded.
    async fn fresh(&self) -> Vec<Service> {
        let services = self.hands.services();
        let asked = services.iter().take(MAX_STEPS).filter(|one| one.actions.unload && is_up(one));
        let looks = asked.map(|service| timeout(LOOK_WITHIN, self.hands.look(&service.id)));
        let seen = futures::future::join_all(looks).await;
        let seen: Vec<Service> = seen.into_iter().flatten().flatten().collect();
        let newest =
            |old: Service| seen.iter().find(|new| new.id == old.id).cloned().unwrap_or(old);
        services.into_iter().map(newest).collect()
    }

    async fn end(&mut self) -> Result<Hold, Fault> {
        let begun = self
            .machine
            .as_mut()
            .is_some_and(|machine| machine.state == HoldState::Restoring || machine.end());
        if !begun {
            return Err(Fault::new(FaultCode::NotFound, "No hold is on.")
                .hint("Begin one: plimsoll hold --for 1h."));
        }
        self.changed().await;
        Ok(self.told())
    }

    fn told(&self) -> Hold {
        // Asked only where there is one.
        self.machine.as_ref().map(Machine::told).unwrap_or(Hold {
            state: HoldState::Ended,
            from_ms: 0,
            until_ms: 0,
            steps: Vec::new(),
            vram_before_bytes: None,
            vram_after_bytes: None,
        })
    }

    /// Everything is back that can be: it is said what is not.
    async fn over(&mut self) {
        self.change(Machine::over).await;
        let Some(machine) = &self.machine else { return };
        let lost: Vec<String> =
            machine.losses().map(|step| format!("{}: {}", step.what(), step.trouble)).collect();
        self.mark(Some(self.hands.now().wall_ms));
        if !lost.is_empty() {
            let title = match lost.len() {
                1 => "After the hold one thing was not brought back".into(),
                n => format!("After the hold {n} things were not brought back"),
            };
            let some: Vec<&str> = lost.iter().take(3).map(String::as_str).collect();
            self.hands.warn(title, some.join(" "));
        }
    }

    /// One mark from its begin to its end.
    fn mark(&self, end_ms: Option<i64>) {
        let Some(machine) = &self.machine else { return };
        let title = match end_ms {
            None => "The GPU is held free",
            Some(_) if machine.losses().next().is_some() => {
                "The GPU was held free; not all was brought back"
            }
            Some(_) => "The GPU was held free",
        };
        let mut mark = Mark::new(machine.from_ms, MarkKind::Service, title);
        mark.end_ms = end_ms;
        mark.reference = Some(format!("hold:{}", machine.from_ms));
        let words = machine.steps.iter().map(|step| {
            let done = match step.phase {
                Phase::Planned | Phase::Asked => "to be freed",
                Phase::Freed => "freed",
                Phase::Refused | Phase::Spared => "left",
                Phase::Restored => "freed and brought back",
                Phase::Lost => "not brought back",
            };
            let what = step.what();
            match step.trouble.as_str() {
                "" => format!("{what}: {done}"),
                why => format!("{what}: {done}. {why}"),
            }
        });
        mark.detail = words.collect::<Vec<_>>().join("\n");
        self.hands.mark(mark);
    }

    async fn pass(&mut self) {
        let now = self.hands.now();
        if self.machine.as_mut().is_some_and(|machine| machine.pass(now)) {
            self.changed().await;
        }
    }

    /// A model that was busy when it was to go may be gone by now.
    async fn see_late_ones(&mut self) {
        let Some(machine) = &mut self.machine else { return };
        if !machine.steps.iter().any(|step| step.phase == Phase::Refused) {
            return;
        }
        let mut changed = false;
        for service in self.hands.services() {
            // Of one that is down it is not known.
            let up = is_up(&service);
            let refused: Vec<String> = machine
                .steps
                .iter()
                .filter(|step| step.service == service.id && step.phase == Phase::Refused)
                .filter_map(|step| step.model.clone())
                .collect();
            for model in refused.iter().filter(|_| up) {
                let loaded = find(&service.models, model).map(|model| model.loaded);
                if loaded == Some(Loaded::Unloaded) {
                    changed |= machine.went(&service.id, model);
                }
            }
        }
        if changed {
            self.changed().await;
        }
    }

    async fn change(&mut self, change: impl FnOnce(&mut Machine)) {
        let Some(machine) = &mut self.machine else { return };
        change(machine);
        self.changed().await;
    }

    async fn changed(&mut self) {
        if let Err(why) = self.keep().await {
            tracing::warn!(%why, "how far a hold is could not be kept");
        }
        self.show();
    }

    async fn keep(&self) -> Result<(), String> {
        let text = serde_json::to_string(&self.machine).map_err(|error| error.to_string())?;
        self.hands.keep(text).await
    }

    fn show(&self) {
        self.show.send_replace(self.machine.clone().map(Arc::new));
        self.hands.tell();
    }
}
