//! llama.cpp's own server, with one model or in router mode.
//!
//! **Where it tells what.** `GET /health` is 200, and 503 with `Loading model` while
//! it loads, as every path is then. `GET /props` tells `total_slots`, the context of
//! one slot, the model's file, `build_info`, and in newer builds `is_sleeping`,
//! `endpoint_metrics` and `model_ftype`. `GET /metrics` needs `--metrics`, else it is
//! 501; `GET /slots` is there unless `--no-slots`. `GET /v1/models` tells the size of
//! the weights. It tells no latencies, no VRAM and, since 2025, no KV usage. Every
//! answer has the header `Server: llama.cpp`.
//!
//! **Full.** Requests beyond the slots wait inside and are `requests_deferred`. Both
//! `/metrics` and `/slots` wait for the batch that is being computed; `/health` and
//! `/props` do not. So figures that come late are no reason to call it unwell.
//! `prompt_tokens_seconds` and `predicted_tokens_seconds` are means since anybody last
//! asked; they are not used here, and totals are.
//!
//! **Idle sleep** (`--sleep-idle-seconds`): the model leaves memory. `/slots` wakes it,
//! in builds of the winter 2025 `/metrics` too; `/health`, `/props` and `/v1/models`
//! never do. So `/props` is asked first, and nothing more of one that sleeps. Of one
//! that could sleep, see [`rest`]: being asked would keep it awake.
//!
//! **Router mode** (started without a model): see [`router`]. What is asked about a
//! model **loads** it and unloads another, unless `autoload=false` is said.
//!
//! **With `--api-key`** `/health` stays open, and `/v1/models` in some builds; what
//! else there is answers 401.
//!
//! **Connections.** Each one that is kept open holds one of its few HTTP threads, so
//! its questions are asked one after another over one connection. It closes them
//! without a word after a streamed response and after the hundredth question; the
//! client asks once more then.

mod held;
mod live;
mod rest;
mod router;
mod served;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio::time::Instant;

use self::{
    served::Served,
    wire::{Cards, Meta, Props},
};
use crate::{
    adapter::{ActionError, Actions, Adapter, Condition, Identity, Memory, Probe, Scrape},
    client::{Answer, CallError, Target},
    health,
    kind::ServiceKind,
    service::{Basis, Hint, Loaded, MAX_MODELS, Model, Slots},
};

pub(super) use self::wire::{name_of, quantization};

/// A llama.cpp server.
#[derive(Clone, Copy, Debug, Default)]
pub struct LlamaCpp;

/// Looks between two questions for what hardly changes.
const CALM_LOOKS: u32 = 60;

/// What is remembered of one service.
#[derive(Default)]
struct Known {
    /// The model of a server that has one.
    one: Served,
    /// Those that a router has loaded, by name.
    many: BTreeMap<String, router::Running>,
    /// What `/v1/models` told of the one model.
    meta: Option<Meta>,
    name: Option<String>,
    /// Looks until that is asked again.
    calm: u32,
}

#[async_trait]
impl Adapter for LlamaCpp {
    fn kind(&self) -> ServiceKind {
        ServiceKind::LlamaCpp
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let signed = |answer: &Answer| answer.server.as_deref() == Some("llama.cpp");
        let answer = probe.get("/props").await.ok()?;
        let mut identity = Identity::of(ServiceKind::LlamaCpp);
        identity.wants_key = matches!(answer.status, 401 | 403);
        let props = if answer.is_ok() { answer.json::<Props>().ok() } else { None };
        match props.filter(Props::is_known) {
            Some(props) => {
                identity.name = props.name();
                identity.version = props.build_info;
            }
            // It signs its answers while it loads, too, and without a key. Health is asked
            // of such a one alone: another kind of server generates a token for it.
            None if signed(&answer) && signed(&*probe.get(health::HEALTH).await.ok()?) => {}
            None => return None,
        }
        Some(identity)
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let command = memory.command().map(str::to_owned).unwrap_or_default();
        let known = memory.of::<Known>();
        let condition = health::look(target, "/v1/health").await?;
        if condition != Condition::Ready {
            // It loads another model, perhaps; what is known of this one is over.
            *known = Known::default();
            return Ok(Scrape { condition, ..Scrape::default() });
        }
        let answer = target.get("/props").await;
        let props = match answer.and_then(Answer::ok).and_then(|answer| answer.json::<Props>()) {
            Ok(props) => props,
            Err(CallError::WantsKey { status, .. }) => return Ok(locked(target, status).await),
            // Builds of 2023 have none. They cannot sleep either.
            Err(CallError::Status { status: 404 | 405 | 501, .. }) => Props::default(),
            // Whether it sleeps is not known, so nothing more is asked.
            Err(error) => return Ok(unread(&error)),
        };
        let outcome = if props.is_router() {
            router::scrape(target, &mut known.many).await
        } else {
            single(target, known, &props, &command).await
        };
        let mut scrape = match outcome {
            Ok(scrape) => scrape,
            Err(CallError::WantsKey { status, .. }) => locked(target, status).await,
            Err(error) => return Ok(unread(&error)),
        };
        // A server that was started with a model holds that one for good.
        let (load, unload) = (props.is_router(), props.is_router());
        scrape.actions = Some(Actions { load, unload });
        scrape.version = props.build_info;
        Ok(scrape)
    }

    /// Of a server of one model; a router's are told by its scrape.
    async fn slots(&self, target: &Target) -> Result<Option<Slots>, CallError> {
        let props: Props = target.get_json("/props").await?;
        if props.is_router() {
            return Ok(None);
        }
        let mut asked = Served::default();
        let told = asked.look(target, "", &props, None, Instant::now()).await?;
        Ok(Some(told.slots))
    }

    fn actions(&self) -> Actions {
        Actions { load: true, unload: true }
    }

    async fn load(&self, target: &Target, model: &str) -> Result<(), ActionError> {
        router::load(target, model).await
    }

    async fn unload(&self, target: &Target, model: &str) -> Result<(), ActionError> {
        router::unload(target, model).await
    }
}

/// A server that has one model.
async fn single(
    target: &Target,
    known: &mut Known,
    props: &Props,
    command: &str,
) -> Result<Scrape, CallError> {
    let limit = wire::idle_limit(command.split_whitespace());
    if known.calm > 0 {
        known.calm -= 1;
    } else if let Ok(cards) = target.get_json::<Cards>("/v1/models").await {
        let card = cards.data.into_iter().next();
        known.name = card.as_ref().map(|card| name_of(&card.id));
        known.meta = card.and_then(|card| card.meta);
        known.calm = CALM_LOOKS;
    }
    let told = known.one.look(target, "", props, limit, Instant::now()).await?;
    let loaded = if props.sleeps() { Loaded::Unloaded } else { Loaded::Loaded };
    let name = known.name.clone().or_else(|| props.name());
    let weights = if props.sleeps() {
        Some(0)
    } else {
        let size = known.meta.as_ref().and_then(|meta| meta.size);
        held::weights(size, command.split_whitespace())
    };
    Ok(Scrape {
        models: name.map(|name| vec![props.model(name, loaded, known.meta.as_ref())]),
        slots: Some(told.slots),
        figures: told.figures,
        hints: told.hints,
        held: Some(held::held(weights)),
        ..Scrape::default()
    })
}

/// A server that wants a key. Newer builds tell their models all the same.
async fn locked(target: &Target, status: u16) -> Scrape {
    let models = target.get_json::<Cards>("/v1/models").await.ok().map(|cards| {
        let card = |card: wire::Card| {
            let loaded = card.status.as_ref().map_or(Loaded::Unknown, wire::Status::loaded);
            Props::default().model(name_of(&card.id), loaded, card.meta.as_ref())
        };
        cards.data.into_iter().take(MAX_MODELS).map(card).collect::<Vec<Model>>()
    });
    let (text, advice) = if target.has_key() {
        (
            "This server refuses the key that it is given.",
            "Put one of the keys it was started with (--api-key, --api-key-file) into the key file.",
        )
    } else {
        (
            "This server tells its models, slots and figures only to those who have its key.",
            "Put the key that it was started with (--api-key) into a file and name it as key_file.",
        )
    };
    let said = if target.has_key() {
        format!("answers {status}: it refuses the key")
    } else {
        format!("answers {status}: it wants a key")
    };
    Scrape {
        condition: Condition::Locked(said),
        models,
        hints: vec![Hint::warning("wants-a-key", text, advice)],
        ..Scrape::default()
    }
}

/// It is there, and what it says of itself cannot be read.
fn unread(error: &CallError) -> Scrape {
    Scrape {
        slots: Some(Slots { total: None, busy: None, waiting: None, basis: Basis::Told }),
        hints: vec![Hint::warning(
            "no-figures",
            format!("What it says of itself could not be read: {error}."),
            "Look at /props of this server with a browser or with curl.",
        )],
        ..Scrape::default()
    }
}
