//! Loading and unloading where no Plimsoll runs: the server is asked from here.

use std::{sync::Arc, time::Duration};

use plimsoll_core::{clock::SystemClock, config::Config, record::Nowhere};
use plimsoll_services::{
    adapters,
    discovery::Known,
    fleet::{self, Fleet, Pace, Wanted},
    service::Service,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    actions::{Action, PATIENCE, not_done, said},
    ask, client,
    found::Offers,
    judge::judge,
    no_such,
};
use crate::api::{Fault, FaultCode, ServiceModelRequest};

/// What the first look at a service may take: what it speaks is found out, too.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// Loads or unloads a model of a service that the configuration has, or that was accepted. It
/// answers what it took; dropped, it waits no longer, and the server may go on.
pub async fn act_alone(
    config: &Arc<Config>,
    known: &Known,
    action: Action,
    request: &ServiceModelRequest,
) -> Result<String, Fault> {
    let asked = ask(config, &Arc::new(Offers::of(known))).await?;
    let all = || asked.wanted.watched.iter();
    let watched = all()
        .find(|watched| watched.id == request.id)
        .ok_or_else(|| no_such(&request.id, all().map(|watched| &*watched.id)))?;
    let mut watched = watched.clone();
    // A person names it: that its watch is off does not matter here.
    watched.enabled = true;
    let wanted = Wanted { watched: vec![watched], proposed: Vec::new() };
    // Kept until the end: a fleet whose wishes nobody holds would go on, and this says so.
    let (_wish, wanted) = watch::channel(Arc::new(wanted));
    let fleet = Fleet::start(fleet::Parts {
        adapters: adapters::all(),
        client: client().await?,
        clock: Arc::new(SystemClock),
        record: Arc::new(Nowhere),
        wanted,
        processes: watch::channel(Arc::default()).1,
        pace: watch::channel(Pace::default()).1,
    });
    let service = first_look(&fleet).await?;
    let model = judge(&service, action, &request.model)?;
    let began = Instant::now();
    let done = match action {
        Action::Load => fleet.load(&service.id, &model.name, PATIENCE).await,
        Action::Unload => fleet.unload(&service.id, &model.name, PATIENCE).await,
    };
    done.map_err(|error| not_done(&service, action, &model.name, error))?;
    Ok(said(action, model, began.elapsed(), None))
}

async fn first_look(fleet: &Fleet) -> Result<Service, Fault> {
    let mut view = fleet.view();
    let looked = view.wait_for(|view| view.services.iter().any(|one| one.checked_ms.is_some()));
    let seen = match timeout(FIRST_LOOK, looked).await {
        Ok(Ok(view)) => view.services.first().map(|service| Service::clone(service)),
        _ => None,
    };
    seen.ok_or_else(|| {
        let words = format!("Within {} s it could not be looked at.", FIRST_LOOK.as_secs());
        Fault::new(FaultCode::Unavailable, words)
    })
}
