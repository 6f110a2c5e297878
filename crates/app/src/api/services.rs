//! Arguments and answers of the commands about services.

use plimsoll_services::{
    kind::ServiceKind,
    service::{Model, ServiceState},
};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ServiceId {
    pub id: String,
}

/// What is to be tried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ServiceTest {
    /// An address, e.g. `http://127.0.0.1:8080`, or the id of a service that is known, which is
    /// asked with its kind and its key.
    pub target: String,
    /// For an address: as in the configuration; empty or `auto`: found out.
    #[serde(default)]
    pub kind: String,
    /// For an address: whole path of the file that holds its key; empty: it wants none.
    #[serde(default)]
    pub key_file: String,
    /// Whole path of the file with the certificates that it is believed by; empty: those of the
    /// service of that id, and at an address whom this machine trusts.
    #[serde(default)]
    pub ca_file: String,
}

/// Something answered. Where nothing did, or nothing that is understood, that is the fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct ServiceTested {
    pub url: String,
    pub kind: ServiceKind,
    pub version: Option<String>,
    /// `starting`, `healthy` or `degraded`, by this one answer.
    pub state: ServiceState,
    pub models: Vec<Model>,
    /// All questions together.
    pub took_ms: f64,
    /// What was found and what it said, one sentence.
    pub message: String,
}

/// What the search for services knows besides the proposals, which stand among `services`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct ServicesFound {
    /// `services.discover`, and not a simulated workstation.
    pub searching: bool,
    /// When it was looked last; `None` before the first time.
    pub looked_ms: Option<i64>,
    /// Proposals that a person does not want to see; `services.restore` brings one back.
    pub ignored: Vec<IgnoredService>,
    /// Why containers are not known by name, one sentence; `None` where they are, or where
    /// there is no Docker.
    pub docker: Option<String>,
    /// Ids of which the settings say how much they take (`services.ID` without a url) and that
    /// no service has.
    pub unclaimed: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct IgnoredService {
    pub id: String,
    pub name: String,
    pub kind: ServiceKind,
    pub url: String,
    /// It is there now.
    pub live: bool,
}

/// A service for the configuration. What is empty or 0 stays at its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ServiceAdd {
    /// `[a-z0-9-]{1,32}`; `None`: made from the name, else from the address.
    #[serde(default)]
    pub id: Option<String>,
    pub url: String,
    #[serde(default)]
    pub name: String,
    /// As in the configuration; empty: found out.
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub key_file: String,
    #[serde(default)]
    pub ca_file: String,
    /// Who asks: `window`, `browser` or `terminal`.
    #[serde(default)]
    pub by: String,
}

/// The service, and the revision of the configuration that it came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ServiceAdded {
    pub id: String,
    pub revision: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ServiceRemove {
    pub id: String,
    /// Who asks: `window`, `browser` or `terminal`.
    #[serde(default)]
    pub by: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ServiceRemoved {
    /// What was done, one sentence.
    pub message: String,
    /// The revision that took it out of the configuration: `config.undo` brings it back.
    /// `None` for a service that was found: it is proposed again.
    pub revision: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ServiceModelRequest {
    pub id: String,
    pub model: String,
}

/// A line that a managed service wrote, on standard output or standard error: both go into
/// one file, so that their order is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct OutputLine {
    /// Counted from 1 since Plimsoll began to read the output.
    pub number: u64,
    /// When it was read; `None` for one of the time before this Plimsoll started.
    pub at_ms: Option<i64>,
    /// At most 4 KiB; cut lines end with `…`. No control characters.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ServiceOutputRequest {
    pub id: String,
    /// The newest ones, 1 to 1000.
    pub lines: u32,
}

/// The newest lines, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ServiceOutput {
    pub lines: Vec<OutputLine>,
    /// Where the whole output stands; `None` where it is not kept.
    pub file: Option<String>,
}

/// Longest hold.
pub const MAX_HOLD_MINUTES: u32 = 24 * 60;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// 1 to 1440.
    pub minutes: u32,
    /// Services to free; empty: all that hold VRAM and let themselves be freed.
    #[serde(default)]
    pub services: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct HoldPlanRequest {
    /// As in [`HoldRequest`].
    #[serde(default)]
    pub services: Vec<String>,
}

/// What a hold would do with a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct HoldFate {
    pub service: String,
    pub name: String,
    /// The models that would be unloaded; empty: the whole service is meant.
    pub models: Vec<String>,
    /// What it holds of what is meant; `None` where it is not known.
    pub vram_bytes: Option<u64>,
    pub can: bool,
    /// Why it cannot be freed; empty where it can.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Models are being unloaded and services stopped.
    Freeing,
    /// The GPU is free of what could be freed.
    Held,
    /// What was taken away is being brought back.
    Restoring,
    Ended,
}

/// One thing that was taken away, and is brought back at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct HoldStep {
    pub service: String,
    /// The model that was unloaded; `None`: the whole service was stopped.
    pub model: Option<String>,
    pub freed: bool,
    pub restored: bool,
    /// Why it could not be freed or brought back; empty where nothing is wrong.
    pub trouble: String,
    /// Requests that are to end before it is taken away; 0: it waits for none now.
    #[serde(default)]
    pub waits_for: u32,
}

/// The GPU, free for somebody else for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Hold {
    pub state: HoldState,
    pub from_ms: i64,
    /// When everything is brought back.
    pub until_ms: i64,
    pub steps: Vec<HoldStep>,
    /// VRAM in use over all GPUs; `None` where there is none that is measured.
    pub vram_before_bytes: Option<u64>,
    pub vram_after_bytes: Option<u64>,
}
