//! Who may not wait, why one waited in vain, and how long it takes.

use std::fmt::Write as _;

use super::{
    Admission, Limit, Ms, Place, Refusal,
    entry::{Class, Entry},
    next::Block,
    parties::{Backend, Client, whole},
};

/// When to come again where nothing better is known.
const SOON: Ms = 1000;
/// When to come again where a backend must first be started.
const LATER: Ms = 5000;
/// When to come again where it is down: whoever asks for it has it looked at, and by then that
/// look has ended.
const LOOKED: Ms = 2000;

// === impl Refusal ===

impl Refusal {
    pub(super) fn stopping() -> Self {
        Self {
            limit: Limit::Stopping,
            reason: "Plimsoll is stopping and takes no more requests.".into(),
            retry_after: Some(LATER),
        }
    }

    pub(super) fn no_time_to_retry(pause: Ms) -> Self {
        let reason = match pause {
            0 => "It failed, and its deadline leaves no time to try again.".into(),
            pause => {
                format!("It failed, and its deadline comes before another try in {}.", Span(pause))
            }
        };
        Self { limit: Limit::Deadline, reason, retry_after: Some(pause.max(SOON)) }
    }

    pub(super) fn twice(id: u64) -> Self {
        let reason = format!("Request {id} is already here.");
        Self { limit: Limit::Twice, reason, retry_after: None }
    }
}

// === impl Admission ===

// Each reason is one sentence for a person: what is full or wrong, and where it can be told
// how much of it.
impl Admission {
    /// Refuses at once what could not be served in time.
    pub(super) fn may_wait(&mut self, entry: &Entry, block: Option<Block>) -> Result<(), Refusal> {
        if self.never_fits(entry) {
            return Err(self.too_big(entry));
        }
        if block == Some(Block::Closed) {
            self.may_wait_for_backend(entry)?;
        }
        if entry.deadline <= self.now {
            return Err(self.too_late(entry));
        }
        self.may_wait_for_rate(entry)?;
        self.has_place(entry)?;
        let position = self.place(entry).position;
        let Some((expected, soonest)) = self.expected(entry, position) else { return Ok(()) };
        if self.now.saturating_add(soonest) > entry.deadline {
            let reason = format!(
                "{} requests stand before it, and it would be served in about {}, after its \
                 deadline.",
                position - 1,
                Span(expected),
            );
            return Err(Refusal { limit: Limit::Deadline, reason, retry_after: Some(expected) });
        }
        Ok(())
    }

    /// Why one that waited, or may not wait, is refused.
    pub(super) fn too_late(&mut self, entry: &Entry) -> Refusal {
        let waited = Span(self.now.saturating_sub(entry.came));
        if let Some(gate) = self.gates.held_by() {
            let reason = format!("Nothing is admitted: {}.", gate.reason());
            return Refusal { limit: Limit::Pressure, reason, retry_after: Some(LATER) };
        }
        if let Some(refusal) = self.refused_by_rate(entry) {
            return refusal;
        }
        if let Some((reason, retry_after)) = self.none_serves(entry) {
            return Refusal { limit: Limit::Backends, reason, retry_after: Some(retry_after) };
        }
        let full = self.what_is_full(entry);
        let reason = if entry.deadline <= entry.came {
            format!("There is no room now, and it may not wait: {full}.")
        } else {
            format!("No room came free in the {waited} that it waited: {full}.")
        };
        let retry_after = self.expected(entry, 1).map_or(SOON, |(wait, _)| wait.max(SOON));
        Refusal { limit: Limit::Deadline, reason, retry_after: Some(retry_after) }
    }

    pub(super) fn too_big(&self, entry: &Entry) -> Refusal {
        let most = self.members(entry).filter_map(Backend::kv_tokens).max();
        let reason = format!(
            "It may take {} tokens, and no backend that could answer holds more than {}.",
            entry.tokens,
            most.unwrap_or(0)
        );
        Refusal { limit: Limit::Tokens, reason, retry_after: None }
    }

    /// Every backend that could answer is too small for it.
    pub(super) fn never_fits(&self, entry: &Entry) -> bool {
        let mut members = self.members(entry).peekable();
        members.peek().is_some() && members.all(|backend| !backend.could_hold(entry.tokens))
    }

    pub(super) fn place(&self, entry: &Entry) -> Place {
        let waiting = &self.groups[entry.group as usize].waiting;
        let before: u32 = waiting[..=entry.class as usize].iter().sum();
        let position = before.saturating_add(1);
        Place { position, expected_wait: self.expected(entry, position).map(|(wait, _)| wait) }
    }

    /// How long the one at `position` waits, and how long at least: as if the first place
    /// came free at once. `None` before enough requests ended to say so.
    pub(super) fn expected(&self, entry: &Entry, position: u32) -> Option<(Ms, Ms)> {
        let group = &self.groups[entry.group as usize];
        let rank = group.ranks.iter().find(|rank| rank.passing > 0).or(group.ranks.first())?;
        let (mut room, mut hold, mut known) = (0_u32, 0.0, 0_u32);
        for member in &rank.members {
            let backend = &self.backends[member.backend as usize];
            room = room.saturating_add(backend.room());
            if let Some(ms) = backend.hold_ms() {
                hold += ms;
                known += 1;
            }
        }
        if known == 0 {
            return None;
        }
        let hold = hold / f64::from(known);
        let room = room.min(self.limits.in_flight.unwrap_or(u32::MAX)).max(1);
        let mut expected = wait(position, room, hold);
        let mut narrow = |queued: u32, room: Option<u32>| {
            if let Some(room) = room {
                let own = wait(queued.saturating_add(1), room.max(1), hold);
                expected = (expected.0.max(own.0), expected.1.max(own.1));
            }
        };
        let client = &self.clients[entry.client as usize];
        narrow(client.queued, client.in_flight_room);
        let model = &self.models[entry.model as usize];
        narrow(model.queued, model.room);
        Some((whole(expected.0), whole(expected.1)))
    }

    fn has_place(&self, entry: &Entry) -> Result<(), Refusal> {
        let full = |reason: String| {
            let retry_after = self.expected(entry, 1).map_or(SOON, |(wait, _)| wait.max(SOON));
            Err(Refusal { limit: Limit::Queue, reason, retry_after: Some(retry_after) })
        };
        let (queue, batch) = (self.limits.queue, self.limits.queue_batch);
        if self.queue.len() >= queue {
            return full(format!("The queue is full: {queue} requests wait."));
        }
        if entry.class == Class::Batch && self.queue.of_class(Class::Batch) >= batch {
            return full(format!("The queue is full for batch requests: {batch} wait."));
        }
        let client = &self.clients[entry.client as usize];
        if let Some(most) = client.queue_room
            && client.queued >= most
        {
            return full(format!(
                "The client {} may have {most} requests in the queue, and has.",
                client.name
            ));
        }
        Ok(())
    }

    fn refused_by_rate(&mut self, entry: &Entry) -> Option<Refusal> {
        if entry.paid {
            return None;
        }
        let now = self.now;
        let client = &mut self.clients[entry.client as usize];
        if !client.rated() {
            return None;
        }
        let ready = client.ready_at(entry.tokens, now);
        if ready == Some(now) {
            return None;
        }
        Some(client.over_rate(entry.tokens, ready, now))
    }

    fn may_wait_for_rate(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let now = self.now;
        let client = &mut self.clients[entry.client as usize];
        if !client.rated() {
            return Ok(());
        }
        match client.ready_after_queue(entry.tokens, now) {
            Some(ready) if ready <= entry.deadline => Ok(()),
            ready => Err(client.over_rate(entry.tokens, ready, now)),
        }
    }

    /// Where no backend serves, it waits only for one that is asked again in its time, or that
    /// Plimsoll itself is starting anew.
    pub(super) fn may_wait_for_backend(&self, entry: &Entry) -> Result<(), Refusal> {
        let hope = self.members(entry).any(|backend| {
            let until = backend.breaker.until();
            match (backend.retiring, backend.resting) {
                (0, 0) => backend.up && until.is_none_or(|until| until < entry.deadline),
                (retiring, _) => retiring == 0,
            }
        });
        if hope {
            return Ok(());
        }
        let (reason, retry_after) =
            self.none_serves(entry).unwrap_or_else(|| ("No backend can answer.".into(), LATER));
        Err(Refusal { limit: Limit::Backends, reason, retry_after: Some(retry_after) })
    }

    /// What is wrong with each backend, and when to come again; `None` where one serves.
    fn none_serves(&self, entry: &Entry) -> Option<(String, Ms)> {
        let group = &self.groups[entry.group as usize];
        if group.ranks.iter().any(|rank| rank.passing > 0) {
            return None;
        }
        let mut reason = String::from("No backend can answer");
        let mut soonest = None::<Ms>;
        for (n, backend) in self.members(entry).enumerate() {
            // A list of many would not be read.
            if n == 3 {
                reason.push_str("; …");
                break;
            }
            reason.push_str(if n == 0 { ": " } else { "; " });
            let view = backend.breaker.view();
            if backend.resting > 0 {
                let _ = write!(reason, "{} is being stopped or started anew", backend.id);
                continue;
            }
            let _ = match (backend.up, view.tripped, view.next_probe) {
                (false, ..) => {
                    soonest = Some(soonest.map_or(LOOKED, |before| before.min(LOOKED)));
                    write!(reason, "{} is down", backend.id)
                }
                (true, Some(why), Some(at)) => {
                    let left = at.saturating_sub(self.now);
                    soonest = Some(soonest.map_or(left, |before| before.min(left)));
                    write!(
                        reason,
                        "{} is left alone, because {why}, and asked again in {}",
                        backend.id,
                        Span(left)
                    )
                }
                (true, Some(why), None) => {
                    soonest = Some(soonest.map_or(SOON, |before| before.min(SOON)));
                    write!(reason, "{} is being asked again, because {why}", backend.id)
                }
                (true, None, _) => write!(reason, "{} serves again", backend.id),
            };
        }
        reason.push('.');
        Some((reason, soonest.map_or(LATER, |left| left.max(SOON))))
    }

    fn what_is_full(&self, entry: &Entry) -> String {
        if let Some(room) = self.limits.in_flight
            && self.in_flight >= room
        {
            return match Over::of(self.in_flight, room) {
                Some(over) => over.said(" in all"),
                None => format!("{} of {room} requests are in flight in all", self.in_flight),
            };
        }
        let client = &self.clients[entry.client as usize];
        if let Some(room) = client.in_flight_room
            && client.in_flight >= room
        {
            return match Over::of(client.in_flight, room) {
                Some(over) => over.said(&format!(" for {}", client.name)),
                None => format!("{} of {room} of {} are in flight", client.in_flight, client.name),
            };
        }
        let model = &self.models[entry.model as usize];
        if let Some(room) = model.room
            && model.in_flight >= room
        {
            return match Over::of(model.in_flight, room) {
                Some(over) => over.said(&format!(" on {}", model.name)),
                None => format!("{} of {room} for {} are in flight", model.in_flight, model.name),
            };
        }
        let mut text = String::new();
        for (n, backend) in self.members(entry).take(3).enumerate() {
            text.push_str(if n == 0 { "" } else { ", " });
            let (id, room, outside) = (&backend.id, backend.room(), backend.outside);
            if backend.in_flight < room {
                let _ = write!(text, "{id} has no room for {} tokens", entry.tokens);
                continue;
            }
            text.push_str(&match Over::of(backend.in_flight, room) {
                Some(over) => over.said(&format!(" on {id}")),
                None => format!("{} of {room} on {id}", backend.in_flight),
            });
            if outside > 0 {
                let _ = write!(text, ", and {outside} that did not come through Plimsoll");
            }
        }
        text
    }

    fn members(&self, entry: &Entry) -> impl Iterator<Item = &Backend> {
        let group = &self.groups[entry.group as usize];
        let members = group.ranks.iter().flat_map(|rank| &rank.members);
        members.map(|member| &self.backends[member.backend as usize])
    }
}

// === impl Client ===

impl Client {
    fn over_rate(&mut self, tokens: u32, ready: Option<Ms>, now: Ms) -> Refusal {
        let (what, rate) = self.narrowest(tokens, now);
        let left = ready.map(|ready| ready.saturating_sub(now));
        let reason = match left {
            Some(left) => {
                format!(
                    "The client {} has used up its rate of {rate} {what} a minute; there is \
                     more in {}.",
                    self.name,
                    Span(left)
                )
            }
            None => {
                format!("The client {} may have no requests: its rate of {what} is 0.", self.name)
            }
        };
        Refusal { limit: Limit::Rate, reason, retry_after: left.map(|left| left.max(SOON)) }
    }
}

/// More runs than is allowed: a limit was lowered below what ran.
struct Over {
    runs: u32,
    room: u32,
}

// === impl Over ===

impl Over {
    fn of(runs: u32, room: u32) -> Option<Self> {
        (runs > room).then_some(Self { runs, room })
    }

    /// E.g. `4 run on chat where 3 are allowed`.
    fn said(&self, at: &str) -> String {
        let run = if self.runs == 1 { "runs" } else { "run" };
        let are = if self.room == 1 { "is" } else { "are" };
        format!("{} {run}{at} where {} {are} allowed", self.runs, self.room)
    }
}

/// The wait of the one at `position` where `room` places are each held for `hold` ms, and
/// the least it can be.
fn wait(position: u32, room: u32, hold: f64) -> (f64, f64) {
    let rounds = |of: u32| f64::from(of) / f64::from(room) * hold;
    (rounds(position), rounds(position.saturating_sub(room)))
}

/// A span of time as a person says it.
struct Span(Ms);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            ms @ ..1000 => write!(f, "{ms} ms"),
            ms @ ..10_000 => write!(f, "{:.1} s", ms as f64 / 1000.0),
            ms @ ..120_000 => write!(f, "{} s", ms.div_ceil(1000)),
            ms => write!(f, "{} min", ms.div_ceil(60_000)),
        }
    }
}
