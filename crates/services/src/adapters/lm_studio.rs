//! LM Studio.
//!
//! - **Every path is answered with 200**: what it does not know with
//!   `{"error":"Unexpected endpoint or method. (GET /health)"}`, and with an error in
//!   its log. So a status says nothing here, `/health` is not asked, and nothing is
//!   asked that it may not have, once it is known what it has.
//! - `/lmstudio-greeting` says `{"lmstudio":true}`; its own terminal program knows a
//!   server by that.
//! - `/api/v1/models` (0.4): models by `key`, each with its `loaded_instances`: several
//!   of one model can be loaded, each by an `id` of its own that requests use, with
//!   the context and the number of parallel requests it was loaded with.
//!   `/api/v0/models` (0.3.6): a list by `id` with `state` (`loaded`, `not-loaded`) and
//!   `loaded_context_length`. Neither loads; a request to `/v1/chat/completions` does.
//! - `/api/v1/models/load` answers when the model is loaded; asked again it loads a
//!   second instance. `/api/v1/models/unload` takes the id of an instance. `v0` has
//!   no such actions.
//! - No figures of requests, tokens or queues, no version, and no word about where a
//!   model lies.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    adapter::{ActionError, Actions, Adapter, Condition, Held, Identity, Memory, Probe, Scrape},
    client::{Answer, CallError, Target},
    health,
    kind::ServiceKind,
    service::{Basis, Loaded, MAX_MODELS, Model, Slots},
};

/// An LM Studio.
#[derive(Clone, Copy, Debug, Default)]
pub struct LmStudio;

const V1: &str = "/api/v1/models";
const V0: &str = "/api/v0/models";
const GREETING: &str = "/lmstudio-greeting";

/// Looks between two questions whether a server that had only `v0` was renewed.
const CALM_LOOKS: u32 = 300;

#[derive(Default)]
struct Known {
    /// Looks for which only `v0` is asked.
    only_v0: u32,
}

/// `/api/v1/models`
#[derive(Deserialize)]
struct List1 {
    models: Vec<Model1>,
}

#[derive(Deserialize)]
struct Model1 {
    key: String,
    /// `{"name":"Q4_0","bits_per_weight":4}`
    quantization: Option<Value>,
    size_bytes: Option<u64>,
    max_context_length: Option<u64>,
    #[serde(default)]
    loaded_instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    id: String,
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Config {
    context_length: Option<u64>,
    parallel: Option<u32>,
}

/// `/api/v0/models`
#[derive(Deserialize)]
struct List0 {
    data: Vec<Model0>,
}

#[derive(Deserialize)]
struct Model0 {
    id: String,
    state: Option<String>,
    quantization: Option<String>,
    max_context_length: Option<u64>,
    loaded_context_length: Option<u64>,
}

#[async_trait]
impl Adapter for LmStudio {
    fn kind(&self) -> ServiceKind {
        ServiceKind::LmStudio
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let greeting = probe.json(GREETING).await?;
        if greeting.get("lmstudio") != Some(&Value::Bool(true)) {
            return None;
        }
        let wants_key = matches!(probe.status(V1).await, Some(401 | 403));
        Some(Identity { wants_key, ..Identity::of(ServiceKind::LmStudio) })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let known = memory.of::<Known>();
        if let Some(left) = known.only_v0.checked_sub(1) {
            known.only_v0 = left;
        } else {
            let answer = target.get(V1).await?;
            match health::judge(&answer) {
                Condition::Ready if !is_unexpected(&answer) => {
                    let list: List1 = answer.json()?;
                    let (slots, held) = (slots(&list.models), Some(held(&list.models)));
                    let models = Some(models1(list.models));
                    let actions = Some(self.actions());
                    return Ok(Scrape { models, slots, held, actions, ..Scrape::default() });
                }
                // It is of an older version.
                Condition::Ready => known.only_v0 = CALM_LOOKS,
                Condition::Ailing(_) if answer.status == 404 => known.only_v0 = CALM_LOOKS,
                condition => return Ok(Scrape { condition, ..Scrape::default() }),
            }
        }
        let answer = target.get(V0).await?;
        let condition = health::judge(&answer);
        if condition != Condition::Ready {
            return Ok(Scrape { condition, ..Scrape::default() });
        }
        if is_unexpected(&answer) {
            let words = "is too old to tell its models; 0.3.6 and later do";
            return Ok(Scrape { condition: Condition::Ailing(words.into()), ..Scrape::default() });
        }
        let list: List0 = answer.json()?;
        let models = list.data.into_iter().take(MAX_MODELS).map(model0).collect();
        // Those came with `v1`.
        let actions = Some(Actions::default());
        Ok(Scrape { models: Some(models), actions, ..Scrape::default() })
    }

    fn actions(&self) -> Actions {
        Actions { load: true, unload: true }
    }

    async fn load(&self, target: &Target, model: &str) -> Result<(), ActionError> {
        // Loading what is loaded makes a second one beside it.
        if !instances_of(target, model).await?.is_empty() {
            return Ok(());
        }
        done(target.post("/api/v1/models/load", &json!({ "model": model })).await?)
    }

    async fn unload(&self, target: &Target, model: &str) -> Result<(), ActionError> {
        for instance in instances_of(target, model).await? {
            let wish = json!({ "instance_id": instance });
            done(target.post("/api/v1/models/unload", &wish).await?)?;
        }
        Ok(())
    }
}

/// The instances that a name means: the one of that id, or all of the model of
/// that key.
async fn instances_of(target: &Target, name: &str) -> Result<Vec<String>, ActionError> {
    let answer = target.get(V1).await?.ok()?;
    if is_unexpected(&answer) {
        let words = "this LM Studio is too old to load or unload by itself; 0.4 and later do";
        return Err(ActionError::Refused(words.into()));
    }
    let list: List1 = answer.json()?;
    let one = |instance: &&Instance| instance.id == name;
    if let Some(one) = list.models.iter().flat_map(|m| &m.loaded_instances).find(one) {
        return Ok(vec![one.id.clone()]);
    }
    match list.models.into_iter().find(|model| model.key == name) {
        Some(model) => Ok(model.loaded_instances.into_iter().map(|one| one.id).collect()),
        None => Err(ActionError::Refused(format!("there is no model {name}"))),
    }
}

/// The answer to a path that it does not have, whatever its status.
fn is_unexpected(answer: &Answer) -> bool {
    health::words_of(answer).starts_with("Unexpected endpoint")
}

/// Those in memory first, each by the id that requests use, then the others.
fn models1(list: Vec<Model1>) -> Vec<Model> {
    let (mut loaded, mut idle) = (Vec::new(), Vec::new());
    for model in list {
        let quantization = model.quantization.as_ref().and_then(|told| told.get("name")?.as_str());
        let of = |name: String, state, context_tokens| Model {
            quantization: quantization.map(Into::into),
            context_tokens,
            size_bytes: model.size_bytes,
            ..Model::named(name, state)
        };
        if model.loaded_instances.is_empty() {
            idle.push(of(model.key, Loaded::Unloaded, model.max_context_length));
            continue;
        }
        for instance in model.loaded_instances {
            let context = instance.config.and_then(|config| config.context_length);
            loaded.push(of(instance.id, Loaded::Loaded, context));
        }
    }
    loaded.append(&mut idle);
    loaded.truncate(MAX_MODELS);
    loaded
}

fn model0(told: Model0) -> Model {
    let loaded = match told.state.as_deref() {
        Some("loaded") => Loaded::Loaded,
        Some("loading") => Loaded::Loading,
        Some("not-loaded") => Loaded::Unloaded,
        _ => Loaded::Unknown,
    };
    let context = if loaded == Loaded::Loaded { told.loaded_context_length } else { None };
    Model {
        quantization: told.quantization.filter(|name| !name.is_empty()),
        context_tokens: context.or(told.max_context_length),
        ..Model::named(told.id, loaded)
    }
}

/// The weights of all loaded models, as large as their files.
fn held(list: &[Model1]) -> Held {
    let mut each = list.iter().map(|model| match model.loaded_instances.len() as u64 {
        0 => Some(0),
        instances => Some(model.size_bytes?.saturating_mul(instances)),
    });
    let weights_bytes = each.try_fold(0u64, |sum, one| Some(sum.saturating_add(one?)));
    Held { weights_bytes, kv_bytes: None, basis: Basis::Assumed }
}

/// What all loaded models take at once; `None` where one of them does not say.
fn slots(list: &[Model1]) -> Option<Slots> {
    let instances: Vec<_> = list.iter().flat_map(|model| &model.loaded_instances).collect();
    if instances.is_empty() {
        return None;
    }
    let mut each = instances.iter().map(|instance| instance.config.as_ref()?.parallel);
    let total = each.try_fold(0u32, |sum, one| Some(sum.saturating_add(one?)))?;
    Some(Slots { total: Some(total), busy: None, waiting: None, basis: Basis::Told })
}

/// Whether an action was done; else what the server says of it, whatever its status.
fn done(answer: Answer) -> Result<(), ActionError> {
    let error = answer.json::<Value>().ok().is_some_and(|told| told.get("error").is_some());
    if error || !answer.is_ok() {
        let said = health::words_of(&answer);
        if !said.is_empty() {
            return Err(ActionError::Refused(said));
        }
    }
    answer.ok()?;
    Ok(())
}

#[cfg(test)]
mod tests;
