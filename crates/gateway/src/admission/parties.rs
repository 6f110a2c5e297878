//! Those whose room is taken: backends, clients, models.

use std::sync::Arc;

use super::{
    AtWork, BackendId, BackendView, Id, Limits, Moved, Ms, Outcome,
    balance::Standing,
    breaker::Breaker,
    entry::{Entry, Order},
    gradient::Gradient,
    limits::{BackendLimits, BreakerLimits, ClientLimits},
    rate::Bucket,
};

/// Requests that must have ended before their time is taken for usual.
const USUAL: u64 = 5;
/// An adaptive limit is told when it moved by a tenth, at most so often.
const TOLD_EVERY: Ms = 10_000;

#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) id: BackendId,
    limits: BackendLimits,
    pub(super) up: bool,
    /// How many keep it from new requests, because it is stopped or started anew.
    pub(super) resting: u32,
    /// How many of these do not bring it back.
    pub(super) retiring: u32,
    pub(super) outside: u32,
    pub(super) in_flight: u32,
    pub(super) at_work: AtWork,
    pub(super) kv_used: u64,
    /// Place in line of one that waits until enough tokens are free here.
    pub(super) reserved: Option<Order>,
    pub(super) breaker: Breaker,
    gradient: Option<Gradient>,
    /// The adaptive limit as it was told last, and when.
    told: (u32, Ms),
    /// Mean time that a request held a place, lately.
    hold_ms: f64,
    pub(super) granted: u64,
    served: u64,
    failed: u64,
    unknown: u64,
    /// Number of the grant that came here last.
    pub(super) last: u64,
    /// Where it stands in lists of candidates.
    pub(super) seats: Vec<Seat>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) group: u32,
    pub(super) rank: u32,
    pub(super) member: u32,
    pub(super) backend: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) name: Arc<str>,
    pub(super) in_flight_room: Option<u32>,
    pub(super) queue_room: Option<u32>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    pub(super) in_flight: u32,
    pub(super) queued: u32,
    pub(super) queued_tokens: u64,
    /// Requests known here.
    pub(super) known: u32,
    /// When its rate allows the next one, while one waits for that.
    pub(super) wake: Option<Ms>,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) name: Arc<str>,
    pub(super) room: Option<u32>,
    pub(super) in_flight: u32,
    pub(super) queued: u32,
    pub(super) known: u32,
}

// === impl Backend ===

impl Backend {
    pub(super) fn new(id: BackendId, limits: &Limits, now: Ms) -> Self {
        let mut backend = Self {
            limits: BackendLimits::default(),
            up: true,
            resting: 0,
            retiring: 0,
            outside: 0,
            in_flight: 0,
            at_work: AtWork::default(),
            kv_used: 0,
            reserved: None,
            breaker: Breaker::new(now),
            gradient: None,
            told: (0, now),
            hold_ms: 0.0,
            granted: 0,
            served: 0,
            failed: 0,
            unknown: 0,
            last: 0,
            seats: Vec::new(),
            id,
        };
        backend.limits_changed(limits, now);
        backend
    }

    /// True when its breaker turned.
    pub(super) fn limits_changed(&mut self, limits: &Limits, now: Ms) -> bool {
        self.limits = limits.of_backend(&self.id);
        match (&self.limits.adaptive, &mut self.gradient) {
            (None, gradient) => *gradient = None,
            (Some(adaptive), Some(gradient)) => {
                gradient.limits_changed(adaptive, self.limits.room);
            }
            (Some(adaptive), none) => {
                let gradient = Gradient::new(adaptive, self.limits.room);
                self.told = (gradient.limit(), now);
                *none = Some(gradient);
            }
        }
        self.breaker.limits_changed(now, &limits.breaker)
    }

    /// How many it may have through here; `u32::MAX`: no limit.
    pub(super) fn room(&self) -> u32 {
        let found = self.gradient.as_ref().map_or(u32::MAX, Gradient::limit);
        let room = self.limits.room.unwrap_or(u32::MAX).min(found).min(self.breaker.ramp());
        if room == u32::MAX { room } else { room.saturating_sub(self.outside) }
    }

    pub(super) fn standing(&self) -> Standing {
        match () {
            () if !self.up || self.resting > 0 => Standing::Out,
            () if self.breaker.passes() => Standing::Passing,
            () if self.breaker.wants_probe() && self.in_flight < self.room() => Standing::Probe,
            () => Standing::Out,
        }
    }

    pub(super) fn open(&self) -> bool {
        self.up && self.resting == 0 && self.breaker.passes() && self.in_flight < self.room()
    }

    /// Enough tokens are free, and nobody before `entry` waits for them.
    pub(super) fn fits(&self, entry: &Entry) -> bool {
        self.reserved.is_none_or(|before| entry.order <= before)
            && self
                .limits
                .kv_tokens
                .is_none_or(|kv| self.kv_used.saturating_add(u64::from(entry.tokens)) <= kv)
    }

    pub(super) fn could_hold(&self, tokens: u32) -> bool {
        self.limits.kv_tokens.is_none_or(|kv| u64::from(tokens) <= kv)
    }

    /// Tokens that it holds at most; `None`: any number.
    pub(super) fn kv_tokens(&self) -> Option<u64> {
        self.limits.kv_tokens
    }

    pub(super) fn kv_free(&self) -> u64 {
        self.limits.kv_tokens.unwrap_or(u64::MAX).saturating_sub(self.kv_used)
    }

    /// True when its breaker turned.
    pub(super) fn ended(
        &mut self,
        entry: &Entry,
        outcome: Outcome,
        now: Ms,
        limits: &BreakerLimits,
    ) -> bool {
        self.in_flight -= 1;
        self.kv_used -= u64::from(entry.tokens);
        match outcome {
            Outcome::Served => {
                self.served += 1;
                let held = now.saturating_sub(entry.granted) as f64;
                let weight = (1.0 / self.served as f64).max(0.125);
                self.hold_ms += (held - self.hold_ms) * weight;
            }
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown => self.unknown += 1,
        }
        // Not everybody says when an answer begins.
        let began = outcome == Outcome::Served && !entry.answered && self.answered(entry.id, now);
        self.breaker.ended(entry.id, outcome, now, limits) || began
    }

    /// An answer began. True when its breaker turned.
    pub(super) fn answered(&mut self, id: Id, now: Ms) -> bool {
        let passed = self.breaker.passes();
        self.breaker.answered(id, now, self.limits.room.unwrap_or(u32::MAX));
        self.breaker.passes() != passed
    }

    /// It recovers: each answer that begins gives it more room.
    pub(super) fn recovers(&self) -> bool {
        !self.breaker.passes() || self.breaker.ramp() != u32::MAX
    }

    /// `None` before enough ended to say what is usual.
    pub(super) fn hold_ms(&self) -> Option<f64> {
        (self.served >= USUAL).then_some(self.hold_ms)
    }

    /// What is to be told of its adaptive limit; `None` where it has none or it stands.
    pub(super) fn first_token(&mut self, ttft_ms: f64, now: Ms) -> Option<FirstToken> {
        let (Some(adaptive), Some(gradient)) = (&self.limits.adaptive, &mut self.gradient) else {
            return None;
        };
        let before = gradient.limit();
        gradient.sample(ttft_ms, self.in_flight, adaptive, self.limits.room);
        let limit = gradient.limit();
        if limit == before {
            return None;
        }
        let (told, at) = self.told;
        let much = told.abs_diff(limit) >= (told / 10).max(1);
        if much && now.saturating_sub(at) >= TOLD_EVERY {
            self.told = (limit, now);
            let backend = self.id.clone();
            return Some(FirstToken::Told(Moved::Adaptive { backend, from: told, to: limit }));
        }
        Some(FirstToken::Moved)
    }

    pub(super) fn view(&self, queued: u32) -> BackendView {
        let room = self.room();
        BackendView {
            id: self.id.clone(),
            up: self.up,
            resting: self.resting > 0,
            room: self.limits.room,
            room_now: (room != u32::MAX).then_some(room),
            in_flight: self.in_flight,
            queued,
            kv_used: self.kv_used,
            adaptive: self.gradient.as_ref().map(Gradient::limit),
            breaker: self.breaker.view(),
            granted: self.granted,
            served: self.served,
            failed: self.failed,
            unknown: self.unknown,
        }
    }
}

/// What a first token did to an adaptive limit.
pub(super) enum FirstToken {
    Moved,
    Told(Moved),
}

// === impl Client ===

impl Client {
    pub(super) fn new(name: Arc<str>, limits: ClientLimits, now: Ms) -> Self {
        let mut client = Self {
            name,
            in_flight_room: None,
            queue_room: None,
            requests: None,
            tokens: None,
            in_flight: 0,
            queued: 0,
            queued_tokens: 0,
            known: 0,
            wake: None,
        };
        client.set(limits, now);
        client
    }

    pub(super) fn set(&mut self, limits: ClientLimits, now: Ms) {
        self.in_flight_room = limits.in_flight;
        self.queue_room = limits.queue;
        let set = |bucket: &mut Option<Bucket>, rate: Option<u32>| match (&mut *bucket, rate) {
            (_, None) => *bucket = None,
            (Some(bucket), Some(rate)) => bucket.set(rate, now),
            (none, Some(rate)) => *none = Some(Bucket::new(rate, now)),
        };
        set(&mut self.requests, limits.requests_per_minute);
        set(&mut self.tokens, limits.tokens_per_minute);
    }

    pub(super) fn rated(&self) -> bool {
        self.requests.is_some() || self.tokens.is_some()
    }

    /// When its rates allow one of so many tokens; `None`: never.
    pub(super) fn ready_at(&mut self, tokens: u32, now: Ms) -> Option<Ms> {
        let requests = self.requests.as_mut().map_or(Some(now), |rate| rate.ready_at(1, now))?;
        let tokens = u64::from(tokens);
        let tokens = self.tokens.as_mut().map_or(Some(now), |rate| rate.ready_at(tokens, now))?;
        Some(requests.max(tokens))
    }

    /// Which of its rates lets it wait the longest, and how many a minute that is.
    pub(super) fn narrowest(&mut self, tokens: u32, now: Ms) -> (&'static str, u32) {
        let queued = u64::from(self.queued) + 1;
        let ahead = self.queued_tokens.saturating_add(u64::from(tokens));
        let never = Ms::MAX;
        let requests = self.requests.as_mut().map(|rate| {
            (rate.ready_after(queued, now).unwrap_or(never), ("requests", rate.per_minute()))
        });
        let tokens = self.tokens.as_mut().map(|rate| {
            (rate.ready_after(ahead, now).unwrap_or(never), ("tokens", rate.per_minute()))
        });
        let longest = requests.into_iter().chain(tokens).max_by_key(|(ready, _)| *ready);
        longest.map_or(("requests", 0), |(_, which)| which)
    }

    /// When its rates allow one more after all that wait; `None`: never.
    pub(super) fn ready_after_queue(&mut self, tokens: u32, now: Ms) -> Option<Ms> {
        let one_by_one = self.ready_at(tokens, now)?;
        if self.queued == 0 {
            return Some(one_by_one);
        }
        let many = u64::from(self.queued) + 1;
        let requests =
            self.requests.as_mut().map_or(Some(now), |rate| rate.ready_after(many, now))?;
        let ahead = self.queued_tokens;
        let tokens = self.tokens.as_mut().map_or(Some(now), |rate| rate.ready_after(ahead, now))?;
        Some(one_by_one.max(requests).max(tokens))
    }

    pub(super) fn pay(&mut self, tokens: u32) {
        if let Some(requests) = &mut self.requests {
            requests.take(1);
        }
        if let Some(rate) = &mut self.tokens {
            rate.take(u64::from(tokens));
        }
    }

    pub(super) fn settle(&mut self, estimate: u32, really: u32) {
        if let Some(rate) = &mut self.tokens {
            rate.settle(u64::from(estimate), u64::from(really));
        }
    }

    /// Nothing is known of it that would be missed.
    pub(super) fn rested(&mut self, now: Ms) -> bool {
        self.requests.as_mut().is_none_or(|rate| rate.is_full(now))
            && self.tokens.as_mut().is_none_or(|rate| rate.is_full(now))
    }
}

// === impl Model ===

impl Model {
    pub(super) fn new(name: Arc<str>, room: Option<u32>) -> Self {
        Self { name, room, in_flight: 0, queued: 0, known: 0 }
    }
}

/// Milliseconds, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and nothing here is negative"
)]
pub(super) fn whole(ms: f64) -> Ms {
    ms.round() as Ms
}
