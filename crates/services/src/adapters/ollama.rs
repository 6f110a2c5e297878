//! Ollama.
//!
//! - `/api/version` tells `{"version":"0.12.3"}`, `/` says `Ollama is running`,
//!   `/api/tags` lists what is on disk and `/api/ps` what is in memory. These load
//!   nothing. **Everything else may**: `/api/show`, `/api/generate`, `/api/chat` and
//!   `/api/embed` are never asked by a look.
//! - In `/api/ps`, `size` is all of a loaded model with its context, `size_vram` the
//!   part of it on the GPU. Below `size` a part runs on the CPU, silently: it was
//!   loaded when less VRAM was free, or its context is too long.
//! - `expires_at` is when it is unloaded if nobody asks for it. With `keep_alive: -1`
//!   it lies some 290 years ahead; while it is being loaded it may be the year 1.
//! - `context_length` is that of the loaded model; older versions do not tell it.
//! - A name without a tag means `:latest`.
//! - Models of `/api/tags` with a `remote_host` run elsewhere and have no weights here.
//! - There are no figures of requests, tokens or queues, and no key.
//! - `/api/generate` without a prompt loads a model, and with `keep_alive: 0` unloads
//!   it; the answer to the latter comes before it is gone, and while it works on a
//!   request it stays until that ends. A model that only embeds is loaded by
//!   `/api/embed` without input: `/api/generate` answers 400 for it.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use super::hints::name_of;
use crate::{
    adapter::{
        ActionError, Actions, Adapter, Condition, Held, Identity, Memory, Probe, Scrape, Stay,
    },
    client::{Answer, CallError, Target},
    health,
    kind::ServiceKind,
    service::{Basis, Hint, Loaded, MAX_HINTS, MAX_MODELS, Model},
};

/// An Ollama.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ollama;

/// Looks between two questions for what is on disk, and for the version.
const CALM_LOOKS: u32 = 60;
/// Pause between two looks at what is in memory, while a model is awaited to go.
const PAUSE: Duration = Duration::from_millis(250);
/// What is to expire after the year 2200 is never unloaded, and before 1971 not yet known.
const NEVER_MS: i64 = 7_258_118_400_000;
const NOT_YET_MS: i64 = 31_536_000_000;

#[derive(Default)]
struct Known {
    /// Looks until what is on disk is asked again.
    calm: u32,
    on_disk: Vec<Tag>,
    /// In memory, and not on the list when that was asked.
    unlisted: Vec<String>,
}

// === impl Known ===

impl Known {
    /// Whether the list does not know a model, and was not asked for it yet.
    fn misses(&self, run: &Run) -> bool {
        self.on_disk.iter().all(|tag| tag.name != run.name) && !self.unlisted.contains(&run.name)
    }
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

/// `/api/ps`
#[derive(Deserialize)]
struct Running {
    models: Option<Vec<Run>>,
}

#[derive(Clone, Deserialize)]
struct Run {
    name: String,
    size: Option<u64>,
    size_vram: Option<u64>,
    expires_at: Option<String>,
    context_length: Option<u64>,
    details: Option<Details>,
}

/// `/api/tags`
#[derive(Deserialize)]
struct Tags {
    models: Option<Vec<Tag>>,
}

#[derive(Clone, Deserialize)]
struct Tag {
    name: String,
    size: Option<u64>,
    remote_host: Option<String>,
    details: Option<Details>,
}

#[derive(Clone, Deserialize)]
struct Details {
    quantization_level: Option<String>,
}

#[async_trait]
impl Adapter for Ollama {
    fn kind(&self) -> ServiceKind {
        ServiceKind::Ollama
    }

    async fn identify(&self, probe: &Probe) -> Option<Identity> {
        let version = probe.json("/api/version").await?.get("version")?.as_str()?.to_string();
        // Others have that path too; this sentence is its own.
        let says = probe.text("/").await?;
        says.trim_start()
            .starts_with("Ollama is running")
            .then(|| Identity { version: Some(version), ..Identity::of(ServiceKind::Ollama) })
    }

    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError> {
        let known = memory.of::<Known>();
        // What comes back on this port may be another version with other models.
        let answer = target.get("/api/ps").await.inspect_err(|_| *known = Known::default())?;
        let condition = health::judge(&answer);
        if condition != Condition::Ready {
            return Ok(Scrape { condition, ..Scrape::default() });
        }
        let running = answer.json::<Running>()?.models.unwrap_or_default();
        let mut scrape = Scrape { hints: hints(&running), ..Scrape::default() };
        // A model that nobody has heard of was pulled since.
        if known.calm == 0 || running.iter().any(|run| known.misses(run)) {
            ask_calmly(target, known, &mut scrape).await;
            let unlisted = running.iter().filter(|run| known.misses(run));
            known.unlisted = unlisted.take(MAX_MODELS).map(|run| run.name.clone()).collect();
        } else {
            known.calm -= 1;
        }
        scrape.held = Some(held(&running, &known.on_disk));
        scrape.models = Some(models(&running, &known.on_disk));
        Ok(scrape)
    }

    fn actions(&self) -> Actions {
        Actions { load: true, unload: true }
    }

    async fn load(&self, target: &Target, model: &str) -> Result<(), ActionError> {
        self.load_to_stay(target, model, Stay::Usual).await
    }

    async fn load_to_stay(
        &self,
        target: &Target,
        model: &str,
        stay: Stay,
    ) -> Result<(), ActionError> {
        order(target, model, keep_alive(stay)).await
    }

    async fn unload(&self, target: &Target, model: &str) -> Result<(), ActionError> {
        order(target, model, Some(0)).await?;
        let gone = async {
            loop {
                let running: Running = target.get_json("/api/ps").await?;
                let running = running.models.unwrap_or_default();
                if !running.iter().any(|run| same_model(&run.name, model)) {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(target.bounds().budget, gone).await {
            Ok(gone) => gone,
            Err(_) => Err(ActionError::Refused(format!(
                "{model} still works on a request; it goes when that ends"
            ))),
        }
    }
}

/// Seconds, or for ever where negative; `None` leaves it to the server.
fn keep_alive(stay: Stay) -> Option<i64> {
    match stay {
        Stay::Usual => None,
        Stay::Seconds(seconds) => Some(seconds.into()),
        Stay::Always => Some(-1),
    }
}

/// Has a model stay so long from now on, which loads it; 0 unloads it.
async fn order(target: &Target, model: &str, keep_alive: Option<i64>) -> Result<(), ActionError> {
    let with = |mut wish: serde_json::Value| {
        if let Some(seconds) = keep_alive {
            wish["keep_alive"] = seconds.into();
        }
        wish
    };
    let wish = with(json!({"model": model, "stream": false}));
    let answer = target.post("/api/generate", &wish).await?;
    let said = health::words_of(&answer);
    if answer.status == 400 && said.contains("does not support generate") {
        let wish = with(json!({"model": model, "input": []}));
        return done(target.post("/api/embed", &wish).await?);
    }
    done(answer)
}

/// What hardly changes. Asked again at the next look where it was not told.
async fn ask_calmly(target: &Target, known: &mut Known, scrape: &mut Scrape) {
    let (version, tags) = tokio::join!(
        target.get_json::<Version>("/api/version"),
        target.get_json::<Tags>("/api/tags")
    );
    scrape.version = version.ok().map(|told| told.version);
    if let Ok(tags) = tags {
        known.on_disk = tags.models.unwrap_or_default();
        known.on_disk.truncate(MAX_MODELS);
        known.unlisted.clear();
        known.calm = CALM_LOOKS;
    }
}

/// Those in memory first, then those that are only on disk.
fn models(running: &[Run], on_disk: &[Tag]) -> Vec<Model> {
    let idle = on_disk.iter().filter(|tag| running.iter().all(|run| run.name != tag.name));
    running.iter().map(loaded).chain(idle.map(unloaded)).take(MAX_MODELS).collect()
}

/// The weights on the card: of each model the size of its file, in the part of it that
/// lies there. What it holds beyond that is its context and its buffers, which are not
/// told apart.
fn held(running: &[Run], on_disk: &[Tag]) -> Held {
    let weights = |run: &Run| {
        let file = on_disk.iter().find(|tag| tag.name == run.name)?.size?;
        let (size, vram) = (run.size.filter(|&size| size > 0)?, run.size_vram?);
        let share = (vram as f64 / size as f64).min(1.0);
        Some(((file as f64 * share) as u64).min(vram))
    };
    let mut each = running.iter().map(weights);
    let weights_bytes = each.try_fold(0u64, |sum, one| Some(sum.saturating_add(one?)));
    Held { weights_bytes, kv_bytes: None, basis: Basis::Assumed }
}

fn loaded(run: &Run) -> Model {
    Model {
        quantization: quantization(run.details.as_ref()),
        context_tokens: run.context_length.filter(|&tokens| tokens > 0),
        expires_ms: run.expires_at.as_deref().and_then(expires_ms),
        ..Model::named(&run.name, Loaded::Loaded).sized(run.size, run.size_vram)
    }
}

fn unloaded(tag: &Tag) -> Model {
    if tag.remote_host.as_deref().is_some_and(|host| !host.is_empty()) {
        return Model::named(&tag.name, Loaded::Unknown);
    }
    Model {
        quantization: quantization(tag.details.as_ref()),
        size_bytes: tag.size,
        ..Model::named(&tag.name, Loaded::Unloaded)
    }
}

fn quantization(details: Option<&Details>) -> Option<String> {
    details?.quantization_level.clone().filter(|level| !level.is_empty() && level != "unknown")
}

/// `None` where it is never unloaded, or not yet known when.
fn expires_ms(told: &str) -> Option<i64> {
    let ms = told.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    (NOT_YET_MS..NEVER_MS).contains(&ms).then_some(ms)
}

/// One warning for each model that does not lie on the GPU as a whole.
fn hints(running: &[Run]) -> Vec<Hint> {
    let part = running.iter().filter_map(|run| {
        let (size, vram) = (run.size?, run.size_vram?);
        (vram < size).then(|| {
            let name = name_of(&run.name);
            let text = if vram == 0 {
                format!("{name} runs on the CPU: nothing of it lies on a GPU.")
            } else {
                let (here, all) = (gib(size - vram), gib(size));
                format!("A part of {name} runs on the CPU: {here} of {all} GiB.")
            };
            Hint::warning(
                "on-the-cpu",
                text,
                "Unload what else holds VRAM and load it again, or give it a shorter context \
                 (num_ctx), fewer parallel requests (OLLAMA_NUM_PARALLEL) or a smaller \
                 quantization.",
            )
        })
    });
    part.take(MAX_HINTS).collect()
}

/// With two digits, and never 0.00: some part there is.
fn gib(bytes: u64) -> String {
    format!("{:.2}", (bytes as f64 / f64::from(1 << 30)).max(0.01))
}

fn same_model(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_string();
    bare(one) == bare(other)
}

/// Whether an action was done; else what the server says of it.
fn done(answer: Answer) -> Result<(), ActionError> {
    let said = health::words_of(&answer);
    if !answer.is_ok() && !said.is_empty() {
        return Err(ActionError::Refused(said));
    }
    answer.ok()?;
    Ok(())
}

#[cfg(test)]
mod tests;
