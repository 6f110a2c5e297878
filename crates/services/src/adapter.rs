//! What an adapter is: one protocol, asked gently.
//!
//! An adapter knows how to recognise its server, how to look at it, and what
//! can be done with it. It keeps nothing of its own: what it has to remember of
//! one service stands in that service's [`Memory`]. **Looking never loads, wakes
//! or creates anything.** Judging the answers belongs to [`crate::state`], and
//! bringing totals to readings to [`crate::normalise`].

use std::{any::Any, collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use plimsoll_core::metric::Metric;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use ts_rs::TS;

use crate::{
    client::{Answer, CallError, Target},
    kind::ServiceKind,
    service::{Basis, Hint, Model, Slots},
};

/// One protocol. Shared by all services of its kind, and never blocks.
#[async_trait]
pub trait Adapter: Send + Sync + 'static {
    fn kind(&self) -> ServiceKind;

    /// Whether the server behind this probe speaks this protocol. `None` means no,
    /// and also that it could not be told. Certain or not at all: a server that
    /// merely could be of this kind is left to the kinds that come after.
    async fn identify(&self, probe: &Probe) -> Option<Identity>;

    /// Looks once. Its calls share one budget, which the caller keeps; a call that
    /// fails where the rest does not is a hint, and no error. An error means that
    /// the service could not be looked at at all.
    async fn scrape(&self, target: &Target, memory: &mut Memory) -> Result<Scrape, CallError>;

    /// The requests that it works on at once, asked on its own where that is dearer
    /// than a scrape. `None` where it has no such notion.
    async fn slots(&self, _target: &Target) -> Result<Option<Slots>, CallError> {
        Ok(None)
    }

    /// What can be done with models of this server.
    fn actions(&self) -> Actions {
        Actions::default()
    }

    /// Loads a model, and returns when the server says that it is loaded. The
    /// target's budget is the caller's patience.
    async fn load(&self, _target: &Target, _model: &str) -> Result<(), ActionError> {
        Err(ActionError::Unsupported { kind: self.kind() })
    }

    /// Loads a model that is to stay as it did before, where the server can be told
    /// so; else as [`Adapter::load`] does.
    async fn load_to_stay(
        &self,
        target: &Target,
        model: &str,
        _stay: Stay,
    ) -> Result<(), ActionError> {
        self.load(target, model).await
    }

    /// Unloads a model, and returns when the server says that it is gone.
    async fn unload(&self, _target: &Target, _model: &str) -> Result<(), ActionError> {
        Err(ActionError::Unsupported { kind: self.kind() })
    }
}

/// What a server of a kind lets one do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(rename = "ServiceActions")]
pub struct Actions {
    pub load: bool,
    pub unload: bool,
}

/// How long a model stays loaded when nobody asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stay {
    /// As the server has it by itself.
    #[default]
    Usual,
    Seconds(u32),
    /// Until somebody unloads it.
    Always,
}

/// Why an action was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    #[error("{} has no such action", kind.label())]
    Unsupported { kind: ServiceKind },
    #[error(transparent)]
    Call(#[from] CallError),
    /// The server refused it, in its own words.
    #[error("{0}")]
    Refused(String),
}

/// What was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub kind: ServiceKind,
    pub version: Option<String>,
    /// A name to propose, e.g. that of its only model; else the kind's label is taken.
    pub name: Option<String>,
    /// It was recognised, and says little without a key.
    pub wants_key: bool,
}

/// Most questions that one unknown port is asked.
pub const MOST_QUESTIONS: usize = 24;

/// An unknown server, asked by adapter after adapter. Each question is asked
/// once, whoever asks; a server that does not speak HTTP, or that is not there,
/// is asked no second one.
pub struct Probe {
    target: Target,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    answers: BTreeMap<String, Result<Arc<Answer>, CallError>>,
    /// Why nothing more is asked.
    over: Option<CallError>,
}

/// What a server says of itself in one look.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    pub condition: Condition,
    pub version: Option<String>,
    /// All its models; `None` where they were not asked for this time, which
    /// leaves what is known.
    pub models: Option<Vec<Model>>,
    pub slots: Option<Slots>,
    pub figures: Vec<Figure>,
    pub hints: Vec<Hint>,
    /// `None` where nothing about it was told this time, which leaves what is known.
    pub held: Option<Held>,
    /// What this one lets one do, where that is not the same for all of its kind; `None` leaves
    /// what is known.
    pub actions: Option<Actions>,
}

/// Parts of what a server holds in VRAM, as far as it lets them be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub weights_bytes: Option<u64>,
    pub kv_bytes: Option<u64>,
    /// Told by the server as what lies in VRAM, or computed from what it tells.
    pub basis: Basis,
}

/// How a server says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Ready,
    /// It loads a model, or begins; what it says about that.
    Loading(String),
    /// It answers and is not well: what it says, or what is wrong.
    Ailing(String),
    /// It is there, and says nothing without a key.
    Locked(String),
}

/// One figure in the unit of its metric, as the server tells it: totals are
/// since the server's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub metric: Metric,
    /// The model it is about. Figures of a service that come by model are added up
    /// (percentages: the highest stands).
    pub model: Option<String>,
    pub value: FigureValue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FigureValue {
    /// A level, for a metric that is a gauge.
    Gauge(f64),
    /// A total, for a metric that is a counter.
    Total(f64),
    /// Cumulative counts by upper bound, for a metric that is a histogram.
    Buckets(Buckets),
}

/// A histogram of the exposition format: for each upper bound how many
/// observations were at most it, since the server's start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// `(upper bound in the metric's unit, cumulative count)`, ascending; the last
    /// bound is infinite where the server told it.
    pub cumulative: Vec<(f64, f64)>,
}

/// What an adapter remembers of one service between two looks. Emptied when the
/// service starts again.
#[derive(Default)]
pub struct Memory {
    kept: Option<Box<dyn Any + Send>>,
    command: Option<Arc<str>>,
}

/// Asks every adapter in turn, in the order of [`ServiceKind::ALL`], which of them
/// knows this server. At most `patience` in all. A kind that is `likely`, by the
/// name of the process, is asked first: Redis writes a warning about an attack
/// into its log when it is spoken to in HTTP. Being likely proves nothing.
pub async fn identify(
    adapters: &[Arc<dyn Adapter>],
    probe: &Probe,
    likely: Option<ServiceKind>,
    patience: Duration,
) -> Option<Identity> {
    let search = async {
        for kind in likely.iter().chain(ServiceKind::ALL) {
            for adapter in adapters.iter().filter(|adapter| adapter.kind() == *kind) {
                if let Some(identity) = adapter.identify(probe).await {
                    return Some(identity);
                }
            }
        }
        None
    };
    tokio::time::timeout(patience, search).await.ok().flatten()
}

// === impl Probe ===

impl Probe {
    pub fn new(target: Target) -> Self {
        Self { target, asked: Mutex::default() }
    }

    /// The place itself, for a protocol that is not HTTP.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The answer to `GET path`, whatever its status; asked once, kept for those
    /// who ask after. Only ask what changes nothing in any server there is.
    pub async fn get(&self, path: &str) -> Result<Arc<Answer>, CallError> {
        let mut asked = self.asked.lock().await;
        if let Some(known) = asked.answers.get(path) {
            return known.clone();
        }
        if let Some(over) = &asked.over {
            return Err(over.clone());
        }
        let answer = self.target.get(path).await.map(Arc::new);
        if let Err(error) = &answer
            && (error.is_absent() || matches!(error, CallError::NotHttp { .. }))
        {
            asked.over = Some(error.clone());
        } else if asked.answers.len() + 1 >= MOST_QUESTIONS {
            asked.over = answer.as_ref().err().cloned().or_else(|| {
                Some(CallError::NotUnderstood {
                    place: self.target.place().to_string(),
                    path: path.to_string(),
                    detail: "it was asked enough".into(),
                })
            });
        }
        asked.answers.insert(path.to_string(), answer.clone());
        answer
    }

    /// Whether anything that was asked so far was answered with that status.
    pub async fn was_told(&self, status: u16) -> bool {
        let asked = self.asked.lock().await;
        asked.answers.values().flatten().any(|answer| answer.status == status)
    }

    /// Whether anything that was asked so far was answered in HTTP. Then no other
    /// protocol needs to be tried.
    pub async fn spoke_http(&self) -> bool {
        let asked = self.asked.lock().await;
        asked.answers.values().any(|answer| match answer {
            Ok(_) => true,
            Err(CallError::TooSlow { began, .. } | CallError::Closed { began, .. }) => *began,
            Err(error) => {
                matches!(error, CallError::TooLarge { .. } | CallError::Redirected { .. })
            }
        })
    }

    /// The JSON that `GET path` answers with 2xx; `None` for anything else.
    pub async fn json(&self, path: &str) -> Option<serde_json::Value> {
        let answer = self.get(path).await.ok()?;
        if answer.is_ok() { answer.json().ok() } else { None }
    }

    /// The text that `GET path` answers with 2xx; `None` for anything else.
    pub async fn text(&self, path: &str) -> Option<String> {
        let answer = self.get(path).await.ok()?;
        if answer.is_ok() { answer.text().ok().map(Into::into) } else { None }
    }

    /// The status of `GET path`; `None` where there was no answer.
    pub async fn status(&self, path: &str) -> Option<u16> {
        self.get(path).await.ok().map(|answer| answer.status)
    }
}

// === impl Identity ===

impl Identity {
    pub fn of(kind: ServiceKind) -> Self {
        Self { kind, version: None, name: None, wants_key: false }
    }
}

// === impl Figure ===

impl Figure {
    pub fn gauge(metric: Metric, value: f64) -> Self {
        Self { metric, model: None, value: FigureValue::Gauge(value) }
    }

    pub fn total(metric: Metric, value: f64) -> Self {
        Self { metric, model: None, value: FigureValue::Total(value) }
    }

    pub fn buckets(metric: Metric, buckets: Buckets) -> Self {
        Self { metric, model: None, value: FigureValue::Buckets(buckets) }
    }

    /// This figure as one of a model.
    pub fn of(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

// === impl Memory ===

impl Memory {
    /// What is remembered, by the one type that this adapter uses; the default of
    /// it at first, and where something else was kept.
    #[expect(clippy::expect_used, reason = "what is kept was just made to be of this type")]
    pub fn of<T: Default + Send + 'static>(&mut self) -> &mut T {
        if !self.kept.as_ref().is_some_and(|kept| kept.is::<T>()) {
            self.kept = Some(Box::new(T::default()));
        }
        self.kept.as_mut().and_then(|kept| kept.downcast_mut()).expect("of this type")
    }

    /// The command line of the process behind the service, arguments joined by
    /// spaces; `None` where it is not on this machine or cannot be seen. Some servers
    /// tell how they were started nowhere else.
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    pub fn set_command(&mut self, command: Option<Arc<str>>) {
        self.command = command;
    }

    /// Forgets what an adapter kept: the service started again.
    pub fn clear(&mut self) {
        self.kept = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_default_at_first_and_after_another_type() {
        let mut memory = Memory::default();
        *memory.of::<u32>() += 5;
        assert_eq!(*memory.of::<u32>(), 5);
        assert_eq!(*memory.of::<String>(), "");
        assert_eq!(*memory.of::<u32>(), 0);
        *memory.of::<u32>() = 7;
        memory.clear();
        assert_eq!(*memory.of::<u32>(), 0);
    }
}
