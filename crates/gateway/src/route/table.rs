//! Names and where they lead, worked out beforehand: a request looks its name up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plimsoll_core::{
    config::{
        Config,
        gateway::{Balance, Coalesce, Route, RoutePolicy, matches, weighted},
    },
    request::Endpoint,
};
use plimsoll_services::{
    fleet::{FleetView, Wanted},
    kind::ServiceKind,
    service::ServiceState,
};
use rustc_hash::FxHashMap;

use super::{Backend, Listed, NoWay, Other, Way, listing::Listing, near::nearest};
use crate::admission::{BackendId, Candidate};

/// Of models that there are, so many are named where none is alike.
const MOST_NAMED: usize = 5;

/// Names and where they lead. Immutable.
#[derive(Debug, Default)]
pub struct Table {
    backends: BTreeMap<BackendId, Backend>,
    /// Services that a person has switched off: they get nothing, and are only told by name.
    off: BTreeMap<BackendId, Backend>,
    /// Services by the models they have.
    owners: FxHashMap<Arc<str>, Vec<BackendId>>,
    rules: Vec<Rule>,
    /// The longest pattern first, with the rule that it stands in.
    patterns: Vec<(String, usize)>,
    ways: FxHashMap<Arc<str>, Result<Arc<Way>, NoWay>>,
    /// The same for requests that only Ollama understands.
    native: FxHashMap<Arc<str>, Result<Arc<Way>, NoWay>>,
    default_model: Arc<str>,
    policy: Balance,
    /// Some service was not asked for its models yet.
    young: bool,
    /// Those that do not answer and have told none.
    silent: Vec<BackendId>,
    listing: Arc<Listing>,
}

/// A route in force.
#[derive(Debug)]
struct Rule {
    id: Arc<str>,
    route: Route,
    backends: Vec<(BackendId, u16)>,
}

/// Which services may be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// All speak it, or answer honestly that they do not.
    Common,
    /// Ollama's own paths.
    Ollama,
}

// === impl Table ===

impl Table {
    /// From what is configured, what is watched (whence the keys) and what was seen of it. A
    /// server that tells of no model now has those that the table `before` had of it.
    pub fn make(
        config: &Config,
        wanted: &Wanted,
        view: &FleetView,
        before: Option<&Table>,
    ) -> Self {
        let gateway = &config.gateway;
        let known: BTreeMap<&str, _> = wanted.watched.iter().map(|w| (w.id.as_str(), w)).collect();
        let mut table = Self {
            default_model: gateway.default_model.as_str().into(),
            policy: gateway.policy,
            young: view.at_ms == 0,
            ..Self::default()
        };
        for service in view.services.iter().filter(|service| Backend::is_one(service)) {
            // What nobody accepted is not asked for anything.
            let Some(watched) = known.get(service.id.as_str()) else { continue };
            let mut backend = Backend::of(service);
            backend.key.clone_from(&watched.key);
            backend.trust.clone_from(&watched.trust);
            let last = before.and_then(|before| {
                before.backends.get(&backend.id).or_else(|| before.off.get(&backend.id))
            });
            if let Some(last) = last.filter(|last| last.url == backend.url)
                && backend.models.is_empty()
            {
                backend.models.clone_from(&last.models);
            }
            if !watched.enabled {
                table.off.insert(backend.id.clone(), backend);
                continue;
            }
            if backend.models.is_empty() {
                table.young |= service.state == ServiceState::Starting;
                table.silent.extend((!backend.up).then(|| backend.id.clone()));
            }
            for name in backend.names() {
                table.owners.entry(name).or_default().push(backend.id.clone());
            }
            table.backends.insert(backend.id.clone(), backend);
        }
        table.follow(&gateway.routes);
        table.work_out();
        table.listing = Arc::new(Listing::of(&table.listed()));
        table
    }

    /// Of these alone, by their models' names and with no rules: for tests, and for
    /// measuring.
    pub fn of(backends: impl IntoIterator<Item = Backend>) -> Self {
        let mut table = Self::default();
        for backend in backends {
            for name in backend.names() {
                table.owners.entry(name).or_default().push(backend.id.clone());
            }
            table.backends.insert(backend.id.clone(), backend);
        }
        table.work_out();
        table.listing = Arc::new(Listing::of(&table.listed()));
        table
    }

    /// The way of a request for this model; an empty name is none.
    pub fn way(&self, endpoint: Endpoint, model: &str) -> Result<Arc<Way>, NoWay> {
        let (speech, known) = match endpoint {
            Endpoint::OllamaChat | Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => {
                (Speech::Ollama, &self.native)
            }
            _ => (Speech::Common, &self.ways),
        };
        let name = if model.is_empty() { &*self.default_model } else { model };
        if name.is_empty() {
            return Err(NoWay::Unnamed);
        }
        let way = match known.get(name) {
            Some(way) => way.clone(),
            None => self.find(speech, name).map(Arc::new),
        };
        let way = way.map_err(|none| self.why(endpoint, name, none));
        if model.is_empty() { way.map(|way| way.named(name)) } else { way }
    }

    pub fn backend(&self, id: &str) -> Option<&Backend> {
        self.backends.get(id)
    }

    /// By their ids.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.backends.values()
    }

    /// Everything that a program can ask for by a name of its own, by the alphabet.
    pub fn models(&self) -> &[Listed] {
        &self.listing.models
    }

    /// The answers to questions for the models, made beforehand.
    pub fn listing(&self) -> &Arc<Listing> {
        &self.listing
    }

    fn follow(&mut self, routes: &BTreeMap<String, Route>) {
        for (id, route) in routes.iter().filter(|(_, route)| route.enabled) {
            let known = |id: &str| self.backends.get(id).map(|backend| backend.id.clone());
            let backends = route
                .backends
                .iter()
                .filter_map(|text| weighted(text))
                .filter_map(|(id, weight)| Some((known(id)?, weight)))
                .collect();
            let patterns = route.models.iter().filter(|model| model.contains('*'));
            let at = self.rules.len();
            self.patterns.extend(patterns.map(|pattern| (pattern.clone(), at)));
            self.rules.push(Rule { id: id.as_str().into(), route: route.clone(), backends });
        }
        // The ids of the routes decide among equals.
        self.patterns.sort_by_key(|(pattern, at)| {
            (std::cmp::Reverse(pattern.chars().filter(|c| *c != '*').count()), *at)
        });
    }

    fn work_out(&mut self) {
        let names: BTreeSet<Arc<str>> = self
            .rules
            .iter()
            .flat_map(|rule| rule.route.models.iter())
            .filter(|model| !model.contains('*'))
            .map(|model| model.as_str().into())
            .chain(self.owners.keys().cloned())
            .chain(self.backends.keys().cloned())
            .collect();
        let found = |speech| {
            names
                .iter()
                .map(|name| (name.clone(), self.find(speech, name).map(Arc::new)))
                .collect::<FxHashMap<_, _>>()
        };
        let (ways, native) = (found(Speech::Common), found(Speech::Ollama));
        (self.ways, self.native) = (ways, native);
    }

    fn find(&self, speech: Speech, name: &str) -> Result<Way, NoWay> {
        let rule = self.rule_of(name);
        let mut way = Building::default();
        let asked = match rule {
            Some(rule) if !rule.route.send_as.is_empty() => rule.route.send_as.as_str(),
            _ => name,
        };
        let fallback = rule.map_or(&[][..], |rule| &rule.route.fallback).iter().map(|other| {
            // An alias leads on to its model, but not to that one's fallbacks.
            let named = self.rule_of(other).filter(|of| {
                !of.route.send_as.is_empty() && rule.is_none_or(|rule| rule.id != of.id)
            });
            named.map_or(other.as_str(), |of| of.route.send_as.as_str())
        });
        let fallback: Vec<&str> = fallback.collect();
        match rule {
            Some(rule) if !rule.route.backends.is_empty() => {
                let other = (asked != name).then(|| Arc::from(asked));
                for (id, weight) in &rule.backends {
                    // One that has told its models, and has another one of these instead, is
                    // asked for that.
                    if self.lacks(id, asked) && fallback.iter().any(|other| self.has(id, other)) {
                        continue;
                    }
                    way.add(self, speech, id, 0, *weight, other.clone());
                }
            }
            _ => self.lead(&mut way, speech, asked, 0, asked != name),
        }
        for (at, other) in fallback.into_iter().enumerate() {
            let rank = u8::try_from(at + 1).unwrap_or(u8::MAX);
            self.lead(&mut way, speech, other, rank, true);
        }
        way.others.retain(|other| *other.model != *asked);
        if way.candidates.is_empty() {
            return Err(match rule {
                Some(rule) if !self.young => NoWay::Nowhere {
                    route: rule.id.clone(),
                    model: name.into(),
                    asks: rule.route.backends.is_empty().then(|| asked.into()),
                },
                _ => self.nobody(name),
            });
        }
        let route = rule.map(|rule| &rule.route);
        let limited = rule.filter(|rule| rule.route.max_in_flight > 0);
        Ok(Way {
            route: rule.map(|rule| rule.id.clone()),
            counted: limited.map_or_else(|| asked.into(), |rule| counted(&rule.id)),
            candidates: way.candidates.into(),
            policy: match route.map(|route| route.policy) {
                None | Some(RoutePolicy::Default) => self.policy,
                Some(RoutePolicy::Of(policy)) => policy,
            },
            send_as: way.send_as,
            others: way.others,
            priority: route.and_then(|route| route.priority.priority()),
            cache: route.is_some_and(|route| route.cache),
            coalesce: match route.map(|route| route.coalesce) {
                None | Some(Coalesce::Default) => None,
                Some(Coalesce::On) => Some(true),
                Some(Coalesce::Off) => Some(false),
            },
        })
    }

    fn rule_of(&self, name: &str) -> Option<&Rule> {
        let whole = self.rules.iter().find(|rule| rule.route.models.iter().any(|m| m == name));
        whole.or_else(|| {
            let mut own = Building::default();
            self.lead(&mut own, Speech::Common, name, 0, false);
            self.patterns
                .iter()
                .filter(|(pattern, _)| matches(pattern, name))
                .filter_map(|(_, at)| self.rules.get(*at))
                .find(|rule| own.candidates.is_empty() || rule.route.send_as.is_empty())
        })
    }

    /// Adds those who have a model of that name.
    fn lead(&self, way: &mut Building, speech: Speech, name: &str, rank: u8, renamed: bool) {
        let as_named = || renamed.then(|| Arc::from(name));
        if let Some(owners) = self.owners.get(name) {
            for id in owners {
                way.add(self, speech, id, rank, 1, as_named());
            }
            return;
        }
        if let Some(backend) = self.backends.get(name) {
            let own = backend.loaded.as_ref().or(backend.models.first());
            return way.add(self, speech, &backend.id, rank, 1, own.cloned());
        }
        if let Some((id, model)) = name.split_once('/')
            && let Some(backend) = self.backends.get(id)
            && backend.names().iter().any(|known| &**known == model)
        {
            way.add(self, speech, &backend.id, rank, 1, Some(model.into()));
        }
    }

    fn nobody(&self, name: &str) -> NoWay {
        if self.young {
            return NoWay::NotYet { model: name.into() };
        }
        let all: BTreeSet<&Arc<str>> = self.ways.keys().collect();
        let near = nearest(name, all.iter().copied());
        let alike = !near.is_empty();
        let some = || self.models().iter().map(|m| m.name.clone()).take(MOST_NAMED).collect();
        NoWay::Unknown {
            model: name.into(),
            near: if alike { near } else { some() },
            alike,
            silent: self.silent.clone(),
        }
    }

    /// What is known better than that there is no way: it is there for other paths, or was
    /// switched off.
    fn why(&self, endpoint: Endpoint, name: &str, none: NoWay) -> NoWay {
        let ask_at = match endpoint {
            Endpoint::OllamaChat => Some("/v1/chat/completions"),
            Endpoint::OllamaGenerate => Some("/v1/completions"),
            Endpoint::OllamaEmbed => Some("/v1/embeddings"),
            _ => None,
        };
        if let Some(ask_at) = ask_at
            && let Ok(way) = self.way(Endpoint::Other, name)
        {
            let services = way.candidates.iter().map(|one| one.backend.clone()).collect();
            return NoWay::OtherSpeech { model: name.into(), services, ask_at };
        }
        let rule = self.rule_of(name);
        let asked = rule.map(|rule| rule.route.send_as.as_str()).filter(|other| !other.is_empty());
        let asked = asked.unwrap_or(name);
        let named = |backend: &Backend| {
            rule.is_some_and(|rule| {
                let ids = rule.route.backends.iter().filter_map(|text| weighted(text));
                ids.map(|(id, _)| id).any(|id| *id == *backend.id)
            })
        };
        let means = |backend: &&Backend| {
            let has = |model: &str| backend.names().iter().any(|known| **known == *model);
            let by_id = asked.split_once('/').is_some_and(|(id, of)| *id == *backend.id && has(of));
            *backend.id == *asked || by_id || has(asked) || named(backend)
        };
        let services: Vec<_> =
            self.off.values().filter(means).map(|backend| backend.id.clone()).collect();
        if services.is_empty() {
            return none;
        }
        NoWay::Off { model: name.into(), services }
    }

    fn has(&self, id: &str, model: &str) -> bool {
        self.owners.get(model).is_some_and(|owners| owners.iter().any(|owner| **owner == *id))
    }

    /// It has told its models, and this is none of them.
    fn lacks(&self, id: &str, model: &str) -> bool {
        self.backends.get(id).is_some_and(|backend| !backend.models.is_empty())
            && !self.has(id, model)
    }

    fn listed(&self) -> Vec<Listed> {
        let aliases = self.rules.iter().flat_map(|rule| &rule.route.models).map(String::as_str);
        let told = self.backends.values().flat_map(|backend| &backend.models).map(|m| &**m);
        let names: BTreeSet<&str> = told.chain(aliases.filter(|m| !m.contains('*'))).collect();
        names
            .into_iter()
            .filter_map(|name| {
                let way = self.ways.get(name)?.as_ref().ok()?;
                let first = way.candidates.iter().filter(|candidate| candidate.rank == 0);
                Some(Listed {
                    name: name.into(),
                    backends: first.map(|candidate| candidate.backend.clone()).collect(),
                    stands_for: way.send_as.first().cloned().flatten(),
                    native: self.native.get(name).is_some_and(Result::is_ok),
                })
            })
            .collect()
    }
}

/// What a route with a limit of its own is counted under. No model is called like this.
pub(crate) fn counted(route: &str) -> Arc<str> {
    format!("route:{route}").into()
}

/// A way in the making.
#[derive(Default)]
struct Building {
    candidates: Vec<Candidate>,
    send_as: Vec<Option<Arc<str>>>,
    others: Vec<Other>,
}

// === impl Building ===

impl Building {
    /// Each backend stands in a way once, where it stands first; a further model of it behind
    /// its first one.
    fn add(
        &mut self,
        table: &Table,
        speech: Speech,
        id: &BackendId,
        rank: u8,
        weight: u16,
        send_as: Option<Arc<str>>,
    ) {
        let kind = table.backends.get(id).and_then(|backend| backend.kind);
        let speaks = speech == Speech::Common || kind.is_none_or(|k| k == ServiceKind::Ollama);
        if !speaks {
            return;
        }
        match self.candidates.iter().position(|candidate| candidate.backend == *id) {
            None => {
                self.candidates.push(Candidate { backend: id.clone(), rank, weight });
                self.send_as.push(send_as);
            }
            Some(at) => {
                let Some(model) = send_as.filter(|_| rank > 0) else { return };
                let known = |other: &Other| other.backend == *id && other.model == model;
                if self.send_as[at].as_ref() != Some(&model) && !self.others.iter().any(known) {
                    self.others.push(Other { backend: id.clone(), model, rank });
                }
            }
        }
    }
}
