//! Services to be ill on.

use std::sync::Arc;

use plimsoll_core::metric::Metric;
use plimsoll_services::{
    fleet::FleetView,
    kind::ServiceKind,
    service::{
        Basis, Hint, Holder, Loaded, Model, Origin, RedisFigures, Service, ServiceState, Slots,
    },
};

use super::bench::{Bench, GIB, GPU};

pub const SIZE: u64 = 1 << 30;

/// With one rule and no other that asks something else of the same figures.
pub fn only(rule: &str) -> Bench {
    Bench::new(|config| config.alerts.rules.retain(|id, _| id == rule))
}

/// A healthy service on this machine, by its id.
pub fn service(id: &str, kind: ServiceKind) -> Service {
    let (name, url) = (format!("The {id}"), "http://127.0.0.1:8080");
    Service {
        state: ServiceState::Healthy,
        holder: Some(Holder { pids: vec![7], started_ms: 1, ..Holder::default() }),
        ..Service::new(id, &name, Some(kind), url, Origin::Configured)
    }
}

pub fn engine(id: &str) -> Service {
    service(id, ServiceKind::Vllm)
}

/// A model of so many GiB, so many of them on the GPU.
pub fn model(name: &str, gib: f64, on_gpu: f64) -> Model {
    Model::named(name, Loaded::Loaded).sized(Some(bytes(gib)), Some(bytes(on_gpu)))
}

pub fn on_disk(name: &str) -> Model {
    Model::named(name, Loaded::Unloaded)
}

pub fn bytes(gib: f64) -> u64 {
    (gib * SIZE as f64) as u64
}

impl Tuned for Service {}

/// What is changed of a service, one after another.
pub trait Tuned: Sized + Into<Service> {
    fn with(self, change: impl FnOnce(&mut Service)) -> Service {
        let mut service: Service = self.into();
        change(&mut service);
        service
    }

    fn models(self, models: &[Model]) -> Service {
        self.with(|service| service.models = models.to_vec())
    }

    fn holds(self, gib: f64) -> Service {
        self.with(|service| {
            if let Some(holder) = &mut service.holder {
                holder.vram_bytes = Some(bytes(gib));
            }
        })
    }

    fn is(self, state: ServiceState, reason: &str) -> Service {
        self.with(|service| {
            service.state = state;
            service.reason = reason.into();
        })
    }

    /// Requests that run, tokens per second that are made and read.
    fn works(self, running: f64, generated: f64, prompt: f64) -> Service {
        self.with(|service| {
            service.figures.running = Some(running);
            service.figures.generated_tokens_per_s = Some(generated);
            service.figures.prompt_tokens_per_s = Some(prompt);
        })
    }

    fn waits(self, running: u32, total: Option<u32>, waiting: u32) -> Service {
        self.with(|service| {
            service.figures.running = Some(running.into());
            service.figures.waiting = Some(waiting.into());
            let (busy, waiting) = (Some(running), Some(waiting));
            service.slots = Some(Slots { total, busy, waiting, basis: Basis::Told });
        })
    }

    fn redis(self, share: f64, evicted_per_s: f64) -> Service {
        self.with(|service| {
            service.figures.redis = Some(RedisFigures {
                memory_used_bytes: Some(share / 100.0 * GIB),
                memory_limit_bytes: Some(GIB),
                evicted_per_s: Some(evicted_per_s),
                ..RedisFigures::default()
            });
        })
    }

    fn hints(self, id: &str, text: &str) -> Service {
        self.with(|service| service.hints.push(Hint::warning(id, text, "")))
    }

    fn started(self, at_ms: i64) -> Service {
        self.with(|service| {
            if let Some(holder) = &mut service.holder {
                holder.started_ms = at_ms;
            }
        })
    }
}

impl Bench {
    /// One look at these services, then a second passes.
    pub fn see(&mut self, services: &[Service]) {
        self.see_on(services, None);
    }

    /// The same with so much of 24 GiB of VRAM free.
    pub fn see_on(&mut self, services: &[Service], free_gib: Option<f64>) {
        let now_ms = self.now().wall_ms;
        let looked =
            |service: &Service| Arc::new(Service { checked_ms: Some(now_ms), ..service.clone() });
        let services = services.iter().map(looked).collect();
        self.fleet = FleetView { at_ms: now_ms, services };
        match free_gib {
            Some(free) => {
                self.tick(&[
                    (Metric::VramFree, GPU, free * GIB),
                    (Metric::VramTotal, GPU, 24.0 * GIB),
                ]);
            }
            None => self.tick(&[]),
        }
    }

    pub fn see_for(&mut self, seconds: usize, services: &[Service]) {
        (0..seconds).for_each(|_| self.see(services));
    }

    /// The title of the alert that is active, and of no other.
    pub fn title(&self) -> String {
        let id = self.only();
        let list = self.engine.list(self.now());
        list.into_iter().find(|alert| alert.row.id == id).unwrap().row.title
    }
}
