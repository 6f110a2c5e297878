//! What the scenario says of one service, second by second.

use std::sync::Arc;

use serde::Deserialize;

use super::{Role, StoreRole};
use crate::{
    scenario::{Activity, Hms, Levels},
    server::{Fault, Life, On, Story, stores::Scene},
    world::Plan,
};

/// A service is not well for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sickness {
    pub at: Hms,
    pub for_s: i64,
    pub fault: Fault,
}

pub struct Played {
    plan: Arc<Plan>,
    server: Vec<usize>,
    model: Vec<usize>,
    activity: Activity,
    ill: Vec<Sickness>,
}

/// What the scenario says of a store.
pub struct Stored {
    plan: Arc<Plan>,
    pub place: usize,
}

// === impl Played ===

impl Played {
    pub fn new(plan: Arc<Plan>, role: &Role) -> Self {
        let places = |ids: &[String]| {
            let processes = plan.machine.processes.iter().enumerate();
            processes.filter(|(_, p)| ids.contains(&p.id)).map(|(place, _)| place).collect()
        };
        let (server, model) = (places(&role.processes), places(&role.model_processes));
        Self { plan, server, model, activity: role.activity, ill: role.ill.clone() }
    }

    /// Places of its processes, the one that listens first.
    pub fn places(&self) -> Vec<usize> {
        let mut places = self.server.clone();
        places.extend(self.model.iter().filter(|place| !self.server.contains(place)));
        places
    }
}

impl Story for Played {
    fn server(&self, second: i64) -> bool {
        let lives =
            |&place: &usize| self.plan.born(&self.plan.machine.processes[place], second).is_some();
        self.server.iter().any(lives)
    }

    fn model(&self, second: i64) -> Life {
        if !self.server(second) {
            return Life::Gone;
        }
        let born = self.model.iter().find_map(|&place| {
            let spec = &self.plan.machine.processes[place];
            Some(second - self.plan.born(spec, second)? >= spec.load_s)
        });
        match born {
            None => Life::Gone,
            Some(false) => Life::Loading,
            Some(true) => Life::Here,
        }
    }

    fn level(&self, second: i64) -> f64 {
        self.plan.levels(second)[self.activity as usize]
    }

    fn fault(&self, second: i64) -> Option<(Fault, On)> {
        let scene = self.plan.time_of_day(second);
        let ill = self.ill.iter().find(|ill| (ill.at.0..ill.at.0 + ill.for_s).contains(&scene))?;
        Some((ill.fault, On::All))
    }

    fn change(&self, second: i64, load: bool) {
        for &place in &self.model {
            let pid = self.plan.machine.processes[place].pid;
            if load {
                self.plan.begin(pid, second);
            } else {
                self.plan.end(pid, second);
            }
        }
    }
}

// === impl Stored ===

impl Stored {
    /// `None` where the machine has no such process.
    pub fn new(plan: &Arc<Plan>, role: &StoreRole) -> Option<Self> {
        let place = plan.machine.processes.iter().position(|p| p.id == role.process)?;
        Some(Self { plan: plan.clone(), place })
    }
}

impl Scene for Stored {
    fn born(&self, second: i64) -> Option<i64> {
        self.plan.born(&self.plan.machine.processes[self.place], second)
    }

    fn levels(&self, second: i64) -> Levels {
        self.plan.levels(second)
    }

    fn rss(&self, second: i64) -> f64 {
        let calm = self.plan.scenario.levels(self.plan.scene(second));
        self.plan.rss(self.place, 1.0, &calm, second)
    }

    fn anchor(&self) -> i64 {
        self.plan.anchor_s
    }

    fn hold(&self, second: i64, loaded: bool) {
        self.plan.hold(self.plan.machine.processes[self.place].pid, second, loaded);
    }
}
