//! Which backends could answer a request: names, aliases, patterns, fallbacks.
//!
//! A [`Table`] is made anew whenever the configuration or the services change, and
//! is immutable: a request holds the one it began with.
//!
//! A name leads, first found first taken, to
//! 1. the route that has this very name among its models,
//! 2. the route with the longest pattern that means it: one that asks for another model
//!    only where the name would lead nowhere by itself,
//! 3. each service that has a model of that name,
//! 4. the service of that id, with the model that it has loaded; or, as `id/model`, to
//!    this model of it.

mod backend;
mod listing;
mod near;
mod rooms;
mod table;
#[cfg(test)]
mod tests;

use std::{fmt::Write as _, sync::Arc};

use plimsoll_core::{config::gateway::Balance, request::Priority};

use crate::admission::{BackendId, Candidate};

pub(crate) use self::table::counted;
pub use self::{
    backend::Backend,
    listing::{Listed, Listing},
    rooms::{Room, Rooms},
    table::Table,
};

/// Where a request could go, and how it is treated.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// Id of the rule in `gateway.routes`; `None` where the model's own name led here.
    pub route: Option<Arc<str>>,
    /// What its requests are counted and limited under in [`crate::admission::Ask::model`]:
    /// `route:ID` where the route has a limit of its own, else the model.
    pub counted: Arc<str>,
    pub candidates: Arc<[Candidate]>,
    pub policy: Balance,
    /// The model to ask each candidate for, in their order; `None`: as the client wrote it.
    pub send_as: Vec<Option<Arc<str>>>,
    /// Further models of the candidates, asked one after the other where one fails there or is
    /// not there; those of one backend in the order in which they are wanted.
    pub others: Vec<Other>,
    /// `None`: as the client, or the client's own rule, says.
    pub priority: Option<Priority>,
    /// Its answers may come from the cache.
    pub cache: bool,
    /// Whether the same request is asked once while it is under way; `None`: by its kind.
    pub coalesce: Option<bool>,
}

/// Another model of a backend that stands among the candidates already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    pub backend: BackendId,
    pub model: Arc<str>,
    /// As a candidate's.
    pub rank: u8,
}

/// Why a request can go nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoWay {
    /// It names no model, and there is no `gateway.default_model`.
    Unnamed,
    /// Nobody has a model of that name.
    Unknown {
        model: String,
        /// The most alike first, at most [`near::MOST`]; else some of those that there are.
        near: Vec<Arc<str>>,
        /// They are alike, and not only some that there are.
        alike: bool,
        /// Services that do not answer and have told no models.
        silent: Vec<BackendId>,
    },
    /// Some service has not told its models yet: it may be one of these.
    NotYet { model: String },
    /// Only services have it that are switched off.
    Off { model: String, services: Vec<BackendId> },
    /// It is there, but its services do not speak Ollama's own API, by which it was asked for.
    OtherSpeech { model: String, services: Vec<BackendId>, ask_at: &'static str },
    /// A route is for it, and leads to nobody.
    Nowhere {
        route: Arc<str>,
        model: String,
        /// The model that it asks for, which nobody has; `None` where it names services.
        asks: Option<Arc<str>>,
    },
}

/// Most of a model's name that is said in an error.
const LONGEST_SHOWN: usize = 120;

// === impl Way ===

impl Way {
    /// The model to ask this backend for that failed the request so many times; `None`: as the
    /// client wrote it.
    pub fn send_as(&self, backend: &str, failed: usize) -> Option<&Arc<str>> {
        match self.other(backend, failed) {
            Some(other) => Some(&other.model),
            None => self.send_as.get(self.place(backend)?)?.as_ref(),
        }
    }

    /// Whether it is another model than the one that was asked for which this backend answers
    /// with.
    pub fn is_fallback(&self, backend: &str, failed: usize) -> bool {
        self.other(backend, failed).is_some()
            || self
                .place(backend)
                .and_then(|at| self.candidates.get(at))
                .is_some_and(|candidate| candidate.rank > 0)
    }

    /// The model that follows where this backend failed it so many times and fails it again;
    /// `None`: there is no further one.
    pub fn next(&self, backend: &str, failed: usize) -> Option<&Other> {
        self.others_of(backend).nth(failed)
    }

    /// In place of its first model: the last one stays.
    fn other(&self, backend: &str, failed: usize) -> Option<&Other> {
        self.others_of(backend).take(failed).last()
    }

    fn others_of(&self, backend: &str) -> impl Iterator<Item = &Other> {
        self.others.iter().filter(move |other| &*other.backend == backend)
    }

    /// The way with only those candidates that may be asked, each by the model it would be asked
    /// for where that is another than the client's; `None` where none is left.
    pub fn narrowed(
        self: &Arc<Self>,
        may: impl Fn(&Candidate, Option<&str>) -> bool,
    ) -> Option<Arc<Self>> {
        let all = || self.candidates.iter().zip(&self.send_as);
        let keep =
            |(candidate, model): &(&Candidate, &Option<Arc<str>>)| may(candidate, model.as_deref());
        let keep_other = |other: &&Other| may(&other.as_candidate(), Some(&other.model));
        // The whole list is told by its place in memory: it is not made anew without need.
        if all().all(|one| keep(&one)) && self.others.iter().all(|other| keep_other(&other)) {
            return Some(self.clone());
        }
        let (mut candidates, mut send_as): (Vec<_>, Vec<_>) =
            all().filter(keep).map(|(one, model)| (one.clone(), model.clone())).unzip();
        let mut others = Vec::new();
        for other in self.others.iter().filter(keep_other) {
            if candidates.iter().any(|candidate| candidate.backend == other.backend) {
                others.push(other.clone());
            } else {
                candidates.push(other.as_candidate());
                send_as.push(Some(other.model.clone()));
            }
        }
        if candidates.is_empty() {
            return None;
        }
        let candidates = candidates.into();
        Some(Arc::new(Self { candidates, send_as, others, ..Self::clone(self) }))
    }

    /// The same, asking each by this name where it would be asked as the client wrote it: for
    /// a request that does not write the name itself.
    #[must_use]
    pub fn named(&self, name: &str) -> Arc<Way> {
        let name: Arc<str> = name.into();
        let send_as = self.send_as.iter();
        let send_as = send_as.map(|own| Some(own.as_ref().unwrap_or(&name).clone())).collect();
        Arc::new(Self { send_as, ..self.clone() })
    }

    fn place(&self, backend: &str) -> Option<usize> {
        self.candidates.iter().position(|candidate| &*candidate.backend == backend)
    }
}

// === impl Other ===

impl Other {
    fn as_candidate(&self) -> Candidate {
        Candidate { backend: self.backend.clone(), rank: self.rank, weight: 1 }
    }
}

// === impl NoWay ===

impl NoWay {
    /// It may be otherwise in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::NotYet { .. })
    }
}

impl std::error::Error for NoWay {}

impl std::fmt::Display for NoWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unnamed => f.write_str(
                "The request names no model. Name one of GET /v1/models, or set \
                 gateway.default_model.",
            ),
            Self::Unknown { model, near, alike, silent } => {
                write!(f, "No service has the model {}.", shown(model))?;
                let names: Vec<String> = near.iter().map(|name| shown(name)).collect();
                match (names.as_slice(), alike) {
                    ([], _) => f.write_str(" None has told of any."),
                    (names, true) => write!(f, " Did you mean {}?", names.join(" or ")),
                    (names, false) => {
                        write!(f, " There is {}; GET /v1/models lists all.", names.join(", "))
                    }
                }?;
                if silent.is_empty() {
                    return Ok(());
                }
                write!(f, " What {} would have is not known: no answer.", silent.join(", "))
            }
            Self::NotYet { model } => write!(
                f,
                "No service has the model {} so far, and not all have told theirs: ask again in a \
                 moment.",
                shown(model)
            ),
            Self::Off { model, services } => {
                let (many, are) = if services.len() > 1 { ("s", "are") } else { ("", "is") };
                write!(
                    f,
                    "The model {} is at the service{many} {}, which {are} switched off \
                     (`services.{}.enabled`).",
                    shown(model),
                    services.join(", "),
                    services.first().map_or("*", |id| &**id),
                )
            }
            Self::OtherSpeech { model, services, ask_at } => {
                let do_not = if services.len() > 1 { "which do not" } else { "which does not" };
                write!(
                    f,
                    "The model {} is there, at {}, {do_not} speak Ollama's own API: ask for it \
                     with POST {ask_at}.",
                    shown(model),
                    services.join(", "),
                )
            }
            Self::Nowhere { route, model, asks: Some(asked) } => write!(
                f,
                "The route {route}, which {} takes, asks for {}, and no service has that.",
                shown(model),
                shown(asked)
            ),
            Self::Nowhere { route, model, asks: None } => write!(
                f,
                "The route {route}, which {} takes, names services, and none of them is there.",
                shown(model)
            ),
        }
    }
}

/// Quoted, cut, and free of what a terminal would follow.
fn shown(name: &str) -> String {
    let mut text = String::from("\"");
    for c in name.chars().take(LONGEST_SHOWN) {
        if c.is_control() {
            text.push('\u{fffd}');
        } else {
            let _ = write!(text, "{c}");
        }
    }
    text.push_str(if name.chars().nth(LONGEST_SHOWN).is_some() { "…\"" } else { "\"" });
    text
}
