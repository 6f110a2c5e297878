//! Trying a server out: what it is and what it says, in words.

use std::sync::Arc;

use plimsoll_core::{clock::SystemClock, config::Config, record::Nowhere};
use plimsoll_services::{
    adapter::Condition,
    adapters,
    client::{Secret, Trust},
    discovery::{Entry, Known},
    fleet::{self, Fleet, Pace, Tested, Wanted, Watched},
    kind::ServiceKind,
    service::{Origin, ServiceState},
};
use tokio::sync::watch;

use super::{client, no_such, wanted};
use crate::{
    api::{Fault, FaultCode, ServiceTest, ServiceTested},
    dispatch::blocking,
};

/// Tries out an address or a service that is known where no Plimsoll runs.
pub async fn test_alone(
    config: &Arc<Config>,
    known: &Known,
    ask: &ServiceTest,
    simulated: bool,
) -> Result<ServiceTested, Fault> {
    if simulated {
        return Err(super::simulated());
    }
    // A fleet without ships: it has the client and the adapters.
    let fleet = Fleet::start(fleet::Parts {
        adapters: adapters::all(),
        client: client().await?,
        clock: Arc::new(SystemClock),
        record: Arc::new(Nowhere),
        wanted: watch::channel(Arc::new(Wanted::default())).1,
        processes: watch::channel(Arc::default()).1,
        pace: watch::channel(Pace::default()).1,
    });
    run(&fleet, config, known.entry(ask.target.trim()), ask).await
}

/// Asks once, as it would be asked if it were watched. `found` is the one of that id that was
/// found by itself.
pub(super) async fn run(
    fleet: &Fleet,
    config: &Arc<Config>,
    found: Option<&Entry>,
    ask: &ServiceTest,
) -> Result<ServiceTested, Fault> {
    let watched = meant(config, found, ask).await?;
    let tested = fleet.test(&watched).await?;
    Ok(told(watched.url, tested))
}

/// The service of that id, or one at that address.
async fn meant(
    config: &Arc<Config>,
    found: Option<&Entry>,
    ask: &ServiceTest,
) -> Result<Watched, Fault> {
    let target = ask.target.trim();
    let named = ask.ca_file.trim();
    if let Some(entry) = config.services.entries.get(target) {
        let key = key_in(entry.key_file.clone()).await?;
        // With another file than its own it is tried before that is set.
        let trust = trust_in(if named.is_empty() { &entry.ca_file } else { named }).await?;
        return Ok(Watched { key, trust, ..wanted::watched_of(config, target, entry) });
    }
    if let Some(entry) = found {
        let trust = trust_in(named).await?;
        return Ok(Watched { trust, ..wanted::accepted_of(config, entry) });
    }
    if target.contains("://") {
        let kind = kind_named(ask.kind.trim())?;
        return Ok(Watched {
            name: target.into(),
            key: key_in(ask.key_file.trim().to_owned()).await?,
            trust: trust_in(named).await?,
            bounds: wanted::bounds(config),
            ..Watched::new("test", kind, target, Origin::Configured)
        });
    }
    if target.contains([':', '.', '/']) {
        return Err(Fault::new(FaultCode::Invalid, format!("{target:?} is no address."))
            .hint(format!("Did you mean http://{}?", target.trim_start_matches('/'))));
    }
    Err(no_such(target, config.services.entries.keys().map(String::as_str)))
}

async fn key_in(file: String) -> Result<Option<Secret>, Fault> {
    blocking(move || wanted::read_key(&file))
        .await?
        .map_err(|why| Fault::new(FaultCode::Invalid, why))
}

async fn trust_in(file: &str) -> Result<Option<Trust>, Fault> {
    let file = file.to_owned();
    blocking(move || wanted::read_trust(&file))
        .await?
        .map_err(|why| Fault::new(FaultCode::Invalid, why))
}

/// `None` where it is to be found out.
fn kind_named(name: &str) -> Result<Option<ServiceKind>, Fault> {
    match ServiceKind::named(name) {
        None if !matches!(name, "" | "auto") => {
            let names: Vec<_> = ServiceKind::ALL.iter().map(|kind| kind.name()).collect();
            Err(Fault::new(FaultCode::Invalid, format!("There is no kind of service {name:?}."))
                .hint(format!("There are: auto, {}.", names.join(", "))))
        }
        kind => Ok(kind),
    }
}

fn told(url: String, tested: Tested) -> ServiceTested {
    let mut who = tested.kind.label().to_owned();
    if let Some(version) = &tested.version {
        who.push(' ');
        who.push_str(version);
    }
    let ms = tested.took.as_secs_f64() * 1000.0;
    let (state, message) = match tested.condition {
        Condition::Ready => {
            let models = match tested.models.len() {
                0 => String::new(),
                1 => format!(" and has the model {}", tested.models[0].name),
                n => format!(" and has {n} models"),
            };
            (ServiceState::Healthy, format!("{who} answers at {url} within {ms:.0} ms{models}."))
        }
        Condition::Loading(said) => {
            (ServiceState::Starting, format!("{who} at {url} is starting: {said}."))
        }
        Condition::Ailing(said) => {
            (ServiceState::Degraded, format!("{who} at {url} is not well: {said}."))
        }
        Condition::Locked(said) => (
            ServiceState::Degraded,
            format!("{who} at {url}: {said}. A key stands in a file: services.ID.key_file."),
        ),
    };
    ServiceTested {
        url,
        kind: tested.kind,
        version: tested.version,
        state,
        models: tested.models,
        took_ms: ms,
        message,
    }
}
