//! Arguments and answers of the commands about the gateway: traffic now, the
//! request log, keys, and how a program is connected.

use plimsoll_core::{
    request::{Endpoint, Finish, Priority, RequestRow},
    traffic::{BreakerState, ClientBasis, RoomBasis, Scope, StoryMinute},
};
use plimsoll_services::kind::ServiceKind;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Most requests that one page of the log holds.
pub const MAX_PAGE: u32 = 500;
/// Longest time for which bodies of a client are kept.
pub const MAX_BODIES_MINUTES: u32 = 60;

/// How the gateway itself is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum GatewayState {
    /// `gateway.enabled` is false.
    Off,
    Listening,
    /// It cannot listen; the reason says why, e.g. who has the port.
    Failed,
    /// It stops: what runs may end, nothing new is taken.
    Draining,
}

/// All that passes the gateway now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Traffic {
    pub at_ms: i64,
    pub state: GatewayState,
    /// Why it does not listen, or not at each of its addresses; empty where all is well.
    pub reason: String,
    /// E.g. `127.0.0.1:1876`.
    pub addresses: Vec<String>,
    pub totals: TrafficTotals,
    /// In the order of the services.
    pub backends: Vec<TrafficBackend>,
    /// Of the last hour, the most GPU time first; at most 200.
    pub clients: Vec<TrafficClient>,
    /// In flight and queued, the oldest first; at most 256.
    pub live: Vec<LiveRequest>,
    /// Clients whose bodies are kept now.
    pub bodies: Vec<BodiesKept>,
    /// Those that are set up.
    pub gates: Vec<TrafficGate>,
}

/// What presses on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Pressed {
    Memory,
    MemoryStall,
    Cpu,
    Temperature,
}

/// A gate that pressure on the machine closes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct TrafficGate {
    pub gate: Pressed,
    /// While it is closed requests wait or are refused; else it only counts them.
    pub enforced: bool,
    pub closed: bool,
    /// Percent of memory available, of time stalled, of the CPU busy, or degrees left; `None`
    /// where the machine does not tell it, and nothing is held then.
    pub value: Option<f64>,
    /// At which value it closes.
    pub close: f64,
    /// Requests that came while it was closed, since the start.
    pub met: u64,
    /// Why it is closed, part of a sentence; empty while it is open.
    pub reason: String,
}

/// What a client sends and gets is kept in memory until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct BodiesKept {
    pub client: String,
    pub until_ms: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct TrafficTotals {
    pub in_flight: u32,
    pub queued: u32,
    /// `gateway.queue.max`
    pub queue_max: u32,
    /// In the last minute.
    pub requests_per_min: f64,
    pub refused_per_min: f64,
    /// Plimsoll's own time of the last 5 minutes' requests; `None` where there were none.
    pub overhead_p50_us: Option<f64>,
    pub overhead_p99_us: Option<f64>,
    /// Requests that ended since the start.
    pub ended: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct TrafficBreaker {
    pub state: BreakerState,
    pub since_ms: i64,
    /// E.g. `5 requests in a row failed`; empty while passing.
    pub reason: String,
    /// When the next request may probe.
    pub probe_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct TrafficBackend {
    /// Id of the service.
    pub id: String,
    pub name: String,
    pub kind: Option<ServiceKind>,
    pub up: bool,
    /// It takes nothing new, because it is stopped, started anew or unloaded; what runs there
    /// may end.
    pub resting: bool,
    /// Requests it takes at once; `None`: nothing bounds it.
    pub room: Option<u32>,
    pub room_basis: RoomBasis,
    pub in_flight: u32,
    /// Requests it runs that did not come through Plimsoll; `None` where it does not say.
    pub outside: Option<u32>,
    pub queued: u32,
    pub longest_wait_ms: Option<u64>,
    pub breaker: TrafficBreaker,
    /// The last 30 minutes, the oldest first.
    pub story: Vec<StoryMinute>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct TrafficClient {
    pub name: String,
    pub basis: ClientBasis,
    /// Of its last request.
    pub priority: Priority,
    pub in_flight: u32,
    pub queued: u32,
    /// In the last hour, as all that follow.
    pub requests: u32,
    pub refused: u32,
    pub failed: u32,
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// Seconds in which a backend worked for it; two requests at once count twice.
    pub backend_s: f64,
    /// Its share of the card's energy; `None` where the card does not tell it.
    pub joules: Option<f64>,
    /// `None` below 59 requests: the maximum is no bound for it there.
    pub ttft_p95_ms: Option<f64>,
    pub last_ms: i64,
}

/// Where a request is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Queued,
    /// Sent, and no token came yet.
    Prefill,
    Decode,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LiveRequest {
    pub id: i64,
    pub at_ms: i64,
    pub client: String,
    pub endpoint: Endpoint,
    pub model: String,
    pub backend: Option<String>,
    pub priority: Priority,
    pub stream: bool,
    pub phase: Phase,
    /// Place in the queue, from 1.
    pub position: Option<u32>,
    /// How long it will probably wait yet.
    pub expected_wait_ms: Option<u64>,
    /// In the queue so far.
    pub wait_us: u64,
    pub overhead_us: u64,
    /// From its arrival to its first token.
    pub ttft_us: Option<u64>,
    /// Estimated until the backend tells it.
    pub tokens_in: Option<u32>,
    /// Counted as they pass.
    pub tokens_out: u32,
    pub max_tokens: Option<u32>,
    pub retries: u8,
}

/// Which requests of the log are wanted. Filters that are absent let everything through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields, default)]
pub struct RequestsAsk {
    /// Only older ones than this: the last id of the page before.
    pub before: Option<i64>,
    /// Only newer ones than this.
    pub after: Option<i64>,
    /// At most [`MAX_PAGE`]; 0: 100.
    pub limit: u32,
    pub client: Option<String>,
    pub model: Option<String>,
    pub backend: Option<String>,
    /// Empty: however they ended.
    pub finish: Vec<Finish>,
    /// Only those that took this long.
    pub min_total_ms: Option<u64>,
}

/// The newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct RequestPage {
    pub rows: Vec<RequestRow>,
    /// There are older ones.
    pub more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct RequestId {
    pub id: i64,
}

/// A key to be made, or what is to become of one. What is 0 or empty sets no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields, default)]
pub struct KeySpec {
    /// Unique among the keys that are in force.
    pub name: String,
    pub priority: Priority,
    /// Models or services by name or pattern, e.g. `qwen*`; empty: all.
    pub models: Vec<String>,
    pub scopes: Vec<Scope>,
    pub max_in_flight: u32,
    pub requests_per_min: u32,
    pub tokens_per_min: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct KeyInfo {
    pub id: String,
    /// Its first characters, by which a person tells it: `plm-Vk3r`.
    pub begins: String,
    pub spec: KeySpec,
    pub made_ms: i64,
    pub used_ms: Option<i64>,
}

/// The key itself is shown this one time; only its hash is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct KeyMade {
    pub key: String,
    pub info: KeyInfo,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct KeyId {
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    pub id: String,
    pub spec: KeySpec,
}

/// How a program is connected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Connect {
    /// E.g. `http://127.0.0.1:1876/v1`.
    pub local_url: String,
    /// For programs in containers; `None` where this machine has no bridge.
    pub container: Option<ConnectContainer>,
    /// It listens beyond this machine.
    pub beyond: bool,
    pub models: Vec<ConnectModel>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ConnectContainer {
    /// E.g. `http://host.docker.internal:1876/v1`.
    pub url: String,
    /// The bridge's own, e.g. `172.17.0.1:1876`.
    pub address: String,
    /// It listens there; a key is always wanted there.
    pub listening: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ConnectModel {
    pub name: String,
    /// Ids of the services that serve it.
    pub services: Vec<String>,
    /// An alias or a pattern of `gateway.routes`.
    pub route: Option<String>,
    pub endpoint: Endpoint,
}

/// Sends one small request through the gateway, as a program would.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct GatewayTest {
    pub model: String,
    /// Empty: without one.
    #[serde(default)]
    pub key: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct GatewayTested {
    /// In the order in which they happened.
    pub steps: Vec<TestStep>,
    /// The beginning of what the model said.
    pub text: String,
    pub row: Option<RequestRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct TestStep {
    pub ok: bool,
    /// E.g. `Waited: 4 of 4 slots were busy`.
    pub text: String,
    /// Since it was sent.
    pub at_ms: f64,
}

/// Keeps the bodies of one client for a while, so that a person can look into them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct BodiesAsk {
    pub client: String,
    /// At most [`MAX_BODIES_MINUTES`]; 0: no longer, and what was kept is forgotten.
    pub minutes: u32,
}

/// What a client sent and got, cut at 256 KiB each; in memory only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct RequestBody {
    pub request: String,
    pub answer: String,
    /// One of them was longer.
    pub cut: bool,
}

// === impl Debug ===
// Keys and bodies never reach a log.

impl std::fmt::Debug for KeyMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyMade").field("info", &self.info).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for GatewayTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayTest").field("model", &self.model).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBody").field("cut", &self.cut).finish_non_exhaustive()
    }
}
