//! What the simulated machine would have recorded before the demo was opened.

use std::sync::Arc;

use plimsoll_core::{
    clock::Instant3,
    mark::Mark,
    reading::Tick,
    request::RequestRow,
    source::{SourceState, SourceStatus},
};

use crate::{
    cast::{Cast, PastService, PastStore, WARM_S},
    readings::{self, Subjects},
    scenario::ScenarioError,
    simulation::Timeline,
    traffic::{Gate, Traffic},
    world::World,
};

/// Processes and space are read at these cadences, in seconds.
const PROCESSES_S: i64 = 5;
const SPACE_S: i64 = 10;

/// Ticks from one moment to another, oldest first.
pub struct Past {
    world: World,
    timeline: Timeline,
    subjects: Arc<Subjects>,
    next_ms: i64,
    to_ms: i64,
    step_ms: i64,
    last_ms: Option<i64>,
    gpu_last_ms: Option<i64>,
    /// State of the GPU's source, and since when.
    gpu: (Option<String>, i64),
    /// What runs on the machine, where that is told, too.
    services: Vec<PastService>,
    stores: Vec<PastStore>,
    traffic: Option<Traffic>,
}

// === impl Past ===

impl Past {
    pub(crate) fn new(
        world: World,
        timeline: Timeline,
        subjects: Arc<Subjects>,
        span: (i64, i64),
        step_ms: i64,
    ) -> Self {
        Self {
            world,
            timeline,
            subjects,
            next_ms: span.0,
            to_ms: span.1,
            step_ms: step_ms.max(1000),
            last_ms: None,
            gpu_last_ms: None,
            gpu: (None, span.0),
            services: Vec::new(),
            stores: Vec::new(),
            traffic: None,
        }
    }

    /// Tells the services of the machine as well.
    #[must_use]
    pub fn with_services(mut self, cast: &Cast) -> Self {
        let from_s = self.next_ms.div_euclid(1000);
        self.services = cast.past(&self.world.plan, from_s);
        self.stores = cast.past_stores(&self.world.plan, from_s);
        self
    }

    /// Lets the clients ask these services, which then are those of
    /// [`Cast::with_clients`], through a gateway.
    pub fn with_gateway(mut self, gate: Box<dyn Gate>) -> Result<Self, ScenarioError> {
        let from_s = self.next_ms.div_euclid(1000);
        let span = (from_s - WARM_S, from_s);
        self.traffic = Some(Traffic::new(gate, &self.world.plan, &self.services, span)?);
        Ok(self)
    }

    /// It goes on up to that moment, if it has not come so far yet. Whether there is more of it.
    pub fn until(&mut self, to_ms: i64) -> bool {
        self.to_ms = self.to_ms.max(to_ms);
        self.next_ms < self.to_ms
    }

    /// The requests that ended since this was asked last, in the order of their ends.
    pub fn requests(&mut self) -> Vec<RequestRow> {
        self.traffic.as_mut().map(Traffic::take).unwrap_or_default()
    }

    /// What changed with the services since this was asked last, oldest first.
    pub fn marks(&mut self) -> Vec<Mark> {
        let mut marks = Vec::new();
        let services = self.services.iter_mut().map(PastService::changes);
        for (id, changes) in services.chain(self.stores.iter_mut().map(PastStore::changes)) {
            marks.extend(changes.into_iter().map(|(second, title)| Mark {
                detail: "Simulated.".into(),
                ..Mark::of_service(second * 1000, &id, title)
            }));
        }
        if let Some(traffic) = &mut self.traffic {
            marks.extend(traffic.marks().into_iter().map(simulated));
        }
        marks.sort_by_key(|mark| mark.at_ms);
        marks
    }

    /// The state of the sources as of the tick that was last given.
    pub fn sources(&self) -> Vec<SourceStatus> {
        let Some(last_ms) = self.last_ms else { return Vec::new() };
        let healthy = |name: &str| SourceStatus {
            name: name.into(),
            state: SourceState::Healthy,
            reason: String::new(),
            since_ms: self.timeline.start.wall_ms,
            last_ms: Some(last_ms),
        };
        let gpu = SourceStatus {
            state: if self.gpu.0.is_some() { SourceState::Lost } else { SourceState::Healthy },
            reason: self.gpu.0.clone().unwrap_or_default(),
            since_ms: self.gpu.1,
            last_ms: self.gpu_last_ms,
            ..healthy("gpu")
        };
        let mut all = vec![healthy("system"), gpu, healthy("processes"), healthy("space")];
        if !self.services.is_empty() {
            all.push(healthy("services"));
        }
        all
    }

    /// All moments on the time line of the live readings, so that the history
    /// sees one steady clock and no jump where the demo begins.
    fn moment(&self, wall_ms: i64) -> Instant3 {
        let start = self.timeline.start;
        let back = start.wall_ms - wall_ms;
        Instant3 {
            wall_ms,
            monotonic_ms: start.monotonic_ms - back,
            boottime_ms: start.boottime_ms - back,
        }
    }
}

fn simulated(mut mark: Mark) -> Mark {
    if !mark.detail.is_empty() {
        mark.detail.push(' ');
    }
    mark.detail.push_str("Simulated.");
    mark
}

impl Iterator for Past {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        if self.next_ms >= self.to_ms {
            return None;
        }
        let at_ms = self.next_ms;
        self.next_ms += self.step_ms;
        let second = at_ms.div_euclid(1000);
        match &mut self.traffic {
            None => self.world.advance(second),
            // Each second's requests share that second's energy, whatever the step.
            Some(traffic) => {
                for second in self.world.second + 1..=second {
                    self.world.advance(second);
                    let told = self.world.plan.gpu_lost(second).is_none();
                    let watts = told.then_some(self.world.gpu_watts);
                    traffic.advance(second, watts, &mut self.services);
                }
            }
        }
        let due = |cadence: i64| self.step_ms >= cadence * 1000 || second % cadence == 0;

        let lost = self.world.plan.gpu_lost(second).map(str::to_owned);
        let mut readings = Vec::with_capacity(240);
        if lost.is_none() {
            readings::gpu(&self.world, &self.subjects, &mut readings);
            self.gpu_last_ms = Some(at_ms);
        }
        readings::system(&self.world, &self.subjects, &mut readings);
        if due(SPACE_S) {
            readings::space(&self.world, &self.subjects, &mut readings);
        }
        if due(PROCESSES_S) {
            readings::processes(&self.world, &self.subjects, lost.is_none(), &mut readings);
        }
        for service in &mut self.services {
            let slow = due(PROCESSES_S);
            service.tell(&self.world, slow, slow && lost.is_none(), &mut readings);
        }
        if let Some(traffic) = &mut self.traffic {
            traffic.tell(&self.services, &mut readings);
        }
        for store in &mut self.stores {
            let slow = due(PROCESSES_S);
            store.tell(&self.world, slow, slow && lost.is_none(), &mut readings);
        }
        if lost.is_some() != self.gpu.0.is_some() {
            self.gpu = (lost, at_ms);
        }
        self.last_ms = Some(at_ms);
        Some(Tick { at: self.moment(at_ms), readings })
    }
}
