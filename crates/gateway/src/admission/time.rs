//! What time alone decides: deadlines, breakers' pauses, rates, retries that come back.

use super::{Admission, Ms, entry::index};

// === impl Admission ===

impl Admission {
    /// Time passed: deadlines, breakers, rates, retries that come back.
    pub fn tick(&mut self, now: Ms) {
        self.now = self.now.max(now);
        let mut changed = false;
        if self.rejecting > 0 {
            let due: Vec<u32> = self
                .backends
                .iter_mut()
                .filter_map(|(at, backend)| backend.breaker.tick(self.now).then(|| index(at)))
                .collect();
            for at in due {
                self.breaker_moved(at);
                self.refresh(at);
                changed = true;
            }
        }
        while let Some((at, client)) = self.wakes.first().copied()
            && at <= self.now
        {
            self.wakes.pop_first();
            if let Some(client) = self.clients.get_mut(client as usize) {
                client.wake = None;
            }
            changed |= self.queue.unpark(&self.entries, client);
        }
        while let Some((at, key)) = self.sleepers.first().copied()
            && at <= self.now
        {
            self.sleepers.pop_first();
            self.wait(key);
            changed = true;
        }
        // What should have been admitted earlier is not admitted now, whatever came free.
        changed |= self.now > 0 && self.expire(self.now - 1);
        if changed {
            self.pump();
        }
        // What came due this moment had its last chance.
        if self.expire(self.now) {
            self.pump();
        }
    }

    /// When [`Self::tick`] has something to do; `None`: not before something else happens.
    pub fn next_due(&self) -> Option<Ms> {
        if self.queue.is_empty() && self.sleepers.is_empty() {
            return None;
        }
        let breakers = (self.rejecting > 0)
            .then(|| self.backends.iter().filter_map(|(_, b)| b.breaker.until()).min())
            .flatten();
        [
            self.queue.next_deadline().map(|(at, _)| at),
            self.sleepers.first().map(|(at, _)| *at),
            self.wakes.first().map(|(at, _)| *at),
            breakers,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// With each call comes its time; what time alone decides is decided first.
    pub(super) fn pass_time(&mut self, now: Ms) {
        self.now = self.now.max(now);
        if self.rejecting > 0 || !self.queue.is_empty() || !self.sleepers.is_empty() {
            self.tick(now);
        }
    }

    /// Refuses those whose deadline was not after `now`. One of them may have held up others:
    /// true if there was any.
    fn expire(&mut self, now: Ms) -> bool {
        let mut any = false;
        while let Some((deadline, key)) = self.queue.next_deadline()
            && deadline <= now
        {
            let entry = self.entries[key as usize];
            let refusal = self.too_late(&entry);
            self.decide(key, Err(refusal));
            any = true;
        }
        any
    }
}
