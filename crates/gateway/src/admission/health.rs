//! What is said of a backend from outside: that it is up, that it is busy with what did not come
//! through here, that it is about to be stopped.

use std::sync::Arc;

use super::{Admission, Ms};

// === impl Admission ===

impl Admission {
    /// A backend's health, as its checks say.
    pub fn up(&mut self, backend: &str, up: bool, now: Ms) {
        self.pass_time(now);
        if up && !self.backend_of.contains_key(backend) {
            return;
        }
        let at = self.backend(&Arc::from(backend));
        if std::mem::replace(&mut self.backends[at as usize].up, up) == up {
            return;
        }
        if up {
            self.came_back(at);
        }
        self.refresh(at);
        self.pump();
        self.refuse_hopeless();
    }

    /// Whoever waits may ask it now, not at the end of its breaker's pause.
    fn came_back(&mut self, at: u32) {
        let one = &mut self.backends[at as usize];
        if one.breaker.rejects() {
            one.breaker.ask_now(self.now);
            self.breaker_moved(at);
        }
    }

    /// A backend is about to be stopped or started anew: it takes nothing new, what runs there
    /// goes on, and who waits for it waits on, also where its checks say that it is down. It
    /// takes as many [`Self::rested`] to end it.
    pub fn rest(&mut self, backend: &str, now: Ms) {
        self.pass_time(now);
        let at = self.backend(&Arc::from(backend));
        self.backends[at as usize].resting += 1;
        self.refresh(at);
        self.pump();
    }

    /// The same of one that does not come back by itself: who comes and could go nowhere else is
    /// refused, as where it is down. It takes as many [`Self::retired`] to end it.
    pub fn retire(&mut self, backend: &str, now: Ms) {
        self.rest(backend, now);
        if let Some(at) = self.backend_of.get(backend).copied() {
            self.backends[at as usize].retiring += 1;
        }
        self.refuse_hopeless();
    }

    pub fn retired(&mut self, backend: &str, now: Ms) {
        if let Some(at) = self.backend_of.get(backend).copied() {
            let one = &mut self.backends[at as usize];
            one.retiring = one.retiring.saturating_sub(1);
        }
        self.rested(backend, now);
    }

    pub fn rested(&mut self, backend: &str, now: Ms) {
        self.pass_time(now);
        let Some(at) = self.backend_of.get(backend).copied() else { return };
        let one = &mut self.backends[at as usize];
        one.resting = one.resting.saturating_sub(1);
        if one.resting == 0 {
            self.came_back(at);
        }
        self.refresh(at);
        self.pump();
        self.refuse_hopeless();
    }

    /// How many requests a backend runs that did not come through here.
    pub fn outside(&mut self, backend: &str, running: u32, now: Ms) {
        self.pass_time(now);
        if running == 0 && !self.backend_of.contains_key(backend) {
            return;
        }
        let at = self.backend(&Arc::from(backend));
        let one = &mut self.backends[at as usize];
        if std::mem::replace(&mut one.outside, running) != running {
            self.refresh(at);
            self.pump();
        }
    }
}
