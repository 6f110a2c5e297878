//! One step of a hold, done: taken away or brought back.

use std::time::Duration;

use plimsoll_services::service::{Loaded, RunState, Service, ServiceState};
use tokio::time::{sleep, timeout};

use super::{
    hands::Hands,
    machine::{Phase, Step},
};
use crate::{
    services::judge::{find, is_up},
    words::sentence,
};

/// How long a service that is away is waited for: after a restart of the machine others begin
/// when we do.
pub const AWAY_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Tries to bring a model back: its server may die of the first one.
const TRIES: usize = 2;

/// How bringing back went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    Restored,
    /// It was never taken away.
    Kept,
    Lost(String),
}

/// Takes it away. Asked again after a restart it finds it gone, and that is well.
pub async fn free(hands: &impl Hands, step: &Step) -> Result<(), String> {
    let id = &step.service;
    known(hands, id).await?;
    match &step.model {
        Some(model) => hands.unload(id, model).await,
        None => hands.stop(id).await,
    }
}

/// Brings it back. What is there already is left as it is: somebody else was quicker.
pub async fn restore(hands: &impl Hands, step: &Step) -> Back {
    // Without a word that it was taken, it may be there still.
    let there = if step.phase == Phase::Freed { Back::Restored } else { Back::Kept };
    let id = &step.service;
    let Some(model) = &step.model else {
        if hands.services().iter().any(|service| service.id == *id && runs(service)) {
            return there;
        }
        return match hands.start(id).await {
            Ok(()) => Back::Restored,
            Err(why) => Back::Lost(why),
        };
    };
    let mut why = String::new();
    for _ in 0..TRIES {
        let service = match up(hands, id).await {
            Ok(service) => service,
            Err(away) => {
                return Back::Lost(if why.is_empty() { away } else { why });
            }
        };
        let loaded = find(&service.models, model).map(|model| model.loaded);
        if matches!(loaded, Some(Loaded::Loaded | Loaded::Loading)) {
            return there;
        }
        match hands.load(id, model, step.stay).await {
            Ok(()) => return Back::Restored,
            Err(refused) => why = refused,
        }
        // A refusal of one that is well is its last word.
        let after = hands.look(id).await;
        if after.is_some_and(|service| is_up(&service)) {
            break;
        }
    }
    Back::Lost(why)
}

/// Waits until the service was looked at for the first time.
async fn known(hands: &impl Hands, id: &str) -> Result<Service, String> {
    wait(hands, id, |service| service.checked_ms.is_some() || service.run.is_some()).await
}

/// Waits until the service answers.
async fn up(hands: &impl Hands, id: &str) -> Result<Service, String> {
    wait(hands, id, is_up).await
}

async fn wait(
    hands: &impl Hands,
    id: &str,
    is: impl Fn(&Service) -> bool,
) -> Result<Service, String> {
    let mut last = None;
    let wait = async {
        loop {
            // The list has those that nobody watches yet.
            let listed = || hands.services().into_iter().find(|service| service.id == id);
            last = match hands.look(id).await {
                Some(service) => Some(service),
                None => listed(),
            };
            if let Some(service) = last.take_if(|service| is(service)) {
                return service;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    if let Ok(service) = timeout(AWAY_WITHIN, wait).await {
        return Ok(service);
    }
    Err(match last {
        None => format!("There is no service {id} any more."),
        Some(service) if service.reason.is_empty() => format!("{} is not there.", service.name),
        Some(service) => {
            let state = if service.state == ServiceState::Down { "down" } else { "not ready" };
            format!("{} is {state}: {}", service.name, sentence(&service.reason))
        }
    })
}

fn runs(service: &Service) -> bool {
    let states = [RunState::Running, RunState::Starting, RunState::Restarting];
    service.run.as_ref().is_some_and(|run| states.contains(&run.state))
}
