//! A service as it travels to the window and the terminal. What is not known
//! is `None`: never 0, never an empty text.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{adapter::Actions, kind::ServiceKind};

/// Most models that are told of one service.
pub const MAX_MODELS: usize = 256;
/// Most hints that are told of one service.
pub const MAX_HINTS: usize = 16;

/// How a service came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
// A setting has an origin, too, and the window's types share one file.
#[ts(rename = "ServiceOrigin")]
pub enum Origin {
    /// Stands in the configuration.
    Configured,
    /// Was found, and a person accepted it.
    Accepted,
    /// Was found, and waits for a person. Not watched.
    Proposed,
}

/// How a service is, by convention (see [`crate::state`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Not looked at yet, or it loads a model.
    Starting,
    Healthy,
    /// It answers, and says itself that it is not well, or is slow, or wants a key.
    Degraded,
    Down,
    /// Proposed and not watched, or its watch is switched off.
    Unknown,
}

impl ServiceState {
    /// Whether it serves, be it badly.
    pub fn serves(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

/// Whether a model lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Loaded {
    Loaded,
    Loading,
    Unloaded,
    /// The server does not say.
    Unknown,
}

/// A model that a service has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Model {
    /// By the name that requests use.
    pub name: String,
    pub loaded: Loaded,
    /// E.g. `Q4_K_M`.
    pub quantization: Option<String>,
    /// Tokens of context one request can have, as it was loaded.
    pub context_tokens: Option<u64>,
    /// In memory, wherever it lies; of one that is not loaded, on disk.
    pub size_bytes: Option<u64>,
    /// The part of it that lies on the GPU.
    pub vram_bytes: Option<u64>,
    /// `vram_bytes` of `size_bytes`, 0 to 1: below 1 a part runs on the CPU.
    pub gpu_share: Option<f64>,
    /// When the server unloads it if nobody asks for it.
    pub expires_ms: Option<i64>,
}

/// How the number of slots is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The server told it.
    Told,
    /// What servers of this kind do, e.g. one request at a time.
    Assumed,
}

/// Requests that a server works on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Slots {
    /// `None` where the server takes any number (vLLM batches what fits).
    pub total: Option<u32>,
    pub busy: Option<u32>,
    /// Requests that wait inside the server.
    pub waiting: Option<u32>,
    pub basis: Basis,
}

/// Percentiles of the last minutes, in milliseconds, from merged buckets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Latency {
    pub p50_ms: f64,
    pub p95_ms: f64,
    /// `None` below 299 observations: the maximum is no bound for it there.
    pub p99_ms: Option<f64>,
    /// Observations, at least one.
    pub count: u64,
    /// The span they were made in.
    pub window_ms: i64,
}

/// What Redis says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct RedisFigures {
    pub memory_used_bytes: Option<f64>,
    /// `None` where it has no limit.
    pub memory_limit_bytes: Option<f64>,
    pub memory_rss_bytes: Option<f64>,
    pub fragmentation_bytes: Option<f64>,
    /// Of the look-ups between the last two looks; `None` where there were none.
    pub hit_percent: Option<f64>,
    pub evicted_per_s: Option<f64>,
    pub ops_per_s: Option<f64>,
    pub clients: Option<f64>,
    pub blocked: Option<f64>,
}

/// What a vector store says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct StoreFigures {
    pub collections: Option<f64>,
    pub points: Option<f64>,
    pub requests_per_s: Option<f64>,
}

/// The newest figures, normalised: the same names and units whatever the server
/// calls them. Rates are over the span between the last two looks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct Figures {
    pub running: Option<f64>,
    pub waiting: Option<f64>,
    pub finished_per_s: Option<f64>,
    pub prompt_tokens_per_s: Option<f64>,
    pub generated_tokens_per_s: Option<f64>,
    /// 0 to 100.
    pub kv_used_percent: Option<f64>,
    pub preemptions_per_s: Option<f64>,
    /// Of the prompt tokens looked up between the last two looks.
    pub prefix_hit_percent: Option<f64>,
    pub ttft: Option<Latency>,
    pub itl: Option<Latency>,
    pub queue: Option<Latency>,
    pub e2e: Option<Latency>,
    /// Only of a Redis.
    pub redis: Option<RedisFigures>,
    /// Only of a vector store.
    pub store: Option<StoreFigures>,
}

/// Who runs it on this machine: the process that listens, with all it started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct Holder {
    /// The listening process first; at most 64.
    pub pids: Vec<i32>,
    /// Name of the listening process, e.g. `llama-server`.
    pub name: String,
    /// Name of the container it runs in, or its short id where Docker does not tell it.
    pub container: Option<String>,
    /// What that container was made from, e.g. `vllm/vllm-openai:v0.11.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub image: Option<String>,
    /// What that container holds, as its control group counts it: without the cache that
    /// the kernel would give back first, and with what runs in it beside the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub container_bytes: Option<u64>,
    /// When the listening process started.
    pub started_ms: i64,
    /// 100 for one core.
    pub cpu_percent: Option<f64>,
    pub rss_bytes: u64,
    pub vram_bytes: Option<u64>,
}

/// What lies in VRAM for a service, as far as its server lets it be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct VramSplit {
    /// All that its processes hold, as the driver counts it.
    pub total_bytes: u64,
    pub weights_bytes: Option<u64>,
    pub kv_bytes: Option<u64>,
    /// What is left: compute buffers, the driver's context, what is not known apart.
    pub other_bytes: u64,
    /// `Told` where the server says the parts, `Assumed` where they are computed.
    pub basis: Basis,
}

/// How a service does that Plimsoll itself starts and stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Stopped,
    /// For those before it, or for room in VRAM.
    Waiting,
    /// Its process runs, and it does not answer yet.
    Starting,
    Running,
    Stopping,
    /// It ended by itself, and is started again at `next_ms`.
    Restarting,
    /// It ended by itself too often, or cannot be started at all.
    Failed,
}

/// The process of a managed service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Run {
    pub state: RunState,
    /// Why, one sentence; empty where the state says it all.
    pub reason: String,
    pub since_ms: i64,
    pub pid: Option<i32>,
    /// How often it was started again since a person started it.
    pub restarts: u32,
    /// When it is started again.
    pub next_ms: Option<i64>,
    /// What it is planned to take; `None` where nobody said.
    pub planned_vram_bytes: Option<u64>,
    /// Program and arguments, as it is started.
    pub command: Vec<String>,
}

/// How much a hint matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum HintLevel {
    /// Something that could be better.
    Advice,
    /// Something that costs speed or data now.
    Warning,
}

/// One sentence about a service that a person can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Hint {
    /// Stable, e.g. `no-metrics`, `on-the-cpu`, `wants-a-key`.
    pub id: String,
    pub level: HintLevel,
    /// What is so, e.g. `This server was started without --metrics.`
    pub text: String,
    /// What to do, e.g. `Start it with --metrics to see its tokens and its queue.`
    pub advice: String,
}

/// Everything that is known of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Service {
    /// `[a-z0-9-]{1,32}`; its name in the configuration and in series.
    pub id: String,
    /// For people.
    pub name: String,
    /// `None` while it is not known what it speaks.
    pub kind: Option<ServiceKind>,
    /// E.g. `http://127.0.0.1:8080`; without a key.
    pub url: String,
    pub origin: Origin,
    pub state: ServiceState,
    /// Why it is in this state, one sentence; empty while healthy.
    pub reason: String,
    /// When it came into this state.
    pub since_ms: i64,
    pub version: Option<String>,
    /// At most [`MAX_MODELS`].
    pub models: Vec<Model>,
    pub slots: Option<Slots>,
    pub figures: Figures,
    pub holder: Option<Holder>,
    /// When it was last looked at; `None` before the first time.
    pub checked_ms: Option<i64>,
    /// How long that took.
    pub scrape_ms: Option<f64>,
    /// At most [`MAX_HINTS`].
    pub hints: Vec<Hint>,
    /// What its server lets one do with models.
    pub actions: Actions,
    /// `None` where its processes hold none, or it is not known.
    pub vram: Option<VramSplit>,
    /// `None` for a service that somebody else starts.
    pub run: Option<Run>,
}

// === impl Service ===

impl Service {
    /// A service of which no more than this is known.
    pub fn new(id: &str, name: &str, kind: Option<ServiceKind>, url: &str, origin: Origin) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            kind,
            url: url.into(),
            origin,
            state: ServiceState::Unknown,
            reason: String::new(),
            since_ms: 0,
            version: None,
            models: Vec::new(),
            slots: None,
            figures: Figures::default(),
            holder: None,
            checked_ms: None,
            scrape_ms: None,
            hints: Vec::new(),
            actions: Actions::default(),
            vram: None,
            run: None,
        }
    }
}

// === impl Hint ===

impl Hint {
    pub fn advice(id: &str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { id: id.into(), level: HintLevel::Advice, text: text.into(), advice: advice.into() }
    }

    pub fn warning(id: &str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { id: id.into(), level: HintLevel::Warning, text: text.into(), advice: advice.into() }
    }
}

// === impl Model ===

impl Model {
    /// A model of which no more than its name is known.
    pub fn named(name: impl Into<String>, loaded: Loaded) -> Self {
        Self {
            name: name.into(),
            loaded,
            quantization: None,
            context_tokens: None,
            size_bytes: None,
            vram_bytes: None,
            gpu_share: None,
            expires_ms: None,
        }
    }

    /// Both sizes, and the share that follows from them.
    pub fn sized(mut self, size_bytes: Option<u64>, vram_bytes: Option<u64>) -> Self {
        self.size_bytes = size_bytes;
        self.vram_bytes = vram_bytes;
        self.gpu_share = match (size_bytes, vram_bytes) {
            (Some(size), Some(vram)) if size > 0 => Some((vram as f64 / size as f64).min(1.0)),
            _ => None,
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_on_the_gpu_is_unknown_where_a_size_is() {
        let share = |size, vram| Model::named("m", Loaded::Loaded).sized(size, vram).gpu_share;
        assert_eq!(share(Some(200), Some(50)), Some(0.25));
        assert_eq!(share(Some(200), Some(0)), Some(0.0));
        assert_eq!(share(Some(200), None), None);
        assert_eq!(share(Some(0), Some(0)), None);
        // Some servers count buffers on the card that are not part of the model.
        assert_eq!(share(Some(200), Some(210)), Some(1.0));
    }
}
