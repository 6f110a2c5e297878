//! Who stands at both ends of the gateway, clients and backends: the words for them, from
//! Rust to the screen.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How a client is told from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ClientBasis {
    /// It sent a key that was made here.
    Key,
    /// By the program at the other end of its connection.
    Program,
    /// By what it says of itself.
    UserAgent,
    #[default]
    Unknown,
}

/// What a key may do beyond asking models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Administrative paths of a backend: loading, unloading, pulling.
    Admin,
    /// `GET /metrics`.
    Metrics,
}

/// How the room of a backend is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RoomBasis {
    /// `services.ID.max_in_flight` is a number.
    Configured,
    /// Its server told it, or what it was started with.
    Told,
    /// What servers of its kind do.
    Assumed,
    /// Found from how it answers: felt out, or by the adaptive limit.
    Adaptive,
}

/// Whether requests go to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    Passing,
    Rejecting,
    /// The pause is over: one request is asked with, or will be as soon as one comes.
    Probing,
}

/// One minute of a backend's story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct StoryMinute {
    pub answered: u32,
    pub failed: u32,
    pub refused: u32,
}
