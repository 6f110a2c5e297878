//! What the clients of the simulated workstation would have asked through the gateway before
//! the demo was opened: the clients and services that answer now, second by second, with the
//! gateway of whoever joins the two ([`Gate`]). What comes out is the request log of that past,
//! and the gateway's series, counted from the same rows.

mod gate;
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
    cast::{PastService, Reached},
    clients::{Ask, MOST, Program, noise_of_client, programs},
    noise::Noise,
    scenario::ScenarioError,
    server::inside::{Event, NOBODY, Us},
    world::Plan,
};

/// Numbers of requests in the log grow by this much a millisecond.
const IDS_PER_MS: i64 = 4096;
/// Looks in which others must be seen at a service.
const LOOKS: usize = 3;
/// A failure is heard of after so long.
const FAILS_US: Us = 2_000;

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

    fn come(&mut self, id: u64, services: &mut [PastService]) {
        let Some((who, ask)) = self.coming.remove(&id) else { return };
        let client = &self.clients[who];
        let program = &client.program;
        let at_ms = self.wall_ms();
        self.last_row = (at_ms * IDS_PER_MS).max(self.last_row + 1);
        let unit = self.noise.white(id, self.second).abs();
        let row = RequestRow {
            id: self.last_row,
            at_ms,
            client: client.name.to_string(),
            endpoint: program.endpoint(),
            model: program.model().to_owned(),
            sent_model: None,
            route: None,
            // The only one that could answer.
            backend: Some(services[client.service].id().to_string()),
            priority: program.priority(),
            stream: program.streams(),
            finish: Finish::Answered,
            status: 0,
            reason: String::new(),
            wait_us: 0,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            overhead_us: 60 + (110.0 * unit) as u64,
            ttft_us: None,
            itl_p50_us: None,
            itl_p95_us: None,
            total_us: 0,
            tokens_in: None,
            tokens_out: None,
            retries: 0,
            shared: None,
            joules: None,
        };
        let caller = Caller {
            id,
            client: client.name.clone(),
            model: program.model().into(),
            service: services[client.service].id().clone(),
            priority: program.priority(),
            tokens: program.cost(&ask, services[client.service].says(ask.seed())).most(),
            patience_ms: program.patience_ms(),
        };
        if let Some(leaves) = ask.leaves {
            self.agenda.insert((self.now + us_of(leaves), Step::Leave, id));
        }
        let way = Way::new(who, ask, client.service, self.now, row);
        self.ways.insert(id, way);
        match self.gate.offer(&caller, self.ms()) {
            Entrance::Granted => self.send(id, services),
            Entrance::Waits => {}
            Entrance::Refused(refused) => self.refuse(id, refused),
        }
    }

    /// What became of those that waited.
    fn hear(&mut self, services: &mut [PastService]) {
        loop {
            let decided = self.gate.decided();
            if decided.is_empty() {
                return;
            }
            for (id, decision) in decided {
                match decision {
                    Ok(()) => self.send(id, services),
                    Err(refused) => self.refuse(id, refused),
                }
            }
        }
    }

    fn send(&mut self, id: u64, services: &mut [PastService]) {
        let (now, shares) = (self.now, self.shares);
        let Some(way) = self.ways.get_mut(&id) else { return };
        way.goes(now, shares);
        let service = &mut services[way.service];
        let cost = self.clients[way.who].program.cost(&way.ask, service.says(way.ask.seed()));
        match service.reach(self.origin_s + i64::try_from(now / 1_000_000).unwrap_or(0)) {
            Reached::Takes => service.submit(now, id, cost.wish()),
            Reached::Answers(status) => way.at = At::Failing { status: Some(status) },
            Reached::Nothing => way.at = At::Failing { status: None },
        }
        if matches!(way.at, At::Failing { .. }) {
            self.agenda.insert((now + FAILS_US, Step::Fail, id));
        }
    }

    /// Its service answered with an error, or not at all.
    fn fail(&mut self, id: u64, services: &[PastService]) {
        let (now, ms) = (self.now, self.ms());
        let Some(way) = self.ways.get_mut(&id) else { return };
        let At::Failing { status } = way.at else { return };
        let place = services[way.service].place();
        // What passes by itself, and what never came to an answer, is tried again.
        let again = match status {
            Some(503) | None => self.gate.pause_ms(way.sent),
            Some(_) => None,
        };
        if let Some(pause) = again {
            let reason = match status {
                Some(status) => format!("{place} answered {status}."),
                None => format!("{place} closed the connection without an answer."),
            };
            way.failure = Some((502, reason));
            way.at = At::Line(now);
            self.gate.retry(id, pause, ms);
            return;
        }
        let Some(way) = self.take_way(id) else { return };
        self.gate.release(id, Ended::Failed, None, ms);
        match status {
            Some(status) => self.put(way, Finish::Answered, status, String::new()),
            None => {
                let reason = format!("{place} closed the connection without an answer.");
                self.put(way, Finish::Failed, 502, reason);
            }
        }
    }

    fn refuse(&mut self, id: u64, refused: Refused) {
        let Some(mut way) = self.take_way(id) else { return };
        match way.failure.take() {
            // Its own failure stays the reason.
            Some((status, reason)) => {
                let reason = format!("{reason} It was not tried again. {}", refused.reason);
                self.put(way, Finish::Failed, status, reason);
            }
            None => self.put(way, Finish::Refused, refused.status, refused.reason),
        }
    }

    fn leave(&mut self, id: u64, services: &mut [PastService]) {
        let Some(way) = self.take_way(id) else { return };
        services[way.service].cancel(self.now, id);
        self.gate.leave(id, self.ms());
        let status = if way.first.is_some() { 200 } else { 0 };
        self.put(way, Finish::Left, status, String::new());
    }

    /// A request that is under way no more, with its share of the card's energy.
    fn take_way(&mut self, id: u64) -> Option<Way> {
        let mut way = self.ways.remove(&id)?;
        if let At::Service { shares } = way.at {
            way.joules = way.joules.map(|joules| joules + self.shares - shares);
        }
        if let Some(leaves) = way.ask.leaves {
            self.agenda.remove(&(way.came + us_of(leaves), Step::Leave, id));
        }
        Some(way)
    }

    fn put(&mut self, way: Way, finish: Finish, status: u16, reason: String) {
        let row = way.end(self.now, finish, status, reason);
        self.gate.count(&row, self.wall_ms().div_euclid(1000));
        self.rows.push(row);
    }
}

fn us_of(span: std::time::Duration) -> Us {
    u64::try_from(span.as_micros()).unwrap_or(Us::MAX)
}

fn count(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}
