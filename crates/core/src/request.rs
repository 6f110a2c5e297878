//! One request through the gateway: the words for it, from Rust to the screen.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What was asked for, told by the path. The same names stand in the request log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/rerank`
    Rerank,
    /// `POST /v1/audio/transcriptions`
    Transcriptions,
    /// `POST /v1/audio/translations`
    Translations,
    /// `POST /v1/audio/speech`
    Speech,
    /// `POST /v1/messages`, as Anthropic's API has it.
    Messages,
    /// `POST /api/chat`, as Ollama has it.
    OllamaChat,
    /// `POST /api/generate`
    OllamaGenerate,
    /// `POST /api/embed`, and the older `/api/embeddings`
    OllamaEmbed,
    /// A `POST /v1/…` that names a known model, on a path that is not known here.
    Other,
}

/// Who goes first where requests wait.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Batch,
    #[default]
    Interactive,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A whole answer was passed on, whatever its status.
    Answered,
    /// Plimsoll refused it: a limit, a breaker, a key; `reason` says which.
    Refused,
    /// The backend failed, or broke off.
    Failed,
    /// The client went away before the end.
    Left,
    /// A person ended it.
    Cancelled,
    /// A time budget ended.
    TimedOut,
}

/// What the answer has to do with answers to other requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Shared {
    /// From the response cache: no backend was asked.
    Hit,
    /// With an identical request that was under way.
    Joined,
}

/// A request that ended, as the request log keeps it. Never its body. Times are
/// microseconds; what is not known is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct RequestRow {
    /// Grows with time, unique over restarts: when it came, in ms since 1970, times 4096,
    /// and a running number.
    #[ts(type = "number")]
    pub id: i64,
    #[ts(type = "number")]
    pub at_ms: i64,
    /// Name of the key, else of the program or its user agent.
    pub client: String,
    pub endpoint: Endpoint,
    /// As it was asked for.
    pub model: String,
    /// What was asked of the backend, where that is another.
    pub sent_model: Option<String>,
    /// Id of the rule in `gateway.routes`.
    pub route: Option<String>,
    /// Id of the service that answered, or was asked last.
    pub backend: Option<String>,
    pub priority: Priority,
    pub stream: bool,
    pub finish: Finish,
    /// As the client saw it; 0 where it left before one was sent.
    pub status: u16,
    /// Why it was refused or failed, one sentence; empty else.
    pub reason: String,
    /// In line for room, with the pauses before another try.
    pub wait_us: u64,
    /// Plimsoll's own time, apart from waiting, the backend's, and the client's upload.
    pub overhead_us: u64,
    /// From its arrival (its head was read) to the first token, or to the answer's first byte
    /// where none streams: upload and waiting included, as the client feels it.
    pub ttft_us: Option<u64>,
    pub itl_p50_us: Option<u64>,
    pub itl_p95_us: Option<u64>,
    pub total_us: u64,
    /// As the backend counted them.
    pub tokens_in: Option<u32>,
    pub tokens_out: Option<u32>,
    /// Executions upstream beyond the first.
    pub retries: u8,
    pub shared: Option<Shared>,
    /// Its share of the card's energy while it ran.
    pub joules: Option<f64>,
}

// === impl RequestRow ===

impl RequestRow {
    /// One of which no more is known than when it came and how it ended: by nobody, of no model,
    /// without a status, and with every time at 0.
    pub fn new(id: i64, at_ms: i64, endpoint: Endpoint, finish: Finish) -> Self {
        Self {
            id,
            at_ms,
            client: String::new(),
            endpoint,
            model: String::new(),
            sent_model: None,
            route: None,
            backend: None,
            priority: Priority::default(),
            stream: false,
            finish,
            status: 0,
            reason: String::new(),
            wait_us: 0,
            overhead_us: 0,
            ttft_us: None,
            itl_p50_us: None,
            itl_p95_us: None,
            total_us: 0,
            tokens_in: None,
            tokens_out: None,
            retries: 0,
            shared: None,
            joules: None,
        }
    }
}
