//! What was ever found on this machine, under an id that stays: what a person
//! accepted, what they want to hear nothing of, and what waits for their word.
//!
//! Found is told once. Nothing is forgotten because it is down; a service that
//! moved to another port or started with other flags is known again (see
//! [`super::signature`]); of two that look the same and run at once each has an id.
//! Pure: the caller gives what is seen and the time, and keeps [`Known`] on disk
//! whenever it changed.

mod aside;

use std::collections::BTreeSet;

use plimsoll_core::config::ids::{free, mend};
use serde::{Deserialize, Serialize};

use super::{candidates::Place, identify::Sighting, signature::Signature};
use crate::{
    fleet::{MAX_SERVICES, Proposed},
    kind::ServiceKind,
};

/// Most services that are remembered. Beyond it the ones that were not seen for the
/// longest time go first, accepted ones never.
pub const MAX_KNOWN: usize = 500;
/// Most services that can be accepted: more are not watched.
pub const MAX_ACCEPTED: usize = MAX_SERVICES;
/// Longest name, in characters.
const LONGEST_NAME: usize = 64;
/// How exactly `seen_ms` is kept: it alone makes no reason to write.
const SEEN_EVERY_MS: i64 = 60 * 60 * 1000;
/// Words that the configuration uses where an id would stand.
const RESERVED: &[&str] = &["discover", "accept", "services", "all"];

/// What a person said of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing yet.
    Proposed,
    Accepted,
    Ignored,
}

/// One service that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `[a-z0-9-]{1,32}`; never another one.
    pub id: String,
    /// For people.
    pub name: String,
    /// Where it was seen last.
    pub url: String,
    pub verdict: Verdict,
    pub signature: Signature,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub found_ms: i64,
    /// When it was seen last, to the hour.
    pub seen_ms: i64,
}

/// All that was found. What is written to disk is the list of entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    entries: Vec<Entry>,
    /// Those that the configuration names, as they were before it did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aside: Vec<Entry>,
    /// Those that were there when it was last looked.
    #[serde(skip)]
    live: BTreeSet<String>,
}

/// What is to be done with what is found.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// `services.accept = "always"`.
    pub accept: bool,
    /// Ids that others have: those of the configuration.
    pub taken: BTreeSet<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something new, which waits for a person's word.
    Found { id: String },
    /// Something new, which is watched at once.
    Accepted { id: String },
    /// It is now at another address. Told of accepted ones only.
    Moved { id: String, from: String, to: String },
}

/// What came of a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub events: Vec<Event>,
    /// Something is to be written to disk.
    pub changed: bool,
}

/// Whether an entry, once seen at the first place, is what is now seen at the second.
type Is<'a> = dyn Fn(&Entry, Option<Place>, Place, &Signature) -> bool + 'a;

/// Why a word was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnownError {
    #[error("there is no service {0} that was found")]
    NoSuch(String),
    #[error("{MAX_ACCEPTED} services are watched already; remove one first")]
    Full,
}

// === impl Known ===

impl Known {
    /// Takes in what is there now. `undecided` are the places where something
    /// listens of which it is not known yet what it is: a service that was there
    /// has not moved away while it may merely be starting.
    pub fn see(
        &mut self,
        sightings: &[Sighting],
        undecided: &BTreeSet<Place>,
        manner: &Manner,
        now_ms: i64,
    ) -> Seen {
        let signatures: Vec<Signature> = sightings.iter().map(Signature::of).collect();
        let matched = self.match_all(sightings, &signatures, undecided);
        let mut seen = Seen::default();
        self.live.clear();
        for ((sighting, signature), entry) in sightings.iter().zip(signatures).zip(matched) {
            match entry {
                Some(at) => self.meet(at, sighting, signature, now_ms, &mut seen),
                None => self.add(sighting, signature, manner, now_ms, &mut seen),
            }
        }
        self.prune(&mut seen);
        seen
    }

    /// All entries, in the order in which they were found.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// Whether one has that id, be it set aside.
    fn has(&self, id: &str) -> bool {
        self.entries.iter().chain(&self.aside).any(|entry| entry.id == id)
    }

    /// Whether it was there when it was last looked.
    pub fn is_live(&self, id: &str) -> bool {
        self.live.contains(id)
    }

    /// What is to be watched, whether it is up or down.
    pub fn accepted(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.verdict == Verdict::Accepted)
    }

    /// What waits for a person's word and is there now.
    pub fn proposals(&self) -> Vec<Proposed> {
        let waits = |entry: &&Entry| entry.verdict == Verdict::Proposed && self.is_live(&entry.id);
        self.entries
            .iter()
            .filter(waits)
            .map(|entry| Proposed {
                id: entry.id.clone(),
                name: entry.name.clone(),
                kind: entry.signature.kind,
                url: entry.url.clone(),
                version: entry.version.clone(),
                found_ms: entry.found_ms,
            })
            .collect()
    }

    /// A person says what they want of a service. `Proposed` takes an earlier word back.
    /// Answers whether something changed.
    pub fn judge(&mut self, id: &str, verdict: Verdict) -> Result<bool, KnownError> {
        let full = self.accepted().count() >= MAX_ACCEPTED;
        let entry = self.entries.iter_mut().find(|entry| entry.id == id);
        let entry = entry.ok_or_else(|| KnownError::NoSuch(id.to_string()))?;
        if entry.verdict == verdict {
            return Ok(false);
        }
        if verdict == Verdict::Accepted && full {
            return Err(KnownError::Full);
        }
        entry.verdict = verdict;
        Ok(true)
    }

    /// For each sighting the entry that it is. The surest are settled first, each
    /// entry once.
    fn match_all(
        &self,
        sightings: &[Sighting],
        signatures: &[Signature],
        undecided: &BTreeSet<Place>,
    ) -> Vec<Option<usize>> {
        let places: Vec<Option<Place>> =
            self.entries.iter().map(|entry| place_of(&entry.url)).collect();
        // Of several that are down the one that was there last has moved.
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|&at| (std::cmp::Reverse(self.entries[at].seen_ms), at));
        let mut matched: Vec<Option<usize>> = vec![None; sightings.len()];
        let mut free: BTreeSet<usize> = order.iter().copied().collect();
        let mut settle = |is: &Is<'_>| {
            for (n, sighting) in sightings.iter().enumerate() {
                if matched[n].is_some() {
                    continue;
                }
                let here = sighting.candidate.place();
                let is = |at: &usize| {
                    free.contains(at) && is(&self.entries[*at], places[*at], here, &signatures[n])
                };
                if let Some(&at) = order.iter().find(|at| is(at)) {
                    free.remove(&at);
                    matched[n] = Some(at);
                }
            }
        };
        settle(&|entry, was, here, found| was == Some(here) && entry.signature.is_same(found));
        settle(&|entry, was, _, found| {
            // Docker deals the addresses of containers: who is at one now says nothing of
            // who was there before.
            let waits = |place: Place| place.ip.is_none() && undecided.contains(&place);
            entry.signature.is_same(found) && !was.is_some_and(waits)
        });
        settle(&|entry, was, here, found| {
            // An accepted one is watched at that address in any case.
            let accepted = entry.verdict == Verdict::Accepted;
            was == Some(here)
                && !(here.ip.is_some() && entry.signature.is_another_container(found))
                && entry.signature.kind == found.kind
                && (accepted || entry.signature.may_be(found))
        });
        matched
    }

    fn meet(
        &mut self,
        at: usize,
        sighting: &Sighting,
        signature: Signature,
        now_ms: i64,
        seen: &mut Seen,
    ) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        self.live.insert(entry.id.clone());
        let url = url_of(signature.kind, sighting);
        if place_of(&entry.url) != Some(sighting.candidate.place()) {
            if entry.verdict == Verdict::Accepted {
                let (from, to) = (entry.url.clone(), url.clone());
                seen.events.push(Event::Moved { id: entry.id.clone(), from, to });
            }
            entry.url = url;
            seen.changed = true;
        }
        let version = sighting.identity.version.as_deref().map(clean);
        if version.is_some() && version != entry.version {
            entry.version = version;
            seen.changed = true;
        }
        let newer = entry.signature.updated(signature);
        if newer != entry.signature {
            entry.signature = newer;
            seen.changed = true;
        }
        // A clock that was set back makes it no older.
        if now_ms - entry.seen_ms >= SEEN_EVERY_MS {
            entry.seen_ms = now_ms;
            seen.changed = true;
        }
    }

    fn add(
        &mut self,
        sighting: &Sighting,
        signature: Signature,
        manner: &Manner,
        now_ms: i64,
        seen: &mut Seen,
    ) {
        let name = self.name_for(sighting, &signature);
        let id = self.id_for(&name, signature.kind, &manner.taken);
        let accept = manner.accept && self.accepted().count() < MAX_ACCEPTED;
        let (verdict, event) = if accept {
            (Verdict::Accepted, Event::Accepted { id: id.clone() })
        } else {
            (Verdict::Proposed, Event::Found { id: id.clone() })
        };
        self.entries.push(Entry {
            id: id.clone(),
            name,
            url: url_of(signature.kind, sighting),
            verdict,
            signature,
            version: sighting.identity.version.as_deref().map(clean),
            found_ms: now_ms,
            seen_ms: now_ms,
        });
        self.live.insert(id);
        seen.events.push(event);
        seen.changed = true;
    }

    /// What its server is called by itself, else its container, else what it is.
    /// No two have the same.
    fn name_for(&self, sighting: &Sighting, signature: &Signature) -> String {
        let told = [sighting.identity.name.as_deref(), signature.container.as_deref()];
        let name = told.into_iter().flatten().map(clean).find(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| signature.kind.label().to_string());
        let has = |name: &str| self.entries.iter().any(|entry| entry.name == name);
        if !has(&name) {
            return name;
        }
        // Bounded, because so many are known at most.
        (2..).map(|n| format!("{name} {n}")).find(|next| !has(next)).unwrap_or(name)
    }

    fn id_for(&self, name: &str, kind: ServiceKind, taken: &BTreeSet<String>) -> String {
        let base = mend(name).unwrap_or_else(|| kind.name().to_string());
        let has = |id: &str| taken.contains(id) || RESERVED.contains(&id) || self.has(id);
        free(&base, has)
    }

    fn prune(&mut self, seen: &mut Seen) {
        let over = self.entries.len().saturating_sub(MAX_KNOWN);
        if over == 0 {
            return;
        }
        let may_go = |e: &&Entry| e.verdict != Verdict::Accepted && !self.live.contains(&e.id);
        // What somebody once decided weighs more than what nobody looked at.
        let mut ages: Vec<(bool, i64, String)> = self
            .entries
            .iter()
            .filter(may_go)
            .map(|e| (e.verdict == Verdict::Ignored, e.seen_ms, e.id.clone()))
            .collect();
        ages.sort_unstable();
        let gone: BTreeSet<String> = ages.into_iter().take(over).map(|(_, _, id)| id).collect();
        seen.changed |= !gone.is_empty();
        self.entries.retain(|entry| !gone.contains(&entry.id));
    }
}

// === impl Entry ===

impl Entry {
    /// The container whose own address its address is.
    pub fn container(&self) -> Option<&str> {
        place_of(&self.url)?.ip?;
        self.signature.container.as_deref()
    }
}

// === impl Signature ===

impl Signature {
    /// The newer one, with what it does not tell from the older: a program that is
    /// another user's is told at one time and not at another.
    fn updated(&self, newer: Signature) -> Signature {
        let keep = |new: Option<String>, old: &Option<String>| new.or_else(|| old.clone());
        Signature {
            container: keep(newer.container, &self.container),
            unit: keep(newer.unit, &self.unit),
            user: keep(newer.user, &self.user),
            program: keep(newer.program, &self.program),
            line: keep(newer.line, &self.line),
            model: keep(newer.model, &self.model),
            ..newer
        }
    }
}

/// The place of an address that [`url_of`] made; it is asked for every entry at every look.
fn place_of(url: &str) -> Option<Place> {
    url.split_once("://")?.1.parse().ok().map(Place::of)
}

fn url_of(kind: ServiceKind, sighting: &Sighting) -> String {
    format!("{}://{}", kind.scheme(), sighting.address)
}

fn clean(text: &str) -> String {
    let plain: String =
        text.trim().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    plain.trim_end().to_string()
}

#[cfg(test)]
mod tests;
