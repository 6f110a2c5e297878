//! Loads of models, counted from one look to the next: a model that was seen not
//! loaded and is loaded now, or whose server is another process than before.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use plimsoll_services::service::{Loaded, MAX_MODELS, Service};

/// Loads are counted within this span.
pub const WINDOW_MS: i64 = 600_000;
/// Loads that are remembered; more than that is as bad.
const MOST: usize = 256;

/// The loads of one service.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    /// By model: whether it was loaded when it was last known, and since when, where
    /// that was seen.
    known: BTreeMap<Arc<str>, (bool, Option<i64>)>,
    /// What is loaded at the first look was loaded at some time before it.
    began: bool,
    started_ms: Option<i64>,
    done: VecDeque<(i64, Arc<str>)>,
}

// === impl Loads ===

impl Loads {
    pub fn take(&mut self, now_ms: i64, service: &Service) {
        while self.done.front().is_some_and(|(at, _)| now_ms - at > WINDOW_MS) {
            self.done.pop_front();
        }
        if !service.state.serves() {
            return;
        }
        let started_ms = service.holder.as_ref().map(|holder| holder.started_ms);
        let restarted = matches!((self.started_ms, started_ms), (Some(a), Some(b)) if a != b);
        self.started_ms = started_ms.or(self.started_ms);
        let models = || service.models.iter().take(MAX_MODELS);
        // A list without a name says that it is not in memory.
        let listed: BTreeSet<&str> = models().map(|model| model.name.as_str()).collect();
        self.known.retain(|name, _| listed.contains(&**name));
        for model in models() {
            let before = self.known.get(model.name.as_str()).copied();
            match model.loaded {
                Loaded::Unknown => {}
                Loaded::Loading | Loaded::Unloaded => {
                    if before.is_none_or(|(loaded, _)| loaded) {
                        self.known.insert(model.name.as_str().into(), (false, None));
                    }
                }
                Loaded::Loaded => {
                    let loads = match before {
                        Some((loaded, _)) => !loaded || restarted,
                        None => self.began,
                    };
                    if loads {
                        self.loaded(now_ms, model.name.as_str().into());
                    } else if before.is_none() {
                        self.known.insert(model.name.as_str().into(), (true, None));
                    }
                }
            }
        }
        self.began = true;
    }

    fn loaded(&mut self, now_ms: i64, name: Arc<str>) {
        self.known.insert(name.clone(), (true, Some(now_ms)));
        if self.done.len() >= MOST {
            self.done.pop_front();
        }
        self.done.push_back((now_ms, name));
    }

    /// Loads within [`WINDOW_MS`].
    pub fn count(&self) -> usize {
        self.done.len()
    }

    /// How often each model was loaded, the most often first.
    pub fn by_model(&self) -> Vec<(Arc<str>, usize)> {
        let mut counts: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for (_, name) in &self.done {
            *counts.entry(name).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().map(|(name, n)| (name.clone(), n)).collect();
        counts.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        counts
    }

    /// One of them was loaded more than once: some models one after another are no
    /// more than a start.
    pub fn is_again(&self) -> bool {
        self.by_model().first().is_some_and(|&(_, n)| n > 1)
    }

    /// When the newest load was seen.
    pub fn last_ms(&self) -> Option<i64> {
        self.done.back().map(|&(at, _)| at)
    }

    /// When this model was seen to be loaded; `None` where it was before we looked.
    pub fn loaded_ms(&self, model: &str) -> Option<i64> {
        self.known.get(model).and_then(|&(loaded, at)| at.filter(|_| loaded))
    }
}
