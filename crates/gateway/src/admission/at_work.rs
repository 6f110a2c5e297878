//! What of a backend's requests in flight is really there by now. A permit is held before its
//! request is sent, and after its client has left, so that what a server says of itself cannot
//! be compared with the permits that it has.

use super::{Admission, Id, entry::State};

/// Of what is in flight at one backend, and whose clients are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtWork {
    /// Sent: it is there, or on its way.
    pub sent: u32,
    /// Of these, those whose answers have begun: they are there for certain.
    pub answering: u32,
}

// === impl Admission ===

impl Admission {
    pub fn at_work(&self, backend: &str) -> AtWork {
        let at = self.backend_of.get(backend);
        at.map_or(AtWork::default(), |at| self.backends[*at as usize].at_work)
    }

    /// It is sent to the backend that it was granted.
    pub fn sent(&mut self, id: Id) {
        let Some(key) = self.find(id, State::Held) else { return };
        let entry = &mut self.entries[key as usize];
        if std::mem::replace(&mut entry.sent, true) {
            return;
        }
        let at_work = &mut self.backends[entry.backend as usize].at_work;
        at_work.sent += 1;
        at_work.answering += u32::from(entry.answered);
    }

    /// Its client has left: its backend should not work on it any more. It holds its room
    /// until it is released.
    pub fn left(&mut self, id: Id) {
        if let Some(key) = self.find(id, State::Held) {
            self.works_no_more(key);
        }
    }

    pub(super) fn works_no_more(&mut self, key: u32) {
        let entry = &mut self.entries[key as usize];
        if !std::mem::replace(&mut entry.sent, false) {
            return;
        }
        let at_work = &mut self.backends[entry.backend as usize].at_work;
        at_work.sent -= 1;
        at_work.answering -= u32::from(entry.answered);
    }
}
