//! Keeps the gateway in step with the configuration, the keys and the services: which
//! backends there are, how much room each has, and who is up.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
};

use plimsoll_core::{config::Config, device::GpuInfo, process::ProcessTable};
use plimsoll_gateway::{
    admission::{BackendId, Desk, Limits},
    clients::Keys,
    record::Records,
    route::{Room, Rooms, Table},
    settings,
};
use plimsoll_services::{
    fleet::{FleetView, Wanted},
    service::Service,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What is followed.
pub(super) struct Follower {
    pub config: watch::Receiver<Arc<Config>>,
    pub keys: watch::Receiver<Arc<Keys>>,
    pub wanted: watch::Receiver<Arc<Wanted>>,
    pub view: watch::Receiver<Arc<FleetView>>,
    pub processes: watch::Receiver<Arc<ProcessTable>>,
    pub desk: Desk,
    pub records: Records,
    pub gpu: watch::Receiver<Option<Arc<GpuInfo>>>,
}

/// What was made of it, for those who show it.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    pub rooms: BTreeMap<BackendId, Room>,
}

/// What was told last, so that only changes are told.
#[derive(Default)]
struct Told {
    rooms: Rooms,
    limits: Option<Limits>,
    up: BTreeMap<BackendId, bool>,
    places: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

// === impl Follower ===

impl Follower {
    pub(super) fn start(
        mut self,
        stop: &CancellationToken,
    ) -> (watch::Receiver<Arc<Table>>, watch::Receiver<Arc<Followed>>) {
        let mut told = Told::default();
        let (first, rooms) = self.look(&mut told, None);
        let (publish, table) = watch::channel(first);
        let (say, followed) = watch::channel(rooms);
        spawn(stop, async move {
            loop {
                tokio::select! {
                    changed = self.config.changed() => if changed.is_err() { return },
                    changed = self.view.changed() => if changed.is_err() { return },
                    // The demo's services are always the same, and say so by ending this.
                    Ok(()) = self.wanted.changed() => {}
                    Ok(()) = self.keys.changed() => {}
                }
                let before = publish.borrow().clone();
                let (table, followed) = self.look(&mut told, Some(&before));
                publish.send_replace(table);
                say.send_replace(followed);
            }
        });
        (table, followed)
    }

    fn look(&mut self, told: &mut Told, before: Option<&Table>) -> (Arc<Table>, Arc<Followed>) {
        let config = self.config.borrow_and_update().clone();
        let keys = self.keys.borrow_and_update().clone();
        let wanted = self.wanted.borrow_and_update().clone();
        let view = self.view.borrow_and_update().clone();
        let processes = self.processes.borrow().clone();
        let ours: BTreeMap<_, _> = self
            .desk
            .snapshot()
            .backends
            .into_iter()
            .map(|backend| (backend.id, backend.in_flight))
            .collect();
        let table = Table::make(&config, &wanted, &view, before);
        let rooms =
            told.rooms.look(&config, &view, &processes, |id| ours.get(id).copied().unwrap_or(0));
        let limits = settings::limits(&config, &keys, &rooms);
        if told.limits.as_ref() != Some(&limits) {
            self.desk.set_limits(limits.clone());
            told.limits = Some(limits);
        }
        for backend in table.backends() {
            if told.up.insert(backend.id.clone(), backend.up) != Some(backend.up) {
                self.desk.up(&backend.id, backend.up);
            }
        }
        let known: BTreeSet<_> = table.backends().map(|backend| backend.id.clone()).collect();
        told.up.retain(|id, up| {
            let there = known.contains(id);
            if !there && *up {
                self.desk.up(id, false);
            }
            there
        });
        for (id, room) in &rooms {
            self.desk.outside(id, room.outside.unwrap_or(0));
        }
        let card = self.gpu.borrow().as_ref().map(|gpu| gpu.uuid.clone());
        let places = places(&view.services, card.as_deref());
        if told.places != places {
            self.records.place(&places);
            told.places = places;
        }
        (Arc::new(table), Arc::new(Followed { rooms }))
    }
}

/// Services that hold memory of the card.
fn places(services: &[Arc<Service>], card: Option<&str>) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
    let Some(card) = card else { return Vec::new() };
    let card: Arc<str> = card.into();
    services
        .iter()
        .filter(|service| service.vram.is_some_and(|vram| vram.total_bytes > 0))
        .map(|service| (service.id.as_str().into(), vec![card.clone()]))
        .collect()
}

pub(super) fn spawn(stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    });
}
