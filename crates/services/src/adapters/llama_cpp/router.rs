//! Router mode: one server before many models, each in a process of its own.
//!
//! - `/props` has `role: "router"`. `/v1/models` tells all models with
//!   `status.value`: `unloaded`, `loading`, `loaded`, `sleeping`, `downloading`. It
//!   loads nothing; with `?reload=1` it could unload, so that is never said.
//! - `GET /metrics`, `/slots` and `/props` with `?model=X` are passed to X's process.
//!   **They load X first** and unload another when `--models-max` is reached. With
//!   `autoload=false` they answer 400 where X is not loaded. Only what the list calls
//!   `loaded` is asked, and `autoload=false` is said for one that went meanwhile.
//!   Such questions do not make a model look used.
//! - `POST /models/load {"model": X}` answers at once and loads on; 400 where X runs
//!   already, 404 where it is not known. Loading may unload the model that was not
//!   used for the longest time. One that fails is `unloaded` with `failed` and its
//!   `exit_code`. `POST /models/unload` answers at once too; the process is given
//!   `stop-timeout` (10 s) to end. A server of one model has neither path.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{
    held,
    served::Served,
    wire::{Card, Cards, Props, encoded, idle_limit, name_of},
};
use crate::{
    adapter::{ActionError, Figure, Scrape},
    client::{Answer, CallError, Target},
    health::words_of,
    service::{Basis, Hint, Loaded, MAX_MODELS, Slots},
};

/// Most models that are asked in one look: they share its time.
const MOST_ASKED: usize = 16;
/// Longest name of a model, in bytes: it becomes a part of an address.
const LONGEST_ID: usize = 512;
/// Between two questions whether a model is there yet, or gone.
const WAIT: Duration = Duration::from_millis(250);

/// A model that is loaded.
#[derive(Default)]
pub(super) struct Running {
    served: Served,
    /// Its own properties; they stay as they are while it is loaded.
    props: Option<Props>,
}

pub(super) async fn scrape(
    target: &Target,
    running: &mut BTreeMap<String, Running>,
) -> Result<Scrape, CallError> {
    let cards: Cards = target.get_json("/v1/models").await?;
    let short = |card: &Card| card.id.len() <= LONGEST_ID;
    let cards: Vec<Card> = cards.data.into_iter().filter(short).take(MAX_MODELS).collect();
    running.retain(|id, _| cards.iter().any(|card| card.id == *id && is_loaded(card)));
    let mut scrape = Scrape::default();
    let mut models = Vec::new();
    let mut all: Option<Slots> = None;
    let mut asked = 0;
    let mut weights = Some(0u64);
    for card in &cards {
        let loaded = card.status.as_ref().map_or(Loaded::Unknown, super::wire::Status::loaded);
        if is_loaded(card) && asked < MOST_ASKED {
            asked += 1;
            let running = running.entry(card.id.clone()).or_default();
            let slots = look(target, card, running, &mut scrape).await?;
            all = Some(all.map_or(slots, |all| sum(all, slots)));
        }
        if loaded != Loaded::Unloaded {
            weights = weights.and_then(|sum| Some(sum.saturating_add(weights_of(card)?)));
        }
        if let Some(hint) = failed(card) {
            scrape.hints.push(hint);
        }
        let none = Props::default();
        let props = running.get(&card.id).and_then(|r| r.props.as_ref()).unwrap_or(&none);
        models.push(props.model(name_of(&card.id), loaded, card.meta.as_ref()));
    }
    // What waits for a model that loads is not told.
    let loads = models.iter().any(|model| model.loaded == Loaded::Loading);
    let idle = Slots { total: None, busy: Some(0), waiting: Some(0), basis: Basis::Told };
    let mut slots = all.unwrap_or(idle);
    slots.waiting = slots.waiting.filter(|_| !loads);
    scrape.slots = Some(slots);
    scrape.held = Some(held::held(weights));
    scrape.models = Some(models);
    // Of several models that say the same, once is enough.
    let mut said: Vec<Hint> = Vec::new();
    for hint in std::mem::take(&mut scrape.hints) {
        if !said.contains(&hint) {
            said.push(hint);
        }
    }
    scrape.hints = said;
    Ok(scrape)
}

/// Only these may be asked anything.
fn is_loaded(card: &Card) -> bool {
    card.status.as_ref().is_some_and(|status| status.value == "loaded")
}

fn weights_of(card: &Card) -> Option<u64> {
    let words = card.status.iter().flat_map(|status| &status.args).map(String::as_str);
    held::weights(card.meta.as_ref()?.size, words)
}

/// Asks a model that is loaded, and adds what it tells.
async fn look(
    target: &Target,
    card: &Card,
    running: &mut Running,
    scrape: &mut Scrape,
) -> Result<Slots, CallError> {
    let unknown = Slots { total: None, busy: None, waiting: None, basis: Basis::Told };
    let query = format!("?model={}&autoload=false", encoded(&card.id));
    if running.props.is_none() {
        running.props = match target.get_json(&format!("/props{query}")).await {
            Ok(props) => Some(props),
            Err(error @ CallError::WantsKey { .. }) => return Err(error),
            // Gone since the list was told, or too busy to say: at the next look.
            Err(_) => return Ok(unknown),
        };
    }
    let Some(props) = &mut running.props else { return Ok(unknown) };
    // The list says that it is awake, and is newer than these.
    props.is_sleeping = props.is_sleeping.map(|_| false);
    let words = card.status.iter().flat_map(|status| &status.args).map(String::as_str);
    let limit = idle_limit(words);
    let told = running.served.look(target, &query, props, limit, Instant::now()).await?;
    let name = name_of(&card.id);
    scrape.figures.extend(told.figures.into_iter().map(|figure| Figure::of(figure, &name)));
    scrape.hints.extend(told.hints);
    Ok(told.slots)
}

/// Known where both are.
fn sum(a: Slots, b: Slots) -> Slots {
    let add = |a: Option<u32>, b: Option<u32>| Some(a?.saturating_add(b?));
    Slots {
        total: add(a.total, b.total),
        busy: add(a.busy, b.busy),
        waiting: add(a.waiting, b.waiting),
        basis: Basis::Told,
    }
}

fn failed(card: &Card) -> Option<Hint> {
    let status = card.status.as_ref().filter(|status| status.failed)?;
    let code = status.exit_code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
    Some(Hint::warning(
        "failed-to-load",
        format!("The process of {} ended{code}.", name_of(&card.id)),
        "The server's own output says why: most often its memory did not suffice.",
    ))
}

pub(super) async fn load(target: &Target, model: &str) -> Result<(), ActionError> {
    let work = async {
        let id = id_of(target, model).await?;
        if state(target, &id).await?.is_some_and(|card| is_loaded(&card)) {
            return Ok(());
        }
        order(target, "/models/load", &id).await?;
        loop {
            let card = state(target, &id).await?;
            let status = card.as_ref().and_then(|card| card.status.as_ref());
            match status.map(|status| status.value.as_str()) {
                Some("loaded" | "sleeping") => return Ok(()),
                Some("loading" | "downloading") => {}
                _ => {
                    let why = card.as_ref().and_then(failed).map(|hint| hint.text);
                    let why = why.unwrap_or_else(|| format!("{model} was not loaded."));
                    return Err(ActionError::Refused(why));
                }
            }
            sleep(WAIT).await;
        }
    };
    in_time(target, work).await
}

pub(super) async fn unload(target: &Target, model: &str) -> Result<(), ActionError> {
    let work = async {
        let id = id_of(target, model).await?;
        let gone = |card: Option<Card>| {
            card.and_then(|card| card.status).is_none_or(|status| status.value == "unloaded")
        };
        if gone(state(target, &id).await?) {
            return Ok(());
        }
        order(target, "/models/unload", &id).await?;
        while !gone(state(target, &id).await?) {
            sleep(WAIT).await;
        }
        Ok(())
    };
    in_time(target, work).await
}

/// The server's own name of a model that is shown by a shorter one.
async fn id_of(target: &Target, model: &str) -> Result<String, ActionError> {
    let cards: Cards = target.get_json("/v1/models").await?;
    if !cards.data.iter().any(|card| card.status.is_some()) {
        return Err(ActionError::Refused(
            "This server holds the one model that it was started with. Start it without a model \
             (router mode) to load and unload."
                .into(),
        ));
    }
    let exact = cards.data.iter().find(|card| card.id == model);
    let found = exact.or_else(|| cards.data.iter().find(|card| name_of(&card.id) == model));
    found
        .map(|card| card.id.clone())
        .ok_or_else(|| ActionError::Refused(format!("This server has no model {model}.")))
}

async fn state(target: &Target, id: &str) -> Result<Option<Card>, CallError> {
    let cards: Cards = target.get_json("/v1/models").await?;
    Ok(cards.data.into_iter().find(|card| card.id == id))
}

async fn order(target: &Target, path: &str, id: &str) -> Result<(), ActionError> {
    let answer = target.post(path, &json!({ "model": id })).await?;
    if answer.is_ok() {
        return Ok(());
    }
    let said = words_of(&answer);
    match answer.status {
        // Somebody else was quicker, or it is on its way: what follows will tell.
        400 if said.contains("already running") || said.contains("not running") => Ok(()),
        401 | 403 => Err(Answer::ok(answer).err().map_or_else(refusal, Into::into)),
        status if said.is_empty() => {
            Err(ActionError::Refused(format!("{} answers {path} with {status}", answer.place)))
        }
        _ => Err(ActionError::Refused(said)),
    }
}

fn refusal() -> ActionError {
    ActionError::Refused("It refuses the key.".into())
}

/// The work within the target's budget as a whole.
async fn in_time(
    target: &Target,
    work: impl Future<Output = Result<(), ActionError>>,
) -> Result<(), ActionError> {
    let budget = target.bounds().budget;
    timeout(budget, work).await.unwrap_or_else(|_| {
        let budget_ms = u64::try_from(budget.as_millis()).unwrap_or(u64::MAX);
        let place = target.place().to_string();
        Err(CallError::TooSlow { place, budget_ms, began: true }.into())
    })
}
