//! The machine looked at from within: its counts agree with each other.

use std::collections::BTreeSet;

use crate::admission::{
    Admission,
    entry::{Entry, State},
    next::Block,
};

// === impl Admission ===

impl Admission {
    /// What must hold between any two calls: no room stands empty that somebody waits for,
    /// and counts agree with what they count.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut waiting: Vec<&Entry> = self
            .entries
            .iter()
            .map(|(_, entry)| entry)
            .filter(|entry| entry.state == State::Waiting)
            .collect();
        waiting.sort_by_key(|entry| entry.order);
        let mut lines = BTreeSet::new();
        let mut lanes = BTreeSet::new();
        for entry in &waiting {
            // Whoever stands behind one that wants the same and may not go on waits for it.
            let line = (entry.group, entry.model);
            let lane = (line, entry.client, entry.class);
            if lines.contains(&line) || !lanes.insert(lane) {
                continue;
            }
            match self.clone().admissible(entry) {
                Ok(_) => return Err(format!("{} could go on, and waits", entry.id)),
                Err(Block::Client | Block::Rate(_) | Block::Choosy) => {}
                Err(_) => {
                    lines.insert(line);
                }
            }
        }
        let held = self.entries.iter().filter(|(_, entry)| entry.state == State::Held).count();
        let counts = [
            ("in flight", held, self.in_flight as usize),
            ("waiting", waiting.len(), self.queue.len() as usize),
            ("ids", self.entries.len(), self.ids.len()),
            ("clients", self.clients.len(), self.client_of.len()),
            ("models", self.models.len(), self.model_of.len()),
            ("backends", self.backends.len(), self.backend_of.len()),
            ("groups", self.groups.len(), self.group_of.len()),
            (
                "of clients",
                self.entries.len(),
                self.clients.iter().map(|(_, client)| client.known as usize).sum(),
            ),
            (
                "of lists",
                self.entries.len(),
                self.groups.iter().map(|(_, group)| group.uses as usize).sum(),
            ),
            (
                "rejecting",
                self.backends.iter().filter(|(_, one)| one.breaker.rejects()).count(),
                self.rejecting as usize,
            ),
        ];
        match counts.iter().find(|(_, counted, kept)| counted != kept) {
            Some((what, counted, kept)) => Err(format!("{what}: {counted}, but {kept} kept")),
            None => self.queue.check(&self.entries),
        }
    }
}
