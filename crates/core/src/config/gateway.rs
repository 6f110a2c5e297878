//! The gateway's part of the configuration, as the program reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::request::Priority;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub enabled: bool,
    /// `IP:port`; port 0: a free one.
    pub address: String,
    /// `IP:port` each.
    pub also: Vec<String>,
    pub keys: Demand,
    pub hosts: Vec<String>,
    pub origins: Vec<String>,
    /// Empty: a request that names no model is refused.
    pub default_model: String,
    pub policy: Balance,
    pub max_body_mib: u32,
    /// At least `max_body_mib`.
    pub held_mib: u32,
    pub max_connections: u32,
    pub max_in_flight: u32,
    pub drain_s: u32,
    pub coalesce: Vec<Question>,
    pub queue: Queue,
    pub breaker: Breaker,
    pub gates: Gates,
    pub adaptive: Adaptive,
    pub timeout: Timeout,
    pub retry: Retry,
    pub pool: Pool,
    pub cache: Cache,
    pub consult: Consult,
    /// By id: the tables `[gateway.routes.ID]`.
    pub routes: BTreeMap<String, Route>,
    pub clients: Clients,
}

/// From whom a key is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    BeyondThisMachine,
    Always,
}

/// How one of several equal backends is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    #[default]
    LeastInFlight,
    RoundRobin,
    Random,
    Weighted,
    ConsistentHash,
    /// The backend that has the conversation's KV cache, unless it is full and another free.
    PrefixAffinity,
}

/// A kind of request whose answer may serve another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    Embeddings,
    Rerank,
    Chat,
    Completions,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    pub max: u32,
    pub wait_s: u32,
    pub batch_wait_s: u32,
    pub age_s: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    pub failures: u32,
    /// 100: only failures in a row count.
    pub rate_percent: u32,
    pub rate_min: u32,
    pub rejecting_s: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    pub memory: MemoryGate,
    pub cpu: CpuGate,
    pub temperature: HeatGate,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryGate {
    pub mode: GateMode,
    pub available_percent: u32,
    /// Of `pressure.memory.full` over 10 s.
    pub stalled_percent: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuGate {
    pub mode: GateMode,
    pub busy_percent: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeatGate {
    pub mode: GateMode,
    /// Below the card's own slowdown temperature.
    pub margin_c: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateMode {
    /// It says when it would have held, and holds nobody.
    Observe,
    Enforce,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptive {
    pub enabled: bool,
    pub min: u32,
    pub tolerance_percent: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    pub connect_ms: u32,
    pub first_byte_s: u32,
    pub between_s: u32,
    /// 0: any time.
    pub total_s: u32,
    pub client_s: u32,
    pub head_s: u32,
    pub idle_s: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Beyond the first.
    pub tries: u32,
    pub pause_ms: u32,
    pub held_mib: u32,
    /// At most `held_mib`.
    pub payload_mib: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// 0: what fits this machine, as in the next one.
    pub idle: u32,
    pub idle_s: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub max_mib: u32,
    pub max_entries: u32,
    pub ttl_s: u32,
    pub entry_kib: u32,
    pub shared: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consult {
    pub max_models: u32,
    pub held_mib: u32,
}

/// What is done with requests for certain models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub enabled: bool,
    /// Never empty; see [`matches`].
    pub models: Vec<String>,
    /// Empty: as it was named.
    pub send_as: String,
    /// `id` or `id=weight`, see [`weighted`]; empty: each that has the model.
    pub backends: Vec<String>,
    pub policy: RoutePolicy,
    pub fallback: Vec<String>,
    /// 0: no limit of its own.
    pub max_in_flight: u32,
    pub priority: AsPriority,
    pub cache: bool,
    pub coalesce: Coalesce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoutePolicy {
    Default,
    #[serde(untagged)]
    Of(Balance),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coalesce {
    Default,
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AsPriority {
    AsAsked,
    Interactive,
    Batch,
}

/// What each client may do, and those that may do other things.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// 0: no limit of its own, as in the next ones.
    pub max_in_flight: u32,
    pub requests_per_min: u32,
    pub tokens_per_min: u32,
    /// By id: the tables `[gateway.clients.ID]`.
    pub entries: BTreeMap<String, ClientEntry>,
}

/// A client that is told by at least one of program, agent and key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// Empty: any; see [`matches`]. So are the next two.
    pub program: String,
    pub agent: String,
    /// The key's name.
    pub key: String,
    pub priority: AsPriority,
    /// 0: as each client, as in the next ones.
    pub max_in_flight: u32,
    pub requests_per_min: u32,
    pub tokens_per_min: u32,
}

/// How many requests a service works on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MaxInFlight {
    Number(u32),
    Auto(Auto),
}

/// The word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    Auto,
}

/// Whether a text is meant by a pattern, in which `*` stands for any characters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The first place is the best one: it leaves the most to what follows.
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// `id` and weight of a route's backend; `None` where it is neither `id` nor `id=weight`.
pub fn weighted(text: &str) -> Option<(&str, u16)> {
    let (id, weight) = match text.split_once('=') {
        None => (text, 1),
        Some((id, weight)) => (id.trim(), weight.trim().parse().ok()?),
    };
    (super::ids::is_id(id) && (1..=1000).contains(&weight)).then_some((id, weight))
}

// === impl AsPriority ===

impl AsPriority {
    /// `None`: as the client asked.
    pub fn priority(self) -> Option<Priority> {
        match self {
            Self::AsAsked => None,
            Self::Interactive => Some(Priority::Interactive),
            Self::Batch => Some(Priority::Batch),
        }
    }
}

// === impl MaxInFlight ===

impl MaxInFlight {
    pub const AUTO: Self = Self::Auto(Auto::Auto);

    pub fn number(self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(number),
            Self::Auto(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        for (pattern, text) in
            [("a", "a"), ("*", ""), ("qwen*", "qwen3:4b"), ("*b*", "abc"), ("a*c*e", "abcde")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "ab"),
            ("", "a"),
            ("qwen*", "gwen"),
            ("a*a", "a"),
            ("*bb*b", "abb"),
            ("a.c", "abc"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_meant_by_every_pattern_that_was_made_of_it(
            parts in prop::collection::vec("[ab]{0,3}", 1..5),
        ) {
            prop_assert!(matches(&parts.join("*"), &parts.join("")));
            prop_assert!(matches(&parts.join("*"), &parts.join("ba")));
        }
    }

    #[test]
    fn a_backend_has_a_weight_of_one_unless_it_says_another() {
        assert_eq!(weighted("chat"), Some(("chat", 1)));
        assert_eq!(weighted("chat=3"), Some(("chat", 3)));
        for bad in ["", "=3", "chat=", "chat=0", "chat=1001", "Chat", "chat=x"] {
            assert_eq!(weighted(bad), None, "{bad}");
        }
    }
}
