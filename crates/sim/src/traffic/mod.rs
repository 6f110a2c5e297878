//! What the clients of the simulated workstation would have asked through the gateway before
//! the demo was opened: the clients and services that answer now, second by second, with the
//! gateway of whoever joins the two ([`Gate`]). What comes out is the request log of that past,
//! and the gateway's series, counted from the same rows.

mod gate;
mod steps;
#[cfg(test)]
mod tests;
mod way;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plimsoll_core::{
    mark::Mark,
    reading::Reading,
    request::{Finish, RequestRow},
};

pub use self::gate::{Caller, Ended, Entrance, Gate, Refused, Standing};
use self::way::{At, Way};
use crate::{
    cast::PastService,
    clients::{Ask, MOST, Program, noise_of_client, programs},
    noise::Noise,
    scenario::ScenarioError,
    server::inside::{Event, NOBODY, Us},
    world::Plan,
};

/// Looks in which others must be seen at a service.
const LOOKS: usize = 3;

/// The requests of a past, on their way.
pub struct Traffic {
    gate: Box<dyn Gate>,
    plan: Arc<Plan>,
    clients: Vec<Client>,
    /// The second at which every engine's time is 0.
    origin_s: i64,
    second: i64,
    now: Us,
    ways: BTreeMap<u64, Way>,
    agenda: BTreeSet<(Us, Step, u64)>,
    /// Requests of this second that did not come yet, by the number they will have.
    coming: BTreeMap<u64, (usize, Ask)>,
    last: u64,
    last_row: i64,
    /// What each service runs for others, at the last looks.
    others: Vec<[u32; LOOKS]>,
    /// Joules that one request would have had that ran all the time, each moment shared out
    /// over those that ran then.
    shares: f64,
    watts: Option<f64>,
    rows: Vec<RequestRow>,
    noise: Noise,
    /// Kept, so that a second needs no new one.
    events: Vec<Event>,
}

struct Client {
    program: Program,
    noise: Noise,
    name: Arc<str>,
    /// Place of the service that has its model.
    service: usize,
}

/// In the order in which they are done at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Fail,
    Leave,
    Come,
}

// === impl Traffic ===

impl Traffic {
    pub fn new(
        gate: Box<dyn Gate>,
        plan: &Arc<Plan>,
        services: &[PastService],
        (origin_s, from_s): (i64, i64),
    ) -> Result<Self, ScenarioError> {
        let mut clients = Vec::new();
        for (program, place) in programs()?.into_iter().zip(0u64..) {
            let Some(service) = services.iter().position(|s| s.model() == program.model()) else {
                continue;
            };
            let name = program.name().into();
            clients.push(Client { noise: noise_of_client(place), program, name, service });
        }
        let mut traffic = Self {
            gate,
            plan: plan.clone(),
            clients,
            origin_s,
            second: from_s,
            now: 0,
            ways: BTreeMap::new(),
            agenda: BTreeSet::new(),
            coming: BTreeMap::new(),
            last: 0,
            last_row: 0,
            others: vec![[0; LOOKS]; services.len()],
            shares: 0.0,
            watts: None,
            rows: Vec::new(),
            noise: noise_of_client(u64::MAX / 2),
            events: Vec::new(),
        };
        traffic.now = traffic.us(from_s);
        Ok(traffic)
    }

    /// Brings everything to the beginning of that second; a second that has passed changes
    /// nothing. `watts`: what the card drew meanwhile, where it tells.
    pub fn advance(&mut self, second: i64, watts: Option<f64>, services: &mut [PastService]) {
        while self.second < second {
            self.watts = watts;
            self.ask(services);
            self.second += 1;
            self.pass(self.us(self.second), services);
            for (place, service) in services.iter().enumerate() {
                let ours = self.ways.values().filter(|w| w.service == place && !w.waits()).count();
                let looks = &mut self.others[place];
                looks.rotate_right(1);
                looks[0] = service.works_on().map_or(0, |all| all.saturating_sub(count(ours)));
                let outside = looks.iter().copied().min().unwrap_or(0);
                let up = service.how(self.second).serves();
                self.gate.seen(service.id(), up, outside, self.ms());
            }
            self.hear(services);
        }
    }

    /// The gateway's series.
    pub fn tell(&mut self, services: &[PastService], out: &mut Vec<Reading>) {
        let standing = |way: &Way| Standing {
            client: way.client(),
            service: services[way.service].id().clone(),
            waits: way.waits(),
        };
        let under_way: Vec<_> = self.ways.values().map(standing).collect();
        self.gate.tell(&under_way, out);
    }

    /// Requests that ended since this was asked last, in the order of their ends.
    pub fn take(&mut self) -> Vec<RequestRow> {
        std::mem::take(&mut self.rows)
    }

    /// What the gateway did by itself.
    pub fn marks(&mut self) -> Vec<Mark> {
        self.gate.marks()
    }

    fn us(&self, second: i64) -> Us {
        u64::try_from(second - self.origin_s).unwrap_or(0).saturating_mul(1_000_000)
    }

    fn wall_ms(&self) -> i64 {
        self.origin_s * 1000 + i64::try_from(self.now / 1000).unwrap_or(0)
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.wall_ms()).unwrap_or(0)
    }

    /// What this second's clients ask, were there room with each of them.
    fn ask(&mut self, services: &[PastService]) {
        let levels = self.plan.levels(self.second);
        let begin = self.us(self.second);
        for who in 0..self.clients.len() {
            let client = &self.clients[who];
            // Nobody asks for what would first have to be loaded.
            if services[client.service].is_gone(self.second) {
                continue;
            }
            let level = levels[client.program.activity as usize];
            for ask in client.program.asks(client.noise, level, self.second) {
                let under_way = self.ways.values().filter(|way| way.who == who).count()
                    + self.coming.values().filter(|(of, _)| *of == who).count();
                if under_way < self.clients[who].program.most
                    && self.ways.len() + self.coming.len() < MOST
                {
                    self.last += 1;
                    let at = begin + us_of(ask.after);
                    self.agenda.insert((at, Step::Come, self.last));
                    self.coming.insert(self.last, (who, ask));
                }
            }
        }
    }

    /// Lets time pass up to and with a moment.
    fn pass(&mut self, end: Us, services: &mut [PastService]) {
        loop {
            let step = self.agenda.first().map(|(at, _, _)| *at);
            let gate = self.gate.due_ms().map(|due| {
                let ms = i64::try_from(due).unwrap_or(i64::MAX).max(self.wall_ms() + 1);
                u64::try_from(ms - self.origin_s * 1000).unwrap_or(0).saturating_mul(1000)
            });
            // An engine that has none of these may go on by itself.
            let busy = |place: usize| self.ways.values().any(|w| w.service == place && !w.waits());
            let engines = services.iter().enumerate().filter(|(place, _)| busy(*place));
            let engine = engines.filter_map(|(_, service)| service.due()).min();
            let next = [step, gate, engine].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.move_to(next, services);
            if gate == Some(next) {
                self.gate.tick(self.ms());
            }
            while let Some((_, step, id)) = self.agenda.first().copied().filter(|s| s.0 <= next) {
                self.agenda.pop_first();
                match step {
                    Step::Come => self.come(id, services),
                    Step::Fail => self.fail(id, services),
                    Step::Leave => self.leave(id, services),
                }
            }
            self.hear(services);
        }
        self.move_to(end, services);
        self.hear(services);
    }

    /// Brings the engines to a moment, and hears what they did.
    fn move_to(&mut self, now: Us, services: &mut [PastService]) {
        let running = self.ways.values().filter(|way| matches!(way.at, At::Service { .. })).count();
        if running > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a share of a second")]
            let seconds = (now - self.now) as f64 / 1e6 / running as f64;
            self.shares += self.watts.unwrap_or(0.0) * seconds;
            if self.watts.is_none() {
                self.ways.values_mut().for_each(|way| way.joules = None);
            }
        }
        self.now = now;
        let mut events = std::mem::take(&mut self.events);
        for service in &mut *services {
            service.move_to(now, &mut events);
        }
        for event in events.drain(..) {
            match event {
                Event::Token(id) if id & NOBODY == 0 => {
                    if let Some(way) = self.ways.get_mut(&id) {
                        way.token(now);
                    }
                }
                Event::Done(id, outcome) if id & NOBODY == 0 => {
                    let Some(mut way) = self.take_way(id) else { continue };
                    let embeds = services[way.service].embeds();
                    let tokens = way.counted(outcome.prompt, embeds);
                    self.gate.release(id, Ended::Served, Some(tokens), self.ms());
                    self.put(way, Finish::Answered, 200, String::new());
                }
                Event::Lost(id) if id & NOBODY == 0 => {
                    let Some(way) = self.take_way(id) else { continue };
                    self.gate.release(id, Ended::Failed, None, self.ms());
                    let place = services[way.service].place();
                    let reason = format!("{place} broke off in the middle of its answer.");
                    let status = if way.first.is_some() { 200 } else { 502 };
                    self.put(way, Finish::Failed, status, reason);
                }
                _ => {}
            }
        }
        self.events = events;
    }
}

fn us_of(span: std::time::Duration) -> Us {
    u64::try_from(span.as_micros()).unwrap_or(Us::MAX)
}

fn count(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}
