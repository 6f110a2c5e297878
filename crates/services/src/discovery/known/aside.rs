//! What the configuration names is its own for so long: what was found of it, and what was
//! said of that, is set aside, and holds again afterwards. So an addition that is undone
//! ends as what was there before.

use super::{Entry, Known, MAX_ACCEPTED, Verdict};

// === impl Known ===

impl Known {
    /// Sets those aside that the configuration names by now, and takes those back, with
    /// what was said of them, that it names no more. Answers whether something changed.
    pub fn give_way(&mut self, is_named: impl Fn(&Entry) -> bool) -> bool {
        let (named, entries): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.entries).into_iter().partition(&is_named);
        let (aside, back): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.aside).into_iter().partition(&is_named);
        let changed = !named.is_empty() || !back.is_empty();
        self.entries = entries;
        self.aside = aside;
        for entry in named {
            self.live.remove(&entry.id);
            self.aside.push(entry);
        }
        back.into_iter().for_each(|entry| self.take_back(entry));
        changed
    }

    /// Forgets what was set aside for those that the configuration names. What is still
    /// there when it names them no more is found anew.
    /// Answers whether there was any.
    pub fn forget_aside(&mut self, is_meant: impl Fn(&Entry) -> bool) -> bool {
        let before = self.aside.len();
        self.aside.retain(|entry| !is_meant(entry));
        self.aside.len() < before
    }

    /// What was said since of what is at its place counts more than what was said before.
    fn take_back(&mut self, mut entry: Entry) {
        let same = |other: &Entry| other.id == entry.id || other.url == entry.url;
        if self.entries.iter().any(|other| same(other) && other.verdict != Verdict::Proposed) {
            return;
        }
        let live = self.entries.iter().any(|other| same(other) && self.live.contains(&other.id));
        let gone: Vec<String> =
            self.entries.iter().filter(|other| same(other)).map(|other| other.id.clone()).collect();
        self.entries.retain(|other| !gone.contains(&other.id));
        gone.iter().for_each(|id| {
            self.live.remove(id);
        });
        if entry.verdict == Verdict::Accepted && self.accepted().count() >= MAX_ACCEPTED {
            entry.verdict = Verdict::Proposed;
        }
        if live {
            self.live.insert(entry.id.clone());
        }
        self.entries.push(entry);
    }
}
