//! What was found by itself, and what a person said of it: proposed once, kept when
//! accepted, never forgotten because it is down.
//!
//! [`Known`] decides; here it is kept on disk, told to the history, and handed on to
//! those who watch and show.

mod word;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use plimsoll_core::{
    clock::Clock,
    config::{Accept, Config},
    mark::Mark,
    record::Record,
};
use plimsoll_history::State;
use plimsoll_services::{
    discovery::{Entry, Event, Finds, Known, Manner, Place, Sighting, Verdict, place},
    fleet::Proposed,
};
use tokio::sync::watch;

use crate::api::IgnoredService;

/// Where it stands in `state.db`.
const KEY: &str = "services.found";
/// What could not be read stands there, for a person who wants it back.
const DAMAGED: &str = "services.found.damaged";

/// Most removals that are remembered until what was removed is found again.
const MOST_EXPECTED: usize = 16;

/// What others make of it: whenever it changes, they are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offers {
    /// To be watched, up or down.
    pub accepted: Vec<Entry>,
    /// There now, and waiting for a person's word.
    pub proposed: Vec<Proposed>,
    pub ignored: Vec<IgnoredService>,
}

/// All that was found.
pub struct Found {
    known: Mutex<Known>,
    /// Whether something waits to be saved. Held while it is written: an older text
    /// must not come last.
    unsaved: tokio::sync::Mutex<bool>,
    state: Arc<State>,
    clock: Arc<dyn Clock>,
    /// Takes the marks.
    record: Arc<dyn Record>,
    offers: watch::Sender<Arc<Offers>>,
    /// Addresses that a person just took out of the configuration: that something is still
    /// there is no news to them.
    expected: Mutex<Vec<String>>,
}

// === impl Offers ===

impl Offers {
    pub fn of(known: &Known) -> Self {
        let ignored = known.entries().iter().filter(|entry| entry.verdict == Verdict::Ignored);
        Self {
            accepted: known.accepted().cloned().collect(),
            proposed: known.proposals(),
            ignored: ignored
                .map(|entry| IgnoredService {
                    id: entry.id.clone(),
                    name: entry.name.clone(),
                    kind: entry.signature.kind,
                    url: entry.url.clone(),
                    live: known.is_live(&entry.id),
                })
                .collect(),
        }
    }
}

// === impl Found ===

impl Found {
    /// What an earlier run kept. What cannot be read of it begins anew: nothing of it is
    /// worth a Plimsoll that does not start.
    pub async fn load(state: Arc<State>, clock: Arc<dyn Clock>, record: Arc<dyn Record>) -> Self {
        let text = state.kept(KEY).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "services that were found before could not be read");
            None
        });
        let known = match text.as_deref().map(read) {
            None => Known::default(),
            Some(Ok(known)) => known,
            Some(Err(error)) => {
                tracing::warn!(
                    %error,
                    "services that were found before are not readable, and are found anew"
                );
                if let Err(error) = state.keep(DAMAGED, text.as_deref().unwrap_or_default()).await {
                    tracing::warn!(%error, "and could not be set aside");
                }
                Known::default()
            }
        };
        let offers = watch::Sender::new(Arc::new(Offers::of(&known)));
        Self {
            known: Mutex::new(known),
            unsaved: tokio::sync::Mutex::new(false),
            state,
            clock,
            record,
            offers,
            expected: Mutex::default(),
        }
    }

    /// What is offered, now and whenever that changes.
    pub fn offers(&self) -> watch::Receiver<Arc<Offers>> {
        self.offers.subscribe()
    }

    pub fn entry(&self, id: &str) -> Option<Entry> {
        self.known().entry(id).cloned()
    }

    /// The one that was seen last at that address.
    pub fn at(&self, url: &str) -> Option<Entry> {
        self.known().entries().iter().find(|entry| same_place(&entry.url, url)).cloned()
    }

    pub fn ids(&self) -> BTreeSet<String> {
        self.known().entries().iter().map(|entry| entry.id.clone()).collect()
    }

    /// Takes in what is there now. Answers the ids of those that are news and wait for a
    /// person's word.
    pub async fn see(&self, finds: &Finds, config: &Config) -> Vec<String> {
        let manner = Manner {
            accept: config.services.accept == Accept::Always,
            taken: config.services.entries.keys().cloned().collect(),
        };
        // The search may not have heard yet what the configuration names by now.
        let left_out = left_out(config);
        let is_free = |s: &&Sighting| !left_out.contains(&s.candidate.place());
        let sightings: Vec<Sighting> = finds.sightings.iter().filter(is_free).cloned().collect();
        let now_ms = self.clock.now().wall_ms;
        let seen = self.known().see(&sightings, &finds.undecided, &manner, now_ms);
        self.publish();
        let mut proposed = Vec::new();
        for event in seen.events {
            match event {
                Event::Found { id } if self.is_expected(&id) => {}
                event => {
                    self.tell(&event);
                    if let Event::Found { id } = event {
                        proposed.push(id);
                    }
                }
            }
        }
        if seen.changed || *self.unsaved.lock().await {
            // It is tried again with whatever is seen next.
            let _ = self.save().await;
        }
        proposed
    }

    /// What is found at that address next is no news.
    pub fn expect(&self, url: &str) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        if expected.len() == MOST_EXPECTED {
            expected.remove(0);
        }
        expected.push(url.to_owned());
    }

    fn is_expected(&self, id: &str) -> bool {
        let Some(entry) = self.entry(id) else { return false };
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let before = expected.len();
        expected.retain(|url| !same_place(url, &entry.url));
        expected.len() < before
    }

    /// What the configuration names is its own from now on; what it names no more is what
    /// it was before.
    pub async fn give_way(&self, config: &Config) {
        let named = |of: &Entry| is_named(config, &of.id, &of.url);
        let changed = self.known().give_way(named);
        if changed {
            self.publish();
            let _ = self.save().await;
        }
    }

    /// A service that a person takes out of the configuration is not to come back as what
    /// it was before.
    pub async fn forget_aside(&self, id: &str, url: &str) {
        let meant = |of: &Entry| of.id == id || same_place(&of.url, url);
        if self.known().forget_aside(meant) {
            let _ = self.save().await;
        }
    }

    async fn save(&self) -> Result<(), plimsoll_history::ReadError> {
        let mut unsaved = self.unsaved.lock().await;
        let text = serde_json::to_string(&*self.known()).unwrap_or_default();
        let saved = self.state.keep(KEY, &text).await;
        if let Err(error) = &saved
            && !*unsaved
        {
            tracing::warn!(%error, "services that were found could not be kept");
        }
        *unsaved = saved.is_err();
        saved
    }

    fn publish(&self) {
        let offers = Offers::of(&self.known());
        self.offers.send_if_modified(|now| {
            let changed = **now != offers;
            if changed {
                *now = Arc::new(offers);
            }
            changed
        });
    }

    fn tell(&self, event: &Event) {
        let (Event::Found { id } | Event::Accepted { id } | Event::Moved { id, .. }) = event;
        let Some(entry) = self.entry(id) else { return };
        let words = match event {
            Event::Found { .. } => format!("{} was found", told(&entry)),
            Event::Accepted { .. } => format!("{} was found and is watched", told(&entry)),
            Event::Moved { from, to, .. } => format!("{} moved from {from} to {to}", entry.name),
        };
        self.mark(id, words);
    }

    fn mark(&self, id: &str, title: String) {
        tracing::info!(service = %id, "{title}");
        self.record.mark(Mark::of_service(self.clock.now().wall_ms, id, title));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was found by an earlier run, where nobody runs; nothing is made or changed.
pub async fn peek(folder: &std::path::Path) -> Known {
    match State::peek(folder, KEY).await {
        Ok(text) => text.as_deref().and_then(|text| read(text).ok()).unwrap_or_default(),
        Err(error) => {
            tracing::debug!(%error, "services that were found could not be read");
            Known::default()
        }
    }
}

fn read(text: &str) -> Result<Known, serde_json::Error> {
    serde_json::from_str(text)
}

/// Places that the configuration names.
pub fn left_out(config: &Config) -> BTreeSet<Place> {
    config.services.entries.values().filter_map(|entry| place(&entry.url)).collect()
}

/// Whether the configuration names one of that id or at that address.
pub fn is_named(config: &Config, id: &str, url: &str) -> bool {
    let entries = &config.services.entries;
    entries.contains_key(id) || entries.values().any(|of| same_place(&of.url, url))
}

/// Whether two addresses lead to one listener.
pub fn same_place(a: &str, b: &str) -> bool {
    let plain = |url: &str| url.trim().trim_end_matches('/').to_owned();
    // Behind one port of another machine a gateway may have one for each path.
    let whole = |url: &str, at: &Place| {
        at.ip.is_none() || plain(url).split_once("://").is_some_and(|(_, rest)| !rest.contains('/'))
    };
    let place = |url: &str| place(url).filter(|at| whole(url, at));
    let places = (place(a), place(b));
    plain(a) == plain(b) || places.0.is_some() && places.0 == places.1
}

/// Its name and where it is; the kind, where the name does not say it.
pub fn told(entry: &Entry) -> String {
    let kind = entry.signature.kind.label();
    if entry.name.contains(kind) {
        format!("{} at {}", entry.name, entry.url)
    } else {
        format!("{} ({kind} at {})", entry.name, entry.url)
    }
}

#[cfg(test)]
pub(super) mod tests;
